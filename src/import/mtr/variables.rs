//! The variables of a test file: those whose value is known when it is imported, and those that a query fills.

use std::collections::BTreeMap;

use crate::import::names::{Names, Use};
use crate::import::sql_text::literal;

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Its value is known.
    Known(String),
    /// It is kept of a query's answer, under this name.
    Saved(String),
    /// It is the number of this connection's session.
    Session(String),
    /// Nothing is known of it.
    Unknown,
}

/// All of them. Names are the same in any case.
#[derive(Debug)]
pub(super) struct Variables {
    values: BTreeMap<String, Value>,
    names: Names,
}

/// Stands for a value that is not known, in a text as it is printed.
pub(super) const UNKNOWN: char = '\0';

/// A text with variables in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    /// As this language has it.
    pub text: String,
    /// As the tool prints it; [`UNKNOWN`] stands for what is not known.
    pub printed: String,
    /// Variables of which nothing is known.
    pub unknown: Vec<String>,
}

impl Variables {
    pub(super) fn new() -> Self {
        Self {
            values: BTreeMap::new(),
            names: Names::new(Use::Variable),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_ascii_lowercase(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(&name.to_ascii_lowercase())
    }

    /// The name under which this connection keeps a variable.
    pub(super) fn saved_name(&mut self, name: &str, connection: &str) -> String {
        self.names.of(name, connection)
    }

    /// Puts values in the place of variables.
    pub(super) fn expand(&self, text: &str) -> Expanded {
        let mut found = Expanded::default();
        let mut rest = text;
        while let Some(at) = rest.find(['$', '\\']) {
            found.plain(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("\\$") {
                found.plain("$");
                rest = after;
                continue;
            }
            let name = match rest.strip_prefix('$') {
                Some(after) => name_at(after),
                None => "",
            };
            if name.is_empty() {
                let (one, after) = rest.split_at(1);
                found.plain(one);
                rest = after;
                continue;
            }
            match self.get(name) {
                Some(Value::Known(value)) => found.plain(value),
                Some(Value::Saved(ours)) => {
                    found.text.push_str(&format!("${{{ours}}}"));
                    found.printed.push(UNKNOWN);
                }
                // What was never set is empty, unless it comes from the environment.
                None if name.chars().any(|c| c.is_ascii_lowercase()) => {}
                Some(Value::Session(_) | Value::Unknown) | None => {
                    found.text.push_str(&rest[..name.len() + 1]);
                    found.printed.push(UNKNOWN);
                    found.unknown.push(name.to_owned());
                }
            }
            rest = &rest[name.len() + 1..];
        }
        found.plain(rest);
        found
    }
}

impl Expanded {
    fn plain(&mut self, text: &str) {
        self.text.push_str(&literal(text));
        self.printed.push_str(text);
    }

    /// The text, where all of it is known.
    pub(super) fn known(&self) -> Option<String> {
        (!self.printed.contains(UNKNOWN)).then(|| self.printed.clone())
    }
}

/// The name that a text begins with.
pub(super) fn name_at(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_where_they_are_known() {
        let mut variables = Variables::new();
        variables.set("A", Value::Known("x${y".to_owned()));
        variables.set("b", Value::Saved("b".to_owned()));
        let found = variables.expand("select $a, $b, $PORT, \\$d, 1$, '$never'");
        assert_eq!(found.text, "select x$${y, ${b}, $PORT, $d, 1$, ''");
        assert_eq!((found.known(), found.unknown), (None, vec!["PORT".to_owned()]));
        assert_eq!(variables.expand("$a$").known().as_deref(), Some("x${y$"));
    }
}
