//! An expected value, and whether a value is it.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::BigDecimal;

use super::compare::{Truth, equal, number, order, plain};
use super::json::{filled, json_equals};
use super::text_pattern::TextPattern;
use crate::expect::template::Template;
use crate::history::{SqlValue, Vars, json_text, show};
use crate::source::Span;

/// An expected value with its place in the file.
#[derive(Debug, Clone)]
pub struct ValuePattern {
    /// Where it stands.
    pub span: Span,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A literal, with its text as it was written (`0123` is 123 but equals the text '0123').
    Literal(SqlValue, String),
    Bool(bool),
    /// `0x…`: bytes, or the number of a BIT column.
    Hex(Vec<u8>, String),
    Variable(Template),
    Any,
    Match(TextPattern),
    Compare(Vec<(Relation, Bound)>),
    OneOf(Vec<ValuePattern>),
    Not(Box<ValuePattern>),
    About {
        value: Bound,
        within: Bound,
    },
    /// A document, and the templates of its texts where one of them names a variable.
    Json(serde_json::Value, Vec<Template>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
}

impl Relation {
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
        }
    }

    pub fn sign(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
        }
    }
}

/// A number or text that stands in the file, or the value of a variable.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Plain(SqlValue),
    Variable(Template),
}

impl Bound {
    fn value(&self, vars: &Vars) -> Result<SqlValue, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Variable(template) => template.value(vars).map_err(|name| no_value(&name)),
        }
    }

    fn shown_with(&self, vars: &Vars) -> String {
        match self {
            Self::Plain(value) => show(value),
            Self::Variable(template) => shown_template(template, vars),
        }
    }

    fn template(&self) -> Option<&Template> {
        match self {
            Self::Plain(_) => None,
            Self::Variable(template) => Some(template),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => f.write_str(&show(value)),
            Self::Variable(template) => f.write_str(template.source()),
        }
    }
}

fn no_value(name: &str) -> String {
    format!("`{name}` has no value")
}

fn shown_template(template: &Template, vars: &Vars) -> String {
    let text = template.source();
    match template.value(vars) {
        Ok(value) => format!("{} (from `{text}`)", show(&value)),
        Err(name) => format!("`{text}` ({})", no_value(&name)),
    }
}

impl ValuePattern {
    /// Whether a value that the server gave is the one that is meant.
    #[must_use]
    pub fn matches(&self, actual: &SqlValue, vars: &Vars) -> bool {
        self.test(actual, vars) == Truth::Yes
    }

    /// Why it can't be told whether a value is the one that is meant, if so.
    pub(crate) fn reason(&self, actual: &SqlValue, vars: &Vars) -> Option<String> {
        match self.test(actual, vars) {
            Truth::Yes | Truth::No => None,
            Truth::Unknown(why) => Some(why),
        }
    }

    /// The same in brackets, with a space before them; nothing where it can be told.
    pub(crate) fn doubt(&self, actual: &SqlValue, vars: &Vars) -> String {
        // What is wrong with the pattern itself stands in its words already.
        let shown = self.shown_with(vars);
        let reason = self.reason(actual, vars);
        let reason = reason.filter(|why| !shown.contains(why.as_str()));
        reason.map(|why| format!(" ({why})")).unwrap_or_default()
    }

    fn test(&self, actual: &SqlValue, vars: &Vars) -> Truth {
        match &self.shape {
            Shape::Literal(wanted, raw) => equal(wanted, raw, actual),
            Shape::Bool(flag) => match actual {
                SqlValue::Null => Truth::No,
                SqlValue::Json(json) => Truth::of(json.value().as_bool() == Some(*flag)),
                _ => equal(&SqlValue::Int((*flag).into()), &flag.to_string(), actual),
            },
            Shape::Hex(bytes, raw) => match actual {
                SqlValue::Int(actual) => Truth::of(
                    bytes.len() <= 15
                        && bytes.iter().fold(0, |sum, byte| (sum << 8) | i128::from(*byte)) == *actual,
                ),
                _ => equal(&SqlValue::Bytes(bytes.clone()), raw, actual),
            },
            Shape::Variable(template) => match template.value(vars) {
                Ok(wanted) => equal(&wanted, &plain(&wanted), actual),
                Err(name) => Truth::Unknown(no_value(&name)),
            },
            Shape::Any => Truth::Yes,
            Shape::Match(_) if *actual == SqlValue::Null => Truth::Unknown("NULL has no text".to_owned()),
            Shape::Match(pattern) => match pattern.is_in(&plain(actual), vars) {
                Ok(found) => Truth::of(found),
                Err(why) => Truth::Unknown(why),
            },
            Shape::Compare(relations) => Truth::all(relations.iter().map(|(relation, bound)| {
                let order = bound.value(vars).and_then(|bound| order(actual, &bound));
                match order {
                    Ok(order) => Truth::of(relation.holds(order)),
                    Err(why) => Truth::Unknown(why),
                }
            })),
            Shape::OneOf(choices) => Truth::any(choices.iter().map(|choice| choice.test(actual, vars))),
            Shape::Not(inner) => inner.test(actual, vars).negated(),
            Shape::About { value, within } => match near(actual, value, within, vars) {
                Ok(near) => Truth::of(near),
                Err(why) => Truth::Unknown(why),
            },
            Shape::Json(wanted, templates) => {
                let wanted = match templates.is_empty() {
                    true => Ok(wanted.clone()),
                    false => filled(wanted, vars),
                };
                match (wanted, actual) {
                    (Err(name), _) => Truth::Unknown(no_value(&name)),
                    (Ok(_), SqlValue::Null) => Truth::No,
                    (Ok(wanted), SqlValue::Json(actual)) => Truth::of(json_equals(&wanted, actual.value())),
                    (Ok(_), other) => Truth::Unknown(format!("{} is no JSON", show(other))),
                }
            }
        }
    }

    /// The pattern with its variables' values, for `expected …`.
    pub(crate) fn shown_with(&self, vars: &Vars) -> String {
        match &self.shape {
            Shape::Variable(template) => shown_template(template, vars),
            Shape::Compare(relations) => {
                let parts = relations
                    .iter()
                    .map(|(relation, bound)| format!("{} {}", relation.sign(), bound.shown_with(vars)));
                parts.collect::<Vec<_>>().join(" and ")
            }
            Shape::OneOf(choices) => {
                let choices = choices.iter().map(|choice| choice.shown_with(vars));
                format!("one of {}", choices.collect::<Vec<_>>().join(", "))
            }
            Shape::Not(inner) => format!("not {}", inner.shown_with(vars)),
            Shape::Match(pattern) => pattern.shown_with(vars),
            Shape::About { value, within } => {
                let (value, within) = (value.shown_with(vars), within.shown_with(vars));
                format!("about {value} (within {within})")
            }
            Shape::Json(json, templates) if !templates.is_empty() => match filled(json, vars) {
                Ok(json) => json_text(&json),
                Err(name) => format!("{} ({})", json_text(json), no_value(&name)),
            },
            _ => self.to_string(),
        }
    }

    /// The variables that it uses, with their places.
    pub(crate) fn variables(&self) -> Vec<(String, Span)> {
        let of = |template: &Template| -> Vec<(String, Span)> {
            let names = template.variables();
            names.map(|(name, _)| (name.to_owned(), self.span)).collect()
        };
        let bound = |bound: &Bound| bound.template().map(of).unwrap_or_default();
        match &self.shape {
            Shape::Variable(template) => of(template),
            Shape::OneOf(choices) => choices.iter().flat_map(Self::variables).collect(),
            Shape::Not(inner) => inner.variables(),
            Shape::Literal(..) | Shape::Bool(_) | Shape::Hex(..) | Shape::Any => Vec::new(),
            Shape::Match(pattern) => {
                let names = pattern.variables();
                names.map(|name| (name.to_owned(), self.span)).collect()
            }
            Shape::Compare(relations) => relations.iter().flat_map(|(_, one)| bound(one)).collect(),
            Shape::About { value, within } => [value, within].into_iter().flat_map(bound).collect(),
            Shape::Json(_, templates) => templates.iter().flat_map(of).collect(),
        }
    }
}

/// Whether a number lies so near to another one.
fn near(actual: &SqlValue, value: &Bound, within: &Bound, vars: &Vars) -> Result<bool, String> {
    let read = |value: &SqlValue| -> Result<BigDecimal, String> {
        number(value).ok_or_else(|| format!("{} is no number", show(value)))
    };
    let (value, within) = (read(&value.value(vars)?)?, read(&within.value(vars)?)?);
    Ok((read(actual)? - value).abs() <= within)
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Literal(value, _) => f.write_str(&show(value)),
            Shape::Bool(flag) => write!(f, "{flag}"),
            Shape::Hex(_, text) => f.write_str(text),
            Shape::Variable(template) => f.write_str(template.source()),
            Shape::Any => f.write_str("anything"),
            Shape::Match(pattern) => write!(f, "{pattern}"),
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
            Shape::Json(json, _) => f.write_str(&json_text(json)),
        }
    }
}
