//! What orders may come to, changed. The orders that came to a changed outcome come to none then.

use std::collections::BTreeSet;

use tidb_scenarios::engine::{Entry, Node, NodeKind};
use tidb_scenarios::engine::{TrialPlan, step_name};
use tidb_scenarios::testing::keys;

use super::expectations::NO_ERROR;
use super::{Area, Container, Maker, Reach};
use crate::edit::{get, int, list, map, one_or_more, text, with, without};
use crate::values::{Change, Rows, wrong_values};

/// How many steps are said to wait, one after another, that do not.
const CLAIMED_MAX: usize = 3;

impl<'n> Maker<'n> {
    pub(super) fn outcomes(&mut self, node: &'n Node, whens: &[&'n Node]) {
        self.area = Area::Outcomes;
        let entries = node.as_map().unwrap_or_default();
        // Of a single order it is not asked which of the outcomes were seen.
        let many = self.plans.iter().any(|plan| !plan.has_one_order());
        for entry in entries {
            let name = entry.key.text().unwrap_or_default().into_owned();
            self.reach = Some(Reach::Outcome(name.clone()));
            let container = Container {
                node: &entry.value,
                whens: whens.to_vec(),
            };
            self.finals(&container);
            for saw in get(&entry.value, "saw")
                .and_then(Node::as_map)
                .unwrap_or_default()
            {
                let says_kinds = saw.value.as_map().unwrap_or_default().iter().any(|entry| {
                    let key = entry.key.as_str().unwrap_or_default();
                    keys::SAW.contains(&key)
                });
                if says_kinds {
                    let container = Container {
                        node: &saw.value,
                        whens: whens.to_vec(),
                    };
                    self.expectations(&container, None);
                } else if saw.value.as_seq().is_some() {
                    self.rows(&saw.value, Rows::Ordered, whens);
                } else {
                    self.add_all(wrong_values(&saw.value, false), &saw.value, whens);
                }
            }
            if let Some(blocked) = get(&entry.value, "blocked") {
                let changes = self.wrong_waiters(blocked);
                self.add_all(changes, blocked, whens);
            }
            // Without any outcome nothing would be claimed.
            if entries.len() > 1 {
                let fewer = without(node, &[&name]);
                self.of_all("outcome dropped", entry, node, &fewer, whens);
            }
            let twice = with(node, "changed", entry.value.clone());
            self.of_all("outcome twice", entry, node, &twice, whens);
            if get(&entry.value, "may").is_some() && many {
                self.reach = Some(Reach::NoOutcome(name));
                let bare = without(&entry.value, &["may"]);
                self.add("may dropped", &entry.value, &bare, whens);
            }
        }
        self.reach = None;
        if many {
            let counts = vec![Entry {
                key: int(NO_ERROR),
                value: int(1),
            }];
            let never = map(vec![("errors", Node::new(node.span, NodeKind::Map(counts)))]);
            let more = with(node, "changed", never);
            self.add("outcome claimed", node, &more, whens).steers = true;
        }
        self.area = Area::Orders;
    }

    /// The outcomes that orders of a list are said to come to: all but those that are named there. Each order has one.
    pub(super) fn listed(&mut self, root: &'n Node) {
        let names: BTreeSet<String> = self
            .plans
            .iter()
            .flat_map(TrialPlan::outcomes)
            .map(|outcome| outcome.name.clone())
            .collect();
        let items = get(root, "permutations").and_then(|node| get(node, "list"));
        for item in items.and_then(Node::as_seq).unwrap_or_default() {
            let Some(named) = get(item, "outcome") else {
                continue;
            };
            let named_here: Vec<_> = one_or_more(named).into_iter().filter_map(Node::text).collect();
            let others = names
                .iter()
                .filter(|name| !named_here.iter().any(|here| here == *name));
            let others: Vec<Node> = others.map(text).collect();
            if !others.is_empty() {
                self.reach = Some(Reach::Order(named.span));
                self.add("outcome of an order changed", named, &list(others), &[]);
            }
        }
        self.reach = None;
    }

    /// The outcomes changed as a whole, told at one of them.
    fn of_all(&mut self, kind: &'static str, entry: &Entry, old: &'n Node, new: &Node, whens: &[&'n Node]) {
        let all = Container {
            node: old,
            whens: Vec::new(),
        };
        let now = match kind {
            "outcome dropped" => String::new(),
            _ => "(once more)".to_owned(),
        };
        self.add_entries(kind, entry, now, &[(&all, new.clone())], whens)
            .steers = true;
    }

    /// Exactly those that are named must have waited, so that any other list is wrong.
    fn wrong_waiters(&self, node: &Node) -> Vec<Change> {
        let items = node.as_seq().unwrap_or_default();
        let mut changes: Vec<Change> = Vec::new();
        for at in 0..items.len() {
            let mut dropped = items.to_vec();
            dropped.remove(at);
            changes.push(("waiter dropped", list(dropped)));
        }
        let Some(plan) = self.plans.first() else {
            return changes;
        };
        let names = (0..plan.steps.len()).map(|step| step_name(step, &plan.connections, &plan.steps));
        let named = |name: &String| items.iter().any(|item| item.as_str() == Some(name));
        for name in names.filter(|name| !named(name)).take(CLAIMED_MAX) {
            let more = items.iter().cloned().chain([text(name)]).collect();
            changes.push(("waiter claimed", list(more)));
        }
        changes
    }
}
