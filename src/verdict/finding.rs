//! What did not hold.

use super::at_end::AtEnd;
use crate::expect::{Expectation, Mismatch, ValuePattern};
use crate::history::SqlValue;
use crate::source::Span;

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held.
    Passed,
    /// Something did not hold: one finding at the least.
    Failed(Vec<Finding>),
}

/// One thing that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the file says what should hold.
    pub span: Span,
    /// Said at that place.
    pub label: String,
    /// One line: expected …, got ….
    pub message: String,
    /// Other places that have to do with it.
    pub also: Vec<(Span, String)>,
    /// More lines, such as a table of rows.
    pub detail: Option<String>,
    /// Whether the server itself is to blame, so that its log is of interest.
    pub server: bool,
}

impl Finding {
    /// Something that does not hold at a place of the file, for those who judge more than one run.
    #[must_use]
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(span, message)
    }

    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            label: String::new(),
            message: message.into(),
            also: Vec::new(),
            detail: None,
            server: false,
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// What an expectation found, at its place.
pub(super) fn of_mismatch(expectation: &Expectation, mismatch: Mismatch, before: &str) -> Finding {
    let span = mismatch.span.unwrap_or(expectation.span);
    let mut finding = Finding::new(span, format!("{before}{}", mismatch.message));
    finding = finding.label(format!("`{}` does not hold", expectation.key));
    finding.detail = mismatch.detail;
    finding
}

/// Something that was counted.
pub(super) fn count(
    what: &str,
    got: usize,
    span: Span,
    pattern: &ValuePattern,
    end: &AtEnd<'_>,
    findings: &mut Vec<Finding>,
) {
    let number = SqlValue::Int(got as i128);
    if !pattern.matches(&number, &end.vars) {
        let wanted = pattern.shown_with(&end.vars);
        let doubt = pattern.doubt(&number, &end.vars);
        findings.push(Finding::new(
            span,
            format!("expected {wanted} × {what}, got {got}{doubt}"),
        ));
    }
}
