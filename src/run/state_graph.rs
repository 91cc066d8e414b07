//! What may come of each state of connections that run at the same time, for the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::Reach;
use crate::coordinator::waits::{Map, Place};
use crate::plan::TrialPlan;

/// The graph of a plan's states.
pub(super) fn of(plan: &TrialPlan) -> Map {
    let mut places = Vec::new();
    let mut rounds: BTreeMap<(usize, usize), Arc<Reach>> = BTreeMap::new();
    places.resize_with(plan.steps.len(), Place::default);
    let mut of_connections = Vec::new();
    for own in &plan.connections {
        let states = (own.states.start, own.states.end);
        let round = rounds.entry(states).or_insert_with(|| {
            let after = plan.reach_after(&own.states);
            let mut whole = Reach::default();
            for (step, after) in own.states.clone().zip(&after) {
                let Some(state) = plan.steps.get(step) else {
                    continue;
                };
                let mut from_here = state.brings();
                from_here.take_in(after);
                whole.take_in(&from_here);
                whole.states.insert(step);
                let past_barrier = Reach {
                    // Its own barrier may be come to again, where a later state leads back.
                    barriers: after.barriers.clone(),
                    ..from_here.clone()
                };
                places[step] = Place {
                    name: state.state.clone(),
                    line: plan.file.place(state.span.start).line,
                    from_here,
                    past_barrier,
                };
            }
            Arc::new(whole)
        });
        of_connections.push(Arc::clone(round));
    }
    let barriers = plan.barriers().iter();
    Map {
        places,
        rounds: of_connections,
        barriers: barriers.map(|one| (one.name.clone(), one.parties)).collect(),
    }
}
