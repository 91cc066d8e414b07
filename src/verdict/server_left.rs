//! What a trial left of the whole server that is not as it was before.

use super::Finding;
use crate::history::ServerLeft;
use crate::plan::TrialPlan;
use crate::source::Span;

/// Each at the statement that has to do with it.
pub fn server_left(plan: &TrialPlan, left: &[ServerLeft]) -> Vec<Finding> {
    let changes = &plan.server_changes;
    let found = left.iter().map(|one| {
        let named = one.variable.as_ref().and_then(|name| changes.globals.get(name));
        let first = plan.setup.iter().map(|one| one.span);
        let first = first.chain(plan.steps.iter().map(|step| step.span)).next();
        let span = named.copied().or(changes.first).or(changes.unknown).or(first);
        let mut finding = Finding::at(span.unwrap_or(Span::new(0, 0)), one.message.clone());
        finding.label.clone_from(&one.reason);
        finding
    });
    found.collect()
}
