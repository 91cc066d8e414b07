//! One expected value: a literal that compares by SQL type, or a matcher.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr as _;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _};
use regex::Regex;

use super::template::Template;
use super::{Reading, all_of};
use crate::history::{SqlValue, Vars};
use crate::scenario::keys::{self, Form, Key};
use crate::source::{Diagnostic, Entry, Node, NodeKind, Span, unknown_key};

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

/// An expected value with its place in the file.
#[derive(Debug, Clone)]
pub struct ValuePattern {
    /// Where it stands.
    pub span: Span,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    /// A literal, with its text as it was written (`0123` is 123 but equals the text '0123').
    Literal(SqlValue, String),
    Bool(bool),
    /// `0x…`: bytes, or the number of a BIT column.
    Hex(Vec<u8>, String),
    Variable(Template, String),
    Any,
    Match(Regex),
    Compare(Vec<(Relation, BigDecimalOrText)>),
    OneOf(Vec<ValuePattern>),
    Not(Box<ValuePattern>),
    About {
        value: f64,
        within: f64,
    },
    /// A document, and the templates of its texts where one of them names a variable.
    Json(serde_json::Value, Vec<Template>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Gt,
    Ge,
    Lt,
    Le,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Gt => order == Ordering::Greater,
            Self::Ge => order != Ordering::Less,
            Self::Lt => order == Ordering::Less,
            Self::Le => order != Ordering::Greater,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Lt => "<",
            Self::Le => "<=",
        }
    }
}

#[derive(Debug, Clone)]
enum BigDecimalOrText {
    Number(BigDecimal),
    /// Times and dates order as text; text compares by its bytes.
    Text(String),
}

impl fmt::Display for BigDecimalOrText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
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

    /// Whether a value that the server gave is the one that is meant.
    #[must_use]
    pub fn matches(&self, actual: &SqlValue, vars: &Vars) -> bool {
        match &self.shape {
            Shape::Literal(wanted, raw) => literal_equals(wanted, raw, actual),
            Shape::Bool(flag) => match actual {
                SqlValue::Int(number) => *number == i128::from(*flag),
                SqlValue::Json(json) => *json == serde_json::Value::Bool(*flag),
                _ => false,
            },
            Shape::Hex(bytes, _) => match actual {
                SqlValue::Bytes(actual) => actual == bytes,
                SqlValue::Text(actual) => actual.as_bytes() == bytes.as_slice(),
                SqlValue::Int(actual) => {
                    bytes.len() <= 15
                        && bytes.iter().fold(0, |sum, byte| (sum << 8) | i128::from(*byte)) == *actual
                }
                _ => false,
            },
            Shape::Variable(template, _) => template.value(vars).is_ok_and(|wanted| {
                let raw = plain(&wanted);
                literal_equals(&wanted, &raw, actual)
            }),
            Shape::Any => true,
            Shape::Match(regex) => !matches!(actual, SqlValue::Null) && regex.is_match(&plain(actual)),
            Shape::Compare(relations) => relations
                .iter()
                .all(|(relation, bound)| order(actual, bound).is_some_and(|order| relation.holds(order))),
            Shape::OneOf(choices) => choices.iter().any(|choice| choice.matches(actual, vars)),
            Shape::Not(inner) => !inner.matches(actual, vars),
            Shape::About { value, within } => number(actual)
                .and_then(|number| number.to_string().parse::<f64>().ok())
                .is_some_and(|actual| (actual - value).abs() <= *within),
            Shape::Json(wanted, templates) => match actual {
                SqlValue::Json(actual) if templates.is_empty() => json_equals(wanted, actual),
                SqlValue::Json(actual) => json_equals(&filled(wanted, vars), actual),
                _ => false,
            },
        }
    }

    /// The pattern with its variables' values, for `expected …`.
    pub(crate) fn shown_with(&self, vars: &Vars) -> String {
        match &self.shape {
            Shape::Variable(template, text) => match template.value(vars) {
                Ok(value) => format!("{} (from `{text}`)", show(&value)),
                Err(name) => format!("`{text}` (`{name}` has no value)"),
            },
            Shape::Json(json, templates) if !templates.is_empty() => filled(json, vars).to_string(),
            _ => self.to_string(),
        }
    }

    /// The variables that it uses, with their places.
    pub(crate) fn variables(&self) -> Vec<(String, Span)> {
        match &self.shape {
            Shape::Variable(template, _) => template
                .variables()
                .map(|(name, _)| (name.to_owned(), self.span))
                .collect(),
            Shape::OneOf(choices) => choices.iter().flat_map(Self::variables).collect(),
            Shape::Not(inner) => inner.variables(),
            Shape::Literal(..) | Shape::Bool(_) | Shape::Hex(..) | Shape::Any | Shape::Match(_) => Vec::new(),
            Shape::Compare(_) | Shape::About { .. } => Vec::new(),
            Shape::Json(_, templates) => templates
                .iter()
                .flat_map(Template::variables)
                .map(|(name, _)| (name.to_owned(), self.span))
                .collect(),
        }
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Literal(value, _) => f.write_str(&show(value)),
            Shape::Bool(flag) => write!(f, "{flag}"),
            Shape::Hex(_, text) | Shape::Variable(_, text) => f.write_str(text),
            Shape::Any => f.write_str("anything"),
            Shape::Match(regex) => write!(f, "/{regex}/"),
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
            Shape::Json(json, _) => write!(f, "{json}"),
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

/// Finds in a JSON document the texts that name variables, and the numbers that JSON does not keep as they
/// are written.
fn check_json(node: &Node, templates: &mut Vec<Template>, reading: &mut Reading<'_>) {
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
fn filled(json: &serde_json::Value, vars: &Vars) -> serde_json::Value {
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

fn order(actual: &SqlValue, bound: &BigDecimalOrText) -> Option<Ordering> {
    match (bound, actual) {
        (BigDecimalOrText::Number(bound), _) => number(actual).map(|actual| actual.cmp(bound)),
        (BigDecimalOrText::Text(bound), SqlValue::Text(actual) | SqlValue::Time(actual)) => {
            Some(actual.cmp(bound))
        }
        (BigDecimalOrText::Text(_), _) => None,
    }
}

fn number(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some((*number).into()),
        SqlValue::Decimal(text) => BigDecimal::from_str(text).ok(),
        SqlValue::Float(number) => BigDecimal::from_str(&number.to_string()).ok(),
        SqlValue::Json(serde_json::Value::Number(number)) => BigDecimal::from_str(&number.to_string()).ok(),
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Time(_) | SqlValue::Json(_) => {
            None
        }
    }
}

/// Equality by SQL type: a number equals any numeric type by value, and text only as it was written.
fn literal_equals(wanted: &SqlValue, raw: &str, actual: &SqlValue) -> bool {
    match (wanted, actual) {
        (SqlValue::Null, SqlValue::Null) => true,
        (SqlValue::Null, SqlValue::Json(json)) => json.is_null(),
        (SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_), SqlValue::Text(actual)) => {
            raw == actual
        }
        (SqlValue::Int(_) | SqlValue::Decimal(_) | SqlValue::Float(_), _) => {
            number(wanted).is_some_and(|wanted| number(actual) == Some(wanted))
        }
        (SqlValue::Text(wanted), SqlValue::Text(actual) | SqlValue::Time(actual)) => wanted == actual,
        (SqlValue::Text(wanted), SqlValue::Json(actual)) => {
            // `"3"` is text and no number; what is in brackets or quotes can only be meant as JSON.
            let structure = wanted.trim_start().starts_with(['{', '[', '"']);
            let parsed = serde_json::from_str::<serde_json::Value>(wanted);
            actual.as_str() == Some(wanted)
                || structure && parsed.is_ok_and(|wanted| json_equals(&wanted, actual))
        }
        (SqlValue::Time(wanted), SqlValue::Time(actual) | SqlValue::Text(actual)) => wanted == actual,
        (SqlValue::Bytes(wanted), SqlValue::Bytes(actual)) => wanted == actual,
        (SqlValue::Bytes(wanted), SqlValue::Text(actual)) => wanted.as_slice() == actual.as_bytes(),
        (SqlValue::Json(wanted), SqlValue::Json(actual)) => json_equals(wanted, actual),
        (
            SqlValue::Null | SqlValue::Text(_) | SqlValue::Time(_) | SqlValue::Bytes(_) | SqlValue::Json(_),
            _,
        ) => false,
    }
}

/// JSON by structure; 1 and 1.0 are the same number.
fn json_equals(wanted: &serde_json::Value, actual: &serde_json::Value) -> bool {
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

fn json_of(node: &Node) -> Option<serde_json::Value> {
    json_with(node, &plain_text)
}

/// A node as JSON, each text of it by way of `text`.
fn json_with(node: &Node, text: &dyn Fn(&str) -> String) -> Option<serde_json::Value> {
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
        NodeKind::Seq(_) | NodeKind::Map(_) => SqlValue::Json(json_of(node)?),
    })
}

fn plain(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => show(other),
    }
}

/// A value as a person reads it; text is quoted, so that '3' and 3 are told apart.
#[must_use]
pub fn show(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Float(number) => number.to_string(),
        SqlValue::Decimal(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Text(text) => format!(
            "'{}'",
            text.escape_debug()
                .to_string()
                .replace("\\\"", "\"")
                .replace("\\'", "'")
        ),
        SqlValue::Bytes(bytes) if bytes.is_empty() => "0x (no bytes)".to_owned(),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(json) => json.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, parse};

    fn check(yaml: &str, actual: &SqlValue) -> bool {
        let file = SourceFile::new("t.yaml", yaml);
        let parsed = parse(&file);
        let root = parsed.root.expect("YAML");
        let mut problems = Vec::new();
        let mut reading = Reading {
            file: &file,
            problems: &mut problems,
        };
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
        let json = |text: &str| SqlValue::Json(serde_json::from_str(text).expect("JSON"));
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
            ("${x}", SqlValue::Int(7), true),
            ("${x}", SqlValue::Int(8), false),
            ("18446744073709551615", SqlValue::Int(u64::MAX.into()), true),
        ] {
            assert_eq!(check(yaml, &actual), equal, "{yaml} against {actual:?}");
        }
    }
}
