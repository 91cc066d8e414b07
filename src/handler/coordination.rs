//! What a handler sees of the other connections.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::ImportJob;
use crate::history::{SqlValue, Vars};

/// What connections share, as one of them sees it: variables, events, series. Every coordinator has its own;
/// handlers know only this.
#[async_trait]
pub trait Coordination: Send + Sync + fmt::Debug {
    /// A variable, if it is set.
    fn var(&self, name: &str) -> Option<SqlValue>;

    /// Sets a variable.
    fn set_var(&self, name: &str, value: SqlValue);

    /// Adds to a whole number in one go, and gives the sum; a variable that is not set counts as 0.
    ///
    /// # Errors
    /// What the variable is instead, where it is no whole number.
    fn add(&self, name: &str, number: i128) -> Result<i128, String>;

    /// An event has come. Events stay: who waits later finds it there.
    fn signal(&self, event: &str);

    /// Waits until an event has come.
    ///
    /// # Errors
    /// [`WaitError`]: when the limit is over, and at once when the event can no longer come.
    ///
    /// # Cancellation
    /// Dropping the future gives up the wait and changes nothing.
    async fn wait_for(&self, event: &str, limit: Duration) -> Result<(), WaitError>;

    /// Appends to a series.
    fn record(&self, series: &str, value: SqlValue);

    /// An import job was seen as it is now. What is new about it the coordinator finds out.
    fn import_job(&self, job: &ImportJob) {
        let _ = job;
    }

    /// All that is shared, as it is now.
    fn snapshot(&self) -> SharedSnapshot;
}

/// What is shared, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SharedSnapshot {
    /// Variables.
    pub vars: Vars,
    /// Events in the order in which they came.
    pub events: Vec<String>,
    /// Series by name.
    pub series: BTreeMap<String, Vec<SqlValue>>,
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It did not come in time.
    #[error("waited {limit_ms} ms for `{event}`, and it has not come")]
    OverTime {
        /// What was waited for.
        event: String,
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// It can no longer come.
    #[error("`{event}` can no longer come: {}", .reasons.join("; "))]
    InVain {
        /// What was waited for.
        event: String,
        /// Why not, one for each connection that might have brought it.
        reasons: Vec<String>,
    },
    /// The coordinator shuts down.
    #[error("gave up the wait for `{event}`: the coordinator shuts down")]
    ShutDown {
        /// What was waited for.
        event: String,
    },
}
