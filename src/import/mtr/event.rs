//! What running a test file does, one thing after another.

use crate::import::origin::Origin;

/// One thing that is done.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub what: What,
    /// The connection, as the file calls it.
    pub connection: String,
    /// Where the file has it.
    pub origin: Origin,
    /// Lines of comments before it.
    pub comments: Vec<String>,
    /// Whether something is left out before it that may print what nobody can tell from the results.
    pub unsure: bool,
    /// What the tool prints before the answer, where it prints anything.
    pub echo: Option<String>,
    /// What is expected of the answer; none where there is none.
    pub answer: Option<Answer>,
}

/// What is done.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A statement: its SQL, in which variables stand as this language has them.
    Statement {
        sql: String,
        /// Whether its answer is taken by a `reap` later on.
        sent: bool,
        /// Variables that are kept of its answer, and what of it.
        save: Vec<(String, String)>,
    },
    /// The answer of what was sent is taken.
    Reap,
    /// A session is opened.
    Connect {
        user: String,
        password: String,
        again: bool,
        database: String,
    },
    /// Another connection is the current one from here on.
    Switch,
    /// A session is closed.
    Disconnect,
    /// KILL of another connection's statement, or of its whole session.
    Kill { target: String, whole: bool },
    /// The session's state is set back.
    Reset,
    /// A pause, in milliseconds.
    Sleep(u64),
    /// Text that is printed.
    Echo(String),
    /// Only comments.
    Nothing,
}

/// What is said of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The errors that it may be, as they are written; `0` for none.
    pub errors: Vec<String>,
    /// Whether rows are sorted before they are printed.
    pub sorted: bool,
    /// Columns that are replaced before they are printed, by their numbers from 1.
    pub replaced: Vec<usize>,
    /// Why what is printed is not what the server gave.
    pub changed: Option<&'static str>,
    /// Whether the result is printed.
    pub logged: bool,
    /// Whether the number of rows that are affected is printed.
    pub info: bool,
    /// Whether any error is forgiven.
    pub forgiving: bool,
}
