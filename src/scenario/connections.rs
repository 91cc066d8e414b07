//! Reads `connections`.

use super::read::EXAMPLE;
use super::reader::Reader;
use super::{ConnectionDecl, Located, keys};
use crate::source::{Diagnostic, MapReader, Node, NodeKind, Span};

impl Reader<'_> {
    pub(super) fn connections(&mut self, node: Option<&Node>, root: &Node) -> Vec<ConnectionDecl> {
        let Some(node) = node else {
            let start = Span {
                start: root.span.start,
                end: root.span.start,
            };
            let problem = Diagnostic::error(start, "`connections` is missing");
            self.problems.push(
                problem
                    .label(start, "write `connections: [alice, bob]`")
                    .help(EXAMPLE),
            );
            return Vec::new();
        };
        let mut found: Vec<ConnectionDecl> = Vec::new();
        match &node.kind {
            NodeKind::Seq(items) if !items.is_empty() => {
                for item in items {
                    if let Some(entries) = item.as_map() {
                        let label = "write `connections: {alice: {isolation: read committed}, bob: {}}`";
                        self.error(item, "a list of connections must contain names only", label);
                        for entry in entries {
                            if let Some(name) = self.name(&entry.key, "a connection's name") {
                                found.extend(self.connection(name, &entry.value));
                            }
                        }
                        continue;
                    }
                    let Some(name) = self.name(item, "a connection's name") else {
                        continue;
                    };
                    if let Some(earlier) = found.iter().find(|other| other.name.value == name.value) {
                        let message = format!("two connections are called `{}`", name.value);
                        let problem = Diagnostic::error(name.span, message);
                        self.problems.push(
                            problem
                                .label(earlier.name.span, "one")
                                .label(name.span, "another"),
                        );
                        continue;
                    }
                    found.push(ConnectionDecl::plain(name));
                }
            }
            NodeKind::Map(entries) if !entries.is_empty() => {
                for entry in entries {
                    let Some(name) = self.name(&entry.key, "a connection's name") else {
                        continue;
                    };
                    found.extend(self.connection(name, &entry.value));
                }
            }
            _ => self.error(
                node,
                "`connections` must be a list of names or a mapping",
                "write `connections: [alice, bob]`",
            ),
        }
        self.check_number(&found);
        let keys = keys::step_names();
        for connection in &found {
            let name = &connection.name;
            if keys.contains(&name.value.as_str()) {
                let message = format!("a connection cannot be called `{}`", name.value);
                let problem = Diagnostic::error(name.span, message);
                self.problems
                    .push(problem.label(name.span, "this is a key of steps"));
            }
        }
        found
    }

    /// All connections together are held in memory, and on the server.
    fn check_number(&mut self, found: &[ConnectionDecl]) {
        let mut sum = 0_usize;
        for connection in found {
            sum = sum.saturating_add(connection.count.as_ref().map_or(1, |count| count.value));
            if sum > keys::CONNECTIONS_MAX as usize {
                let span = connection
                    .count
                    .as_ref()
                    .map_or(connection.name.span, |count| count.span);
                let message = format!("a scenario has at most {} connections", keys::CONNECTIONS_MAX);
                let problem = Diagnostic::error(span, message);
                self.problems.push(problem.label(span, "too many from here on"));
                return;
            }
        }
    }

    fn connection(&mut self, name: Located<String>, node: &Node) -> Option<ConnectionDecl> {
        if matches!(node.kind, NodeKind::Null) {
            return Some(ConnectionDecl::plain(name));
        }
        let map = MapReader::new(
            node,
            "a connection",
            &keys::names(keys::CONNECTION),
            self.problems,
        )?;
        let count = map.get("count").and_then(|node| match node.kind {
            NodeKind::Int(count) if (1..=i128::from(keys::CONNECTIONS_MAX)).contains(&count) => {
                usize::try_from(count).ok().map(|value| Located {
                    span: node.span,
                    value,
                })
            }
            _ => {
                let message = format!(
                    "`count` must be a whole number from 1 to {}",
                    keys::CONNECTIONS_MAX
                );
                let label = match node.kind {
                    NodeKind::Int(count) if count < 1 => "this is too small".to_owned(),
                    NodeKind::Int(_) => "this is too large".to_owned(),
                    _ => format!("this is {}", node.describe()),
                };
                self.error(node, message, label);
                None
            }
        });
        let password = map.get("password").and_then(|node| match node.text() {
            Some(text) if !node.is_null() => Some(Located {
                span: node.span,
                value: text.into_owned(),
            }),
            _ => {
                let label = format!("this is {}; an empty one is written ''", node.describe());
                self.error(node, "a password must be text", label);
                None
            }
        });
        let states_entry = map.entry("states");
        let states = states_entry
            .map(|entry| self.states(&name, &entry.value))
            .unwrap_or_default();
        let rounds = map.get("repeat").and_then(|node| self.times(node, "`repeat`", 1));
        if let (Some(entry), None) = (map.entry("repeat"), states_entry) {
            let problem = Diagnostic::error(entry.key.span, "`repeat` needs `states`");
            self.problems
                .push(problem.label(entry.key.span, "this connection has none to repeat"));
        }
        let mut text = |key: &str| map.get(key).and_then(|node| self.text(node, key));
        Some(ConnectionDecl {
            states_span: states_entry.map(|entry| entry.key.span),
            states,
            rounds,
            name,
            isolation: map.get("isolation").cloned(),
            txn: map.get("txn").cloned(),
            count,
            user: text("user"),
            password,
            database: text("database"),
            server: text("server"),
            vars: self.pairs(map.get("vars"), "vars"),
        })
    }
}

impl ConnectionDecl {
    fn plain(name: Located<String>) -> Self {
        Self {
            name,
            isolation: None,
            txn: None,
            vars: Vec::new(),
            count: None,
            user: None,
            password: None,
            database: None,
            server: None,
            states_span: None,
            states: Vec::new(),
            rounds: None,
        }
    }
}
