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

/// A value that is longer, as it is shown, is cut in the texts of failures; the JSON record has the whole.
const SHOWN_MAX: usize = 400;
/// So much of a long one is shown from the first place that matters, and so much before it.
const SHOWN_FROM: usize = 120;
const SHOWN_BEFORE: usize = 30;

/// A value as it is shown, cut if it is long.
pub(crate) fn cut_long(shown: &str) -> String {
    cut_at(shown, 0)
}

/// Two values as they are shown, cut if they are long: from a little before the first place where they differ.
pub(crate) fn cut_pair(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    (cut_at(one, same), cut_at(other, same))
}

fn cut_at(shown: &str, place: usize) -> String {
    if shown.len() <= SHOWN_MAX {
        return shown.to_owned();
    }
    let from = place.saturating_sub(SHOWN_BEFORE);
    let before = match from {
        0 => String::new(),
        from => format!("…({from} characters) "),
    };
    let kept: String = shown.chars().skip(from).take(SHOWN_FROM).collect();
    let length = match shown.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) if !inner.contains('\\') => format!("{} bytes", inner.len()),
        _ => format!("{} characters as it is shown", shown.chars().count()),
    };
    format!("{before}{kept}… ({length})")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_where_they_differ() {
        let text = |tail: &str| show(&SqlValue::Text(format!("{}{tail}", "x".repeat(1_048_576))));
        let (one, other) = cut_pair(&text("a"), &text("b"));
        assert!(one.contains("xa'… (1048577 bytes)"), "{one}");
        assert!(other.contains("xb'… (1048577 bytes)"), "{other}");
        let (one, other) = cut_pair(&text(""), "'xy'");
        assert!(
            one.starts_with("'xxx") && one.ends_with("x… (1048576 bytes)"),
            "{one}"
        );
        assert_eq!(other, "'xy'");
        assert!(cut_long(&text("")).len() < SHOWN_MAX);
        let bytes = show(&SqlValue::Bytes(vec![7; 1_000]));
        assert!(cut_long(&bytes).ends_with("… (2002 characters as it is shown)"));
        assert_eq!(cut_long("'short'"), "'short'");
    }
}
