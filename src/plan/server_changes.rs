//! What a trial changes beyond its own databases: it is told where it stands, and set back after the trial.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::elsewhere::Elsewhere;
use super::statement::{FillError, Statement, fill};
use super::{Action, Final, Step, TrialPlan};
use crate::expect::Template;
use crate::history::{SqlValue, Vars};
use crate::source::{Diagnostic, Span};
use crate::sql::{Kind, Prepared, ServerChange, Source, classify, names, verb};

/// Stands for the name of the trial's database until it has one.
const OWN_DATABASE: &str = "tidb_scenarios_own";
/// Stands for the value of a variable that only a run knows.
const UNKNOWN: &str = "tidb_scenarios_unknown";

/// What the statements of a trial change of the run's server, beyond its own databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerChanges {
    /// The first statement that changes something.
    pub first: Option<Span>,
    /// Global variables that they set, in lower case, each with the place where that is said first.
    pub globals: BTreeMap<String, Span>,
    /// Whether they make, change or drop accounts, rights, resource groups, placement policies or global bindings.
    pub objects: bool,
    /// Databases of others in which they change something, or that they make or drop.
    pub databases: BTreeSet<String>,
    /// What those statements name, in lower case.
    pub names: BTreeSet<String>,
    /// A statement of which the text does not tell what it is, such as one that is prepared from a variable: nothing
    /// else may run beside it.
    pub unknown: Option<Span>,
    /// Whether they may set global variables that no text names: a handler, a variable in the place of a name.
    pub unnamed: bool,
}

impl ServerChanges {
    /// Whether nothing of the server is changed by a trial that runs alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.unknown.is_none() && !self.unnamed
    }
}

/// One statement on the run's server, as far as the file tells.
pub(super) struct OnServer<'a> {
    pub span: Span,
    pub template: &'a Template,
    pub text: String,
    /// Who runs it; `None` for the control connection.
    pub connection: Option<usize>,
    /// The parameters of a prepared one.
    pub params: &'a [super::Value],
    /// Whether its session is a new one since the statement before, in the connection's own database.
    pub fresh: bool,
    /// Whether it is the last one of a step that expects an error: then it changes nothing of its session.
    pub refused: bool,
}

/// All statements of a trial that go to the server that other trials use as well.
pub(super) struct Parts<'a> {
    pub setup: &'a [Statement],
    pub teardown: &'a [Statement],
    pub steps: &'a [Step],
    pub finals: Vec<&'a Final>,
    pub connections: &'a [super::ConnectionPlan],
    pub has_own_main: bool,
    pub vars: &'a Vars,
    /// Whether connections run by themselves: then the order of the file is not that of the run.
    pub free: bool,
}

impl<'a> Parts<'a> {
    /// The variables that steps give their values.
    fn given(&self) -> BTreeSet<&'a str> {
        let mut given: BTreeSet<&str> = BTreeSet::new();
        for step in self.steps {
            given.extend(step.save.iter().map(|one| one.name.as_str()));
            given.extend(step.set.iter().map(|(name, _)| name.as_str()));
        }
        given
    }

    /// Those of the control connection and of the connections, each one's in the order of the file.
    pub fn statements(&self) -> Vec<OnServer<'a>> {
        let mut found = Vec::new();
        // What a step gives a value has any.
        let given = self.given();
        let mut known = self.vars.clone();
        known.retain(|name, _| !given.contains(name.as_str()));
        let control = |span: Span, template: &'a Template| OnServer {
            span,
            template,
            text: as_told(template, &known, None),
            connection: None,
            params: &[],
            fresh: false,
            refused: false,
        };
        if !self.has_own_main {
            let finals = self
                .finals
                .iter()
                .flat_map(|one| one.always.iter().chain(&one.queries));
            found.extend(self.setup.iter().map(|one| control(one.span, &one.text)));
            found.extend(finals.map(|query| control(query.span, &query.sql)));
            found.extend(self.teardown.iter().map(|one| control(one.span, &one.text)));
        }
        for (number, connection) in self.connections.iter().enumerate() {
            if connection.server.is_some() {
                continue;
            }
            let mut fresh = true;
            for step in self.steps.iter().filter(|step| step.connection == number) {
                fresh |= matches!(step.action, Action::Reconnect);
                let params = match &step.action {
                    Action::Prepared(_, params) => params.as_slice(),
                    _ => &[],
                };
                let last = step.action.statements().len().saturating_sub(1);
                let numbered = step.action.statements().iter().enumerate();
                found.extend(numbered.map(|(place, one)| OnServer {
                    span: one.span,
                    template: &one.text,
                    text: as_told(&one.text, &known, Some(connection)),
                    connection: Some(number),
                    params,
                    fresh: std::mem::take(&mut fresh),
                    refused: place == last && step.wants_error(),
                }));
            }
        }
        found
    }
}

/// A text with what the file tells of its variables: first values, the matrix's, the connection's name.
fn as_told(template: &Template, vars: &Vars, connection: Option<&super::ConnectionPlan>) -> String {
    let mut vars = vars.clone();
    vars.insert("database".to_owned(), SqlValue::Text(OWN_DATABASE.to_owned()));
    if let Some(own) = connection {
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
    }
    for (name, _) in template.variables() {
        let value = if name.starts_with("database.") {
            OWN_DATABASE
        } else {
            UNKNOWN
        };
        vars.entry(name.to_owned())
            .or_insert_with(|| SqlValue::Text(value.to_owned()));
    }
    template.fill(&vars).unwrap_or_default()
}

/// Whether a name is that of one of the trial's databases, or begins with it.
pub(super) fn is_own(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with(OWN_DATABASE)
}

/// Whether a name has a part that only a run knows.
pub(super) fn is_unknown(name: &str) -> bool {
    name.contains(UNKNOWN)
}

impl Context<'_> {
    /// Statements that are several once their variables have their values.
    pub(super) fn check_filled(&mut self, parts: &Parts<'_>, own: &[super::ServerPlan]) {
        let given = parts.given();
        let finals = parts
            .finals
            .iter()
            .flat_map(|one| one.always.iter().chain(&one.queries));
        let all = parts.setup.iter().chain(parts.teardown);
        let all = all.chain(own.iter().flat_map(|server| &server.setup));
        let all = all.chain(parts.steps.iter().flat_map(|step| step.action.statements()));
        let all = all.map(|one| (one.span, &one.text));
        for (span, template) in all.chain(finals.map(|query| (query.span, &query.sql))) {
            // What a step gives a value is looked at when it has one.
            if template.variables().any(|(name, _)| given.contains(name)) {
                continue;
            }
            if let Err(error @ FillError::Several { .. }) = fill(template, parts.vars, true) {
                let problem = Diagnostic::error(span, error.to_string());
                self.problems.push(
                    problem
                        .label(span, "this is sent as one statement")
                        .help("write the statements themselves here, as a list or one below the other"),
                );
            }
        }
    }

    /// Finds what changes more than the trial's own databases: it needs a server of its own, or to run alone.
    pub(super) fn check_server(&mut self, parts: &Parts<'_>) -> ServerChanges {
        let statements = parts.statements();
        let mut changes = ServerChanges {
            unnamed: parts
                .steps
                .iter()
                .any(|step| matches!(step.action, Action::Handler(_))),
            ..ServerChanges::default()
        };
        let mut used = Used::default();
        if parts.free {
            used.note_all(&statements);
        }
        let mut prepared: BTreeMap<Option<usize>, Prepared> = BTreeMap::new();
        for (number, one) in statements.iter().enumerate() {
            // After the setup the control connection is in the trial's database again.
            if number == parts.setup.len() {
                used.begin(None);
            }
            if one.fresh && !parts.free {
                used.begin(one.connection);
            }
            let mut statement = classify(&one.text);
            let session = prepared.entry(one.connection).or_default();
            session.note(&one.text);
            match statement.prepares() {
                Some(Source::Variable(_)) => match session.last() {
                    Some(text) if !is_unknown(text) => statement = classify(text),
                    _ => drop(changes.unknown.get_or_insert(one.span)),
                },
                Some(Source::Text(_)) => {}
                // CALL and its like; EXECUTE is what was prepared.
                None if statement.kind == Kind::Execute && !statement.is_execute() => {
                    changes.unknown.get_or_insert(one.span);
                }
                None => {}
            }
            if let (Kind::Use(name), false) = (&statement.kind, one.refused) {
                used.note(one.connection, name, parts.free);
            }
            let elsewhere = used.elsewhere(one.connection, &statement);
            let filled = verb(&one.text).is_some_and(|verb| is_unknown(&verb));
            if filled && used.is_elsewhere(one.connection) {
                changes.unknown.get_or_insert(one.span);
            }
            let within = elsewhere.as_ref().map_or(ServerChange::None, |one| one.server);
            let change = statement.server_change().max(within);
            if change > ServerChange::Passing || elsewhere.is_some() {
                changes.first.get_or_insert(one.span);
                changes.names.extend(names(&one.text));
            }
            for name in statement.globals().iter().filter(|name| !is_unknown(name)) {
                changes.globals.entry(name.clone()).or_insert(one.span);
            }
            changes.unnamed |= filled || statement.globals().iter().any(|name| is_unknown(name));
            changes.objects |= change == ServerChange::Objects;
            let databases = elsewhere.iter().flat_map(|one| one.databases.iter().cloned());
            changes.databases.extend(databases);
            self.problems
                .extend(self.problem_of(one, &statement, change, elsewhere.as_ref()));
        }
        changes
    }

    fn problem_of(
        &self,
        one: &OnServer<'_>,
        statement: &crate::sql::Statement,
        change: ServerChange,
        elsewhere: Option<&Elsewhere>,
    ) -> Option<Diagnostic> {
        let alone = self.scenario.serial;
        let database = elsewhere.and_then(|one| one.databases.first());
        Some(match (change, database) {
            (ServerChange::Lasting, _) => {
                Diagnostic::error(one.span, "this changes the whole server, and nothing can undo it after the trial")
                    .label(one.span, "other trials would run on a changed server")
                    .help("write `servers: {main: {}}`, for a server of the trial's own")
            }
            _ if alone => return None,
            (ServerChange::Passing | ServerChange::Variables | ServerChange::Objects, _) => {
                Diagnostic::error(one.span, "this changes the whole server, which other trials use, too")
                    .label(one.span, "more than this trial's databases")
                    .help("write `serial: true`, to run alone, or `servers: {main: {}}`, for a server of its own")
            }
            (ServerChange::None, Some(database)) => {
                let message = format!("this changes the database `{database}`, which other trials may use, too");
                Diagnostic::error(one.span, message)
                    .label(one.span, "not one of this trial's databases")
                    .help("`${database}` is the trial's own, and `database: NAME` of a connection makes further ones; or write `serial: true`, to run alone")
            }
            // What a variable brings is the number of a session that the trial has asked for.
            (ServerChange::None, None)
                if statement.kills_by_number() && classify(one.template.source()).kills_by_number() =>
            {
                Diagnostic::error(one.span, "this KILL may end a session of another trial")
                    .label(one.span, "a number in the file cannot be a session of this trial")
                    .help("write `kill: bob`, or save the number: `select connection_id() as id` with `save: {id: id}`, and later `kill ${id}`")
            }
            (ServerChange::None, None) => return None,
        })
    }
}

/// The databases of others that the sessions are in.
#[derive(Debug, Default)]
struct Used(BTreeMap<Option<usize>, BTreeSet<String>>);

impl Used {
    /// Connections that run by themselves may go through their statements in any order.
    fn note_all(&mut self, statements: &[OnServer<'_>]) {
        for one in statements.iter().filter(|one| one.connection.is_some()) {
            if let Kind::Use(name) = classify(&one.text).kind {
                self.note(one.connection, &name, true);
            }
        }
    }

    fn note(&mut self, connection: Option<usize>, name: &str, any: bool) {
        let of_session = self.0.entry(connection).or_default();
        if !any || connection.is_none() {
            of_session.clear();
        }
        of_session.insert(name.to_owned());
    }

    fn begin(&mut self, connection: Option<usize>) {
        self.0.remove(&connection);
    }

    fn is_elsewhere(&self, connection: Option<usize>) -> bool {
        self.0
            .get(&connection)
            .is_some_and(|names| names.iter().any(|name| is_foreign(name)))
    }

    fn elsewhere(&self, connection: Option<usize>, statement: &crate::sql::Statement) -> Option<Elsewhere> {
        let none = BTreeSet::new();
        let current = self.0.get(&connection).unwrap_or(&none);
        Elsewhere::of(statement, current, is_foreign)
    }
}

fn is_foreign(name: &str) -> bool {
    !is_own(name) && !is_unknown(name)
}

impl TrialPlan {
    /// Whether statements of a connection (or of the control connection) may change more than the trial's own
    /// databases.
    #[must_use]
    pub fn may_change_server(&self, connection: Option<usize>) -> bool {
        let server = match connection.and_then(|number| self.connections.get(number)) {
            Some(own) => own.server,
            None => self.main_server,
        };
        self.serial || server.is_some()
    }

    /// Whether no other trial may run at the same time: it says so, or what it does cannot be told.
    #[must_use]
    pub fn runs_alone(&self) -> bool {
        self.serial || self.server_changes.unknown.is_some()
    }
}
