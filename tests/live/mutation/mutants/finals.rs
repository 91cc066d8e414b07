//! What must hold at the end, changed.

use tidb_scenarios::engine::{Entry, Node, NodeKind};
use tidb_scenarios::engine::{LIFECYCLE, Mode};

use super::expectations::wrong_codes;
use super::{Container, Maker, Sequence};
use crate::edit::{int, list, map, one_or_more, text};
use crate::values::{Rows, wrong_numbers};

impl<'n> Maker<'n> {
    pub(super) fn finals(&mut self, container: &Container<'n>) {
        let whens = container.whens.as_slice();
        for entry in container.node.as_map().unwrap_or_default() {
            let value = &entry.value;
            let entries = value.as_map().unwrap_or_default();
            match entry.key.as_str() {
                Some("states") => {
                    for entry in entries {
                        self.states(entry, whens);
                    }
                }
                Some("tables") => {
                    for entry in entries {
                        match &entry.value.kind {
                            NodeKind::Map(_) => {
                                let node = &entry.value;
                                let whens = container.whens.clone();
                                self.expectations(&Container { node, whens }, None);
                            }
                            _ => self.rows(&entry.value, Rows::Unordered, whens),
                        }
                    }
                }
                Some(key @ ("queries" | "always")) => {
                    for node in one_or_more(value) {
                        if node.as_map().is_some() {
                            let whens = container.whens.clone();
                            self.expectations(&Container { node, whens }, None);
                        } else if let (Some(sql), "always") = (node.as_str(), key) {
                            let negated = text(format!("select not ({sql})"));
                            self.add("always negated", node, &negated, whens);
                        }
                    }
                }
                Some("shared") => self.shared(value, whens),
                Some("errors") => {
                    if entries.is_empty() {
                        let one = map(vec![("any", int(1))]);
                        self.add("errors claimed", value, &one, whens);
                    }
                    for entry in entries {
                        self.add_all(wrong_numbers(&entry.value), &entry.value, whens);
                        // Of an error that never came none is a true count.
                        if !matches!(entry.value.kind, NodeKind::Int(1..)) {
                            continue;
                        }
                        let changed = wrong_codes(&entry.key);
                        for other in changed.into_iter().rev().take(1) {
                            self.add("errors' number changed", &entry.key, &other, whens);
                        }
                        self.add("errors emptied", value, &map(Vec::new()), whens);
                    }
                }
                _ => {}
            }
        }
    }

    fn states(&mut self, entry: &'n Entry, whens: &[&Node]) {
        let Some(items) = entry.value.as_seq() else {
            return;
        };
        let connection = entry.key.text().unwrap_or_default().into_owned();
        let names: Vec<String> = items
            .iter()
            .map(|item| item.text().unwrap_or_default().into_owned())
            .collect();
        let bare = |name: &str| name.trim_end_matches(['?', '*', '+']).to_owned();
        let mut known: Vec<String> = names
            .iter()
            .map(|name| bare(name))
            .filter(|name| name != "...")
            .collect();
        known.push("blocked".to_owned());
        for plan in self.plans {
            let Some(number) = plan.connections.iter().position(|own| own.name == connection) else {
                continue;
            };
            let freely = plan.connections[number]
                .states
                .clone()
                .map(|step| &plan.steps[step]);
            let scripted = plan.steps.iter().filter(|step| step.connection == number);
            let own: Vec<_> = match plan.mode {
                Mode::Concurrent(_) => freely.collect(),
                Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => scripted.collect(),
            };
            known.extend(own.into_iter().map(|step| step.state.clone()));
        }
        known.sort();
        known.dedup();
        let mut changed: Vec<(&'static str, Vec<String>)> = Vec::new();
        for at in 0..names.len() {
            let mut dropped = names.clone();
            dropped.remove(at);
            changed.push(("state dropped", dropped));
            let mut twice = names.clone();
            twice.insert(at, names[at].clone());
            changed.push(("state twice", twice));
            if at + 1 < names.len() && names[at] != names[at + 1] {
                let mut swapped = names.clone();
                swapped.swap(at, at + 1);
                changed.push(("states swapped", swapped));
            }
            // Not by all of them at each place: two, others each time.
            let others = known.iter().filter(|other| **other != bare(&names[at]));
            for other in others.cycle().skip(at).take(2.min(known.len() - 1)) {
                let mut replaced = names.clone();
                replaced[at].clone_from(other);
                changed.push(("state replaced", replaced));
            }
        }
        for more in known.iter().map(String::as_str).chain(["failed"]) {
            let mut longer = names.clone();
            longer.push(more.to_owned());
            changed.push(("state added", longer));
        }
        for (kind, pattern) in changed {
            let new = list(pattern.iter().map(|name| text(&**name)).collect());
            self.add(kind, &entry.value, &new, whens).states = Some(Sequence {
                connection: connection.clone(),
                was: names.clone(),
                now: pattern,
            });
        }
    }
}

/// Whether a sequence of states meets a pattern, found in another way than the engine does it: a changed
/// pattern that is met says nothing wrong.
pub fn states_meet(pattern: &[String], states: &[(u64, String)]) -> bool {
    let lifecycle = |name: &str| LIFECYCLE.contains(&name);
    let mut names_lifecycle = false;
    let mut wanted = String::from("^");
    for item in pattern {
        if item == "..." {
            wanted.push_str("(?:[^;]*;)*");
            continue;
        }
        let name = item.trim_end_matches(['?', '*', '+']);
        names_lifecycle |= lifecycle(name);
        let times = &item[name.len()..];
        wanted.push_str(&format!("(?:{};){times}", regex::escape(name)));
    }
    wanted.push('$');
    let all = states.iter().map(|(_, state)| state.as_str());
    let seen = all.filter(|state| names_lifecycle || !lifecycle(state));
    let seen: String = seen.map(|state| format!("{state};")).collect();
    regex::Regex::new(&wanted).expect("a pattern").is_match(&seen)
}
