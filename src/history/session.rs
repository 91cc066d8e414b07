//! What the server tells of a session beside the answers to its statements.

use serde::{Deserialize, Serialize};

/// The status flags that came with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFlags {
    /// Whether a transaction is open after the statement (`SERVER_STATUS_IN_TRANS`).
    pub in_transaction: bool,
    /// Whether a statement outside of one is a transaction of its own (`SERVER_STATUS_AUTOCOMMIT`).
    pub autocommit: bool,
}

/// TiDB's timestamps of the transaction that a step's last statement was part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamps {
    /// What plain reads of it see is what was committed by then.
    pub start_ts: u64,
    /// What the statement's locking reads and writes see, where they have a timestamp of their own.
    pub for_update_ts: Option<u64>,
    /// When it was committed, where the statement committed it.
    pub commit_ts: Option<u64>,
}
