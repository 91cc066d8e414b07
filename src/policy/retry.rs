//! Exponential backoff with full jitter.

use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::RetryClass;

/// Which failures are tried again, how often, and after how long.
///
/// | class | tried again |
/// |---|---|
/// | [`RetryClass::Transaction`] | yes, from BEGIN |
/// | [`RetryClass::Reconnect`] | yes, over a new session; never a COMMIT whose answer was lost, since it may have taken effect |
/// | [`RetryClass::Statement`] | only with [`Self::lock_waits`]: a test that waits for a lock mostly wants to know of it |
/// | [`RetryClass::Never`] | no: what will not pass does not pass the second time either |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried in all, the first time included. 1 is no retry.
    pub attempts: u32,
    /// The most that is waited before the second try; it doubles with each try after that.
    pub first_wait: Duration,
    /// The most that is ever waited.
    pub wait_max: Duration,
    /// Whether a lock wait timeout (1205) is tried again, too, from BEGIN.
    pub lock_waits: bool,
    /// The seed of the jitter. The same seed and the same name give the same waits.
    pub seed: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 8,
            first_wait: Duration::from_millis(20),
            wait_max: Duration::from_secs(2),
            lock_waits: false,
            seed: 0,
        }
    }
}

impl RetryPolicy {
    /// No second try of anything.
    #[must_use]
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// Whether a failure of this class is worth another try.
    #[must_use]
    pub fn covers(&self, class: RetryClass) -> bool {
        match class {
            RetryClass::Transaction | RetryClass::Reconnect => true,
            RetryClass::Statement => self.lock_waits,
            RetryClass::Never => false,
        }
    }

    /// The waits of one undertaking. `name` keeps connections with one policy from waiting in step.
    #[must_use]
    pub fn backoff(&self, name: &str) -> Backoff {
        // FNV-1a: std's hasher may change between releases, and the waits with it.
        let salt = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Backoff {
            policy: self.clone(),
            tried: 1,
            random: ChaCha8Rng::seed_from_u64(self.seed ^ salt),
        }
    }
}

/// The waits of one undertaking that is tried until it passes or the tries are used up.
#[derive(Debug, Clone)]
pub struct Backoff {
    policy: RetryPolicy,
    tried: u32,
    random: ChaCha8Rng,
}

impl Backoff {
    /// How long to wait before the next try, after a failure of this class; none if there is to be no other.
    /// The wait is anywhere between nothing and the bound (full jitter), so that those who failed together
    /// don't come back together.
    pub fn after(&mut self, class: RetryClass) -> Option<Duration> {
        if !self.policy.covers(class) || self.tried >= self.policy.attempts {
            return None;
        }
        let doublings = self.tried - 1;
        self.tried += 1;
        let bound = self
            .policy
            .first_wait
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.policy.wait_max);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Some(Duration::from_nanos(self.random.random_range(0..=nanos)))
    }

    /// How often it has been tried, the try under way included.
    #[must_use]
    pub fn tried(&self) -> u32 {
        self.tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::retry_class;

    fn waits(policy: &RetryPolicy, name: &str, class: RetryClass) -> Vec<Duration> {
        let mut backoff = policy.backoff(name);
        std::iter::from_fn(|| backoff.after(class)).collect()
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        let policy = RetryPolicy::default();
        for (code, sqlstate) in [(1062, "23000"), (1064, "42000"), (1045, "28000"), (1205, "HY000")] {
            assert!(
                waits(&policy, "a", retry_class(code, sqlstate)).is_empty(),
                "{code}"
            );
        }
        assert!(waits(&RetryPolicy::never(), "a", RetryClass::Transaction).is_empty());
    }

    #[test]
    fn what_may_pass_is_tried_as_often_as_the_policy_says() {
        let policy = RetryPolicy {
            attempts: 4,
            ..RetryPolicy::default()
        };
        for code in [1213, 9007, 8022, 8002, 8005, 8028, 2013, 2006] {
            assert_eq!(waits(&policy, "a", retry_class(code, "HY000")).len(), 3, "{code}");
        }
        let lock_waits = RetryPolicy {
            lock_waits: true,
            ..policy
        };
        assert_eq!(waits(&lock_waits, "a", retry_class(1205, "HY000")).len(), 3);
    }

    #[test]
    fn waits_stay_below_a_bound_that_doubles_to_its_own_limit() {
        let policy = RetryPolicy {
            attempts: 40,
            first_wait: Duration::from_millis(10),
            wait_max: Duration::from_millis(70),
            ..RetryPolicy::default()
        };
        let waits = waits(&policy, "a", RetryClass::Transaction);
        let bounds = [10, 20, 40, 70].into_iter().chain(std::iter::repeat(70));
        for (wait, bound) in waits.iter().zip(bounds) {
            assert!(*wait <= Duration::from_millis(bound), "{wait:?} of {bound}");
        }
        let over_half = waits.iter().filter(|wait| wait.as_millis() > 35).count();
        assert!((5..35).contains(&over_half), "full jitter: {waits:?}");
    }

    #[test]
    fn a_seed_and_a_name_give_the_same_waits_again() {
        let policy = RetryPolicy::default();
        let class = RetryClass::Transaction;
        assert_eq!(waits(&policy, "a", class), waits(&policy, "a", class));
        assert_ne!(waits(&policy, "a", class), waits(&policy, "b", class));
        let other = RetryPolicy {
            seed: 1,
            ..policy.clone()
        };
        assert_ne!(waits(&policy, "a", class), waits(&other, "a", class));
    }
}
