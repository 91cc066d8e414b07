//! The parameters of a handler: what stands below `with` in a scenario file.

use figment::Figment;
use figment::error::Kind;
use figment::providers::Serialized;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::suggest::suggestion;

/// Parameters of a handler.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct With(Value);

/// A parameter that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .path.iter().fold("with".to_owned(), |path, key| path + "." + key) + ": ")]
pub struct WithError {
    /// The keys that lead to it, outermost first; empty for `with` as a whole.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
}

impl WithError {
    /// An error at `path`, keys with `.` between them; empty for `with` as a whole.
    pub fn at(path: &str, message: impl Into<String>) -> Self {
        let keys = path.split('.').filter(|key| !key.is_empty());
        Self {
            path: keys.map(str::to_owned).collect(),
            message: message.into(),
        }
    }
}

impl With {
    /// Parameters; `null` is none.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// As they stand there.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// One parameter; the path is keys with `.` between them.
    ///
    /// # Errors
    /// [`WithError`] where it is missing or of another type.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, WithError> {
        self.get_if_there(path)?
            .ok_or_else(|| WithError::at(path, "it is missing"))
    }

    /// One parameter, or `otherwise` where it is missing.
    ///
    /// # Errors
    /// [`WithError`] where it is there and of another type.
    pub fn get_or<T: DeserializeOwned>(&self, path: &str, otherwise: T) -> Result<T, WithError> {
        Ok(self.get_if_there(path)?.unwrap_or(otherwise))
    }

    /// One parameter, if it is there.
    ///
    /// # Errors
    /// [`WithError`] where it is there and of another type.
    pub fn get_if_there<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, WithError> {
        let mut found = &self.0;
        for key in path.split('.') {
            match found.get(key) {
                Some(inner) => found = inner,
                None => return Ok(None),
            }
        }
        if found.is_null() {
            return Ok(None);
        }
        serde_json::from_value(found.clone())
            .map(Some)
            .map_err(|error| WithError::at(path, error.to_string()))
    }

    /// All of them, as a type of one's own; give it `#[serde(deny_unknown_fields)]`.
    ///
    /// # Errors
    /// [`WithError`] at the first key that is wrong, missing or not known.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, WithError> {
        let value = match &self.0 {
            Value::Null => Value::Object(serde_json::Map::new()),
            value @ Value::Object(_) => value.clone(),
            _ => return Err(WithError::at("", "it must be a mapping of keys")),
        };
        Figment::from(Serialized::defaults(value))
            .extract()
            .map_err(|error| {
                let message = match &error.kind {
                    Kind::UnknownField(field, known) => {
                        let known = suggestion(field, known.iter().copied());
                        format!("unknown key `{field}`; {known}")
                    }
                    Kind::MissingField(field) => format!("`{field}` is missing"),
                    Kind::InvalidType(actual, wanted) => format!("it must be {wanted}, not {actual}"),
                    kind => kind.to_string(),
                };
                WithError {
                    path: error.path,
                    message,
                }
            })
    }

    /// Refuses keys that are not known, so that a misspelt one is not passed over.
    ///
    /// # Errors
    /// [`WithError`] at the first one, with the nearest key that is known.
    pub fn only(&self, known: &[&str]) -> Result<(), WithError> {
        let Value::Object(keys) = &self.0 else {
            return if self.0.is_null() {
                Ok(())
            } else {
                Err(WithError::at("", "it must be a mapping of keys"))
            };
        };
        match keys.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let known = suggestion(key, known.iter().copied());
                Err(WithError {
                    path: vec![key.clone()],
                    message: format!("unknown key; {known}"),
                })
            }
        }
    }
}
