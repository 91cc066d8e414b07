//! Which expectations do not hold, for whoever writes what happened in their place.

use super::at_end::AtEnd;
use super::steps::step_vars;
use crate::expect::{Expectation, Seen};
use crate::history::{CheckId, History, Outcome};
use crate::plan::{Query, TrialPlan};

/// The expectations of a step that do not hold of its record.
pub(crate) fn failing_of_step<'p>(
    plan: &'p TrialPlan,
    history: &History,
    number: usize,
) -> Vec<&'p Expectation> {
    let Some(record) = history.steps.get(number) else {
        return Vec::new();
    };
    let (Some(step), Some(end)) = (plan.steps.get(record.step), &record.end) else {
        return Vec::new();
    };
    let vars = step_vars(plan, record.connection, end);
    let seen = Seen::of_step(end, &vars);
    let fails = |one: &&Expectation| one.check.check(&seen).is_err();
    step.expectations.iter().filter(fails).collect()
}

/// The final tables and queries whose expectations do not hold, each with one of them and what was seen.
pub(crate) fn failing_finals<'p, 'h>(
    plan: &'p TrialPlan,
    history: &'h History,
) -> Vec<(&'p Query, &'p Expectation, &'h Outcome)> {
    let end = AtEnd::of(plan, history);
    let mut found = Vec::new();
    for record in &history.checks {
        let query = match record.check {
            CheckId::Table(of, index) => plan.finals.get(of).and_then(|own| own.tables.get(index)),
            CheckId::Query(of, index) => plan.finals.get(of).and_then(|own| own.queries.get(index)),
            CheckId::Rows(_) | CheckId::Always { .. } => None,
        };
        let Some(query) = query else { continue };
        let seen = Seen::of_check(record, &end.vars);
        for one in &query.expectations {
            if one.check.check(&seen).is_err() {
                found.push((query, one, &record.outcome));
            }
        }
    }
    found
}
