//! Handlers that are written in Rust, made from their parameters before anything runs.

use std::sync::Arc;

use super::context::Context;
use super::{Action, HandlerPlan};
use crate::handler::HandlerError;
use crate::history::SqlValue;
use crate::scenario::Located;
use crate::source::{Diagnostic, Node, Span};

impl Context<'_> {
    pub(super) fn handler_plan(&mut self, name: &Located<String>, with: Option<&Node>) -> Option<Action> {
        let parameters = match with {
            None => serde_json::Value::Null,
            // Variables have their values later; a handler asks its context for them.
            Some(node) => match self.plain_value(node)? {
                SqlValue::Json(json) => json.into_value(),
                _ => return None,
            },
        };
        match self.input.handlers.build(&name.value, &parameters) {
            Ok(handler) => Some(Action::Handler(HandlerPlan {
                name: name.value.clone(),
                handler: Arc::from(handler),
                with: parameters,
            })),
            Err(HandlerError::Unknown { suggestion, .. }) => {
                let message = format!("no handler is registered as `{}`", name.value);
                self.problems.push(
                    Diagnostic::error(name.span, message)
                        .label(name.span, suggestion)
                        .help("handlers are written in Rust and given to the harness: `Harness::new(…).handlers(…)`"),
                );
                None
            }
            Err(HandlerError::With(error)) => {
                let place = with.map_or(name.span, |with| place_of(with, &error.path));
                self.problems.push(
                    Diagnostic::error(place, error.to_string()).label(place, format!("of `{}`", name.value)),
                );
                None
            }
        }
    }
}

/// Where a parameter stands: its value, or the innermost mapping that lacks it.
fn place_of(node: &Node, path: &[String]) -> Span {
    let Some((key, rest)) = path.split_first() else {
        return node.span;
    };
    let entries = node.as_map().unwrap_or_default();
    let entry = entries
        .iter()
        .find(|entry| entry.key.text().as_deref() == Some(key.as_str()));
    match entry {
        Some(entry) if rest.is_empty() => entry.key.span,
        Some(entry) => place_of(&entry.value, rest),
        None => node.span,
    }
}
