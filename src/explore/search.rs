//! Which order is run next.
//!
//! Every order is found once: a run follows a beginning that is given and then takes the first connection that
//! can go on; each other one that could have gone on there is a beginning of its own for later. Steps that do not
//! depend on each other are not tried both ways. Persistent sets leave out, at each place, connections whose steps
//! to come have nothing to do with the step that is taken; sleep sets keep, with each beginning, the connections
//! whose next step has been tried there already and depends on nothing since. Both are Godefroid's
//! ("Partial-Order Methods for the Verification of Concurrent Systems", 1996).

use std::collections::BTreeSet;
use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::commute::Dependence;
use crate::run::Chooser;

/// The beginning of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    /// Who takes the first steps.
    pub picks: Vec<usize>,
    /// Who need not take the step after them.
    pub sleep: BTreeSet<usize>,
}

/// Follows a beginning, and notes the other ways from its end on.
#[derive(Debug)]
pub struct Search<'d> {
    beginning: Beginning,
    dependence: &'d Dependence,
    /// The steps of each connection.
    steps: &'d [Range<usize>],
    done: Vec<usize>,
    picks: Vec<usize>,
    sleep: BTreeSet<usize>,
    /// Beginnings of other orders.
    pub others: Vec<Beginning>,
    /// Whether another order stands for this one: all that could go on had been tried.
    pub redundant: bool,
    /// Whether a connection could not go on that could before: the server did something else this time.
    pub strayed: bool,
}

impl<'d> Search<'d> {
    /// `steps` has the numbers of each connection's steps.
    #[must_use]
    pub fn new(beginning: Beginning, dependence: &'d Dependence, steps: &'d [Range<usize>]) -> Self {
        Self {
            sleep: if beginning.picks.is_empty() {
                beginning.sleep.clone()
            } else {
                BTreeSet::new()
            },
            done: vec![0; steps.len()],
            picks: Vec::new(),
            others: Vec::new(),
            redundant: false,
            strayed: false,
            beginning,
            dependence,
            steps,
        }
    }

    fn next_step(&self, connection: usize) -> usize {
        self.steps[connection].start + self.done[connection]
    }

    /// Connections of which one has to be tried here: what the others have still to do does not depend on the
    /// next steps of these, so that it can as well be done later.
    fn persistent(&self, able: &[usize], awake: &[usize]) -> BTreeSet<usize> {
        let whole: BTreeSet<usize> = able.iter().copied().collect();
        let closures = awake.iter().map(|start| {
            let mut set = BTreeSet::from([*start]);
            let mut open = vec![*start];
            while let Some(own) = open.pop() {
                let step = self.next_step(own);
                for other in 0..self.steps.len() {
                    let mut later = self.next_step(other)..self.steps[other].end;
                    if set.contains(&other) || !later.any(|later| self.dependence.between(step, later)) {
                        continue;
                    }
                    // One that waits cannot be tried now, so nothing can be left out.
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

    /// Those who may stay asleep after this connection's next step.
    fn asleep_after(&self, sleep: &BTreeSet<usize>, connection: usize) -> BTreeSet<usize> {
        let step = self.next_step(connection);
        sleep
            .iter()
            .copied()
            .filter(|other| !self.dependence.between(self.next_step(*other), step))
            .collect()
    }
}

impl Chooser for Search<'_> {
    fn choose(&mut self, able: &[usize]) -> Option<usize> {
        let at = self.picks.len();
        let pick = if let Some(pick) = self.beginning.picks.get(at).copied() {
            if !able.contains(&pick) {
                self.strayed = true;
                able.first().copied()?
            } else {
                pick
            }
        } else {
            let awake: Vec<usize> = able
                .iter()
                .copied()
                .filter(|connection| !self.sleep.contains(connection))
                .collect();
            let needed = self.persistent(able, &awake);
            let awake: Vec<usize> = awake.into_iter().filter(|own| needed.contains(own)).collect();
            match awake.split_first() {
                // Nothing new comes of it; it is run to its end all the same, which leaves the stage in order.
                None => {
                    self.redundant = true;
                    able.first().copied()?
                }
                Some((first, others)) => {
                    if !self.redundant && !self.strayed {
                        let mut tried = self.sleep.clone();
                        tried.insert(*first);
                        for other in others {
                            let mut picks = self.picks.clone();
                            picks.push(*other);
                            self.others.push(Beginning {
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
        if at + 1 == self.beginning.picks.len() {
            self.sleep = self.beginning.sleep.clone();
        } else if at >= self.beginning.picks.len() {
            self.sleep = self.asleep_after(&self.sleep.clone(), pick);
        }
        self.done[pick] += 1;
        self.picks.push(pick);
        Some(pick)
    }
}

/// Follows an order that is given. What it asks of a connection that waits, that one does as soon as it is free
/// again, as in PostgreSQL's isolationtester.
#[derive(Debug)]
pub struct Given {
    order: std::collections::VecDeque<usize>,
    owed: Vec<usize>,
}

impl Given {
    /// An order by the numbers of connections.
    #[must_use]
    pub fn new(order: &[usize]) -> Self {
        let connections = order.iter().max().map_or(0, |most| most + 1);
        Self {
            order: order.iter().copied().collect(),
            owed: vec![0; connections],
        }
    }
}

impl Chooser for Given {
    fn choose(&mut self, able: &[usize]) -> Option<usize> {
        let owed = able
            .iter()
            .copied()
            .find(|own| self.owed.get(*own).is_some_and(|owed| *owed > 0));
        if let Some(own) = owed {
            self.owed[own] -= 1;
            return Some(own);
        }
        while let Some(next) = self.order.pop_front() {
            if able.contains(&next) {
                return Some(next);
            }
            if let Some(owed) = self.owed.get_mut(next) {
                *owed += 1;
            }
        }
        able.first().copied()
    }
}

/// Orders at random, each once: every order is as likely as any other.
#[must_use]
pub fn sample(lengths: &[usize], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found = BTreeSet::new();
    let mut orders = Vec::new();
    // Where there are hardly more orders than are asked for, the last ones are found by luck only.
    let tries = count.saturating_mul(20).max(1_000);
    for _ in 0..tries {
        if orders.len() == count {
            break;
        }
        let mut left: Vec<usize> = lengths.to_vec();
        let mut total: usize = left.iter().sum();
        let mut order = Vec::with_capacity(total);
        while total > 0 {
            let mut at = random.random_range(0..total);
            let pick = left.iter().position(|left| {
                let here = at < *left;
                at = at.saturating_sub(*left);
                here
            });
            let Some(pick) = pick else { break };
            left[pick] -= 1;
            total -= 1;
            order.push(pick);
        }
        if found.insert(order.clone()) {
            orders.push(order);
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All orders of connections with so many steps each, by the search, without a server: nobody ever waits.
    fn all(lengths: &[usize], dependence: &Dependence) -> Vec<Vec<usize>> {
        let mut steps = Vec::new();
        let mut sum = 0;
        for length in lengths {
            steps.push(sum..sum + length);
            sum += length;
        }
        let mut open = vec![Beginning::default()];
        let mut found = Vec::new();
        while let Some(beginning) = open.pop() {
            let mut search = Search::new(beginning, dependence, &steps);
            let mut left = lengths.to_vec();
            let mut order = Vec::new();
            loop {
                let able: Vec<usize> = (0..left.len()).filter(|own| left[*own] > 0).collect();
                if able.is_empty() {
                    break;
                }
                let pick = search.choose(&able).expect("a pick");
                left[pick] -= 1;
                order.push(pick);
            }
            open.append(&mut search.others);
            if !search.redundant {
                found.push(order);
            }
        }
        found.sort();
        found
    }

    #[test]
    fn every_order_is_found_once() {
        for lengths in [&[1, 1][..], &[2, 2], &[3, 3, 3], &[1, 2, 3]] {
            let steps = lengths.iter().sum();
            let found = all(lengths, &Dependence::everything(steps));
            let distinct: BTreeSet<&Vec<usize>> = found.iter().collect();
            let factorial = |n: usize| (1..=n).product::<usize>();
            let wanted = factorial(steps) / lengths.iter().map(|n| factorial(*n)).product::<usize>();
            assert_eq!((found.len(), distinct.len()), (wanted, wanted), "{lengths:?}");
        }
    }

    #[test]
    fn an_order_waits_with_what_it_asks_of_one_who_waits() {
        let mut given = Given::new(&[0, 1, 1, 0, 1]);
        assert_eq!(given.choose(&[0, 1]), Some(0));
        assert_eq!(given.choose(&[0, 1]), Some(1));
        // The first waits now, so its step is owed; the second goes on.
        assert_eq!(given.choose(&[0]), Some(0));
        assert_eq!(given.choose(&[0, 1]), Some(1), "what is owed comes first");
        assert_eq!(given.choose(&[1]), Some(1));
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_has_no_order_twice() {
        let one = sample(&[2, 2], 6, 7);
        assert_eq!(one, sample(&[2, 2], 6, 7));
        assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 6, "all there are");
        assert_ne!(sample(&[3, 3], 3, 1), sample(&[3, 3], 3, 2));
    }
}
