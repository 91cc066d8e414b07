//! Equality and order of values, by SQL type.
//!
//! Both are of three values, as in SQL: what cannot be compared is neither equal nor different, neither more nor less.
//! So an expectation that compares it does not hold, and its negation does not hold either.

use std::cmp::Ordering;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;

use super::json::json_equals;
use super::time::Temporal;
use crate::history::{SqlValue, show};

/// Whether something holds, in three-valued logic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// It can't be told, for this reason.
    Unknown(String),
}

impl Truth {
    /// Yes or no.
    pub fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// The opposite; the opposite of what can't be told can't be told.
    pub fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            unknown @ Self::Unknown(_) => unknown,
        }
    }

    /// Whether all hold.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::Yes;
        for part in parts {
            match part {
                Self::Yes => {}
                Self::No => return Self::No,
                unknown @ Self::Unknown(_) => whole = unknown,
            }
        }
        whole
    }

    /// Whether one of them holds.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::No;
        for part in parts {
            match part {
                Self::Yes => return Self::Yes,
                Self::No => {}
                unknown @ Self::Unknown(_) => whole = unknown,
            }
        }
        whole
    }
}

/// A number of any type by its exact value.
pub(crate) fn number(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some((*number).into()),
        SqlValue::Decimal(text) => BigDecimal::from_str(text).ok(),
        SqlValue::Float(number) => BigDecimal::from_str(&number.to_string()).ok(),
        SqlValue::Json(json) => match json.value() {
            serde_json::Value::Number(number) => BigDecimal::from_str(&number.to_string()).ok(),
            _ => None,
        },
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Time(_) => None,
    }
}

/// Truth as SQL has it: a number other than zero.
pub(crate) fn is_true(value: &SqlValue) -> bool {
    number(value).is_some_and(|number| number != 0)
}

/// What a value is, for messages.
fn kind(value: &SqlValue) -> &'static str {
    match value {
        SqlValue::Null => "NULL",
        SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_) => "a number",
        SqlValue::Text(_) => "text",
        SqlValue::Bytes(_) => "bytes",
        SqlValue::Time(_) => "a time",
        SqlValue::Json(_) => "JSON",
    }
}

fn apart(one: &SqlValue, other: &SqlValue) -> String {
    if [one, other].contains(&&SqlValue::Null) {
        return "NULL has no order".to_owned();
    }
    format!(
        "{} is {}, {} is {}",
        show(one),
        kind(one),
        show(other),
        kind(other)
    )
}

/// Two times, where one of them may be written as text.
fn times(one: &SqlValue, other: &SqlValue) -> Option<Result<Ordering, String>> {
    let (a, b) = match (one, other) {
        (SqlValue::Time(a), SqlValue::Time(b) | SqlValue::Text(b)) => (a, b),
        (SqlValue::Text(a), SqlValue::Time(b)) => (a, b),
        _ => return None,
    };
    let read = |text: &str| Temporal::read(text).ok_or_else(|| format!("'{text}' is no time"));
    Some(match (read(a), read(b)) {
        (Ok(a_time), Ok(b_time)) => a_time
            .order(&b_time)
            .ok_or_else(|| format!("'{a}' and '{b}' are a time of day and a date")),
        (Err(why), _) | (_, Err(why)) => Err(why),
    })
}

/// How two texts are ordered if they are times; nothing where they are none.
pub(super) fn order_as_times(one: &SqlValue, other: &SqlValue) -> Option<Ordering> {
    match (one, other) {
        (SqlValue::Text(one), SqlValue::Text(other)) => Temporal::read(one)?.order(&Temporal::read(other)?),
        _ => None,
    }
}

/// How two values are ordered: numbers by value, times as times (a date is its midnight), text and bytes by their bytes.
///
/// # Errors
/// Why they have no order: NULL has none, and neither have values of different types.
pub(crate) fn order(one: &SqlValue, other: &SqlValue) -> Result<Ordering, String> {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return Ok(one.cmp(&other));
    }
    if let Some(order) = times(one, other) {
        return order;
    }
    let text = |value: &SqlValue| match value {
        SqlValue::Text(text) => Some(text.clone()),
        SqlValue::Json(json) => json.value().as_str().map(str::to_owned),
        _ => None,
    };
    match (one, other) {
        (SqlValue::Bytes(one), SqlValue::Bytes(other)) => Ok(one.cmp(other)),
        _ => match (text(one), text(other)) {
            (Some(one), Some(other)) => Ok(one.cmp(&other)),
            _ => Err(apart(one, other)),
        },
    }
}

/// Whether a value is the one that is wanted. A number equals a number of any type by value, and text only as it was
/// `written`; NULL equals NULL alone, and a JSON null is none.
pub(crate) fn equal(wanted: &SqlValue, written: &str, actual: &SqlValue) -> Truth {
    use SqlValue as V;
    match (wanted, actual) {
        (V::Null, V::Null) => Truth::Yes,
        (V::Null, _) | (_, V::Null) => Truth::No,
        (V::Json(wanted), V::Json(actual)) => Truth::of(json_equals(wanted.value(), actual.value())),
        (_, V::Json(actual)) => Truth::of(equals_json(wanted, actual.value())),
        (V::Json(json), V::Text(actual)) if json.value().is_string() => {
            Truth::of(json.value().as_str() == Some(actual))
        }
        (V::Text(wanted), V::Text(actual)) => Truth::of(wanted == actual),
        (V::Time(wanted), V::Text(actual)) | (V::Text(wanted) | V::Time(wanted), V::Time(actual))
            if wanted == actual =>
        {
            Truth::Yes
        }
        (V::Bytes(wanted), V::Bytes(actual)) => Truth::of(wanted == actual),
        (V::Bytes(wanted), V::Text(actual)) => Truth::of(wanted.as_slice() == actual.as_bytes()),
        (V::Int(_) | V::Decimal(_) | V::Float(_), V::Text(text)) => {
            if written == text {
                return Truth::Yes;
            }
            match BigDecimal::from_str(text.trim()).ok() {
                same @ Some(_) if number(wanted) == same => Truth::Unknown(apart(wanted, actual)),
                _ => Truth::No,
            }
        }
        _ => match (number(wanted), number(actual)) {
            (Some(wanted), Some(actual)) => Truth::of(wanted == actual),
            _ => match times(wanted, actual) {
                Some(Ok(order)) => Truth::of(order == Ordering::Equal),
                Some(Err(why)) => Truth::Unknown(why),
                None => Truth::Unknown(apart(wanted, actual)),
            },
        },
    }
}

/// Whether a document is a value of another type: a JSON string is the text, a JSON number the number, and text in
/// brackets or quotes can only be meant as JSON.
fn equals_json(wanted: &SqlValue, actual: &serde_json::Value) -> bool {
    match wanted {
        SqlValue::Text(text) => {
            let structure = text.trim_start().starts_with(['{', '[', '"']);
            let parsed = serde_json::from_str::<serde_json::Value>(text);
            actual.as_str() == Some(text)
                || structure && parsed.is_ok_and(|wanted| json_equals(&wanted, actual))
        }
        SqlValue::Time(text) => actual.as_str() == Some(text),
        _ => {
            let actual = number(&SqlValue::Json(actual.clone().into()));
            actual.is_some() && number(wanted) == actual
        }
    }
}

/// A value as `match` sees it: what a client is shown.
pub(super) fn plain(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => show(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> SqlValue {
        SqlValue::Time(text.to_owned())
    }

    fn text(text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }

    fn decimal(text: &str) -> SqlValue {
        SqlValue::Decimal(text.to_owned())
    }

    fn json(text: &str) -> SqlValue {
        SqlValue::Json(crate::history::Json::of_text(text).expect("JSON"))
    }

    #[test]
    fn values_are_ordered_by_their_type() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, wanted) in [
            (time("100:00:00"), text("99:00:00"), Some(Greater)),
            (time("-02:00:00"), text("-01:00:00"), Some(Less)),
            (time("2024-01-01"), text("2024-01-01 00:00:00.000"), Some(Equal)),
            (time("2024-01-01 00:00:00.5"), text("2024-01-01"), Some(Greater)),
            (time("2024-01-01 00:00:00"), text("10:00:00"), None),
            (time("2024-01-01"), text("soon"), None),
            (text("10"), text("9"), Some(Less)),
            (text("10"), SqlValue::Int(9), None),
            (
                decimal("9007199254740993"),
                SqlValue::Int(9_007_199_254_740_992),
                Some(Greater),
            ),
            (json("10"), SqlValue::Int(9), Some(Greater)),
            (json("\"b\""), text("a"), Some(Greater)),
            (json("[1]"), json("[2]"), None),
            (SqlValue::Float(-0.0), SqlValue::Int(0), Some(Equal)),
            (SqlValue::Null, SqlValue::Int(0), None),
            (SqlValue::Bytes(vec![1]), SqlValue::Bytes(vec![2]), Some(Less)),
        ] {
            assert_eq!(order(&one, &other).ok(), wanted, "{one:?} against {other:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_neither_equal_nor_different() {
        use SqlValue::{Bytes, Int, Null};
        let known = |one: &SqlValue, other: &SqlValue| match equal(one, &show(one), other) {
            Truth::Yes => Some(true),
            Truth::No => Some(false),
            Truth::Unknown(_) => None,
        };
        for (wanted, actual, same) in [
            (Null, json("null"), Some(false)),
            (Null, Int(0), Some(false)),
            (Int(3), Null, Some(false)),
            (Int(3), text("3"), Some(true)),
            (Int(3), text("3.0"), None),
            (Int(3), text("x"), Some(false)),
            (text("3"), Int(3), None),
            (text("ab"), Bytes(b"ab".to_vec()), None),
            (text("2024-01-01"), time("2024-01-01 00:00:00"), Some(true)),
            (text("01:00"), time("01:00:00.000"), Some(true)),
            (text("never"), time("2024-01-01"), None),
            (Int(1), json("true"), Some(false)),
            (Int(3), json("3.0"), Some(true)),
            (json("\"x\""), text("x"), Some(true)),
        ] {
            assert_eq!(known(&wanted, &actual), same, "{wanted:?} against {actual:?}");
        }
    }
}
