//! What became of one connection, and the events and jobs that it saw.

use serde::{Deserialize, Serialize};

use super::Vars;

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

/// What one look at a job showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSeen {
    /// What it is.
    pub kind: JobKind,
    /// Its number.
    pub id: i128,
    /// Its status, such as `running` or `synced`.
    pub status: String,
    /// Its phase, such as `importing` or `write reorganization`; empty where it has none.
    pub phase: String,
    /// All that is known of it: status, phase, rows, size, elapsed, error, table.
    pub fields: Vars,
    /// Whether it has ended: finished, failed or cancelled.
    pub ended: bool,
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
