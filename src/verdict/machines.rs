//! Judges how concurrent connections ran through their states.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::steps::statement_span;
use crate::history::{History, Outcome, Status, StepRecord, WaitFailure, Went, describe, why_not_satisfied};
use crate::plan::{Repetition, TrialPlan, is_there};

/// Whether the step's own expectations are asked: not where its outcome led elsewhere.
pub(super) fn is_judged(record: &StepRecord) -> bool {
    match record.went {
        Went::On => true,
        Went::Elsewhere
        | Went::Retry { .. }
        | Went::RetriesUsedUp { .. }
        | Went::Unsatisfied { .. }
        | Went::NeverSeen { .. } => false,
    }
}

/// One record of a state whose outcome is not judged by its expectations.
pub(super) fn step(plan: &TrialPlan, record: &StepRecord, findings: &mut Vec<Finding>) {
    let Some(step) = plan.steps.get(record.step) else {
        return;
    };
    let name = plan
        .connections
        .get(record.connection)
        .map_or("?", |own| own.name.as_str());
    match &record.went {
        Went::On | Went::Elsewhere | Went::Retry { .. } => {}
        Went::RetriesUsedUp { number } => {
            let Some(end) = &record.end else { return };
            let got = describe(&end.outcome);
            let message = match number {
                0 => format!("{name}: {got}, and `retries: 0` allows no retry"),
                1 => format!("{name}: failed again after 1 retry: {got}"),
                number => format!("{name}: failed again after {number} retries: {got}"),
            };
            let span = statement_span(step, end).unwrap_or(step.span);
            let mut finding = Finding::new(span, message).label("still fails");
            finding.server = matches!(end.outcome, Outcome::Lost { .. });
            findings.push(finding);
        }
        Went::Unsatisfied {
            wanted,
            want,
            failure,
            reasons,
            cycle,
        } => {
            let message = match failure {
                WaitFailure::Unsatisfiable if cycle.is_empty() => {
                    format!("{name}: the wait for {wanted} can never be satisfied")
                }
                WaitFailure::Unsatisfiable => {
                    format!(
                        "{name}: the wait for {wanted} can never be satisfied: the connections are in a deadlock"
                    )
                }
                WaitFailure::TimedOut => format!("{name}: the wait for {wanted} timed out"),
                // At the trial's limit all waits end; that is told once.
                WaitFailure::Stopped => return,
            };
            let span = match want {
                Some(number) => step.coordination.wait_for.get(*number).map(|want| want.span),
                None => step.coordination.barrier.map(|(_, span)| span),
            };
            let waited = record.waited_us as f64 / 1_000.0;
            let mut finding = Finding::new(span.unwrap_or(step.span), message);
            finding = finding.label(format!("the wait lasted {waited:.0} ms"));
            finding.detail = Some(why_not_satisfied(reasons, cycle).join("\n"));
            findings.push(finding);
        }
        Went::NeverSeen { looks } => {
            let Repetition::Until {
                until, within, span, ..
            } = &step.coordination.repetition
            else {
                return;
            };
            let Some(end) = &record.end else { return };
            let message = format!("{name}: `until` did not hold within {within:?} ({looks} polls)");
            let (place, last) = match is_there(until, &end.outcome, &end.vars) {
                Err((span, last)) => (span, last),
                Ok(()) => (*span, describe(&end.outcome)),
            };
            let finding = Finding::new(place, message).label(format!("last result: {last}"));
            findings.push(finding.also(step.span, "in this state"));
        }
    }
}

/// Connections that ended early and of which nothing has been told: they could not connect, their task broke, or
/// whatever else it was. A connection that failed without a finding would be a failure that passes.
pub(super) fn ends(plan: &TrialPlan, history: &History, told: &BTreeSet<usize>, findings: &mut Vec<Finding>) {
    // At the trial's limit they are ended by us, and that is told.
    if history.stopped.is_some() {
        return;
    }
    for (number, record) in history.connections.iter().enumerate() {
        let Some(own) = plan.connections.get(number) else {
            continue;
        };
        if record.status != Status::Failed || told.contains(&number) {
            continue;
        }
        let last = history.steps.iter().rfind(|step| step.connection == number);
        let span = last
            .and_then(|last| plan.steps.get(last.step))
            .map_or(own.span, |step| step.span);
        let failure = record.failure.as_deref().unwrap_or("it failed");
        let finding = Finding::new(span, format!("{}: {failure}", record.name));
        findings.push(match last {
            Some(_) => finding.label("its last state"),
            None => finding.label("it has not entered a state"),
        });
    }
}
