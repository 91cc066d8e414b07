//! A sample of all schedules.

use std::collections::BTreeSet;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Schedules at random, each once: every one is as likely as any other.
#[must_use]
pub fn random_schedules(lengths: &[usize], count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut found = BTreeSet::new();
    let mut schedules = Vec::new();
    // Where there are hardly more than are asked for, the last ones are found by luck only.
    let tries = count.saturating_mul(20).max(1_000);
    for _ in 0..tries {
        if schedules.len() == count {
            break;
        }
        let mut left: Vec<usize> = lengths.to_vec();
        let mut total: usize = left.iter().sum();
        let mut schedule = Vec::with_capacity(total);
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
            schedule.push(pick);
        }
        if found.insert(schedule.clone()) {
            schedules.push(schedule);
        }
    }
    schedules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_has_no_schedule_twice() {
        let one = random_schedules(&[2, 2], 6, 7);
        assert_eq!(one, random_schedules(&[2, 2], 6, 7));
        assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), 6, "all there are");
        assert_ne!(random_schedules(&[3, 3], 3, 1), random_schedules(&[3, 3], 3, 2));
    }
}
