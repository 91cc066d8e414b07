//! Steps with their names resolved.

use std::sync::Arc;

use super::connections::ConnectionPlan;
use super::names::Scope;
use super::pattern::{BLOCKED, LIFECYCLE};
use super::variants::Context;
use super::{Action, Blocked, Content, STEP_TIMEOUT, SaveSource, Statement, Step, Value};
use crate::expect::{self, Expectation, Reading, Template};
use crate::scenario::{ActionDecl, Duplicates, ExpectDecl, LoadDecl, Located, StepDecl};
use crate::source::{Diagnostic, Node, NodeKind, Span};

impl Context<'_> {
    pub(super) fn steps(&mut self, connections: &[ConnectionPlan], scope: &mut Scope<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        for decl in &self.scenario.steps {
            // Names are checked in all variants; only the steps of this one are kept.
            let step = self.step_plan(decl, connections, scope);
            if self.variant.is_in(decl.when.as_ref()) {
                steps.extend(step);
            }
        }
        steps
    }

    fn step_plan(
        &mut self,
        decl: &StepDecl,
        connections: &[ConnectionPlan],
        scope: &mut Scope<'_>,
    ) -> Option<Step> {
        let connection = self.connection_number(&decl.connection, connections);
        let action = self.action_plan(&decl.action, connections, connection, scope);
        let state = match &decl.name {
            Some(name) => {
                let reserved = LIFECYCLE.contains(&name.value.as_str()) || name.value == BLOCKED;
                if reserved {
                    let message = format!("a state cannot be called `{}`", name.value);
                    let label = "the harness enters this one itself";
                    self.problems
                        .push(Diagnostic::error(name.span, message).label(name.span, label));
                }
                name.value.clone()
            }
            None => default_name(&decl.action),
        };
        let set = decl
            .set
            .iter()
            .filter_map(|(name, node)| Some((name.value.clone(), self.plan_value(node, scope)?)))
            .collect();
        for name in decl
            .save
            .iter()
            .map(|(name, _)| name)
            .chain(decl.set.iter().map(|(name, _)| name))
        {
            self.check_new_name(name);
            scope.add(&name.value);
        }
        let save = decl
            .save
            .iter()
            .map(|(name, source)| (name.value.clone(), save_source(&source.value), source.span));
        let save = save.collect();
        let mut step = Step {
            span: decl.connection.span,
            connection: connection.unwrap_or(usize::MAX),
            action: action?,
            state,
            expectations: Vec::new(),
            blocked: None,
            unblocks: Vec::new(),
            save,
            set,
            timeout: decl
                .timeout
                .or(self.scenario.step_timeout)
                .unwrap_or(STEP_TIMEOUT),
        };
        self.step_expectations(decl, &mut step, connections, scope);
        connection.map(|_| step)
    }

    fn check_new_name(&mut self, name: &Located<String>) {
        let reserved = ["database", "connection", "index"].contains(&name.value.as_str())
            || name.value.starts_with("env.")
            || name.value.starts_with("database.");
        let plain = name.value.chars().all(|c| c.is_alphanumeric() || c == '_');
        if reserved || !plain {
            let problem =
                Diagnostic::error(name.span, format!("a variable cannot be called `{}`", name.value));
            let label = if reserved {
                "the harness sets this one itself"
            } else {
                "letters, digits and `_`"
            };
            self.problems.push(problem.label(name.span, label));
        }
    }

    /// The step's own expectations and those of this variant.
    fn step_expectations(
        &mut self,
        decl: &StepDecl,
        step: &mut Step,
        connections: &[ConnectionPlan],
        scope: &mut Scope<'_>,
    ) {
        let mut entries: Vec<&(Node, Node)> = Vec::new();
        for expect in &decl.expects {
            let mine = self.variant.is_in(expect.when.as_ref());
            self.waiting(expect, step, connections, mine);
            if mine {
                entries.extend(&expect.entries);
            } else {
                self.read_expectations(&expect.entries.iter().collect::<Vec<_>>(), scope);
            }
        }
        for (number, (key, _)) in entries.iter().enumerate() {
            let earlier = entries
                .iter()
                .take(number)
                .find(|(other, _)| other.as_str() == key.as_str());
            if let Some((other, _)) = earlier {
                let message = format!(
                    "`{}` is expected twice in this variant",
                    key.as_str().unwrap_or_default()
                );
                let problem = Diagnostic::error(key.span, message);
                self.problems
                    .push(problem.label(other.span, "here").label(key.span, "and here"));
            }
        }
        step.expectations = self.read_expectations(&entries, scope);
        let sql = matches!(
            step.action,
            Action::Sql(_) | Action::Prepared(..) | Action::Load { .. }
        );
        if let (false, Some(one)) = (
            sql,
            step.expectations
                .iter()
                .find(|one| !["within", "at_least", "error"].contains(&one.key)),
        ) {
            let message = format!("`{}` goes with a statement", one.key);
            self.problems
                .push(Diagnostic::error(one.span, message).label(one.span, "this step runs none"));
        }
        self.check_times(&step.expectations);
    }

    fn check_times(&mut self, expectations: &[Expectation]) {
        let find = |key: &str| expectations.iter().find(|one| one.key == key);
        if let (Some(within), Some(at_least)) = (find("within"), find("at_least"))
            && let (Some(most), Some(least)) = (within.check.duration(), at_least.check.duration())
            && most < least
        {
            let problem = Diagnostic::error(at_least.span, "`within` is shorter than `at_least`");
            self.problems.push(
                problem
                    .label(within.span, "at most this")
                    .label(at_least.span, "and at least this"),
            );
        }
    }

    pub(super) fn read_expectations(
        &mut self,
        entries: &[&(Node, Node)],
        scope: &mut Scope<'_>,
    ) -> Vec<Expectation> {
        let mut reading = Reading {
            file: self.file,
            problems: self.problems,
        };
        let found = expect::read_all(entries.iter().map(|(key, value)| (key, value)), &mut reading);
        for expectation in &found {
            for (name, span) in expectation.check.variables() {
                scope.check_name(&name, span, self.problems);
            }
        }
        found
    }

    fn waiting(&mut self, expect: &ExpectDecl, step: &mut Step, connections: &[ConnectionPlan], mine: bool) {
        let mut by = Vec::new();
        for name in &expect.blocked_by {
            let Some(number) = self.connection_number(name, connections) else {
                continue;
            };
            if number == step.connection {
                let problem = Diagnostic::error(name.span, "a connection cannot be blocked by itself");
                self.problems
                    .push(problem.label(name.span, "this is the step's own connection"));
                continue;
            }
            by.push((number, name.span));
        }
        let mut unblocks = Vec::new();
        for name in &expect.unblocks {
            let Some(number) = self.connection_number(name, connections) else {
                continue;
            };
            if number == step.connection {
                let problem = Diagnostic::error(name.span, "a connection cannot unblock itself");
                self.problems
                    .push(problem.label(name.span, "this is the step's own connection"));
                continue;
            }
            unblocks.push((number, name.span));
        }
        if !mine {
            return;
        }
        step.unblocks.extend(unblocks);
        let flag = expect.blocked.as_ref();
        if flag.is_some_and(|flag| flag.value) || !by.is_empty() {
            let span = flag
                .map(|flag| flag.span)
                .or(by.first().map(|(_, span)| *span))
                .unwrap_or(step.span);
            let blocked = step.blocked.get_or_insert(Blocked { span, by: Vec::new() });
            blocked.by.extend(by);
            if !matches!(
                step.action,
                Action::Sql(_) | Action::Prepared(..) | Action::Load { .. }
            ) {
                let problem = Diagnostic::error(span, "only a statement can be blocked");
                self.problems.push(problem.label(span, "this step runs none"));
            }
        }
    }

    fn action_plan(
        &mut self,
        action: &ActionDecl,
        connections: &[ConnectionPlan],
        own: Option<usize>,
        scope: &mut Scope<'_>,
    ) -> Option<Action> {
        match action {
            ActionDecl::Sql { statements, params } => {
                let statements = self.statements(statements, scope);
                match (params, statements.as_slice()) {
                    (Some(params), [statement, ..]) => {
                        let values = params
                            .iter()
                            .filter_map(|node| self.plan_value(node, scope))
                            .collect();
                        Some(Action::Prepared(statement.clone(), values))
                    }
                    (_, []) => None,
                    (None, _) => Some(Action::Sql(statements)),
                }
            }
            ActionDecl::Load(load) => self.load_plan(load, scope),
            ActionDecl::Sleep(duration) => Some(Action::Sleep(*duration)),
            ActionDecl::Kill { target, connection } => {
                let number = self.connection_number(target, connections)?;
                if own == Some(number) {
                    let problem = Diagnostic::error(target.span, "a connection cannot kill itself this way");
                    self.problems
                        .push(problem.label(target.span, "use `disconnect: true`"));
                }
                Some(Action::Kill {
                    target: number,
                    connection: *connection,
                })
            }
            ActionDecl::Disconnect => Some(Action::Disconnect),
            ActionDecl::Reconnect => Some(Action::Reconnect),
            ActionDecl::Set => Some(Action::Set),
        }
    }

    fn load_plan(&mut self, load: &LoadDecl, scope: &mut Scope<'_>) -> Option<Action> {
        let columns = load
            .columns
            .iter()
            .map(|column| format!("`{}`", column.value.replace('`', "``")));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let columns = if columns.is_empty() {
            columns
        } else {
            format!(" ({columns})")
        };
        let table = load
            .table
            .value
            .split('.')
            .map(|part| format!("`{}`", part.replace('`', "``")));
        let table = table.collect::<Vec<_>>().join(".");
        let (content, name) = match (&load.rows, &load.file) {
            (Some(rows), _) => (Content::Rows(self.load_rows(rows, scope)?), "rows".to_owned()),
            (None, Some(file)) => {
                let folder = std::path::Path::new(self.file.name())
                    .parent()
                    .unwrap_or(std::path::Path::new(""));
                match std::fs::read(folder.join(&file.value)) {
                    Ok(content) => (Content::File(Arc::new(content)), file.value.replace('\'', "''")),
                    Err(error) => {
                        let problem = Diagnostic::error(file.span, format!("cannot read this file: {error}"));
                        self.problems
                            .push(problem.label(file.span, format!("looked for in {}", folder.display())));
                        return None;
                    }
                }
            }
            (None, None) => return None,
        };
        let replace = match load.duplicates {
            Duplicates::Ignore => "",
            Duplicates::Replace => "replace ",
        };
        let text = format!(
            "load data local infile '{name}' {replace}into table {table} fields terminated by ',' optionally enclosed by '\"' lines terminated by '\\n'{columns}"
        );
        let located = Located {
            span: load.table.span,
            value: text,
        };
        let statement = self.statement(&located, scope)?;
        Some(Action::Load { statement, content })
    }

    fn load_rows(&mut self, rows: &Node, scope: &mut Scope<'_>) -> Option<Vec<Vec<Value>>> {
        let NodeKind::Seq(items) = &rows.kind else {
            let problem = Diagnostic::error(rows.span, "`rows` is a list of rows");
            self.problems
                .push(problem.label(rows.span, "write `[[1, a], [2, b]]`"));
            return None;
        };
        let mut all = Vec::new();
        for row in items {
            let Some(cells) = row.as_seq() else {
                let problem = Diagnostic::error(row.span, "a row is a list of values");
                self.problems.push(problem.label(row.span, "write `[1, a]`"));
                return None;
            };
            let cells = cells.iter().map(|cell| self.plan_value(cell, scope));
            all.push(cells.collect::<Option<_>>()?);
        }
        Some(all)
    }
}

fn default_name(action: &ActionDecl) -> String {
    match action {
        ActionDecl::Sql { statements, .. } => statements
            .first()
            .and_then(|statement| crate::sql::verb(&statement.value))
            .unwrap_or_else(|| "sql".to_owned()),
        ActionDecl::Load(_) => "load".to_owned(),
        ActionDecl::Sleep(_) => "sleep".to_owned(),
        ActionDecl::Kill { .. } => "kill".to_owned(),
        ActionDecl::Disconnect => "disconnect".to_owned(),
        ActionDecl::Reconnect => "reconnect".to_owned(),
        ActionDecl::Set => "set".to_owned(),
    }
}

fn save_source(text: &str) -> SaveSource {
    let cell = text.strip_prefix("row.").and_then(|rest| rest.split_once('.'));
    let cell = cell.and_then(|(row, column)| Some((row.parse().ok()?, column.parse().ok()?)));
    match (text, cell) {
        ("last_insert_id", _) => SaveSource::LastInsertId,
        ("affected", _) => SaveSource::Affected,
        (_, Some((row, column))) => SaveSource::Cell(row, column),
        _ => SaveSource::Column(text.to_owned()),
    }
}

/// A statement that the harness itself makes, at the place that asked for it.
pub(super) fn own_statement(span: Span, text: &str) -> Option<Statement> {
    Template::read(text).ok().map(|text| Statement { span, text })
}
