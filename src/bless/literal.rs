//! Values and names as the language writes them.

use crate::history::{RowSet, SqlValue};

pub(super) fn rows(set: &RowSet) -> String {
    let row = |row: &Vec<SqlValue>| {
        let cells: Vec<String> = row.iter().map(literal).collect();
        format!("[{}]", cells.join(", "))
    };
    let rows: Vec<String> = set.rows.iter().map(row).collect();
    format!("[{}]", rows.join(", "))
}

/// A name as a key in a flow mapping.
pub(super) fn key(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if plain { name.to_owned() } else { json(name) }
}

/// The value of an axis, as trials' names have it.
pub(super) fn scalar(value: &str) -> String {
    let number = value
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == value);
    let plain = number || key(value) == value;
    if plain { value.to_owned() } else { json(value) }
}

/// JSON's strings are YAML's, too.
fn json(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Text in which `${` begins no variable.
fn plain(text: &str) -> String {
    text.replace("${", "$${")
}

/// JSON in whose texts and keys `${` begins no variable.
fn plain_json(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as J;
    match value {
        J::String(text) => J::String(plain(text)),
        J::Array(items) => J::Array(items.iter().map(plain_json).collect()),
        J::Object(entries) => {
            let entries = entries.iter();
            J::Object(
                entries
                    .map(|(key, value)| (plain(key), plain_json(value)))
                    .collect(),
            )
        }
        J::Null | J::Bool(_) | J::Number(_) => value.clone(),
    }
}

/// A value as the language writes it.
pub(super) fn literal(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "null".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Decimal(text) => text.clone(),
        SqlValue::Float(number) => format!("{{about: {number}, within: 0}}"),
        SqlValue::Text(text) | SqlValue::Time(text) => json(&plain(text)),
        SqlValue::Bytes(bytes) if bytes.is_empty() => "!!binary \"\"".to_owned(),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(json) => format!("{{json: {}}}", plain_json(json.value())),
    }
}
