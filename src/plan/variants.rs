//! The variants of a scenario, and one trial for each.

use std::sync::Arc;

use super::connections::{Connections, isolation, txn};
use super::names::Scope;
use super::{PlanInput, ServerPlan, Statement, TRIAL_TIMEOUT, TrialPlan, VARIANTS_MAX};
use crate::expect::{Template, value_of_node};
use crate::history::{SqlValue, Vars};
use crate::scenario::{Located, Scenario, When};
use crate::source::{Diagnostic, Node, SourceFile, nearest};

/// One combination of the matrix's values.
#[derive(Debug, Clone, Default)]
pub(super) struct Variant<'s> {
    /// Axis and value.
    pub values: Vec<(&'s str, &'s Node)>,
}

/// What planning one variant works with.
pub(super) struct Context<'a> {
    pub file: &'a Arc<SourceFile>,
    pub input: &'a PlanInput,
    pub scenario: &'a Scenario,
    pub variant: &'a Variant<'a>,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Variant<'_> {
    pub fn value(&self, axis: &str) -> Option<&Node> {
        self.values
            .iter()
            .find(|(name, _)| *name == axis)
            .map(|(_, node)| *node)
    }

    /// Whether this variant is among those of a `when`.
    pub fn is_in(&self, when: Option<&When>) -> bool {
        when.is_none_or(|when| {
            when.conditions.iter().all(|(axis, values)| {
                let mine = self.value(&axis.value).map(|node| label(&axis.value, node));
                values
                    .iter()
                    .any(|value| mine.as_ref() == Some(&label(&axis.value, value)))
            })
        })
    }
}

/// The short form of an axis' value, as trials' names and [`super::TrialPlan::variant`] have it: `rc` for
/// `read committed`, otherwise its text with `_` for spaces.
#[must_use]
pub fn label(axis: &str, node: &Node) -> String {
    let text = node.text().map(|text| text.to_string()).unwrap_or_default();
    match axis {
        "isolation" => isolation(&text).map_or(text, |level| level.short.to_owned()),
        "txn" => txn(&text).map_or(text, str::to_owned),
        _ => text
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect(),
    }
}

/// All combinations, in the order of the file.
pub(super) fn variants<'s>(scenario: &'s Scenario, problems: &mut Vec<Diagnostic>) -> Vec<Variant<'s>> {
    let mut all = vec![Variant::default()];
    for axis in &scenario.matrix {
        let name = axis.name.value.as_str();
        let mut labels: Vec<String> = Vec::new();
        for node in &axis.values {
            let known = match (name, node.text()) {
                (_, None) => Err("a value of the matrix is a single value"),
                (_, Some(text)) if text.contains("${") => Err("a value of the matrix cannot use variables"),
                ("isolation", Some(text)) if isolation(&text).is_none() => {
                    Err("TiDB has `repeatable read` and `read committed` (others are error 8048)")
                }
                ("txn", Some(text)) if txn(&text).is_none() => Err("`pessimistic` or `optimistic`"),
                _ => Ok(()),
            };
            if let Err(help) = known {
                let problem = Diagnostic::error(node.span, format!("not a value for `{name}`"));
                problems.push(problem.label(node.span, help));
            }
            let label = label(name, node);
            if labels.contains(&label) {
                let problem = Diagnostic::error(node.span, format!("`{label}` is on this axis already"));
                problems.push(problem.label(node.span, "each value stands once"));
            }
            labels.push(label);
        }
        all = all
            .into_iter()
            .flat_map(|variant| {
                axis.values.iter().map(move |node| {
                    let mut values = variant.values.clone();
                    values.push((name, node));
                    Variant { values }
                })
            })
            .collect();
        if all.len() > VARIANTS_MAX {
            let message = format!("this matrix has more than {VARIANTS_MAX} variants");
            let problem = Diagnostic::error(axis.name.span, message);
            problems.push(problem.label(axis.name.span, "with this axis"));
            all.truncate(1);
            break;
        }
    }
    all
}

/// Finds `when`s that name what the matrix does not have.
pub(super) fn check_when_names(scenario: &Scenario, problems: &mut Vec<Diagnostic>) {
    check_when_meets(scenario, problems);
    let axes: Vec<&str> = scenario
        .matrix
        .iter()
        .map(|axis| axis.name.value.as_str())
        .collect();
    let in_steps = scenario.steps.iter().flat_map(|step| {
        step.when
            .iter()
            .chain(step.expects.iter().filter_map(|expect| expect.when.as_ref()))
    });
    let in_finals = scenario.expect.iter().filter_map(|expect| expect.when.as_ref());
    for (axis, values) in in_steps.chain(in_finals).flat_map(|when| &when.conditions) {
        let Some(known) = scenario
            .matrix
            .iter()
            .find(|known| known.name.value == axis.value)
        else {
            let message = match nearest(&axis.value, axes.iter().copied()) {
                Some(near) => format!("the matrix has no `{}`; did you mean `{near}`?", axis.value),
                None => format!("the matrix has no `{}`", axis.value),
            };
            let known = if axes.is_empty() {
                "there is no `matrix`".to_owned()
            } else {
                axes.join(", ")
            };
            problems.push(Diagnostic::error(axis.span, message).label(axis.span, format!("known: {known}")));
            continue;
        };
        let labels: Vec<String> = known.values.iter().map(|node| label(&axis.value, node)).collect();
        for value in values {
            if !labels.contains(&label(&axis.value, value)) {
                let problem = Diagnostic::error(value.span, format!("`{}` never has this value", axis.value));
                problems.push(problem.label(value.span, format!("it has: {}", labels.join(", "))));
            }
        }
    }
}

/// Finds expectations of a step that hold `when` the step does not run: nobody would ever look at them.
fn check_when_meets(scenario: &Scenario, problems: &mut Vec<Diagnostic>) {
    for step in &scenario.steps {
        let whens = step.expects.iter().filter_map(|expect| expect.when.as_ref());
        for (outer, inner) in whens.filter_map(|inner| Some((step.when.as_ref()?, inner))) {
            for (axis, values) in &inner.conditions {
                let Some((_, theirs)) = outer
                    .conditions
                    .iter()
                    .find(|(other, _)| other.value == axis.value)
                else {
                    continue;
                };
                let theirs: Vec<String> = theirs.iter().map(|node| label(&axis.value, node)).collect();
                if !values
                    .iter()
                    .any(|node| theirs.contains(&label(&axis.value, node)))
                {
                    let problem = Diagnostic::error(inner.span, "this step never runs in such a variant");
                    problems.push(
                        problem
                            .label(outer.span, "the step runs here only")
                            .label(inner.span, "this is never looked at"),
                    );
                }
            }
        }
    }
}

pub(super) fn plan_variant(
    file: &Arc<SourceFile>,
    input: &PlanInput,
    scenario: &Scenario,
    variant: &Variant<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<TrialPlan> {
    let mut context = Context {
        file,
        input,
        scenario,
        variant,
        problems,
    };
    context.trial()
}

impl Context<'_> {
    fn trial(&mut self) -> Option<TrialPlan> {
        let variant: Vec<(String, String)> = self
            .variant
            .values
            .iter()
            .map(|(axis, node)| ((*axis).to_owned(), label(axis, node)))
            .collect();
        let mut name = self.input.name.clone();
        for (axis, label) in &variant {
            name.push_str(&format!("::{axis}={label}"));
        }
        let vars = self.vars();
        let mut scope = Scope::new(self.input, &vars);
        let servers = self.servers(&mut scope);
        let Connections {
            connections,
            databases,
            secrets,
        } = self.connections(&servers, &mut scope);
        for database in &databases {
            scope.add(&format!("database.{database}"));
        }
        let setup = self.statements(&self.scenario.setup, &mut scope);
        let steps = self.steps(&connections, &mut scope);
        let finals = self.finals(&connections, &steps, &mut scope);
        let teardown = self.statements(&self.scenario.teardown, &mut scope);
        self.check_flow(&connections, &steps);
        self.check_whole_server(&setup, &steps, &vars);
        self.check_used(&connections, &steps);
        let mut vars = vars;
        let mut secrets = secrets;
        for (name, value) in scope.env_used() {
            let upper = name.to_ascii_uppercase();
            if ["PASS", "SECRET", "TOKEN", "KEY"]
                .iter()
                .any(|word| upper.contains(word))
            {
                secrets.push(value.clone());
            }
            vars.insert(format!("env.{name}"), SqlValue::Text(value));
        }
        secrets.retain(|secret| !secret.is_empty());
        Some(TrialPlan {
            name,
            file: Arc::clone(self.file),
            title: self.scenario.title.value.clone(),
            variant,
            setup,
            teardown,
            vars,
            connections,
            databases,
            steps,
            finals,
            requires: self.scenario.requires.clone(),
            tags: self.scenario.tags.clone(),
            serial: self.scenario.serial,
            timeout: self.scenario.timeout.unwrap_or(TRIAL_TIMEOUT),
            servers,
            secrets,
        })
    }

    /// The variables of the file, then those of the matrix.
    fn vars(&mut self) -> Vars {
        let mut vars = Vars::new();
        for (name, node) in &self.scenario.vars {
            if let Some(value) = self.value(name, node) {
                vars.insert(name.value.clone(), value);
            }
        }
        for axis in &self.scenario.matrix {
            if let Some((name, _)) = self
                .scenario
                .vars
                .iter()
                .find(|(name, _)| name.value == axis.name.value)
            {
                let message = format!("`{}` is in `vars` and in `matrix`", name.value);
                let problem = Diagnostic::error(name.span, message);
                self.problems
                    .push(problem.label(axis.name.span, "here").label(name.span, "and here"));
            }
        }
        for (name, node) in &self.variant.values {
            if let Some(value) = value_of_node(node) {
                vars.insert((*name).to_owned(), value);
            }
        }
        vars
    }

    fn value(&mut self, name: &Located<String>, node: &Node) -> Option<SqlValue> {
        if let Some(offset) = node.as_str().and_then(|text| text.find("${")) {
            let rest = node
                .as_str()
                .and_then(|text| text.get(offset..))
                .unwrap_or_default();
            let env = rest
                .strip_prefix("${env.")
                .and_then(|rest| rest.strip_suffix('}'));
            match env
                .filter(|_| offset == 0)
                .map(|key| (key, self.input.env.get(key)))
            {
                Some((_, Some(value))) => return Some(SqlValue::Text(value.clone())),
                Some((key, None)) => {
                    let problem = Diagnostic::error(node.span, format!("the environment has no `{key}`"));
                    self.problems
                        .push(problem.label(node.span, "set it, or write the value here"));
                }
                None => {
                    let problem =
                        Diagnostic::error(node.span, "a variable's first value is plain or `${env.NAME}`");
                    self.problems
                        .push(problem.label(node.span, format!("`{}` cannot use others", name.value)));
                }
            }
            return None;
        }
        let value = value_of_node(node);
        if value.is_none() {
            let problem = Diagnostic::error(node.span, "this is no value");
            self.problems
                .push(problem.label(node.span, "an odd number of hexadecimal digits?"));
        }
        value
    }

    pub(super) fn statements(&mut self, texts: &[Located<String>], scope: &mut Scope<'_>) -> Vec<Statement> {
        texts
            .iter()
            .filter_map(|text| self.statement(text, scope))
            .collect()
    }

    pub(super) fn statement(&mut self, text: &Located<String>, scope: &mut Scope<'_>) -> Option<Statement> {
        match Template::read(&text.value) {
            Ok(template) => {
                scope.check(&template, text.span, self.problems);
                Some(Statement {
                    span: text.span,
                    text: template,
                })
            }
            Err(error) => {
                let problem = Diagnostic::error(text.span, error.to_string());
                self.problems.push(problem.label(text.span, "in this text"));
                None
            }
        }
    }

    fn servers(&mut self, scope: &mut Scope<'_>) -> Vec<ServerPlan> {
        let mut servers = Vec::new();
        for server in &self.scenario.servers {
            let flags = server
                .flags
                .iter()
                .filter_map(|(name, node)| Some((name.value.clone(), node.text()?.into_owned())))
                .collect();
            let vars = server
                .vars
                .iter()
                .filter_map(|(name, node)| Some((name.value.clone(), super::connections::literal(node)?)))
                .collect();
            let setup = self.statements(&server.setup, scope);
            servers.push(ServerPlan {
                name: server.name.value.clone(),
                persistent: server.persistent,
                flags,
                vars,
                setup,
            });
        }
        servers
    }

    /// What changes the whole server needs a server of its own, or to run alone.
    fn check_whole_server(&mut self, setup: &[Statement], steps: &[super::Step], vars: &Vars) {
        let own = self
            .scenario
            .servers
            .iter()
            .any(|server| server.name.value == "main");
        if self.scenario.serial || own {
            return;
        }
        let in_steps = steps.iter().flat_map(|step| match &step.action {
            super::Action::Sql(statements) => statements.as_slice(),
            super::Action::Prepared(statement, _) => std::slice::from_ref(statement),
            _ => &[],
        });
        for statement in setup.iter().chain(in_steps) {
            // A statement may come from the matrix whole; what only a run knows stands as it is written.
            let text = statement
                .text
                .fill(vars)
                .unwrap_or_else(|_| statement.text.source().to_owned());
            if crate::sql::classify(&text).changes_whole_server() {
                self.problems.push(
                    Diagnostic::error(statement.span, "this changes the whole server, other trials' too")
                        .label(statement.span, "not only this trial's databases")
                        .help("write `serial: true`, to run alone, or `servers: {main: {}}`, for a server of its own"),
                );
            }
        }
    }

    /// A connection without steps is most often a misspelt name elsewhere.
    fn check_used(&mut self, connections: &[super::ConnectionPlan], steps: &[super::Step]) {
        for (number, connection) in connections.iter().enumerate() {
            let in_any_variant = self
                .scenario
                .steps
                .iter()
                .any(|step| step.connection.value == connection.name);
            if !in_any_variant && !steps.iter().any(|step| step.connection == number) {
                let message = format!("connection `{}` has no step", connection.name);
                self.problems.push(
                    Diagnostic::warning(connection.span, message).label(connection.span, "it only connects"),
                );
            }
        }
    }
}
