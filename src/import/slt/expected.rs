//! The results of a query as expectations.

use std::sync::LazyLock;

use regex::Regex;

use super::record::{Query, Sort};
use crate::import::draft::Value;
use crate::import::rows::{cell, is_number, rows};
use crate::import::sql_text::literal;
use crate::source::Span;

static HASH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\d+) values? hashing to [0-9A-Fa-f]{32}$").expect("a pattern"));

/// What must come of a query.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub entries: Vec<(&'static str, Value)>,
    pub notes: Vec<String>,
    /// A mistake, and its place.
    pub mistake: Option<(Span, String)>,
}

/// The results of a query. `value_wise` is whether each value has a line of its own; none where the file does not
/// say.
pub(crate) fn expected(query: &Query, sort: Sort, value_wise: Option<bool>) -> Expected {
    let mut found = Expected::default();
    let Some(results) = &query.results else {
        // With a label, results are compared with those of others of that label.
        if query.label.is_none() && !query.types.is_empty() {
            found.entries.push(("rows", Value::List(Vec::new())));
        }
        return found;
    };
    let mut lines = results.as_slice();
    if query.names {
        let columns = lines
            .first()
            .map(|(line, _)| line.split_whitespace())
            .into_iter()
            .flatten();
        found
            .entries
            .push(("columns", Value::List(columns.map(Value::text).collect())));
        lines = lines.get(1..).unwrap_or_default();
    }
    let width = query.types.chars().count().max(1);
    if let [(line, span)] = lines
        && let Some(hash) = HASH.captures(line)
    {
        let count: usize = hash[1].parse().unwrap_or_default();
        if !count.is_multiple_of(width) {
            found.mistake = Some((
                *span,
                format!("{count} values do not fill rows of {width} columns"),
            ));
            return found;
        }
        found
            .notes
            .push("of the results there is a hash only: the number of rows is compared".to_owned());
        found
            .entries
            .push(("count", Value::Number((count / width).to_string())));
        return found;
    }
    let texts: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
    let split = row_wise(&texts, width);
    let by_value = value_wise.unwrap_or(sort == Sort::Values || split.is_none());
    let cells: Vec<Vec<String>> = match (by_value, split) {
        (false, Some(rows)) => rows,
        (true, _) if texts.len().is_multiple_of(width) => texts
            .chunks(width)
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect(),
        (false, None) | (true, _) => {
            found.notes.push(format!(
                "the results are not compared: their lines do not make rows of {width} columns"
            ));
            return found;
        }
    };
    if sort == Sort::Values && width > 1 {
        found
            .notes
            .push("the results are sorted value by value there: the number of rows is compared".to_owned());
        found
            .entries
            .push(("count", Value::Number(cells.len().to_string())));
        return found;
    }
    let types: Vec<char> = query.types.chars().collect();
    let typed = cells.iter().map(|row| {
        let cells = row.iter().enumerate();
        cells
            .map(|(column, text)| typed(text, types.get(column).copied()))
            .collect()
    });
    let typed: Vec<Vec<Value>> = typed.collect();
    let sorted = sort != Sort::None && typed.len() > 1;
    let (key, value) = rows(&query.statement.sql, typed);
    found
        .entries
        .push((if sorted { "unordered" } else { key }, value));
    found
}

/// Lines as rows: cells stand between tabs, or between spaces.
fn row_wise(lines: &[&str], width: usize) -> Option<Vec<Vec<String>>> {
    if width == 1 {
        return Some(lines.iter().map(|line| vec![(*line).to_owned()]).collect());
    }
    let rows = lines.iter().map(|line| {
        let tabs: Vec<String> = line.split('\t').map(|cell| cell.trim().to_owned()).collect();
        if tabs.len() == width {
            return Some(tabs);
        }
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words.len() == width).then_some(words)
    });
    rows.collect()
}

/// A value by the type of its column.
fn typed(text: &str, of: Option<char>) -> Value {
    if let Some(pattern) = text.strip_prefix("<REGEX>:") {
        return Value::one("match", Value::text(literal(pattern)));
    }
    if let Some(pattern) = text.strip_prefix("<!REGEX>:") {
        return Value::one("not", Value::one("match", Value::text(literal(pattern))));
    }
    if text == IGNORE {
        return Value::any();
    }
    if text.contains(IGNORE) {
        let parts: Vec<String> = text.split(IGNORE).map(regex::escape).collect();
        return Value::one(
            "match",
            Value::text(literal(&format!("(?s)^{}$", parts.join(".*")))),
        );
    }
    match (of, text) {
        (_, "(empty)") => Value::text(""),
        (_, "NULL") => Value::Null,
        (Some('B'), "true" | "t") => Value::Flag(true),
        (Some('B'), "false" | "f") => Value::Flag(false),
        // SQLite's tool rounds them to three digits.
        (Some('R'), _)
            if text.split_once('.').is_some_and(|(_, digits)| digits.len() == 3) && is_number(text) =>
        {
            Value::Map(vec![
                ("about".to_owned(), Value::Number(text.to_owned())),
                ("within".to_owned(), Value::Number("0.0005".to_owned())),
            ])
        }
        _ => cell(text),
    }
}

const IGNORE: &str = "<slt:ignore>";
