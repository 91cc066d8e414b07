//! What a permutation came to with PostgreSQL, as an outcome.

use super::model::{Spec, SpecStep};
use super::output::{Ran, SeenStep, Table};
use crate::import::dialect::{Schema, code_of_message, postgres, split_postgres};
use crate::import::draft::Value;
use crate::import::names::{Names, Use};
use crate::import::rows::{cell, rows};

const DEADLOCK: u16 = 1213;

/// The names of states for those of steps.
pub(crate) fn state_names(sequences: &[Vec<&SpecStep>]) -> Names {
    let mut names = Names::new(Use::State);
    for step in sequences.iter().flatten() {
        names.get(&step.name);
    }
    names
}

/// What held after one permutation.
pub(crate) fn holds(
    ran: &Ran,
    spec: &Spec,
    sequences: &[Vec<&SpecStep>],
    names: &[String],
    schema: &Schema,
) -> Vec<(&'static str, Value)> {
    let mut saw = Vec::new();
    let mut blocked = Vec::new();
    let mut errors: Vec<(u16, usize)> = Vec::new();
    let mut all_known = true;
    // A connection that gets an error takes no more steps.
    let mut ended: Vec<usize> = Vec::new();
    let mut done: Vec<Vec<&str>> = vec![Vec::new(); names.len()];
    let mut states = state_names(sequences);
    for seen in &ran.seen {
        let found = spec.sessions.iter().enumerate().find_map(|(number, session)| {
            Some((number, session.steps.iter().find(|step| step.name == seen.name)?))
        });
        let Some((number, step)) = found else { continue };
        let Some(own) = done.get_mut(number) else { continue };
        own.push(&seen.name);
        let place = (number, own.len());
        if ended.contains(&number) {
            continue;
        }
        let times = own.iter().filter(|name| **name == seen.name).count();
        let mut name = format!("{}.{}", names[number], states.get(&seen.name));
        if times > 1 {
            name = format!("{name}.{times}");
        }
        // PostgreSQL's victim of a deadlock has waited a while; TiDB's gets its error at once.
        let code = seen.error.as_deref().and_then(code_of_message);
        if seen.waited && code != Some(DEADLOCK) {
            blocked.push((place, name.clone()));
        }
        if seen.error.is_some() {
            ended.push(number);
            match code {
                Some(code) => match errors.iter_mut().find(|(known, _)| *known == code) {
                    Some((_, count)) => *count += 1,
                    None => errors.push((code, 1)),
                },
                None => all_known = false,
            }
            let code = code.map_or(Value::text("any"), |code| Value::Number(code.to_string()));
            saw.push((place, name, Value::one("error", code)));
        } else if let Some(value) = saw_of(step, seen, schema) {
            saw.push((place, name, value));
        }
    }
    // In the order of the sessions: another order of the same facts is no other outcome.
    saw.sort_by_key(|(place, _, _)| *place);
    blocked.sort_by_key(|(place, _)| *place);
    errors.sort_unstable();
    let saw: Vec<_> = saw.into_iter().map(|(_, name, value)| (name, value)).collect();
    let blocked = blocked.into_iter().map(|(_, name)| Value::Text(name)).collect();
    let mut holds = Vec::new();
    if !saw.is_empty() {
        holds.push(("saw", Value::Map(saw)));
    }
    holds.push(("blocked", Value::List(blocked)));
    if all_known {
        let errors = errors
            .into_iter()
            .map(|(code, count)| (code.to_string(), Value::Number(count.to_string())));
        holds.push(("errors", Value::Map(errors.collect())));
    }
    holds
}

/// What a step saw, of its last statement.
fn saw_of(step: &SpecStep, seen: &SeenStep, schema: &Schema) -> Option<Value> {
    let statements = split_postgres(&step.block.text);
    let (last, _) = statements.last()?;
    let sql = postgres(last, schema).text?;
    let table = seen.tables.last()?;
    let verb = crate::sql::verb(&sql).unwrap_or_default();
    match verb.as_str() {
        "select" | "with" | "values" | "table" => {
            let (key, value) = rows(&sql, typed(table));
            Some(Value::one(key, value))
        }
        // RETURNING showed the rows that were written.
        "insert" | "update" | "delete" if seen.tables.len() == 1 => Some(Value::one(
            "affected",
            Value::Number(table.rows.len().to_string()),
        )),
        _ => None,
    }
}

/// The cells of a table. Of a column that has only `t` and `f`, and of an empty cell, two things may be meant.
fn typed(table: &Table) -> Vec<Vec<Value>> {
    let either = |one: Value, other: &str| Value::one("one_of", Value::List(vec![one, Value::text(other)]));
    let is_flag = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column));
        cells.clone().count() > 0 && cells.clone().all(|cell| cell == "t" || cell == "f")
    };
    let of_cell = |(column, text): (usize, &String)| match text.as_str() {
        "" => either(Value::Null, ""),
        "t" | "f" if is_flag(column) => either(Value::Flag(text == "t"), text),
        text => cell(text),
    };
    let row = |row: &Vec<String>| row.iter().enumerate().map(of_cell).collect();
    table.rows.iter().map(row).collect()
}

/// Names outcomes by what is special about them.
#[derive(Default)]
pub(crate) struct OutcomeNames {
    given: Vec<String>,
}

impl OutcomeNames {
    pub(crate) fn of(&mut self, holds: &[(&'static str, Value)]) -> String {
        let mut parts = Vec::new();
        for (key, value) in holds {
            match (*key, value) {
                ("blocked", Value::List(steps)) if !steps.is_empty() => {
                    let steps: Vec<&str> = steps.iter().filter_map(as_text).collect();
                    let verb = if steps.len() == 1 { "waits" } else { "wait" };
                    parts.push(format!("{} {verb}", steps.join(" and ")));
                }
                ("saw", Value::Map(entries)) => {
                    let failed = entries.iter().filter(|(_, value)| {
                        matches!(value, Value::Map(inner) if inner.iter().any(|(key, _)| key == "error"))
                    });
                    parts.extend(failed.map(|(step, _)| format!("{step} fails")));
                }
                _ => {}
            }
        }
        let name = if parts.is_empty() {
            "nobody waits".to_owned()
        } else {
            parts.join(" and ")
        };
        let count = self.given.iter().filter(|other| **other == name).count();
        self.given.push(name.clone());
        if count == 0 {
            name
        } else {
            format!("{name} ({})", count + 1)
        }
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Null | Value::Flag(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => None,
    }
}
