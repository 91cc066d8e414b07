//! One trial of a scenario: one variant, in one order where orders are listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::connections::Connections;
use super::context::{Context, Variant, label};
use super::control::main_server;
use super::names::Scope;
use super::orders::LabelledOrder;
use super::server_changes::Parts;
use super::states::States;
use super::user_locks::UserLocks;
use super::{ConcurrentPlan, ExploredPlan, Mode, PlanInput, ServerPlan, TRIAL_TIMEOUT, TrialPlan};
use crate::expect::{Template, value_of_node};
use crate::history::{SqlValue, Vars};
use crate::scenario::{Located, Scenario};
use crate::source::{Diagnostic, Node, SourceFile};

pub(super) fn plan_variant(
    file: &Arc<SourceFile>,
    input: &PlanInput,
    scenario: &Scenario,
    variant: &Variant<'_>,
    used: &mut BTreeSet<String>,
    problems: &mut Vec<Diagnostic>,
) -> Vec<TrialPlan> {
    let mut trials = Vec::new();
    // Each order that is listed is a trial of its own; what a plan holds cannot be shared. The list itself is read once.
    let mut listed = None;
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
        trials.push(context.trial(used, trials.len(), &mut listed));
        more = listed.as_ref().map_or(1, |orders: &Vec<_>| orders.len().max(1));
    }
    trials
}

impl Context<'_> {
    /// The trial of this variant, or of one of its orders, which `listed` has once they are known.
    fn trial(
        &mut self,
        used: &mut BTreeSet<String>,
        which: usize,
        listed: &mut Option<Vec<LabelledOrder>>,
    ) -> TrialPlan {
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
        self.check_requires();
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
        scope.set_owners(self.owners(&connections));
        let free = self.scenario.is_concurrent();
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
        if permutations.is_some() {
            self.check_uses_of_orders(&connections, &scope);
        } else if free {
            self.check_races(&connections, &scope);
        }
        scope.read_outside();
        // What counts within a connection has no value when all of them have ended.
        for name in ["iteration", "round"] {
            scope.remove(name);
        }
        let (finals, outcomes) = self.finals(&connections, &steps, &mut scope);
        self.check_sessions(&connections, &steps, &finals);
        if permutations.is_some() {
            // It runs once after all orders, of which each has variables of its own.
            scope.read_as_before();
        }
        let teardown = self.statements(&self.scenario.teardown, &mut scope);
        if self.waits_are_clear && !free && permutations.is_none() {
            self.check_flow(&connections, &steps);
        }
        let (server_changes, user_locks) = {
            let parts = Parts {
                setup: &setup,
                teardown: &teardown,
                steps: &steps,
                finals: finals
                    .iter()
                    .chain(outcomes.iter().map(|outcome| &outcome.holds))
                    .collect(),
                connections: &connections,
                has_own_main: main_server(&servers).is_some(),
                vars: &vars,
                free,
            };
            self.check_filled(&parts, &servers);
            (self.check_server(&parts), UserLocks::of(&parts))
        };
        let mut vars = vars;
        let mut secrets = secrets;
        for (name, value) in scope.env_used() {
            if is_secret(&name) {
                secrets.push(value.clone());
            }
            vars.insert(format!("env.{name}"), SqlValue::Text(value));
        }
        // One that is the first value of a variable is as secret.
        for (_, node) in &self.scenario.vars {
            let name = node
                .as_str()
                .and_then(|text| text.strip_prefix("${env.")?.strip_suffix('}'));
            if let Some(name) = name.filter(|name| is_secret(name)) {
                secrets.extend(self.input.env.get(name).cloned());
            }
        }
        let (all_used, owners) = scope.into_used();
        used.extend(all_used);
        secrets.retain(|secret| !secret.is_empty());
        let given = self.input.seed.or(self.scenario.seed);
        let seed = given.unwrap_or_else(|| seed_of(&name));
        if let Some(decl) = permutations {
            self.check_orders(decl, &steps);
        }
        let orders = listed.get_or_insert_with(|| {
            // Of the title, so that a file that goes elsewhere has the same orders.
            let seed = given.unwrap_or_else(|| seed_of(&self.scenario.title.value));
            let found = permutations.map(|decl| self.orders(decl, &connections, &steps, &outcomes, seed));
            found.unwrap_or_default()
        });
        let (label, orders) = orders.get(which).cloned().unzip();
        if let Some(label) = label.flatten() {
            name.push_str(&format!("::order={label}"));
        }
        let workload = self.scenario.workload.as_ref();
        let workload = workload.map(|decl| self.workload(decl, seed_of(&name)));
        let mode = match orders {
            None if workload.is_some() => workload.map_or(Mode::Scripted, Mode::Workload),
            Some(orders) => Mode::Explored(ExploredPlan { orders, outcomes }),
            None if free => Mode::Concurrent(ConcurrentPlan { barriers }),
            None => Mode::Scripted,
        };
        TrialPlan {
            mode,
            seed,
            name,
            file: Arc::clone(self.file),
            title: self.scenario.title.value.clone(),
            variant,
            setup,
            teardown,
            vars,
            owners,
            connections,
            databases,
            steps,
            finals,
            requires: self.scenario.requires.clone(),
            tags: self.scenario.tags.clone(),
            serial: self.scenario.serial,
            server_changes,
            user_locks,
            timeout: self.scenario.timeout.unwrap_or(TRIAL_TIMEOUT),
            main_server: main_server(&servers),
            servers,
            secrets,
        }
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
                    let message = "the initial value of a variable can contain `${env.NAME}` only";
                    let label = format!("`{}` cannot contain other variables", name.value);
                    let problem = Diagnostic::error(node.span, message);
                    self.problems.push(problem.label(node.span, label));
                    return None;
                };
                let Some(value) = self.input.env.get(key) else {
                    let problem =
                        Diagnostic::error(node.span, format!("the environment variable `{key}` is not set"));
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

    /// What the server has to have is written as it is: it is asked before a trial has variables.
    fn check_requires(&mut self) {
        for (_, node) in &self.scenario.requires.vars {
            self.plain_text(node, "a requirement");
        }
        for server in &self.scenario.servers {
            for (_, node) in server.flags.iter().chain(&server.vars) {
                self.plain_text(node, "a server's setting");
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
}

/// Whether the value of this variable of the environment is not to be shown.
fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let mut words = ["PASS", "SECRET", "TOKEN", "KEY"].iter();
    words.any(|word| upper.contains(word))
}

/// FNV-1a: the same for the same name on every machine and with every version.
fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
