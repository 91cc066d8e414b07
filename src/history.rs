//! What happened, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sql::Product;

/// Variables by name.
pub type Vars = BTreeMap<String, SqlValue>;

/// The client's own error number for a connection that was lost (`CR_SERVER_LOST`).
pub const SERVER_LOST: u16 = 2013;

/// How one statement ended. What the server refused is data, not a Rust error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A result set came, perhaps with no rows.
    Rows(RowSet),
    /// The statement was carried out and has no result set.
    Done(Done),
    /// The server answered with an error.
    Refused(SqlError),
    /// The statement was over its limit and was ended by us; whether it took effect is unknown.
    TimedOut {
        /// The limit that it was over, in milliseconds.
        limit_ms: u64,
        /// Whether it was ended before, since it waited for a lock of a transaction that nobody would have ended.
        #[serde(default)]
        in_vain: bool,
    },
    /// The session was lost before the answer came; whether the statement took effect is unknown.
    Lost {
        /// What the driver said.
        message: String,
    },
}

impl Outcome {
    /// The error, if it was one. A lost connection is error 2013, as other MySQL clients have it.
    #[must_use]
    pub fn error(&self) -> Option<SqlError> {
        match self {
            Self::Refused(error) => Some(error.clone()),
            Self::Lost { message } => Some(SqlError {
                code: SERVER_LOST,
                sqlstate: "HY000".to_owned(),
                message: message.clone(),
            }),
            Self::Rows(_) | Self::Done(_) | Self::TimedOut { .. } => None,
        }
    }

    /// Its kind in a word or two, with the error's number: for logs.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Rows(set) => format!("{} rows", set.rows.len()),
            Self::Done(_) => "done".to_owned(),
            Self::Refused(error) => format!("error {}", error.code),
            Self::TimedOut { .. } => "timed out".to_owned(),
            Self::Lost { .. } => "lost".to_owned(),
        }
    }

    /// Whether the statement did not do what it says: refused, over its limit, or lost.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self {
            Self::Rows(_) | Self::Done(_) => false,
            Self::Refused(_) | Self::TimedOut { .. } | Self::Lost { .. } => true,
        }
    }
}

/// A result set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowSet {
    /// One for each column, in the server's order.
    pub columns: Vec<Column>,
    /// Rows in the server's order; each has as many cells as there are columns.
    pub rows: Vec<Vec<SqlValue>>,
    /// The number of warnings that the server counted.
    pub warning_count: u16,
}

/// A column of a result set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// The column's name or alias.
    pub name: String,
    /// The SQL type as a person would write it, such as `int`, `decimal` or `varchar`.
    pub sql_type: String,
}

/// What a statement without a result set reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Rows that were changed (TiDB counts an UPDATE that changes nothing as 0).
    pub affected: u64,
    /// The first value that AUTO_INCREMENT gave, 0 if none.
    pub last_insert_id: u64,
    /// The number of warnings that the server counted.
    pub warning_count: u16,
}

/// An error that the server answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlError {
    /// The error number, such as 1213.
    pub code: u16,
    /// The five characters of SQLSTATE, such as `40001`.
    pub sqlstate: String,
    /// The text, as the server wrote it.
    pub message: String,
}

/// One cell, told apart by its SQL type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SqlValue {
    /// SQL NULL.
    Null,
    /// Any integer type, YEAR and BIT among them.
    Int(i128),
    /// DECIMAL, with the digits as the server wrote them.
    Decimal(String),
    /// FLOAT and DOUBLE.
    Float(f64),
    /// Text of any character type, ENUM and SET among them.
    Text(String),
    /// BINARY, VARBINARY and BLOB, and text that is not UTF-8.
    Bytes(Vec<u8>),
    /// DATE, DATETIME, TIMESTAMP and TIME, as the server writes them.
    Time(String),
    /// JSON.
    Json(serde_json::Value),
}

/// Whether it is a number of any type.
#[must_use]
pub fn is_number(value: &SqlValue) -> bool {
    match value {
        SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_) => true,
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Time(_) | SqlValue::Json(_) => {
            false
        }
    }
}

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
    /// Queries that were asked at the end, each with the number of its answer in `checks`: none is asked twice.
    #[serde(skip)]
    pub asked: Vec<(String, usize)>,
    /// The tables that were looked at to compare orders, by the names that a scenario has for them: `t`, or
    /// `${database.shop}.t` of a further database. A check of [`CheckId::Rows`] names one by its number.
    pub tables: Vec<String>,
    /// The variables of the shared state at the end.
    pub vars: Vars,
    /// Events in the order in which they came.
    pub events: Vec<EventRecord>,
    /// Recorded series, each value with its time.
    pub series: BTreeMap<String, Vec<(u64, SqlValue)>>,
    /// Import jobs and schema changes that were watched, in the order in which they were first seen.
    pub jobs: Vec<JobRecord>,
    /// Why the script was not followed to its end, if it was not.
    pub stopped: Option<Stopped>,
    /// The whole trial.
    pub took_us: u64,
}

/// What became of one connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Its name.
    pub name: String,
    /// States as they were entered, lifecycle states among them, each with its time.
    pub states: Vec<(u64, String)>,
    /// The server's ids of its sessions, the newest last.
    pub sessions: Vec<u64>,
    /// How it ended.
    pub status: Status,
    /// How often it went back after an error.
    pub retries: u32,
    /// Why it ended early, if it did: in a line.
    pub failure: Option<String>,
    /// When its session was found to be gone while it ran nothing, if it was.
    pub gone_us: Option<u64>,
}

/// An event that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at_us: u64,
    /// Which.
    pub name: String,
    /// The number of the connection that brought it.
    pub connection: usize,
    /// Whether it came of a job that is watched, not of a `signal`.
    pub of_job: bool,
}

/// A kind of job that can be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// IMPORT INTO.
    Import,
    /// A schema change.
    Ddl,
}

impl JobKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Import, Self::Ddl];

    /// The word for it: events of its jobs begin with it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Ddl => "ddl",
        }
    }
}

/// A job that was watched, as it was seen last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// What it is.
    pub kind: JobKind,
    /// Its number.
    pub id: i128,
    /// The connections that watched it.
    pub watchers: Vec<usize>,
    /// Its status and phase each time that one of them changed, with the time.
    pub phases: Vec<(u64, String)>,
    /// What was seen of it last: status, phase, rows, size, elapsed, error, table.
    pub fields: Vars,
    /// Whether it has ended: finished, failed or cancelled.
    pub ended: bool,
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has been tried yet.
    #[default]
    NotStarted,
    /// Being opened.
    Connecting,
    /// Open, no step yet.
    Connected,
    /// Its steps run.
    Testing,
    /// All its steps have run.
    Completed,
    /// It ended early: an unexpected error, or a lost connection.
    Failed,
}

impl Status {
    /// All of them, in the order in which a connection goes through them.
    pub const ALL: [Self; 6] = [
        Self::NotStarted,
        Self::Connecting,
        Self::Connected,
        Self::Testing,
        Self::Completed,
        Self::Failed,
    ];

    /// The word for it in files and reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Testing => "testing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// One step that was started.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's number in the plan.
    pub step: usize,
    /// The connection's number in the plan.
    pub connection: usize,
    /// What was sent or done, variables filled in.
    pub text: String,
    /// When it was sent.
    pub started_us: u64,
    /// Its end; `None` where it was still waiting when the trial ended.
    pub end: Option<StepEnd>,
    /// Each wait that the server told of.
    pub wait: Option<Wait>,
    /// How often the state had done it before, in this visit.
    pub iteration: u32,
    /// How long it waited for events and barriers before it acted.
    pub waited_us: u64,
    /// Where its connection went then.
    pub went: Went,
}

/// Where a connection went after a state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum Went {
    /// On, to what follows.
    #[default]
    On,
    /// To another state, since `on` says so of a result: what is expected of the result is not asked then.
    Elsewhere,
    /// Back after an error, for the n-th time in a row, after a pause.
    Retry {
        /// Counted from 1.
        number: u32,
        /// The pause.
        pause_us: u64,
    },
    /// Nowhere: it had gone back as often as it may.
    RetriesUsedUp {
        /// How often.
        number: u32,
    },
    /// Nowhere: what it waited for could not come any more, or did not come in time.
    WaitedInVain {
        /// What it waited for.
        wanted: String,
        /// The number of the want among the state's own; `None`: its barrier.
        want: Option<usize>,
        /// Why it did not come, a line for each reason.
        reasons: Vec<String>,
        /// The connections that wait for each other, each with what it waits for, if they do.
        cycle: Vec<String>,
    },
    /// Nowhere: what it looked for was not there in time.
    NeverSeen {
        /// How often it looked.
        looks: u32,
    },
}

impl StepRecord {
    /// When it ended, if it did.
    #[must_use]
    pub fn ended_us(&self) -> Option<u64> {
        self.end.as_ref().map(|end| end.at_us)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// When the answer was there.
    pub at_us: u64,
    /// From sending to the answer.
    pub took_us: u64,
    /// The answer.
    pub outcome: Outcome,
    /// The number (from 0) of the statement that gave the outcome, where a step has several.
    pub statement: usize,
    /// `SHOW WARNINGS`, where asked for.
    pub warnings: Option<Vec<SqlError>>,
    /// `EXPLAIN`, where asked for.
    pub plan: Option<String>,
    /// The variables after the step's own `save` and `set`.
    pub vars: Vars,
    /// What `save` asked for and the result did not have.
    pub save_problem: Option<String>,
}

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

/// A step that was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The step's number in the plan.
    pub step: usize,
    /// Why.
    pub reason: String,
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
    pub plan: Option<String>,
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
