//! How steps are named.

use super::{ConnectionPlan, Step};

/// A step as outcomes and reports name it: `alice.update`, and `alice.update.2` for the second of that name.
#[must_use]
pub fn step_name(number: usize, connections: &[ConnectionPlan], steps: &[Step]) -> String {
    let Some(step) = steps.get(number) else {
        return "?".to_owned();
    };
    let own = connections.get(step.connection);
    let before = steps
        .iter()
        .take(number)
        .filter(|other| other.connection == step.connection && other.state == step.state)
        .count();
    let name = own.map_or("?", |own| own.name.as_str());
    match before {
        0 => format!("{name}.{}", step.state),
        before => format!("{name}.{}.{}", step.state, before + 1),
    }
}
