//! Values of a file as data, and JSON documents as expected values.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;

use crate::expect::kind::Reading;
use crate::expect::template::Template;
use crate::history::{SqlValue, Vars};
use crate::source::{Diagnostic, Node, NodeKind};

/// Finds in a JSON document the texts that name variables, and the numbers that JSON does not keep as they
/// are written.
pub(super) fn check_json(node: &Node, templates: &mut Vec<Template>, reading: &mut Reading<'_>) {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().for_each(|item| check_json(item, templates, reading)),
        NodeKind::Map(entries) => {
            for entry in entries {
                let key = entry.key.text().unwrap_or_default();
                reading.plain_text(&entry.key, &key, "a key of a JSON object");
                check_json(&entry.value, templates, reading);
            }
        }
        NodeKind::Str(text) => templates.extend(reading.template(node, text)),
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
///
/// # Errors
/// The name of a variable that has no value.
pub(super) fn filled(json: &serde_json::Value, vars: &Vars) -> Result<serde_json::Value, String> {
    use serde_json::Value as J;
    Ok(match json {
        J::String(text) => match Template::read(text) {
            Ok(template) => json_of_value(&template.value(vars)?),
            Err(_) => json.clone(),
        },
        J::Array(items) => {
            let items = items.iter().map(|item| filled(item, vars));
            J::Array(items.collect::<Result<_, _>>()?)
        }
        J::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), filled(value, vars)?)));
            J::Object(entries.collect::<Result<_, String>>()?)
        }
        J::Null | J::Bool(_) | J::Number(_) => json.clone(),
    })
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
        SqlValue::Json(json) => json.value().clone(),
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
                .map(|entry| Some((plain_text(&entry.key.text()?), json_with(&entry.value, text)?)))
                .collect::<Option<_>>()?,
        ),
    })
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
        NodeKind::Seq(_) | NodeKind::Map(_) => SqlValue::Json(json_of(node)?.into()),
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
