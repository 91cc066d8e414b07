//! Which beginnings are followed, where not all of them may be.
//!
//! Stages that take from one heap, each when it is done with the order before, would run other orders each time.
//! Where `most` may leave some out, beginnings are taken by the wave: all of one are followed before the next is
//! drawn from what has been found, so that which stage was faster decides nothing.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::Beginning;

/// So many are drawn at once: enough for all stages, and few enough that later ones are drawn from all depths.
const WAVE: usize = 16;

/// Beginnings of orders that are still to be run.
#[derive(Debug)]
pub(super) enum Open {
    /// All will be followed, in whatever order.
    All(Vec<Beginning>),
    /// Some may be left out.
    Turns(Box<Turns>),
}

#[derive(Debug)]
pub(super) struct Turns {
    random: ChaCha8Rng,
    /// Of the wave that is under way.
    wave: Vec<Beginning>,
    found: Vec<Beginning>,
}

impl Open {
    /// Begins with the beginning of all orders; `seed` where some may be left out.
    pub fn new(seed: Option<u64>) -> Self {
        let first = vec![Beginning::default()];
        match seed {
            None => Self::All(first),
            Some(seed) => Self::Turns(Box::new(Turns {
                random: ChaCha8Rng::seed_from_u64(seed),
                wave: Vec::new(),
                found: first,
            })),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Self::All(open) => open.is_empty(),
            Self::Turns(turns) => turns.wave.is_empty() && turns.found.is_empty(),
        }
    }

    /// Adds what a run has found.
    pub fn extend(&mut self, found: Vec<Beginning>) {
        match self {
            Self::All(open) => open.extend(found),
            Self::Turns(turns) => turns.found.extend(found),
        }
    }

    /// To be followed once more, since it was not as it should be.
    pub fn again(&mut self, beginning: Beginning) {
        match self {
            Self::All(open) => open.push(beginning),
            Self::Turns(turns) => turns.wave.push(beginning),
        }
    }

    /// The next one, if there is one to follow now; `idle` tells that no run is under way, and `left` how many may
    /// still be run.
    pub fn next(&mut self, idle: bool, left: usize) -> Option<Beginning> {
        match self {
            Self::All(open) => open.pop(),
            Self::Turns(turns) => {
                if turns.wave.is_empty() && idle {
                    turns.draw(left);
                }
                turns.wave.pop()
            }
        }
    }
}

impl Turns {
    fn draw(&mut self, left: usize) {
        self.found.sort_by(|one, other| one.picks.cmp(&other.picks));
        let count = WAVE.min(left).min(self.found.len());
        let (drawn, _) = self.found.partial_shuffle(&mut self.random, count);
        let drawn = drawn.to_vec();
        self.found.retain(|beginning| !drawn.contains(beginning));
        self.wave = drawn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beginning(picks: &[usize]) -> Beginning {
        Beginning {
            picks: picks.to_vec(),
            ..Beginning::default()
        }
    }

    /// All that is drawn, where the runs of a wave end in this order and each finds two more.
    fn drawn(backwards: bool, most: usize) -> Vec<Vec<Vec<usize>>> {
        let mut open = Open::new(Some(7));
        let (mut waves, mut count) = (Vec::new(), 0);
        while count < most {
            let mut wave = Vec::new();
            while let Some(beginning) = open.next(wave.is_empty(), most - count - wave.len()) {
                wave.push(beginning.picks);
            }
            count += wave.len();
            let mut ended = wave.clone();
            if backwards {
                ended.reverse();
            }
            for picks in ended {
                let more = [0, 1].map(|pick| beginning(&[picks.as_slice(), &[pick]].concat()));
                open.extend(more.to_vec());
            }
            wave.sort();
            waves.push(wave);
        }
        waves
    }

    #[test]
    fn what_is_drawn_does_not_depend_on_which_run_ends_first() {
        let one = drawn(false, 500);
        assert_eq!(one, drawn(true, 500));
        assert_eq!(one.iter().map(Vec::len).sum::<usize>(), 500);
        // One is found, then two, four, … and from then on not more than a wave.
        assert_eq!(
            one.iter().take(8).map(Vec::len).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 16, 16, 16]
        );
    }

    #[test]
    fn what_is_to_be_followed_again_belongs_to_the_same_wave() {
        let mut open = Open::new(Some(7));
        let first = open.next(true, 10).expect("the first");
        open.extend(vec![beginning(&[1])]);
        assert_eq!(open.next(false, 9), None, "the wave is not over");
        open.again(first.clone());
        assert_eq!(open.next(false, 9), Some(first));
        assert_eq!(open.next(true, 9), Some(beginning(&[1])));
    }
}
