//! Judges each step by what is expected of it.

use super::finding::{Finding, of_mismatch};
use crate::expect::Seen;
use crate::history::{History, Outcome, SqlValue, StepEnd, Vars, describe};
use crate::plan::{Action, Step, TrialPlan};
use crate::source::Span;

/// The variables that a step's expectations may name.
pub(super) fn step_vars(plan: &TrialPlan, connection: usize, end: &StepEnd) -> Vars {
    let mut vars = end.vars.clone();
    if let Some(own) = plan.connections.get(connection) {
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
    }
    vars
}

/// One record of a step.
pub(super) fn step(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let Some(step) = plan.steps.get(record.step) else {
        return;
    };
    // A step without an end is judged where the script stopped.
    let Some(end) = &record.end else { return };
    let name = plan
        .connections
        .get(record.connection)
        .map_or("?", |own| own.name.as_str());
    // Where outcomes are named, an error is part of one.
    let part_of_outcome = !plan.outcomes().is_empty();
    let unanswered = matches!(end.outcome, Outcome::Unanswered { .. });
    if part_of_outcome && end.outcome.is_error() && !step.wants_error() && !unanswered {
        return;
    }
    if step.fails(&end.outcome) {
        let statement = statement_span(step, end).unwrap_or(step.span);
        let (message, label) = match &end.outcome {
            Outcome::Unanswered { reason } => (format!("{name}: {reason}"), "the server was not asked"),
            Outcome::Lost {
                message,
                unsent: true,
            } => (
                format!("{name}: the statement was not sent: {message}"),
                "the server was not asked",
            ),
            outcome => (
                format!("{name}: expected success, got {}", describe(outcome)),
                "this statement failed",
            ),
        };
        let mut finding = Finding::new(statement, message).label(label);
        finding.server = matches!(end.outcome, Outcome::Lost { .. } | Outcome::TimedOut { .. });
        findings.push(finding);
        return;
    }
    // The last statement is the one that is judged; the ones before it only lead there.
    if let Action::Sql(statements) = &step.action
        && end.outcome.is_error()
        && end.statement + 1 < statements.len()
    {
        let statement = statement_span(step, end).unwrap_or(step.span);
        let message = format!(
            "{name}: expected success before the step's last statement, got {}",
            describe(&end.outcome)
        );
        findings.push(Finding::new(statement, message).label("this statement failed"));
        return;
    }
    let vars = step_vars(plan, record.connection, end);
    let seen = Seen::of_step(end, &vars);
    let timed_out = matches!(end.outcome, Outcome::TimedOut { .. });
    let mut errors = step.expectations.iter().filter(|one| one.check.wants_error());
    if timed_out && errors.any(|one| one.check.check(&seen).is_err()) {
        let message = format!("{name}: {}", describe(&end.outcome));
        findings.push(Finding::new(step.span, message).label("this step was over its limit"));
        return;
    }
    for expectation in &step.expectations {
        if let Err(mismatch) = expectation.check.check(&seen) {
            findings.push(
                of_mismatch(expectation, mismatch, &format!("{name}: ")).also(step.span, "in this step"),
            );
        }
    }
    if let Some(problem) = &end.save_problem {
        let span = kept_at(step, problem).unwrap_or(step.span);
        findings.push(Finding::new(span, format!("{name}: {problem}")));
    }
}

/// Where the value stands that could not be kept: what is wrong begins with its name.
fn kept_at(step: &Step, problem: &str) -> Option<Span> {
    let named = |name: &str| problem.starts_with(&format!("`{name}`"));
    let saved = step.save.iter().map(|one| (&one.name, &one.span));
    let recorded = step
        .coordination
        .record
        .iter()
        .map(|(name, _, span)| (name, span));
    let added = step.coordination.add.iter().map(|(name, _, span)| (name, span));
    let mut all = saved.chain(recorded).chain(added);
    all.find(|(name, _)| named(name)).map(|(_, span)| *span)
}

/// Where the statement stands that gave the outcome.
pub(super) fn statement_span(step: &Step, end: &StepEnd) -> Option<Span> {
    match &step.action {
        Action::Sql(statements) => statements.get(end.statement).map(|statement| statement.span),
        Action::Prepared(statement, _) => Some(statement.span),
        _ => None,
    }
}
