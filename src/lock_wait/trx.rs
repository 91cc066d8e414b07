//! A transaction as the server shows it.

/// One row of `TIDB_TRX`, or what InnoDB tells in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrxRow {
    /// The server's id of the session.
    pub session: u64,
    /// The transaction: in TiDB its start timestamp.
    pub id: i128,
    /// `Running`, `LockWaiting`, `Committing`, …
    pub state: String,
}

impl TrxRow {
    /// Whether it waits for a lock, or, in TiDB, is about to get one.
    pub fn waits(&self) -> bool {
        self.state == WAITS
    }
}

/// The state of a transaction that waits for a lock, in TiDB's word.
pub(super) const WAITS: &str = "LockWaiting";
