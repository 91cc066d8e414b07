//! Who waits for what, and whether it can still come.
//!
//! Each connection tells which state it is in; what that state and all that can follow may bring is known
//! from the file. A wait is in vain when no connection that can still go on may bring what is missing; since
//! connections that wait go on only if their own waits end, this is a fixpoint, which finds rings of waits,
//! too. It never calls a wait hopeless that is not: it takes every branch for possible.

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::history::JobKind;

/// Something to wait for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// An event that has come so often.
    Event {
        /// Its name.
        name: String,
        /// How often.
        times: u32,
    },
    /// A state that a connection has entered.
    State {
        /// The connection's number.
        connection: usize,
        /// The state's number.
        state: usize,
    },
    /// All parties of a barrier.
    Barrier(usize),
}

/// What a state, and what can follow it, may bring.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Events.
    pub events: BTreeSet<String>,
    /// Kinds of jobs whose events may come.
    pub jobs: BTreeSet<JobKind>,
    /// States that may be entered, by their numbers.
    pub states: BTreeSet<usize>,
    /// Barriers that may be come to.
    pub barriers: BTreeSet<usize>,
    /// Whether it may bring any event: what a handler signals, its code alone says.
    pub anything: bool,
}

impl Reach {
    /// Takes in what another brings.
    pub fn take_in(&mut self, other: &Self) {
        self.events.extend(other.events.iter().cloned());
        self.jobs.extend(&other.jobs);
        self.states.extend(&other.states);
        self.barriers.extend(&other.barriers);
        self.anything |= other.anything;
    }

    /// Whether this event may come.
    #[must_use]
    pub fn may_bring(&self, event: &str) -> bool {
        let word = event.split_once('.').map(|(word, _)| word);
        self.anything
            || self.events.contains(event)
            || word.is_some_and(|word| self.jobs.iter().any(|kind| kind.word() == word))
    }
}

/// One state of the plan, for what is said of it and for what may come of it.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its line in the file.
    pub line: usize,
    /// What it brings itself and what comes after it.
    pub from_here: Reach,
    /// The same without its own barrier, which has been passed.
    pub past_barrier: Reach,
}

/// What is known of the whole before anything runs.
#[derive(Debug, Clone, Default)]
pub struct Map {
    /// All states, by their numbers.
    pub places: Vec<Place>,
    /// For each connection the states of its own, and what a whole round of them may bring.
    pub rounds: Vec<Arc<Reach>>,
    /// The name of each barrier and how many have to be there.
    pub barriers: Vec<(String, u32)>,
}

/// Why a wait is in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InVain {
    /// What is missing, in words.
    pub wanted: String,
    /// A line for each connection that might have brought it.
    pub reasons: Vec<String>,
    /// The ring of connections that wait for each other, if there is one.
    pub cycle: Vec<String>,
}

/// How a wait ends.
pub type WaitEnd = Result<(), InVain>;

#[derive(Debug, Default)]
enum Doing {
    #[default]
    Acts,
    Waits(Wanted, Option<oneshot::Sender<WaitEnd>>),
    Ended {
        failed: Option<String>,
    },
}

#[derive(Debug, Default)]
struct Seat {
    doing: Doing,
    place: Option<usize>,
    past_barrier: bool,
    /// Whether another round follows this one.
    again: bool,
    /// Whether it may go on though it waits in vain: a handler can do something else then.
    goes_on: bool,
    entered: BTreeSet<usize>,
}

/// The waits of a trial.
#[derive(Debug, Default)]
pub(super) struct Waits {
    map: Map,
    names: Vec<String>,
    seats: Vec<Seat>,
    /// How often each event has come.
    came: BTreeMap<String, u32>,
    /// How many are at each barrier.
    at_barrier: Vec<u32>,
    /// Those who wait for an event, for a state of a connection, or at a barrier.
    waiting: BTreeMap<Key, Vec<usize>>,
}

/// Where a connection is: its state, whether it has passed its barrier, whether another round follows, the
/// prospect of a round, and what it waits for.
type Group = (Option<usize>, bool, bool, usize, Option<Wanted>);

/// By what a waiter is found when something comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Event(String),
    State(usize, usize),
    Barrier(usize),
}

fn key(wanted: &Wanted) -> Key {
    match wanted {
        Wanted::Event { name, .. } => Key::Event(name.clone()),
        Wanted::State { connection, state } => Key::State(*connection, *state),
        Wanted::Barrier(number) => Key::Barrier(*number),
    }
}

impl Waits {
    pub fn new(names: Vec<String>, map: Map) -> Self {
        let seats = names.iter().map(|_| Seat::default()).collect();
        Self {
            at_barrier: vec![0; map.barriers.len()],
            map,
            names,
            seats,
            ..Self::default()
        }
    }

    /// A connection enters a state.
    pub fn enter(&mut self, connection: usize, state: usize, again: bool) {
        // What it could have brought on another way, and others wait for, may be lost now.
        let hoped: Vec<Wanted> = self
            .wanted()
            .filter(|wanted| {
                self.seats
                    .get(connection)
                    .is_some_and(|seat| self.may_bring(connection, seat, wanted))
            })
            .collect();
        let Some(seat) = self.seats.get_mut(connection) else {
            return;
        };
        seat.doing = Doing::Acts;
        seat.place = Some(state);
        seat.past_barrier = false;
        seat.again = again;
        seat.entered.insert(state);
        self.release(&Key::State(connection, state));
        let seat = &self.seats[connection];
        if hoped
            .iter()
            .any(|wanted| !self.may_bring(connection, seat, wanted))
        {
            self.tell_hopeless();
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
        })
    }

    /// An event comes.
    pub fn signal(&mut self, name: &str) {
        *self.came.entry(name.to_owned()).or_default() += 1;
        self.release(&Key::Event(name.to_owned()));
    }

    fn is_there(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Event { name, times } => self.came.get(name).is_some_and(|came| came >= times),
            Wanted::State { connection, state } => {
                let seat = self.seats.get(*connection);
                seat.is_some_and(|seat| seat.entered.contains(state))
            }
            Wanted::Barrier(_) => false,
        }
    }

    /// Begins to wait; what is there already is not waited for. `goes_on`, if the connection does not end with a
    /// wait in vain.
    pub fn wait(&mut self, connection: usize, wanted: Wanted, goes_on: bool) -> oneshot::Receiver<WaitEnd> {
        let (sender, receiver) = oneshot::channel();
        if self.is_there(&wanted) {
            let _ = sender.send(Ok(()));
            return receiver;
        }
        self.waiting.entry(key(&wanted)).or_default().push(connection);
        if let Some(seat) = self.seats.get_mut(connection) {
            seat.doing = Doing::Waits(wanted.clone(), Some(sender));
            seat.goes_on = goes_on;
        }
        // Most waits are short, and whoever brings their end is at work: then nobody's wait has become hopeless.
        let comes = self.surely_comes(&wanted);
        if let Wanted::Barrier(number) = wanted {
            let parties = self.map.barriers.get(number).map_or(0, |(_, parties)| *parties);
            if let Some(here) = self.at_barrier.get_mut(number) {
                *here += 1;
                if *here >= parties {
                    *here = 0;
                    self.release(&Key::Barrier(number));
                }
            }
        }
        if !comes {
            self.tell_hopeless();
        }
        receiver
    }

    /// Whether connections that are at work may bring this, so that it need not be followed who waits for whom.
    fn surely_comes(&self, wanted: &Wanted) -> bool {
        let mut at_work = self.seats.iter().enumerate().filter(|(number, seat)| {
            matches!(seat.doing, Doing::Acts) && self.may_bring(*number, seat, wanted)
        });
        match wanted {
            Wanted::Event { .. } | Wanted::State { .. } => at_work.next().is_some(),
            Wanted::Barrier(number) => {
                let parties = self.map.barriers.get(*number).map_or(0, |(_, parties)| *parties);
                // The one that begins to wait is not counted as being there yet.
                let here = self.at_barrier.get(*number).copied().unwrap_or(0) + 1;
                at_work.count() + here as usize >= parties as usize
            }
        }
    }

    fn may_bring(&self, number: usize, seat: &Seat, wanted: &Wanted) -> bool {
        let round = self.map.rounds.get(number);
        let place = seat.place.and_then(|place| self.map.places.get(place));
        let here = match place {
            Some(place) if seat.past_barrier => brings(&place.past_barrier, number, wanted),
            Some(place) => brings(&place.from_here, number, wanted),
            None => round.is_some_and(|round| brings(round, number, wanted)),
        };
        here || (seat.again && round.is_some_and(|round| brings(round, number, wanted)))
    }

    /// Lets go on whoever waited for this.
    fn release(&mut self, key: &Key) {
        let Some(waiting) = self.waiting.remove(key) else {
            return;
        };
        let mut left = Vec::new();
        for connection in waiting {
            let there = match self.seats.get(connection).map(|seat| &seat.doing) {
                Some(Doing::Waits(wanted, _)) => {
                    matches!(wanted, Wanted::Barrier(_)) || self.is_there(wanted)
                }
                _ => continue,
            };
            if !there {
                left.push(connection);
                continue;
            }
            if let Some(seat) = self.seats.get_mut(connection) {
                seat.past_barrier |= matches!(seat.doing, Doing::Waits(Wanted::Barrier(_), _));
                if let Doing::Waits(_, sender) = std::mem::take(&mut seat.doing)
                    && let Some(sender) = sender
                {
                    // Whoever gave up waiting has let go of the other end.
                    let _ = sender.send(Ok(()));
                }
            }
        }
        if !left.is_empty() {
            self.waiting.insert(key.clone(), left);
        }
    }

    /// A connection gives up waiting, at its limit. Says why what it waited for did not come; `None` where it
    /// came in this very moment.
    pub fn give_up(&mut self, connection: usize) -> Option<InVain> {
        let wanted = match &self.seats.get(connection)?.doing {
            Doing::Waits(wanted, _) => wanted.clone(),
            Doing::Acts | Doing::Ended { .. } => return None,
        };
        let can_go_on = self.can_go_on();
        let why = self.why(connection, &wanted, &can_go_on);
        self.stop_waiting(connection);
        Some(why)
    }

    fn stop_waiting(&mut self, connection: usize) -> Option<oneshot::Sender<WaitEnd>> {
        let seat = self.seats.get_mut(connection)?;
        let Doing::Waits(wanted, sender) = std::mem::take(&mut seat.doing) else {
            return None;
        };
        if let Some(waiting) = self.waiting.get_mut(&key(&wanted)) {
            waiting.retain(|other| *other != connection);
        }
        if let Wanted::Barrier(number) = wanted
            && let Some(here) = self.at_barrier.get_mut(number)
        {
            *here = here.saturating_sub(1);
        }
        sender
    }

    /// A connection has ended, by itself or by a failure.
    pub fn end(&mut self, connection: usize, failed: Option<String>) {
        self.stop_waiting(connection);
        if let Some(seat) = self.seats.get_mut(connection) {
            seat.doing = Doing::Ended { failed };
        }
        self.tell_hopeless();
    }

    /// What a connection may still bring, if it goes on.
    fn prospect(&self, seat: &Seat, connection: usize) -> Option<Reach> {
        if matches!(seat.doing, Doing::Ended { .. }) {
            return None;
        }
        let round = self.map.rounds.get(connection);
        let mut prospect = match seat.place.and_then(|place| self.map.places.get(place)) {
            Some(place) if seat.past_barrier => place.past_barrier.clone(),
            Some(place) => place.from_here.clone(),
            None => round.map(|round| round.as_ref().clone()).unwrap_or_default(),
        };
        if let (Some(round), true) = (round, seat.again) {
            prospect.take_in(round);
        }
        Some(prospect)
    }

    /// Connections in the same place, doing the same, are the same to this.
    fn groups(&self) -> BTreeMap<Group, Vec<usize>> {
        let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (number, seat) in self.seats.iter().enumerate() {
            let wanted = match &seat.doing {
                Doing::Ended { .. } => continue,
                Doing::Acts => None,
                Doing::Waits(..) if seat.goes_on => None,
                Doing::Waits(wanted, _) => Some(wanted.clone()),
            };
            // Connections of one name share the prospect of a round.
            let round = self
                .map
                .rounds
                .get(number)
                .map_or(0, |round| Arc::as_ptr(round) as usize);
            let group = (seat.place, seat.past_barrier, seat.again, round, wanted);
            groups.entry(group).or_default().push(number);
        }
        groups
    }

    /// Which connections can go on.
    fn can_go_on(&self) -> Vec<bool> {
        let mut can = vec![false; self.seats.len()];
        let mut events = Reach::default();
        // States are brought by a connection of its own, so they are kept apart.
        let mut states: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut comers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.map.barriers.len()];
        let wanted_states: BTreeSet<(usize, usize)> = self
            .seats
            .iter()
            .filter_map(|seat| match &seat.doing {
                Doing::Waits(Wanted::State { connection, state }, _) => Some((*connection, *state)),
                _ => None,
            })
            .collect();
        let groups = self.groups();
        let mut open: Vec<_> = groups.iter().collect();
        loop {
            let mut changed = false;
            open.retain(|(group, members)| {
                let (.., wanted) = group;
                let goes = match wanted {
                    None => true,
                    Some(Wanted::Event { name, .. }) => events.may_bring(name),
                    Some(Wanted::State { connection, state }) => states.contains(&(*connection, *state)),
                    Some(Wanted::Barrier(number)) => {
                        let parties = self.map.barriers.get(*number).map_or(0, |(_, parties)| *parties);
                        let here = self.at_barrier.get(*number).copied().unwrap_or(0);
                        let coming = comers.get(*number).map_or(0, BTreeSet::len);
                        here as usize + coming >= parties as usize
                    }
                };
                if !goes {
                    return true;
                }
                changed = true;
                for member in members.iter() {
                    can[*member] = true;
                }
                let first = members.first().copied().unwrap_or_default();
                if let Some(prospect) = self.seats.get(first).and_then(|seat| self.prospect(seat, first)) {
                    for barrier in &prospect.barriers {
                        if let Some(comers) = comers.get_mut(*barrier) {
                            // Those who are there already are counted as such.
                            let here = matches!(wanted, Some(Wanted::Barrier(number)) if number == barrier);
                            comers.extend(members.iter().filter(|_| !here));
                        }
                    }
                    for (connection, state) in &wanted_states {
                        if members.contains(connection) && prospect.states.contains(state) {
                            states.insert((*connection, *state));
                        }
                    }
                    events.take_in(&prospect);
                }
                false
            });
            if !changed {
                return can;
            }
        }
    }

    /// Ends the waits that are in vain.
    fn tell_hopeless(&mut self) {
        let waiting = |seat: &Seat| matches!(seat.doing, Doing::Waits(..));
        if !self.seats.iter().any(waiting) {
            return;
        }
        let can = self.can_go_on();
        let stuck: Vec<(usize, InVain)> = self
            .seats
            .iter()
            .enumerate()
            .filter_map(|(number, seat)| match &seat.doing {
                Doing::Waits(wanted, _) => Some((number, seat, wanted)),
                _ => None,
            })
            .filter(|(number, seat, wanted)| {
                if seat.goes_on {
                    !self.others_may_bring(*number, wanted, &can)
                } else {
                    !can[*number]
                }
            })
            .map(|(number, _, wanted)| (number, self.why(number, wanted, &can)))
            .collect();
        for (number, why) in stuck {
            let failed = Some(format!("waited in vain for {}", why.wanted));
            if let Some(sender) = self.stop_waiting(number) {
                let _ = sender.send(Err(why));
            }
            if let Some(seat) = self.seats.get_mut(number).filter(|seat| !seat.goes_on) {
                seat.doing = Doing::Ended { failed };
            }
        }
    }

    /// Whether anybody else who can go on may bring this: what a handler brings itself it does not wait for.
    fn others_may_bring(&self, waiter: usize, wanted: &Wanted, can: &[bool]) -> bool {
        let mut others = self
            .seats
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != waiter);
        others.any(|(number, seat)| {
            let goes = can.get(number).copied().unwrap_or(false);
            goes && self.may_bring(number, seat, wanted)
        })
    }

    /// Ends all waits without what was waited for.
    pub fn end_all(&mut self) {
        for number in 0..self.seats.len() {
            let wanted = match self.seats.get(number).map(|seat| &seat.doing) {
                Some(Doing::Waits(wanted, _)) => self.words(wanted),
                _ => continue,
            };
            let reasons = vec!["the trial was over its limit".to_owned()];
            let why = InVain {
                wanted,
                reasons,
                cycle: Vec::new(),
            };
            if let Some(sender) = self.stop_waiting(number) {
                let _ = sender.send(Err(why));
            }
        }
    }
}

fn brings(prospect: &Reach, own: usize, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Event { name, .. } => prospect.may_bring(name),
        Wanted::State { connection, state } => *connection == own && prospect.states.contains(state),
        Wanted::Barrier(number) => prospect.barriers.contains(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two or more connections of one state each: what it brings is told, what it waits for is asked later.
    fn waits(brings: &[&[&str]], barriers: &[(&str, u32)]) -> Waits {
        let names = (0..brings.len()).map(|number| format!("c{number}")).collect();
        let places: Vec<Place> = brings
            .iter()
            .enumerate()
            .map(|(number, events)| {
                let prospect = Reach {
                    events: events.iter().map(|&event| event.to_owned()).collect(),
                    barriers: (0..barriers.len()).collect(),
                    ..Reach::default()
                };
                Place {
                    name: "only".to_owned(),
                    line: number + 1,
                    past_barrier: Reach {
                        barriers: BTreeSet::new(),
                        ..prospect.clone()
                    },
                    from_here: prospect,
                }
            })
            .collect();
        let rounds = places
            .iter()
            .map(|place| Arc::new(place.from_here.clone()))
            .collect();
        let barriers = barriers
            .iter()
            .map(|(name, parties)| ((*name).to_owned(), *parties))
            .collect();
        let mut waits = Waits::new(
            names,
            Map {
                places,
                rounds,
                barriers,
            },
        );
        for number in 0..brings.len() {
            waits.enter(number, number, false);
        }
        waits
    }

    fn event(name: &str, times: u32) -> Wanted {
        let name = name.to_owned();
        Wanted::Event { name, times }
    }

    #[test]
    fn what_has_come_is_not_waited_for_and_what_comes_ends_the_wait() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        let mut first = waits.wait(1, event("go", 1), false);
        assert!(first.try_recv().is_err(), "it has not come yet");
        waits.signal("go");
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert_eq!(waits.wait(1, event("go", 1), false).try_recv(), Ok(Ok(())));
        assert!(
            waits.wait(1, event("go", 2), false).try_recv().is_err(),
            "once is not twice"
        );
    }

    #[test]
    fn a_wait_ends_when_the_last_who_could_bring_it_fails() {
        let mut waits = waits(&[&["go"], &["go"], &[]], &[]);
        let mut wait = waits.wait(2, event("go", 1), false);
        waits.end(0, None);
        assert!(wait.try_recv().is_err(), "c1 may still bring it");
        waits.end(1, Some("error 1062".to_owned()));
        let why = wait.try_recv().expect("an end").expect_err("in vain");
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
    fn a_ring_of_waits_is_found_at_once_and_drawn() {
        let mut waits = waits(&[&["a"], &["b"], &["c"], &[]], &[]);
        let mut first = waits.wait(0, event("c", 1), false);
        let mut second = waits.wait(1, event("a", 1), false);
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        let mut third = waits.wait(2, event("b", 1), false);
        let why = third.try_recv().expect("an end").expect_err("in vain");
        assert_eq!(why.cycle.len(), 3, "{:?}", why.cycle);
        assert!(first.try_recv().expect("an end").is_err());
        assert!(second.try_recv().expect("an end").is_err());
    }

    #[test]
    fn a_barrier_opens_for_its_parties_again_and_again_and_closes_for_good() {
        let mut waits = waits(&[&[], &[], &[]], &[("b", 2)]);
        let mut first = waits.wait(0, Wanted::Barrier(0), false);
        assert!(first.try_recv().is_err());
        let mut second = waits.wait(1, Wanted::Barrier(0), false);
        assert_eq!((first.try_recv(), second.try_recv()), (Ok(Ok(())), Ok(Ok(()))));
        // The third is alone: the others have passed it and do not come again.
        let mut third = waits.wait(2, Wanted::Barrier(0), false);
        let why = third.try_recv().expect("an end").expect_err("in vain");
        assert_eq!(why.wanted, "barrier `b` (1 of 2 are there)");
    }

    #[test]
    fn whoever_begins_another_round_may_bring_it_then() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        if let Some(place) = waits.map.places.get_mut(0) {
            place.from_here = Reach::default();
        }
        waits.enter(0, 0, true);
        let mut wait = waits.wait(1, event("go", 1), false);
        assert!(wait.try_recv().is_err(), "the next round may bring it");
        waits.enter(0, 0, false);
        waits.end(0, None);
        assert!(wait.try_recv().expect("an end").is_err());
    }

    #[test]
    fn whoever_goes_another_way_takes_the_hope_along() {
        let mut waits = waits(&[&["go"], &[], &[]], &[]);
        let mut wait = waits.wait(1, event("go", 1), false);
        assert!(wait.try_recv().is_err(), "c0 may bring it");
        // The state of the third brings nothing, and so does the first when it goes there.
        waits.enter(0, 2, false);
        assert!(wait.try_recv().expect("an end").is_err());
    }

    #[test]
    fn a_handler_that_waits_in_vain_is_told_and_may_still_bring_something() {
        let mut waits = waits(&[&["go"], &["other"], &[]], &[]);
        let mut handler = waits.wait(0, event("other", 1), true);
        let mut wait = waits.wait(2, event("go", 1), false);
        waits.end(1, None);
        assert!(
            handler.try_recv().expect("an end").is_err(),
            "nobody else brings it"
        );
        assert!(wait.try_recv().is_err(), "the handler may bring it all the same");
        waits.signal("go");
        assert_eq!(wait.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn giving_up_says_who_is_missing() {
        let mut waits = waits(&[&["go"], &[]], &[]);
        let _wait = waits.wait(1, event("go", 1), false);
        let why = waits.give_up(1).expect("it waits");
        assert_eq!(why.reasons, ["c0 is in `only` (line 1)"]);
        assert!(waits.give_up(1).is_none());
    }
}
