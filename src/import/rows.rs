//! Results as other tools print them, as expectations.

use super::dialect::is_ordered;
use super::draft::Value;
use crate::sql::{Kind, classify, verb};

/// The rows of a query: in this order where the query says one, in any order otherwise. A database that is not
/// asked for an order promises none.
pub(super) fn rows(query: &str, rows: Vec<Vec<Value>>) -> (&'static str, Value) {
    let in_order = rows.len() < 2 || is_ordered(query);
    let key = if in_order { "rows" } else { "unordered" };
    (key, Value::List(rows.into_iter().map(Value::List).collect()))
}

/// Whether a statement gives rows, if it gives no error.
pub(super) fn is_query(sql: &str) -> bool {
    match classify(sql).kind {
        Kind::Select { .. } | Kind::GetLock { .. } | Kind::ReleaseLock { .. } | Kind::Sleep => {
            verb(sql).as_deref() != Some("do")
        }
        Kind::Execute => true,
        _ => matches!(
            verb(sql).as_deref(),
            Some(
                "show"
                    | "explain"
                    | "desc"
                    | "describe"
                    | "table"
                    | "values"
                    | "check"
                    | "checksum"
                    | "analyze"
                    | "optimize"
                    | "repair"
                    | "admin"
                    | "trace"
                    | "call"
                    | "with"
                    | "split"
            )
        ),
    }
}

/// A printed value: digits are a number, which equals a number of any type and the text that is written the same.
pub(super) fn cell(text: &str) -> Value {
    if text == "NULL" {
        Value::Null
    } else if is_number(text) {
        Value::Number(text.to_owned())
    } else {
        Value::text(super::sql_text::literal(text))
    }
}

/// A number whose text is not changed where YAML reads it as one.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let signed = |text: &str| digits(text.strip_prefix(['-', '+']).unwrap_or(text));
    digits(whole)
        && !(whole.len() > 1 && whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(signed)
        && text.len() <= 38
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_numbers_unless_yaml_would_change_them() {
        for (text, number) in [
            ("0", true),
            ("-12", true),
            ("1.50", true),
            ("1e10", true),
            ("1.5e-7", true),
            ("0123", false),
            ("1.", false),
            (".5", false),
            ("+5", false),
            ("", false),
            ("-", false),
            ("0x1f", false),
            ("2024-01-02", false),
        ] {
            assert_eq!(is_number(text), number, "{text}");
        }
    }

    #[test]
    fn an_order_is_expected_only_where_the_query_says_one() {
        let two = || vec![vec![cell("1")], vec![cell("2")]];
        assert_eq!(rows("select a from t order by a", two()).0, "rows");
        assert_eq!(rows("select a from t", two()).0, "unordered");
        assert_eq!(
            rows("select a from (select a from t order by a) x", two()).0,
            "unordered"
        );
        assert_eq!(rows("select a from t", Vec::new()).0, "rows");
    }
}
