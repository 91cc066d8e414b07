//! Failures of a trial that was run in many schedules.

use super::command::order_flags;
use super::finding::rendered;
use super::outcomes::table;
use super::timeline::{TimelineShow, timeline_shown};
use crate::explore::{Explored, FailingSchedule, Shrunk};
use crate::plan::{ChosenOrder, TrialPlan, step_name};
use crate::source::RenderStyle;

/// The parts of the text: what holds of no single schedule, each schedule that fails, and all outcomes. `repeat` is the
/// command that runs the trial again.
pub(super) fn parts(
    plan: &TrialPlan,
    repeat: &str,
    explored: &Explored,
    how: &TimelineShow,
    style: RenderStyle,
) -> Vec<String> {
    let mut parts: Vec<String> = explored
        .findings
        .iter()
        .map(|finding| rendered(plan, finding, style))
        .collect();
    for (number, failing) in explored.failing.iter().enumerate() {
        let order = plan.order_in_words(&failing.schedule);
        parts.push(format!("in the interleaving {order}:"));
        parts.extend(
            failing
                .findings
                .iter()
                .map(|finding| rendered(plan, finding, style)),
        );
        // The story of one is enough to begin with; the others have their commands.
        if number == 0 {
            parts.push(timeline_shown(plan, &failing.history, how));
        }
        parts.extend(
            failing
                .shrunk
                .as_ref()
                .map(|shrunk| smaller(plan, failing, shrunk, repeat)),
        );
        if !plan.has_one_order() {
            let flags = order_flags(&chosen(plan, &failing.schedule, &[]));
            parts.push(format!("run this interleaving again: {repeat}{flags}"));
        }
    }
    if explored.failed > explored.failing.len() {
        parts.push(match explored.failed - explored.failing.len() {
            1 => "1 more interleaving fails".to_owned(),
            more => format!("{more} more interleavings fail"),
        });
    }
    if !plan.has_one_order() {
        parts.push(table(plan, explored));
    }
    parts
}

/// A smaller schedule, as a script.
fn smaller(plan: &TrialPlan, failing: &FailingSchedule, shrunk: &Shrunk, repeat: &str) -> String {
    let mut at: Vec<usize> = plan.connections.iter().map(|own| own.states.start).collect();
    let mut lines = Vec::new();
    for pick in &shrunk.schedule {
        while shrunk.without.contains(&at[*pick]) {
            at[*pick] += 1;
        }
        let step = plan.steps.get(at[*pick]);
        at[*pick] += 1;
        let Some(step) = step else { continue };
        let name = plan.connections.get(*pick).map_or("?", |own| own.name.as_str());
        lines.push(format!("  - {name}: {}", plan.describe(step)));
    }
    let fewer = failing.schedule.len() - shrunk.schedule.len();
    let what = match fewer {
        0 => "with fewer changes of connection".to_owned(),
        1 => "with 1 fewer step".to_owned(),
        fewer => format!("with {fewer} fewer steps"),
    };
    let flags = order_flags(&chosen(plan, &shrunk.schedule, &shrunk.without));
    format!(
        "it also fails {what} ({} smaller interleavings were tried):\n{}\nrun the smaller one: {repeat}{flags}",
        shrunk.tried,
        lines.join("\n")
    )
}

/// An order that happened, as the command line takes it.
fn chosen(plan: &TrialPlan, happened: &[usize], without: &[usize]) -> ChosenOrder {
    let names = without
        .iter()
        .map(|step| step_name(*step, &plan.connections, &plan.steps));
    ChosenOrder {
        order: plan.order_in_words(&plan.whole_order(happened, without)),
        without: names.collect::<Vec<_>>().join(" "),
    }
}

/// The outcomes; of a single schedule, what happened in it, too.
#[must_use]
pub fn of_passed(plan: &TrialPlan, explored: &Explored, how: &TimelineShow) -> String {
    let text = table(plan, explored);
    match explored.histories.first() {
        Some(history) if plan.has_one_order() => format!("{}\n\n{text}", timeline_shown(plan, history, how)),
        _ => text,
    }
}

/// The flags that run the simplest order of the first outcome, each with a space before it.
#[must_use]
pub fn flags_of_first(plan: &TrialPlan, explored: &Explored) -> Option<String> {
    let class = explored.outcomes.first()?;
    Some(order_flags(&chosen(plan, &class.schedule, &[])))
}
