//! The final expectations, with their names resolved.

use super::connections::ConnectionPlan;
use super::names::Scope;
use super::pattern::{BLOCKED, LIFECYCLE, PatternItem, StatePattern};
use super::steps::own_statement;
use super::variants::Context;
use super::{Final, IsTrue, Query, Step};
use crate::expect::{Expectation, Reading, ValuePattern};
use crate::history::Status;
use crate::scenario::{Located, keys};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind};
use crate::sql::{by_name, nearest as nearest_name};

impl Context<'_> {
    pub(super) fn finals(
        &mut self,
        connections: &[ConnectionPlan],
        steps: &[Step],
        scope: &mut Scope<'_>,
    ) -> Vec<Final> {
        let mut finals = Vec::new();
        for decl in &self.scenario.expect {
            let mut found = Final::default();
            for (key, node) in &decl.entries {
                match key.as_str() {
                    Some("states") => self.states(node, connections, &mut found),
                    Some("tables") => self.tables(node, scope, &mut found),
                    Some("queries") => found.queries = self.queries(node, scope, false),
                    Some("always") => found.always = self.queries(node, scope, true),
                    Some("shared") => self.shared(node, connections, scope, &mut found),
                    Some("errors") => self.errors(key, node, &mut found),
                    Some(_) | None => {}
                }
            }
            if self.variant.is_in(decl.when.as_ref()) {
                self.state_names(&found, connections, steps);
                finals.push(found);
            }
        }
        finals
    }

    fn mapping<'n>(&mut self, node: &'n Node, what: &str, example: &str) -> &'n [Entry] {
        match &node.kind {
            NodeKind::Map(entries) => entries,
            _ => {
                let message = format!("`{what}` is a mapping, not {}", node.describe());
                self.problems.push(
                    Diagnostic::error(node.span, message).label(node.span, format!("write `{example}`")),
                );
                &[]
            }
        }
    }

    fn states(&mut self, node: &Node, connections: &[ConnectionPlan], found: &mut Final) {
        for entry in self.mapping(node, "states", "states: {alice: [begin, commit]}") {
            let name = Located {
                span: entry.key.span,
                value: entry.key.text().unwrap_or_default().into_owned(),
            };
            let Some(number) = self.connection_number(&name, connections) else {
                continue;
            };
            let Some(items) = entry.value.as_seq() else {
                let problem = Diagnostic::error(entry.value.span, "a sequence of states is a list of names");
                self.problems
                    .push(problem.label(entry.value.span, "write `[begin, commit]`"));
                continue;
            };
            let items = items.iter().filter_map(|item| {
                let text = item.text();
                if text.is_none() {
                    let problem = Diagnostic::error(item.span, "a state's name is text");
                    self.problems
                        .push(problem.label(item.span, format!("this is {}", item.describe())));
                }
                text.map(|text| PatternItem::read(&text))
            });
            let pattern = StatePattern {
                items: items.collect(),
            };
            found.states.push((number, entry.value.span, pattern));
        }
    }

    /// Names in patterns that no state of the connection has.
    fn state_names(&mut self, found: &Final, connections: &[ConnectionPlan], steps: &[Step]) {
        for (number, span, pattern) in &found.states {
            let own = steps
                .iter()
                .filter(|step| step.connection == *number)
                .map(|step| step.state.as_str());
            let known: Vec<&str> = own.chain(LIFECYCLE.iter().copied()).chain([BLOCKED]).collect();
            for name in pattern.items.iter().filter_map(|item| item.name.as_deref()) {
                if !known.contains(&name) {
                    let connection = connections.get(*number).map_or("?", |one| one.name.as_str());
                    let message = format!("`{connection}` has no state `{name}`");
                    let mut names: Vec<&str> = Vec::new();
                    for name in known.iter().filter(|name| !LIFECYCLE.contains(name)) {
                        if !names.contains(name) {
                            names.push(name);
                        }
                    }
                    let problem = Diagnostic::error(*span, message);
                    self.problems
                        .push(problem.label(*span, format!("it has {}", names.join(", "))));
                }
            }
        }
    }

    fn tables(&mut self, node: &Node, scope: &mut Scope<'_>, found: &mut Final) {
        for entry in self.mapping(node, "tables", "tables: {account: [[1, 70]]}") {
            let Some(name) = entry.key.text() else { continue };
            let quoted: Vec<String> = name
                .split('.')
                .map(|part| {
                    if part.starts_with("${") {
                        part.to_owned()
                    } else {
                        format!("`{}`", part.replace('`', "``"))
                    }
                })
                .collect();
            let Some(statement) =
                own_statement(entry.key.span, &format!("select * from {}", quoted.join(".")))
            else {
                continue;
            };
            scope.check(&statement.text, entry.key.span, self.problems);
            let expectations = match &entry.value.kind {
                NodeKind::Map(_) => self.query_expectations(&entry.value, &[], scope),
                _ => {
                    let key = Node::new(entry.key.span, NodeKind::Str("unordered".to_owned()));
                    self.read_expectations(&[&(key, entry.value.clone())], scope)
                }
            };
            found.tables.push(Query {
                span: entry.key.span,
                label: format!("table {name}"),
                sql: statement.text,
                expectations,
            });
        }
    }

    fn query_expectations(
        &mut self,
        node: &Node,
        beside: &[&str],
        scope: &mut Scope<'_>,
    ) -> Vec<Expectation> {
        let known: Vec<&str> = keys::EXPECTATIONS.iter().chain(beside).copied().collect();
        if MapReader::new(node, "a query", &known, self.problems).is_none() {
            return Vec::new();
        }
        let entries: Vec<(Node, Node)> = node
            .as_map()
            .unwrap_or_default()
            .iter()
            .filter(|entry| {
                entry
                    .key
                    .as_str()
                    .is_some_and(|key| keys::EXPECTATIONS.contains(&key))
            })
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        let found = self.read_expectations(&entries.iter().collect::<Vec<_>>(), scope);
        if entries.is_empty() {
            let problem = Diagnostic::error(node.span, "nothing is expected of this");
            self.problems
                .push(problem.label(node.span, "add `rows`, `value`, `count` or another expectation"));
        }
        found
    }

    fn queries(&mut self, node: &Node, scope: &mut Scope<'_>, plain: bool) -> Vec<Query> {
        let items = node
            .as_seq()
            .map_or_else(|| vec![node], |items| items.iter().collect());
        let mut found = Vec::new();
        for item in items {
            let (sql, expectations) = match &item.kind {
                NodeKind::Map(_) => {
                    let expectations = self.query_expectations(item, &["sql"], scope);
                    let sql = item
                        .as_map()
                        .unwrap_or_default()
                        .iter()
                        .find(|entry| entry.key.as_str() == Some("sql"));
                    let Some(sql) = sql else {
                        let problem = Diagnostic::error(item.span, "a query needs `sql`");
                        self.problems
                            .push(problem.label(item.span, "write `{sql: select 1, value: 1}`"));
                        continue;
                    };
                    (&sql.value, expectations)
                }
                NodeKind::Str(_) if plain => {
                    let check: Box<dyn crate::expect::Check> = Box::new(IsTrue);
                    (
                        item,
                        vec![Expectation {
                            key: "always",
                            span: item.span,
                            check,
                        }],
                    )
                }
                _ => {
                    let problem = Diagnostic::error(item.span, "a query is a mapping with `sql`");
                    self.problems
                        .push(problem.label(item.span, "write `{sql: select 1, value: 1}`"));
                    continue;
                }
            };
            let Some(text) = sql.as_str() else {
                let problem = Diagnostic::error(sql.span, "a statement is text");
                self.problems
                    .push(problem.label(sql.span, format!("this is {}", sql.describe())));
                continue;
            };
            if text.trim().is_empty() {
                let problem = Diagnostic::error(sql.span, "a statement is missing");
                self.problems
                    .push(problem.label(sql.span, "there is nothing here"));
                continue;
            }
            let located = Located {
                span: sql.span,
                value: text.to_owned(),
            };
            let Some(statement) = self.statement(&located, scope) else {
                continue;
            };
            let label = text.split_whitespace().collect::<Vec<_>>().join(" ");
            found.push(Query {
                span: sql.span,
                label,
                sql: statement.text,
                expectations,
            });
        }
        found
    }

    fn shared(
        &mut self,
        node: &Node,
        connections: &[ConnectionPlan],
        scope: &mut Scope<'_>,
        found: &mut Final,
    ) {
        let Some(map) = MapReader::new(node, "`shared`", &keys::names(keys::SHARED), self.problems) else {
            return;
        };
        let (vars, status) = (map.get("vars"), map.get("status"));
        for entry in vars
            .map(|node| self.mapping(node, "vars", "vars: {job: 1}"))
            .unwrap_or_default()
        {
            let Some(name) = entry.key.text() else { continue };
            scope.check_name(&name, entry.key.span, self.problems);
            let mut reading = Reading {
                file: self.file,
                problems: self.problems,
            };
            if let Some(pattern) = ValuePattern::read(&entry.value, &mut reading) {
                found.vars.push((name.into_owned(), entry.key.span, pattern));
            }
        }
        for entry in status
            .map(|node| self.mapping(node, "status", "status: {alice: completed}"))
            .unwrap_or_default()
        {
            let name = Located {
                span: entry.key.span,
                value: entry.key.text().unwrap_or_default().into_owned(),
            };
            let Some(number) = self.connection_number(&name, connections) else {
                continue;
            };
            let word = entry.value.text().unwrap_or_default().to_string();
            match Status::ALL.iter().find(|status| status.word() == word) {
                Some(status) => found.status.push((number, entry.value.span, *status)),
                None => {
                    let name = Located {
                        span: entry.value.span,
                        value: word,
                    };
                    self.unknown(&name, "status", Status::ALL.iter().map(|status| status.word()));
                }
            }
        }
    }

    fn errors(&mut self, key: &Node, node: &Node, found: &mut Final) {
        let entries = self.mapping(node, "errors", "errors: {1213: 1}");
        if entries.is_empty() && matches!(node.kind, NodeKind::Map(_)) {
            found.no_errors = Some(key.span);
        }
        for entry in entries {
            let code = match &entry.key.kind {
                NodeKind::Int(number) => u16::try_from(*number).ok().map(Some),
                NodeKind::Str(word) if word == "any" => Some(None),
                NodeKind::Str(name) => by_name(name).map(|entry| Some(entry.code)),
                _ => None,
            };
            let mut reading = Reading {
                file: self.file,
                problems: self.problems,
            };
            let count = ValuePattern::read_number(&entry.value, &mut reading);
            match (code, count) {
                (Some(code), Some(count)) => found.errors.push((code, entry.key.span, count)),
                (None, _) => {
                    let text = entry.key.text().unwrap_or_default();
                    let label = nearest_name(&text)
                        .map_or("such as 1213 or ER_LOCK_DEADLOCK".to_owned(), |near| {
                            format!("did you mean `{}` ({})?", near.name, near.code)
                        });
                    let problem = Diagnostic::error(entry.key.span, format!("no error is called `{text}`"));
                    self.problems.push(problem.label(entry.key.span, label));
                }
                (Some(_), None) => {}
            }
        }
    }
}
