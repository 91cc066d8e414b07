//! From single schedules to what all of them show.

use std::time::Instant;

use super::explored::{Explored, FailingSchedule, LeftOut, OutcomeClass, counted, switches};
use super::judging::never_seen;
use super::work::{Judged, Shared};
use crate::plan::{OrderChoice, TrialPlan, number_of_orders};
use crate::verdict::Finding;

/// So many failing schedules are looked at closely.
const FAILING_MAX: usize = 3;

/// All that was found, but for what only the sandboxes know.
pub(super) fn summary(plan: &TrialPlan, shared: &mut Shared, began: Instant) -> Explored {
    let mut all = std::mem::take(&mut shared.all);
    // What is told does not depend on which sandbox was faster.
    all.sort_by(|one, other| {
        (switches(&one.schedule), &one.schedule).cmp(&(switches(&other.schedule), &other.schedule))
    });
    let seen = |number: usize| all.iter().any(|judged| judged.names.contains(&number));
    let mut findings = never_seen(plan, seen);
    findings.extend(incomplete(plan, shared));
    let chosen = plan.order_choice() != Some(&OrderChoice::All);
    Explored {
        schedules: number_of_orders(&plan.connections),
        executed: shared.started,
        distinct: all.len(),
        trace_size: all
            .iter()
            .fold(0_u128, |sum, judged| sum.saturating_add(judged.trace_size)),
        left_out: shared.cut.or(chosen.then_some(LeftOut::Asked)),
        outcomes: classes(plan, &all),
        failing: failing(&all),
        failed: all.iter().filter(|judged| !judged.findings.is_empty()).count(),
        findings,
        histories: all.into_iter().map(|judged| judged.history).collect(),
        dropped: shared.dropped,
        server: String::new(),
        restores: false,
        took: began.elapsed(),
    }
}

/// The outcomes, each with its schedules.
fn classes(plan: &TrialPlan, all: &[Judged]) -> Vec<OutcomeClass> {
    let mut classes: Vec<OutcomeClass> = Vec::new();
    for judged in all {
        match classes.iter_mut().find(|class| class.outcome == judged.outcome) {
            Some(class) => {
                class.executed += 1;
                class.trace_size = class.trace_size.saturating_add(judged.trace_size);
            }
            None => classes.push(OutcomeClass {
                outcome: judged.outcome.clone(),
                names: judged
                    .names
                    .iter()
                    .map(|number| plan.outcomes()[*number].name.clone())
                    .collect(),
                executed: 1,
                trace_size: judged.trace_size,
                schedule: judged.schedule.clone(),
                history: judged.history.clone(),
            }),
        }
    }
    // Of as many schedules each, by their outcomes: what was pruned does not matter then.
    classes.sort_by(|one, other| (other.trace_size, &one.outcome).cmp(&(one.trace_size, &other.outcome)));
    classes
}

/// Schedules that should have been run and were not.
fn incomplete(plan: &TrialPlan, shared: &Shared) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(orders) = plan.orders() else {
        return findings;
    };
    if let Some(LeftOut::Time(limit)) = shared.cut {
        let message = format!("not all interleavings could be run within {limit:?}");
        let mut finding = Finding::at(orders.span, message);
        finding.label = "give the scenario a longer `timeout`, or take a `sample`".to_owned();
        findings.push(finding);
    }
    if shared.dropped > 0 {
        let prefixes = counted(shared.dropped as u128, "prefix");
        let message = format!("{prefixes} were dropped: the server blocked other connections on replay");
        let mut finding = Finding::at(orders.span, message);
        finding.label = "the outcomes behind them are not known".to_owned();
        findings.push(finding);
    }
    findings
}

/// Those that fail; of those that fail in the same way, which teach nothing new, the first.
fn failing(all: &[Judged]) -> Vec<FailingSchedule> {
    let mut told: Vec<Vec<String>> = Vec::new();
    let failing = all.iter().filter(|judged| !judged.findings.is_empty());
    failing
        .filter(|judged| {
            let messages = judged.findings.iter().map(|one| one.message.clone());
            let detail = judged.findings.iter().filter_map(|one| one.detail.clone());
            let key: Vec<String> = messages.chain(detail).collect();
            let new = !told.contains(&key) && told.len() < FAILING_MAX;
            if new {
                told.push(key);
            }
            new
        })
        .map(|judged| FailingSchedule {
            schedule: judged.schedule.clone(),
            findings: judged.findings.clone(),
            history: judged.history.clone(),
            shrunk: None,
            mismatches: judged.mismatches.clone(),
        })
        .collect()
}
