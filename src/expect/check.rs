//! What an expectation is: something to hold of an outcome, and why it does not hold.

use std::fmt;
use std::time::Duration;

use super::shape::Shape;
use crate::history::{CheckRecord, Outcome, RowSet, SqlError, StepEnd, Vars, describe};
use crate::source::Span;

/// What an expectation may look at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// How the statement ended.
    pub outcome: &'a Outcome,
    /// From sending the statement to its answer.
    pub took: Duration,
    /// The warnings themselves, where an expectation asked for them.
    pub warnings: Option<&'a [SqlError]>,
    /// The plan of the statement as EXPLAIN shows it, where an expectation asked for it.
    pub plan: Option<&'a RowSet>,
    /// The variables as they were before the statement.
    pub vars: &'a Vars,
}

impl<'a> Seen<'a> {
    /// What a step has given.
    pub(crate) fn of_step(end: &'a StepEnd, vars: &'a Vars) -> Self {
        Self {
            outcome: &end.outcome,
            took: Duration::from_micros(end.took_us),
            warnings: end.warnings.as_deref(),
            plan: end.plan.as_ref(),
            vars,
        }
    }

    /// What a query of the final checks, or of `always`, has given.
    pub(crate) fn of_check(record: &'a CheckRecord, vars: &'a Vars) -> Self {
        Self {
            outcome: &record.outcome,
            took: Duration::from_micros(record.took_us),
            warnings: record.warnings.as_deref(),
            plan: record.plan.as_ref(),
            vars,
        }
    }
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

    /// Whether this error may be the one that is expected, by its number and its kind; its text is not looked at.
    fn expects_error(&self, _outcome: &Outcome) -> bool {
        false
    }

    /// How many rows and columns a result can have that meets this, as far as it says.
    fn shape(&self) -> Shape {
        Shape::default()
    }

    /// The keys of the expectations in each of its choices, with their places.
    fn choices(&self) -> Vec<Vec<(&'static str, Span)>> {
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

/// What an expectation has to have asked of the server besides the statement itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// `SHOW WARNINGS` in the same session after the statement; that there were some, its answer says itself.
    pub warnings: bool,
    /// The plan of the statement.
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

/// The result set, or a mismatch that says what came in its place.
pub(super) fn rows_of<'a>(seen: &Seen<'a>, wanted: &str) -> Result<&'a RowSet, Mismatch> {
    match seen.outcome {
        Outcome::Rows(rows) => Ok(rows),
        other => Err(Mismatch::new(format!(
            "expected {wanted}, got {}",
            describe(other)
        ))),
    }
}
