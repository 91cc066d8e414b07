//! Who waits for what, and whether it can still come.
//!
//! Each connection tells which state it is in; the [`graph`] says what that state and all that can follow may do for
//! others. A wait is unsatisfiable when no connection that can still proceed may satisfy it ([`analysis`]). It is
//! never called so while it is not: every branch counts as possible.

mod analysis;
mod explain;
pub(crate) mod graph;
pub(crate) mod participant;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use tokio::sync::oneshot;

use crate::history::WaitFailure;
use graph::{Effects, StateGraph, StateNode, Wanted};
use participant::{Activity, AfterFailure, Participant, Unsatisfied, WaitEnd};

/// What a handler may do.
static OF_HANDLER: LazyLock<Arc<Effects>> = LazyLock::new(|| {
    Arc::new(Effects {
        anything: true,
        ..Effects::default()
    })
});

/// The waits of a trial.
#[derive(Debug, Default)]
pub(super) struct Waits {
    graph: StateGraph,
    names: Vec<String>,
    participants: Vec<Participant>,
    /// How often each event was signalled.
    signalled: BTreeMap<String, u32>,
    /// How many are at each barrier.
    at_barrier: Vec<u32>,
    /// Those who wait, by what ends their waits.
    waiting: BTreeMap<Key, Vec<usize>>,
    /// Whether somebody who is no connection may signal events and send messages.
    outsiders: bool,
    /// Why no wait begins any more.
    stopped: Option<String>,
}

/// By what a waiter is found when something happens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Event(String),
    State(usize, usize),
    Barrier(usize),
    AllConnected,
    /// A message to this connection.
    Message(usize),
}

fn key(waiter: usize, wanted: &Wanted) -> Key {
    match wanted {
        Wanted::Event { name, .. } => Key::Event(name.clone()),
        Wanted::State { connection, state } => Key::State(*connection, *state),
        Wanted::Barrier(number) => Key::Barrier(*number),
        Wanted::AllConnected => Key::AllConnected,
        Wanted::Message => Key::Message(waiter),
    }
}

impl Waits {
    pub fn new(names: Vec<String>, graph: StateGraph) -> Self {
        let participants = names.iter().map(|_| Participant::default()).collect();
        Self {
            at_barrier: vec![0; graph.barriers.len()],
            graph,
            names,
            participants,
            ..Self::default()
        }
    }

    /// One more connection, whose states are handlers.
    pub fn add_of_handlers(&mut self, name: &str) {
        self.names.push(name.to_owned());
        self.participants.push(Participant::default());
        self.graph.rounds.push(Arc::clone(&OF_HANDLER));
    }

    /// Begins anew with the same connections; nothing has come yet.
    pub fn restart(&mut self) {
        self.participants.fill_with(Participant::default);
        self.signalled.clear();
        self.at_barrier.fill(0);
        self.waiting.clear();
    }

    /// Somebody who is no connection may signal events and send messages from now on.
    pub fn let_outsiders_act(&mut self) {
        self.outsiders = true;
    }

    /// The number of a state whose work is a handler's.
    pub fn state_of_handlers(&mut self, name: &str) -> usize {
        let known = self.graph.states.iter().position(|state| state.name == name);
        known.unwrap_or_else(|| {
            self.graph.states.push(StateNode {
                name: name.to_owned(),
                line: None,
                effects_from: Arc::clone(&OF_HANDLER),
                effects_past_barrier: Arc::clone(&OF_HANDLER),
            });
            self.graph.states.len() - 1
        })
    }

    /// The number of the state that a connection is in.
    pub fn state(&self, connection: usize) -> Option<usize> {
        self.participants.get(connection)?.state
    }

    /// The names of all states, by their numbers.
    pub fn state_names(&self) -> Vec<String> {
        self.graph.states.iter().map(|state| state.name.clone()).collect()
    }

    /// The number of a barrier, which is made where it is not known yet.
    ///
    /// # Errors
    /// A line where the barrier is for another number of connections.
    pub fn barrier(&mut self, name: &str, parties: u32) -> Result<usize, String> {
        if parties == 0 {
            return Err(format!(
                "barrier `{name}` is for 0 connections; it needs one at least"
            ));
        }
        let known = self.graph.barriers.iter().position(|(known, _)| known == name);
        let Some(number) = known else {
            self.graph.barriers.push((name.to_owned(), parties));
            self.at_barrier.push(0);
            return Ok(self.graph.barriers.len() - 1);
        };
        match self.parties(number) {
            same if same == parties => Ok(number),
            other => Err(format!(
                "barrier `{name}` is for {other} connections, and is used here for {parties}"
            )),
        }
    }

    fn parties(&self, barrier: usize) -> u32 {
        self.graph
            .barriers
            .get(barrier)
            .map_or(0, |(_, parties)| *parties)
    }

    fn here(&self, barrier: usize) -> u32 {
        self.at_barrier.get(barrier).copied().unwrap_or(0)
    }

    /// A connection enters a state.
    pub fn enter(&mut self, connection: usize, state: usize, again: bool) {
        let Some(participant) = self.participants.get(connection) else {
            return;
        };
        // On another way it could have satisfied others; that may be lost now.
        let possible: Vec<Wanted> = self
            .wanted()
            .filter(|wanted| self.may_satisfy(connection, participant, wanted))
            .collect();
        let Some(participant) = self.participants.get_mut(connection) else {
            return;
        };
        participant.activity = Activity::Running;
        participant.state = Some(state);
        participant.past_barrier = false;
        participant.again = again;
        participant.entered.insert(state);
        self.release(&Key::State(connection, state));
        let participant = &self.participants[connection];
        if possible
            .iter()
            .any(|wanted| !self.may_satisfy(connection, participant, wanted))
        {
            self.end_unsatisfiable();
        }
    }

    /// What is waited for, each once.
    fn wanted(&self) -> impl Iterator<Item = Wanted> {
        let waiting = self.waiting.iter().filter(|(_, waiting)| !waiting.is_empty());
        waiting.map(|(key, _)| match key {
            Key::Event(name) => Wanted::Event {
                name: name.clone(),
                times: 1,
            },
            Key::State(connection, state) => Wanted::State {
                connection: *connection,
                state: *state,
            },
            Key::Barrier(number) => Wanted::Barrier(*number),
            Key::AllConnected => Wanted::AllConnected,
            Key::Message(_) => Wanted::Message,
        })
    }

    /// An event is signalled.
    pub fn signal(&mut self, name: &str) {
        *self.signalled.entry(name.to_owned()).or_default() += 1;
        self.release(&Key::Event(name.to_owned()));
    }

    /// A connection has a session. Says whether it is the first one of the last connection.
    pub fn connect(&mut self, connection: usize) -> bool {
        let Some(participant) = self.participants.get_mut(connection) else {
            return false;
        };
        let first = !std::mem::replace(&mut participant.connected, true);
        self.release(&Key::AllConnected);
        first && self.are_all_connected()
    }

    fn are_all_connected(&self) -> bool {
        self.participants.iter().all(|participant| participant.connected)
    }

    /// Whether a message waits for a connection.
    pub fn set_mail(&mut self, connection: usize, has_mail: bool) {
        if let Some(participant) = self.participants.get_mut(connection) {
            participant.has_mail = has_mail;
            self.release(&Key::Message(connection));
        }
    }

    fn is_satisfied(&self, waiter: usize, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Event { name, times } => self.signalled.get(name).is_some_and(|count| count >= times),
            Wanted::State { connection, state } => {
                let participant = self.participants.get(*connection);
                participant.is_some_and(|participant| participant.entered.contains(state))
            }
            // Those who are there go on together, when the last one comes.
            Wanted::Barrier(_) => false,
            Wanted::AllConnected => self.are_all_connected(),
            Wanted::Message => {
                let participant = self.participants.get(waiter);
                participant.is_some_and(|participant| participant.has_mail)
            }
        }
    }

    /// Begins to wait; what is satisfied already is not waited for.
    pub fn wait(
        &mut self,
        connection: usize,
        wanted: Wanted,
        after_failure: AfterFailure,
    ) -> oneshot::Receiver<WaitEnd> {
        let (end, receiver) = oneshot::channel();
        if self.is_satisfied(connection, &wanted) {
            let _ = end.send(Ok(()));
            return receiver;
        }
        if let Some(reason) = self.stopped.clone() {
            let _ = end.send(Err(self.stopped_at(&wanted, reason)));
            return receiver;
        }
        let waiting = self.waiting.entry(key(connection, &wanted)).or_default();
        waiting.push(connection);
        if let Some(participant) = self.participants.get_mut(connection) {
            participant.activity = Activity::Waiting {
                wanted: wanted.clone(),
                after_failure,
                end,
            };
        }
        if let Wanted::Barrier(number) = wanted
            && let Some(here) = self.at_barrier.get_mut(number)
        {
            *here += 1;
            let here = *here;
            if here >= self.parties(number) {
                self.at_barrier[number] = 0;
                self.release(&Key::Barrier(number));
            }
        }
        // Most waits are short, and whoever satisfies them is at work: then no wait is unsatisfiable by this one.
        if !self.may_soon_be_satisfied(&wanted) {
            self.end_unsatisfiable();
        }
        receiver
    }

    /// Lets those proceed who waited for this.
    fn release(&mut self, key: &Key) {
        let Some(waiting) = self.waiting.remove(key) else {
            return;
        };
        let mut left = Vec::new();
        for connection in waiting {
            let Some(wanted) = self.participants.get(connection).and_then(Participant::wanted) else {
                continue;
            };
            let barrier = matches!(wanted, Wanted::Barrier(_));
            if !barrier && !self.is_satisfied(connection, wanted) {
                left.push(connection);
                continue;
            }
            if let Some(participant) = self.participants.get_mut(connection) {
                participant.past_barrier |= barrier;
                if let Activity::Waiting { end, .. } = std::mem::take(&mut participant.activity) {
                    // Whoever has stopped waiting has dropped the other end.
                    let _ = end.send(Ok(()));
                }
            }
        }
        if !left.is_empty() {
            self.waiting.insert(key.clone(), left);
        }
    }

    /// The limit of a wait is over. Says why it was not satisfied; `None` where it was in this very moment.
    pub fn time_out(&mut self, connection: usize) -> Option<Unsatisfied> {
        let wanted = self.participants.get(connection)?.wanted()?.clone();
        let why = self.why(connection, &wanted, WaitFailure::TimedOut);
        self.stop_waiting(connection);
        Some(why)
    }

    /// A connection waits no more.
    pub fn stop_waiting(&mut self, connection: usize) -> Option<oneshot::Sender<WaitEnd>> {
        let participant = self.participants.get_mut(connection)?;
        participant.wanted()?;
        let Activity::Waiting { wanted, end, .. } = std::mem::take(&mut participant.activity) else {
            return None;
        };
        if let Some(waiting) = self.waiting.get_mut(&key(connection, &wanted)) {
            waiting.retain(|other| *other != connection);
        }
        if let Wanted::Barrier(number) = wanted
            && let Some(here) = self.at_barrier.get_mut(number)
        {
            *here = here.saturating_sub(1);
        }
        Some(end)
    }

    /// A connection has ended, by itself or by a failure.
    pub fn end(&mut self, connection: usize, failed: Option<String>) {
        self.stop_waiting(connection);
        if let Some(participant) = self.participants.get_mut(connection) {
            participant.activity = Activity::Ended { failed };
        }
        self.end_unsatisfiable();
    }

    /// Ends the waits that are unsatisfiable.
    fn end_unsatisfiable(&mut self) {
        loop {
            let found = self.unsatisfiable();
            if found.is_empty() {
                return;
            }
            for (number, why) in found {
                let failed = format!("the wait for {} can never be satisfied", why.wanted);
                let recovers = self.participants[number].recovers_at().is_some();
                if let Some(end) = self.stop_waiting(number) {
                    let _ = end.send(Err(why));
                }
                if !recovers && let Some(participant) = self.participants.get_mut(number) {
                    participant.activity = Activity::Ended { failed: Some(failed) };
                }
            }
        }
    }

    /// Ends all waits, for this reason; where it is `for_good`, those that begin later, too.
    pub fn stop(&mut self, reason: &str, for_good: bool) {
        if for_good {
            self.stopped = Some(reason.to_owned());
        }
        for number in 0..self.participants.len() {
            let Some(wanted) = self.participants[number].wanted().cloned() else {
                continue;
            };
            let why = self.stopped_at(&wanted, reason.to_owned());
            if let Some(end) = self.stop_waiting(number) {
                let _ = end.send(Err(why));
            }
        }
    }

    fn stopped_at(&self, wanted: &Wanted, reason: String) -> Unsatisfied {
        Unsatisfied {
            wanted: self.words(wanted),
            failure: WaitFailure::Stopped,
            reasons: vec![reason],
            cycle: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Two or more connections of one state each: what it may signal is told, what it waits for is asked later.
    fn waits(signals: &[&[&str]], barriers: &[(&str, u32)]) -> Waits {
        let names = (0..signals.len()).map(|number| format!("c{number}")).collect();
        let state = |(number, events): (usize, &&[&str])| {
            let events = events.iter().map(|&event| event.to_owned()).collect();
            let effects = Effects {
                events,
                ..Effects::default()
            };
            StateNode {
                name: "only".to_owned(),
                line: Some(number + 1),
                effects_past_barrier: Arc::new(effects.clone()),
                effects_from: Arc::new(Effects {
                    barriers: (0..barriers.len()).collect(),
                    ..effects
                }),
            }
        };
        let states: Vec<StateNode> = signals.iter().enumerate().map(state).collect();
        let rounds = states.iter().map(|state| Arc::clone(&state.effects_from));
        let rounds = rounds.collect();
        let barriers = barriers
            .iter()
            .map(|(name, parties)| ((*name).to_owned(), *parties))
            .collect();
        let mut waits = Waits::new(
            names,
            StateGraph {
                states,
                rounds,
                barriers,
            },
        );
        for number in 0..signals.len() {
            waits.enter(number, number, false);
        }
        waits
    }

    /// So many connections whose states are handlers.
    fn handlers(count: usize) -> Waits {
        let mut waits = Waits::default();
        for number in 0..count {
            waits.add_of_handlers(&format!("c{number}"));
            waits.connect(number);
            let state = waits.state_of_handlers("testing");
            waits.enter(number, state, false);
        }
        waits
    }

    fn event(name: &str, times: u32) -> Wanted {
        let name = name.to_owned();
        Wanted::Event { name, times }
    }

    /// A handler's limit, so many seconds from now.
    fn limit(seconds: u64) -> AfterFailure {
        AfterFailure::GoesOn(Instant::now() + Duration::from_secs(seconds))
    }

    const ENDS: AfterFailure = AfterFailure::Ends;

    fn failed(wait: &mut oneshot::Receiver<WaitEnd>) -> Unsatisfied {
        wait.try_recv().expect("an end").expect_err("unsatisfied")
    }

    #[test]
    fn what_has_come_is_not_waited_for_and_what_comes_ends_the_wait() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        let mut first = waits.wait(1, event("go", 1), ENDS);
        assert!(first.try_recv().is_err(), "it has not come yet");
        waits.signal("go");
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert_eq!(waits.wait(1, event("go", 1), ENDS).try_recv(), Ok(Ok(())));
        assert!(
            waits.wait(1, event("go", 2), ENDS).try_recv().is_err(),
            "once is not twice"
        );
    }

    #[test]
    fn a_wait_ends_when_the_last_who_could_signal_it_fails() {
        let mut waits = waits(&[&["go"], &["go"], &[]], &[]);
        let mut wait = waits.wait(2, event("go", 1), ENDS);
        waits.end(0, None);
        assert!(wait.try_recv().is_err(), "c1 may still signal it");
        waits.end(1, Some("error 1062".to_owned()));
        let why = failed(&mut wait);
        assert_eq!(why.failure, WaitFailure::Unsatisfiable);
        assert_eq!(why.wanted, "event `go`");
        assert_eq!(
            why.reasons,
            [
                "c0 has completed without it",
                "c1 failed in `only` (line 2): error 1062"
            ]
        );
        assert!(why.cycle.is_empty());
    }

    #[test]
    fn a_deadlock_cycle_is_found_at_once_and_named() {
        let mut waits = waits(&[&["a"], &["b"], &["c"], &[]], &[]);
        let mut first = waits.wait(0, event("c", 1), ENDS);
        let mut second = waits.wait(1, event("a", 1), ENDS);
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        let mut third = waits.wait(2, event("b", 1), ENDS);
        let why = failed(&mut third);
        assert_eq!(why.cycle.len(), 3, "{:?}", why.cycle);
        failed(&mut first);
        failed(&mut second);
    }

    #[test]
    fn a_barrier_opens_for_its_parties_again_and_again_and_closes_for_good() {
        let mut waits = waits(&[&[], &[], &[]], &[("b", 2)]);
        let mut first = waits.wait(0, Wanted::Barrier(0), ENDS);
        assert!(first.try_recv().is_err());
        let mut second = waits.wait(1, Wanted::Barrier(0), ENDS);
        assert_eq!((first.try_recv(), second.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        // The third is alone: the others have passed it and do not come again.
        let why = failed(&mut waits.wait(2, Wanted::Barrier(0), ENDS));
        assert_eq!(why.wanted, "barrier `b` (1 of 2 are there)");
    }

    #[test]
    fn whoever_begins_another_round_may_signal_it_then() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        if let Some(state) = waits.graph.states.get_mut(0) {
            state.effects_from = Arc::default();
        }
        waits.enter(0, 0, true);
        let mut wait = waits.wait(1, event("go", 1), ENDS);
        assert!(wait.try_recv().is_err(), "the next round may signal it");
        waits.enter(0, 0, false);
        waits.end(0, None);
        failed(&mut wait);
    }

    #[test]
    fn a_branch_taken_elsewhere_may_make_a_wait_unsatisfiable() {
        let mut waits = waits(&[&["go"], &[], &[]], &[]);
        let mut wait = waits.wait(1, event("go", 1), ENDS);
        assert!(wait.try_recv().is_err(), "c0 may signal it");
        // The state of the third signals nothing, and so does the first when it goes there.
        waits.enter(0, 2, false);
        failed(&mut wait);
    }

    #[test]
    fn a_handler_whose_wait_failed_may_still_signal_something() {
        let mut waits = waits(&[&["go"], &["other"], &[]], &[]);
        let mut handler = waits.wait(0, event("other", 1), limit(60));
        let mut wait = waits.wait(2, event("go", 1), ENDS);
        waits.end(1, None);
        failed(&mut handler);
        assert!(wait.try_recv().is_err(), "the handler may signal it all the same");
        waits.signal("go");
        assert_eq!(wait.try_recv(), Ok(Ok(())));
    }

    /// Nothing happens before the first limit is over, so that one's wait fails now; what it does then, the others
    /// may still be waiting for.
    #[test]
    fn of_handlers_in_a_deadlock_the_one_with_the_first_limit_is_told() {
        let mut waits = handlers(3);
        let mut long = waits.wait(0, event("a", 1), limit(60));
        let mut short = waits.wait(1, event("b", 1), limit(5));
        assert!(short.try_recv().is_err(), "c2 is at work");
        let mut middle = waits.wait(2, event("c", 1), limit(30));
        let why = failed(&mut short);
        assert_eq!(
            why.cycle,
            [
                "c1 waits in `testing` for event `b`",
                "c0 waits in `testing` for event `a`",
                "c2 waits in `testing` for event `c`"
            ]
        );
        assert!(long.try_recv().is_err() && middle.try_recv().is_err());
        waits.signal("c");
        assert_eq!(middle.try_recv(), Ok(Ok(())), "it was not hopeless");
        waits.end(1, None);
        waits.end(2, Some("error 8028".to_owned()));
        let why = failed(&mut long);
        assert_eq!(
            why.reasons,
            [
                "c1 has completed without it",
                "c2 failed in `testing`: error 8028"
            ]
        );
    }

    #[test]
    fn a_barrier_of_handlers_that_cannot_fill_is_told_at_once() {
        let mut waits = handlers(3);
        let meet = waits.barrier("meet", 3).expect("a barrier");
        let mut first = waits.wait(0, Wanted::Barrier(meet), limit(60));
        let mut second = waits.wait(1, Wanted::Barrier(meet), limit(60));
        assert!(
            first.try_recv().is_err() && second.try_recv().is_err(),
            "c2 may come"
        );
        waits.end(2, None);
        let why = failed(&mut first);
        assert_eq!(why.wanted, "barrier `meet` (2 of 3 are there)");
        assert_eq!(why.reasons, ["c2 has completed without it"]);
        failed(&mut second);
        let wrong = waits.barrier("meet", 2).expect_err("another number");
        assert_eq!(
            wrong,
            "barrier `meet` is for 3 connections, and is used here for 2"
        );
    }

    #[test]
    fn messages_and_sessions_are_waited_for_as_events_are() {
        let mut waits = handlers(2);
        let mut mail = waits.wait(0, Wanted::Message, limit(60));
        waits.set_mail(0, true);
        assert_eq!(mail.try_recv(), Ok(Ok(())));
        waits.set_mail(0, false);
        let mut mail = waits.wait(0, Wanted::Message, limit(60));
        waits.end(1, None);
        assert_eq!(failed(&mut mail).reasons, ["c1 has completed without it"]);

        let mut waits = handlers(2);
        waits.add_of_handlers("late");
        let mut all = waits.wait(0, Wanted::AllConnected, limit(60));
        assert!(all.try_recv().is_err());
        waits.end(2, Some("error 1045".to_owned()));
        let why = failed(&mut all);
        assert_eq!(why.reasons, ["late failed before its first state: error 1045"]);
    }

    #[test]
    fn whoever_is_no_connection_may_signal_what_no_connection_can() {
        let mut waits = handlers(1);
        waits.let_outsiders_act();
        let mut wait = waits.wait(0, event("go", 1), limit(60));
        assert!(wait.try_recv().is_err(), "somebody outside may signal it");
        waits.stop("the coordinator shuts down", true);
        assert_eq!(failed(&mut wait).failure, WaitFailure::Stopped);
        let why = failed(&mut waits.wait(0, event("go", 1), limit(60)));
        assert_eq!(why.reasons, ["the coordinator shuts down"]);
    }

    #[test]
    fn a_wait_over_its_limit_says_who_is_missing() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        let _wait = waits.wait(1, event("go", 1), ENDS);
        let why = waits.time_out(1).expect("it waits");
        assert_eq!(why.failure, WaitFailure::TimedOut);
        assert_eq!(why.reasons, ["c0 is in `only` (line 1)"]);
        assert!(waits.time_out(1).is_none());
    }
}
