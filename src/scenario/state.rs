//! Reads the states of a concurrent connection.

use std::time::Duration;

use super::coordination::{BarrierDecl, RetriesDecl, UntilDecl, WantDecl};
use super::keys;
use super::reader::{Reader, when};
use super::{ActionDecl, ExpectDecl, Located, StepDecl, WatchDdl};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, read};

/// One state: a step, and what it has to do with the other connections and with the states after it.
#[derive(Debug, Clone)]
pub struct StateDecl {
    /// What it does and what is expected of it.
    pub step: StepDecl,
    /// What has to come first.
    pub wait_for: Vec<WantDecl>,
    /// Who has to be here first.
    pub barrier: Option<BarrierDecl>,
    /// Events that it brings.
    pub signal: Vec<Located<String>>,
    /// Numbers to add to variables.
    pub add: Vec<(Located<String>, Node)>,
    /// Values to append to series.
    pub record: Vec<(Located<String>, Located<String>)>,
    /// How often it does it.
    pub repeat: Option<Located<u32>>,
    /// Until when it does it again.
    pub until: Option<UntilDecl>,
    /// The pause between two looks.
    pub every: Option<Duration>,
    /// How long `until` or a watch may take.
    pub within: Option<Located<Duration>>,
    /// The state that follows.
    pub next: Option<Located<String>>,
    /// What follows instead, by what came of it.
    pub on: Vec<(Located<String>, Located<String>)>,
    /// How often it may go elsewhere after an error.
    pub retries: Option<RetriesDecl>,
}
impl Reader<'_> {
    /// The states of a connection.
    pub(super) fn states(&mut self, connection: &Located<String>, node: &Node) -> Vec<StateDecl> {
        match &node.kind {
            NodeKind::Seq(items) if !items.is_empty() => {
                let found: Vec<StateDecl> = items
                    .iter()
                    .filter_map(|item| self.state(connection, item))
                    .collect();
                self.steps_are_whole &= found.len() == items.len();
                found
            }
            _ => {
                let label = "write `- sql: select 1` below it";
                self.error(node, "`states` must be a list of states", label);
                self.steps_are_whole = false;
                Vec::new()
            }
        }
    }

    fn state(&mut self, connection: &Located<String>, node: &Node) -> Option<StateDecl> {
        let NodeKind::Map(entries) = &node.kind else {
            let label = "write `- sql: select 1`, and before it `state: name` for a name of its own";
            self.error(node, "a state must be a mapping", label);
            return None;
        };
        // What is written in steps only is told in words of its own, and is not among the keys known here.
        let mut own = entries.clone();
        own.retain(|entry| !self.is_of_steps(connection, entry));
        let named = own.len() < entries.len() && own.is_empty();
        let merged = Node::new(node.span, NodeKind::Map(own));
        let map = MapReader::new(&merged, "a state", &keys::state_names(), self.problems)?;
        if named {
            return None;
        }
        let name = map
            .get("state")
            .and_then(|node| self.name(node, "a state's name"));
        let first = entries.first().map_or(node.span, |entry| entry.key.span);
        let place = name.as_ref().map_or(first, |name| name.span);
        let action = self.state_action(node, &map)?;
        let until = map.entry("until").map(|entry| UntilDecl {
            values: entry.value.clone(),
        });
        self.check_until(&map, &action);
        let within = match map.entry("within") {
            Some(entry) if looks(&action, until.as_ref()) => {
                self.ok(read::limit(&entry.value)).map(|value| Located {
                    span: entry.key.span,
                    value,
                })
            }
            _ => None,
        };
        let mut expects = self.state_expects(&map);
        if looks(&action, until.as_ref())
            && let Some(own) = expects.first_mut()
        {
            own.entries.retain(|(key, _)| key.as_str() != Some("within"));
        }
        let save = self.pairs_of_text(map.get("save"), "save");
        let shared = self.pairs_of_text(map.get("shared"), "shared");
        let record = self.pairs_such_as(map.get("record"), "record", "progress: done");
        let record: Vec<_> = record
            .into_iter()
            .filter_map(|(name, node)| Some((name, self.text(&node, "the value to record")?)))
            .collect();
        for key in ["save", "shared", "record"] {
            if let (Some(entry), false) = (map.entry(key), action.is_statement()) {
                let verb = if key == "record" { "record" } else { "save" };
                let problem = Diagnostic::error(entry.key.span, format!("there is no result to {verb} from"));
                self.problems
                    .push(problem.label(entry.key.span, "this state runs no statement"));
            }
        }
        let step = StepDecl {
            span: node.span,
            connection: Located {
                span: place,
                value: connection.value.clone(),
            },
            action,
            name,
            when: map.get("when").and_then(|node| when(node, self.problems)),
            expects,
            save,
            shared,
            set: self.pairs(map.get("set"), "set"),
            timeout: map.get("timeout").and_then(|node| self.ok(read::limit(node))),
        };
        let on = self.pairs_such_as(map.get("on"), "on", "1213: begin");
        Some(StateDecl {
            step,
            wait_for: map
                .get("wait_for")
                .map(|node| self.wants(node))
                .unwrap_or_default(),
            barrier: map.get("barrier").and_then(|node| self.barrier(node)),
            signal: self.names(map.get("signal"), "an event's name"),
            add: self.pairs_such_as(map.get("add"), "add", "done: 1"),
            record,
            repeat: map.get("repeat").and_then(|node| self.times(node, "`repeat`", 1)),
            until,
            every: map.get("every").and_then(|node| self.ok(read::limit(node))),
            within,
            next: map.get("next").and_then(|node| self.text(node, "a state's name")),
            on: on
                .into_iter()
                .filter_map(|(trigger, node)| Some((trigger, self.text(&node, "a state's name")?)))
                .collect(),
            retries: map.get("retries").and_then(|node| self.retries(node)),
        })
    }

    /// Whether this key belongs into a step of a script; that is a mistake here.
    fn is_of_steps(&mut self, connection: &Located<String>, entry: &Entry) -> bool {
        let Some(key) = entry.key.as_str() else {
            return false;
        };
        if keys::names(keys::WAITING).contains(&key) {
            let message = format!("`{key}` cannot be expected of connections with `states`");
            let label = "which of them is blocked differs from run to run";
            let problem = Diagnostic::error(entry.key.span, message).label(entry.key.span, label);
            self.problems
                .push(problem.help("write `steps`, or order the connections with `wait_for` and `signal`"));
        } else if key == "as" {
            self.error(
                &entry.key,
                "the key for the name of a state is `state`",
                "write `state`",
            );
        } else if key == connection.value {
            let message = format!("the states of `{key}` do not repeat its name");
            self.error(&entry.key, message, "write `sql`");
        } else {
            return false;
        }
        true
    }

    fn state_action(&mut self, node: &Node, map: &MapReader<'_>) -> Option<ActionDecl> {
        let own = keys::names(keys::STATE_ACTION);
        let all: Vec<(&str, &Node)> = keys::names(keys::ACTION)
            .into_iter()
            .chain(own.iter().copied())
            .filter_map(|key| map.get(key).map(|node| (key, node)))
            .collect();
        let beside = ["wait_for", "barrier", "signal", "add", "next"];
        let params = map.entry("params");
        match all.as_slice() {
            [(key, value)] if own.contains(key) => {
                if let Some(params) = map.get("params") {
                    self.error(params, "`params` needs `sql`", "there is no `?` to fill");
                }
                self.watch(key, value)
            }
            [] if params.is_some() => {
                if let Some(params) = params {
                    let label = "write `sql: select ?` beside it";
                    self.error(&params.key, "`params` without `sql`", label);
                }
                None
            }
            [] if map.get("set").is_none() => {
                if beside.iter().any(|key| map.get(key).is_some()) {
                    return Some(ActionDecl::Nothing);
                }
                let others: Vec<&str> = keys::names(keys::ACTION)
                    .into_iter()
                    .filter(|key| *key != "sql")
                    .chain(own)
                    .chain(["set"])
                    .chain(beside)
                    .collect();
                let problem = Diagnostic::error(node.span, "this state does nothing");
                let help = format!("or one of `{}`", others.join("`, `"));
                self.problems
                    .push(problem.label(node.span, "write `sql: select 1` in it").help(help));
                None
            }
            _ => self.action(node, map, "a state", &all),
        }
    }

    fn watch(&mut self, key: &str, value: &Node) -> Option<ActionDecl> {
        let number = |node: &Node| {
            matches!(node.kind, NodeKind::Int(_)) || node.as_str().is_some_and(|text| text.contains("${"))
        };
        if key == "watch_import" {
            if matches!(value.kind, NodeKind::Bool(true)) || number(value) {
                return Some(ActionDecl::WatchImport(value.clone()));
            }
            let label = "write `${job}`, with `save: {job: …}` before, or `true`";
            self.error(value, "`watch_import` must be a job's number or `true`", label);
            return None;
        }
        match &value.kind {
            NodeKind::Map(_) => {
                let map = MapReader::new(value, "`watch_ddl`", &keys::names(keys::WATCH_DDL), self.problems)?;
                let Some(node) = map.get("table") else {
                    self.error(value, "`watch_ddl` needs `table`", "write `{table: name}`");
                    return None;
                };
                let table = self.text(node, "a table's name")?;
                Some(ActionDecl::WatchDdl(WatchDdl::Table(table)))
            }
            _ if number(value) => Some(ActionDecl::WatchDdl(WatchDdl::Job(value.clone()))),
            _ => {
                let label = match value.as_str().filter(|text| !text.trim().is_empty()) {
                    Some(table) => format!("write `{{table: {table}}}`"),
                    None => "write `{table: name}`".to_owned(),
                };
                self.error(
                    value,
                    "`watch_ddl` must be a job's number or `{table: name}`",
                    label,
                );
                None
            }
        }
    }

    /// Keys that mean nothing without others.
    fn check_until(&mut self, map: &MapReader<'_>, action: &ActionDecl) {
        let watches = matches!(action, ActionDecl::WatchImport(_) | ActionDecl::WatchDdl(_));
        let until = map.entry("until");
        let mut wrong = |entry: Option<&Entry>, message: &str, label: &str| {
            if let Some(entry) = entry {
                self.problems
                    .push(Diagnostic::error(entry.key.span, message).label(entry.key.span, label));
            }
        };
        if until.is_none() && !watches {
            let label = "nothing is polled here";
            wrong(map.entry("every"), "`every` needs `until` or a watch", label);
        }
        if watches {
            wrong(until, "a watch ends when its job ends", "leave `until` out");
            wrong(
                map.entry("repeat"),
                "a state can watch only once",
                "leave `repeat` out",
            );
        } else if !action.is_statement() {
            wrong(
                until,
                "`until` needs a statement that returns rows",
                "this state runs no statement",
            );
        }
        if let (Some(until), Some(repeat)) = (until, map.entry("repeat")) {
            self.exclude(
                until.key.span,
                repeat.key.span,
                "`until` and `repeat` exclude each other",
            );
        }
    }

    /// The state's own expectations, and those in its `expect`.
    fn state_expects(&mut self, map: &MapReader<'_>) -> Vec<ExpectDecl> {
        let mut found = vec![super::step::own_expectations(map)];
        let Some(node) = map.get("expect") else {
            return found;
        };
        let known: Vec<&str> = keys::EXPECTATIONS.iter().copied().chain(["when"]).collect();
        for item in self.items(node) {
            let Some(map) = MapReader::new(item, "`expect`", &known, self.problems) else {
                continue;
            };
            self.check_expects(item);
            let mut decl = super::step::own_expectations(&map);
            decl.when = map.get("when").and_then(|node| when(node, self.problems));
            found.push(decl);
        }
        found
    }
}

/// Whether the state looks again and again, so that `within` is how long that may take.
fn looks(action: &ActionDecl, until: Option<&UntilDecl>) -> bool {
    until.is_some() || matches!(action, ActionDecl::WatchImport(_) | ActionDecl::WatchDdl(_))
}
