//! Wrong values, wrong rows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidb_scenarios::engine::{Node, NodeKind};

use crate::edit::{flag, flow, int, list, map, null, text};

/// A kind of change, and what stands in the place of the node then.
pub type Change = (&'static str, Node);

/// The keys of matchers: a mapping with others is JSON.
const MATCHERS: &[&str] = &[
    "any", "match", "gt", "ge", "lt", "le", "between", "one_of", "not", "about", "within", "json",
];

pub fn is_matcher(node: &Node) -> bool {
    node.as_map().is_some_and(|entries| {
        !entries.is_empty()
            && entries
                .iter()
                .all(|entry| entry.key.as_str().is_some_and(|key| MATCHERS.contains(&key)))
    })
}

fn not(node: &Node) -> Node {
    map(vec![("not", node.clone())])
}

/// Wrong values for this one. `alone`: no other row may meet the wrong value, as where rows are only looked
/// for (`contains`), so it is one that stands nowhere.
pub fn wrong_values(node: &Node, alone: bool) -> Vec<Change> {
    if alone {
        let far = match &node.kind {
            NodeKind::Int(number) => int(number.wrapping_add(987_654_321)),
            NodeKind::Str(word) => text(format!("{word} (changed)")),
            _ => text("changed"),
        };
        return vec![("value changed", far)];
    }
    if let NodeKind::Binary(bytes) = &node.kind {
        // The node's place does not have its tag, which stays.
        let mut other = bytes.clone();
        other.push(0);
        return vec![("value changed", text(STANDARD.encode(other)))];
    }
    let mut changes = vec![("value negated", not(node))];
    match &node.kind {
        NodeKind::Null => changes.extend([
            ("value changed", int(0)),
            ("value of another type", text("")),
            ("value of another type", text("null")),
        ]),
        NodeKind::Bool(value) => changes.push(("value changed", flag(!value))),
        NodeKind::Int(number) => {
            changes.push(("value changed", int(number + 1)));
            if *number != 0 {
                changes.push(("value changed", int(0)));
                changes.push(("value changed", int(-number)));
            }
            changes.push(("value of another type", text(number.to_string())));
            changes.push(("value of another type", null()));
        }
        NodeKind::Decimal(digits) => {
            if let Some(other) = another_number(digits) {
                changes.push(("value changed", Node::new(node.span, NodeKind::Decimal(other))));
            }
            changes.push(("value of another type", text(digits.clone())));
            changes.push(("value of another type", null()));
        }
        NodeKind::Str(word) => {
            changes.push(("value changed", text(format!("{word}x"))));
            changes.push(("value of another type", null()));
            if !word.contains("${") {
                // Spaces around JSON mean nothing.
                if !word.starts_with(['{', '[', '"']) {
                    changes.push(("value changed", text(format!("{word} "))));
                }
                let upper = word.to_uppercase();
                if upper != *word {
                    changes.push(("value changed", text(upper)));
                }
                if !word.is_empty() {
                    changes.push(("value changed", text("")));
                }
            }
        }
        NodeKind::Hex(digits) => {
            let last = if digits.ends_with('0') { '1' } else { '0' };
            let mut other = digits.clone();
            other.pop();
            other.push(last);
            changes.push(("value changed", Node::new(node.span, NodeKind::Hex(other))));
            changes.push(("value of another type", text(digits.clone())));
        }
        NodeKind::Binary(_) => {}
        NodeKind::Seq(_) | NodeKind::Map(_) if is_matcher(node) => changes.extend(wrong_matchers(node)),
        NodeKind::Seq(_) | NodeKind::Map(_) => changes.extend(wrong_json(node)),
    }
    changes
}

/// A number with another last digit.
fn another_number(digits: &str) -> Option<String> {
    let at = digits
        .split(['e', 'E'])
        .next()?
        .rfind(|c: char| c.is_ascii_digit())?;
    let other = if digits[at..].starts_with('1') { "2" } else { "1" };
    let mut changed = digits.to_owned();
    changed.replace_range(at..=at, other);
    Some(changed)
}

/// The opposite of comparisons, and other words in place of those that a matcher names.
fn wrong_matchers(node: &Node) -> Vec<Change> {
    let [entry] = node.as_map().unwrap_or_default() else {
        return Vec::new();
    };
    let value = entry.value.clone();
    let other = match entry.key.as_str() {
        Some("gt") => map(vec![("le", value)]),
        Some("ge") => map(vec![("lt", value)]),
        Some("lt") => map(vec![("ge", value)]),
        Some("le") => map(vec![("gt", value)]),
        Some("match") => map(vec![("match", text("^changed$"))]),
        Some("not") => value,
        _ => return Vec::new(),
    };
    vec![("matcher changed", other)]
}

/// JSON with each of its scalars changed in turn, and with one part more.
fn wrong_json(node: &Node) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    match &node.kind {
        NodeKind::Seq(items) => {
            for (at, item) in items.iter().enumerate() {
                for (_, wrong) in json_scalar(item) {
                    let mut other = items.clone();
                    other[at] = wrong;
                    changes.push(("json changed", list(other)));
                }
            }
            let more = items.iter().cloned().chain([int(1)]).collect();
            changes.push(("json changed", list(more)));
        }
        NodeKind::Map(entries) => {
            for (at, entry) in entries.iter().enumerate() {
                for (_, wrong) in json_scalar(&entry.value) {
                    let mut other = entries.clone();
                    other[at].value = wrong;
                    changes.push(("json changed", Node::new(node.span, NodeKind::Map(other))));
                }
            }
            let mut more = entries.clone();
            more.extend(
                map(vec![("changed", int(1))])
                    .as_map()
                    .unwrap_or_default()
                    .to_vec(),
            );
            changes.push(("json changed", Node::new(node.span, NodeKind::Map(more))));
        }
        _ => {}
    }
    changes
}

fn json_scalar(node: &Node) -> Vec<Change> {
    match &node.kind {
        NodeKind::Seq(_) | NodeKind::Map(_) => wrong_json(node),
        NodeKind::Int(number) => vec![
            ("", int(number + 1)),
            // JSON tells 1 from "1".
            ("", text(number.to_string())),
        ],
        NodeKind::Str(word) => vec![("", text(format!("{word}x")))],
        NodeKind::Bool(value) => vec![("", flag(!value))],
        _ => vec![("", text("changed"))],
    }
}

/// Wrong numbers for one that counts.
pub fn wrong_numbers(node: &Node) -> Vec<Change> {
    match &node.kind {
        NodeKind::Int(number) => {
            let mut others = vec![number + 1];
            if *number > 0 {
                others.push(0);
            }
            if *number > 1 {
                others.push(number - 1);
            }
            let changed = others.into_iter().map(|other| ("number changed", int(other)));
            changed.chain([("number negated", not(node))]).collect()
        }
        _ => vec![("number negated", not(node))],
    }
}

/// How rows are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// In their order.
    Ordered,
    /// In any order.
    Unordered,
    /// Looked for among others.
    Contained,
}

/// Wrong lists of rows for this one. Values are changed at their own places: see [`cells`].
pub fn wrong_rows(node: &Node, how: Rows) -> Vec<Change> {
    let Some(rows) = node.as_seq() else {
        return Vec::new();
    };
    let mut changes: Vec<Change> = Vec::new();
    if rows.is_empty() {
        changes.push(("row added", list(vec![list(vec![int(1)])])));
        return changes;
    }
    for at in 0..rows.len() {
        let mut twice = rows.to_vec();
        twice.insert(at, rows[at].clone());
        changes.push(("row twice", list(twice)));
        // A part of what is looked for is there as well.
        if how != Rows::Contained {
            let mut dropped = rows.to_vec();
            dropped.remove(at);
            changes.push(("row dropped", list(dropped)));
        }
        if how == Rows::Ordered && at + 1 < rows.len() && flow(&rows[at]) != flow(&rows[at + 1]) {
            let mut swapped = rows.to_vec();
            swapped.swap(at, at + 1);
            changes.push(("rows swapped", list(swapped)));
        }
    }
    if how != Rows::Contained {
        changes.push(("rows emptied", list(Vec::new())));
    }
    changes
}

/// A row with a cell more, and with a cell less.
pub fn wrong_widths(row: &Node) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    match &row.kind {
        NodeKind::Seq(cells) => {
            let wider = cells.iter().cloned().chain([int(1)]).collect();
            changes.push(("row wider", list(wider)));
            if let [narrower @ .., _] = cells.as_slice() {
                changes.push(("row narrower", list(narrower.to_vec())));
            }
        }
        NodeKind::Map(cells) => {
            for at in 0..cells.len() {
                let mut renamed = cells.clone();
                let name = renamed[at].key.text().unwrap_or_default().into_owned();
                renamed[at].key = text(format!("{name}x"));
                changes.push(("column renamed", Node::new(row.span, NodeKind::Map(renamed))));
            }
        }
        _ => {}
    }
    changes
}

/// The cells of a row, however it is written.
pub fn cells(row: &Node) -> Vec<&Node> {
    match &row.kind {
        NodeKind::Seq(cells) => cells.iter().collect(),
        NodeKind::Map(cells) => cells.iter().map(|entry| &entry.value).collect(),
        _ => Vec::new(),
    }
}
