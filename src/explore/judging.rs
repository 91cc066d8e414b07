//! Judges schedules by what the file says of them. Pure, so that histories can be judged anew.

use std::collections::BTreeSet;

use super::outcome::OrderOutcome;
use crate::history::History;
use crate::plan::{OrdersPlan, TrialPlan};
use crate::verdict::{Finding, Verdict, judge, outcome as fits_outcome};

/// Of so many outcomes it is said why a schedule has none of them.
const NAMES_MAX: usize = 6;

/// One schedule by what the file says.
#[derive(Debug)]
pub struct JudgedSchedule {
    /// The outcomes that it has, by their numbers.
    pub outcomes: Vec<usize>,
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// Why it is none of the outcomes, where that is all that is wrong.
    pub(super) mismatches: Option<Mismatches>,
}

/// For each outcome what does not hold of it: the places in the file, and what was there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatches(Vec<BTreeSet<(usize, String)>>);

impl Mismatches {
    /// Of a history that is none of the outcomes; nothing for one that is, or where the file names none.
    pub(super) fn of(plan: &TrialPlan, history: &History) -> Option<Self> {
        Self::from(&missed(plan, history))
    }

    /// From what does not hold of each outcome.
    fn from(missed: &[Vec<Finding>]) -> Option<Self> {
        let told = |one: &Finding| (one.span.start, format!("{}{:?}", one.message, one.detail));
        let none = !missed.is_empty() && missed.iter().all(|findings| !findings.is_empty());
        none.then(|| {
            let all = missed.iter().map(|findings| findings.iter().map(told).collect());
            Self(all.collect())
        })
    }

    /// Whether the outcomes that were missed by the least are missed in just the same way, all of them: one alone may be
    /// missed for the same reason by a schedule that has nothing else in common. That a step was left out, or what follows
    /// from it, is another way.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        let least = self.0.iter().map(BTreeSet::len).min();
        let mut pairs = self.0.iter().zip(&other.0);
        self.0.len() == other.0.len() && pairs.all(|(own, other)| Some(own.len()) != least || own == other)
    }
}

/// What does not hold of each outcome; nothing of those that the history has.
fn missed(plan: &TrialPlan, history: &History) -> Vec<Vec<Finding>> {
    (0..plan.outcomes().len())
        .map(|number| fits_outcome(plan, number, history))
        .collect()
}

/// Judges one schedule.
#[must_use]
pub fn judge_schedule(plan: &TrialPlan, history: &History) -> JudgedSchedule {
    let mut findings = match judge(plan, history) {
        Verdict::Passed => Vec::new(),
        Verdict::Failed(findings) => findings,
    };
    let missed = missed(plan, history);
    let outcomes: Vec<usize> = (0..missed.len())
        .filter(|number| missed[*number].is_empty())
        .collect();
    // What fails in another way as well says nothing of its outcome.
    let mismatches = Mismatches::from(&missed).filter(|_| findings.is_empty());
    if let (true, Some(orders), [first, ..]) = (findings.is_empty(), plan.orders(), outcomes.as_slice()) {
        findings.extend(another_outcome(plan, orders, *first, &missed));
    }
    match (outcomes.as_slice(), plan.orders()) {
        ([], Some(orders)) if mismatches.is_some() => {
            let mut finding = Finding::at(orders.span, "this interleaving matches none of the outcomes");
            finding.label = "its outcome is missing in `outcomes`".to_owned();
            let facts = OrderOutcome::of(plan, history).facts();
            let facts = facts.into_iter().map(|(what, how)| format!("  {what}: {how}"));
            let reasons = (0..missed.len()).take(NAMES_MAX);
            let reasons = reasons.filter_map(|number| why_not(plan, number, &missed));
            finding.detail = Some(facts.chain(reasons).collect::<Vec<_>>().join("\n"));
            findings.push(finding);
        }
        ([first, second, ..], _) => {
            let (one, other) = (&plan.outcomes()[*first], &plan.outcomes()[*second]);
            let message = format!(
                "this interleaving matches two outcomes, `{}` and `{}`",
                one.name, other.name
            );
            let mut finding = Finding::at(other.span, message);
            finding.also.push((one.span, "also matches".to_owned()));
            findings.push(finding);
        }
        _ => {}
    }
    JudgedSchedule {
        outcomes,
        findings,
        mismatches,
    }
}

/// The first thing that does not hold of an outcome.
fn why_not(plan: &TrialPlan, number: usize, missed: &[Vec<Finding>]) -> Option<String> {
    let first = missed.get(number)?.first()?;
    Some(format!(
        "  not `{}`: {}",
        plan.outcomes().get(number)?.name,
        first.message
    ))
}

/// That a schedule has another outcome than the list says of it.
fn another_outcome(
    plan: &TrialPlan,
    orders: &OrdersPlan,
    got: usize,
    missed: &[Vec<Finding>],
) -> Option<Finding> {
    let (_, span) = orders.outcomes.first()?;
    let wanted = orders.outcomes.iter().map(|(number, _)| *number);
    if wanted.clone().any(|number| missed[number].is_empty()) {
        return None;
    }
    let names: Vec<String> = wanted
        .clone()
        .map(|number| format!("`{}`", plan.outcomes()[number].name))
        .collect();
    let has = &plan.outcomes()[got];
    let message = format!(
        "this interleaving has the outcome `{}`, not {}",
        has.name,
        names.join(" or ")
    );
    let mut finding = Finding::at(*span, message);
    finding.label = "expected here".to_owned();
    finding.also.push((has.span, "this one matches".to_owned()));
    let reasons = wanted.filter_map(|number| why_not(plan, number, missed));
    finding.detail = Some(reasons.collect::<Vec<_>>().join("\n"));
    Some(finding)
}

/// The outcomes that have to be seen and that no schedule has; `seen` are the numbers of those that were.
pub(super) fn never_seen(plan: &TrialPlan, seen: impl Fn(usize) -> bool) -> Vec<Finding> {
    // One schedule has one outcome; which of them were to be seen is asked of all.
    if plan.has_one_order() {
        return Vec::new();
    }
    let outcomes = plan.outcomes().iter().enumerate();
    outcomes
        .filter(|(number, outcome)| !outcome.may && !seen(*number))
        .map(|(_, outcome)| {
            let message = format!("outcome `{}` did not occur", outcome.name);
            let mut finding = Finding::at(outcome.span, message);
            finding.label = "write `may: true`, if it need not occur".to_owned();
            finding
        })
        .collect()
}

/// Judges schedules that have been run, all together.
#[must_use]
pub fn judge_schedules(plan: &TrialPlan, histories: &[History]) -> Verdict {
    let judged: Vec<JudgedSchedule> = histories
        .iter()
        .map(|history| judge_schedule(plan, history))
        .collect();
    let seen = |number: usize| judged.iter().any(|one| one.outcomes.contains(&number));
    let mut findings = never_seen(plan, seen);
    findings.extend(judged.into_iter().flat_map(|one| one.findings));
    if findings.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(findings)
    }
}
