//! Names that nothing uses, and conditions that never hold.

use std::collections::{BTreeSet, HashSet};

use super::context::label;
use crate::scenario::{ConnectionDecl, Located, Scenario, When};
use crate::source::{Diagnostic, nearest};

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
        // Of a workload it is told already.
        let of_sessions = name == "isolation" || name == "txn" || scenario.is_workload;
        if !of_sessions && !used.contains(name) && !conditions.contains(name) {
            unused(&axis.name, "matrix name", "all its trials are the same");
        }
    }
    for server in &scenario.servers {
        let named = |name: &Located<String>| name.value == server.name.value;
        let uses = |one: &ConnectionDecl| match &one.server {
            Some(name) => named(name),
            None => server.name.value == super::control::MAIN,
        };
        let of_workload = scenario.is_workload && server.name.value == super::control::MAIN;
        if !of_workload && !scenario.connections.iter().any(uses) {
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
                problems.push(problem.label(value.span, format!("its values are: {}", labels.join(", "))));
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
                    let problem = Diagnostic::error(inner.span, "this step never runs in this variant");
                    problems.push(
                        problem
                            .label(outer.span, "the step runs only in these variants")
                            .label(inner.span, "this part is never judged"),
                    );
                }
            }
        }
    }
}
