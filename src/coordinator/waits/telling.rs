//! Waits in words: who waits for what, where everybody is, and why something will not come.

use super::{Doing, InVain, Waits, Wanted};

impl Waits {
    /// Where each connection is that has not ended.
    pub fn all_whereabouts(&self) -> Vec<(usize, String)> {
        let open = self.seats.iter().enumerate();
        open.filter(|(_, seat)| !matches!(seat.doing, Doing::Ended { .. }))
            .map(|(number, _)| (number, self.whereabouts(number)))
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
                let came = self.came.get(name).copied().unwrap_or(0);
                format!("event `{name}`, {times} times (it came {came} times)")
            }
            Wanted::State { connection, state } => {
                let state = self
                    .map
                    .places
                    .get(*state)
                    .map_or("?", |place| place.name.as_str());
                format!("state `{}.{state}`", self.name(*connection))
            }
            Wanted::Barrier(number) => {
                let (name, parties) = match self.map.barriers.get(*number) {
                    Some((name, parties)) => (name.as_str(), *parties),
                    None => ("?", 0),
                };
                let here = self.at_barrier.get(*number).copied().unwrap_or(0);
                format!("barrier `{name}` ({here} of {parties} are there)")
            }
        }
    }

    /// Whether a connection could have brought this when it began.
    fn was_to_bring(&self, connection: usize, wanted: &Wanted) -> bool {
        let Some(round) = self.map.rounds.get(connection) else {
            return false;
        };
        match wanted {
            Wanted::Event { name, .. } => round.may_bring(name),
            Wanted::State { connection: own, .. } => *own == connection,
            Wanted::Barrier(number) => round.barriers.contains(number),
        }
    }

    /// Where a connection is, in words.
    fn whereabouts(&self, connection: usize) -> String {
        let Some(seat) = self.seats.get(connection) else {
            return String::new();
        };
        let place = seat.place.and_then(|place| self.map.places.get(place));
        let at = place.map_or("before its first state".to_owned(), |place| {
            format!("in `{}` (line {})", place.name, place.line)
        });
        match &seat.doing {
            Doing::Ended { failed: Some(reason) } => format!("failed {at}: {reason}"),
            Doing::Ended { failed: None } => "has completed without it".to_owned(),
            Doing::Waits(wanted, _) => format!("waits {at} for {}", self.words(wanted)),
            Doing::Acts => format!("is {at}"),
        }
    }

    pub(super) fn why(&self, waiter: usize, wanted: &Wanted, can_go_on: &[bool]) -> InVain {
        const REASONS_MAX: usize = 5;
        let at_it = |number: usize| {
            matches!(
                (&self.seats[number].doing, wanted),
                (Doing::Waits(Wanted::Barrier(theirs), _), Wanted::Barrier(number)) if theirs == number
            )
        };
        let bringers: Vec<usize> = (0..self.seats.len())
            .filter(|number| *number != waiter && !at_it(*number) && self.was_to_bring(*number, wanted))
            .collect();
        let mut reasons: Vec<String> = bringers
            .iter()
            .take(REASONS_MAX)
            .map(|number| format!("{} {}", self.name(*number), self.whereabouts(*number)))
            .collect();
        if bringers.len() > REASONS_MAX {
            reasons.push(format!("and {} more", bringers.len() - REASONS_MAX));
        }
        if reasons.is_empty() {
            reasons.push("no other connection brings it".to_owned());
        }
        InVain {
            wanted: self.words(wanted),
            reasons,
            cycle: self.cycle(waiter, can_go_on),
        }
    }

    /// The ring of waits that begins and ends with this connection, or that it leads to.
    fn cycle(&self, start: usize, can_go_on: &[bool]) -> Vec<String> {
        let mut path = vec![start];
        loop {
            let at = path.last().copied().unwrap_or(start);
            let Some(Doing::Waits(wanted, _)) = self.seats.get(at).map(|seat| &seat.doing) else {
                return Vec::new();
            };
            let next = (0..self.seats.len()).find(|number| {
                *number != at
                    && !can_go_on.get(*number).copied().unwrap_or(true)
                    && matches!(self.seats[*number].doing, Doing::Waits(..))
                    && self.may_bring(*number, &self.seats[*number], wanted)
            });
            let Some(next) = next else { return Vec::new() };
            if let Some(from) = path.iter().position(|number| *number == next) {
                let ring = path[from..].iter();
                return ring
                    .map(|number| format!("{} {}", self.name(*number), self.whereabouts(*number)))
                    .collect();
            }
            path.push(next);
        }
    }
}
