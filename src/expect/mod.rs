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

use crate::history::{Outcome, RowSet, SqlError, Vars, columns_word, describe, rows_word_u64};
use crate::scenario::keys::Form;
use crate::source::{Diagnostic, Node, SourceFile, Span};

pub use error::{ErrorPattern, KEYS as ERROR_KEYS, TIMED_OUT};
pub use template::{Template, TemplateError};
pub use value_pattern::{MATCHERS, ValuePattern, value_of_node};

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

    /// How many rows and columns a result can have that meets this, as far as it says.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// The kinds of expectation in each of its choices, with their places.
    fn choices(&self) -> Vec<Vec<(&'static Kind, Span)>> {
        Vec::new()
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

/// The size of a result, as far as an expectation fixes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// At least this many rows.
    pub rows_min: Option<u64>,
    /// At most this many rows.
    pub rows_max: Option<u64>,
    /// This many columns.
    pub columns: Option<usize>,
}

impl Shape {
    /// This many rows, and columns if they are known.
    #[must_use]
    pub fn of_rows(rows: usize, columns: Option<usize>) -> Self {
        Self {
            rows_min: Some(rows as u64),
            rows_max: Some(rows as u64),
            columns,
        }
    }

    /// Why no result can have both shapes: what the first and what the second asks for.
    fn conflict(&self, other: &Self) -> Option<(String, String)> {
        let below =
            |max: Option<u64>, min: Option<u64>| matches!((max, min), (Some(max), Some(min)) if max < min);
        if below(self.rows_max, other.rows_min) || below(other.rows_max, self.rows_min) {
            return Some((self.rows_in_words(), other.rows_in_words()));
        }
        match (self.columns, other.columns) {
            (Some(one), Some(two)) if one != two => Some((columns_word(one), columns_word(two))),
            _ => None,
        }
    }

    fn rows_in_words(&self) -> String {
        match (self.rows_min, self.rows_max) {
            (Some(min), Some(max)) if min == max => rows_word_u64(min),
            (Some(min), Some(max)) => format!("{min} to {}", rows_word_u64(max)),
            (Some(min), None) => format!("at least {}", rows_word_u64(min)),
            (None, Some(max)) => format!("at most {}", rows_word_u64(max)),
            (None, None) => "any rows".to_owned(),
        }
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
        // One that stands twice is told where the parts of a step are put together.
        let others = found.iter().filter(|(earlier, _)| earlier.key != kind.key);
        for (earlier, span) in others.filter(|(earlier, _)| excludes(earlier, kind)) {
            let message = format!("`{}` and `{}` exclude each other", earlier.key, kind.key);
            reading.problems.push(exclusive(*span, key.span, message));
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
    check_shapes(&expectations, reading);
    check_choices(&found, &expectations, reading);
    check_times(&expectations, reading);
    expectations
}

fn excludes(one: &Kind, other: &Kind) -> bool {
    one.excludes.contains(&other.group) || other.excludes.contains(&one.group)
}

fn exclusive(earlier: Span, later: Span, message: String) -> Diagnostic {
    Diagnostic::error(later, message)
        .label(later, "this one …")
        .label(earlier, "… and this one cannot both hold")
        .help("keep the one that is meant")
}

/// Expectations of which each can hold, but not both: 1 row and 2 rows.
fn check_shapes(expectations: &[Expectation], reading: &mut Reading<'_>) {
    for (number, later) in expectations.iter().enumerate() {
        for earlier in expectations.iter().take(number) {
            // Kinds that never go together are told already.
            let told = match (kind(earlier.key), kind(later.key)) {
                (Some(one), Some(other)) => excludes(one, other),
                _ => false,
            };
            if let (false, Some((one, other))) = (told, earlier.check.shape().conflict(&later.check.shape()))
            {
                let message = format!("`{}` and `{}` exclude each other", earlier.key, later.key);
                let problem = Diagnostic::error(later.span, message)
                    .label(later.span, other)
                    .label(earlier.span, one);
                reading.problems.push(problem.help("keep the one that is meant"));
            }
        }
    }
}

/// Choices of `one_of` that what stands beside it rules out.
fn check_choices(found: &[(&'static Kind, Span)], expectations: &[Expectation], reading: &mut Reading<'_>) {
    for expectation in expectations {
        for (inner, span) in expectation.check.choices().into_iter().flatten() {
            for (beside, other) in found.iter().filter(|(beside, _)| excludes(beside, inner)) {
                let message = format!(
                    "this choice never holds: `{}` and `{}` exclude each other",
                    inner.key, beside.key
                );
                reading.problems.push(exclusive(*other, span, message));
            }
        }
    }
}

fn check_times(expectations: &[Expectation], reading: &mut Reading<'_>) {
    let find = |key: &str| {
        let found = expectations.iter().find(|one| one.key == key)?;
        Some((found.span, found.check.duration()?))
    };
    if let (Some((within, most)), Some((at_least, least))) = (find("within"), find("at_least"))
        && most < least
    {
        let problem = Diagnostic::error(at_least, "`within` is shorter than `at_least`")
            .label(within, "at most this")
            .label(at_least, "and at least this");
        reading.problems.push(problem);
    }
}

/// The values of all, if each has one. Unlike `collect` it looks at all of them, so that every mistake is
/// found.
fn all_of<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
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
