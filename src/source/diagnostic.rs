//! A problem, and the places that it is about.

use super::Span;

/// Whether a file with this problem can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The file can't be run.
    Error,
    /// The file can be run, and probably doesn't do what its author meant.
    Warning,
}

/// A place, and what is to be said about it there. The text may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place in the file.
    pub span: Span,
    /// A few words, drawn beside the caret.
    pub text: String,
}

/// A problem in a file. It holds places, not text, so it is drawn together with its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Diagnostic {
    /// Whether the file can be run.
    pub severity: Severity,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// The first is where the problem is; the others are what it has to do with. A problem with
    /// the file as a whole (missing, too big) has none.
    pub labels: Vec<Label>,
    /// What to write instead. May have several lines.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A problem at `span` because of which the file can't be run.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(span), message)
    }

    /// A problem at `span` that the author should look at.
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(span), message)
    }

    /// A problem with a file as a whole.
    pub fn whole_file(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, None, message)
    }

    fn new(severity: Severity, span: Option<Span>, message: impl Into<String>) -> Self {
        let labels = span.map(|span| Label {
            span,
            text: String::new(),
        });
        Self {
            severity,
            message: message.into(),
            labels: labels.into_iter().collect(),
            help: None,
        }
    }

    /// Says `text` at `span`. At the problem's own place, it is said there; elsewhere the place is
    /// marked as well.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        let text = text.into();
        match self.labels.first_mut() {
            Some(first) if first.span == span && first.text.is_empty() => first.text = text,
            _ => self.labels.push(Label { span, text }),
        }
        self
    }

    /// Says what to write instead.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Where the problem is, if it is at one place.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// Whether the file can't be run because of this.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
