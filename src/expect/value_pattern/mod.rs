//! One expected value: a literal that compares by SQL type, or a matcher.

mod json;
mod reading;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use regex::Regex;

use super::Reading;
use super::template::Template;
use crate::history::{SqlValue, Vars, show};
use crate::source::{Node, NodeKind, Span};
use json::{filled, json_equals, json_of};

pub use reading::MATCHERS;
pub(crate) use reading::read_regex;

/// An expected value with its place in the file.
#[derive(Debug, Clone)]
pub struct ValuePattern {
    /// Where it stands.
    pub span: Span,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// A literal, with its text as it was written (`0123` is 123 but equals the text '0123').
    Literal(SqlValue, String),
    Bool(bool),
    /// `0x…`: bytes, or the number of a BIT column.
    Hex(Vec<u8>, String),
    Variable(Template, String),
    Any,
    Match(Regex),
    Compare(Vec<(Relation, BigDecimalOrText)>),
    OneOf(Vec<ValuePattern>),
    Not(Box<ValuePattern>),
    About {
        value: f64,
        within: f64,
    },
    /// A document, and the templates of its texts where one of them names a variable.
    Json(serde_json::Value, Vec<Template>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
        }
    }
}

#[derive(Debug, Clone)]
enum BigDecimalOrText {
    Number(BigDecimal),
    /// Times and dates order as text; text compares by its bytes.
    Text(String),
}

impl fmt::Display for BigDecimalOrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

impl ValuePattern {
    /// Whether a value that the server gave is the one that is meant.
    #[must_use]
    pub fn matches(&self, actual: &SqlValue, vars: &Vars) -> bool {
        match &self.shape {
            Shape::Literal(wanted, raw) => literal_equals(wanted, raw, actual),
            Shape::Bool(flag) => match actual {
                SqlValue::Int(number) => *number == i128::from(*flag),
                SqlValue::Json(json) => *json == serde_json::Value::Bool(*flag),
                _ => false,
            },
            Shape::Hex(bytes, _) => match actual {
                SqlValue::Bytes(actual) => actual == bytes,
                SqlValue::Text(actual) => actual.as_bytes() == bytes.as_slice(),
                SqlValue::Int(actual) => {
                    bytes.len() <= 15
                        && bytes.iter().fold(0, |sum, byte| (sum << 8) | i128::from(*byte)) == *actual
                }
                _ => false,
            },
            Shape::Variable(template, _) => template.value(vars).is_ok_and(|wanted| {
                let raw = plain(&wanted);
                literal_equals(&wanted, &raw, actual)
            }),
            Shape::Any => true,
            Shape::Match(regex) => !matches!(actual, SqlValue::Null) && regex.is_match(&plain(actual)),
            Shape::Compare(relations) => relations
                .iter()
                .all(|(relation, bound)| order(actual, bound).is_some_and(|order| relation.holds(order))),
            Shape::OneOf(choices) => choices.iter().any(|choice| choice.matches(actual, vars)),
            Shape::Not(inner) => !inner.matches(actual, vars),
            Shape::About { value, within } => number(actual)
                .and_then(|number| number.to_string().parse::<f64>().ok())
                .is_some_and(|actual| (actual - value).abs() <= *within),
            Shape::Json(wanted, templates) => match actual {
                SqlValue::Json(actual) if templates.is_empty() => json_equals(wanted, actual),
                SqlValue::Json(actual) => json_equals(&filled(wanted, vars), actual),
                _ => false,
            },
        }
    }

    /// The pattern with its variables' values, for `expected …`.
    pub(crate) fn shown_with(&self, vars: &Vars) -> String {
        match &self.shape {
            Shape::Variable(template, text) => match template.value(vars) {
                Ok(value) => format!("{} (from `{text}`)", show(&value)),
                Err(name) => format!("`{text}` (`{name}` has no value)"),
            },
            Shape::Json(json, templates) if !templates.is_empty() => filled(json, vars).to_string(),
            _ => self.to_string(),
        }
    }

    /// The variables that it uses, with their places.
    pub(crate) fn variables(&self) -> Vec<(String, Span)> {
        match &self.shape {
            Shape::Variable(template, _) => template
                .variables()
                .map(|(name, _)| (name.to_owned(), self.span))
                .collect(),
            Shape::OneOf(choices) => choices.iter().flat_map(Self::variables).collect(),
            Shape::Not(inner) => inner.variables(),
            Shape::Literal(..) | Shape::Bool(_) | Shape::Hex(..) | Shape::Any | Shape::Match(_) => Vec::new(),
            Shape::Compare(_) | Shape::About { .. } => Vec::new(),
            Shape::Json(_, templates) => templates
                .iter()
                .flat_map(Template::variables)
                .map(|(name, _)| (name.to_owned(), self.span))
                .collect(),
        }
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Literal(value, _) => f.write_str(&show(value)),
            Shape::Bool(flag) => write!(f, "{flag}"),
            Shape::Hex(_, text) | Shape::Variable(_, text) => f.write_str(text),
            Shape::Any => f.write_str("anything"),
            Shape::Match(regex) => write!(f, "/{regex}/"),
            Shape::Compare(relations) => {
                let parts = relations
                    .iter()
                    .map(|(relation, bound)| format!("{} {bound}", relation.sign()));
                f.write_str(&parts.collect::<Vec<_>>().join(" and "))
            }
            Shape::OneOf(choices) => {
                let choices = choices.iter().map(ToString::to_string).collect::<Vec<_>>();
                write!(f, "one of {}", choices.join(", "))
            }
            Shape::Not(inner) => write!(f, "not {inner}"),
            Shape::About { value, within } => write!(f, "about {value} (within {within})"),
            Shape::Json(json, _) => write!(f, "{json}"),
        }
    }
}

fn order(actual: &SqlValue, bound: &BigDecimalOrText) -> Option<Ordering> {
    match (bound, actual) {
        (BigDecimalOrText::Number(bound), _) => number(actual).map(|actual| actual.cmp(bound)),
        (BigDecimalOrText::Text(bound), SqlValue::Text(actual) | SqlValue::Time(actual)) => {
            Some(actual.cmp(bound))
        }
        (BigDecimalOrText::Text(_), _) => None,
    }
}

fn number(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some((*number).into()),
        SqlValue::Decimal(text) => BigDecimal::from_str(text).ok(),
        SqlValue::Float(number) => BigDecimal::from_str(&number.to_string()).ok(),
        SqlValue::Json(serde_json::Value::Number(number)) => BigDecimal::from_str(&number.to_string()).ok(),
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Time(_) | SqlValue::Json(_) => {
            None
        }
    }
}

/// Equality by SQL type: a number equals any numeric type by value, and text only as it was written.
fn literal_equals(wanted: &SqlValue, raw: &str, actual: &SqlValue) -> bool {
    match (wanted, actual) {
        (SqlValue::Null, SqlValue::Null) => true,
        (SqlValue::Null, SqlValue::Json(json)) => json.is_null(),
        (SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_), SqlValue::Text(actual)) => {
            raw == actual
        }
        (SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_), _) => {
            number(wanted).is_some_and(|wanted| number(actual) == Some(wanted))
        }
        (SqlValue::Text(wanted), SqlValue::Text(actual) | SqlValue::Time(actual)) => wanted == actual,
        (SqlValue::Text(wanted), SqlValue::Json(actual)) => {
            // `"3"` is text and no number; what is in brackets or quotes can only be meant as JSON.
            let structure = wanted.trim_start().starts_with(['{', '[', '"']);
            let parsed = serde_json::from_str::<serde_json::Value>(wanted);
            actual.as_str() == Some(wanted)
                || structure && parsed.is_ok_and(|wanted| json_equals(&wanted, actual))
        }
        (SqlValue::Time(wanted), SqlValue::Time(actual) | SqlValue::Text(actual)) => wanted == actual,
        (SqlValue::Bytes(wanted), SqlValue::Bytes(actual)) => wanted == actual,
        (SqlValue::Bytes(wanted), SqlValue::Text(actual)) => wanted.as_slice() == actual.as_bytes(),
        (SqlValue::Json(wanted), SqlValue::Json(actual)) => json_equals(wanted, actual),
        (
            SqlValue::Null | SqlValue::Text(_) | SqlValue::Time(_) | SqlValue::Bytes(_) | SqlValue::Json(_),
            _,
        ) => false,
    }
}

/// A scalar, list or mapping of a file as a value, such as for a variable or a parameter.
#[must_use]
pub fn value_of_node(node: &Node) -> Option<SqlValue> {
    Some(match &node.kind {
        NodeKind::Null => SqlValue::Null,
        NodeKind::Bool(flag) => SqlValue::Int((*flag).into()),
        NodeKind::Int(number) => SqlValue::Int(*number),
        NodeKind::Decimal(text) => SqlValue::Decimal(text.clone()),
        NodeKind::Hex(text) => {
            let digits = text.trim_start_matches("0x").trim_start_matches("0X");
            SqlValue::Bytes(hex::decode(digits).ok()?)
        }
        NodeKind::Str(text) => SqlValue::Text(text.clone()),
        NodeKind::Binary(bytes) => SqlValue::Bytes(bytes.clone()),
        NodeKind::Seq(_) | NodeKind::Map(_) => SqlValue::Json(json_of(node)?),
    })
}

fn plain(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => show(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, parse};

    fn check(yaml: &str, actual: &SqlValue) -> bool {
        let file = SourceFile::new("t.yaml", yaml);
        let parsed = parse(&file);
        let root = parsed.root.expect("YAML");
        let mut problems = Vec::new();
        let mut reading = Reading {
            file: &file,
            problems: &mut problems,
        };
        let pattern = ValuePattern::read(&root, &mut reading).expect("a pattern");
        let vars = Vars::from([("x".to_owned(), SqlValue::Int(7))]);
        pattern.matches(actual, &vars)
    }

    fn text(text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }

    fn decimal(text: &str) -> SqlValue {
        SqlValue::Decimal(text.to_owned())
    }

    #[test]
    fn values_compare_by_sql_type() {
        let json = |text: &str| SqlValue::Json(serde_json::from_str(text).expect("JSON"));
        for (yaml, actual, equal) in [
            ("3", SqlValue::Int(3), true),
            ("3", decimal("3.00"), true),
            ("3", SqlValue::Int(4), false),
            ("'3'", SqlValue::Int(3), false),
            ("'3'", text("3"), true),
            ("3", text("3"), true),
            ("3", text("3.0"), false),
            ("0123", text("123"), false),
            ("1.10", decimal("1.1"), true),
            ("1.10", decimal("1.11"), false),
            ("1.5", SqlValue::Float(1.5), true),
            ("{about: 1.5, within: 0.01}", SqlValue::Float(1.505), true),
            ("{about: 1.5, within: 0.01}", SqlValue::Float(1.52), false),
            ("null", SqlValue::Null, true),
            ("null", SqlValue::Int(0), false),
            ("''", SqlValue::Null, false),
            ("true", SqlValue::Int(1), true),
            ("true", SqlValue::Int(2), false),
            ("2024-01-02", SqlValue::Time("2024-01-02".to_owned()), true),
            ("0x6162", SqlValue::Bytes(b"ab".to_vec()), true),
            ("0x05", SqlValue::Int(5), true),
            ("ab", SqlValue::Bytes(b"ab".to_vec()), false),
            ("!!binary YWI=", SqlValue::Bytes(b"ab".to_vec()), true),
            (
                "{a: 1, b: [true, null]}",
                json(r#"{"b": [true, null], "a": 1.0}"#),
                true,
            ),
            ("{a: 1}", json(r#"{"a": 2}"#), false),
            ("'{\"a\": 1}'", json(r#"{"a": 1}"#), true),
            ("{json: {any: true}}", json(r#"{"any": true}"#), true),
            ("{any: true}", SqlValue::Null, true),
            ("{match: \"^a\"}", text("abc"), true),
            ("{match: \"^a\"}", text("bc"), false),
            ("{gt: 5}", SqlValue::Int(6), true),
            ("{gt: 5}", SqlValue::Int(5), false),
            ("{gt: 5}", SqlValue::Null, false),
            ("{between: [1, 9]}", SqlValue::Int(9), true),
            ("{between: [1, 9]}", SqlValue::Int(10), false),
            ("{one_of: [1, 2]}", SqlValue::Int(2), true),
            ("{one_of: [1, 2]}", SqlValue::Int(3), false),
            ("{not: null}", SqlValue::Int(3), true),
            ("{not: null}", SqlValue::Null, false),
            ("${x}", SqlValue::Int(7), true),
            ("${x}", SqlValue::Int(8), false),
            ("18446744073709551615", SqlValue::Int(u64::MAX.into()), true),
        ] {
            assert_eq!(check(yaml, &actual), equal, "{yaml} against {actual:?}");
        }
    }
}
