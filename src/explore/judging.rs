//! Judges orders by what the file says of them. Pure, so that histories can be judged anew.

use std::collections::BTreeSet;

use super::Came;
use crate::history::History;
use crate::plan::{OrderChoice, OrdersPlan, TrialPlan};
use crate::verdict::{Finding, Verdict, judge, outcome as fits_outcome};

/// Of so many outcomes it is said why an order is none of them.
const NAMES_MAX: usize = 6;

/// One order by what the file says.
#[derive(Debug)]
pub struct JudgedOrder {
    /// The outcomes that it came to, by their numbers.
    pub outcomes: Vec<usize>,
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// Why it is none of the outcomes, where that is all that is wrong.
    pub(super) misfits: Option<Misfits>,
}

/// For each outcome what does not hold of it: the places in the file, and what was there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfits(Vec<BTreeSet<(usize, String)>>);

impl Misfits {
    /// Of a history that is none of the outcomes; nothing for one that is, or where the file names none.
    pub(super) fn of(plan: &TrialPlan, history: &History) -> Option<Self> {
        let all: Vec<BTreeSet<(usize, String)>> = (0..plan.outcomes.len())
            .map(|number| {
                let findings = fits_outcome(plan, number, history).into_iter();
                let told = findings.map(|one| (one.span.start, format!("{}{:?}", one.message, one.detail)));
                told.collect()
            })
            .collect();
        (!all.is_empty() && all.iter().all(|misfits| !misfits.is_empty())).then_some(Self(all))
    }

    /// Whether each outcome is missed in one of the same ways. That a step was left out is none of them.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(one, other)| !one.is_disjoint(other))
    }
}

/// Judges one order; `tables` are the tables' names, in the order of their numbers.
#[must_use]
pub fn judge_order(plan: &TrialPlan, tables: &[String], history: &History) -> JudgedOrder {
    let mut findings = match judge(plan, history) {
        Verdict::Passed => Vec::new(),
        Verdict::Failed(findings) => findings,
    };
    let outcomes: Vec<usize> = (0..plan.outcomes.len())
        .filter(|number| fits_outcome(plan, *number, history).is_empty())
        .collect();
    let misfits = Misfits::of(plan, history).filter(|_| findings.is_empty());
    if let (true, Some(orders), [first, ..]) = (findings.is_empty(), &plan.orders, outcomes.as_slice()) {
        findings.extend(another_outcome(plan, orders, *first, &outcomes, history));
    }
    match (outcomes.as_slice(), &plan.orders) {
        ([], Some(orders)) if misfits.is_some() => {
            let mut finding = Finding::at(orders.span, "an outcome that no name fits");
            finding.label = "not among `outcomes`".to_owned();
            let facts = Came::of(plan, tables, history).facts();
            let facts = facts.into_iter().map(|(what, how)| format!("  {what}: {how}"));
            let mut lines: Vec<String> = facts.collect();
            for (number, outcome) in plan.outcomes.iter().enumerate().take(NAMES_MAX) {
                let misfits = fits_outcome(plan, number, history);
                if let Some(first) = misfits.first() {
                    lines.push(format!("  not `{}`: {}", outcome.name, first.message));
                }
            }
            finding.detail = Some(lines.join("\n"));
            findings.push(finding);
        }
        ([first, second, ..], _) => {
            let (one, other) = (&plan.outcomes[*first], &plan.outcomes[*second]);
            let message = format!(
                "an order that fits two outcomes, `{}` and `{}`",
                one.name, other.name
            );
            let mut finding = Finding::at(other.span, message);
            finding.also.push((one.span, "fits, too".to_owned()));
            findings.push(finding);
        }
        _ => {}
    }
    JudgedOrder {
        outcomes,
        findings,
        misfits,
    }
}

/// That an order came to another outcome than the list says of it.
fn another_outcome(
    plan: &TrialPlan,
    orders: &OrdersPlan,
    got: usize,
    names: &[usize],
    history: &History,
) -> Option<Finding> {
    let (_, span) = orders.outcomes.first()?;
    let wanted: Vec<usize> = orders.outcomes.iter().map(|(number, _)| *number).collect();
    if wanted.iter().any(|wanted| names.contains(wanted)) {
        return None;
    }
    let name = |number: usize| {
        plan.outcomes
            .get(number)
            .map_or("?", |outcome| outcome.name.as_str())
    };
    let quoted: Vec<String> = wanted
        .iter()
        .map(|wanted| format!("`{}`", name(*wanted)))
        .collect();
    let message = format!(
        "this order came to `{}`, not to {}",
        name(got),
        quoted.join(" or ")
    );
    let mut finding = Finding::at(*span, message);
    finding.label = "not this one".to_owned();
    if let Some(outcome) = plan.outcomes.get(got) {
        finding.also.push((outcome.span, "but this".to_owned()));
    }
    let misfits = wanted.iter().filter_map(|wanted| {
        let first = fits_outcome(plan, *wanted, history).into_iter().next()?;
        Some(format!("  not `{}`: {}", name(*wanted), first.message))
    });
    finding.detail = Some(misfits.collect::<Vec<_>>().join("\n"));
    Some(finding)
}

/// The outcomes that have to be seen and that no order came to; `seen` are the numbers of those that were.
pub(super) fn never_seen(plan: &TrialPlan, seen: impl Fn(usize) -> bool) -> Vec<Finding> {
    let choice = plan.orders.as_ref().map(|orders| &orders.choice);
    // One order has one outcome; which of them were to be seen is asked of all.
    if matches!(choice, Some(OrderChoice::One(_))) {
        return Vec::new();
    }
    let outcomes = plan.outcomes.iter().enumerate();
    outcomes
        .filter(|(number, outcome)| !outcome.may && !seen(*number))
        .map(|(_, outcome)| {
            let message = format!("outcome `{}` was never seen", outcome.name);
            let mut finding = Finding::at(outcome.span, message);
            finding.label = "write `may: true`, if it need not be".to_owned();
            finding
        })
        .collect()
}

/// Judges orders that have been run, all together.
#[must_use]
pub fn judge_orders(plan: &TrialPlan, tables: &[String], histories: &[History]) -> Verdict {
    let judged: Vec<JudgedOrder> = histories
        .iter()
        .map(|history| judge_order(plan, tables, history))
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
