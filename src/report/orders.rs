//! Failures of a trial that was run in many orders.

use super::{Failure, rendered, timeline};
use crate::explore::{Explored, FailingOrder, Shrunk, order_in_words, table};
use crate::plan::TrialPlan;
use crate::source::RenderStyle;

/// The parts of the text: what holds of no single order, each order that fails, and all outcomes.
pub(super) fn parts(failure: &Failure<'_>, explored: &Explored, style: RenderStyle) -> Vec<String> {
    let plan = failure.plan;
    let mut parts: Vec<String> = explored
        .findings
        .iter()
        .map(|finding| rendered(plan, finding, style))
        .collect();
    for (number, failing) in explored.failing.iter().enumerate() {
        let order = order_in_words(plan, &failing.order);
        parts.push(format!("in the order {order}:"));
        parts.extend(
            failing
                .findings
                .iter()
                .map(|finding| rendered(plan, finding, style)),
        );
        // The story of one is enough to begin with; the others have their commands.
        if number == 0 {
            parts.push(timeline(plan, &failing.history));
        }
        parts.extend(
            failing
                .shrunk
                .as_ref()
                .map(|shrunk| shorter(plan, failing, shrunk)),
        );
        if !plan.has_one_order() {
            let quoted = format!("'{order}'");
            parts.push(format!("this order again: {} --order {quoted}", failure.repeat));
        }
    }
    if explored.failed > explored.failing.len() {
        parts.push(match explored.failed - explored.failing.len() {
            1 => "1 more order fails, in the same way or another".to_owned(),
            more => format!("{more} more orders fail, in the same ways or others"),
        });
    }
    if !plan.has_one_order() {
        parts.push(table(plan, explored));
    }
    parts
}

/// A shorter story, as a script.
fn shorter(plan: &TrialPlan, failing: &FailingOrder, shrunk: &Shrunk) -> String {
    let mut at: Vec<usize> = plan.connections.iter().map(|own| own.states.start).collect();
    let mut lines = Vec::new();
    for pick in &shrunk.order {
        while shrunk.without.contains(&at[*pick]) {
            at[*pick] += 1;
        }
        let step = plan.steps.get(at[*pick]);
        at[*pick] += 1;
        let Some(step) = step else { continue };
        let name = plan.connections.get(*pick).map_or("?", |own| own.name.as_str());
        lines.push(format!("  - {name}: {}", plan.describe(step)));
    }
    let fewer = failing.order.len() - shrunk.order.len();
    let what = match fewer {
        0 => "with fewer changes of connection".to_owned(),
        1 => "with 1 step fewer".to_owned(),
        fewer => format!("with {fewer} steps fewer"),
    };
    format!(
        "it fails as well {what} ({} were tried):\n{}",
        shrunk.tried,
        lines.join("\n")
    )
}
