//! A statement that was blocked: since when, by whom, and what the server showed of it; and why a wait for another
//! connection failed.

use serde::{Deserialize, Serialize};

/// A wait that the server showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// When the server showed it first, in microseconds since the trial's connections were opened.
    pub seen_us: u64,
    /// What showed it.
    pub rule: WaitRule,
    /// The connections of the trial that held what it waited for, in the order in which the server named them: whoever
    /// gets the lock next may be another one that is waited for then. Empty where it is a session outside of the
    /// trial, or where the server does not say.
    pub holders: Vec<usize>,
    /// What is waited for, where the server says so: the table and the row.
    pub key: Option<String>,
    /// The number of the record of the step after which the server showed no holder any more. The answer may come
    /// later: a commit in back-off tries again after up to 2.5 s.
    #[serde(default)]
    pub released_by: Option<usize>,
    /// Checks before later steps that found it not blocked any more though no answer had come: the numbers of those
    /// steps in the plan.
    pub not_waiting_before: Vec<usize>,
}

/// What shows that a statement is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitRule {
    /// `information_schema.DATA_LOCK_WAITS` names the waiting transaction, the holder and the key, and the holder's
    /// transaction is open.
    RowLock,
    /// `information_schema.DATA_LOCK_WAITS` shows a wait for the row that stands for a user-level lock, which another
    /// connection of the trial has taken.
    UserLock,
    /// `mysql.tidb_mdl_view` names the session that a schema change waits for.
    MetadataLock,
    /// `mysql.tidb_ddl_job` shows a schema change that is queued behind another one of the same table or database.
    SchemaChange,
    /// InnoDB's status or the list of processes shows the wait (MariaDB, MySQL). It does not name the holder.
    InnoDb,
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
