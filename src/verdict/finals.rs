//! Judges what must hold at the end.

use super::at_end::AtEnd;
use super::finding::{Finding, of_mismatch};
use super::shared;
use crate::expect::Seen;
use crate::history::{CheckId, FailedTeardown, History, Outcome, SqlError, SqlValue, Stopped};
use crate::plan::{Final, Query, TrialPlan};

pub(super) fn judge(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    let end = AtEnd::of(plan, history);
    for (number, one) in plan.finals.iter().enumerate() {
        judge_checks(plan, number, one, &end, findings);
    }
    findings.extend(teardown(plan, &history.teardown));
    // After a trial that was not followed to its end, its end says nothing.
    if cut_short(history) {
        return;
    }
    for one in &plan.finals {
        judge_one(plan, one, &end, findings);
    }
}

/// Statements of the teardown that failed.
pub fn teardown(plan: &TrialPlan, failed: &[FailedTeardown]) -> Vec<Finding> {
    let found = failed.iter().filter_map(|one| {
        let statement = plan.teardown.get(one.statement)?;
        let finding = Finding::new(statement.span, format!("teardown: {}", one.message));
        Some(finding.label("this statement failed"))
    });
    found.collect()
}

/// The queries of one final expectation, which checks name by its number.
pub(super) fn judge_checks(
    plan: &TrialPlan,
    number: usize,
    one: &Final,
    end: &AtEnd<'_>,
    findings: &mut Vec<Finding>,
) {
    for record in &end.history.checks {
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
        let seen = Seen::of_check(record, &end.vars);
        check_query(plan, query, after, &seen, findings);
    }
}

/// What needs no query: states, status, variables, the shared state, errors.
pub(super) fn judge_one(plan: &TrialPlan, one: &Final, end: &AtEnd<'_>, findings: &mut Vec<Finding>) {
    for (number, span, pattern) in &one.states {
        let Some(record) = end.history.connections.get(*number) else {
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
        let Some(record) = end.history.connections.get(*number) else {
            continue;
        };
        if record.status != *status {
            let (wanted, got) = (status.word(), record.status.word());
            let message = format!("{}: expected status {wanted}, got {got}", record.name);
            findings.push(Finding::new(*span, message));
        }
    }
    for (name, span, pattern) in &one.vars {
        let owners = &plan.owners;
        let keys = owners.keys(name);
        for key in &keys {
            // With its connection, where it stands for several.
            let name = if keys.len() > 1 { key } else { name };
            match owners.value(key, &end.history.vars) {
                Some(value) if pattern.matches(value, &end.vars) => {}
                Some(value) => {
                    let wanted = pattern.shown_with(&end.vars);
                    let got = crate::history::show(value);
                    let doubt = pattern.doubt(value, &end.vars);
                    let message = format!("`{name}`: expected {wanted}, got {got}{doubt}");
                    findings.push(Finding::new(pattern.span, message));
                }
                None => findings.push(Finding::new(*span, format!("`{name}` was never set"))),
            }
        }
    }
    shared::judge(one, end, findings);
    let all = errors(end.history);
    for (code, span, pattern) in &one.errors {
        // Of any number are answers of the server; that a session was gone before counts by its number.
        let count = match code {
            Some(code) => all.iter().filter(|error| error.code == *code).count(),
            None => answers(end.history).count(),
        };
        if !pattern.matches(&SqlValue::Int(count as i128), &end.vars) {
            let wanted = pattern.shown_with(&end.vars);
            let wanted = match (code, wanted.as_str()) {
                (None, "0") => "no errors".to_owned(),
                (None, "1") => "1 error".to_owned(),
                (None, wanted) => format!("{wanted} errors"),
                (Some(code), "0") => format!("no error {code}"),
                (Some(code), wanted) => format!("{wanted} × error {code}"),
            };
            findings.push(Finding::new(*span, format!("expected {wanted}, got {count}")));
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
    let unanswered = matches!(seen.outcome, Outcome::Unanswered { .. });
    if seen.outcome.is_error() && (!wants_error || unanswered) {
        let (got, label) = match seen.outcome {
            Outcome::Unanswered { reason } => (reason.clone(), "the server was not asked"),
            outcome => (
                format!("expected a result, got {}", crate::history::describe(outcome)),
                "this query failed",
            ),
        };
        findings.push(Finding::new(query.span, format!("{}: {got}", query.label)).label(label));
        return;
    }
    for expectation in &query.expectations {
        if let Err(mismatch) = expectation.check.check(seen) {
            let mut finding = of_mismatch(expectation, mismatch, &format!("{}: ", query.label));
            // Rows that stand right below a table's name: the file has no `unordered`.
            if expectation.key == "unordered" && expectation.span == query.span {
                finding = finding.label(format!("{} does not have these rows", query.label));
            }
            if let Some(step) = after.flatten().and_then(|number| plan.steps.get(number)) {
                finding = finding.also(step.span, "after this step");
            }
            findings.push(finding);
        }
    }
}

/// All errors that statements of the trial got.
fn errors(history: &History) -> Vec<SqlError> {
    let ends = history.steps.iter().filter_map(|record| record.end.as_ref());
    ends.filter_map(|end| end.outcome.error()).collect()
}

/// The errors among them that came of a statement that was sent.
fn answers(history: &History) -> impl Iterator<Item = SqlError> {
    let ends = history.steps.iter().filter_map(|record| record.end.as_ref());
    ends.filter_map(|end| end.outcome.answer())
}

/// Whether the trial ended before its script did, so that its end says nothing.
fn cut_short(history: &History) -> bool {
    match &history.stopped {
        None => false,
        Some(
            Stopped::UnexpectedWait { .. }
            | Stopped::StillBlocked { .. }
            | Stopped::NotReleased { .. }
            | Stopped::OverTime { .. }
            | Stopped::ServerLost { .. },
        ) => true,
    }
}
