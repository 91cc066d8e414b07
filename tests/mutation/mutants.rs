//! All wrong versions of one file: each expectation changed in turn.
//!
//! What is not changed: claims that would only become weaker, such as one of two holders left out, or `any`
//! in the place of an error's number. A weaker claim is true as well.

use tidb_scenarios::plan::{LIFECYCLE, TrialPlan, label};
use tidb_scenarios::scenario::keys;
use tidb_scenarios::source::{Entry, Node, NodeKind, SourceFile, Span};
use tidb_scenarios::sql::by_name;

use super::edit::{Edit, flag, flow, get, int, list, map, one_or_more, text, with, without};
use super::values::{Change, Rows, cells, wrong_numbers, wrong_rows, wrong_values, wrong_widths};

/// One wrong version of a file.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What was changed, in words.
    pub kind: &'static str,
    /// Where.
    pub span: Span,
    /// What stood there, and what stands there now.
    pub was: String,
    pub now: String,
    pub edits: Vec<Edit>,
    /// The `when`s around the place: it concerns the variants in which all of them hold.
    pub whens: Vec<Node>,
    /// For a changed sequence of states: the connection and the new pattern.
    pub states: Option<(String, Vec<String>)>,
}

impl Mutant {
    /// Whether a variant has the changed place at all.
    pub fn concerns(&self, variant: &[(String, String)]) -> bool {
        let met = |entry: &Entry| {
            let axis = entry.key.as_str().unwrap_or_default();
            let mine = variant.iter().find(|(name, _)| name == axis);
            one_or_more(&entry.value)
                .into_iter()
                .any(|value| mine.is_some_and(|(_, mine)| *mine == label(axis, value)))
        };
        self.whens
            .iter()
            .all(|when| when.as_map().unwrap_or_default().iter().all(met))
    }
}

/// A mapping in which expectations stand.
#[derive(Clone)]
struct Container<'n> {
    node: &'n Node,
    whens: Vec<&'n Node>,
}

impl<'n> Container<'n> {
    fn entry(&self, key: &str) -> Option<&'n Entry> {
        let entries = self.node.as_map().unwrap_or_default();
        entries.iter().find(|entry| entry.key.as_str() == Some(key))
    }

    fn names(&self, key: &str) -> Vec<String> {
        let names = self.entry(key).map(|entry| one_or_more(&entry.value));
        let names = names.unwrap_or_default().into_iter();
        names
            .filter_map(|name| name.text())
            .map(|name| name.into_owned())
            .collect()
    }
}

/// A step, as far as its expectations go.
struct Step<'n> {
    node: &'n Node,
    owner: String,
    statement: bool,
    /// Whose statement or session it ends.
    kills: Option<String>,
    when: Option<&'n Node>,
    containers: Vec<Container<'n>>,
}

const BLOCKED_KEYS: [&str; 3] = ["blocked", "blocked_by", "not_blocked"];

impl<'n> Step<'n> {
    fn read(node: &'n Node) -> Option<Self> {
        let known = keys::step_names();
        let entries = node.as_map()?;
        let owner = entries
            .iter()
            .find(|entry| entry.key.as_str().is_some_and(|key| !known.contains(&key)))?;
        let inner = owner.value.as_map().map(|_| &owner.value);
        let find = |key: &str| get(node, key).or_else(|| inner.and_then(|inner| get(inner, key)));
        let when = find("when");
        let whens: Vec<&Node> = when.into_iter().collect();
        let mut containers = vec![Container {
            node,
            whens: whens.clone(),
        }];
        containers.extend(inner.map(|node| Container {
            node,
            whens: whens.clone(),
        }));
        for item in find("expect").map(one_or_more).unwrap_or_default() {
            let mut whens = whens.clone();
            whens.extend(get(item, "when"));
            containers.push(Container { node: item, whens });
        }
        let kills = find("kill").map(|target| get(target, "connection").unwrap_or(target));
        let statement = inner.is_none() && !owner.value.is_null()
            || ["sql", "load"].into_iter().any(|key| find(key).is_some());
        Some(Self {
            node,
            owner: owner.key.text()?.into_owned(),
            statement,
            kills: kills.and_then(Node::text).map(|name| name.into_owned()),
            when,
            containers,
        })
    }

    fn has(&self, keys: &[&str]) -> bool {
        let mut all = self.containers.iter();
        all.any(|container| keys.iter().any(|key| container.entry(key).is_some()))
    }
}

pub struct Maker<'n> {
    file: &'n SourceFile,
    connections: Vec<String>,
    found: Vec<Mutant>,
}

/// All mutants of a file, in the order of their places.
pub fn mutants(file: &SourceFile, root: &Node, plans: &[TrialPlan]) -> Vec<Mutant> {
    let connections = plans.first().map_or_else(Vec::new, |plan| {
        plan.connections.iter().map(|own| own.name.clone()).collect()
    });
    let mut maker = Maker {
        file,
        connections,
        found: Vec::new(),
    };
    let steps: Vec<Step<'_>> = get(root, "steps")
        .and_then(Node::as_seq)
        .unwrap_or_default()
        .iter()
        .filter_map(Step::read)
        .collect();
    for step in &steps {
        for container in &step.containers {
            maker.expectations(container, true);
        }
        maker.error_claimed(step);
    }
    for at in 0..steps.len() {
        maker.waiting(&steps, at);
    }
    for item in get(root, "expect").map(one_or_more).unwrap_or_default() {
        let whens = get(item, "when").into_iter().collect();
        maker.finals(&Container { node: item, whens }, plans);
    }
    maker.found.sort_by_key(|mutant| mutant.span.start);
    maker.found
}

/// A number that is no error's.
const NO_ERROR: i128 = 1999;

/// Another error than this one.
fn wrong_codes(node: &Node) -> Vec<Node> {
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
    fn raw(&self, span: Span) -> String {
        self.file.slice(span).to_owned()
    }

    fn add(&mut self, kind: &'static str, old: &Node, new: &Node, whens: &[&Node]) {
        let was = self.raw(old.span);
        self.found.push(Mutant {
            kind,
            span: old.span,
            was,
            now: flow(new),
            edits: vec![Edit::replace(old, new)],
            whens: whens.iter().map(|when| (*when).clone()).collect(),
            states: None,
        });
    }

    fn add_all(&mut self, changes: Vec<Change>, old: &Node, whens: &[&Node]) {
        for (kind, new) in changes {
            self.add(kind, old, &new, whens);
        }
    }

    /// Keys of a mapping left out, or changed: told at the key.
    fn add_entries(
        &mut self,
        kind: &'static str,
        key: &Entry,
        now: String,
        changes: &[(&Container<'n>, Node)],
        whens: &[&Node],
    ) {
        let span = Span {
            start: key.key.span.start,
            end: key.value.span.end.max(key.key.span.end),
        };
        let was = self.raw(span);
        self.found.push(Mutant {
            kind,
            span,
            was,
            now,
            edits: changes
                .iter()
                .map(|(container, new)| Edit::replace(container.node, new))
                .collect(),
            whens: whens.iter().map(|when| (*when).clone()).collect(),
            states: None,
        });
    }

    /// The expectations of a step, or of a query.
    fn expectations(&mut self, container: &Container<'n>, step: bool) {
        let whens = container.whens.as_slice();
        for entry in container.node.as_map().unwrap_or_default() {
            let Some(key) = entry.key.as_str() else { continue };
            let value = &entry.value;
            match key {
                "rows" => self.rows(value, Rows::Ordered, whens),
                "unordered" => self.rows(value, Rows::Unordered, whens),
                "contains" => self.rows(value, Rows::Contained, whens),
                "row" => self.row(value, Rows::Ordered, whens),
                "value" => self.add_all(wrong_values(value, false), value, whens),
                "count" | "affected" | "last_insert_id" => self.add_all(wrong_numbers(value), value, whens),
                "columns" => self.columns(value, whens),
                "warnings" => self.warnings(value, whens),
                "error" => {
                    self.error(value, whens);
                    if step {
                        let changes = [(container, without(container.node, &["error"]))];
                        self.add_entries("error dropped", entry, String::new(), &changes, whens);
                    }
                }
                "one_of" => self.one_of(value, whens),
                "within" => {
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

    fn rows(&mut self, node: &'n Node, how: Rows, whens: &[&Node]) {
        self.add_all(wrong_rows(node, how), node, whens);
        for row in node.as_seq().unwrap_or_default() {
            self.row(row, how, whens);
        }
    }

    fn row(&mut self, row: &'n Node, how: Rows, whens: &[&Node]) {
        self.add_all(wrong_widths(row), row, whens);
        for cell in cells(row) {
            self.add_all(wrong_values(cell, how == Rows::Contained), cell, whens);
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
            for other in wrong_codes(node) {
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
                "value" | "count" | "affected" | "last_insert_id" => {
                    map(vec![("not", map(vec![("any", flag(true))]))])
                }
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
    fn error_claimed(&mut self, step: &Step<'n>) {
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

    /// Who waits, for whom, and what ends it.
    fn waiting(&mut self, steps: &[Step<'n>], at: usize) {
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

    fn finals(&mut self, container: &Container<'n>, plans: &[TrialPlan]) {
        let whens = container.whens.as_slice();
        for entry in container.node.as_map().unwrap_or_default() {
            let value = &entry.value;
            let entries = value.as_map().unwrap_or_default();
            match entry.key.as_str() {
                Some("states") => {
                    for entry in entries {
                        self.states(entry, whens, plans);
                    }
                }
                Some("tables") => {
                    for entry in entries {
                        match &entry.value.kind {
                            NodeKind::Map(_) => {
                                let node = &entry.value;
                                let whens = container.whens.clone();
                                self.expectations(&Container { node, whens }, false);
                            }
                            _ => self.rows(&entry.value, Rows::Unordered, whens),
                        }
                    }
                }
                Some(key @ ("queries" | "always")) => {
                    for node in one_or_more(value) {
                        if node.as_map().is_some() {
                            let whens = container.whens.clone();
                            self.expectations(&Container { node, whens }, false);
                        } else if let (Some(sql), "always") = (node.as_str(), key) {
                            let negated = text(format!("select not ({sql})"));
                            self.add("always negated", node, &negated, whens);
                        }
                    }
                }
                Some("shared") => {
                    for entry in get(value, "vars").and_then(Node::as_map).unwrap_or_default() {
                        self.add_all(wrong_values(&entry.value, false), &entry.value, whens);
                    }
                    for entry in get(value, "status").and_then(Node::as_map).unwrap_or_default() {
                        for other in ["completed", "failed", "testing"] {
                            if entry.value.as_str() != Some(other) {
                                self.add("status changed", &entry.value, &text(other), whens);
                            }
                        }
                    }
                }
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

    fn states(&mut self, entry: &'n Entry, whens: &[&Node], plans: &[TrialPlan]) {
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
        for plan in plans {
            let number = plan.connections.iter().position(|own| own.name == connection);
            let own = plan.steps.iter().filter(|step| Some(step.connection) == number);
            known.extend(own.map(|step| step.state.clone()));
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
            self.add(kind, &entry.value, &new, whens);
            if let Some(mutant) = self.found.last_mut() {
                mutant.states = Some((connection.clone(), pattern));
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
