//! What planning one variant of a scenario works with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::PlanInput;
use super::names::Scope;
use super::statement::Statement;
use crate::expect::{Reading, Template, TemplateError, value_of_node};
use crate::history::SqlValue;
use crate::scenario::{Located, Scenario, When};
use crate::source::{Diagnostic, Node, NodeKind, SourceFile, Span};

/// One combination of the matrix's values.
#[derive(Debug, Clone, Default)]
pub(super) struct Variant<'s> {
    /// Axis and value.
    pub values: Vec<(&'s str, &'s Node)>,
}

/// What planning one variant works with.
pub(super) struct Context<'a> {
    pub file: &'a Arc<SourceFile>,
    pub input: &'a PlanInput,
    pub scenario: &'a Scenario,
    pub variant: &'a Variant<'a>,
    /// The connections' numbers by their names.
    pub numbers: BTreeMap<String, usize>,
    /// Whether it can be told who waits when: every step and every name in it is known.
    pub waits_are_clear: bool,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Variant<'_> {
    pub fn value(&self, axis: &str) -> Option<&Node> {
        self.values
            .iter()
            .find(|(name, _)| *name == axis)
            .map(|(_, node)| *node)
    }

    /// Its values, as trials' names have them.
    pub fn in_words(&self) -> String {
        let values = self.values.iter();
        let values = values.map(|(axis, node)| format!("{axis}={}", label(axis, node)));
        values.collect::<Vec<_>>().join(", ")
    }

    /// Whether this variant is among those of a `when`.
    pub fn is_in(&self, when: Option<&When>) -> bool {
        when.is_none_or(|when| {
            when.conditions.iter().all(|(axis, values)| {
                let mine = self.value(&axis.value).map(|node| label(&axis.value, node));
                values
                    .iter()
                    .any(|value| mine.as_ref() == Some(&label(&axis.value, value)))
            })
        })
    }
}

/// The short form of an axis' value, as trials' names and [`super::TrialPlan::variant`] have it: `rc` for
/// `read committed`, otherwise its text with `_` for spaces.
#[must_use]
pub fn label(axis: &str, node: &Node) -> String {
    let text = node.text().map(|text| text.to_string()).unwrap_or_default();
    match axis {
        "isolation" => isolation(&text).map_or(text, |level| level.short.to_owned()),
        "txn" => txn(&text).map_or(text, str::to_owned),
        _ => text
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect(),
    }
}

/// An isolation level of TiDB.
pub(super) struct Isolation {
    pub short: &'static str,
    pub variable: &'static str,
}

pub(super) fn isolation(text: &str) -> Option<Isolation> {
    let text = text.to_ascii_lowercase().replace(['-', '_'], " ");
    match text.as_str() {
        "repeatable read" | "rr" => Some(Isolation {
            short: "rr",
            variable: "REPEATABLE-READ",
        }),
        "read committed" | "rc" => Some(Isolation {
            short: "rc",
            variable: "READ-COMMITTED",
        }),
        _ => None,
    }
}

pub(super) fn txn(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "pessimistic" => Some("pessimistic"),
        "optimistic" => Some("optimistic"),
        _ => None,
    }
}

impl Context<'_> {
    /// A value that stands in the file as it is.
    pub(super) fn plain_value(&mut self, node: &Node) -> Option<SqlValue> {
        let value = value_of_node(node);
        if value.is_none() {
            let problem = Diagnostic::error(node.span, "this is not a value");
            self.problems
                .push(problem.label(node.span, "an odd number of hexadecimal digits"));
        }
        if let Some(inside) = first_variable(node) {
            let message = "a variable cannot be used inside a list or mapping here";
            let problem = Diagnostic::error(inside, message);
            self.problems
                .push(problem.label(inside, "it would not be replaced"));
            return None;
        }
        value
    }

    /// Text in which no variable can stand: the name of something.
    pub(super) fn plain_text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.text()?;
        Reading::new(self.file, self.problems).plain_text(node, &text, what)
    }

    pub(super) fn template_error(&mut self, error: &TemplateError, span: Span) {
        let problem = Diagnostic::error(span, error.to_string()).label(span, "in this text");
        self.problems
            .push(problem.help("close it, or write `$${` for the characters `${`"));
    }

    pub(super) fn statements(&mut self, texts: &[Located<String>], scope: &mut Scope<'_>) -> Vec<Statement> {
        texts
            .iter()
            .filter_map(|text| self.statement(text, scope))
            .collect()
    }

    pub(super) fn statement(&mut self, text: &Located<String>, scope: &mut Scope<'_>) -> Option<Statement> {
        match Template::read(&text.value) {
            Ok(template) => {
                scope.check(&template, text.span, self.problems);
                Some(Statement {
                    span: text.span,
                    text: template,
                })
            }
            Err(error) => {
                self.template_error(&error, text.span);
                None
            }
        }
    }
}

/// The first text in a list or mapping that names a variable.
fn first_variable(node: &Node) -> Option<Span> {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().find_map(variable_inside),
        NodeKind::Map(entries) => entries.iter().find_map(|entry| variable_inside(&entry.value)),
        _ => None,
    }
}

fn variable_inside(node: &Node) -> Option<Span> {
    let names = |text: &str| Template::read(text).is_ok_and(|template| template.variables().next().is_some());
    match node.as_str() {
        Some(text) => names(text).then_some(node.span),
        None => first_variable(node),
    }
}
