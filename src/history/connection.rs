//! What became of one connection, and the events and jobs that it saw.

use serde::{Deserialize, Serialize};

use super::{SqlValue, Vars};

/// What became of one connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// Its name.
    pub name: String,
    /// States as they were entered, lifecycle states among them, each with its time.
    pub states: Vec<(u64, String)>,
    /// The server's ids of its sessions, the newest last.
    pub sessions: Vec<u64>,
    /// What the server said of its version when a handler opened the newest session.
    #[serde(default)]
    pub server_version: Option<String>,
    /// How it ended; while it runs, how far it has come.
    pub status: Status,
    /// Each status that it has had, with the time from which it had it.
    #[serde(default)]
    pub statuses: Vec<(u64, Status)>,
    /// What it waits for, in words, while it waits for another connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// How often it went back after an error.
    pub retries: u32,
    /// Why it ended early, if it did: in a line.
    pub failure: Option<String>,
    /// When its session was found to be gone while it ran nothing, if it was.
    pub gone_us: Option<u64>,
}

impl ConnectionRecord {
    /// One that has not begun.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            statuses: vec![(0, Status::NotStarted)],
            ..Self::default()
        }
    }

    /// Its status changes at this time.
    pub fn set_status(&mut self, at_us: u64, status: Status) {
        if self.status != status {
            self.status = status;
            self.statuses.push((at_us, status));
        }
    }

    /// The server's id of its newest session.
    #[must_use]
    pub fn session(&self) -> Option<u64> {
        self.sessions.last().copied()
    }

    /// Whether it has completed or failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.status.is_end()
    }

    /// The state that it is in, or was in when it ended.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        let mut names = self.states.iter().map(|(_, name)| name.as_str()).rev();
        let last = names.next();
        let is_end = self.has_ended() && last == Some(self.status.word());
        if is_end { names.next() } else { last }
    }

    /// When it ended, in microseconds since the run began.
    #[must_use]
    pub fn ended_us(&self) -> Option<u64> {
        let last = self.statuses.last();
        last.filter(|(_, status)| status.is_end())
            .map(|(at_us, _)| *at_us)
    }
}

/// An event that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at_us: u64,
    /// Which.
    pub name: String,
    /// The number of the connection that signalled it; none where somebody did who is no connection.
    pub connection: Option<usize>,
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

impl JobRecord {
    /// A field as text, such as `error`; none where it is not known.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field)? {
            SqlValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its status, such as `running` or `synced`; empty where it is not known.
    #[must_use]
    pub fn status(&self) -> &str {
        self.text("status").unwrap_or_default()
    }

    /// Its phase, such as `importing` or `write reorganization`; empty where it has none.
    #[must_use]
    pub fn phase(&self) -> &str {
        self.text("phase").unwrap_or_default()
    }

    /// Its table, without the database; empty where it is not known.
    #[must_use]
    pub fn table(&self) -> &str {
        self.text("table").unwrap_or_default()
    }

    /// Rows so far, as the server tells of them.
    #[must_use]
    pub fn rows(&self) -> Option<i128> {
        match self.fields.get("rows")? {
            SqlValue::Int(rows) => Some(*rows),
            _ => None,
        }
    }
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

    /// Whether nothing follows it.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }

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
