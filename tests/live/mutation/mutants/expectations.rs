//! What is expected of a result, changed.

use tidb_scenarios::engine::{Node, NodeKind};
use tidb_scenarios::testing::TIMED_OUT;
use tidb_scenarios::testing::by_name;
use tidb_scenarios::testing::keys;

use super::{Area, Container, Maker, Step};
use crate::edit::{flow, get, int, list, map, one_or_more, text, with, without};
use crate::values::{Rows, cells, is_matcher, wrong_numbers, wrong_rows, wrong_values, wrong_widths};

/// A number that is no error's.
pub(super) const NO_ERROR: i128 = 1999;

/// A text that no scenario has.
pub(super) const NOWHERE_ELSE: &str = "(changed)";

/// Another error than this one.
pub(super) fn wrong_codes(node: &Node) -> Vec<Node> {
    let code = match &node.kind {
        NodeKind::Int(code) => Some(*code),
        NodeKind::Str(name) => by_name(name).map(|entry| i128::from(entry.code)),
        _ => None,
    };
    match code {
        Some(code) => {
            let others = [1205, 1213, 1062, code + 1]
                .into_iter()
                .filter(|other| *other != code);
            others.map(int).collect()
        }
        // `any`.
        None => vec![int(NO_ERROR)],
    }
}

impl<'n> Maker<'n> {
    /// The expectations of a step, or of a query.
    pub(super) fn expectations(&mut self, container: &Container<'n>, step: Option<&Step<'n>>) {
        let whens = container.whens.as_slice();
        // Where a state looks again and again, that is how long it may.
        let looks = step.is_some_and(|step| std::ptr::eq(step.node, container.node) && step.looks());
        for entry in container.node.as_map().unwrap_or_default() {
            let Some(key) = entry.key.as_str() else { continue };
            let value = &entry.value;
            match key {
                "rows" => self.rows(value, Rows::Ordered, whens),
                "unordered" => self.rows(value, Rows::Unordered, whens),
                "contains" => self.rows(value, Rows::Contained, whens),
                "row" => self.row(value, false, whens),
                "value" => self.add_all(wrong_values(value, false), value, whens),
                "count" | "affected" | "last_insert_id" => self.add_all(wrong_numbers(value), value, whens),
                "columns" => self.columns(value, whens),
                "warnings" => self.warnings(value, whens),
                "error" => {
                    self.error(value, whens);
                    // Where outcomes are named, an error that is not expected is a part of one.
                    if step.is_some() && !(self.area == Area::Orders && self.names_outcomes()) {
                        let changes = [(container, without(container.node, &["error"]))];
                        self.add_entries("error dropped", entry, String::new(), &changes, whens);
                    }
                }
                "one_of" => self.one_of(value, whens),
                "within" if !looks => {
                    let least = get(container.node, "at_least").and_then(Node::text);
                    let short = text(least.map_or_else(|| "1us".to_owned(), |least| least.into_owned()));
                    self.add("time changed", value, &short, whens);
                }
                "at_least" => {
                    let most = get(container.node, "within").and_then(Node::text);
                    let long = text(most.map_or_else(|| "1h".to_owned(), |most| most.into_owned()));
                    self.add("time changed", value, &long, whens);
                }
                "plan" => {
                    let swapped = value.as_map().unwrap_or_default().iter().map(|entry| {
                        let other = match entry.key.as_str() {
                            Some("uses") => "avoids",
                            _ => "uses",
                        };
                        (other, entry.value.clone())
                    });
                    self.add("plan changed", value, &map(swapped.collect()), whens);
                }
                _ => {}
            }
        }
    }

    pub(super) fn rows(&mut self, node: &'n Node, how: Rows, whens: &[&Node]) {
        self.add_all(wrong_rows(node, how), node, whens);
        let rows = node.as_seq().unwrap_or_default();
        // In any order, a row with a matcher may take the place of another one that is wrong in part.
        let takes_others = rows.iter().flat_map(cells).any(is_matcher);
        let alone = how == Rows::Contained || how == Rows::Unordered && takes_others;
        for row in rows {
            self.row(row, alone, whens);
        }
    }

    /// One row; `alone`: its wrong values must be such as no row has.
    fn row(&mut self, row: &'n Node, alone: bool, whens: &[&Node]) {
        self.add_all(wrong_widths(row), row, whens);
        for cell in cells(row) {
            self.add_all(wrong_values(cell, alone), cell, whens);
        }
    }

    fn columns(&mut self, node: &'n Node, whens: &[&Node]) {
        let names = node.as_seq().unwrap_or_default();
        for (at, name) in names.iter().enumerate() {
            let renamed = format!("{}x", name.text().unwrap_or_default());
            self.add("column renamed", name, &text(renamed), whens);
            let mut dropped = names.to_vec();
            dropped.remove(at);
            self.add("column dropped", node, &list(dropped), whens);
            if at + 1 < names.len() && flow(name) != flow(&names[at + 1]) {
                let mut swapped = names.to_vec();
                swapped.swap(at, at + 1);
                self.add("columns swapped", node, &list(swapped), whens);
            }
        }
        let more = names.iter().cloned().chain([text("more")]).collect();
        self.add("column added", node, &list(more), whens);
    }

    fn warnings(&mut self, node: &'n Node, whens: &[&Node]) {
        let Some(items) = node.as_seq() else {
            self.add_all(wrong_numbers(node), node, whens);
            return;
        };
        for item in items {
            self.error(item, whens);
        }
        let more = items.iter().cloned().chain([int(NO_ERROR)]).collect();
        self.add("warning added", node, &list(more), whens);
        if !items.is_empty() {
            self.add("warnings emptied", node, &list(Vec::new()), whens);
        }
    }

    fn error(&mut self, node: &'n Node, whens: &[&Node]) {
        if node.as_map().is_none() {
            let late = (node.as_str() != Some(TIMED_OUT)).then(|| text(TIMED_OUT));
            for other in wrong_codes(node).into_iter().chain(late) {
                self.add("error changed", node, &other, whens);
            }
            return;
        }
        if let Some(code) = get(node, "code") {
            for other in wrong_codes(code) {
                self.add("error changed", code, &other, whens);
            }
        }
        if let Some(state) = get(node, "sqlstate") {
            self.add("error's sqlstate changed", state, &text("HY001"), whens);
        }
        if let Some(pattern) = get(node, "match") {
            self.add("error's text changed", pattern, &text("^changed$"), whens);
        }
    }

    /// All choices changed at once, since any one that is left may be the one that holds.
    fn one_of(&mut self, node: &'n Node, whens: &[&Node]) {
        let mut wrong = Vec::new();
        for choice in node.as_seq().unwrap_or_default() {
            let Some(first) = choice.as_map().and_then(|entries| entries.first()) else {
                return;
            };
            let key = first.key.as_str().unwrap_or_default();
            let value = match key {
                // The opposite of a choice that does not hold would hold.
                "value" => text(NOWHERE_ELSE),
                "count" | "affected" | "last_insert_id" => int(987_654_321),
                "error" => int(NO_ERROR),
                "rows" | "unordered" | "contains" => {
                    let more = [list(vec![text("changed")])];
                    let rows = first.value.as_seq().unwrap_or_default().iter().cloned();
                    list(rows.chain(more).collect())
                }
                "row" | "columns" => {
                    let cells = first.value.as_seq().unwrap_or_default().iter().cloned();
                    list(cells.chain([text("changed")]).collect())
                }
                "within" => text("1us"),
                "at_least" => text("1h"),
                _ => return,
            };
            wrong.push(with(choice, key, value));
        }
        self.add("choices changed", node, &list(wrong), whens);
    }

    /// A step that succeeds, said to fail.
    pub(super) fn error_claimed(&mut self, step: &Step<'n>) {
        if step.has(&["error", "one_of"]) {
            return;
        }
        // What is expected of a result excludes an error, so it has to go.
        let results: Vec<&str> = keys::EXPECTATIONS
            .iter()
            .filter(|key| !["within", "at_least"].contains(*key))
            .copied()
            .collect();
        let mut new = without(step.node, &results);
        let entries = new.as_map().unwrap_or_default().to_vec();
        new = with(&new, "error", text("any"));
        for entry in &entries {
            let key = entry.key.as_str().unwrap_or_default();
            if key == "expect" {
                let items = one_or_more(&entry.value);
                let items = items.into_iter().map(|item| without(item, &results)).collect();
                new = with(&new, "expect", list(items));
            } else if key == step.owner && entry.value.as_map().is_some() {
                let inner = without(&entry.value, &results);
                new = with(&new, key, inner);
            }
        }
        let whens: Vec<&Node> = step.when.into_iter().collect();
        self.add("error claimed", step.node, &new, &whens);
    }
}
