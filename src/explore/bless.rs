//! Writes the outcomes that were seen as the `outcomes` of a file.

use std::fmt::Write as _;

use super::show::count;
use super::{Explored, Group, order_in_words};
use crate::history::{CheckId, Outcome, RowSet, SqlValue};
use crate::plan::{TrialPlan, step_name};

/// Why a file cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlessError {
    /// There are `outcomes` already.
    #[error("`outcomes` is there already, and nothing was written: delete it to have it written anew")]
    There,
    /// `expect` is not a block to which lines can be added.
    #[error("`expect` is not a block of keys, one a line: make it one, and put this into it:\n{0}")]
    OneLine(String),
}

/// The file's text with the outcomes in it.
///
/// # Errors
/// [`BlessError`].
pub fn blessed(text: &str, plan: &TrialPlan, explored: &Explored) -> Result<String, BlessError> {
    if !plan.outcomes.is_empty() {
        return Err(BlessError::There);
    }
    let outcomes = outcomes(plan, explored);
    let lines: Vec<&str> = text.lines().collect();
    let top = |key: &str| {
        lines
            .iter()
            .position(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    };
    let mut written: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    match top("expect") {
        Some(at) => {
            let rest = lines[at].trim_start_matches("expect:").trim();
            let is_content = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
            let below = lines[at + 1..].iter().find(is_content).copied().unwrap_or("  ");
            let inner = below.trim_start();
            let block = rest.is_empty() || rest.starts_with('#');
            if !block || inner.starts_with(['-', '{', '[']) {
                return Err(BlessError::OneLine(outcomes));
            }
            // As far to the right as the keys that are there.
            let spaces = match below.len() - inner.len() {
                0 => INDENT,
                spaces => spaces,
            };
            let own = outcomes.trim_end().lines();
            let own = own.map(|line| format!("{}{}", " ".repeat(spaces), &line[INDENT..]));
            written.insert(at + 1, own.collect::<Vec<_>>().join("\n"));
        }
        None => {
            if written.last().is_some_and(|line| !line.trim().is_empty()) {
                written.push(String::new());
            }
            written.push("expect:".to_owned());
            written.push(outcomes.trim_end().to_owned());
        }
    }
    if top("permutations").is_none() {
        let at = written
            .iter()
            .position(|line| line.starts_with("expect:"))
            .unwrap_or(written.len());
        written.insert(at, "permutations: all\n".to_owned());
    }
    let text_after = written.join("\n") + "\n";
    if text.contains("\r\n") {
        return Ok(text_after.replace('\n', "\r\n"));
    }
    Ok(text_after)
}

/// How far the key `outcomes` stands to the right.
const INDENT: usize = 2;

/// The key `outcomes` with all that tells the outcomes apart. What the language cannot tell apart, such as how
/// many rows a statement changed, is one outcome.
fn outcomes(plan: &TrialPlan, explored: &Explored) -> String {
    let mut found: Vec<(String, u128, String)> = Vec::new();
    for group in &explored.outcomes {
        let body = body(plan, explored, group);
        match found.iter_mut().find(|(other, ..)| *other == body) {
            Some((_, orders, _)) => *orders = orders.saturating_add(group.stands_for),
            None => found.push((body, group.stands_for, order_in_words(plan, &group.order))),
        }
    }
    let mut text = "  outcomes:\n".to_owned();
    for (number, (body, orders, order)) in found.iter().enumerate() {
        let _ = writeln!(text, "    # {}, such as {order}", count(*orders, "order"));
        let _ = writeln!(text, "    outcome {}:", number + 1);
        text.push_str(body);
    }
    text
}

/// What one outcome is.
fn body(plan: &TrialPlan, explored: &Explored, group: &Group) -> String {
    let differs = |what: &str| {
        let fact = |group: &Group| {
            let facts = group.came.facts();
            facts
                .into_iter()
                .find(|(name, _)| name == what)
                .map(|(_, how)| how)
        };
        let mut all = explored.outcomes.iter().map(fact);
        let first = all.next();
        all.any(|other| Some(other) != first)
    };
    let mut text = String::new();
    let tables: Vec<String> = explored
        .tables
        .iter()
        .enumerate()
        .filter_map(|(at, name)| {
            let record = group
                .history
                .checks
                .iter()
                .find(|one| one.check == CheckId::Rows(at))?;
            let Outcome::Rows(set) = &record.outcome else {
                return None;
            };
            Some(format!("{}: {}", key(name), rows(set)))
        })
        .collect();
    let _ = writeln!(text, "      tables: {{{}}}", tables.join(", "));
    let errors: Vec<String> = group
        .came
        .errors()
        .into_iter()
        .map(|(code, count)| format!("{code}: {count}"))
        .collect();
    let _ = writeln!(text, "      errors: {{{}}}", errors.join(", "));
    // In the order of the file, which does not depend on the order of the steps.
    let saw: Vec<String> = (0..plan.steps.len())
        .filter_map(|step| {
            let record = group.history.steps.iter().find(|record| record.step == step)?;
            let name = step_name(step, &plan.connections, &plan.steps);
            let Outcome::Rows(set) = &record.end.as_ref()?.outcome else {
                return None;
            };
            if !differs(&name) {
                return None;
            }
            let value = match set.rows.as_slice() {
                [row] if row.len() == 1 => literal(&row[0]),
                _ => rows(set),
            };
            Some(format!("{}: {value}", key(&name)))
        })
        .collect();
    if !saw.is_empty() {
        let _ = writeln!(text, "      saw: {{{}}}", saw.join(", "));
    }
    let blocked: Vec<String> = group.came.blocked.iter().map(|name| key(name)).collect();
    let _ = writeln!(text, "      blocked: [{}]", blocked.join(", "));
    text
}

fn rows(set: &RowSet) -> String {
    let row = |row: &Vec<SqlValue>| {
        let cells: Vec<String> = row.iter().map(literal).collect();
        format!("[{}]", cells.join(", "))
    };
    let rows: Vec<String> = set.rows.iter().map(row).collect();
    format!("[{}]", rows.join(", "))
}

/// A name as a key in a flow mapping.
fn key(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_alphanumeric() || "_.-".contains(c))
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if plain { name.to_owned() } else { json(name) }
}

/// JSON's strings are YAML's, too.
fn json(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// A value as the language writes it.
fn literal(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "null".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Decimal(text) => text.clone(),
        SqlValue::Float(number) => format!("{{about: {number}, within: 0}}"),
        SqlValue::Text(text) | SqlValue::Time(text) => json(text),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(value) => format!("{{json: {value}}}"),
    }
}
