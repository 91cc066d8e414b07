//! Why a state could not do its work.

use super::wait::WaitError;
use super::with::WithError;
use crate::connection::ConnectError;
use crate::coordinator::SendError;
use crate::history::{Outcome, SERVER_LOST, SqlError};
use crate::policy::{RetryClass, retry_class};

/// How much of a statement an error repeats, in characters.
const SQL_SHOWN: usize = 100;

/// Why a state could not do its work. It ends the machine of its connection, and no other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A statement was to be run, and no session is open.
    #[error("no session is open; a handler opens it with `context.connect()`, as `ConnectingHandler` does")]
    NotConnected,
    /// A session was to be opened, and it is not known where to.
    #[error("it is not known where to connect; give the machine a ConnectionConfig with `connect_to`")]
    NoTarget,
    /// The session could not be opened.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server refused a statement.
    #[error("error {} ({}) from `{sql}`: {}", .error.code, .error.sqlstate, .error.message)]
    Refused {
        /// The statement, cut.
        sql: String,
        /// What the server said.
        error: SqlError,
    },
    /// A statement was over its limit; whether it took effect is unknown.
    #[error("`{sql}` did not return within {limit_ms} ms")]
    TimedOut {
        /// The statement, cut.
        sql: String,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The session was lost before the answer; whether the statement took effect is unknown.
    #[error("the connection was lost at `{sql}`: {message}")]
    Lost {
        /// The statement, cut.
        sql: String,
        /// What the driver said.
        message: String,
    },
    /// A statement was not sent.
    #[error("`{sql}` was not sent: {reason}")]
    Unsent {
        /// The statement, cut.
        sql: String,
        /// Why.
        reason: String,
    },
    /// A transaction was given up: COMMIT was sent and not answered, so nobody knows whether it took effect.
    #[error(
        "the connection was lost at COMMIT, so whether the transaction took effect is unknown: {message}"
    )]
    CommitUnknown {
        /// What the driver said.
        message: String,
    },
    /// A statement gave another kind of result than was asked for.
    #[error("`{sql}` gave {got}, not {wanted}")]
    Result {
        /// The statement, cut.
        sql: String,
        /// What was asked for.
        wanted: &'static str,
        /// What came.
        got: String,
    },
    /// A variable is not there, or is of another type.
    #[error("variable `{name}`: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A wait for another connection ended without what was waited for.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A barrier was used in two ways.
    #[error("{0}")]
    Barrier(String),
    /// A message was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// Messages to all did not fit into the inbox, since this connection reads too slowly. The next one can be read.
    #[error("{count} messages did not fit into the inbox; read them earlier, or give it room by `messages`")]
    Missed {
        /// How many.
        count: u64,
    },
    /// A parameter of `with` is missing or wrong.
    #[error(transparent)]
    With(#[from] WithError),
    /// The handler panicked.
    #[error("its handler panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// What a handler of one's own says.
    #[error("{0}")]
    Failed(String),
    /// An error of a handler's own.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl StateError {
    /// An error in one's own words.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// What an outcome that is no success is as an error; the outcome itself where it is one.
    ///
    /// # Errors
    /// [`Self::Refused`], [`Self::TimedOut`], [`Self::Lost`], [`Self::Unsent`].
    pub fn of_outcome(sql: &str, outcome: Outcome) -> Result<Outcome, Self> {
        let sql = shown(sql);
        match outcome {
            Outcome::Rows(_) | Outcome::Done(_) => Ok(outcome),
            Outcome::Refused(error) => Err(Self::Refused { sql, error }),
            Outcome::TimedOut { limit_ms, .. } => Err(Self::TimedOut { sql, limit_ms }),
            Outcome::Lost { message, .. } => Err(Self::Lost { sql, message }),
            Outcome::Unanswered { reason } => Err(Self::Unsent { sql, reason }),
        }
    }

    /// The server's error, if it is one.
    #[must_use]
    pub fn sql_error(&self) -> Option<&SqlError> {
        match self {
            Self::Refused { error, .. } | Self::Connect(ConnectError::Refused { error, .. }) => Some(error),
            _ => None,
        }
    }

    /// The same without what others have to do with it: for those who wait for this connection.
    pub(crate) fn own_part(&self) -> String {
        match self {
            Self::Wait(wait) => format!("its wait for {} failed", wait.wanted()),
            other => other.to_string(),
        }
    }

    /// What can be done about it.
    #[must_use]
    pub fn retry_class(&self) -> RetryClass {
        match self {
            Self::Refused { error, .. } => retry_class(error.code, &error.sqlstate),
            Self::Lost { .. } => retry_class(SERVER_LOST, ""),
            Self::Connect(error) if error.may_pass() => RetryClass::Reconnect,
            _ => RetryClass::Never,
        }
    }
}

/// A statement as an error shows it: one line, and not all of a long one.
pub(super) fn shown(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SQL_SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
