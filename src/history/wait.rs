//! A statement that was blocked: since when, by whom, and how that is known; and why a wait for another connection
//! failed.

use serde::{Deserialize, Serialize};

/// A wait that the server told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// When it was certain.
    pub seen_us: u64,
    /// By which rule it was certain.
    pub rule: WaitRule,
    /// Who can hold what it waits for: connections of the trial with a transaction that has locks.
    pub candidates: Vec<usize>,
    /// Who holds it, where the server says so itself.
    pub holders: Vec<usize>,
    /// By what the holders are known.
    pub evidence: Option<Evidence>,
    /// What is waited for, where the server says so: the table and the row.
    pub key: Option<String>,
    /// Checks before later steps that found it not waiting any more though no answer had come: the
    /// numbers of those steps in the plan.
    pub not_waiting_before: Vec<usize>,
}

/// Why a wait is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitRule {
    /// `TIDB_TRX` showed the same lock wait at two looks this far apart, or said that it has lasted so long, and
    /// every other connection was at rest.
    SameLockWaitTwice {
        /// Between the first sight and the last.
        apart_us: u64,
    },
    /// `TIDB_TRX` showed a commit under way for this long: autocommit DML or an optimistic commit.
    Committing {
        /// Since it was first seen.
        for_us: u64,
    },
    /// `mysql.tidb_mdl_view` names the session that a schema change waits for.
    MetadataLock,
    /// No answer for this long, though the server still runs the statement and every other connection is
    /// at rest: user-level locks and whatever else has no row in `TIDB_TRX`.
    NoAnswer {
        /// Since the statement was sent.
        for_us: u64,
    },
}

impl WaitRule {
    /// Whether only its length tells a wait from a slow statement.
    #[must_use]
    pub fn is_told_by_length(&self) -> bool {
        match self {
            Self::Committing { .. } | Self::NoAnswer { .. } => true,
            Self::SameLockWaitTwice { .. } | Self::MetadataLock => false,
        }
    }
}

/// By what the holder of a lock is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// `information_schema.DATA_LOCK_WAITS` names it.
    DataLockWaits,
    /// `mysql.tidb_mdl_view` names it.
    MetadataLockView,
    /// It is the only other connection of the trial with a transaction that has locks.
    OnlyLocker,
    /// It is the only connection of the trial that has taken this user-level lock.
    UserLock,
    /// It is the only other connection of the trial that runs a schema change: they run one after another.
    SchemaChange,
}

/// Why a wait for another connection (an event, a state, a barrier, a message) was not satisfied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFailure {
    /// No connection that could still proceed could satisfy it.
    #[default]
    Unsatisfiable,
    /// It was not satisfied within its limit.
    TimedOut,
    /// The trial was over its limit, or the coordinator shut down.
    Stopped,
}

impl WaitFailure {
    /// In a word or two.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unsatisfiable => "unsatisfiable",
            Self::TimedOut => "timed out",
            Self::Stopped => "stopped",
        }
    }
}
