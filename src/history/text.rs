//! Outcomes and values as people read them.

use super::{Outcome, SqlError, SqlValue};

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
        Outcome::TimedOut {
            limit_ms,
            starved: false,
        } => format!("no answer within {limit_ms} ms (the statement was ended)"),
        Outcome::TimedOut {
            limit_ms,
            starved: true,
        } => format!(
            "starvation: the wait would have lasted to the limit of {limit_ms} ms, since the connection that holds the \
             lock takes no more steps or is blocked, too (the statement was ended early)"
        ),
        Outcome::Lost { message, .. } => format!("a lost connection: {message}"),
        Outcome::Unanswered { reason } => format!("no answer of the server: {reason}"),
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

pub(crate) fn rows_word_u64(count: u64) -> String {
    if count == 1 {
        "1 row".to_owned()
    } else {
        format!("{count} rows")
    }
}

pub(crate) fn columns_word(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}

/// A value as a person reads it; text is quoted, so that '3' and 3 are told apart.
#[must_use]
pub fn show(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Float(number) => float_text(*number),
        SqlValue::Decimal(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Text(text) => format!(
            "'{}'",
            text.escape_debug()
                .to_string()
                .replace("\\\"", "\"")
                .replace("\\'", "'")
        ),
        SqlValue::Bytes(bytes) if bytes.is_empty() => "0x (no bytes)".to_owned(),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(json) => json.to_string(),
    }
}

/// Why a wait was not satisfied, line by line; a deadlock cycle is drawn.
pub(crate) fn why_not_satisfied(reasons: &[String], cycle: &[String]) -> Vec<String> {
    if cycle.is_empty() {
        return reasons.iter().map(|reason| format!("  {reason}")).collect();
    }
    let line = |(at, one): (usize, &String)| format!("  {} {one}", if at == 0 { "┌▶" } else { "├▶" });
    let mut lines: Vec<String> = cycle.iter().enumerate().map(line).collect();
    lines.push("  └─ and back to the first one".to_owned());
    lines
}

/// A DOUBLE as the server writes it: with an exponent where it is very large or very small.
#[must_use]
pub(crate) fn float_text(number: f64) -> String {
    const LARGE: f64 = 1e15;
    const SMALL: f64 = 1e-15;
    let size = number.abs();
    if size >= LARGE || size != 0.0 && size < SMALL {
        format!("{number:e}")
    } else {
        number.to_string()
    }
}
