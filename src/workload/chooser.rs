//! How a workload chooses keys.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::scenario::Distribution;

/// Chooses numbers from 0.
#[derive(Debug)]
pub(super) struct Chooser {
    count: u32,
    distribution: Distribution,
    /// For zipf: the sums of the weights up to each number.
    sums: Vec<f64>,
}

impl Chooser {
    /// Of so many numbers.
    pub(super) fn new(count: u32, distribution: Distribution) -> Self {
        let sums = match distribution {
            Distribution::Zipf => {
                let weights = (1..=count).map(|rank| 1.0 / f64::from(rank));
                let sum = weights.scan(0.0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                });
                sum.collect()
            }
            Distribution::Uniform | Distribution::Hot => Vec::new(),
        };
        Self {
            count,
            distribution,
            sums,
        }
    }

    /// One of them.
    pub(super) fn choose(&self, rng: &mut ChaCha8Rng) -> u32 {
        match self.distribution {
            Distribution::Hot if rng.random_range(0..2) == 0 => 0,
            Distribution::Uniform | Distribution::Hot => rng.random_range(0..self.count),
            Distribution::Zipf => {
                let whole = self.sums.last().copied().unwrap_or(1.0);
                let point = rng.random_range(0.0..whole);
                let at = self.sums.partition_point(|sum| *sum <= point);
                u32::try_from(at).unwrap_or(0).min(self.count - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn each_distribution_has_its_shares() {
        let shares = |distribution| {
            let chooser = Chooser::new(4, distribution);
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let mut counts = [0_u32; 4];
            for _ in 0..10_000 {
                counts[chooser.choose(&mut rng) as usize] += 1;
            }
            counts
        };
        assert!(
            shares(Distribution::Uniform)
                .iter()
                .all(|count| (2_200..2_800).contains(count))
        );
        let hot = shares(Distribution::Hot);
        assert!((6_000..6_500).contains(&hot[0]), "{hot:?}");
        let zipf = shares(Distribution::Zipf);
        assert!((4_600..5_000).contains(&zipf[0]), "{zipf:?}");
        assert!((2_200..2_600).contains(&zipf[1]), "{zipf:?}");
    }
}
