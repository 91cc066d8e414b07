//! Waits in words: who waits for what, where everybody is, and why a wait was not satisfied.

use super::Waits;
use super::graph::{ALL_CONNECTIONS_READY, Wanted};
use super::participant::{Activity, Unsatisfied};
use crate::history::WaitFailure;

/// At most this many connections are named as those who could have satisfied a wait.
const REASONS_MAX: usize = 5;

impl Waits {
    /// Where each connection is that has not ended.
    pub fn all_whereabouts(&self) -> Vec<(usize, String)> {
        let participants = self.participants.iter().enumerate();
        let open = participants.filter(|(_, one)| !one.has_ended());
        open.map(|(number, _)| (number, self.whereabouts(number)))
            .collect()
    }

    fn name(&self, connection: usize) -> &str {
        self.names.get(connection).map_or("?", String::as_str)
    }

    /// What is waited for, in words.
    pub fn words(&self, wanted: &Wanted) -> String {
        match wanted {
            Wanted::Event { name, times: 1 } => format!("event `{name}`"),
            Wanted::Event { name, times } => {
                let count = self.signalled.get(name).copied().unwrap_or(0);
                format!("event `{name}`, {times} times (it came {count} times)")
            }
            Wanted::State { connection, state } => {
                let state = self.graph.states.get(*state);
                let state = state.map_or("?", |state| state.name.as_str());
                format!("state `{}.{state}`", self.name(*connection))
            }
            Wanted::Barrier(number) => {
                let name = self.graph.barriers.get(*number);
                let name = name.map_or("?", |(name, _)| name.as_str());
                let (here, parties) = (self.here(*number), self.parties(*number));
                format!("barrier `{name}` ({here} of {parties} are there)")
            }
            Wanted::AllConnected => {
                format!("event `{ALL_CONNECTIONS_READY}` (a session of every connection)")
            }
            Wanted::Message => "a message".to_owned(),
        }
    }

    /// Whether a connection could have satisfied this when it began.
    fn could_satisfy(&self, connection: usize, wanted: &Wanted) -> bool {
        let Some(round) = self.graph.rounds.get(connection) else {
            return false;
        };
        match wanted {
            Wanted::Event { name, .. } => round.may_signal(name),
            Wanted::State { connection: own, .. } => *own == connection,
            Wanted::Barrier(number) => round.may_reach(*number),
            Wanted::AllConnected => self
                .participants
                .get(connection)
                .is_some_and(|one| !one.connected),
            Wanted::Message => round.anything,
        }
    }

    /// Where a connection is, in words.
    fn whereabouts(&self, connection: usize) -> String {
        let Some(participant) = self.participants.get(connection) else {
            return String::new();
        };
        let state = participant.state.and_then(|state| self.graph.states.get(state));
        let at = match state {
            None => "before its first state".to_owned(),
            Some(state) => match state.line {
                Some(line) => format!("in `{}` (line {line})", state.name),
                None => format!("in `{}`", state.name),
            },
        };
        match &participant.activity {
            Activity::Ended { failed: Some(reason) } => format!("failed {at}: {reason}"),
            Activity::Ended { failed: None } => "has completed without it".to_owned(),
            Activity::Waiting { wanted, .. } => format!("waits {at} for {}", self.words(wanted)),
            Activity::Running => format!("is {at}"),
        }
    }

    /// Why a wait was not satisfied.
    pub(super) fn why(&self, waiter: usize, wanted: &Wanted, failure: WaitFailure) -> Unsatisfied {
        let at_it = |number: usize| {
            let participant = self.participants.get(number);
            matches!(wanted, Wanted::Barrier(barrier) if participant.is_some_and(|one| one.is_at(*barrier)))
        };
        let able: Vec<usize> = (0..self.participants.len())
            .filter(|number| *number != waiter && !at_it(*number) && self.could_satisfy(*number, wanted))
            .collect();
        let line = |number: &usize| format!("{} {}", self.name(*number), self.whereabouts(*number));
        let mut reasons: Vec<String> = able.iter().take(REASONS_MAX).map(line).collect();
        if able.len() > REASONS_MAX {
            reasons.push(format!("and {} more", able.len() - REASONS_MAX));
        }
        if reasons.is_empty() {
            reasons.push(match wanted {
                Wanted::Event { .. } => "no other connection signals it".to_owned(),
                Wanted::State { .. } => "it is a state of its own".to_owned(),
                Wanted::Barrier(_) => "no other connection comes to it".to_owned(),
                Wanted::AllConnected => "no other connection is left".to_owned(),
                Wanted::Message => "no other connection sends one".to_owned(),
            });
        }
        Unsatisfied {
            wanted: self.words(wanted),
            failure,
            reasons,
            cycle: self.cycle(waiter).iter().map(line).collect(),
        }
    }
}
