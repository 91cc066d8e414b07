//! Looks for a shorter story that fails as well: fewer connections, fewer steps, fewer changes of connection.

use std::time::Instant;

use super::judging::Misfits;
use super::{FailingOrder, Given, once, switches};
use crate::plan::{Action, TrialPlan};
use crate::run::Stage;
use crate::sql::classify;

/// A shorter order that fails in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The connections by their numbers.
    pub order: Vec<usize>,
    /// Steps that are left out.
    pub without: Vec<usize>,
    /// How many shorter ones were tried.
    pub tried: usize,
}

/// The places in the file at which something did not hold: a shorter story fails as well if one of them fails
/// again.
fn places(failing: &FailingOrder) -> Vec<usize> {
    failing
        .findings
        .iter()
        .map(|finding| finding.span.start)
        .collect()
}

/// Looks until this moment. `None`, where nothing shorter was found.
pub(super) async fn shrink(
    plan: &TrialPlan,
    stage: &mut Stage,
    failing: &FailingOrder,
    until: Instant,
) -> Option<Shrunk> {
    let places = places(failing);
    let mut found = Shrunk {
        order: failing.order.clone(),
        without: Vec::new(),
        tried: 0,
    };
    let mut look = Look {
        plan,
        stage,
        places,
        misfits: failing.misfits.as_ref(),
        until,
    };
    // Whole connections first, then single steps, then changes of connection.
    for connection in 0..plan.connections.len() {
        let own = plan.connections[connection].states.clone();
        look.without(&mut found, &own.collect::<Vec<_>>()).await;
    }
    for step in (0..plan.steps.len()).rev() {
        // Without the end of its transaction a connection holds its locks until the limit of whoever waits.
        if !found.without.contains(&step) && !ends_transaction(plan, step) {
            look.without(&mut found, &[step]).await;
        }
    }
    let mut better = true;
    while better {
        better = false;
        for at in 0..found.order.len().saturating_sub(1) {
            let mut order = found.order.clone();
            if order[at] == order[at + 1] {
                continue;
            }
            order.swap(at, at + 1);
            if switches(&order) < switches(&found.order) && look.fails(&mut found, &order, None).await {
                better = true;
            }
        }
    }
    let shorter =
        found.order.len() < failing.order.len() || switches(&found.order) < switches(&failing.order);
    shorter.then_some(found)
}

fn ends_transaction(plan: &TrialPlan, step: usize) -> bool {
    match plan.steps.get(step).map(|step| &step.action) {
        Some(Action::Sql(statements)) => statements
            .iter()
            .any(|one| classify(one.text.source()).ends_transaction()),
        _ => false,
    }
}

struct Look<'l> {
    plan: &'l TrialPlan,
    stage: &'l mut Stage,
    places: Vec<usize>,
    misfits: Option<&'l Misfits>,
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
        for pick in &found.order {
            while skipped.contains(&at[*pick]) {
                at[*pick] += 1;
            }
            if !without.contains(&at[*pick]) {
                order.push(*pick);
            }
            at[*pick] += 1;
        }
        if order.len() == found.order.len() || order.is_empty() {
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
        found.order = order.to_vec();
        found.without = without;
        true
    }

    /// Whether it fails in this order; `None` when time is up.
    async fn run(&mut self, found: &mut Shrunk, order: &[usize], without: &[usize]) -> Option<bool> {
        if Instant::now() >= self.until {
            return None;
        }
        found.tried += 1;
        let (findings, misfits) = once(self.plan, self.stage, &mut Given::new(order), without).await?;
        let at_same_place = findings
            .iter()
            .any(|finding| self.places.contains(&finding.span.start));
        let misfits = self.misfits.zip(misfits.as_ref());
        Some(at_same_place || misfits.is_some_and(|(wanted, got)| wanted.are_those_of(got)))
    }
}
