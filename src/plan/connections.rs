//! Connections with their settings resolved.

use super::context::{Context, isolation, txn};
use super::control::{MAIN, main_server};
use super::names::Scope;
use super::{ServerPlan, Value};
use crate::expect::Template;
use crate::history::{SqlValue, Vars};
use crate::scenario::{ConnectionDecl, Located};
use crate::source::{Diagnostic, Node, NodeKind, Span, nearest};

/// A mistake lists at most this many of the names that are there.
const NAMES_LISTED: usize = 12;

/// One connection of a trial.
#[derive(Debug, Clone)]
pub struct ConnectionPlan {
    /// Its name, with its number where there are several: `worker.3`.
    pub name: String,
    /// Its number among those of its name, from 0.
    pub index: usize,
    /// Where its name stands.
    pub span: Span,
    /// Session variables: name and SQL literal, in the order in which they are set.
    pub vars: Vec<(String, String)>,
    /// The user and the password, where it has its own.
    pub user: Option<(String, String)>,
    /// A further database of the trial, by the file's name for it.
    pub database: Option<String>,
    /// The number of the server of the trial's own; `None`: the run's server.
    pub server: Option<usize>,
    /// Its states, by their numbers in [`super::TrialPlan::steps`], if it is concurrent. Several connections
    /// of one name share theirs.
    pub states: std::ops::Range<usize>,
    /// How often it runs through them.
    pub rounds: u32,
}

/// The connections and what they bring with them.
pub(super) struct Connections {
    pub connections: Vec<ConnectionPlan>,
    pub databases: Vec<String>,
    pub secrets: Vec<String>,
}

/// A node as an SQL literal for SET.
pub(super) fn literal(node: &Node) -> Option<String> {
    match &node.kind {
        NodeKind::Int(number) => Some(number.to_string()),
        NodeKind::Decimal(text) => Some(text.clone()),
        NodeKind::Bool(flag) => Some(if *flag { "ON" } else { "OFF" }.to_owned()),
        NodeKind::Str(text) => Some(quoted(text)),
        NodeKind::Hex(text) => Some(text.clone()),
        NodeKind::Null | NodeKind::Binary(_) | NodeKind::Seq(_) | NodeKind::Map(_) => None,
    }
}

/// A variable's value as an SQL literal for SET.
fn literal_of(value: &SqlValue) -> Option<String> {
    match value {
        SqlValue::Int(number) => Some(number.to_string()),
        SqlValue::Decimal(text) => Some(text.clone()),
        SqlValue::Text(text) => Some(quoted(text)),
        SqlValue::Null | SqlValue::Float(_) | SqlValue::Time(_) | SqlValue::Bytes(_) | SqlValue::Json(_) => {
            None
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

impl Context<'_> {
    pub(super) fn connections(
        &mut self,
        servers: &[ServerPlan],
        vars: &Vars,
        scope: &mut Scope<'_>,
    ) -> Connections {
        let mut all = Connections {
            connections: Vec::new(),
            databases: Vec::new(),
            secrets: Vec::new(),
        };
        for decl in &self.scenario.connections {
            let plan = self.connection(decl, servers, vars, scope, &mut all);
            match &decl.count {
                None => all.connections.push(plan),
                Some(count) => {
                    for index in 0..count.value {
                        let name = format!("{}.{index}", plan.name);
                        all.connections.push(ConnectionPlan {
                            name,
                            index,
                            ..plan.clone()
                        });
                    }
                }
            }
        }
        all
    }

    fn connection(
        &mut self,
        decl: &ConnectionDecl,
        servers: &[ServerPlan],
        trial_vars: &Vars,
        scope: &mut Scope<'_>,
        all: &mut Connections,
    ) -> ConnectionPlan {
        // Times compare as text, so every session has the same zone unless the file says another.
        let mut vars = vec![("time_zone".to_owned(), "'+00:00'".to_owned())];
        if let Some(node) = decl
            .isolation
            .as_ref()
            .or_else(|| self.variant.value("isolation"))
        {
            match node.text().and_then(|text| isolation(&text)) {
                Some(level) => vars.push((
                    "transaction_isolation".to_owned(),
                    format!("'{}'", level.variable),
                )),
                // On an axis of the matrix this is told already.
                None if decl.isolation.is_none() => {}
                None => {
                    let problem = Diagnostic::error(node.span, "TiDB does not have this isolation level");
                    let label = "`repeatable read` or `read committed`; others are error 8048";
                    self.problems.push(problem.label(node.span, label));
                }
            }
        }
        if let Some(node) = decl.txn.as_ref().or_else(|| self.variant.value("txn")) {
            match node.text().and_then(|text| txn(&text)) {
                Some(mode) => vars.push(("tidb_txn_mode".to_owned(), format!("'{mode}'"))),
                None if decl.txn.is_none() => {}
                None => {
                    let problem = Diagnostic::error(node.span, "this is not a transaction mode");
                    self.problems
                        .push(problem.label(node.span, "`pessimistic` or `optimistic`"));
                }
            }
        }
        for (name, node) in &decl.vars {
            if !name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let problem = Diagnostic::error(name.span, "this is not the name of a session variable");
                self.problems
                    .push(problem.label(name.span, "letters, digits and `_`"));
                continue;
            }
            if let Some(value) = self.session_value(node, trial_vars, scope) {
                vars.push((name.value.clone(), value));
            }
        }
        if let (None, Some(password)) = (&decl.user, &decl.password) {
            let problem = Diagnostic::error(password.span, "`password` needs `user`");
            self.problems
                .push(problem.label(password.span, "the password of which user?"));
        }
        let user = decl.user.as_ref().map(|user| {
            let password = decl
                .password
                .as_ref()
                .map(|password| self.env_text(password, scope))
                .unwrap_or_default();
            all.secrets.push(password.clone());
            (self.env_text(user, scope), password)
        });
        let database = decl.database.as_ref().map(|database| {
            let name = database.value.clone();
            if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let problem = Diagnostic::error(
                    database.span,
                    "a database's name must consist of letters, digits and `_`",
                );
                self.problems.push(problem.label(database.span, "here"));
            }
            if !all.databases.contains(&name) {
                all.databases.push(name.clone());
            }
            name
        });
        let server = match &decl.server {
            None => main_server(servers),
            Some(wanted) => {
                let found = servers.iter().position(|server| server.name == wanted.value);
                if found.is_none() && wanted.value != MAIN {
                    self.unknown(
                        wanted,
                        "server",
                        servers.iter().map(|server| server.name.as_str()),
                    );
                }
                found
            }
        };
        ConnectionPlan {
            name: decl.name.value.clone(),
            index: 0,
            span: decl.name.span,
            vars,
            user,
            database,
            server,
            states: 0..0,
            rounds: 1,
        }
    }

    /// What a session variable is set to, as an SQL literal. Sessions open before the first step, so only
    /// variables of the file, of the matrix and of the environment have a value by then.
    fn session_value(&mut self, node: &Node, vars: &Vars, scope: &mut Scope<'_>) -> Option<String> {
        let text = node.as_str().filter(|text| text.contains("${"));
        let found = match text.map(Template::read) {
            None => literal(node),
            Some(Err(error)) => {
                self.template_error(&error, node.span);
                return None;
            }
            Some(Ok(template)) => {
                scope.check(&template, node.span, self.problems);
                let mut vars = vars.clone();
                for (name, value) in scope.env_used() {
                    vars.insert(format!("env.{name}"), SqlValue::Text(value));
                }
                let told = |(name, _): (&str, usize)| !vars.contains_key(name) && !scope.knows(name);
                if template.variables().any(told) {
                    return None;
                }
                template.value(&vars).ok().and_then(|value| literal_of(&value))
            }
        };
        if found.is_none() {
            let problem = Diagnostic::error(node.span, "a session variable must be a number or text");
            let label = match text {
                Some(_) => "this has no such value when the session opens".to_owned(),
                None => format!("this is {}", node.describe()),
            };
            self.problems.push(problem.label(node.span, label));
        }
        found
    }

    /// Text in which `${env.NAME}` may stand.
    fn env_text(&mut self, text: &Located<String>, scope: &mut Scope<'_>) -> String {
        let template = match Template::read(&text.value) {
            Ok(template) => template,
            Err(error) => {
                self.template_error(&error, text.span);
                return String::new();
            }
        };
        scope.check(&template, text.span, self.problems);
        let mut vars = Vars::new();
        for (name, value) in scope.env_used() {
            vars.insert(format!("env.{name}"), SqlValue::Text(value));
        }
        match template.fill(&vars) {
            Ok(filled) => filled,
            Err(name) => {
                if !name.starts_with("env.") && scope.knows(&name) {
                    let problem = Diagnostic::error(text.span, "only `${env.NAME}` can be used here");
                    self.problems
                        .push(problem.label(text.span, format!("`{name}` is set later")));
                }
                String::new()
            }
        }
    }

    pub(super) fn unknown<'n>(
        &mut self,
        name: &Located<String>,
        what: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) {
        let mut listed: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
        let more = listed.len().saturating_sub(NAMES_LISTED);
        listed.truncate(NAMES_LISTED);
        let listed = match (listed.as_slice(), more) {
            ([], _) => "there are none".to_owned(),
            (some, 0) => format!("this scenario has {}", some.join(", ")),
            (some, more) => format!("this scenario has {} and {more} more", some.join(", ")),
        };
        let message = match nearest(&name.value, known) {
            Some(near) => format!("unknown {what} `{}`; did you mean `{near}`?", name.value),
            None => format!("unknown {what} `{}`", name.value),
        };
        self.problems
            .push(Diagnostic::error(name.span, message).label(name.span, listed));
    }

    /// The number of a connection by its name, or a mistake.
    pub(super) fn connection_number(&mut self, name: &Located<String>) -> Option<usize> {
        if let Some(number) = self.numbers.get(&name.value) {
            return Some(*number);
        }
        let several = self.scenario.connections.iter().find_map(|decl| {
            let count = decl.count.as_ref()?.value;
            let own = decl.name.value.as_str();
            let numbered = name
                .value
                .strip_prefix(own)
                .and_then(|rest| rest.strip_prefix('.'));
            (name.value == own || numbered.is_some()).then_some((own, count))
        });
        if let Some((own, count)) = several {
            let last = count - 1;
            let (message, label) = if name.value == own {
                let message = format!("`{own}` is {count} connections");
                (message, format!("name one: `{own}.0` to `{own}.{last}`"))
            } else {
                let message = format!("there is no connection `{}`", name.value);
                (message, format!("there are `{own}.0` to `{own}.{last}`"))
            };
            self.problems
                .push(Diagnostic::error(name.span, message).label(name.span, label));
            return None;
        }
        // Where no connection could be read at all, that mistake is told already.
        if !self.numbers.is_empty() {
            let known: Vec<String> = self
                .scenario
                .connections
                .iter()
                .map(|decl| match &decl.count {
                    None => decl.name.value.clone(),
                    Some(_) => format!("{}.0", decl.name.value),
                })
                .collect();
            self.unknown(name, "connection", known.iter().map(String::as_str));
        }
        None
    }

    /// A value in which variables may stand.
    pub(super) fn plan_value(&mut self, node: &Node, scope: &mut Scope<'_>) -> Option<Value> {
        if let Some(text) = node.as_str()
            && text.contains("${")
        {
            return match Template::read(text) {
                Ok(template) => {
                    scope.check(&template, node.span, self.problems);
                    Some(Value::Template(template))
                }
                Err(error) => {
                    self.template_error(&error, node.span);
                    None
                }
            };
        }
        self.plain_value(node).map(Value::Plain)
    }
}
