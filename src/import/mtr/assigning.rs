//! Commands that give variables their values.

use super::event::{Answer, What};
use super::runner::Runner;
use super::variables::{Value, name_at};
use crate::source::Span;

impl Runner<'_, '_> {
    pub(super) fn assign(&mut self, text: &str, span: Span) {
        let text = text.trim_end_matches(';').trim();
        let Some((name, value)) = text.split_once('=') else {
            self.error(span, "`let` gives no value", "write `let $name = value`");
            return;
        };
        let (name, value) = (name.trim().trim_start_matches('$').to_owned(), value.trim());
        if let Some(query) = value.strip_prefix('`').and_then(|value| value.strip_suffix('`')) {
            self.keep(&name, query, "row.0.0", span);
            return;
        }
        let call = value.strip_prefix("query_get_value").map(str::trim);
        if let Some(arguments) = call.and_then(|call| call.strip_prefix('(')?.strip_suffix(')')) {
            let parts: Vec<&str> = arguments.rsplitn(3, ',').map(str::trim).collect();
            let [row, column, query] = parts.as_slice() else {
                self.error(
                    span,
                    "query_get_value takes three arguments",
                    "(query, column, row)",
                );
                return;
            };
            let query = query.trim_matches(['"', '\'']);
            if *row == "1" {
                self.keep(&name, query, column, span);
            } else {
                self.note(format!(
                    "not taken: ${name} = {value}: only the first row is kept by a column's name"
                ));
                self.variables.set(&name, Value::Unknown);
            }
            return;
        }
        if value.starts_with("convert_error") {
            self.variables.set(&name, Value::Unknown);
            return;
        }
        let expanded = self.variables.expand(value);
        let value = expanded.known().map_or(Value::Unknown, Value::Known);
        self.variables.set(&name, value);
    }

    /// Keeps a value of a query's answer.
    fn keep(&mut self, name: &str, query: &str, from: &str, span: Span) {
        let plain: String = query.to_ascii_lowercase().split_whitespace().collect();
        if plain == "selectconnection_id()" {
            self.variables.set(name, Value::Session(self.current.clone()));
            return;
        }
        let expanded = self.variables.expand(query);
        for unknown in &expanded.unknown {
            self.note(format!("${unknown} has no value that is known here"));
        }
        let ours = self.variables.saved_name(name, &self.current);
        let what = What::Statement {
            sql: expanded.text,
            sent: false,
            save: vec![(ours.clone(), from.to_owned())],
        };
        self.variables.set(name, Value::Saved(ours));
        self.event(what, span, None);
        if let Some(event) = self.events.last_mut() {
            event.answer = Some(Answer::default());
        }
    }

    pub(super) fn count(&mut self, rest: &str, up: bool) {
        let name = name_at(rest.trim_start_matches('$')).to_owned();
        let next = match self.variables.get(&name) {
            Some(Value::Known(value)) => value.trim().parse::<i64>().ok(),
            Some(Value::Saved(_) | Value::Session(_) | Value::Unknown) => None,
            None => Some(0),
        };
        let next = next.map(|value| if up { value + 1 } else { value - 1 });
        self.variables.set(
            &name,
            next.map_or(Value::Unknown, |value| Value::Known(value.to_string())),
        );
    }
}
