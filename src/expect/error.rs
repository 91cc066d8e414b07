//! `error`: the statement must fail, with this number, name, SQLSTATE or text, or be over its limit.

use super::value_pattern::TextPattern;
use super::{Check, Mismatch, Reading, Seen};
use crate::history::{Outcome, SqlError, Vars, describe, describe_error, rows_word_u64};
use crate::scenario::keys::{Form, Key, names};
use crate::source::{Diagnostic, MapReader, Node, NodeKind, Span};
use crate::sql::{by_code, by_name, nearest as nearest_name};

/// The word for a statement that was over its limit.
pub const TIMED_OUT: &str = "timed_out";

/// The keys of the long form of `error`.
pub const KEYS: &[Key] = &[
    (
        "code",
        "the number or name, such as 1213 or ER_LOCK_DEADLOCK",
        Form::Either(&[Form::Whole(1000, 65_535), Form::Words]),
    ),
    ("sqlstate", "the SQLSTATE, such as \"40001\"", Form::Sqlstate),
    (
        "match",
        "a regular expression that the text of the error must match",
        Form::Text,
    ),
];

/// Which error is meant. All parts that are given must hold; none given means any error.
#[derive(Debug, Clone, Default)]
pub struct ErrorPattern {
    code: Option<u16>,
    sqlstate: Option<String>,
    text: Option<(TextPattern, Span)>,
    /// `timed_out`: no error of the server's, but no answer within the step's limit.
    timed_out: bool,
}

impl ErrorPattern {
    /// Reads `1213`, `ER_LOCK_DEADLOCK`, `any`, `timed_out`, or `{code: …, sqlstate: …, match: …}`.
    pub(crate) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        match &node.kind {
            NodeKind::Map(_) => {
                let map = MapReader::new(node, "`error`", &names(KEYS), reading.problems)?;
                let (code, state, text) = (map.get("code"), map.get("sqlstate"), map.get("match"));
                let mut pattern = Self::default();
                if let Some(code) = code {
                    pattern.code = Self::read_code(code, reading).flatten();
                }
                if let Some(state) = state {
                    pattern.sqlstate = Self::read_sqlstate(state, reading);
                }
                if let Some(text) = text {
                    pattern.text = TextPattern::read(text, reading).map(|pattern| (pattern, text.span));
                }
                let known = pattern.code.and_then(by_code);
                if let (Some(known), Some(wanted), Some(node)) = (known, &pattern.sqlstate, state)
                    && known.sqlstate != wanted
                {
                    let label = format!("{} has {}", known.code, known.sqlstate);
                    reading.error(node, "`code` and `sqlstate` exclude each other", label);
                }
                if code.is_none() && state.is_none() && text.is_none() {
                    reading.error(
                        node,
                        "`error: {}` names no error",
                        "write `error: any` for any error",
                    );
                    return None;
                }
                Some(pattern)
            }
            NodeKind::Str(word) if word == TIMED_OUT => Some(Self {
                timed_out: true,
                ..Self::default()
            }),
            _ => Some(Self {
                code: Self::read_code(node, reading)?,
                ..Self::default()
            }),
        }
    }

    fn read_sqlstate(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
        // `false` has five characters, too.
        let state = node.text().filter(|_| !matches!(node.kind, NodeKind::Bool(_)));
        match state.map(|text| text.to_string()) {
            Some(state) if state.len() == 5 && state.chars().all(|c| c.is_ascii_alphanumeric()) => {
                Some(state.to_ascii_uppercase())
            }
            _ => {
                reading.error(
                    node,
                    "an SQLSTATE has five characters",
                    "such as \"40001\", in quotes",
                );
                None
            }
        }
    }

    fn read_code(node: &Node, reading: &mut Reading<'_>) -> Option<Option<u16>> {
        match &node.kind {
            NodeKind::Int(number) => {
                let code = u16::try_from(*number).ok().filter(|code| *code >= 1000);
                if code.is_none() {
                    reading.error(
                        node,
                        format!("{number} is not an error number"),
                        "error numbers are from 1000 to 65535",
                    );
                }
                code.map(Some)
            }
            NodeKind::Str(word) if word == "any" => Some(None),
            NodeKind::Str(name) => match by_name(&reading.plain_text(node, name, "an error's name")?) {
                Some(entry) => Some(Some(entry.code)),
                None => {
                    let problem = Diagnostic::error(node.span, format!("unknown error `{name}`"));
                    let near = nearest_name(name);
                    let label = near.map_or("use the number, such as 1213".to_owned(), |entry| {
                        format!("did you mean `{}` ({})?", entry.name, entry.code)
                    });
                    reading.problems.push(problem.label(node.span, label));
                    None
                }
            },
            _ => {
                let found = node.describe();
                reading.error(
                    node,
                    format!("`error` must be a number, a name, `any` or `timed_out`, not {found}"),
                    "such as `error: 1213`",
                );
                None
            }
        }
    }

    /// The variables of its text, with their places.
    pub(super) fn variables(&self) -> Vec<(String, Span)> {
        let of = |(text, span): &(TextPattern, Span)| -> Vec<(String, Span)> {
            text.variables().map(|name| (name.to_owned(), *span)).collect()
        };
        self.text.as_ref().map(of).unwrap_or_default()
    }

    /// Whether this is the error that is meant.
    #[must_use]
    pub fn matches(&self, error: &SqlError, vars: &Vars) -> bool {
        !self.timed_out
            && self.code.is_none_or(|code| code == error.code)
            && self
                .sqlstate
                .as_ref()
                .is_none_or(|state| *state == error.sqlstate)
            && self
                .text
                .as_ref()
                .is_none_or(|(text, _)| text.is_in(&error.message, vars) == Ok(true))
    }
}

/// Why a statement was not sent.
fn why_unsent(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Lost { message, .. } => message.clone(),
        other => describe(other),
    }
}

impl ErrorPattern {
    /// In words, with the values of its variables.
    pub(super) fn shown_with(&self, vars: &Vars) -> String {
        if self.timed_out {
            return "no answer within its limit".to_owned();
        }
        let mut parts = Vec::new();
        if let Some(code) = self.code {
            let name = by_code(code)
                .map(|entry| format!(" ({})", entry.name))
                .unwrap_or_default();
            parts.push(format!("error {code}{name}"));
        }
        if let Some(state) = &self.sqlstate {
            parts.push(format!("SQLSTATE {state}"));
        }
        if let Some((text, _)) = &self.text {
            parts.push(format!("a text that matches {}", text.shown_with(vars)));
        }
        if parts.is_empty() {
            return "an error".to_owned();
        }
        parts.join(" with ")
    }
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    Some(Box::new(ErrorPattern::read(node, reading)?))
}

impl Check for ErrorPattern {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        if self.timed_out && matches!(seen.outcome, Outcome::TimedOut { .. }) {
            return Ok(());
        }
        // A statement that was not sent has no answer; that the connection is gone has to be said by its number.
        let answered = self.code.is_some() || seen.outcome.answer().is_some();
        let wanted = self.shown_with(seen.vars);
        match seen.outcome.error() {
            Some(error) if answered && self.matches(&error, seen.vars) => Ok(()),
            Some(_) if !answered => Err(Mismatch::new(format!(
                "expected {wanted}, but the statement was not sent: {}",
                why_unsent(seen.outcome)
            ))),
            Some(error) => Err(Mismatch::new(format!(
                "expected {wanted}, got error {}",
                describe_error(&error)
            ))),
            None => Err(Mismatch::new(match seen.outcome {
                Outcome::Rows(_) => format!(
                    "expected {wanted}, but the statement succeeded ({})",
                    describe(seen.outcome)
                ),
                Outcome::Done(done) => format!(
                    "expected {wanted}, but the statement succeeded ({} affected)",
                    rows_word_u64(done.affected)
                ),
                other => format!("expected {wanted}, got {}", describe(other)),
            })),
        }
    }

    fn wants_error(&self) -> bool {
        true
    }

    fn expects_error(&self, outcome: &Outcome) -> bool {
        match outcome.error() {
            _ if self.timed_out => matches!(outcome, Outcome::TimedOut { .. }),
            Some(error) => match self.code {
                Some(code) => code == error.code,
                None => {
                    outcome.answer().is_some()
                        && self
                            .sqlstate
                            .as_ref()
                            .is_none_or(|state| *state == error.sqlstate)
                }
            },
            None => false,
        }
    }

    fn variables(&self) -> Vec<(String, Span)> {
        Self::variables(self)
    }
}
