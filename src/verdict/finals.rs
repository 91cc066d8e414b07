//! Judges what must hold at the end.

use std::time::Duration;

use super::{Finding, cut_short, errors, of_mismatch};
use crate::expect::Seen;
use crate::history::{CheckId, History, SqlValue};
use crate::plan::{Final, Query, TrialPlan};

pub(super) fn judge(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    for (number, one) in plan.finals.iter().enumerate() {
        judge_checks(plan, number, one, history, findings);
    }
    // After a trial that was not followed to its end, its end says nothing.
    if cut_short(history) {
        return;
    }
    for one in &plan.finals {
        judge_one(one, history, findings);
    }
}

/// The queries of one final expectation, which checks name by its number.
pub(super) fn judge_checks(
    plan: &TrialPlan,
    number: usize,
    one: &Final,
    history: &History,
    findings: &mut Vec<Finding>,
) {
    for record in &history.checks {
        let (query, after) = match record.check {
            CheckId::Table(of, index) if of == number => (one.tables.get(index), None),
            CheckId::Query(of, index) if of == number => (one.queries.get(index), None),
            CheckId::Always {
                check: (of, index),
                after,
            } if of == number => (one.always.get(index), Some(after)),
            // What an order came to is asked by those who compare orders.
            CheckId::Table(..) | CheckId::Query(..) | CheckId::Always { .. } | CheckId::Rows(_) => continue,
        };
        let Some(query) = query else { continue };
        let seen = Seen {
            outcome: &record.outcome,
            took: Duration::from_micros(record.took_us),
            warnings: record.warnings.as_deref(),
            plan: record.plan.as_deref(),
            vars: &history.vars,
        };
        check_query(plan, query, after, &seen, findings);
    }
}

/// What needs no query: states, status, variables, the shared state, errors.
pub(super) fn judge_one(one: &Final, history: &History, findings: &mut Vec<Finding>) {
    for (number, span, pattern) in &one.states {
        let Some(record) = history.connections.get(*number) else {
            continue;
        };
        let states = pattern.relevant(&record.states);
        if !pattern.matches(&states) {
            let message = format!(
                "{}: expected states {pattern}, got [{}]",
                record.name,
                states.join(", ")
            );
            findings.push(Finding::new(*span, message).label("these were not its states"));
        }
    }
    for (number, span, status) in &one.status {
        let Some(record) = history.connections.get(*number) else {
            continue;
        };
        if record.status != *status {
            let (wanted, got) = (status.word(), record.status.word());
            let message = format!("{}: expected status {wanted}, got {got}", record.name);
            findings.push(Finding::new(*span, message));
        }
    }
    for (name, span, pattern) in &one.vars {
        match history.vars.get(name) {
            Some(value) if pattern.matches(value, &history.vars) => {}
            Some(value) => {
                let wanted = pattern.shown_with(&history.vars);
                let got = crate::history::show(value);
                findings.push(Finding::new(
                    pattern.span,
                    format!("`{name}`: expected {wanted}, got {got}"),
                ));
            }
            None => findings.push(Finding::new(*span, format!("`{name}` was never set"))),
        }
    }
    super::shared::judge(one, history, findings);
    let all = errors(history);
    for (code, span, pattern) in &one.errors {
        let count = all
            .iter()
            .filter(|error| code.is_none_or(|code| code == error.code))
            .count();
        if !pattern.matches(&SqlValue::Int(count as i128), &history.vars) {
            let which = code.map_or("error of any number".to_owned(), |code| format!("error {code}"));
            let wanted = pattern.shown_with(&history.vars);
            findings.push(Finding::new(
                *span,
                format!("expected {wanted} × {which}, got {count}"),
            ));
        }
    }
    if let (Some(span), Some(first)) = (one.no_errors, all.first()) {
        let first = crate::history::describe_error(first);
        findings.push(Finding::new(
            span,
            format!("expected no errors, got {}: the first is {first}", all.len()),
        ));
    }
}

fn check_query(
    plan: &TrialPlan,
    query: &Query,
    after: Option<Option<usize>>,
    seen: &Seen<'_>,
    findings: &mut Vec<Finding>,
) {
    let wants_error = query.expectations.iter().any(|one| one.check.wants_error());
    if seen.outcome.is_error() && !wants_error {
        let got = crate::history::describe(seen.outcome);
        findings
            .push(Finding::new(query.span, format!("{}: got {got}", query.label)).label("this query failed"));
        return;
    }
    for expectation in &query.expectations {
        if let Err(mismatch) = expectation.check.check(seen) {
            let mut finding = of_mismatch(expectation, mismatch, &format!("{}: ", query.label));
            if let Some(step) = after.flatten().and_then(|number| plan.steps.get(number)) {
                finding = finding.also(step.span, "after this step");
            }
            findings.push(finding);
        }
    }
}
