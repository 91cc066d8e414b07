//! The conditions of `if` and `while`, and the sums of `expr`, as far as they are known when a file is imported.

use super::variables::{Value, Variables, name_at};

/// Whether a condition holds; none where that is known only when the test runs.
pub(super) fn holds(condition: &str, variables: &Variables) -> Option<bool> {
    let condition = condition.trim();
    for sign in ["==", "!=", "<=", ">=", "<", ">"] {
        // A query in backquotes may have such signs.
        let Some((left, right)) = condition.split_once(sign).filter(|(left, _)| !left.contains('`')) else {
            continue;
        };
        let (left, right) = (value(left, variables)?, value(right, variables)?);
        let numbers = left.parse::<i64>().ok().zip(right.parse::<i64>().ok());
        return Some(match (sign, numbers) {
            ("==", Some((left, right))) => left == right,
            ("!=", Some((left, right))) => left != right,
            ("<=", Some((left, right))) => left <= right,
            (">=", Some((left, right))) => left >= right,
            ("<", Some((left, right))) => left < right,
            (">", Some((left, right))) => left > right,
            ("==", None) => left == right,
            ("!=", None) => left != right,
            _ => return None,
        });
    }
    match condition.strip_prefix('!') {
        Some(rest) => value(rest, variables).map(|value| !is_true(&value)),
        None => value(condition, variables).map(|value| is_true(&value)),
    }
}

/// A variable's value, or a text.
fn value(text: &str, variables: &Variables) -> Option<String> {
    let text = text.trim();
    if text.starts_with('`') {
        return None;
    }
    if let Some(name) = text.strip_prefix('$') {
        return match variables.get(name_at(name)) {
            Some(Value::Known(value)) => Some(value.clone()),
            // What was never set is empty.
            None => Some(String::new()),
            Some(Value::Saved(_) | Value::Session(_) | Value::Unknown) => None,
        };
    }
    let quoted = |mark: char| text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
    Some(quoted('\'').or(quoted('"')).unwrap_or(text).to_owned())
}

fn is_true(value: &str) -> bool {
    let value = value.trim();
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        return digits[..end].bytes().any(|byte| byte != b'0');
    }
    !value.is_empty()
}

/// `$a + $b`; none where a value is not known.
pub(super) fn sum(expression: &str, variables: &Variables) -> Option<String> {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let [left, sign, right] = words.as_slice() else {
        return None;
    };
    let number = |text: &str| value(text, variables)?.parse::<i64>().ok();
    let (left, right) = (number(left)?, number(right)?);
    let result = match *sign {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" => left.checked_div(right),
        "%" => left.checked_rem(right),
        "&&" => Some(i64::from(left != 0 && right != 0)),
        "||" => Some(i64::from(left != 0 || right != 0)),
        "&" => Some(left & right),
        "|" => Some(left | right),
        "^" => Some(left ^ right),
        _ => None,
    };
    result.map(|result| result.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_as_far_as_they_are_known() {
        let mut variables = Variables::new();
        variables.set("i", Value::Known("3".to_owned()));
        variables.set("word", Value::Known("yes".to_owned()));
        variables.set("later", Value::Saved("later".to_owned()));
        for (condition, wanted) in [
            ("$i", Some(true)),
            ("!$i", Some(false)),
            ("0", Some(false)),
            ("$never", Some(false)),
            ("$i <= 3", Some(true)),
            ("$i > 10", Some(false)),
            ("$word == 'yes'", Some(true)),
            ("$word != no", Some(true)),
            ("$word < no", None),
            ("$later", None),
            ("`select 1 = 1`", None),
            ("!`select 1`", None),
        ] {
            assert_eq!(holds(condition, &variables), wanted, "{condition}");
        }
        assert_eq!(sum("$i * 4", &variables).as_deref(), Some("12"));
        assert_eq!(sum("$i / 0", &variables), None);
    }
}
