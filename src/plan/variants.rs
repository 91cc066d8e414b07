//! The variants of a scenario, and one trial for each.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::connections::{Connections, isolation, txn};
use super::names::Scope;
use super::states::States;
use super::{PLAN_SIZE_MAX, PlanInput, ServerPlan, Statement, TRIAL_TIMEOUT, TrialPlan, VARIANTS_MAX};
use crate::expect::{Template, TemplateError, value_of_node};
use crate::history::{SqlValue, Vars};
use crate::scenario::{ConnectionDecl, Located, Scenario, When};
use crate::source::{Diagnostic, Node, NodeKind, SourceFile, Span, nearest};

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
    /// The connections' numbers by their names.
    pub numbers: BTreeMap<String, usize>,
    /// Whether it can be told who waits when: every step and every name in it is known.
    pub waits_are_clear: bool,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Variant<'_> {
    pub fn value(&self, axis: &str) -> Option<&Node> {
        self.values
            .iter()
            .find(|(name, _)| *name == axis)
            .map(|(_, node)| *node)
    }

    /// Its values, as trials' names have them.
    pub fn in_words(&self) -> String {
        let values = self.values.iter();
        let values = values.map(|(axis, node)| format!("{axis}={}", label(axis, node)));
        values.collect::<Vec<_>>().join(", ")
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
    let connections = scenario
        .connections
        .iter()
        .map(|one| one.count.as_ref().map_or(1, |count| count.value));
    let size = scenario.all_steps().count() + connections.sum::<usize>();
    let mut all = vec![Variant::default()];
    for axis in &scenario.matrix {
        let name = axis.name.value.as_str();
        let mut labels: Vec<(String, &Node)> = Vec::new();
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
            if let Some((_, earlier)) = labels.iter().find(|(other, _)| *other == label) {
                let message = format!("two values of `{name}` are called `{label}` in the trials' names");
                let problem = Diagnostic::error(node.span, message).label(node.span, "again here");
                problems.push(problem.label(earlier.span, "first here"));
            }
            labels.push((label, node));
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
        let size = size.saturating_mul(all.len());
        let message = if all.len() > VARIANTS_MAX {
            format!("this matrix has more than {VARIANTS_MAX} variants")
        } else if size > PLAN_SIZE_MAX {
            format!("all variants together have more than {PLAN_SIZE_MAX} steps and connections")
        } else {
            continue;
        };
        let problem = Diagnostic::error(axis.name.span, message);
        problems.push(problem.label(axis.name.span, "with this axis"));
        all.truncate(1);
        break;
    }
    all
}

/// Finds connections, variables, axes and servers that nothing depends on, most often because of another
/// name elsewhere.
pub(super) fn check_unused(scenario: &Scenario, used: &BTreeSet<String>, problems: &mut Vec<Diagnostic>) {
    let in_steps: HashSet<&str> = scenario
        .all_steps()
        .map(|step| step.connection.value.as_str())
        .map(|name| name.split_once('.').map_or(name, |(name, _)| name))
        .collect();
    for connection in &scenario.connections {
        let name = &connection.name;
        if !in_steps.contains(name.value.as_str()) {
            let message = format!("connection `{}` has no step", name.value);
            let problem = Diagnostic::warning(name.span, message);
            problems.push(problem.label(name.span, "it only connects"));
        }
    }
    let mut unused = |name: &Located<String>, what: &str, label: &str| {
        let problem = Diagnostic::warning(name.span, format!("nothing uses the {what} `{}`", name.value));
        problems.push(problem.label(name.span, label));
    };
    for (name, _) in &scenario.vars {
        if !used.contains(&name.value) {
            unused(name, "variable", "write `${…}` where it is meant");
        }
    }
    let conditions: HashSet<&str> = whens(scenario)
        .flat_map(|when| &when.conditions)
        .map(|(axis, _)| axis.value.as_str())
        .collect();
    for axis in &scenario.matrix {
        let name = axis.name.value.as_str();
        let of_sessions = name == "isolation" || name == "txn";
        if !of_sessions && !used.contains(name) && !conditions.contains(name) {
            unused(&axis.name, "axis", "all its trials are the same");
        }
    }
    for server in &scenario.servers {
        let named = |name: &Located<String>| name.value == server.name.value;
        let uses = |one: &ConnectionDecl| match &one.server {
            Some(name) => named(name),
            None => server.name.value == "main",
        };
        if !scenario.connections.iter().any(uses) {
            unused(&server.name, "server", "no connection is on it");
        }
    }
}

/// Every `when` of a scenario.
fn whens(scenario: &Scenario) -> impl Iterator<Item = &When> {
    let in_steps = scenario.all_steps().flat_map(|step| {
        step.when
            .iter()
            .chain(step.expects.iter().filter_map(|expect| expect.when.as_ref()))
    });
    in_steps.chain(scenario.expect.iter().filter_map(|expect| expect.when.as_ref()))
}

/// Finds `when`s that name what the matrix does not have.
pub(super) fn check_when_names(scenario: &Scenario, problems: &mut Vec<Diagnostic>) {
    check_when_meets(scenario, problems);
    let axes: Vec<&str> = scenario
        .matrix
        .iter()
        .map(|axis| axis.name.value.as_str())
        .collect();
    for (axis, values) in whens(scenario).flat_map(|when| &when.conditions) {
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
    for step in scenario.all_steps() {
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
    used: &mut BTreeSet<String>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<TrialPlan> {
    let mut trials = Vec::new();
    // Each order that is listed is a trial of its own; what a plan holds cannot be shared.
    let mut more = 1;
    while trials.len() < more {
        let mut context = Context {
            file,
            input,
            scenario,
            variant,
            numbers: BTreeMap::new(),
            waits_are_clear: scenario.steps_are_whole,
            problems,
        };
        let (trial, count) = context.trial(used, trials.len());
        more = count;
        trials.push(trial);
    }
    trials
}

impl Context<'_> {
    /// The trial of this variant, or of one of its listed orders; how many there are comes with it.
    fn trial(&mut self, used: &mut BTreeSet<String>, which: usize) -> (TrialPlan, usize) {
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
        let mut scope = Scope::new(self.input, self.file, &vars);
        let servers = self.servers(&mut scope);
        let Connections {
            mut connections,
            databases,
            secrets,
        } = self.connections(&servers, &vars, &mut scope);
        let numbered = connections.iter().enumerate();
        self.numbers = numbered.map(|(number, one)| (one.name.clone(), number)).collect();
        for database in &databases {
            scope.add(&format!("database.{database}"));
        }
        let setup = self.statements(&self.scenario.setup, &mut scope);
        let free = self.scenario.runs_freely();
        let permutations = self.scenario.permutations.as_ref();
        let States { steps, barriers } = if let Some(orders) = permutations {
            States {
                steps: self.sequences_of_steps(orders, &mut connections, &mut scope),
                barriers: Vec::new(),
            }
        } else if free {
            self.states(&mut connections, &mut scope)
        } else {
            States {
                steps: self.steps(&mut scope),
                barriers: Vec::new(),
            }
        };
        // What counts within a connection has no value when all of them have ended.
        for name in ["iteration", "round"] {
            scope.remove(name);
        }
        let (finals, outcomes) = self.finals(&connections, &steps, &mut scope);
        let teardown = self.statements(&self.scenario.teardown, &mut scope);
        if self.waits_are_clear && !free && permutations.is_none() {
            self.check_flow(&connections, &steps);
        }
        self.check_whole_server(&setup, &connections, &steps, &vars);
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
        used.extend(scope.used());
        secrets.retain(|secret| !secret.is_empty());
        let seed = self.scenario.seed.unwrap_or_else(|| seed_of(&name));
        let mut orders = match permutations {
            Some(decl) => {
                self.check_orders(decl, &steps);
                // Of the title, so that a file that goes elsewhere has the same orders.
                let seed = self
                    .scenario
                    .seed
                    .unwrap_or_else(|| seed_of(&self.scenario.title.value));
                self.orders(decl, &connections, &steps, &outcomes, seed)
            }
            None => Vec::new(),
        };
        let count = orders.len().max(1);
        let chosen = (which < orders.len()).then(|| orders.swap_remove(which));
        let (label, orders) = chosen.unzip();
        if let Some(label) = label.flatten() {
            name.push_str(&format!("::order={label}"));
        }
        let trial = TrialPlan {
            free,
            orders,
            outcomes,
            barriers,
            seed,
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
        };
        (trial, count)
    }

    /// The variables of the file, then those of the matrix.
    fn vars(&mut self) -> Vars {
        let mut vars = Vars::new();
        for (name, node) in &self.scenario.vars {
            self.check_new_name(name);
            if let Some(value) = self.value(name, node) {
                vars.insert(name.value.clone(), value);
            }
        }
        for axis in &self.scenario.matrix {
            self.check_new_name(&axis.name);
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

    /// The first value of a variable: plain, or of the environment.
    fn value(&mut self, name: &Located<String>, node: &Node) -> Option<SqlValue> {
        if let Some(text) = node.as_str() {
            let template = match Template::read(text) {
                Ok(template) => template,
                Err(error) => {
                    self.template_error(&error, node.span);
                    return None;
                }
            };
            let mut env = Vars::new();
            for (variable, _) in template.variables() {
                let Some(key) = variable
                    .strip_prefix("env.")
                    .filter(|_| text == format!("${{{variable}}}"))
                else {
                    let message = "a variable's first value is plain or `${env.NAME}`";
                    let label = format!("`{}` cannot use others", name.value);
                    let problem = Diagnostic::error(node.span, message);
                    self.problems.push(problem.label(node.span, label));
                    return None;
                };
                let Some(value) = self.input.env.get(key) else {
                    let problem = Diagnostic::error(node.span, format!("the environment has no `{key}`"));
                    let label = "set it, or write the value here";
                    self.problems.push(problem.label(node.span, label));
                    return None;
                };
                env.insert(variable.to_owned(), SqlValue::Text(value.clone()));
            }
            return template.fill(&env).ok().map(SqlValue::Text);
        }
        self.plain_value(node)
    }

    /// A value that stands in the file as it is.
    pub(super) fn plain_value(&mut self, node: &Node) -> Option<SqlValue> {
        let value = value_of_node(node);
        if value.is_none() {
            let problem = Diagnostic::error(node.span, "this is no value");
            self.problems
                .push(problem.label(node.span, "an odd number of hexadecimal digits"));
        }
        if let Some(inside) = first_variable(node) {
            let message = "a variable cannot stand inside a list or mapping here";
            let problem = Diagnostic::error(inside, message);
            self.problems
                .push(problem.label(inside, "it would stay these characters"));
            return None;
        }
        value
    }

    pub(super) fn template_error(&mut self, error: &TemplateError, span: Span) {
        let problem = Diagnostic::error(span, error.to_string()).label(span, "in this text");
        self.problems
            .push(problem.help("close it, or write `$${` for the two characters themselves"));
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
                self.template_error(&error, text.span);
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
    fn check_whole_server(
        &mut self,
        setup: &[Statement],
        connections: &[super::ConnectionPlan],
        steps: &[super::Step],
        vars: &Vars,
    ) {
        if self.scenario.serial {
            return;
        }
        let own = self
            .scenario
            .servers
            .iter()
            .any(|server| server.name.value == "main");
        let shared = |step: &&super::Step| {
            connections
                .get(step.connection)
                .is_some_and(|connection| connection.server.is_none())
        };
        let in_steps = steps.iter().filter(shared).flat_map(|step| match &step.action {
            super::Action::Sql(statements) => statements.as_slice(),
            super::Action::Prepared(statement, _) => std::slice::from_ref(statement),
            _ => &[],
        });
        let in_setup = setup.iter().filter(|_| !own);
        for statement in in_setup.chain(in_steps) {
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
}

/// The first text in a list or mapping that names a variable.
fn first_variable(node: &Node) -> Option<Span> {
    match &node.kind {
        NodeKind::Seq(items) => items.iter().find_map(variable_inside),
        NodeKind::Map(entries) => entries.iter().find_map(|entry| variable_inside(&entry.value)),
        _ => None,
    }
}

fn variable_inside(node: &Node) -> Option<Span> {
    let names = |text: &str| Template::read(text).is_ok_and(|template| template.variables().next().is_some());
    match node.as_str() {
        Some(text) => names(text).then_some(node.span),
        None => first_variable(node),
    }
}

/// FNV-1a: the same for the same name on every machine and with every version.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
