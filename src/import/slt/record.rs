//! The records of a file.

use crate::source::Span;

/// A record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub what: What,
    pub span: Span,
    /// Lines of comments before it.
    pub comments: Vec<String>,
    /// The databases that it is for, or not for: `onlyif` is true.
    pub conditions: Vec<(bool, String)>,
}

/// What a record is.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Statement(Statement),
    Query(Query),
    /// The connection of the next record only.
    Connection(String),
    /// The user, and so the session, of all that follow.
    User(String),
    /// The answer of what was sent under this name is taken.
    Await(String),
    /// A pause, in milliseconds.
    Sleep(u64),
    /// Another file's records stand here.
    Include(String),
    /// Values of a query are kept in these variables.
    Let {
        names: Vec<String>,
        sql: String,
    },
    /// Records that are repeated with these values of a variable.
    Loop {
        name: String,
        values: Vec<String>,
        concurrent: bool,
        body: Vec<Record>,
    },
    /// The rest is left out.
    Halt,
    /// How results are written from here on: each value on a line of its own.
    ValueWise(bool),
    /// How rows are sorted where a query does not say.
    SortMode(Sort),
    /// Whether `$name` stands for a variable.
    Substitution(bool),
    /// Records up to the other one are left out.
    Skip(bool),
    /// A part of the file has this name.
    Subtest(String),
    /// It says how the tool runs: nothing is lost without it.
    Dropped,
    /// It cannot be taken.
    NotTaken {
        line: String,
        why: &'static str,
    },
    /// Only comments.
    Nothing,
}

/// A statement.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub sql: String,
    /// The connection that its own line names.
    pub connection: Option<String>,
    /// Its name, where its answer is taken later.
    pub sent: Option<String>,
    pub error: Option<ExpectedError>,
    /// How many rows it must change.
    pub count: Option<u64>,
    /// Whether it may fail as well.
    pub maybe: bool,
    /// Whether it is tried again.
    pub retried: bool,
}

/// A query.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub statement: Statement,
    /// A letter for each column.
    pub types: String,
    pub sort: Option<Sort>,
    pub label: Option<String>,
    /// Whether the first line of the results has the names of columns.
    pub names: bool,
    /// The lines under `----`, each with its place; none where there is no `----`.
    pub results: Option<Vec<(String, Span)>>,
}

/// An error that is expected.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExpectedError {
    /// Its text, or a pattern of it; empty where any will do.
    pub text: String,
    /// Its SQLSTATE.
    pub state: Option<String>,
}

/// How results are sorted before they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    None,
    Rows,
    Values,
}
