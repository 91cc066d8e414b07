//! What there is to judge at the end.

use crate::history::{History, Vars};
use crate::plan::TrialPlan;

/// A history, with its variables by the names that final expectations have for them.
pub(super) struct AtEnd<'h> {
    pub history: &'h History,
    pub vars: Vars,
}

impl<'h> AtEnd<'h> {
    pub fn of(plan: &TrialPlan, history: &'h History) -> Self {
        Self {
            history,
            vars: plan.owners.view_of_history(&history.vars),
        }
    }
}
