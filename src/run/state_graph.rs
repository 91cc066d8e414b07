//! What each state of concurrent connections may do for others, for the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::Effects;
use crate::coordinator::waits::graph::{StateGraph, StateNode};
use crate::plan::TrialPlan;

/// The graph of a plan's states.
pub(super) fn of(plan: &TrialPlan) -> StateGraph {
    let mut states = Vec::new();
    let mut rounds: BTreeMap<(usize, usize), Arc<Effects>> = BTreeMap::new();
    states.resize_with(plan.steps.len(), StateNode::default);
    let mut of_connections = Vec::new();
    for own in &plan.connections {
        let range = (own.states.start, own.states.end);
        let round = rounds.entry(range).or_insert_with(|| {
            let after = plan.effects_after(&own.states);
            let mut whole = Effects::default();
            for (number, after) in own.states.clone().zip(&after) {
                let Some(step) = plan.steps.get(number) else {
                    continue;
                };
                let mut effects_from = step.effects();
                effects_from.union(after);
                whole.union(&effects_from);
                whole.states.insert(number);
                let effects_past_barrier = Effects {
                    // Its own barrier may be reached again, where a later state leads back.
                    barriers: after.barriers.clone(),
                    ..effects_from.clone()
                };
                states[number] = StateNode {
                    name: step.state.clone(),
                    line: Some(plan.file.place(step.span.start).line),
                    effects_from: Arc::new(effects_from),
                    effects_past_barrier: Arc::new(effects_past_barrier),
                };
            }
            Arc::new(whole)
        });
        of_connections.push(Arc::clone(round));
    }
    let barriers = plan.barriers().iter();
    StateGraph {
        states,
        rounds: of_connections,
        barriers: barriers.map(|one| (one.name.clone(), one.parties)).collect(),
    }
}
