//! `warnings`: how many the statement gave, or which.

use super::error::{ErrorPattern, TIMED_OUT};
use super::kind::all_of;
use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Needs, Reading, Seen};
use crate::history::{Outcome, SqlError, SqlValue, describe, describe_error};
use crate::source::{Entry, Node, NodeKind, Span};
use crate::sql::by_code;

#[derive(Debug)]
enum Warnings {
    Count(ValuePattern),
    These(Vec<ErrorPattern>),
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    if let NodeKind::Seq(items) = &node.kind {
        let patterns = all_of(items.iter().map(|item| ErrorPattern::read(item, reading)))?;
        if let Some(item) = items.iter().find(|item| item.as_map().is_some_and(names_state)) {
            let label = "SHOW WARNINGS returns the number and the text only";
            reading.error(item, "a warning has no SQLSTATE", label);
            return None;
        }
        if let Some(item) = items.iter().find(|item| item.as_str() == Some(TIMED_OUT)) {
            reading.error(item, "`timed_out` is not a warning", "leave it out");
            return None;
        }
        return Some(Box::new(Warnings::These(patterns)));
    }
    let pattern = ValuePattern::read_number(node, reading)?;
    Some(Box::new(Warnings::Count(pattern)))
}

/// A warning as `1292 (ER_TRUNCATED_WRONG_VALUE)`.
fn number_and_name(warning: &SqlError) -> String {
    match by_code(warning.code) {
        Some(entry) => format!("{} ({})", warning.code, entry.name),
        None => warning.code.to_string(),
    }
}

fn names_state(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.key.as_str() == Some("sqlstate"))
}

impl Check for Warnings {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let counted = match seen.outcome {
            Outcome::Rows(set) => set.warning_count,
            Outcome::Done(done) => done.warning_count,
            Outcome::Refused(_)
            | Outcome::TimedOut { .. }
            | Outcome::Lost { .. }
            | Outcome::Unanswered { .. } => {
                return Err(Mismatch::new(format!(
                    "expected a result with warnings, got {}",
                    describe(seen.outcome)
                )));
            }
        };
        let texts = || {
            let texts = seen.warnings.unwrap_or_default().iter().map(describe_error);
            texts.collect::<Vec<_>>().join("\n")
        };
        match self {
            Self::Count(pattern) => {
                if pattern.matches(&SqlValue::Int(counted.into()), seen.vars) {
                    return Ok(());
                }
                let wanted = pattern.shown_with(seen.vars);
                Err(Mismatch::new(format!("expected {wanted} warnings, got {counted}")).detail(texts()))
            }
            Self::These(patterns) => {
                let Some(actual) = seen.warnings else {
                    return Err(Mismatch::new("the server did not show its warnings"));
                };
                let same = actual.len() == patterns.len()
                    && patterns
                        .iter()
                        .zip(actual)
                        .all(|(pattern, warning)| pattern.matches(warning, seen.vars));
                if same {
                    return Ok(());
                }
                let wanted = patterns
                    .iter()
                    .map(|pattern| {
                        pattern
                            .shown_with(seen.vars)
                            .trim_start_matches("error ")
                            .to_owned()
                    })
                    .collect::<Vec<_>>()
                    .join(", ");
                let got: Vec<String> = actual.iter().map(number_and_name).collect();
                let got = got.join(", ");
                let message = format!("expected warnings [{wanted}], got [{got}]");
                Err(Mismatch::new(message).detail(texts()))
            }
        }
    }

    fn variables(&self) -> Vec<(String, Span)> {
        match self {
            Self::Count(pattern) => pattern.variables(),
            Self::These(patterns) => patterns.iter().flat_map(ErrorPattern::variables).collect(),
        }
    }

    fn needs(&self) -> Needs {
        // Their number comes with the answer; to ask for more would change what the next statement sees.
        Needs {
            warnings: matches!(self, Self::These(_)),
            ..Needs::default()
        }
    }
}
