//! What a connection that runs freely waits for, changed to what never comes.

use tidb_scenarios::engine::{Node, NodeKind};
use tidb_scenarios::testing::keys::TIMES_MAX;

use super::expectations::NOWHERE_ELSE;
use super::{Container, Maker, Step};
use crate::edit::{flow, get, int, list, map, one_or_more, text, with};

/// How long it is waited for what never comes.
const IN_VAIN: &str = "2s";

impl Step<'_> {
    /// Whether it looks again and again, so that `within` is its limit and no expectation.
    pub(super) fn looks(&self) -> bool {
        self.has(&["until", "watch_import", "watch_ddl"])
    }
}

/// Events that are waited for, said to come more often than anything does.
fn too_often(want: &Node) -> Option<Node> {
    let times = |name: &str| map(vec![(name, int(i128::from(TIMES_MAX)))]);
    let event = |name: &str| !name.contains('.') || name.starts_with("import.") || name.starts_with("ddl.");
    match &want.kind {
        NodeKind::Str(name) if event(name) => Some(times(name)),
        NodeKind::Map(entries) => {
            let [entry] = entries.as_slice() else { return None };
            entry.key.as_str().filter(|name| event(name)).map(times)
        }
        _ => None,
    }
}

impl<'n> Maker<'n> {
    /// These decide how the trial goes on, so that they are run.
    pub(super) fn steering(&mut self, state: &Step<'n>) {
        let whens: Vec<&Node> = state.when.into_iter().collect();
        if let Some(until) = get(state.node, "until") {
            let never = text(NOWHERE_ELSE);
            for entry in until.as_map().unwrap_or_default() {
                let key = entry.key.text().unwrap_or_default();
                let new = with(until, &key, never.clone());
                self.add("until it never is", until, &new, &whens).steers = true;
            }
        }
        let own = Container {
            node: state.node,
            whens: Vec::new(),
        };
        if let Some(wants) = own.entry("wait_for") {
            let items: Vec<Node> = one_or_more(&wants.value).into_iter().cloned().collect();
            for at in 0..items.len() {
                if let Some(wrong) = too_often(&items[at]) {
                    let mut all = items.clone();
                    all[at] = wrong;
                    let now = flow(&list(all.clone()));
                    let new = with(state.node, "wait_for", list(all));
                    // Others may go on for as long as it waits.
                    let new = with(&new, "timeout", text(IN_VAIN));
                    self.add_entries("wait that never ends", wants, now, &[(&own, new)], &whens)
                        .steers = true;
                }
            }
        }
    }
}
