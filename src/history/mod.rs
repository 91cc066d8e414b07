//! What happened, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::Product;

mod connection;
mod json;
mod outcome;
mod session;
mod step;
mod text;
mod wait;

pub use connection::{ConnectionRecord, EventRecord, JobKind, JobRecord, JobSeen, Status};
pub use json::Json;
pub(crate) use json::json_text;
pub use outcome::{Column, Done, Outcome, RowSet, SERVER_LOST, SqlError, SqlValue, Vars, is_number};
pub use session::{SessionFlags, Timestamps};
pub use step::{Skipped, StepEnd, StepRecord, Went};
pub(crate) use text::{
    columns_word, cut_long, cut_pair, float_text, rows_word, rows_word_u64, why_not_satisfied,
};
pub use text::{describe, describe_error, show};
pub use wait::{Wait, WaitFailure, WaitRule};

/// What happened in one run of a trial: append-only, serialisable, plain data. Times are microseconds
/// since the trial's connections were opened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The server, such as `embedded TiDB 8.0.11-TiDB-v8.5.4`.
    pub server: String,
    /// What it is, which says how waits were seen.
    pub product: Product,
    /// The trial's own database.
    pub database: String,
    /// One for each connection of the plan, in its order.
    pub connections: Vec<ConnectionRecord>,
    /// Steps that were started, in the order in which they were.
    pub steps: Vec<StepRecord>,
    /// Steps that were not started.
    pub skipped: Vec<Skipped>,
    /// Final tables and queries, and `always`, in the order in which they were asked.
    pub checks: Vec<CheckRecord>,
    /// Tables that have been read since anything could change, each by its query and the number of its answer in
    /// `checks`: none is read twice.
    #[serde(skip)]
    pub asked: Vec<(String, usize)>,
    /// The tables that were looked at to compare orders, by the names that a scenario has for them: `t`, or
    /// `${database.shop}.t` of a further database. A check of [`CheckId::Rows`] names one by its number.
    pub tables: Vec<String>,
    /// What the trial has changed of the whole server and what could not be set back, or was not announced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_left: Vec<ServerLeft>,
    /// How often `always` was asked, in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub always: Vec<AlwaysCount>,
    /// Statements of the teardown that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teardown: Vec<FailedTeardown>,
    /// The variables of the shared state at the end.
    pub vars: Vars,
    /// Events in the order in which they came.
    pub events: Vec<EventRecord>,
    /// Recorded series, each value with its time.
    pub series: BTreeMap<String, Vec<(u64, SqlValue)>>,
    /// Import jobs and schema changes that were watched, in the order in which they were first seen.
    pub jobs: Vec<JobRecord>,
    /// Statements of handlers that were run and not recorded, since `steps` had as many as it may have.
    #[serde(default)]
    pub unrecorded: u64,
    /// Why the script was not followed to its end, if it was not.
    pub stopped: Option<Stopped>,
    /// The whole trial.
    pub took_us: u64,
}

/// Why the script was not followed to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// A step waits that must not.
    UnexpectedWait {
        /// The number of the step's record.
        record: usize,
    },
    /// A step's connection was still busy with an earlier one.
    StillBlocked {
        /// The number of the earlier step's record.
        record: usize,
        /// The number of the step that could not start.
        step: usize,
    },
    /// A step that must end a wait did not.
    NotReleased {
        /// The number of the waiting step's record.
        record: usize,
        /// The number of the step that must end the wait.
        by: usize,
    },
    /// The whole trial was over its limit.
    OverTime {
        /// The limit.
        limit_ms: u64,
    },
    /// The server was lost.
    ServerLost {
        /// What was tried and what came of it.
        reason: String,
    },
}

/// Something of the whole server that is not as it was before the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLeft {
    /// The global variable, if it is one.
    pub variable: Option<String>,
    /// What is not as it was.
    pub message: String,
    /// Why.
    pub reason: String,
}

/// How often one query of `always` was asked while connections ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlwaysCount {
    /// The final expectation and the number within it.
    pub check: (usize, usize),
    /// Between statements.
    pub asked: u32,
    /// So often it was to be asked and could not be, since a statement ran on.
    pub missed: u32,
}

/// A statement of the teardown that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedTeardown {
    /// Its number in the plan.
    pub statement: usize,
    /// What came of it.
    pub message: String,
}

/// One final table or query, or one run of `always`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Which one.
    pub check: CheckId,
    /// What the server gave.
    pub outcome: Outcome,
    /// How long it took.
    pub took_us: u64,
    /// The warnings, where asked for.
    pub warnings: Option<Vec<SqlError>>,
    /// The plan, where asked for.
    pub plan: Option<RowSet>,
}

/// Which check: the number of the final expectation in the plan, and the number within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckId {
    /// `tables`.
    Table(usize, usize),
    /// `queries`.
    Query(usize, usize),
    /// All rows of a table of the trial's database, by its number among them: what an order of steps came to.
    Rows(usize),
    /// `always`, after this step of the plan.
    Always {
        /// The final expectation and the number within it.
        check: (usize, usize),
        /// The step after which it ran; `None` before the first.
        after: Option<usize>,
    },
}
