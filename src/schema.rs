//! The JSON Schema of a scenario file, made from the tables of keys: what an editor shows and marks.
//!
//! It knows the form of a file: its keys, and which kinds of values they have. What names mean, which keys
//! exclude each other, and that a step names one connection only, is the reader's alone. What the reader
//! takes, the schema takes too.

use serde_json::{Map, Value, json};

use crate::expect::{ERROR_KEYS, KINDS, MATCHERS};
use crate::history::Status;
use crate::scenario::keys::{self, Form, Key, names};

/// Text that is not blank.
const NOT_BLANK: &str = r"\S";
const NAME: &str = r"^[\p{L}_][\p{L}\p{N}_-]*$";
/// A connection's name in a step: with its number, where there are several of it.
const NAME_OR_NUMBERED: &str = r"^[\p{L}_][\p{L}\p{N}_-]*(\.[0-9]+)?$";
const DURATION: &str = r"^([0-9]+\.?[0-9]*|\.[0-9]+) *(us|ms|s|m|h) *$";
const SQLSTATE: &str = "^[0-9A-Za-z]{5}$";
const VARIABLE: &str = r"\$\{";
const ERROR_NAME: &str = "^([0-9]{1,5}|[A-Za-z][A-Za-z0-9_]*)$";

/// The schema's text, as it stands in `schema/scenario.json`.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// The schema, draft 7: the newest one that editors' YAML support knows whole.
#[must_use]
pub fn schema() -> Value {
    let mut root = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A scenario of tidb-scenarios",
    });
    extend(&mut root, object(keys::TOP, &["scenario"]));
    // A script, connections that all have states of their own, or a workload.
    let states = json!({"type": "object", "required": ["states"]});
    extend(
        &mut root,
        json!({"anyOf": [
            {"required": ["connections", "steps"]},
            {"required": ["connections"], "properties": {"connections": {
                "description": "concurrent connections, each with its own states",
                "type": "object",
                "additionalProperties": states,
            }}},
            {"required": ["workload"]},
        ]}),
    );
    extend(
        &mut root,
        json!({
            "definitions": {
                "step": step(),
                "state": state(),
                "query": query(),
                "expectations": expectations(),
                "rows": {"type": "array", "items": reference("row")},
                "row": {
                    "type": ["array", "object"],
                    "items": reference("value"),
                    "additionalProperties": reference("value"),
                },
                "value": value(),
                "count": count(),
                "error": error(),
            },
        }),
    );
    root
}

/// The schema of a form.
fn form(form: Form) -> Value {
    match form {
        Form::Text => json!({"type": ["string", "number", "boolean"], "pattern": NOT_BLANK}),
        Form::Words => json!({"type": "string", "pattern": NOT_BLANK}),
        Form::OneOf(words) => json!({"enum": words}),
        Form::Single => json!({"type": ["string", "number", "boolean", "null"]}),
        Form::Any => json!({}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Yes => json!({"const": true}),
        Form::Number => json!({"type": "number"}),
        Form::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Form::Bound => json!({"type": ["number", "string"]}),
        Form::Amount => json!({"type": ["number", "string"], "pattern": VARIABLE}),
        Form::Duration => json!({"type": "string", "pattern": DURATION}),
        Form::Name => json!({"type": "string", "pattern": NAME}),
        Form::Sqlstate => json!({"type": ["string", "integer"], "pattern": SQLSTATE}),
        Form::Status => json!({"enum": Status::ALL.map(Status::word)}),
        Form::List(least, item) => list(least, self::form(*item)),
        Form::Exactly(count, item) => {
            json!({"type": "array", "minItems": count, "maxItems": count, "items": self::form(*item)})
        }
        Form::OneOrMany(item) => or_list(self::form(*item), 0),
        Form::Either(forms) => {
            json!({"anyOf": forms.iter().map(|one| self::form(*one)).collect::<Vec<_>>()})
        }
        Form::Map(item) => json!({"type": "object", "additionalProperties": self::form(*item)}),
        Form::Object(keys, needs) => object(keys, needs),
        Form::Settings(keys) => or_nothing(object(keys, &[])),
        Form::ForVariants(keys) => or_list(object(&with(keys, &[keys::WHEN]), &[]), 0),
        Form::Connections => connections(),
        Form::Steps => list(1, reference("step")),
        Form::States => list(1, reference("state")),
        Form::Wants => {
            let one = json!({
                "type": ["string", "object"],
                "pattern": NOT_BLANK,
                "minProperties": 1,
                "additionalProperties": self::form(Form::Whole(1, keys::TIMES_MAX)),
            });
            or_list(one, 1)
        }
        Form::Transitions => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": ERROR_NAME},
            "additionalProperties": self::form(Form::Text),
        }),
        Form::StateExpect => or_list(object(&with(&kinds(), &[keys::WHEN]), &[]), 0),
        Form::Matrix => matrix(),
        Form::StepExpect => or_list(
            object(&with(&with(keys::WAITING, &kinds()), &[keys::WHEN]), &[]),
            0,
        ),
        Form::Saw => saw(),
        Form::Tables => {
            let mut rows_or_expectations = expectations();
            extend(
                &mut rows_or_expectations,
                json!({"type": ["array", "object"], "items": reference("row")}),
            );
            json!({"type": "object", "additionalProperties": rows_or_expectations})
        }
        Form::ErrorCounts => json!({
            "type": "object",
            "propertyNames": {"pattern": ERROR_NAME},
            "additionalProperties": reference("count"),
        }),
        Form::Expectations => reference("expectations"),
        Form::Query => reference("query"),
        Form::Watched => watched(),
        Form::Value => reference("value"),
        Form::Row => reference("row"),
        Form::Rows => reference("rows"),
        Form::Count => reference("count"),
        Form::Error => reference("error"),
    }
}

/// A number of rows or of times, or a matcher of it.
fn count() -> Value {
    let mut count = object(MATCHERS, &[]);
    extend(
        &mut count,
        json!({
            "type": ["integer", "string", "object"],
            "minimum": 0,
            "pattern": VARIABLE,
            "allOf": [reference("value")],
        }),
    );
    count
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

/// Adds the entries of another object; those of the same name are replaced.
fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn with(keys: &[Key], more: &[Key]) -> Vec<Key> {
    [keys, more].concat()
}

/// The kinds of expectation, as keys.
fn kinds() -> Vec<Key> {
    KINDS
        .iter()
        .map(|kind| (kind.key, kind.about, kind.form))
        .collect()
}

/// Each key with its description. In draft 7 what stands beside `$ref` counts for nothing, so a reference
/// is put one deeper.
fn properties(keys: &[Key]) -> Value {
    let described = keys.iter().map(|(name, about, form)| {
        let mut described = json!({"description": about});
        match self::form(*form) {
            reference if reference.get("$ref").is_some() => {
                extend(&mut described, json!({"allOf": [reference]}));
            }
            plain => extend(&mut described, plain),
        }
        ((*name).to_owned(), described)
    });
    Value::Object(described.collect::<Map<_, _>>())
}

fn object(keys: &[Key], needs: &[&str]) -> Value {
    let mut object = json!({
        "type": "object",
        "properties": properties(keys),
        "additionalProperties": false,
    });
    if !needs.is_empty() {
        extend(&mut object, json!({"required": needs}));
    }
    object
}

fn list(least: usize, item: Value) -> Value {
    let mut list = json!({"type": "array", "items": item});
    if least > 0 {
        extend(&mut list, json!({"minItems": least}));
    }
    list
}

/// The types that a schema names, if it names them as its own.
fn types(schema: &Value) -> Vec<Value> {
    match schema.get("type") {
        Some(Value::Array(types)) => types.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

/// One, or a list of them: in one schema where that can be told by the type alone, since editors explain
/// that better than `anyOf`.
fn or_list(one: Value, least: usize) -> Value {
    let mut types = types(&one);
    if types.is_empty() || types.contains(&json!("array")) {
        return json!({"anyOf": [one.clone(), list(least, one)]});
    }
    types.push(json!("array"));
    let mut either = one.clone();
    extend(&mut either, list(least, one));
    extend(&mut either, json!({"type": types}));
    either
}

fn or_nothing(one: Value) -> Value {
    let mut types = types(&one);
    types.push(json!("null"));
    let mut either = one;
    extend(&mut either, json!({"type": types}));
    either
}

fn connections() -> Value {
    let settings = or_nothing(object(keys::CONNECTION, &[]));
    json!({
        "type": ["array", "object"],
        "items": form(Form::Name),
        "minItems": 1,
        "uniqueItems": true,
        "propertyNames": {"pattern": NAME},
        "minProperties": 1,
        "additionalProperties": settings,
    })
}

fn matrix() -> Value {
    let axis = |about: &str, words| {
        let mut axis = json!({"description": about});
        extend(&mut axis, list(1, form(Form::OneOf(words))));
        axis
    };
    json!({
        "type": "object",
        "properties": {
            "isolation": axis("levels of isolation, for all connections without their own", keys::ISOLATION),
            "txn": axis("modes of transactions, for all connections without their own", keys::TXN),
        },
        "additionalProperties": list(1, form(Form::Single)),
    })
}

/// A step: its keys, and the name of its connection as one more, whatever it is called.
fn step() -> Value {
    let all = with(&with(keys::ACTION, &kinds()), &with(keys::WAITING, keys::STEP));
    let mut own = object(&all, &[]);
    extend(
        &mut own,
        json!({
            "description": "the connection that runs the step: a statement, a list of statements, or a mapping with \
                another action",
            "type": ["string", "array", "object", "null"],
            "pattern": NOT_BLANK,
            "items": form(Form::Words),
            "minItems": 1,
        }),
    );
    let mut step = object(&all, &[]);
    extend(
        &mut step,
        json!({
            "minProperties": 1,
            "propertyNames": {"pattern": NAME_OR_NUMBERED},
            "additionalProperties": own,
        }),
    );
    step
}

/// A state of a connection that runs freely.
fn state() -> Value {
    let all = with(
        &with(keys::ACTION, &kinds()),
        &with(keys::STATE_ACTION, keys::STATE),
    );
    let mut state = object(&all, &[]);
    extend(&mut state, json!({"minProperties": 1}));
    state
}

fn expectations() -> Value {
    let mut expectations = object(&kinds(), &[]);
    extend(&mut expectations, json!({"minProperties": 1}));
    expectations
}

/// `sql` and at least one expectation.
fn query() -> Value {
    let sql = ("sql", "the query", Form::Words);
    let mut query = object(&with(&[sql], &kinds()), &["sql"]);
    extend(&mut query, json!({"minProperties": 2}));
    query
}

/// A query of `always`: `sql`, and at least one expectation or `every`.
fn watched() -> Value {
    let sql = ("sql", "the query", Form::Words);
    let every = (
        "every",
        "how often it is asked, where connections run freely",
        Form::Duration,
    );
    let mut query = object(&with(&[sql, every], &kinds()), &["sql"]);
    extend(&mut query, json!({"minProperties": 2}));
    query
}

/// Anything; but a mapping whose keys are all words of matchers is a matcher.
fn value() -> Value {
    let all = names(MATCHERS);
    let comparisons = ["gt", "ge", "lt", "le"];
    let alone: Vec<_> = all.iter().filter(|name| **name != "within").collect();
    json!({
        "if": {"type": "object", "minProperties": 1, "propertyNames": {"enum": all}},
        "then": {
            "properties": properties(MATCHERS),
            "anyOf": [
                {"maxProperties": 1, "propertyNames": {"enum": alone}},
                {"propertyNames": {"enum": comparisons}},
                {"required": ["about"], "propertyNames": {"enum": ["about", "within"]}},
            ],
        },
    })
}

/// A value or rows, unless it is a mapping that has a kind of expectation for a key.
fn saw() -> Value {
    let is_kind = |name: &&&str| !names(MATCHERS).contains(*name);
    let telling = keys::EXPECTATIONS.iter().filter(is_kind);
    let telling: Vec<Value> = telling.map(|name| json!({"required": [name]})).collect();
    let known: Vec<Key> = kinds()
        .into_iter()
        .filter(|(name, ..)| keys::SAW.contains(name))
        .collect();
    json!({
        "if": {"type": "object", "anyOf": telling},
        "then": object(&known, &[]),
        "else": value(),
    })
}

/// A number, a name, or a mapping of parts of the error.
fn error() -> Value {
    let mut error = object(ERROR_KEYS, &[]);
    extend(
        &mut error,
        json!({
            "type": ["integer", "string", "object"],
            "minimum": 1000,
            "maximum": u16::MAX,
            "pattern": ERROR_NAME,
            "minProperties": 1,
        }),
    );
    error
}
