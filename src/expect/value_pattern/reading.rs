//! Reads literals and matchers.

use std::cmp::Ordering;
use std::str::FromStr as _;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _};
use regex::Regex;

use super::json::{check_json, json_of, json_with};
use super::{BigDecimalOrText, Reading, Relation, Shape, ValuePattern};
use crate::expect::all_of;
use crate::expect::template::Template;
use crate::history::{SqlValue, Vars};
use crate::scenario::keys::{self, Form, Key};
use crate::source::{Diagnostic, Entry, Node, NodeKind, unknown_key};

/// The keys of matchers; a mapping with other keys is a JSON object.
pub const MATCHERS: &[Key] = &[
    ("any", "any value, NULL too", Form::Yes),
    ("match", "text that this regular expression finds", Form::Text),
    ("gt", "more than this", Form::Bound),
    ("ge", "this or more", Form::Bound),
    ("lt", "less than this", Form::Bound),
    ("le", "this or less", Form::Bound),
    (
        "between",
        "from the first bound to the second, themselves included",
        Form::Exactly(2, &Form::Bound),
    ),
    ("one_of", "one of these", Form::List(1, &Form::Value)),
    ("not", "anything but this", Form::Value),
    (
        "about",
        "this number, give or take what `within` says",
        Form::Number,
    ),
    ("within", "how far the number may be from `about`", Form::Number),
    ("json", "a JSON value, compared by its structure", Form::Any),
];

/// How other tools call their matchers: here these are keys of a JSON object.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("eq", "the value itself"),
    ("gte", "`ge`"),
    ("lte", "`le`"),
    ("matches", "`match`"),
    ("ne", "`not`"),
    ("regex", "`match`"),
    ("regexp", "`match`"),
];

/// Whether this is the key of a matcher.
fn is_matcher(key: &str) -> bool {
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
        match Template::read(text) {
            Ok(template) if template.variables().next().is_some() => {
                Some(Shape::Variable(template, text.to_owned()))
            }
            Ok(template) => {
                // No variable in it, so it fills without any.
                let text = template.fill(&Vars::new()).unwrap_or_default();
                Some(Shape::Literal(SqlValue::Text(text.clone()), text))
            }
            Err(error) => {
                reading.error(
                    node,
                    error.to_string(),
                    "close it, or write `$${` for the two characters themselves",
                );
                None
            }
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

    /// Reads a value that has to be a whole number, or a matcher of numbers, or a variable.
    pub(crate) fn read_number(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let fits = match &node.kind {
            NodeKind::Int(number) => *number >= 0,
            NodeKind::Map(_) => true,
            NodeKind::Str(text) => text.contains("${"),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Decimal(_) | NodeKind::Hex(_) => false,
            NodeKind::Binary(_) | NodeKind::Seq(_) => false,
        };
        if !fits {
            let found = node.describe();
            let message = format!("this is a whole number, not {found}");
            let label = if matches!(node.kind, NodeKind::Int(_)) {
                "it is never negative"
            } else {
                "such as `1` or `{gt: 0}`"
            };
            reading.error(node, message, label);
            return None;
        }
        let unknown = |entry: &&Entry| {
            let key = entry.key.text().unwrap_or_default();
            !is_matcher(&key) || key == "json"
        };
        let entries = node.as_map().unwrap_or_default();
        for entry in entries.iter().filter(unknown) {
            let key = entry.key.text().unwrap_or_default();
            let problem = match OTHER_NAMES.iter().find(|(name, _)| *name == key) {
                Some((_, here)) => Diagnostic::error(entry.key.span, format!("unknown key `{key}`"))
                    .label(entry.key.span, format!("here this is written {here}")),
                None => {
                    let matchers = keys::names(MATCHERS);
                    unknown_key(&entry.key, &key, "a matcher of numbers", &matchers)
                }
            };
            reading.problems.push(problem);
        }
        if entries.iter().any(|entry| unknown(&entry)) {
            return None;
        }
        let pattern = Self::read(node, reading)?;
        if let Shape::Compare(relations) = &pattern.shape {
            let zero = BigDecimal::from(0);
            let below = relations.iter().any(|(relation, bound)| match (relation, bound) {
                (Relation::Lt, BigDecimalOrText::Number(bound)) => *bound <= zero,
                (Relation::Le, BigDecimalOrText::Number(bound)) => *bound < zero,
                (Relation::Gt | Relation::Ge, BigDecimalOrText::Number(_)) => false,
                (_, BigDecimalOrText::Text(_)) => true,
            });
            if below {
                reading.error(node, "no number is so", "this is counted, from 0 on");
            }
        }
        Some(pattern)
    }

    /// At least and at most this many, where it counts.
    pub(crate) fn range(&self) -> (Option<u64>, Option<u64>) {
        let relations = match &self.shape {
            Shape::Literal(SqlValue::Int(number), _) => {
                let number = u64::try_from(*number).ok();
                return (number, number);
            }
            Shape::Compare(relations) => relations.as_slice(),
            _ => &[],
        };
        let (mut least, mut most) = (None, None);
        for (relation, bound) in relations {
            let BigDecimalOrText::Number(bound) = bound else {
                continue;
            };
            let whole = |mode| bound.with_scale_round(0, mode).to_u64();
            let (low, high) = match relation {
                Relation::Gt => (
                    whole(RoundingMode::Floor).map(|bound| bound.saturating_add(1)),
                    None,
                ),
                Relation::Ge => (whole(RoundingMode::Ceiling), None),
                Relation::Lt => (
                    None,
                    whole(RoundingMode::Ceiling).map(|bound| bound.saturating_sub(1)),
                ),
                Relation::Le => (None, whole(RoundingMode::Floor)),
            };
            least = least.max(low);
            most = [most, high].into_iter().flatten().min();
        }
        (least, most)
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
            let within = key_of("within").map_or(Some(0.0), |within| read_float(within, reading));
            if entries.len() == 2 && key_of("within").is_none() {
                return mixed(node, reading);
            }
            let within = within.filter(|within| *within >= 0.0);
            if let (None, Some(node)) = (within, key_of("within")) {
                reading.error(node, "`within` is how far off a number may be", "zero or more");
            }
            return Some(Shape::About {
                value: read_float(about, reading)?,
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
                    reading.error(value, "`any` is written `{any: true}`", "write `true`");
                    return None;
                }
                Some(Shape::Any)
            }
            Some("match") => Some(Shape::Match(read_regex(value, reading)?)),
            Some("between") => match value.as_seq() {
                Some([low, high]) => {
                    let (low, high) = (read_bound(low, reading), read_bound(high, reading));
                    compare(node, vec![(Relation::Ge, low?), (Relation::Le, high?)], reading)
                }
                _ => {
                    reading.error(
                        value,
                        "`between` is a list of two bounds",
                        "write `{between: [1, 9]}`",
                    );
                    None
                }
            },
            Some("one_of") => {
                let Some(items) = value.as_seq().filter(|items| !items.is_empty()) else {
                    reading.error(value, "`one_of` is a list of values", "write `{one_of: [1, 2]}`");
                    return None;
                };
                all_of(items.iter().map(|item| Self::read(item, reading))).map(Shape::OneOf)
            }
            Some("not") => {
                let inner = Self::read(value, reading)?;
                if matches!(inner.shape, Shape::Any) {
                    reading.error(node, "no value is not any value", "this never holds");
                }
                Some(Shape::Not(Box::new(inner)))
            }
            Some("json") => Self::read_json(value, reading),
            _ => mixed(node, reading),
        }
    }
}

/// Bounds that some value lies between.
fn compare(
    node: &Node,
    relations: Vec<(Relation, BigDecimalOrText)>,
    reading: &mut Reading<'_>,
) -> Option<Shape> {
    let strict = |relation: Relation| matches!(relation, Relation::Gt | Relation::Lt);
    for (low, least) in relations
        .iter()
        .filter(|(one, _)| matches!(one, Relation::Gt | Relation::Ge))
    {
        for (high, most) in relations
            .iter()
            .filter(|(one, _)| matches!(one, Relation::Lt | Relation::Le))
        {
            let order = match (least, most) {
                (BigDecimalOrText::Number(least), BigDecimalOrText::Number(most)) => least.cmp(most),
                (BigDecimalOrText::Text(least), BigDecimalOrText::Text(most)) => least.cmp(most),
                _ => {
                    reading.error(node, "one bound is a number, the other text", "no value is both");
                    return None;
                }
            };
            let none =
                order == Ordering::Greater || (order == Ordering::Equal && (strict(*low) || strict(*high)));
            if none {
                let label = format!("{} {least} and {} {most}", low.sign(), high.sign());
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
            None if some_match && !is_matcher(&key) => "this is no matcher".to_owned(),
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
    let problem = Diagnostic::error(node.span, "these matchers do not go together")
        .label(node.span, "one matcher is meant here")
        .help("`gt`, `ge`, `lt` and `le` can be combined, and `about` with `within`; a JSON object with such keys is written `{json: {…}}`");
    reading.problems.push(problem);
    None
}

pub(crate) fn read_regex(node: &Node, reading: &mut Reading<'_>) -> Option<Regex> {
    let Some(text) = node.text().filter(|_| !node.is_null()) else {
        reading.error(
            node,
            "a regular expression is text",
            format!("this is {}", node.describe()),
        );
        return None;
    };
    if text.is_empty() {
        reading.error(node, "this fits any text", "`{not: null}` says so");
        return None;
    }
    match Regex::new(&text) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            reading.error(node, "this is no regular expression", reason);
            None
        }
    }
}

fn read_float(node: &Node, reading: &mut Reading<'_>) -> Option<f64> {
    let number = match &node.kind {
        NodeKind::Int(_) | NodeKind::Decimal(_) => node.text().and_then(|text| text.parse().ok()),
        _ => None,
    };
    if number.is_none() {
        reading.error(node, "this is a number", format!("not {}", node.describe()));
    }
    number
}

fn read_bound(node: &Node, reading: &mut Reading<'_>) -> Option<BigDecimalOrText> {
    match &node.kind {
        NodeKind::Int(number) => Some(BigDecimalOrText::Number((*number).into())),
        NodeKind::Decimal(text) => BigDecimal::from_str(text).ok().map(BigDecimalOrText::Number),
        NodeKind::Str(text) => Some(BigDecimalOrText::Text(text.clone())),
        _ => {
            reading.error(
                node,
                "a bound is a number or text",
                format!("this is {}", node.describe()),
            );
            None
        }
    }
}
