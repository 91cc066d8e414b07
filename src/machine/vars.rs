//! The variables as one connection sees them.

use crate::coordinator::Coordinator;
use crate::history::{SqlValue, Vars};
use crate::plan::TrialPlan;

/// The variables that a connection's texts may name, or those of whoever is no connection.
pub(crate) fn vars_of(plan: &TrialPlan, coordinator: &Coordinator, connection: Option<usize>) -> Vars {
    let mut vars = coordinator.vars_of(connection);
    if let Some(own) = connection.and_then(|number| plan.connections.get(number)) {
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
    }
    vars
}
