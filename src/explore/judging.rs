//! Judges orders by what the file says of them. Pure, so that histories can be judged anew.

use super::Came;
use crate::history::History;
use crate::plan::{OrderChoice, TrialPlan};
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
    match (outcomes.as_slice(), &plan.orders) {
        ([], Some(orders)) if findings.is_empty() && !plan.outcomes.is_empty() => {
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
    JudgedOrder { outcomes, findings }
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
