//! What a trial may change of the run's server beyond its own databases.

use std::collections::BTreeSet;

use crate::plan::TrialPlan;
use crate::server_state::Scope;

/// Variables that the server keeps under two names.
const ALIASES: [(&str, &str); 2] = [
    ("transaction_isolation", "tx_isolation"),
    ("transaction_read_only", "tx_read_only"),
];

/// What is to be set back after a trial; `None` where it changes nothing, or does not run alone.
pub(crate) fn server_scope(plan: &TrialPlan) -> Option<Scope> {
    let changes = &plan.server_changes;
    if !plan.runs_alone() || changes.is_empty() {
        return None;
    }
    let unnamed = changes.unnamed || changes.unknown.is_some();
    let mut variables: BTreeSet<String> = changes.globals.keys().cloned().collect();
    for (one, other) in ALIASES {
        if variables.contains(one) || variables.contains(other) {
            variables.extend([one.to_owned(), other.to_owned()]);
        }
    }
    Some(Scope {
        variables: (!unnamed).then_some(variables),
        objects: changes.objects || changes.unknown.is_some(),
        databases: changes.databases.clone(),
        names: (!unnamed).then(|| changes.names.clone()),
    })
}
