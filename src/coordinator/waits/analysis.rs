//! Which waits are unsatisfiable.
//!
//! A connection that waits proceeds only if its own wait is satisfied, so which connections can proceed is the least
//! fixpoint of what they may do for each other: it finds deadlock cycles, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Waits;
use super::graph::{Effects, Wanted};
use super::participant::{Participant, Unsatisfied};
use crate::history::WaitFailure;

/// Connections in the same place, with the same wait, are the same to the fixpoint: the state, whether its barrier
/// was passed, whether another round follows, the round's effects, and what is waited for.
type SamePlace = (Option<usize>, bool, bool, usize, Option<Wanted>);

/// Whether a connection counts as one that can proceed because it goes on after a wait that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Counts,
    DoesNotCount,
}

impl Waits {
    /// The waits that are unsatisfiable, with the connections that wait.
    ///
    /// A handler goes on when its wait has failed, and may do anything then. So where only handlers that wait could
    /// satisfy each other, nothing happens before the first of their limits is over: that one's wait, and no other
    /// yet, can't be satisfied.
    pub(super) fn unsatisfiable(&self) -> Vec<(usize, Unsatisfied)> {
        if !self.participants.iter().any(|one| one.wanted().is_some()) {
            return Vec::new();
        }
        let can_proceed = self.can_proceed(Recovery::Counts);
        let waiting = self.participants.iter().enumerate();
        let waiting = waiting.filter_map(|(number, one)| Some((number, one, one.wanted()?)));
        let unsatisfiable = waiting.filter(|(number, one, wanted)| {
            if one.recovers_at().is_some() {
                !self.others_may_satisfy(*number, wanted, &can_proceed)
            } else {
                !can_proceed[*number]
            }
        });
        let mut found: Vec<usize> = unsatisfiable.map(|(number, ..)| number).collect();
        if found.is_empty() {
            found.extend(self.first_of_a_deadlock());
        }
        let why = |number: usize| {
            let wanted = self.participants[number].wanted()?;
            Some((number, self.why(number, wanted, WaitFailure::Unsatisfiable)))
        };
        found.into_iter().filter_map(why).collect()
    }

    /// Of handlers that wait for each other the one whose limit is over first.
    fn first_of_a_deadlock(&self) -> Option<usize> {
        let recovering = self.participants.iter().enumerate();
        let recovering = recovering.filter_map(|(number, one)| Some((one.recovers_at()?, number)));
        let recovering: BTreeSet<_> = recovering.collect();
        if recovering.is_empty() {
            return None;
        }
        let can_proceed = self.can_proceed(Recovery::DoesNotCount);
        let mut stuck = recovering.into_iter().filter(|(_, number)| !can_proceed[*number]);
        stuck.next().map(|(_, number)| number)
    }

    /// Whether connections that are at work may satisfy this, so that the fixpoint need not be asked. The one that
    /// waits for it is among those who wait already.
    pub(super) fn may_soon_be_satisfied(&self, wanted: &Wanted) -> bool {
        let participants = self.participants.iter().enumerate();
        let running = participants.filter(|(_, one)| one.is_running());
        let mut able = running.filter(|(number, one)| self.may_satisfy(*number, one, wanted));
        match wanted {
            Wanted::Event { .. } | Wanted::Message => self.outsiders || able.next().is_some(),
            Wanted::State { .. } => able.next().is_some(),
            Wanted::Barrier(number) => {
                // It may have opened by the one who came.
                let here = self.here(*number) as usize;
                here == 0 || here + able.count() >= self.parties(*number) as usize
            }
            Wanted::AllConnected => {
                let mut all = self.participants.iter();
                all.all(|one| one.connected || one.is_running())
            }
        }
    }

    /// Whether a connection, where it proceeds, may do its part to satisfy this.
    pub(super) fn may_satisfy(&self, number: usize, participant: &Participant, wanted: &Wanted) -> bool {
        let round = self.graph.rounds.get(number);
        let satisfies = |effects: &Effects| match wanted {
            Wanted::Event { name, .. } => effects.may_signal(name),
            Wanted::State { connection, state } => *connection == number && effects.states.contains(state),
            Wanted::Barrier(barrier) => effects.may_reach(*barrier),
            Wanted::AllConnected => !participant.connected,
            Wanted::Message => effects.anything,
        };
        let state = participant.state.and_then(|state| self.graph.states.get(state));
        let here = match state {
            Some(state) if participant.past_barrier => satisfies(&state.effects_past_barrier),
            Some(state) => satisfies(&state.effects_from),
            None => round.is_some_and(|round| satisfies(round)),
        };
        here || (participant.again && round.is_some_and(|round| satisfies(round)))
    }

    /// Whether others than the waiter, of those who can proceed, may satisfy this: what a handler does itself it does
    /// not wait for.
    fn others_may_satisfy(&self, waiter: usize, wanted: &Wanted, can_proceed: &[bool]) -> bool {
        let others = self.participants.iter().enumerate();
        let others = others.filter(|(number, _)| *number != waiter && can_proceed[*number]);
        let mut able = others.filter(|(number, one)| self.may_satisfy(*number, one, wanted));
        match wanted {
            Wanted::Event { .. } | Wanted::Message => self.outsiders || able.next().is_some(),
            Wanted::State { .. } => able.next().is_some(),
            Wanted::Barrier(barrier) => {
                let coming = able.filter(|(_, one)| !one.is_at(*barrier)).count();
                self.here(*barrier) as usize + coming >= self.parties(*barrier) as usize
            }
            Wanted::AllConnected => self.can_all_connect(can_proceed),
        }
    }

    fn can_all_connect(&self, can_proceed: &[bool]) -> bool {
        let mut all = self.participants.iter().zip(can_proceed);
        all.all(|(one, can_proceed)| one.connected || *can_proceed)
    }

    /// What a connection may still do, if it proceeds.
    fn effects(&self, number: usize) -> Option<Effects> {
        let participant = self.participants.get(number).filter(|one| !one.has_ended())?;
        let round = self.graph.rounds.get(number);
        let state = participant.state.and_then(|state| self.graph.states.get(state));
        let mut effects = match state {
            Some(state) if participant.past_barrier => state.effects_past_barrier.as_ref().clone(),
            Some(state) => state.effects_from.as_ref().clone(),
            None => round.map(|round| round.as_ref().clone()).unwrap_or_default(),
        };
        if let (Some(round), true) = (round, participant.again) {
            effects.union(round);
        }
        Some(effects)
    }

    fn groups(&self, recovery: Recovery) -> BTreeMap<SamePlace, Vec<usize>> {
        let mut groups: BTreeMap<SamePlace, Vec<usize>> = BTreeMap::new();
        for (number, one) in self.participants.iter().enumerate() {
            if one.has_ended() {
                continue;
            }
            let recovers = recovery == Recovery::Counts && one.recovers_at().is_some();
            let wanted = one.wanted().filter(|_| !recovers).cloned();
            // Connections of one name share the effects of a round.
            let round = self.graph.rounds.get(number);
            let round = round.map_or(0, |round| Arc::as_ptr(round) as usize);
            let group = (one.state, one.past_barrier, one.again, round, wanted);
            groups.entry(group).or_default().push(number);
        }
        groups
    }

    /// For each connection whether it can proceed.
    fn can_proceed(&self, recovery: Recovery) -> Vec<bool> {
        let mut can = vec![false; self.participants.len()];
        let mut effects = Effects::default();
        // A state is entered by a connection of its own, so these are kept apart.
        let mut states: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut comers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.graph.barriers.len()];
        let wanted_states: BTreeSet<(usize, usize)> = self
            .participants
            .iter()
            .filter_map(|one| match one.wanted() {
                Some(Wanted::State { connection, state }) => Some((*connection, *state)),
                _ => None,
            })
            .collect();
        let groups = self.groups(recovery);
        let mut open: Vec<_> = groups.iter().collect();
        loop {
            let mut changed = false;
            open.retain(|(group, members)| {
                let (.., wanted) = group;
                let proceeds = match wanted {
                    None => true,
                    Some(Wanted::Event { name, .. }) => self.outsiders || effects.may_signal(name),
                    Some(Wanted::State { connection, state }) => states.contains(&(*connection, *state)),
                    Some(Wanted::Barrier(barrier)) => {
                        let coming = comers.get(*barrier).map_or(0, BTreeSet::len);
                        self.here(*barrier) as usize + coming >= self.parties(*barrier) as usize
                    }
                    Some(Wanted::AllConnected) => self.can_all_connect(&can),
                    Some(Wanted::Message) => self.outsiders || effects.anything,
                };
                if !proceeds {
                    return true;
                }
                changed = true;
                for member in members.iter() {
                    can[*member] = true;
                }
                let first = members.first().copied().unwrap_or_default();
                if let Some(theirs) = self.effects(first) {
                    for (barrier, comers) in comers.iter_mut().enumerate() {
                        if theirs.may_reach(barrier) {
                            // Those who are there already are counted as such.
                            let elsewhere = |member: &&usize| !self.participants[**member].is_at(barrier);
                            comers.extend(members.iter().filter(elsewhere));
                        }
                    }
                    for (connection, state) in &wanted_states {
                        if members.contains(connection) && theirs.states.contains(state) {
                            states.insert((*connection, *state));
                        }
                    }
                    effects.union(&theirs);
                }
                false
            });
            if !changed {
                return can;
            }
        }
    }

    /// The deadlock cycle that begins and ends with this connection, or that it leads to.
    pub(super) fn cycle(&self, start: usize) -> Vec<usize> {
        let can_proceed = self.can_proceed(Recovery::DoesNotCount);
        let mut path = vec![start];
        loop {
            let at = path.last().copied().unwrap_or(start);
            let Some(wanted) = self.participants.get(at).and_then(Participant::wanted) else {
                return Vec::new();
            };
            let mut able = (0..self.participants.len()).filter(|number| {
                let one = &self.participants[*number];
                let barrier = matches!(wanted, Wanted::Barrier(barrier) if one.is_at(*barrier));
                *number != at
                    && !can_proceed[*number]
                    && !barrier
                    && one.wanted().is_some()
                    && self.may_satisfy(*number, one, wanted)
            });
            // A handler may do anything, so all that are stuck belong to the cycle, not the first two alone.
            let handles = |number: &usize| self.graph.rounds[*number].anything;
            let position = |number: &usize| path.iter().position(|other| other == number);
            let handlers = able.clone().filter(handles);
            let next = handlers.min_by_key(|number| position(number).map_or((0, *number), |at| (1, at)));
            let next = next.or_else(|| able.next());
            let Some(next) = next else { return Vec::new() };
            if let Some(from) = path.iter().position(|number| *number == next) {
                return path.split_off(from);
            }
            path.push(next);
        }
    }
}
