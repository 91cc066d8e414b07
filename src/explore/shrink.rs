//! Looks for a smaller schedule that fails as well, by delta debugging: fewer connections, fewer steps, fewer changes of
//! connection.

use std::time::Instant;

use super::explored::{FailingSchedule, Shrunk, switches};
use super::judging::Mismatches;
use super::replay::ReplayScheduler;
use super::sandbox::Sandbox;
use crate::plan::TrialPlan;
use crate::sql::classify;
use crate::verdict::{Finding, Verdict, judge};

/// What did not hold: the place in the file, and what is said of it without its times. A smaller schedule fails in the same
/// way if one of these comes again.
fn ways(findings: &[Finding]) -> Vec<(usize, String)> {
    let way = |finding: &Finding| (finding.span.start, timeless(&finding.message));
    findings.iter().map(way).collect()
}

/// A message without how many milliseconds something took.
fn timeless(message: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for word in message.split(' ') {
        let unit = word.trim_end_matches([',', ')', ':']);
        if unit == "ms"
            && kept
                .last()
                .is_some_and(|last| last.trim_start_matches('(').parse::<f64>().is_ok())
        {
            kept.pop();
        }
        kept.push(word);
    }
    kept.join(" ")
}

/// Looks until this moment. `None`, where nothing smaller was found.
pub(super) async fn shrink(
    plan: &TrialPlan,
    sandbox: &mut Sandbox,
    failing: &FailingSchedule,
    until: Instant,
) -> Option<Shrunk> {
    let wanted = ways(&failing.findings);
    let mut found = Shrunk {
        schedule: failing.schedule.clone(),
        without: Vec::new(),
        tried: 0,
    };
    let mut look = Look {
        plan,
        sandbox,
        wanted,
        mismatches: failing.mismatches.as_ref(),
        until,
    };
    // Whole connections first, then single steps, then changes of connection.
    for connection in 0..plan.connections.len() {
        let own = plan.connections[connection].states.clone();
        look.without(&mut found, &own.collect::<Vec<_>>()).await;
    }
    for step in (0..plan.steps.len()).rev() {
        // Without the end of its transaction a connection holds its locks until the limit of the step that waits.
        if !found.without.contains(&step) && !ends_transaction(plan, step) {
            look.without(&mut found, &[step]).await;
        }
    }
    let mut better = true;
    while better {
        better = false;
        for at in 0..found.schedule.len().saturating_sub(1) {
            let mut order = found.schedule.clone();
            if order[at] == order[at + 1] {
                continue;
            }
            order.swap(at, at + 1);
            if switches(&order) < switches(&found.schedule) && look.fails(&mut found, &order, None).await {
                better = true;
            }
        }
    }
    let shorter = found.schedule.len() < failing.schedule.len()
        || switches(&found.schedule) < switches(&failing.schedule);
    shorter.then_some(found)
}

fn ends_transaction(plan: &TrialPlan, step: usize) -> bool {
    let statements = plan.steps.get(step).map(|step| step.action.statements());
    let mut statements = statements.unwrap_or_default().iter();
    statements.any(|one| classify(one.text.source()).ends_transaction())
}

struct Look<'l> {
    plan: &'l TrialPlan,
    sandbox: &'l mut Sandbox,
    wanted: Vec<(usize, String)>,
    mismatches: Option<&'l Mismatches>,
    until: Instant,
}

impl Look<'_> {
    /// Leaves out these steps, if it fails without them as well; but not where it fails without any concurrency,
    /// since then it is the missing step that is wrong.
    async fn without(&mut self, found: &mut Shrunk, steps: &[usize]) {
        let mut without = found.without.clone();
        without.extend(steps);
        let mut at: Vec<usize> = self.plan.connections.iter().map(|own| own.states.start).collect();
        // The order without those steps, by which step each of its picks is.
        let mut order = Vec::new();
        let mut skipped = found.without.clone();
        skipped.sort_unstable();
        for pick in &found.schedule {
            while skipped.contains(&at[*pick]) {
                at[*pick] += 1;
            }
            if !without.contains(&at[*pick]) {
                order.push(*pick);
            }
            at[*pick] += 1;
        }
        if order.len() == found.schedule.len() || order.is_empty() {
            return;
        }
        let mut serial = order.clone();
        serial.sort_unstable();
        let fails_alone = match self.run(found, &serial, &without).await {
            Some(fails) => fails,
            None => return,
        };
        if !fails_alone {
            self.fails(found, &order, Some(without)).await;
        }
    }

    async fn fails(&mut self, found: &mut Shrunk, order: &[usize], without: Option<Vec<usize>>) -> bool {
        let without = without.unwrap_or_else(|| found.without.clone());
        if self.run(found, order, &without).await != Some(true) {
            return false;
        }
        found.schedule = order.to_vec();
        found.without = without;
        true
    }

    /// What does not hold of one schedule, and why it is no outcome.
    async fn once(
        &mut self,
        order: &[usize],
        without: &[usize],
    ) -> Option<(Vec<Finding>, Option<Mismatches>)> {
        let mut scheduler = ReplayScheduler::new(order);
        let execution = self.sandbox.run(&mut scheduler, without).await.ok()?;
        let findings = match judge(self.plan, &execution.history) {
            Verdict::Passed => Vec::new(),
            Verdict::Failed(findings) => findings,
        };
        Some((findings, Mismatches::of(self.plan, &execution.history)))
    }

    /// Whether it fails in this order; `None` when time is up.
    async fn run(&mut self, found: &mut Shrunk, order: &[usize], without: &[usize]) -> Option<bool> {
        if Instant::now() >= self.until {
            return None;
        }
        found.tried += 1;
        let (findings, mismatches) = self.once(order, without).await?;
        let again = ways(&findings).iter().any(|way| self.wanted.contains(way));
        let mismatches = self.mismatches.zip(mismatches.as_ref());
        Some(again || mismatches.is_some_and(|(wanted, got)| wanted.are_those_of(got)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_the_same_whenever_it_comes() {
        let message =
            |ms: &str| format!("bob: expected to be blocked, but it returned after {ms} ms with 1 row");
        assert_eq!(timeless(&message("1.2")), timeless(&message("30.0")));
        assert_ne!(timeless("expected 1, got 2"), timeless("expected 1, got 3"));
        assert_eq!(timeless("it took 3 ms, and 4 rows"), "it took ms, and 4 rows");
    }
}
