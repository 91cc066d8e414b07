//! The search through all schedules, with partial-order reduction.
//!
//! Every schedule is found once: a run follows a prefix that is given and then takes the first connection that is
//! enabled; each other one that was enabled there gives a prefix of its own for later. Independent steps are not tried
//! both ways. Persistent sets leave out, at each point, connections whose steps to come are independent of the step that
//! is taken; sleep sets keep, with each prefix, the connections whose next step has been tried there already and
//! depends on nothing since. Both are Godefroid's
//! ("Partial-Order Methods for the Verification of Concurrent Systems", 1996).

use std::collections::BTreeSet;
use std::ops::Range;

use super::independence::DependencyRelation;
use super::scheduler::Scheduler;

/// The prefix of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Who takes the first steps.
    pub picks: Vec<usize>,
    /// The sleep set: connections that need not take the step after them.
    pub sleep: BTreeSet<usize>,
}

/// Follows a prefix, and notes the other ways from its end on.
#[derive(Debug)]
pub struct DporSearch<'d> {
    prefix: Prefix,
    relation: &'d DependencyRelation,
    /// The steps of each connection.
    steps: &'d [Range<usize>],
    done: Vec<usize>,
    picks: Vec<usize>,
    sleep: BTreeSet<usize>,
    /// Prefixes of other schedules.
    pub others: Vec<Prefix>,
    /// Whether an equivalent schedule is run elsewhere: all enabled connections are in the sleep set.
    pub sleep_blocked: bool,
    /// Whether a connection of the prefix is not enabled that was so before: the server did something else this time.
    pub diverged: bool,
}

impl<'d> DporSearch<'d> {
    /// `steps` has the numbers of each connection's steps.
    #[must_use]
    pub fn new(prefix: Prefix, relation: &'d DependencyRelation, steps: &'d [Range<usize>]) -> Self {
        Self {
            sleep: if prefix.picks.is_empty() {
                prefix.sleep.clone()
            } else {
                BTreeSet::new()
            },
            done: vec![0; steps.len()],
            picks: Vec::new(),
            others: Vec::new(),
            sleep_blocked: false,
            diverged: false,
            prefix,
            relation,
            steps,
        }
    }

    fn next_step(&self, connection: usize) -> usize {
        self.steps[connection].start + self.done[connection]
    }

    /// A persistent set: connections of which one has to be tried here. What the others have still to do does not depend on
    /// the next steps of these, so that it can as well be done later.
    fn persistent(&self, enabled: &[usize], awake: &[usize]) -> BTreeSet<usize> {
        let whole: BTreeSet<usize> = enabled.iter().copied().collect();
        let closures = awake.iter().map(|start| {
            let mut set = BTreeSet::from([*start]);
            let mut open = vec![*start];
            while let Some(own) = open.pop() {
                let step = self.next_step(own);
                for other in 0..self.steps.len() {
                    let mut later = self.next_step(other)..self.steps[other].end;
                    if set.contains(&other) || !later.any(|later| self.relation.depends(step, later)) {
                        continue;
                    }
                    // One that is blocked cannot be tried now, so nothing can be left out.
                    if !whole.contains(&other) {
                        return whole.clone();
                    }
                    set.insert(other);
                    open.push(other);
                }
            }
            set
        });
        closures.min_by_key(BTreeSet::len).unwrap_or_default()
    }

    /// The connections that stay in the sleep set after this one's next step.
    fn asleep_after(&self, sleep: &BTreeSet<usize>, connection: usize) -> BTreeSet<usize> {
        let step = self.next_step(connection);
        sleep
            .iter()
            .copied()
            .filter(|other| !self.relation.depends(self.next_step(*other), step))
            .collect()
    }
}

impl Scheduler for DporSearch<'_> {
    fn next(&mut self, enabled: &[usize]) -> Option<usize> {
        let at = self.picks.len();
        let pick = if let Some(pick) = self.prefix.picks.get(at).copied() {
            if !enabled.contains(&pick) {
                self.diverged = true;
                enabled.first().copied()?
            } else {
                pick
            }
        } else {
            let awake: Vec<usize> = enabled
                .iter()
                .copied()
                .filter(|connection| !self.sleep.contains(connection))
                .collect();
            let needed = self.persistent(enabled, &awake);
            let awake: Vec<usize> = awake.into_iter().filter(|own| needed.contains(own)).collect();
            match awake.split_first() {
                // Nothing new comes of it; it is run to its end all the same, which leaves the sandbox in order.
                None => {
                    self.sleep_blocked = true;
                    enabled.first().copied()?
                }
                Some((first, others)) => {
                    if !self.sleep_blocked && !self.diverged {
                        let mut tried = self.sleep.clone();
                        tried.insert(*first);
                        for other in others {
                            let mut picks = self.picks.clone();
                            picks.push(*other);
                            self.others.push(Prefix {
                                picks,
                                sleep: self.asleep_after(&tried, *other),
                            });
                            tried.insert(*other);
                        }
                    }
                    *first
                }
            }
        };
        if at + 1 == self.prefix.picks.len() {
            self.sleep = self.prefix.sleep.clone();
        } else if at >= self.prefix.picks.len() {
            self.sleep = self.asleep_after(&self.sleep.clone(), pick);
        }
        self.done[pick] += 1;
        self.picks.push(pick);
        Some(pick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All schedules of connections with so many steps each, by the search, without a server: nobody is ever blocked.
    fn all(lengths: &[usize], relation: &DependencyRelation) -> Vec<Vec<usize>> {
        let mut steps = Vec::new();
        let mut sum = 0;
        for length in lengths {
            steps.push(sum..sum + length);
            sum += length;
        }
        let mut open = vec![Prefix::default()];
        let mut found = Vec::new();
        while let Some(prefix) = open.pop() {
            let mut search = DporSearch::new(prefix, relation, &steps);
            let mut left = lengths.to_vec();
            let mut order = Vec::new();
            loop {
                let enabled: Vec<usize> = (0..left.len()).filter(|own| left[*own] > 0).collect();
                if enabled.is_empty() {
                    break;
                }
                let pick = search.next(&enabled).expect("a pick");
                left[pick] -= 1;
                order.push(pick);
            }
            open.append(&mut search.others);
            if !search.sleep_blocked {
                found.push(order);
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_schedule_is_found_once() {
        for lengths in [&[1, 1][..], &[2, 2], &[3, 3, 3], &[1, 2, 3]] {
            let steps = lengths.iter().sum();
            let found = all(lengths, &DependencyRelation::everything(steps));
            let distinct: BTreeSet<&Vec<usize>> = found.iter().collect();
            let factorial = |n: usize| (1..=n).product::<usize>();
            let wanted = factorial(steps) / lengths.iter().map(|n| factorial(*n)).product::<usize>();
            assert_eq!((found.len(), distinct.len()), (wanted, wanted), "{lengths:?}");
        }
    }
}
