//! Judges a history against a plan. Pure: no clock, no SQL, no waiting.

mod at_end;
mod failing;
mod finals;
mod finding;
mod jobs;
mod machines;
mod outcomes;
mod series;
mod server_left;
mod shared;
mod steps;
mod waiting;

pub(crate) use failing::{failing_finals, failing_of_step};
pub(crate) use finals::teardown;
pub use finding::{Finding, Verdict};
pub use outcomes::outcome;
pub(crate) use server_left::server_left;
pub(crate) use waiting::{released_with, rule_in_words};

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{CheckId, History};
use crate::plan::{Mode, TrialPlan};
use crate::source::Span;

/// Judges.
#[must_use]
pub fn judge(plan: &TrialPlan, history: &History) -> Verdict {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (number, record) in history.steps.iter().enumerate() {
        let before = findings.len();
        if machines::is_judged(record) {
            steps::step(plan, history, number, &mut findings);
        }
        match plan.mode {
            Mode::Concurrent(_) => machines::step(plan, record, &mut findings),
            Mode::Scripted => waiting::step(plan, history, number, &mut findings),
            // Which steps are blocked is what is asked.
            Mode::Explored(_) | Mode::Workload(_) => {}
        }
        if findings.len() > before {
            told.insert(record.connection);
        }
    }
    match plan.mode {
        Mode::Concurrent(_) => {
            machines::ends(plan, history, &told, &mut findings);
            fold(&mut findings);
        }
        Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => {}
    }
    waiting::stopped(plan, history, &mut findings);
    findings.extend(not_run(plan, history));
    findings.extend(server_left(plan, &history.server_left));
    finals::judge(plan, history, &mut findings);
    if findings.is_empty() {
        never_looked_at(plan, history, &mut findings);
    }
    if findings.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(findings)
    }
}

/// What does not hold so far of a trial in the order of its file: of the steps that have ended, and why it was not
/// followed any further.
#[must_use]
pub(crate) fn so_far(plan: &TrialPlan, history: &History) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, record) in history.steps.iter().enumerate() {
        if record.end.is_some() {
            steps::step(plan, history, number, &mut findings);
            waiting::step(plan, history, number, &mut findings);
        }
    }
    waiting::stopped(plan, history, &mut findings);
    findings
}

/// Steps that were not run: those of one connection for one reason in one finding, at the first of them.
fn not_run(plan: &TrialPlan, history: &History) -> Vec<Finding> {
    let mut groups: Vec<(usize, &str, Span, usize)> = Vec::new();
    for skipped in &history.skipped {
        let Some(step) = plan.steps.get(skipped.step) else {
            continue;
        };
        let (own, reason) = (step.connection, skipped.reason.as_str());
        match groups
            .iter_mut()
            .find(|(other, why, ..)| *other == own && *why == reason)
        {
            Some((.., count)) => *count += 1,
            None => groups.push((own, reason, step.span, 1)),
        }
    }
    let finding = |(own, reason, span, count): (usize, &str, Span, usize)| {
        let name = plan.connections.get(own).map_or("?", |own| own.name.as_str());
        let message = match count - 1 {
            0 => "this step was not run".to_owned(),
            1 => format!("this step and the next one of {name} were not run"),
            more => format!("this step and the next {more} of {name} were not run"),
        };
        Finding::new(span, message).label(reason)
    };
    groups.into_iter().map(finding).collect()
}

/// Many connections may find the same at the same place: what is told a few times is only counted from then on.
fn fold(findings: &mut Vec<Finding>) {
    const TOLD_MAX: usize = 3;
    let mut told: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut more: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    findings.retain(|finding| {
        let place = (finding.span.start, finding.span.end);
        let times = told.entry(place).or_default();
        *times += 1;
        if *times > TOLD_MAX {
            *more.entry(place).or_default() += 1;
        }
        *times <= TOLD_MAX
    });
    for ((start, end), count) in more {
        let at = Span { start, end };
        if let Some(last) = findings.iter_mut().rfind(|finding| finding.span == at) {
            let so = format!("and {count} more times at this place");
            let detail = last.detail.take().map(|detail| format!("{detail}\n{so}"));
            last.detail = Some(detail.unwrap_or(so));
        }
    }
}

/// What the file asks for and the history tells nothing of: what was never looked at has not passed.
fn never_looked_at(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    // A state of a concurrent connection may be one of several that can follow; in many schedules a connection
    // that got an error takes no more steps. `expect` says what holds then.
    let all = match plan.mode {
        Mode::Scripted => true,
        Mode::Concurrent(_) | Mode::Explored(_) | Mode::Workload(_) => false,
    };
    let script = plan.steps.iter().enumerate().filter(|_| all);
    for (number, step) in script {
        let record = history.steps.iter().find(|record| record.step == number);
        if record.is_none_or(|record| record.end.is_none()) {
            let message = match record {
                Some(_) => "no result was recorded for this step",
                None => "this step was never run",
            };
            findings.push(Finding::new(step.span, message));
        }
    }
    let checked = |wanted: CheckId| {
        history.checks.iter().any(|record| match (record.check, wanted) {
            (CheckId::Always { check, .. }, CheckId::Always { check: wanted, .. }) => check == wanted,
            (check, wanted) => check == wanted,
        })
    };
    for (number, one) in plan.finals.iter().enumerate() {
        let tables = one.tables.iter().enumerate();
        let tables = tables.map(|(index, query)| (query, CheckId::Table(number, index)));
        let queries = one.queries.iter().enumerate();
        let queries = queries.map(|(index, query)| (query, CheckId::Query(number, index)));
        let always = one.always.iter().enumerate().map(|(index, query)| {
            let check = (number, index);
            (query, CheckId::Always { check, after: None })
        });
        for (query, check) in tables.chain(queries).chain(always) {
            if !checked(check) {
                findings.push(Finding::new(
                    query.span,
                    format!("{}: never checked", query.label),
                ));
            }
        }
    }
    for one in history
        .always
        .iter()
        .filter(|one| one.asked == 0 && one.missed > 0)
    {
        let (number, index) = one.check;
        let Some(query) = plan.finals.get(number).and_then(|of| of.always.get(index)) else {
            continue;
        };
        let message = format!("{}: could not be checked between statements", query.label);
        let finding = Finding::new(query.span, message);
        findings.push(finding.label(format!(
            "a statement was running at each of the {} attempts",
            one.missed
        )));
    }
}
