//! Judges how connections that run freely came through their states.

use super::{Finding, statement_span};
use crate::expect::describe;
use crate::history::{History, Outcome, Status, StepRecord, Went};
use crate::plan::{Repetition, TrialPlan, is_there};

/// Whether the step's own expectations are asked: not where its outcome led elsewhere.
pub(super) fn is_judged(record: &StepRecord) -> bool {
    match record.went {
        Went::On => true,
        Went::Elsewhere
        | Went::Retry { .. }
        | Went::RetriesUsedUp { .. }
        | Went::WaitedInVain { .. }
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
            let times = match number {
                1 => "once".to_owned(),
                number => format!("{number} times"),
            };
            let got = describe(&end.outcome);
            let message = format!("{name}: tried again {times}, and got {got} once more");
            let span = statement_span(step, end).unwrap_or(step.span);
            let mut finding = Finding::new(span, message).label("still fails");
            finding.server = matches!(end.outcome, Outcome::Lost { .. });
            findings.push(finding);
        }
        Went::WaitedInVain {
            wanted,
            want,
            reasons,
            cycle,
        } => {
            // At the trial's limit all waits end; that is told once.
            if history_is_over(reasons) {
                return;
            }
            let span = match want {
                Some(number) => step.coordination.wait_for.get(*number).map(|want| want.span),
                None => step.coordination.barrier.map(|(_, span)| span),
            };
            let message = if cycle.is_empty() {
                format!("{name}: waited in vain for {wanted}")
            } else {
                format!("{name}: waited in vain for {wanted}: connections wait for each other in a ring")
            };
            let waited = record.waited_us as f64 / 1_000.0;
            let mut finding = Finding::new(span.unwrap_or(step.span), message);
            finding = finding.label(format!("given up after {waited:.0} ms"));
            let mut lines = Vec::new();
            if let Some(first) = cycle.first() {
                lines.extend(cycle.iter().map(|one| format!("  ┌▶ {one}")));
                let back = first.split(' ').next().unwrap_or_default();
                lines.push(format!("  └─ and so back to {back}"));
            } else {
                lines.extend(reasons.iter().map(|reason| format!("  {reason}")));
            }
            finding.detail = Some(lines.join("\n"));
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
            let message = format!("{name}: it was not there within {within:?} ({looks} looks)");
            let (place, last) = match is_there(until, &end.outcome, &end.vars) {
                Err((span, last)) => (span, last),
                Ok(()) => (*span, describe(&end.outcome)),
            };
            let finding = Finding::new(place, message).label(format!("at last: {last}"));
            findings.push(finding.also(step.span, "in this state"));
        }
    }
}

fn history_is_over(reasons: &[String]) -> bool {
    matches!(reasons, [only] if only == "the trial was over its limit")
}

/// Connections that ended early for a reason that no state has: they could not connect, or their task broke.
pub(super) fn ends(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    for (number, record) in history.connections.iter().enumerate() {
        let Some(own) = plan.connections.get(number) else {
            continue;
        };
        let told = history.steps.iter().any(|step| step.connection == number);
        if let (Status::Failed, Some(failure), false) = (record.status, &record.failure, told) {
            let message = format!("{}: {failure}", record.name);
            findings.push(Finding::new(own.span, message).label("has run no state"));
        } else if let Some(failure) = record
            .failure
            .as_ref()
            .filter(|text| text.starts_with("its task broke"))
        {
            findings.push(Finding::new(own.span, format!("{}: {failure}", record.name)));
        }
    }
}
