//! A JSON document with the text that it was sent as.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON document. One that came from the server keeps the server's own text, which is what clients see:
/// `{"a": 1}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Json {
    value: Value,
    text: Option<String>,
}

impl Json {
    /// Reads the server's text; nothing where it is no JSON.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let value = serde_json::from_str(text).ok()?;
        Some(Self {
            value,
            text: Some(text.to_owned()),
        })
    }

    /// The document by its structure.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The document by its structure, without its text.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }
}

/// A document as the server writes it: a space behind each comma and colon.
#[must_use]
pub(crate) fn json_text(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), json_text(value))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self { value, text: None }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => write!(f, "{}", self.value),
        }
    }
}

/// A document stands in a document as it is.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from)
    }
}
