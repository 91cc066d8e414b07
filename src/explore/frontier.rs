//! The frontier of the search: prefixes of schedules that are still to be run.
//!
//! Sandboxes that take from one heap, each when it is done with the schedule before, would run other schedules each
//! time. Where `most` may leave some out, prefixes are taken in batches: all of one are followed before the next is
//! drawn from what has been found, so that which sandbox was faster decides nothing.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::dpor::Prefix;

/// So many are drawn at once: enough for all sandboxes, and few enough that later ones are drawn from all depths.
const BATCH: usize = 16;

/// Prefixes of schedules that are still to be run.
#[derive(Debug)]
pub(super) enum Frontier {
    /// All will be followed, in whatever order.
    All(Vec<Prefix>),
    /// Some may be left out.
    Batches(Box<Batches>),
}

#[derive(Debug)]
pub(super) struct Batches {
    random: ChaCha8Rng,
    /// Of the batch that is under way.
    batch: Vec<Prefix>,
    found: Vec<Prefix>,
}

impl Frontier {
    /// Begins with the empty prefix; `seed` where some may be left out.
    pub fn new(seed: Option<u64>) -> Self {
        let first = vec![Prefix::default()];
        match seed {
            None => Self::All(first),
            Some(seed) => Self::Batches(Box::new(Batches {
                random: ChaCha8Rng::seed_from_u64(seed),
                batch: Vec::new(),
                found: first,
            })),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::All(open) => open.is_empty(),
            Self::Batches(batches) => batches.batch.is_empty() && batches.found.is_empty(),
        }
    }

    /// Adds what a run has found.
    pub fn extend(&mut self, found: Vec<Prefix>) {
        match self {
            Self::All(open) => open.extend(found),
            Self::Batches(batches) => batches.found.extend(found),
        }
    }

    /// To be followed once more, since it was not as it should be.
    pub fn again(&mut self, prefix: Prefix) {
        match self {
            Self::All(open) => open.push(prefix),
            Self::Batches(batches) => batches.batch.push(prefix),
        }
    }

    /// The next one, if there is one to follow now; `idle` tells that no run is under way, and `left` how many may
    /// still be run.
    pub fn next(&mut self, idle: bool, left: usize) -> Option<Prefix> {
        match self {
            Self::All(open) => open.pop(),
            Self::Batches(batches) => {
                if batches.batch.is_empty() && idle {
                    batches.draw(left);
                }
                batches.batch.pop()
            }
        }
    }
}

impl Batches {
    fn draw(&mut self, left: usize) {
        self.found.sort_by(|one, other| one.picks.cmp(&other.picks));
        let count = BATCH.min(left).min(self.found.len());
        let (drawn, _) = self.found.partial_shuffle(&mut self.random, count);
        let drawn = drawn.to_vec();
        self.found.retain(|prefix| !drawn.contains(prefix));
        self.batch = drawn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(picks: &[usize]) -> Prefix {
        Prefix {
            picks: picks.to_vec(),
            ..Prefix::default()
        }
    }

    /// All that is drawn, where the runs of a batch end in this order and each finds two more.
    fn drawn(backwards: bool, most: usize) -> Vec<Vec<Vec<usize>>> {
        let mut open = Frontier::new(Some(7));
        let (mut batchs, mut count) = (Vec::new(), 0);
        while count < most {
            let mut batch = Vec::new();
            while let Some(prefix) = open.next(batch.is_empty(), most - count - batch.len()) {
                batch.push(prefix.picks);
            }
            count += batch.len();
            let mut ended = batch.clone();
            if backwards {
                ended.reverse();
            }
            for picks in ended {
                let more = [0, 1].map(|pick| prefix(&[picks.as_slice(), &[pick]].concat()));
                open.extend(more.to_vec());
            }
            batch.sort();
            batchs.push(batch);
        }
        batchs
    }

    #[test]
    fn what_is_drawn_does_not_depend_on_which_run_ends_first() {
        let one = drawn(false, 500);
        assert_eq!(one, drawn(true, 500));
        assert_eq!(one.iter().map(Vec::len).sum::<usize>(), 500);
        // One is found, then two, four, … and from then on not more than a batch.
        assert_eq!(
            one.iter().take(8).map(Vec::len).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 16, 16, 16]
        );
    }

    #[test]
    fn what_is_to_be_followed_again_belongs_to_the_same_batch() {
        let mut open = Frontier::new(Some(7));
        let first = open.next(true, 10).expect("the first");
        open.extend(vec![prefix(&[1])]);
        assert_eq!(open.next(false, 9), None, "the batch is not over");
        open.again(first.clone());
        assert_eq!(open.next(false, 9), Some(first));
        assert_eq!(open.next(true, 9), Some(prefix(&[1])));
    }
}
