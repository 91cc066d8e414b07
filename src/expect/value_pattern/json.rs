//! JSON documents as expected values.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;

use super::Reading;
use crate::expect::template::Template;
use crate::history::{SqlValue, Vars};
use crate::source::{Diagnostic, Node, NodeKind};

/// Finds in a JSON document the texts that name variables, and the numbers that JSON does not keep as they
/// are written.
pub(super) fn check_json(node: &Node, templates: &mut Vec<Template>, reading: &mut Reading<'_>) {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().for_each(|item| check_json(item, templates, reading)),
        NodeKind::Map(entries) => {
            let values = entries.iter().map(|entry| &entry.value);
            values.for_each(|value| check_json(value, templates, reading));
        }
        NodeKind::Str(text) => match Template::read(text) {
            Ok(template) => templates.push(template),
            Err(error) => {
                let help = "close it, or write `$${` for the two characters themselves";
                reading.error(node, error.to_string(), help);
            }
        },
        NodeKind::Decimal(written) => {
            let kept = json_of(node).map(|json| json.to_string()).unwrap_or_default();
            let zeros = written.contains('.') && written.ends_with('0') && !written.ends_with(".0");
            if zeros || BigDecimal::from_str(written).ok() != BigDecimal::from_str(&kept).ok() {
                let message = format!("in JSON `{written}` is the number {kept}");
                let problem = Diagnostic::warning(node.span, message);
                let help = format!("write '{written}' for the text, {kept} for the number");
                reading
                    .problems
                    .push(problem.label(node.span, "not kept as it is written").help(help));
            }
        }
        _ => {}
    }
}

/// A document with its variables' values; a text that is one variable becomes the value with its type.
pub(super) fn filled(json: &serde_json::Value, vars: &Vars) -> serde_json::Value {
    use serde_json::Value as J;
    match json {
        J::String(text) => match Template::read(text).map(|template| template.value(vars)) {
            Ok(Ok(value)) => json_of_value(&value),
            Ok(Err(_)) | Err(_) => json.clone(),
        },
        J::Array(items) => J::Array(items.iter().map(|item| filled(item, vars)).collect()),
        J::Object(entries) => J::Object(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), filled(value, vars)))
                .collect(),
        ),
        J::Null | J::Bool(_) | J::Number(_) => json.clone(),
    }
}

fn json_of_value(value: &SqlValue) -> serde_json::Value {
    use serde_json::Value as J;
    match value {
        SqlValue::Null => J::Null,
        SqlValue::Int(number) => json_number(&number.to_string()),
        SqlValue::Decimal(text) => json_number(text),
        SqlValue::Float(number) => json_number(&number.to_string()),
        SqlValue::Text(text) | SqlValue::Time(text) => J::String(text.clone()),
        SqlValue::Bytes(bytes) => J::String(String::from_utf8_lossy(bytes).into_owned()),
        SqlValue::Json(json) => json.clone(),
    }
}

/// A number as JSON has it; `.5` and `+1` are numbers of YAML and not of JSON.
fn json_number(text: &str) -> serde_json::Value {
    use serde_json::Value as J;
    serde_json::from_str(text).ok().unwrap_or_else(|| {
        let number = text.parse().ok().and_then(serde_json::Number::from_f64);
        number.map_or_else(|| J::String(text.to_owned()), J::Number)
    })
}

/// JSON by structure; 1 and 1.0 are the same number.
pub(super) fn json_equals(wanted: &serde_json::Value, actual: &serde_json::Value) -> bool {
    use serde_json::Value as J;
    match (wanted, actual) {
        (J::Number(wanted), J::Number(actual)) => {
            BigDecimal::from_str(&wanted.to_string()).ok() == BigDecimal::from_str(&actual.to_string()).ok()
        }
        (J::Array(wanted), J::Array(actual)) => {
            wanted.len() == actual.len() && wanted.iter().zip(actual).all(|(w, a)| json_equals(w, a))
        }
        (J::Object(wanted), J::Object(actual)) => {
            wanted.len() == actual.len()
                && wanted
                    .iter()
                    .all(|(key, w)| actual.get(key).is_some_and(|a| json_equals(w, a)))
        }
        (wanted, actual) => wanted == actual,
    }
}

pub(super) fn json_of(node: &Node) -> Option<serde_json::Value> {
    json_with(node, &plain_text)
}

/// A node as JSON, each text of it by way of `text`.
pub(super) fn json_with(node: &Node, text: &dyn Fn(&str) -> String) -> Option<serde_json::Value> {
    use serde_json::Value as J;
    Some(match &node.kind {
        NodeKind::Null => J::Null,
        NodeKind::Bool(flag) => J::Bool(*flag),
        NodeKind::Int(number) => json_number(&number.to_string()),
        NodeKind::Decimal(number) => json_number(number),
        NodeKind::Hex(digits) => J::String(digits.clone()),
        NodeKind::Str(written) => J::String(text(written)),
        NodeKind::Binary(bytes) => J::String(String::from_utf8_lossy(bytes).into_owned()),
        NodeKind::Seq(items) => {
            let items = items.iter().map(|item| json_with(item, text));
            J::Array(items.collect::<Option<_>>()?)
        }
        NodeKind::Map(entries) => J::Object(
            entries
                .iter()
                .map(|entry| Some((entry.key.text()?.into_owned(), json_with(&entry.value, text)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Text in which `$${` stands for `${`; text that names variables stays as it is, to be filled later.
fn plain_text(text: &str) -> String {
    let template = Template::read(text).ok();
    let template = template.filter(|template| template.variables().next().is_none());
    template
        .and_then(|template| template.fill(&Vars::new()).ok())
        .unwrap_or_else(|| text.to_owned())
}
