//! Judges which of the outcomes that a file names an order of steps came to.

use std::time::Duration;

use super::at_end::AtEnd;
use super::finals;
use super::finding::{Finding, of_mismatch};
use super::steps::step_vars;
use crate::expect::Seen;
use crate::history::{History, Outcome, StepRecord, describe, describe_error};
use crate::plan::{OutcomePlan, Step, TrialPlan, step_name};
use crate::sql::is_mistake;

/// What does not hold of the outcome of this number; nothing, if the history came to it.
#[must_use]
pub fn outcome(plan: &TrialPlan, number: usize, history: &History) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(outcome) = plan.outcomes().get(number) else {
        return findings;
    };
    let check = plan.finals.len() + number;
    let end = AtEnd::of(plan, history);
    finals::judge_checks(plan, check, &outcome.holds, &end, &mut findings);
    finals::judge_one(plan, &outcome.holds, &end, &mut findings);
    let record = |step: usize| history.steps.iter().find(|record| record.step == step);
    for saw in &outcome.saw {
        let name = step_name(saw.step, &plan.connections, &plan.steps);
        let Some((record, end)) = record(saw.step).and_then(|one| Some((one, one.end.as_ref()?))) else {
            findings.push(Finding::new(saw.span, format!("{name} was not run")));
            continue;
        };
        let vars = step_vars(plan, record.connection, end);
        let seen = Seen {
            outcome: &end.outcome,
            took: Duration::from_micros(end.took_us),
            warnings: None,
            plan: None,
            vars: &vars,
        };
        for expectation in &saw.expectations {
            if let Err(mismatch) = expectation.check.check(&seen) {
                let mut finding = of_mismatch(expectation, mismatch, &format!("{name}: "));
                // A value or rows right below the step's name: the file has no key for them.
                if expectation.span == saw.span {
                    finding = finding.label("the step did not see this");
                }
                findings.push(finding);
            }
        }
    }
    // A statement that is over its limit has no error that `errors` would count, so it has to be named.
    for record in &history.steps {
        let late = record
            .end
            .as_ref()
            .filter(|end| matches!(end.outcome, Outcome::TimedOut { .. }));
        let wanted = plan.steps.get(record.step).is_some_and(|step| step.wants_error());
        if let (Some(end), false, false) = (
            late,
            wanted,
            outcome.saw.iter().any(|saw| saw.step == record.step),
        ) {
            let name = step_name(record.step, &plan.connections, &plan.steps);
            findings.push(Finding::new(
                outcome.span,
                format!("{name}: {}", describe(&end.outcome)),
            ));
        }
    }
    findings.extend(mistakes(plan, outcome, history));
    if let Some((span, wanted)) = &outcome.blocked {
        let waited = |record: &&StepRecord| record.wait.is_some();
        let mut got: Vec<usize> = history
            .steps
            .iter()
            .filter(waited)
            .map(|record| record.step)
            .collect();
        let mut wanted = wanted.clone();
        got.sort_unstable();
        wanted.sort_unstable();
        if got != wanted {
            let names = |steps: &[usize]| {
                let names = steps
                    .iter()
                    .map(|step| step_name(*step, &plan.connections, &plan.steps));
                names.collect::<Vec<_>>().join(", ")
            };
            let message = format!(
                "expected blocked steps [{}], got [{}]",
                names(&wanted),
                names(&got)
            );
            findings.push(Finding::new(*span, message));
        }
    }
    findings
}

/// Statements that are wrong in themselves: a misspelt one would be part of any outcome that says nothing of it, so it
/// has to be named.
fn mistakes(plan: &TrialPlan, outcome: &OutcomePlan, history: &History) -> Vec<Finding> {
    let mut findings = Vec::new();
    for record in &history.steps {
        let Some(Outcome::Refused(error)) = record.end.as_ref().map(|end| &end.outcome) else {
            continue;
        };
        let named = plan.steps.get(record.step).is_some_and(Step::wants_error)
            || outcome.saw.iter().any(|saw| saw.step == record.step)
            || outcome
                .holds
                .errors
                .iter()
                .any(|(code, ..)| *code == Some(error.code));
        if named || !is_mistake(error.code) {
            continue;
        }
        let name = step_name(record.step, &plan.connections, &plan.steps);
        let message = format!("{name}: error {}", describe_error(error));
        let label = format!(
            "an outcome must name an error like this: `errors: {{{}: 1}}`",
            error.code
        );
        findings.push(Finding::new(outcome.span, message).label(label));
    }
    findings
}
