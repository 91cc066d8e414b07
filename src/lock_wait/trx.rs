//! A transaction as the server shows it.

use std::time::Duration;

/// One row of `TIDB_TRX`, or what InnoDB tells in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrxRow {
    pub session: u64,
    pub id: i128,
    pub state: String,
    pub waiting_since: Option<String>,
    /// For how long already, where the server tells.
    pub waited: Option<Duration>,
    pub keys: i128,
}

impl TrxRow {
    /// Whether it waits for a lock, or, in TiDB, is about to get one.
    pub fn waits(&self) -> bool {
        self.state == WAITS
    }
}

/// The state of a transaction that waits for a lock, in TiDB's word.
pub(super) const WAITS: &str = "LockWaiting";
