//! Reads literals and matchers.

use std::cmp::Ordering;

use super::compare::{number, order, order_as_times};
use super::json::{check_json, json_of, json_with};
use super::pattern::{Bound, Relation, Shape, ValuePattern};
use super::text_pattern::TextPattern;
use crate::expect::kind::{Reading, all_of};
use crate::history::{SqlValue, show};
use crate::scenario::keys::{Form, Key};
use crate::source::{Diagnostic, Entry, Node, NodeKind};

/// The keys of matchers; a mapping with other keys is a JSON object.
pub const MATCHERS: &[Key] = &[
    ("any", "any value, including NULL", Form::Yes),
    ("match", "text that matches this regular expression", Form::Text),
    ("gt", "more than this", Form::Bound),
    ("ge", "at least this", Form::Bound),
    ("lt", "less than this", Form::Bound),
    ("le", "at most this", Form::Bound),
    (
        "between",
        "between these two bounds, inclusive",
        Form::Exactly(2, &Form::Bound),
    ),
    ("one_of", "one of these", Form::List(1, &Form::Value)),
    ("not", "anything but this", Form::Value),
    (
        "about",
        "about this number; `within` is the tolerance",
        Form::Amount,
    ),
    (
        "within",
        "the largest allowed difference from `about`",
        Form::Amount,
    ),
    ("json", "a JSON value, compared by structure", Form::Any),
];

/// How other tools call their matchers: here these are keys of a JSON object.
pub(super) const OTHER_NAMES: &[(&str, &str)] = &[
    ("eq", "the value itself"),
    ("gte", "`ge`"),
    ("lte", "`le`"),
    ("matches", "`match`"),
    ("ne", "`not`"),
    ("regex", "`match`"),
    ("regexp", "`match`"),
];

/// Whether this is the key of a matcher.
pub(super) fn is_matcher(key: &str) -> bool {
    MATCHERS.iter().any(|(known, _, _)| *known == key)
}

impl ValuePattern {
    /// Reads a literal or a matcher.
    pub(crate) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let raw = || node.raw(reading.file).to_owned();
        let shape = match &node.kind {
            NodeKind::Null => Shape::Literal(SqlValue::Null, "null".to_owned()),
            NodeKind::Bool(flag) => Shape::Bool(*flag),
            NodeKind::Int(number) => Shape::Literal(SqlValue::Int(*number), raw()),
            NodeKind::Decimal(text) => Shape::Literal(SqlValue::Decimal(text.clone()), raw()),
            NodeKind::Hex(text) => {
                let digits = text.trim_start_matches("0x").trim_start_matches("0X");
                let even = if digits.len() % 2 == 0 {
                    digits.to_owned()
                } else {
                    format!("0{digits}")
                };
                match hex::decode(even) {
                    Ok(bytes) => Shape::Hex(bytes, text.clone()),
                    Err(_) => {
                        reading.error(node, "these are not hexadecimal digits", "such as 0x0aff");
                        return None;
                    }
                }
            }
            NodeKind::Binary(bytes) => Shape::Literal(SqlValue::Bytes(bytes.clone()), raw()),
            NodeKind::Str(text) => Self::read_text(text, node, reading)?,
            NodeKind::Seq(_) => Self::read_json(node, reading)?,
            NodeKind::Map(entries) => {
                let matcher = !entries.is_empty()
                    && entries
                        .iter()
                        .all(|entry| entry.key.as_str().is_some_and(is_matcher));
                if matcher {
                    Self::read_matcher(node, reading)?
                } else {
                    warn_of_json(entries, reading);
                    Self::read_json(node, reading)?
                }
            }
        };
        Some(Self {
            span: node.span,
            shape,
        })
    }

    fn read_text(text: &str, node: &Node, reading: &mut Reading<'_>) -> Option<Shape> {
        let template = reading.template(node, text)?;
        match template.without_variables() {
            Some(text) => Some(Shape::Literal(SqlValue::Text(text.clone()), text)),
            None => Some(Shape::Variable(template)),
        }
    }

    /// A list or mapping is a JSON document. Texts in it may name variables.
    fn read_json(node: &Node, reading: &mut Reading<'_>) -> Option<Shape> {
        let mut templates = Vec::new();
        check_json(node, &mut templates, reading);
        let template = templates
            .iter()
            .any(|template| template.variables().next().is_some());
        if template {
            return json_with(node, &str::to_owned).map(|json| Shape::Json(json, templates));
        }
        json_of(node).map(|json| Shape::Json(json, Vec::new()))
    }

    fn read_matcher(node: &Node, reading: &mut Reading<'_>) -> Option<Shape> {
        let entries = node.as_map().unwrap_or_default();
        let key_of = |name: &str| {
            entries
                .iter()
                .find(|entry| entry.key.as_str() == Some(name))
                .map(|entry| &entry.value)
        };
        let comparisons: Vec<_> = entries
            .iter()
            .filter(|entry| matches!(entry.key.as_str(), Some("gt" | "ge" | "lt" | "le")))
            .collect();
        if comparisons.len() == entries.len() {
            let mut relations = Vec::new();
            for entry in comparisons {
                let relation = match entry.key.as_str() {
                    Some("gt") => Relation::Gt,
                    Some("ge") => Relation::Ge,
                    Some("lt") => Relation::Lt,
                    _ => Relation::Le,
                };
                relations.push((relation, read_bound(&entry.value, reading)?));
            }
            return compare(node, relations, reading);
        }
        if let (Some(about), 1..=2) = (key_of("about"), entries.len()) {
            if entries.len() == 2 && key_of("within").is_none() {
                return mixed(node, reading);
            }
            let within = match key_of("within") {
                Some(node) => {
                    let within = read_amount(node, reading);
                    let negative = |bound: &Bound| match bound {
                        Bound::Plain(value) => number(value).is_some_and(|number| number < 0),
                        Bound::Variable(_) => false,
                    };
                    if within.as_ref().is_some_and(negative) {
                        reading.error(
                            node,
                            "`within` must be a number, the tolerance",
                            "write a number of 0 or more",
                        );
                    }
                    within
                }
                None => Some(Bound::Plain(SqlValue::Int(0))),
            };
            return Some(Shape::About {
                value: read_amount(about, reading)?,
                within: within?,
            });
        }
        let [entry] = entries else {
            return mixed(node, reading);
        };
        let value = &entry.value;
        match entry.key.as_str() {
            Some("any") => {
                if !matches!(value.kind, NodeKind::Bool(true)) {
                    reading.error(value, "`any` can only be `true`", "write `true`");
                    return None;
                }
                Some(Shape::Any)
            }
            Some("match") => TextPattern::read(value, reading).map(Shape::Match),
            Some("between") => match value.as_seq() {
                Some([low, high]) => {
                    let (low, high) = (read_bound(low, reading), read_bound(high, reading));
                    compare(node, vec![(Relation::Ge, low?), (Relation::Le, high?)], reading)
                }
                _ => {
                    reading.error(
                        value,
                        "`between` must be a list of two bounds",
                        "write `{between: [1, 9]}`",
                    );
                    None
                }
            },
            Some("one_of") => {
                let Some(items) = value.as_seq().filter(|items| !items.is_empty()) else {
                    reading.error(
                        value,
                        "`one_of` must be a list of values",
                        "write `{one_of: [1, 2]}`",
                    );
                    return None;
                };
                all_of(items.iter().map(|item| Self::read(item, reading))).map(Shape::OneOf)
            }
            Some("not") => {
                let inner = Self::read(value, reading)?;
                if matches!(inner.shape, Shape::Any) {
                    reading.error(
                        node,
                        "`{not: {any: true}}` never holds",
                        "no value satisfies this",
                    );
                }
                Some(Shape::Not(Box::new(inner)))
            }
            Some("json") => Self::read_json(value, reading),
            _ => mixed(node, reading),
        }
    }
}

/// Bounds that some value lies between.
fn compare(node: &Node, relations: Vec<(Relation, Bound)>, reading: &mut Reading<'_>) -> Option<Shape> {
    let strict = |relation: Relation| matches!(relation, Relation::Gt | Relation::Lt);
    let is_low = |relation: Relation| matches!(relation, Relation::Gt | Relation::Ge);
    for (low, least) in relations.iter().filter(|(one, _)| is_low(*one)) {
        for (high, most) in relations.iter().filter(|(one, _)| !is_low(*one)) {
            let (Bound::Plain(least), Bound::Plain(most)) = (least, most) else {
                continue;
            };
            let Ok(order) = order(least, most) else {
                reading.error(
                    node,
                    "one bound is a number, the other text",
                    "no value is a number and a text",
                );
                return None;
            };
            let none = |order| {
                order == Ordering::Greater || order == Ordering::Equal && (strict(*low) || strict(*high))
            };
            // `9:00` and `10:00` lie in one order as text and in the other as times.
            let as_times = order_as_times(least, most).unwrap_or(order);
            if none(order) && none(as_times) {
                let label = format!(
                    "{} {} and {} {}",
                    low.sign(),
                    show(least),
                    high.sign(),
                    show(most)
                );
                reading.error(node, "no value lies between these bounds", label);
                return None;
            }
        }
    }
    Some(Shape::Compare(relations))
}

/// A mapping that was perhaps meant as a matcher: some of its keys are those of matchers, or those that
/// matchers have elsewhere.
fn warn_of_json(entries: &[Entry], reading: &mut Reading<'_>) {
    let key_of = |entry: &Entry| entry.key.text().unwrap_or_default().into_owned();
    let some_match = entries.iter().any(|entry| is_matcher(&key_of(entry)));
    for entry in entries {
        let key = key_of(entry);
        let other = OTHER_NAMES.iter().find(|(name, _)| *name == key);
        let label = match other {
            Some((_, here)) => format!("here this is written {here}"),
            None if some_match && !is_matcher(&key) => "this is not a matcher".to_owned(),
            None => continue,
        };
        let problem = Diagnostic::warning(entry.key.span, "this mapping is taken for a JSON object");
        reading.problems.push(
            problem
                .label(entry.key.span, label)
                .help("if JSON is meant, write `{json: {…}}`"),
        );
        return;
    }
}

fn mixed(node: &Node, reading: &mut Reading<'_>) -> Option<Shape> {
    let problem = Diagnostic::error(node.span, "these matchers cannot be combined")
        .label(node.span, "use one matcher here")
        .help("only `gt`, `ge`, `lt` and `le`, or `about` and `within`, can be combined; write a JSON object with these keys as `{json: {…}}`");
    reading.problems.push(problem);
    None
}

/// A number, or a variable that has one.
fn read_amount(node: &Node, reading: &mut Reading<'_>) -> Option<Bound> {
    let bound = match &node.kind {
        NodeKind::Int(_) | NodeKind::Decimal(_) | NodeKind::Str(_) => read_bound(node, reading)?,
        _ => Bound::Plain(SqlValue::Null),
    };
    if let Bound::Plain(SqlValue::Null | SqlValue::Text(_)) = bound {
        reading.error(node, "this must be a number", format!("not {}", node.describe()));
        return None;
    }
    Some(bound)
}

fn read_bound(node: &Node, reading: &mut Reading<'_>) -> Option<Bound> {
    match &node.kind {
        NodeKind::Int(number) => Some(Bound::Plain(SqlValue::Int(*number))),
        NodeKind::Decimal(text) => Some(Bound::Plain(SqlValue::Decimal(text.clone()))),
        NodeKind::Str(text) => {
            let template = reading.template(node, text)?;
            Some(match template.without_variables() {
                Some(text) => Bound::Plain(SqlValue::Text(text)),
                None => Bound::Variable(template),
            })
        }
        _ => {
            let label = format!("this is {}", node.describe());
            reading.error(node, "a bound must be a number or text", label);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Vars;
    use crate::source::{SourceFile, parse};

    fn check(yaml: &str, actual: &SqlValue) -> bool {
        let file = SourceFile::new("t.yaml", yaml);
        let parsed = parse(&file);
        let root = parsed.root.expect("YAML");
        let mut problems = Vec::new();
        let mut reading = Reading::new(&file, &mut problems);
        let pattern = ValuePattern::read(&root, &mut reading).expect("a pattern");
        let vars = Vars::from([("x".to_owned(), SqlValue::Int(7))]);
        pattern.matches(actual, &vars)
    }

    fn text(text: &str) -> SqlValue {
        SqlValue::Text(text.to_owned())
    }

    fn decimal(text: &str) -> SqlValue {
        SqlValue::Decimal(text.to_owned())
    }

    #[test]
    fn values_compare_by_sql_type() {
        let json = |text: &str| SqlValue::Json(crate::history::Json::of_text(text).expect("JSON"));
        for (yaml, actual, equal) in [
            ("3", SqlValue::Int(3), true),
            ("3", decimal("3.00"), true),
            ("3", SqlValue::Int(4), false),
            ("'3'", SqlValue::Int(3), false),
            ("'3'", text("3"), true),
            ("3", text("3"), true),
            ("3", text("3.0"), false),
            ("0123", text("123"), false),
            ("1.10", decimal("1.1"), true),
            ("1.10", decimal("1.11"), false),
            ("1.5", SqlValue::Float(1.5), true),
            ("{about: 1.5, within: 0.01}", SqlValue::Float(1.505), true),
            ("{about: 1.5, within: 0.01}", SqlValue::Float(1.52), false),
            ("null", SqlValue::Null, true),
            ("null", SqlValue::Int(0), false),
            ("null", json("null"), false),
            ("{json: null}", json("null"), true),
            ("{json: null}", SqlValue::Null, false),
            ("{not: null}", json("null"), true),
            ("''", SqlValue::Null, false),
            ("true", SqlValue::Int(1), true),
            ("true", SqlValue::Int(2), false),
            ("2024-01-02", SqlValue::Time("2024-01-02".to_owned()), true),
            ("0x6162", SqlValue::Bytes(b"ab".to_vec()), true),
            ("0x05", SqlValue::Int(5), true),
            ("ab", SqlValue::Bytes(b"ab".to_vec()), false),
            ("!!binary YWI=", SqlValue::Bytes(b"ab".to_vec()), true),
            (
                "{a: 1, b: [true, null]}",
                json(r#"{"b": [true, null], "a": 1.0}"#),
                true,
            ),
            ("{a: 1}", json(r#"{"a": 2}"#), false),
            ("'{\"a\": 1}'", json(r#"{"a": 1}"#), true),
            ("{json: {any: true}}", json(r#"{"any": true}"#), true),
            ("{any: true}", SqlValue::Null, true),
            ("{match: \"^a\"}", text("abc"), true),
            ("{match: \"^a\"}", text("bc"), false),
            ("{gt: 5}", SqlValue::Int(6), true),
            ("{gt: 5}", SqlValue::Int(5), false),
            ("{gt: 5}", SqlValue::Null, false),
            ("{between: [1, 9]}", SqlValue::Int(9), true),
            ("{between: [1, 9]}", SqlValue::Int(10), false),
            ("{one_of: [1, 2]}", SqlValue::Int(2), true),
            ("{one_of: [1, 2]}", SqlValue::Int(3), false),
            ("{not: null}", SqlValue::Int(3), true),
            ("{not: null}", SqlValue::Null, false),
            ("{not: 5}", SqlValue::Null, true),
            ("{not: '5'}", SqlValue::Int(5), false),
            ("{not: {gt: 5}}", SqlValue::Int(5), true),
            ("{not: {gt: 5}}", SqlValue::Null, false),
            ("{not: {gt: 5}}", text("4"), false),
            ("{not: {match: a}}", SqlValue::Null, false),
            ("{not: \"${unset}\"}", SqlValue::Int(1), false),
            ("{not: {one_of: [1, \"${unset}\"]}}", SqlValue::Int(2), false),
            ("{not: {json: {a: \"${unset}\"}}}", json("{}"), false),
            ("{gt: \"${x}\"}", SqlValue::Int(8), true),
            ("{between: [1, \"${x}\"]}", SqlValue::Int(8), false),
            ("{about: \"${x}\", within: 1}", SqlValue::Int(8), true),
            (
                "{about: 9007199254740993}",
                SqlValue::Int(9_007_199_254_740_992),
                false,
            ),
            ("{match: \"^${x}$\"}", SqlValue::Int(7), true),
            ("{match: \"a.: 1\"}", json("{\"a\": 1}"), true),
            (
                "{lt: \"99:00:00\"}",
                SqlValue::Time("100:00:00".to_owned()),
                false,
            ),
            ("${x}", SqlValue::Int(7), true),
            ("${x}", SqlValue::Int(8), false),
            ("18446744073709551615", SqlValue::Int(u64::MAX.into()), true),
        ] {
            assert_eq!(check(yaml, &actual), equal, "{yaml} against {actual:?}");
        }
    }
}
