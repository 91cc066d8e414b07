//! Leaves a server alone that keeps failing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How many failures in a row open it.
    pub failures: u32,
    /// How long it stays open before it lets a trial through.
    pub open_for: Duration,
    /// How many trials in a row must pass before it closes. They go one at a time.
    pub trials: u32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(5),
            trials: 1,
        }
    }
}

/// What a breaker does with the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It lets everything through.
    Closed,
    /// It lets nothing through.
    Open,
    /// It lets one trial through at a time, to see whether the server is back.
    HalfOpen,
}

/// The breaker is open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not tried: {failures} attempts in a row have failed, and the next is allowed in {} ms",
    .retry_after.as_millis()
)]
pub struct CircuitOpen {
    /// How many attempts failed in a row.
    pub failures: u32,
    /// When to ask again; nothing while another attempt is on trial.
    pub retry_after: Duration,
}

/// Closed while a server answers; opens after some failures in a row, so that a server that is down is not
/// besieged; after a while lets single trials through, and closes when they pass.
///
/// It is shared by connections to the same server: clone the `Arc`. Only failures that speak of the server
/// (nothing answers, a lost session) are to be told to it, not what the server refused.
#[derive(Debug)]
pub struct CircuitBreaker {
    policy: BreakerPolicy,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    failures: u32,
    // Set while it is not closed: when it opened last.
    opened: Option<Instant>,
    on_trial: bool,
    passed_trials: u32,
}

impl CircuitBreaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Arc<Self> {
        Arc::new(Self {
            policy,
            inner: Mutex::new(Inner {
                failures: 0,
                opened: None,
                on_trial: false,
                passed_trials: 0,
            }),
        })
    }

    /// Asks for leave to try. Tell the pass how it went.
    ///
    /// # Errors
    /// [`CircuitOpen`] while nothing may be tried.
    pub fn pass(self: &Arc<Self>) -> Result<Pass, CircuitOpen> {
        self.pass_at(Instant::now())
    }

    /// [`Self::pass`] at a moment of one's own, so that tests need not wait.
    ///
    /// # Errors
    /// [`CircuitOpen`] while nothing may be tried.
    pub fn pass_at(self: &Arc<Self>, now: Instant) -> Result<Pass, CircuitOpen> {
        let mut inner = self.lock();
        if let Some(opened) = inner.opened {
            let retry_after = self
                .policy
                .open_for
                .saturating_sub(now.saturating_duration_since(opened));
            if inner.on_trial || !retry_after.is_zero() {
                let failures = inner.failures;
                return Err(CircuitOpen {
                    failures,
                    retry_after,
                });
            }
            inner.on_trial = true;
        }
        let on_trial = inner.on_trial;
        drop(inner);
        Ok(Pass {
            breaker: Arc::clone(self),
            on_trial,
            told: false,
        })
    }

    /// What it does with an attempt now.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state_at(Instant::now())
    }

    /// What it does with an attempt at this moment.
    #[must_use]
    pub fn state_at(&self, now: Instant) -> BreakerState {
        match self.lock().opened {
            None => BreakerState::Closed,
            Some(opened) if now.saturating_duration_since(opened) < self.policy.open_for => {
                BreakerState::Open
            }
            Some(_) => BreakerState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing below can panic half way, so what a panic elsewhere leaves is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one attempt. Dropped without a word (the attempt was called off) it counts as neither.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    breaker: Arc<CircuitBreaker>,
    on_trial: bool,
    told: bool,
}

impl Pass {
    /// The server answered.
    pub fn succeeded(mut self) {
        self.told = true;
        let mut inner = self.breaker.lock();
        if !self.on_trial {
            // An attempt from before it opened says nothing of the server now.
            if inner.opened.is_none() {
                inner.failures = 0;
            }
            return;
        }
        inner.on_trial = false;
        inner.passed_trials += 1;
        if inner.passed_trials >= self.breaker.policy.trials {
            inner.opened = None;
            inner.failures = 0;
            inner.passed_trials = 0;
        }
    }

    /// The server did not answer.
    pub fn failed(self) {
        self.failed_at(Instant::now());
    }

    /// [`Self::failed`] at a moment of one's own.
    pub fn failed_at(mut self, now: Instant) {
        self.told = true;
        let mut inner = self.breaker.lock();
        inner.failures = inner.failures.saturating_add(1);
        if self.on_trial {
            inner.on_trial = false;
            inner.passed_trials = 0;
            inner.opened = Some(now);
        } else if inner.opened.is_none() && inner.failures >= self.breaker.policy.failures {
            inner.opened = Some(now);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.on_trial && !self.told {
            self.breaker.lock().on_trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BreakerState::{Closed, HalfOpen, Open};

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Arc<CircuitBreaker>, Instant) {
        let policy = BreakerPolicy {
            failures: 3,
            open_for: SECOND,
            trials: 2,
        };
        (CircuitBreaker::new(policy), Instant::now())
    }

    fn fail(breaker: &Arc<CircuitBreaker>, now: Instant, times: usize) {
        for _ in 0..times {
            breaker.pass_at(now).unwrap().failed_at(now);
        }
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 2);
        breaker.pass_at(now).unwrap().succeeded();
        fail(&breaker, now, 2);
        assert_eq!(breaker.state_at(now), Closed);
        fail(&breaker, now, 1);
        assert_eq!(breaker.state_at(now), Open);
        let refused = breaker.pass_at(now + SECOND / 4).unwrap_err();
        assert_eq!((refused.failures, refused.retry_after), (3, SECOND * 3 / 4));
    }

    #[test]
    fn lets_one_trial_through_and_opens_again_when_it_fails() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 3);
        let later = now + SECOND;
        assert_eq!(breaker.state_at(later), HalfOpen);
        let trial = breaker.pass_at(later).unwrap();
        assert!(breaker.pass_at(later).is_err(), "one at a time");
        trial.failed_at(later);
        assert_eq!(breaker.state_at(later), Open);
        assert!(breaker.pass_at(later + SECOND / 2).is_err());
    }

    #[test]
    fn closes_when_as_many_trials_pass_as_it_asks_for() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 3);
        let later = now + SECOND;
        breaker.pass_at(later).unwrap().succeeded();
        assert_eq!(breaker.state_at(later), HalfOpen);
        breaker.pass_at(later).unwrap().succeeded();
        assert_eq!(breaker.state_at(later), Closed);
        fail(&breaker, later, 2);
        assert_eq!(breaker.state_at(later), Closed, "it counts from nothing again");
    }

    #[test]
    fn a_trial_that_is_called_off_makes_room_for_the_next() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 3);
        let later = now + SECOND;
        drop(breaker.pass_at(later).unwrap());
        assert!(breaker.pass_at(later).is_ok());
    }

    #[test]
    fn an_attempt_from_before_it_opened_does_not_close_it() {
        let (breaker, now) = breaker();
        let early = breaker.pass_at(now).unwrap();
        fail(&breaker, now, 3);
        early.succeeded();
        assert_eq!(breaker.state_at(now), Open);
    }
}
