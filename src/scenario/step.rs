//! Reads one step of the script.

use super::keys;
use super::reader::{Reader, when};
use super::{ActionDecl, Duplicates, ExpectDecl, LoadDecl, Located, StepDecl};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, Span, read};

impl Reader<'_> {
    pub(super) fn step(&mut self, node: &Node, connections: &[&str]) -> Option<StepDecl> {
        let NodeKind::Map(entries) = &node.kind else {
            let text = node.as_str().unwrap_or_default();
            let glued = text
                .split_once(':')
                .filter(|(name, rest)| connections.contains(name) && !rest.starts_with(' '));
            match glued {
                Some((name, rest)) => {
                    let label = format!("write `- {name}: {}`", crate::source::shortened(rest));
                    self.error(node, "a space is missing after `:`", label);
                }
                None => self.error(node, "a step must be a mapping", "write `- alice: select 1`"),
            }
            return None;
        };
        let known = keys::step_names();
        let is_key = |entry: &&Entry| entry.key.as_str().is_some_and(|key| known.contains(&key));
        let mut named: Vec<&Entry> = entries.iter().filter(|entry| !is_key(entry)).collect();
        // A name that a connection has is meant to be one; what is left over is a misspelt key.
        if named.len() > 1 {
            let (right, mut wrong): (Vec<_>, Vec<_>) = named
                .iter()
                .partition(|entry| entry.key.as_str().is_some_and(|key| connections.contains(&key)));
            match right.len() {
                0 => {
                    named.truncate(1);
                    wrong.remove(0);
                }
                1 => named = right,
                _ => {
                    let [first, second, ..] = right.as_slice() else {
                        return None;
                    };
                    self.problems.push(
                        Diagnostic::error(second.key.span, "a step belongs to one connection")
                            .label(first.key.span, "one connection")
                            .label(second.key.span, "and another")
                            .help("put `- ` before the second one, to make it a step of its own"),
                    );
                    return None;
                }
            }
            for entry in wrong {
                let key = entry.key.as_str().unwrap_or_default();
                self.unknown_key(&entry.key, key, "a step", &known);
            }
        }
        let Some(owner) = named.first() else {
            // A key that is no text is told already.
            let inside = |span: Span| node.span.start <= span.start && span.end <= node.span.end;
            let told = self.problems.iter().filter_map(Diagnostic::span).any(inside);
            if entries.is_empty() && told {
                return None;
            }
            self.error(
                node,
                "this step names no connection",
                "begin it with a connection's name: `- alice: …`",
            );
            return None;
        };
        let Some(name) = owner.key.as_str() else {
            self.error(
                &owner.key,
                "a connection's name must be text",
                format!("this is {}", owner.key.describe()),
            );
            return None;
        };
        // `- connection: alice` beside `sql`, as other tools have it.
        if let Some(own) = owner.value.as_str().filter(|own| connections.contains(own))
            && !connections.contains(&name)
        {
            let sql = entries.iter().find(|entry| entry.key.as_str() == Some("sql"));
            let sql = sql.and_then(|entry| entry.value.as_str()).unwrap_or("…");
            self.error(
                &owner.key,
                "a step begins with its connection's name",
                format!(
                    "write `- {own}: {}` in place of `{name}` and `sql`",
                    crate::source::shortened(sql)
                ),
            );
            return None;
        }
        let connection = Located {
            span: owner.key.span,
            value: name.to_owned(),
        };
        // The keys may stand beside the connection's name or inside it.
        let mut all: Vec<Entry> = entries.iter().filter(is_key).cloned().collect();
        let mut body = None;
        match &owner.value.kind {
            NodeKind::Map(inner) => {
                for entry in inner {
                    let same = |other: &&Entry| other.key.text() == entry.key.text();
                    if let Some(beside) = all.iter().find(same).filter(|_| is_key(&entry)) {
                        let key = entry.key.text().unwrap_or_default();
                        let message = format!("the key `{key}` appears twice");
                        let problem = Diagnostic::error(entry.key.span, message)
                            .label(entry.key.span, "inside the step")
                            .label(beside.key.span, "and beside it");
                        self.problems.push(problem.help("keep one of them"));
                    }
                }
                all.extend(inner.iter().cloned());
            }
            NodeKind::Null => {}
            _ => body = Some(&owner.value),
        }
        let merged = Node::new(node.span, NodeKind::Map(all));
        let map = MapReader::new(&merged, "a step", &known, self.problems)?;
        let mut found: Vec<(&str, &Node)> = body.map(|body| ("sql", body)).into_iter().collect();
        found.extend(
            keys::names(keys::ACTION)
                .into_iter()
                .filter_map(|key| map.get(key).map(|node| (key, node))),
        );
        let action = self.action(node, &map, "a step", &found)?;
        let expects = self.expects(&map);
        let save = self.pairs_of_text(map.get("save"), "save");
        let shared = self.pairs_of_text(map.get("shared"), "shared");
        for key in ["save", "shared"] {
            if let (Some(entry), false) = (map.entry(key), action.is_statement()) {
                let problem = Diagnostic::error(entry.key.span, "there is no result to save from");
                self.problems
                    .push(problem.label(entry.key.span, "this step runs no statement"));
            }
        }
        let set = self.pairs(map.get("set"), "set");
        let timeout = map.get("timeout").and_then(|node| self.ok(read::limit(node)));
        let name = map.get("as").and_then(|node| self.name(node, "a state's name"));
        let when = map.get("when").and_then(|node| when(node, self.problems));
        Some(StepDecl {
            span: node.span,
            connection,
            action,
            name,
            when,
            expects,
            save,
            shared,
            set,
            timeout,
        })
    }

    /// The one thing that a step or a state does, of those that were found.
    pub(super) fn action(
        &mut self,
        node: &Node,
        map: &MapReader<'_>,
        what: &str,
        found: &[(&str, &Node)],
    ) -> Option<ActionDecl> {
        let params = map.get("params");
        match found {
            [] if params.is_some() => {
                self.error(
                    node,
                    "`params` without a statement",
                    "write the statement behind the name",
                );
                None
            }
            [] if map.get("set").is_some() => Some(ActionDecl::Set),
            [] => {
                let options = keys::names(keys::ACTION).join("`, `");
                self.error(
                    node,
                    "this step does nothing",
                    format!("write a statement, or one of `{options}`, `set`"),
                );
                None
            }
            [(one, first), (other, second), ..] => {
                let message = format!("{what} has one action, and this one has `{one}` and `{other}`");
                self.problems.push(
                    Diagnostic::error(second.span, message)
                        .label(first.span, "one action")
                        .label(second.span, "and another")
                        .help(format!("make two {}s of it", what.trim_start_matches("a "))),
                );
                None
            }
            [(key, value)] => {
                if let (Some(params), false) = (params, *key == "sql") {
                    self.error(params, "`params` needs `sql`", "there is no `?` to fill");
                }
                if let (Some(with), false) = (map.get("with"), *key == "handler") {
                    self.error(with, "`with` needs `handler`", "this step has no handler");
                }
                self.one_action(key, value, params, map.get("with"))
            }
        }
    }

    fn one_action(
        &mut self,
        key: &str,
        value: &Node,
        params: Option<&Node>,
        with: Option<&Node>,
    ) -> Option<ActionDecl> {
        match key {
            "handler" => {
                let name = self.text(value, "a handler's name")?;
                if let Some(with) = with.filter(|with| with.as_map().is_none()) {
                    self.error(with, "`with` must be a mapping", "write `with: {name: value}`");
                }
                let with = with.cloned();
                Some(ActionDecl::Handler { name, with })
            }
            "sql" => {
                let statements = self.step_statements(value);
                if statements.is_empty() {
                    return None;
                }
                let params = match params.map(|node| (node, node.as_seq())) {
                    None => None,
                    Some((_, Some(items))) => Some(items.to_vec()),
                    Some((node, None)) => {
                        self.error(node, "`params` must be a list", "write `params: [1, text]`");
                        None
                    }
                };
                if let (Some(params), [_, second, ..]) = (&params, statements.as_slice()) {
                    let span = params.first().map_or(second.span, |node| node.span);
                    let problem = Diagnostic::error(span, "`params` needs exactly one statement");
                    self.problems
                        .push(problem.label(second.span, "this is a second one"));
                }
                Some(ActionDecl::Sql { statements, params })
            }
            "load" => {
                let map = MapReader::new(value, "`load`", &keys::names(keys::LOAD), self.problems)?;
                let Some(table) = map
                    .get("table")
                    .and_then(|node| self.text(node, "a table's name"))
                else {
                    self.error(
                        value,
                        "`load` needs `table`",
                        "write `load: {table: t, rows: [[1, 2]]}`",
                    );
                    return None;
                };
                let columns = self.texts(map.get("columns"), "a column's name");
                let duplicates = match map.get("duplicates").map(|node| (node, node.as_str())) {
                    None | Some((_, Some("ignore"))) => Duplicates::Ignore,
                    Some((_, Some("replace"))) => Duplicates::Replace,
                    Some((node, _)) => {
                        self.error(
                            node,
                            "`duplicates` must be `ignore` or `replace`",
                            "one of the two",
                        );
                        Duplicates::Ignore
                    }
                };
                let rows = map.get("rows").cloned();
                if let Some(rows) = &rows {
                    self.check_widths(rows, map.get("columns"));
                }
                let file = map.get("file").and_then(|node| self.text(node, "a path"));
                if rows.is_some() == file.is_some() {
                    self.error(
                        value,
                        "`load` needs either `rows` or `file`",
                        "name the source of the rows",
                    );
                    return None;
                }
                Some(ActionDecl::Load(LoadDecl {
                    table,
                    columns,
                    rows,
                    file,
                    duplicates,
                }))
            }
            "sleep" => self.ok(read::duration(value)).map(ActionDecl::Sleep),
            "kill" => match &value.kind {
                NodeKind::Map(_) => {
                    let map = MapReader::new(value, "`kill`", &keys::names(keys::KILL), self.problems)?;
                    let (node, connection) = match (map.get("query"), map.get("connection")) {
                        (Some(node), None) => (node, false),
                        (None, Some(node)) => (node, true),
                        _ => {
                            self.error(
                                value,
                                "`kill` needs either `query` or `connection`",
                                "such as `{connection: bob}`",
                            );
                            return None;
                        }
                    };
                    let target = self.text(node, "a connection's name")?;
                    Some(ActionDecl::Kill { target, connection })
                }
                _ => {
                    let target = self.text(value, "a connection's name")?;
                    Some(ActionDecl::Kill {
                        target,
                        connection: false,
                    })
                }
            },
            _ => {
                if !matches!(value.kind, NodeKind::Bool(true)) {
                    self.error(value, format!("`{key}` can only be `true`"), "write `true`");
                    return None;
                }
                Some(if key == "disconnect" {
                    ActionDecl::Disconnect
                } else {
                    ActionDecl::Reconnect
                })
            }
        }
    }

    /// Rows of `load` that cannot go into one table.
    fn check_widths(&mut self, rows: &Node, columns: Option<&Node>) {
        let widths = rows.as_seq().unwrap_or_default().iter();
        let mut widths = widths.filter_map(|row| Some((row, row.as_seq()?.len())));
        let (first, wanted) = match columns.map(|node| (node, node.as_seq().map_or(1, <[Node]>::len))) {
            Some(named) => named,
            None => match widths.next() {
                Some(first) => first,
                None => return,
            },
        };
        for (row, width) in widths.filter(|(_, width)| *width != wanted) {
            let values = |count: usize| format!("{count} value{}", if count == 1 { "" } else { "s" });
            let problem = Diagnostic::error(row.span, "all rows of `load` have the same columns")
                .label(row.span, format!("{} here", values(width)));
            let label = if columns.is_some() {
                format!("these are {wanted}")
            } else {
                format!("{} here", values(wanted))
            };
            self.problems.push(problem.label(first.span, label));
        }
    }

    /// The step's own expectations, and those in its `expect`.
    fn expects(&mut self, map: &MapReader<'_>) -> Vec<ExpectDecl> {
        let mut found = vec![self.expect_decl(map)];
        let Some(node) = map.get("expect") else {
            return found;
        };
        let known: Vec<&str> = keys::expectation_names().into_iter().chain(["when"]).collect();
        for item in self.items(node) {
            let Some(map) = MapReader::new(item, "`expect`", &known, self.problems) else {
                continue;
            };
            self.check_expects(item);
            let mut decl = self.expect_decl(&map);
            decl.when = map.get("when").and_then(|node| when(node, self.problems));
            found.push(decl);
        }
        found
    }

    fn expect_decl(&mut self, map: &MapReader<'_>) -> ExpectDecl {
        let own = own_expectations(map);
        let mut flag = |key: &str| {
            let node = map.get(key)?;
            let value = self.ok(read::boolean(node))?;
            Some(Located {
                span: map.entry(key).map_or(node.span, |entry| entry.key.span),
                value,
            })
        };
        let (blocked, not_blocked) = (flag("blocked"), flag("not_blocked"));
        let blocked_by = self.texts(map.get("blocked_by"), "a connection's name");
        let mut exclude = |one: Span, other: Span, what: &str| {
            self.exclude(one, other, &format!("{what} exclude each other"));
            self.steps_are_whole = false;
        };
        if let (Some(one), Some(other)) = (&blocked, &not_blocked) {
            exclude(one.span, other.span, "`blocked` and `not_blocked`");
        }
        let by = map.entry("blocked_by");
        if let (Some(flag), Some(by)) = (&not_blocked, by) {
            exclude(flag.span, by.key.span, "`not_blocked` and `blocked_by`");
        }
        if let (Some(Located { value: false, span }), Some(by)) = (&blocked, by) {
            exclude(*span, by.key.span, "`blocked: false` and `blocked_by`");
        }
        let blocked = blocked.or(not_blocked.map(|flag| Located {
            value: !flag.value,
            ..flag
        }));
        let unblocks = self.texts(map.get("unblocks"), "a connection's name");
        ExpectDecl {
            blocked,
            blocked_by,
            unblocks,
            ..own
        }
    }
}

/// What is expected of the result.
pub(super) fn own_expectations(map: &MapReader<'_>) -> ExpectDecl {
    let mut entries: Vec<(Node, Node)> = keys::EXPECTATIONS
        .iter()
        .filter_map(|key| map.entry(key))
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    entries.sort_by_key(|(key, _)| key.span);
    ExpectDecl {
        entries,
        ..ExpectDecl::default()
    }
}
