//! What is known while a test file is gone through, and how what is done is noted.

use super::event::{Answer, Event, What};
use super::variables::Variables;
use crate::import::format::{Input, Problem};
use crate::import::origin::Origin;
use crate::source::{Diagnostic, SourceFile, Span};

/// At most so many things are done by one file.
pub(super) const EVENTS_MAX: usize = 10_000;

/// What is set until it is set otherwise.
pub(super) struct Switches {
    pub(super) query_log: bool,
    pub(super) result_log: bool,
    pub(super) info: bool,
    pub(super) abort_on_error: bool,
    pub(super) vertical: bool,
    pub(super) parsing: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            query_log: true,
            result_log: true,
            info: false,
            abort_on_error: true,
            vertical: false,
            parsing: true,
        }
    }
}

/// What is said of the next statement.
#[derive(Default)]
pub(super) struct Next {
    pub(super) errors: Vec<String>,
    pub(super) sorted: bool,
    pub(super) replaced: Vec<usize>,
    pub(super) changed: Option<&'static str>,
}

pub(super) struct Runner<'r, 'p> {
    pub(super) input: &'r Input<'r>,
    pub(super) problems: &'p mut Vec<Problem>,
    /// The file that is read: the first one, or one that it reads.
    pub(super) file: SourceFile,
    /// What is being done.
    pub(super) at: Span,
    pub(super) events: Vec<Event>,
    pub(super) variables: Variables,
    pub(super) current: String,
    pub(super) open: Vec<String>,
    /// Connections that were there at any time.
    pub(super) known: Vec<String>,
    pub(super) comments: Vec<String>,
    pub(super) answer: Next,
    pub(super) switches: Switches,
    pub(super) pending_send: bool,
    /// Whether something was left out since the last event that may print.
    pub(super) unsure: bool,
    pub(super) ended: bool,
    pub(super) depth: usize,
}

impl Runner<'_, '_> {
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            diagnostic: Diagnostic::error(span, message).label(span, label),
        });
    }

    pub(super) fn note(&mut self, text: impl AsRef<str>) {
        let origin = Origin::of(&self.file, self.at);
        self.comments.push(origin.note(text));
    }

    /// Says what is left out, and that it may print something.
    pub(super) fn left_out(&mut self, text: impl AsRef<str>) {
        self.note(text);
        self.unsure = true;
    }

    pub(super) fn event(&mut self, what: What, span: Span, echo: Option<String>) {
        if self.events.len() == EVENTS_MAX {
            self.error(
                span,
                format!("this file does more than {EVENTS_MAX} things"),
                "a loop of such a length is better written with `repeat`, in `states`",
            );
            self.ended = true;
        }
        self.events.push(Event {
            what,
            connection: self.current.clone(),
            origin: Origin::of(&self.file, span),
            comments: std::mem::take(&mut self.comments),
            unsure: std::mem::take(&mut self.unsure),
            echo,
            answer: None,
        });
    }

    /// The event that was noted last has an answer, of which this was said.
    pub(super) fn answered(&mut self) {
        let next = std::mem::take(&mut self.answer);
        let answer = Answer {
            errors: next.errors,
            sorted: next.sorted,
            replaced: next.replaced,
            changed: next.changed,
            logged: self.switches.result_log,
            info: self.switches.info,
            forgiving: !self.switches.abort_on_error,
        };
        if let Some(event) = self.events.last_mut() {
            event.answer = Some(answer);
        }
    }

    /// A name behind a command, which may be a variable.
    pub(super) fn argument(&self, rest: &str) -> String {
        let rest = rest.trim_end_matches(';').trim();
        self.variables
            .expand(rest)
            .known()
            .unwrap_or_else(|| rest.to_owned())
    }
}
