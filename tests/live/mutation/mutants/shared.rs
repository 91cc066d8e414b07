//! The shared state at the end, changed: variables, status, events, series, retries and jobs.

use tidb_scenarios::engine::{Entry, Node, NodeKind};

use super::Maker;
use crate::edit::{flag, flow, get, list, text, with};
use crate::values::{Change, wrong_numbers, wrong_values};

/// Other ends of a connection.
const STATUS: [&str; 3] = ["completed", "failed", "testing"];
/// What a series says of one value.
const OF_ONE_VALUE: [&str; 4] = ["first", "last", "min", "max"];

fn entries<'n>(node: &'n Node, key: &str) -> &'n [Entry] {
    get(node, key).and_then(Node::as_map).unwrap_or_default()
}

/// Whether it comes from a job that is watched. Such events count only where they are named, so that a list
/// without one says less.
fn of_job(event: &Node) -> bool {
    event.text().is_some_and(|name| name.contains('.'))
}

/// Other lists of events than the one that came.
fn wrong_orders(items: &[Node]) -> Vec<Change> {
    let mut changes = vec![("events emptied", list(Vec::new()))];
    // All that is left is weaker where each of them comes from a job.
    if items.iter().all(of_job) {
        changes.clear();
    }
    for at in 0..items.len() {
        if !of_job(&items[at]) {
            let mut dropped = items.to_vec();
            dropped.remove(at);
            changes.push(("event dropped", list(dropped)));
        }
        let mut twice = items.to_vec();
        twice.insert(at, items[at].clone());
        changes.push(("event twice", list(twice)));
        if at + 1 < items.len() && flow(&items[at]) != flow(&items[at + 1]) {
            let mut swapped = items.to_vec();
            swapped.swap(at, at + 1);
            changes.push(("events swapped", list(swapped)));
        }
    }
    changes
}

/// Other lists of values than those that were recorded.
fn wrong_series(items: &[Node]) -> Vec<Change> {
    let more = items.iter().cloned().chain([text("changed")]).collect();
    let mut changes = vec![("series longer", list(more))];
    if let [shorter @ .., _] = items {
        changes.push(("series shorter", list(shorter.to_vec())));
    }
    changes
}

/// Whether a number is smaller than the one before it.
fn falls(items: &[Node]) -> bool {
    let number = |item: &Node| match item.kind {
        NodeKind::Int(number) => Some(number),
        _ => None,
    };
    items
        .windows(2)
        .any(|pair| matches!((number(&pair[0]), number(&pair[1])), (Some(one), Some(other)) if other < one))
}

impl<'n> Maker<'n> {
    pub(super) fn shared(&mut self, node: &'n Node, whens: &[&Node]) {
        for entry in entries(node, "vars") {
            self.add_all(wrong_values(&entry.value, false), &entry.value, whens);
        }
        for entry in entries(node, "status") {
            for other in STATUS {
                if entry.value.as_str() != Some(other) {
                    self.add("status changed", &entry.value, &text(other), whens);
                }
            }
        }
        if let Some(events) = get(node, "events") {
            if let Some(items) = events.as_seq() {
                self.add_all(wrong_orders(items), events, whens);
            }
            self.counts("event's number changed", events.as_map(), whens);
        }
        let retries = get(node, "retries").and_then(Node::as_map);
        self.counts("retries changed", retries, whens);
        for entry in entries(node, "series") {
            self.series(&entry.value, whens);
        }
        for kind in ["imports", "ddl"] {
            for entry in entries(node, kind) {
                self.job(entry, whens);
            }
        }
    }

    fn counts(&mut self, kind: &'static str, counts: Option<&'n [Entry]>, whens: &[&Node]) {
        for entry in counts.unwrap_or_default() {
            for (_, wrong) in wrong_numbers(&entry.value) {
                self.add(kind, &entry.value, &wrong, whens);
            }
        }
    }

    fn series(&mut self, series: &'n Node, whens: &[&Node]) {
        for key in OF_ONE_VALUE {
            if let Some(value) = get(series, key) {
                for (_, wrong) in wrong_values(value, false) {
                    self.add("series' value changed", value, &wrong, whens);
                }
            }
        }
        if let Some(count) = get(series, "count") {
            for (_, wrong) in wrong_numbers(count) {
                self.add("series' length changed", count, &wrong, whens);
            }
        }
        if let Some(values) = get(series, "values") {
            let items = values.as_seq().unwrap_or_default();
            if falls(items) {
                let claimed = with(series, "increasing", flag(true));
                self.add("series said to increase", series, &claimed, whens);
            }
            self.add_all(wrong_series(items), values, whens);
            for item in items {
                for (_, wrong) in wrong_values(item, false) {
                    self.add("series' value changed", item, &wrong, whens);
                }
            }
        }
    }

    /// One job that fits is enough, so that the wrong value is one that no other job has.
    fn job(&mut self, entry: &'n Entry, whens: &[&Node]) {
        let each = entry.value.as_seq().unwrap_or_default();
        for field in [&entry.value]
            .into_iter()
            .chain(each)
            .filter_map(Node::as_map)
            .flatten()
        {
            for (_, wrong) in wrong_values(&field.value, true) {
                self.add("job's field changed", &field.value, &wrong, whens);
            }
        }
        if let [.., last] = each {
            let twice = each.iter().chain([last]).cloned().collect();
            self.add("job twice", &entry.value, &list(twice), whens);
        }
        let other = text("changed");
        self.add("job renamed", &entry.key, &other, whens);
    }
}
