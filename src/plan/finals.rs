//! The final expectations, with their names resolved.

use std::time::Duration;

use super::connections::ConnectionPlan;
use super::context::Context;
use super::names::{Scope, quoted_table};
use super::pattern::{BLOCKED, LIFECYCLE, PatternItem, StatePattern};
use super::{Final, IsTrue, OutcomePlan, Query, Step};
use crate::expect::Expectation;
use crate::scenario::{Located, keys, lost_comment};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, Span, nearest, read};
use crate::sql::{by_name, nearest as nearest_name, split};

impl Context<'_> {
    pub(super) fn finals(
        &mut self,
        connections: &[ConnectionPlan],
        steps: &[Step],
        scope: &mut Scope<'_>,
    ) -> (Vec<Final>, Vec<OutcomePlan>) {
        let mut finals = Vec::new();
        let mut outcomes = Vec::new();
        if self.scenario.is_workload {
            return (finals, outcomes);
        }
        for decl in &self.scenario.expect {
            let mut found = Final::default();
            let mut named = Vec::new();
            for (key, node) in &decl.entries {
                match key.as_str() {
                    Some("states") => named = self.sequences(node, &mut found),
                    Some("tables") => self.tables(node, scope, &mut found),
                    Some("queries") => found.queries = self.queries(node, scope, false),
                    Some("always") => found.always = self.queries(node, scope, true),
                    Some("shared") => self.shared(node, steps, scope, &mut found),
                    Some("errors") => self.errors(key, node, scope, &mut found),
                    Some("outcomes") => {
                        let mine = self.variant.is_in(decl.when.as_ref());
                        let read = self.outcomes(node, connections, steps, scope);
                        if mine {
                            outcomes.extend(read);
                        }
                    }
                    Some(name) if keys::names(keys::FINAL_OF_WORKLOAD).contains(&name) => {
                        let problem = Diagnostic::error(key.span, format!("`{name}` needs a `workload`"));
                        let label =
                            "only the history of a workload is checked; of steps, expect results and tables";
                        self.problems.push(problem.label(key.span, label));
                    }
                    Some(_) | None => {}
                }
            }
            if self.variant.is_in(decl.when.as_ref()) {
                self.state_names(&named, connections, steps);
                finals.push(found);
            }
        }
        (finals, outcomes)
    }

    /// A mapping that names at least one thing: one that names none can't fail.
    pub(super) fn mapping<'n>(&mut self, node: &'n Node, what: &str, example: &str) -> &'n [Entry] {
        match &node.kind {
            NodeKind::Map(entries) => {
                if entries.is_empty() && what != "errors" {
                    let problem = Diagnostic::error(node.span, format!("`{what}` is empty"));
                    self.problems
                        .push(problem.label(node.span, format!("remove the key, or write `{example}`")));
                }
                entries
            }
            _ => {
                let message = format!("`{what}` must be a mapping, not {}", node.describe());
                self.problems.push(
                    Diagnostic::error(node.span, message).label(node.span, format!("write `{example}`")),
                );
                &[]
            }
        }
    }

    /// Reads the patterns; returns the states that they name, each with its connection and its place.
    pub(super) fn sequences(&mut self, node: &Node, found: &mut Final) -> Vec<(usize, String, Span)> {
        let mut named = Vec::new();
        for entry in self.mapping(node, "states", "states: {alice: [begin, commit]}") {
            let name = Located {
                span: entry.key.span,
                value: entry.key.text().unwrap_or_default().into_owned(),
            };
            let number = self.connection_number(&name);
            let Some(items) = entry.value.as_seq() else {
                let problem =
                    Diagnostic::error(entry.value.span, "a sequence of states must be a list of names");
                self.problems
                    .push(problem.label(entry.value.span, "write `[begin, commit]`"));
                continue;
            };
            let mut pattern = StatePattern { items: Vec::new() };
            for node in items {
                let Some(text) = node.text().filter(|_| !node.is_null()) else {
                    let problem = Diagnostic::error(node.span, "a state's name must be text");
                    self.problems
                        .push(problem.label(node.span, format!("this is {}", node.describe())));
                    continue;
                };
                let item = PatternItem::read(&text);
                if let (Some(state), Some(number)) = (&item.name, number) {
                    named.push((number, state.clone(), node.span));
                }
                pattern.items.push(item);
            }
            if let Some(number) = number {
                found.states.push((number, entry.value.span, pattern));
            }
        }
        named
    }

    /// Names in patterns that no state of the connection has.
    pub(super) fn state_names(
        &mut self,
        named: &[(usize, String, Span)],
        connections: &[ConnectionPlan],
        steps: &[Step],
    ) {
        for (number, state, span) in named {
            if state == BLOCKED && self.scenario.is_concurrent() {
                let message = "`blocked` cannot be expected of connections with `states`";
                let problem = Diagnostic::error(*span, message);
                self.problems
                    .push(problem.label(*span, "which of them is blocked differs from run to run"));
                continue;
            }
            if LIFECYCLE.contains(&state.as_str()) || state == BLOCKED {
                continue;
            }
            let mut known: Vec<&str> = Vec::new();
            let own = connections
                .get(*number)
                .map(|own| own.states.clone())
                .unwrap_or_default();
            let own = steps
                .iter()
                .enumerate()
                .filter(|(at, step)| own.contains(at) || (own.is_empty() && step.connection == *number));
            for (_, step) in own {
                if !known.contains(&step.state.as_str()) {
                    known.push(&step.state);
                }
            }
            if known.contains(&state.as_str()) {
                continue;
            }
            let connection = connections.get(*number).map_or("?", |one| one.name.as_str());
            let near = nearest(
                state,
                known
                    .iter()
                    .copied()
                    .chain([BLOCKED])
                    .chain(LIFECYCLE.iter().copied()),
            );
            let message = match near {
                Some(near) => format!("`{connection}` has no state `{state}`; did you mean `{near}`?"),
                None => format!("`{connection}` has no state `{state}`"),
            };
            let label = match known.as_slice() {
                [] => "it has none of its own".to_owned(),
                some => format!("it has {}", some.join(", ")),
            };
            self.problems
                .push(Diagnostic::error(*span, message).label(*span, label));
        }
    }

    pub(super) fn tables(&mut self, node: &Node, scope: &mut Scope<'_>, found: &mut Final) {
        for entry in self.mapping(node, "tables", "tables: {account: [[1, 70]]}") {
            let Some(name) = entry.key.text() else { continue };
            let located = Located {
                span: entry.key.span,
                value: format!("select * from {}", quoted_table(&name)),
            };
            let statement = self.statement(&located, scope);
            let expectations = match &entry.value.kind {
                NodeKind::Map(cells) if is_row(cells) => {
                    let row = entry.value.raw(self.file);
                    let written = if row.starts_with('{') {
                        row
                    } else {
                        "{id: 1, balance: 70}"
                    };
                    let problem = Diagnostic::error(
                        entry.value.span,
                        "a table has a list of rows, and this is a mapping of its columns",
                    );
                    self.problems
                        .push(problem.label(entry.value.span, format!("write `{name}: [{written}]`")));
                    continue;
                }
                NodeKind::Map(_) => self.query_expectations(&entry.value, &[], scope),
                _ => {
                    let key = Node::new(entry.key.span, NodeKind::Str("unordered".to_owned()));
                    self.read_expectations(&[&(key, entry.value.clone())], scope)
                }
            };
            found.tables.extend(statement.map(|statement| Query {
                span: entry.key.span,
                label: format!("table {name}"),
                sql: statement.text,
                expectations,
                every: None,
            }));
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
        // How often `always` is asked says that it is to be true.
        let says_when = node
            .as_map()
            .unwrap_or_default()
            .iter()
            .any(|entry| entry.key.as_str() == Some("every"));
        let only_beside = !says_when
            && node
                .as_map()
                .unwrap_or_default()
                .iter()
                .all(|entry| entry.key.as_str().is_some_and(|key| beside.contains(&key)));
        if only_beside {
            let problem = Diagnostic::error(node.span, "this query has no expectation");
            self.problems
                .push(problem.label(node.span, "add `rows`, `value`, `count` or another expectation"));
        }
        found
    }

    pub(super) fn queries(&mut self, node: &Node, scope: &mut Scope<'_>, plain: bool) -> Vec<Query> {
        let items = node
            .as_seq()
            .map_or_else(|| vec![node], |items| items.iter().collect());
        if items.is_empty() {
            let problem = Diagnostic::error(node.span, "this list is empty");
            self.problems
                .push(problem.label(node.span, "add a query, or remove the key"));
        }
        let mut found = Vec::new();
        for item in items {
            let (sql, expectations) = match &item.kind {
                NodeKind::Map(_) => {
                    let beside = if plain { &["sql", "every"][..] } else { &["sql"] };
                    let mut expectations = self.query_expectations(item, beside, scope);
                    if plain && expectations.is_empty() {
                        expectations.push(is_true(item.span));
                    }
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
                NodeKind::Str(_) if plain => (item, vec![is_true(item.span)]),
                _ => {
                    let problem = Diagnostic::error(item.span, "a query must be a mapping with `sql`");
                    self.problems
                        .push(problem.label(item.span, "write `{sql: select 1, value: 1}`"));
                    continue;
                }
            };
            let Some(text) = sql.as_str() else {
                let problem = Diagnostic::error(sql.span, "a statement must be text");
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
            self.problems.extend(lost_comment(self.file, sql, text));
            if let Some(problem) = not_one(sql, text, plain) {
                self.problems.push(problem);
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
                every: if plain { self.every(item) } else { None },
            });
        }
        found
    }

    /// How often a query of `always` is asked, where it says so.
    fn every(&mut self, query: &Node) -> Option<Duration> {
        let mut entries = query.as_map().unwrap_or_default().iter();
        let entry = entries.find(|entry| entry.key.as_str() == Some("every"))?;
        if !self.scenario.is_concurrent() {
            let problem = Diagnostic::error(entry.key.span, "`every` needs connections with `states`");
            let label = "with `steps`, `always` is checked after each step";
            self.problems.push(problem.label(entry.key.span, label));
            return None;
        }
        read::limit(&entry.value)
            .map_err(|problem| self.problems.push(problem))
            .ok()
    }

    pub(super) fn errors(&mut self, key: &Node, node: &Node, scope: &mut Scope<'_>, found: &mut Final) {
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
            let count = self.number_pattern(&entry.value, scope);
            match (code, count) {
                (Some(code), Some(count)) => {
                    if let Some((_, earlier, _)) = found.errors.iter().find(|(other, ..)| *other == code) {
                        let problem = Diagnostic::error(entry.key.span, "this error is counted twice")
                            .label(entry.key.span, "again here");
                        self.problems.push(problem.label(*earlier, "first here"));
                    }
                    found.errors.push((code, entry.key.span, count));
                }
                (None, _) => {
                    let text = entry.key.text().unwrap_or_default();
                    let label = nearest_name(&text)
                        .map_or("such as 1213 or ER_LOCK_DEADLOCK".to_owned(), |near| {
                            format!("did you mean `{}` ({})?", near.name, near.code)
                        });
                    let problem = Diagnostic::error(entry.key.span, format!("unknown error `{text}`"));
                    self.problems.push(problem.label(entry.key.span, label));
                }
                (Some(_), None) => {}
            }
        }
    }
}

/// Whether none of these keys is that of an expectation, or nearly so: they are the columns of a row.
fn is_row(entries: &[Entry]) -> bool {
    let is_column = |entry: &Entry| {
        let name = entry.key.text().unwrap_or_default();
        nearest(&name, keys::EXPECTATIONS.iter().copied()).is_none()
    };
    !entries.is_empty() && entries.iter().all(is_column)
}

/// That a query gives truth.
fn is_true(span: Span) -> Expectation {
    Expectation {
        key: "always",
        span,
        check: Box::new(IsTrue),
    }
}

/// The mistake of a query that is not one statement.
fn not_one(node: &Node, text: &str, always: bool) -> Option<Diagnostic> {
    let error =
        |message: String, label: String| Diagnostic::error(node.span, message).label(node.span, label);
    match split(text) {
        Ok(pieces) if pieces.len() == 1 => None,
        Ok(pieces) if pieces.is_empty() => Some(error(
            "a statement is missing".to_owned(),
            "there is no statement here".to_owned(),
        )),
        Ok(pieces) => {
            let count = pieces.len();
            let problem = error(
                "a query must be one statement".to_owned(),
                format!("these are {count}, and only one result can be checked"),
            );
            Some(problem.help(if always {
                "write a list of statements: each must be true"
            } else {
                "write a query of its own for each"
            }))
        }
        Err(mistake) => Some(error(mistake.to_string(), mistake.help().to_owned())),
    }
}
