//! Compares an outcome with what was asked for; one file for each kind of expectation.
//!
//! To add a kind: one file with a `read` function, its `mod` line, and one row of [`KINDS`].

mod affected;
mod columns;
mod contains;
mod count;
mod duration;
mod error;
mod last_insert_id;
mod one_of;
mod plan;
mod row;
mod rows;
mod table;
mod template;
mod unordered;
mod value;
mod value_pattern;
mod warnings;

use std::fmt;
use std::time::Duration;

use crate::history::{Outcome, RowSet, SqlError, Vars};
use crate::scenario::keys::Form;
use crate::source::{Diagnostic, Node, SourceFile, Span};

pub use error::{ErrorPattern, KEYS as ERROR_KEYS};
pub use template::{Template, TemplateError};
pub use value_pattern::{MATCHERS, ValuePattern, show, value_of_node};

/// What an expectation may look at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// How the statement ended.
    pub outcome: &'a Outcome,
    /// From sending the statement to its answer.
    pub took: Duration,
    /// The warnings themselves, where an expectation asked for them.
    pub warnings: Option<&'a [SqlError]>,
    /// The text of `EXPLAIN`, where an expectation asked for it.
    pub plan: Option<&'a str>,
    /// The variables as they were when the statement returned.
    pub vars: &'a Vars,
}

/// Why an outcome is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// One line: expected …, got ….
    pub message: String,
    /// Where the file says so, if more exactly than the expectation's own place.
    pub span: Option<Span>,
    /// More lines, such as a table of rows.
    pub detail: Option<String>,
}

impl Mismatch {
    /// A mismatch of one line.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            detail: None,
        }
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// One thing to hold of an outcome.
pub trait Check: fmt::Debug + Send + Sync {
    /// Compares.
    ///
    /// # Errors
    /// The [`Mismatch`], if what was seen is not what was asked for.
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch>;

    /// The names of the variables that this expectation uses, each with its place.
    fn variables(&self) -> Vec<(String, Span)> {
        Vec::new()
    }

    /// Whether the statement is expected to fail.
    fn wants_error(&self) -> bool {
        false
    }

    /// The limit, for expectations about time.
    fn duration(&self) -> Option<Duration> {
        None
    }

    /// What has to be asked of the server besides the statement itself.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}

/// What an expectation has to have asked of the server besides the statement itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// `SHOW WARNINGS` after the statement.
    pub warnings: bool,
    /// `EXPLAIN` of the statement.
    pub plan: bool,
}

impl Needs {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            warnings: self.warnings || other.warnings,
            plan: self.plan || other.plan,
        }
    }
}

/// An expectation as it stands in the file.
#[derive(Debug)]
pub struct Expectation {
    /// Its key, such as `rows`.
    pub key: &'static str,
    /// Where its key stands.
    pub span: Span,
    /// What it holds.
    pub check: Box<dyn Check>,
}

/// Reads the value of an expectation's key; mistakes are added to the list and give `None`.
pub type Read = fn(&Node, &mut Reading<'_>) -> Option<Box<dyn Check>>;

/// What reading an expectation needs: the file, for raw text, and the list of mistakes.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The file that the nodes are of.
    pub file: &'a SourceFile,
    /// Mistakes found so far.
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Reading<'_> {
    pub(crate) fn error(&mut self, node: &Node, message: impl Into<String>, label: impl Into<String>) {
        self.problems
            .push(Diagnostic::error(node.span, message).label(node.span, label));
    }
}

/// One kind of expectation.
#[derive(Debug)]
pub struct Kind {
    /// The key in the file.
    pub key: &'static str,
    /// One line for the schema and the reference.
    pub about: &'static str,
    /// Kinds of one group say the same thing in other ways.
    pub group: &'static str,
    /// The groups that it cannot stand together with.
    pub excludes: &'static [&'static str],
    /// What may stand as its value.
    pub form: Form,
    /// Reads it.
    pub read: Read,
}

/// All kinds of expectation that a result can have, in the order of the reference.
pub const KINDS: &[Kind] = &[
    Kind {
        key: "rows",
        about: "exactly these rows, in this order",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: rows::read,
    },
    Kind {
        key: "unordered",
        about: "exactly these rows, in any order",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: unordered::read,
    },
    Kind {
        key: "row",
        about: "exactly this one row",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Row,
        read: row::read,
    },
    Kind {
        key: "value",
        about: "one row of one column with this value",
        group: "rows",
        excludes: &["rows", "error", "affected", "last_insert_id"],
        form: Form::Value,
        read: value::read,
    },
    Kind {
        key: "count",
        about: "this many rows",
        group: "count",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::Count,
        read: count::read,
    },
    Kind {
        key: "columns",
        about: "the names of the columns",
        group: "columns",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::List(0, &Form::Single),
        read: columns::read,
    },
    Kind {
        key: "contains",
        about: "at least these rows, anywhere",
        group: "contains",
        excludes: &["error", "affected", "last_insert_id"],
        form: Form::Rows,
        read: contains::read,
    },
    Kind {
        key: "affected",
        about: "rows that were changed",
        group: "affected",
        excludes: &["error"],
        form: Form::Count,
        read: affected::read,
    },
    Kind {
        key: "last_insert_id",
        about: "the first value that AUTO_INCREMENT gave",
        group: "last_insert_id",
        excludes: &["error"],
        form: Form::Count,
        read: last_insert_id::read,
    },
    Kind {
        key: "warnings",
        about: "how many warnings, or which",
        group: "warnings",
        excludes: &["error"],
        form: Form::Either(&[Form::Count, Form::List(0, &Form::Error)]),
        read: warnings::read,
    },
    Kind {
        key: "error",
        about: "the statement must fail so",
        group: "error",
        excludes: &[],
        form: Form::Error,
        read: error::read,
    },
    Kind {
        key: "one_of",
        about: "one of these sets of expectations must hold",
        group: "one_of",
        excludes: &[],
        form: Form::List(2, &Form::Expectations),
        read: one_of::read,
    },
    Kind {
        key: "within",
        about: "the longest time until the answer",
        group: "within",
        excludes: &[],
        form: Form::Duration,
        read: duration::read_within,
    },
    Kind {
        key: "at_least",
        about: "the shortest time until the answer",
        group: "at_least",
        excludes: &[],
        form: Form::Duration,
        read: duration::read_at_least,
    },
    Kind {
        key: "plan",
        about: "what EXPLAIN must show, such as an index",
        group: "plan",
        excludes: &["error"],
        form: Form::Object(plan::KEYS, &[]),
        read: plan::read,
    },
];

/// The kind of this key.
#[must_use]
pub fn kind(key: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.key == key)
}

/// Reads expectations from the entries of a mapping that have the key of a kind, and finds those that
/// exclude each other.
pub fn read_all<'n>(
    entries: impl IntoIterator<Item = (&'n Node, &'n Node)>,
    reading: &mut Reading<'_>,
) -> Vec<Expectation> {
    let mut found: Vec<(&'static Kind, Span)> = Vec::new();
    let mut expectations = Vec::new();
    for (key, node) in entries {
        let Some(kind) = key.as_str().and_then(kind) else {
            continue;
        };
        for (earlier, span) in &found {
            if earlier.excludes.contains(&kind.group) || kind.excludes.contains(&earlier.group) {
                let message = format!("`{}` and `{}` exclude each other", earlier.key, kind.key);
                reading.problems.push(
                    Diagnostic::error(key.span, message)
                        .label(key.span, "this one …")
                        .label(*span, "… and this one cannot both hold")
                        .help("keep the one that is meant"),
                );
            }
        }
        found.push((kind, key.span));
        if let Some(check) = (kind.read)(node, reading) {
            let span = key.span;
            expectations.push(Expectation {
                key: kind.key,
                span,
                check,
            });
        }
    }
    expectations
}

/// The result set, or a mismatch that says what came in its place.
fn rows_of<'a>(seen: &Seen<'a>, wanted: &str) -> Result<&'a RowSet, Mismatch> {
    match seen.outcome {
        Outcome::Rows(rows) => Ok(rows),
        other => Err(Mismatch::new(format!(
            "expected {wanted}, got {}",
            describe(other)
        ))),
    }
}

/// An outcome in a few words, for `expected …, got …`.
#[must_use]
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Rows(set) => format!(
            "{} in {}",
            rows_word(set.rows.len()),
            columns_word(set.columns.len())
        ),
        Outcome::Done(done) => format!("no result set ({} affected)", rows_word_u64(done.affected)),
        Outcome::Refused(error) => format!("error {}", describe_error(error)),
        Outcome::TimedOut { limit_ms } => format!("no answer within {limit_ms} ms (the statement was ended)"),
        Outcome::Lost { message } => format!("a lost connection: {message}"),
    }
}

/// An error as `1213 (40001, ER_LOCK_DEADLOCK): text`.
#[must_use]
pub fn describe_error(error: &SqlError) -> String {
    let name = crate::sql::by_code(error.code).map_or("", |entry| entry.name);
    let inside = [error.sqlstate.as_str(), name]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    if inside.is_empty() {
        format!("{}: {}", error.code, error.message)
    } else {
        format!("{} ({}): {}", error.code, inside.join(", "), error.message)
    }
}

pub(crate) fn rows_word(count: usize) -> String {
    rows_word_u64(count as u64)
}

fn rows_word_u64(count: u64) -> String {
    if count == 1 {
        "1 row".to_owned()
    } else {
        format!("{count} rows")
    }
}

fn columns_word(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}
