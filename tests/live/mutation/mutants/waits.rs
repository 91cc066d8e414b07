//! Who waits, for whom, and what ends the wait, changed.

use tidb_scenarios::engine::{Entry, Node, NodeKind};

use super::{Container, Maker, Step};
use crate::edit::{flag, list, text, with, without};

const BLOCKED_KEYS: [&str; 3] = ["blocked", "blocked_by", "not_blocked"];

impl<'n> Maker<'n> {
    /// Who waits, for whom, and what ends it.
    pub(super) fn waiting(&mut self, steps: &[Step<'n>], at: usize) {
        let step = &steps[at];
        let waits = step.has(&["blocked", "blocked_by"]);
        for container in &step.containers {
            for key in ["blocked", "not_blocked"] {
                if let Some(entry) = container.entry(key)
                    && let NodeKind::Bool(value) = entry.value.kind
                {
                    self.add(
                        "blocked flag changed",
                        &entry.value,
                        &flag(!value),
                        &container.whens,
                    );
                }
            }
            let waiting = container
                .entry("blocked_by")
                .or_else(|| container.entry("blocked"));
            if let Some(entry) = waiting {
                self.blocked(steps, at, container, entry);
            }
        }
        if !waits && step.statement {
            self.blocked_claimed(steps, at);
        }
        self.unblocks(steps, at);
    }

    fn blocked(&mut self, steps: &[Step<'n>], at: usize, container: &Container<'n>, entry: &Entry) {
        let step = &steps[at];
        let whens = container.whens.as_slice();
        let plain = without(container.node, &BLOCKED_KEYS);
        let dropped = (container, plain);
        self.add_entries(
            "blocked dropped",
            entry,
            String::new(),
            std::slice::from_ref(&dropped),
            whens,
        );
        // What ends the wait is left out as well, so that only the server can tell that there is one.
        let released = releases(steps, at);
        let mut changes = vec![dropped];
        changes.extend(
            released
                .iter()
                .map(|(_, released)| (*released, without_name(released, &step.owner))),
        );
        if changes.len() > 1 {
            let now = "(with its `unblocks`)".to_owned();
            self.add_entries("blocked and unblocks dropped", entry, now, &changes, whens);
        }
        let holders = container.names("blocked_by");
        let releasers: Vec<&str> = released
            .iter()
            .flat_map(|(other, _)| {
                let release = &steps[*other];
                [Some(&release.owner), release.kills.as_ref()]
            })
            .flatten()
            .map(String::as_str)
            .collect();
        let others: Vec<String> = self
            .connections
            .iter()
            .filter(|name| **name != step.owner && !holders.contains(name))
            .cloned()
            .collect();
        for other in others {
            if holders.is_empty() {
                // Who releases, or who is killed for it, may well be who holds.
                if !releasers.contains(&other.as_str()) {
                    let changes = [(container, with(container.node, "blocked_by", text(&*other)))];
                    let now = format!("blocked_by: {other}");
                    self.add_entries("blocked_by claimed", entry, now, &changes, whens);
                }
                continue;
            }
            let mut more: Vec<Node> = holders.iter().map(|name| text(&**name)).collect();
            more.push(text(&*other));
            self.add("blocked_by changed", &entry.value, &text(&*other), whens);
            self.add("blocked_by extended", &entry.value, &list(more), whens);
        }
    }

    /// A step that does not wait, said to.
    fn blocked_claimed(&mut self, steps: &[Step<'n>], at: usize) {
        let step = &steps[at];
        let whens: Vec<&Node> = step.when.into_iter().collect();
        let own = Container {
            node: step.node,
            whens: whens.clone(),
        };
        let claimed = with(&without(step.node, &["not_blocked"]), "blocked", flag(true));
        let key = &step.node.as_map().unwrap_or_default()[0];
        let later = steps
            .iter()
            .skip(at + 1)
            .take_while(|other| other.owner != step.owner);
        let mut later = later.filter(|other| !other.has(&["unblocks"]));
        match later.next() {
            Some(other) => {
                let whens: Vec<&Node> = whens.iter().copied().chain(other.when).collect();
                let release = Container {
                    node: other.node,
                    whens: Vec::new(),
                };
                let released = with(other.node, "unblocks", text(&*step.owner));
                let changes = [(&own, claimed), (&release, released)];
                let now = format!("blocked: true, and unblocks: {} in the next step", step.owner);
                self.add_entries("blocked and unblocks claimed", key, now, &changes, &whens);
            }
            None => {
                let now = "blocked: true".to_owned();
                self.add_entries("blocked claimed", key, now, &[(&own, claimed)], &whens);
            }
        }
    }

    fn unblocks(&mut self, steps: &[Step<'n>], at: usize) {
        let step = &steps[at];
        for container in &step.containers {
            let whens = container.whens.as_slice();
            let Some(entry) = container.entry("unblocks") else {
                continue;
            };
            for name in container.names("unblocks") {
                let changed = without_name(container, &name);
                // A KILL says by itself that it ends the wait.
                if step.kills.as_ref() != Some(&name) {
                    let changes = [(container, changed.clone())];
                    let now = format!("(without {name})");
                    self.add_entries("unblocks dropped", entry, now, &changes, whens);
                }
                // Said of another step, before and after.
                let free = |other: &&Step<'n>| other.owner != name && !other.has(&["unblocks"]);
                let earlier = steps[..at]
                    .iter()
                    .rev()
                    .take_while(|other| other.owner != name)
                    .find(free);
                let later = steps[at + 1..]
                    .iter()
                    .take_while(|other| other.owner != name)
                    .find(free);
                for (kind, other) in [("unblocks said earlier", earlier), ("unblocks said later", later)] {
                    let Some(other) = other else { continue };
                    let whens: Vec<&Node> = whens.iter().copied().chain(other.when).collect();
                    let target = Container {
                        node: other.node,
                        whens: Vec::new(),
                    };
                    let claimed = with(other.node, "unblocks", text(&*name));
                    let changes = [(container, changed.clone()), (&target, claimed)];
                    let now = format!("unblocks: {name} at `{}`", self.raw(other.node.span));
                    self.add_entries(kind, entry, now, &changes, &whens);
                }
            }
            let names = container.names("unblocks");
            let others: Vec<String> = self
                .connections
                .iter()
                .filter(|other| **other != step.owner && !names.contains(other))
                .cloned()
                .collect();
            for other in others {
                self.add("unblocks changed", &entry.value, &text(other), whens);
            }
        }
        // A wait that nobody is said to end, such as one that times out, said to be ended by each step. (Of a
        // KILL it would be true.)
        if step.has(&["blocked", "blocked_by"]) && releases(steps, at).is_empty() {
            let later = steps
                .iter()
                .skip(at + 1)
                .take_while(|other| other.owner != step.owner);
            for other in later.filter(|other| other.kills.as_ref() != Some(&step.owner)) {
                let whens: Vec<&Node> = step.when.into_iter().chain(other.when).collect();
                let target = Container {
                    node: other.node,
                    whens: Vec::new(),
                };
                let claimed = with(other.node, "unblocks", text(&*step.owner));
                let key = &other.node.as_map().unwrap_or_default()[0];
                let now = format!("unblocks: {}", step.owner);
                self.add_entries("unblocks claimed", key, now, &[(&target, claimed)], &whens);
            }
        }
    }
}

/// The steps, and the places in them, that say that they end the wait of this step.
fn releases<'s, 'n>(steps: &'s [Step<'n>], at: usize) -> Vec<(usize, &'s Container<'n>)> {
    let owner = &steps[at].owner;
    let later = steps
        .iter()
        .enumerate()
        .skip(at + 1)
        .take_while(|(_, other)| other.owner != *owner);
    later
        .flat_map(|(number, other)| {
            let saying = other
                .containers
                .iter()
                .filter(|container| container.names("unblocks").contains(owner));
            saying.map(move |container| (number, container))
        })
        .collect()
}

/// A mapping whose `unblocks` does not have this name any more.
fn without_name(container: &Container<'_>, name: &str) -> Node {
    let names = container.names("unblocks");
    let kept: Vec<Node> = names
        .iter()
        .filter(|other| *other != name)
        .map(|other| text(&**other))
        .collect();
    let bare = without(container.node, &["unblocks"]);
    if kept.is_empty() {
        bare
    } else {
        with(&bare, "unblocks", list(kept))
    }
}
