//! Why a handler's wait for another connection failed.

use std::time::Duration;

use crate::coordinator::Unsatisfied;
use crate::history::WaitFailure;

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It did not come in time.
    #[error("waited {limit_ms} ms for {wanted}: {}", .reasons.join("; "))]
    OverTime {
        /// What was waited for, in words.
        wanted: String,
        /// The limit in milliseconds.
        limit_ms: u128,
        /// Where those are that could have satisfied the wait, a line for each.
        reasons: Vec<String>,
    },
    /// No connection that can still proceed can satisfy it.
    #[error("the wait for {wanted} can never be satisfied{}: {}", deadlock(.cycle), .reasons.join("; "))]
    Unsatisfiable {
        /// What was waited for, in words.
        wanted: String,
        /// A line for each connection that could have satisfied the wait.
        reasons: Vec<String>,
        /// The deadlock cycle: the connections that wait for each other, each with what it waits for, if they do.
        cycle: Vec<String>,
    },
    /// The coordinator shuts down, or the trial was over its limit.
    #[error("stopped waiting for {wanted}: {reason}")]
    Stopped {
        /// What was waited for, in words.
        wanted: String,
        /// Why.
        reason: String,
    },
}

fn deadlock(cycle: &[String]) -> &'static str {
    if cycle.is_empty() { "" } else { " (deadlock)" }
}

impl WaitError {
    pub(super) fn of(why: Unsatisfied, limit: Duration) -> Self {
        let Unsatisfied {
            wanted,
            failure,
            reasons,
            cycle,
        } = why;
        match failure {
            WaitFailure::TimedOut => Self::OverTime {
                wanted,
                limit_ms: limit.as_millis(),
                reasons,
            },
            WaitFailure::Unsatisfiable => Self::Unsatisfiable {
                wanted,
                reasons,
                cycle,
            },
            WaitFailure::Stopped => Self::Stopped {
                wanted,
                reason: reasons.join("; "),
            },
        }
    }

    /// What was waited for, in words.
    #[must_use]
    pub fn wanted(&self) -> &str {
        match self {
            Self::OverTime { wanted, .. }
            | Self::Unsatisfiable { wanted, .. }
            | Self::Stopped { wanted, .. } => wanted,
        }
    }
}
