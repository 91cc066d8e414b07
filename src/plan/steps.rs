//! Steps with their names resolved.

use super::context::Context;
use super::names::{BUILT_IN, Scope};
use super::pattern::{BLOCKED, LIFECYCLE};
use super::{Action, Blocked, STEP_TIMEOUT, Save, SaveSource, Step, Watch};
use crate::expect::{self, Expectation, Reading};
use crate::scenario::{ActionDecl, ExpectDecl, Located, StepDecl, WatchDdl};
use crate::source::{Diagnostic, Node, NodeKind, Span};

impl Context<'_> {
    pub(super) fn steps(&mut self, scope: &mut Scope<'_>) -> Vec<Step> {
        let mut steps = Vec::new();
        for decl in &self.scenario.steps {
            // Names are checked in all variants; only the steps of this one are kept.
            let connection = self.connection_number(&decl.connection);
            let step = self.step_plan(decl, connection, scope);
            self.waits_are_clear &= step.is_some();
            if self.variant.is_in(decl.when.as_ref()) {
                steps.extend(step);
            }
        }
        steps
    }

    pub(super) fn step_plan(
        &mut self,
        decl: &StepDecl,
        connection: Option<usize>,
        scope: &mut Scope<'_>,
    ) -> Option<Step> {
        scope.read_as(connection);
        let action = self.action_plan(&decl.action, connection, scope);
        let planned = action.is_some();
        let state = match &decl.name {
            Some(name) => {
                let reserved = LIFECYCLE.contains(&name.value.as_str()) || name.value == BLOCKED;
                if reserved {
                    let message = format!("a state cannot be called `{}`", name.value);
                    let label = "the harness uses this name";
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
        self.check_given(decl);
        let save = decl.save.iter().map(|pair| (pair, false));
        let save = save.chain(decl.shared.iter().map(|pair| (pair, true)));
        let save = save.filter_map(|((name, source), shared)| {
            Some(Save {
                name: name.value.clone(),
                source: self.save_source(source)?,
                span: source.span,
                shared,
            })
        });
        let save = save.collect();
        let mut step = Step {
            span: decl.connection.span,
            connection: connection.unwrap_or(usize::MAX),
            // A step whose action has a mistake is looked at all the same, and then left out.
            action: action.unwrap_or(Action::Set),
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
            coordination: super::Coordination::default(),
        };
        scope.read_expectations_of(decl);
        self.step_expectations(decl, &mut step, scope);
        // What a step is compared with are the variables as they were before it.
        scope.give(decl, connection);
        scope.read_as(connection);
        connection.filter(|_| planned).map(|_| step)
    }

    /// The variables that a step gives a value, each by one key.
    fn check_given(&mut self, decl: &StepDecl) {
        let save = decl.save.iter().map(|(name, _)| ("save", name));
        let shared = decl.shared.iter().map(|(name, _)| ("shared", name));
        let set = decl.set.iter().map(|(name, _)| ("set", name));
        let all: Vec<(&str, &Located<String>)> = save.chain(shared).chain(set).collect();
        for (at, (key, name)) in all.iter().enumerate() {
            self.check_new_name(name);
            let mut before = all.iter().take(at);
            if let Some((other_key, other)) = before.find(|(_, other)| other.value == name.value) {
                let message = format!("`{other_key}` and `{key}` both set `{}`", name.value);
                let problem = Diagnostic::error(other.span, message);
                self.problems.push(
                    problem
                        .label(other.span, "this one …")
                        .label(name.span, "… and this one"),
                );
            }
        }
    }

    /// What a value is kept from: the name of a column is written as it is.
    pub(super) fn save_source(&mut self, source: &Located<String>) -> Option<SaveSource> {
        let node = Node::new(source.span, NodeKind::Str(source.value.clone()));
        Some(save_source(&self.plain_text(&node, "the name of a saved value")?))
    }

    /// A name that a variable gets.
    pub(super) fn check_new_name(&mut self, name: &Located<String>) {
        let reserved = BUILT_IN.contains(&name.value.as_str())
            || ["iteration", "round"].contains(&name.value.as_str())
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
    fn step_expectations(&mut self, decl: &StepDecl, step: &mut Step, scope: &mut Scope<'_>) {
        let mut entries: Vec<&(Node, Node)> = Vec::new();
        self.check_waiting(decl);
        for expect in &decl.expects {
            let mine = self.variant.is_in(expect.when.as_ref());
            self.waiting(expect, step, decl.action.is_statement(), mine);
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
        self.check_kinds(decl, step);
        self.check_params(decl, step);
        self.check_times(step);
    }

    /// Expectations that the step's action can never meet.
    fn check_kinds(&mut self, decl: &StepDecl, step: &Step) {
        let find = |wanted: &dyn Fn(&str) -> bool| step.expectations.iter().find(|one| wanted(one.key));
        if !decl.action.is_statement() {
            let timed = |key: &str| ["within", "at_least", "error"].contains(&key);
            if let Some(one) = find(&|key| !timed(key)) {
                let message = format!("`{}` needs a statement", one.key);
                self.problems.push(
                    Diagnostic::error(one.span, message).label(one.span, "this step runs no statement"),
                );
            }
        }
        if let (Some(error), Some((name, _))) = (find(&|key| key == "error"), decl.save.first()) {
            let problem = Diagnostic::error(name.span, "`error` and `save` exclude each other");
            self.problems.push(
                problem
                    .label(name.span, "a statement that fails returns no value")
                    .label(error.span, "and it must fail"),
            );
        }
    }

    /// A step is ended at its limit, so it cannot take longer.
    fn check_times(&mut self, step: &Step) {
        let find = |key: &str| {
            let found = step.expectations.iter().find(|one| one.key == key)?;
            Some((found.span, found.check.duration()?))
        };
        let Some((at_least, least)) = find("at_least") else {
            return;
        };
        if step.timeout <= least {
            let limit = step.timeout;
            let problem = Diagnostic::error(at_least, "`at_least` is longer than the limit of the step");
            self.problems.push(
                problem
                    .label(at_least, format!("its limit is {limit:?}"))
                    .help("give the step a longer `timeout`, or the scenario a longer `step_timeout`"),
            );
        }
    }

    pub(super) fn read_expectations(
        &mut self,
        entries: &[&(Node, Node)],
        scope: &mut Scope<'_>,
    ) -> Vec<Expectation> {
        let mut reading = Reading::new(self.file, self.problems);
        let found = expect::read_all(entries.iter().map(|(key, value)| (key, value)), &mut reading);
        for expectation in &found {
            for (name, span) in expectation.check.variables() {
                scope.check_name(&name, span, self.problems);
            }
        }
        found
    }

    /// What one part of a step says of waiting against what another says that holds in the same variant.
    fn check_waiting(&mut self, decl: &StepDecl) {
        let mut said: Option<(bool, Span)> = None;
        for expect in &decl.expects {
            if !self.variant.is_in(expect.when.as_ref()) {
                continue;
            }
            let flag = expect.blocked.as_ref().map(|flag| (flag.value, flag.span));
            let by = expect.blocked_by.first().map(|name| (true, name.span));
            let Some((waits, span)) = flag.or(by) else {
                continue;
            };
            match said {
                Some((other, earlier)) if other != waits => {
                    self.waits_are_clear = false;
                    let problem = Diagnostic::error(span, "a step cannot be both blocked and not blocked");
                    self.problems.push(
                        problem
                            .label(span, "this one …")
                            .label(earlier, "… and this one cannot both hold"),
                    );
                }
                _ => said = Some((waits, span)),
            }
        }
    }

    fn waiting(&mut self, expect: &ExpectDecl, step: &mut Step, statement: bool, mine: bool) {
        let mut by = Vec::new();
        for name in &expect.blocked_by {
            let Some(number) = self.connection_number(name) else {
                self.waits_are_clear = false;
                continue;
            };
            if number == step.connection {
                self.waits_are_clear = false;
                let problem = Diagnostic::error(name.span, "a connection cannot be blocked by itself");
                self.problems
                    .push(problem.label(name.span, "this is the step's own connection"));
                continue;
            }
            by.push((number, name.span));
        }
        let mut unblocks = Vec::new();
        for name in &expect.unblocks {
            let Some(number) = self.connection_number(name) else {
                self.waits_are_clear = false;
                continue;
            };
            if number == step.connection {
                self.waits_are_clear = false;
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
        for (number, span) in unblocks {
            if let Some((_, earlier)) = step.unblocks.iter().find(|(other, _)| *other == number) {
                let problem = Diagnostic::error(span, "a wait can end only once").label(span, "again here");
                self.problems.push(problem.label(*earlier, "first here"));
                continue;
            }
            step.unblocks.push((number, span));
        }
        let flag = expect.blocked.as_ref();
        if flag.is_some_and(|flag| flag.value) || !by.is_empty() {
            let span = flag
                .map(|flag| flag.span)
                .or(by.first().map(|(_, span)| *span))
                .unwrap_or(step.span);
            let blocked = step.blocked.get_or_insert(Blocked { span, by: Vec::new() });
            blocked.by.extend(by);
            if !statement {
                self.waits_are_clear = false;
                let problem = Diagnostic::error(span, "only a statement can be blocked");
                self.problems
                    .push(problem.label(span, "this step runs no statement"));
            }
        }
    }

    fn action_plan(
        &mut self,
        action: &ActionDecl,
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
                let number = self.connection_number(target)?;
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
            ActionDecl::Nothing => Some(Action::Nothing),
            ActionDecl::Handler { name, with } => self.handler_plan(name, with.as_ref()),
            ActionDecl::WatchImport(node) => match node.kind {
                NodeKind::Bool(true) => Some(Action::Watch(Watch::AllImports)),
                _ => Some(Action::Watch(Watch::Import(self.plan_value(node, scope)?))),
            },
            ActionDecl::WatchDdl(WatchDdl::Job(node)) => {
                Some(Action::Watch(Watch::Ddl(self.plan_value(node, scope)?)))
            }
            ActionDecl::WatchDdl(WatchDdl::Table(name)) => {
                let table = self.statement(name, scope)?;
                Some(Action::Watch(Watch::DdlOf(table.text)))
            }
        }
    }

    /// `params` against the `?` of the statement. A variable may bring some with it.
    fn check_params(&mut self, decl: &StepDecl, step: &Step) {
        let (Action::Prepared(statement, _), ActionDecl::Sql { params, .. }) = (&step.action, &decl.action)
        else {
            return;
        };
        let params = params.as_deref().unwrap_or_default();
        if statement.text.variables().next().is_some() {
            return;
        }
        let marks = crate::sql::placeholders(statement.text.source());
        if marks == params.len() {
            return;
        }
        let span = match (params.first(), params.last()) {
            (Some(first), Some(last)) => Span::new(first.span.start, last.span.end),
            _ => statement.span,
        };
        let values = match params.len() {
            1 => "1 value".to_owned(),
            count => format!("{count} values"),
        };
        let problem = Diagnostic::error(span, format!("{values} for {marks} `?` in the statement"));
        self.problems.push(
            problem
                .label(span, format!("{values} here"))
                .label(statement.span, format!("{marks} `?` here")),
        );
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
        ActionDecl::Nothing => "wait".to_owned(),
        ActionDecl::Handler { name, .. } => name.value.clone(),
        ActionDecl::WatchImport(_) => "watch_import".to_owned(),
        ActionDecl::WatchDdl(_) => "watch_ddl".to_owned(),
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
