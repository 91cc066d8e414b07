//! Runs the machines of a coordinator, all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::health::Health;
use super::machine::StateMachine;
use super::report::{ConnectionsFailed, FailedConnection, RunError};
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::coordinator::{CoordinationHandle, Coordinator};
use crate::handler::{State, StateHandler};
use crate::history::Status;

/// Handlers by state, each shared by all machines that have it.
pub(super) type ByState = BTreeMap<State, Arc<dyn StateHandler>>;

/// What is to be run.
pub(super) struct RunPlan<'c> {
    pub targets: Vec<(ConnectionConfig, ConnectionOptions)>,
    pub handlers: &'c ByState,
    pub own_handlers: &'c BTreeMap<String, ByState>,
    pub run_max: Option<Duration>,
}

impl RunPlan<'_> {
    fn check(&self) -> Result<(), RunError> {
        if self.targets.is_empty() {
            return Err(RunError::NoConnections);
        }
        let mut seen = BTreeSet::new();
        for (config, _) in &self.targets {
            if !seen.insert(&config.id) {
                let id = config.id.clone();
                return Err(RunError::SameName { id });
            }
        }
        match self.own_handlers.keys().find(|id| !seen.contains(id)) {
            Some(id) => Err(RunError::NoSuchConnection { id: id.clone() }),
            None => Ok(()),
        }
    }

    fn machine(
        &self,
        (config, options): &(ConnectionConfig, ConnectionOptions),
        handle: CoordinationHandle,
    ) -> StateMachine {
        let mut machine = StateMachine::new();
        let none = ByState::new();
        let own = self.own_handlers.get(&config.id).unwrap_or(&none);
        for (state, handler) in self.handlers.iter().chain(own) {
            machine.register_shared(state.clone(), Arc::clone(handler));
        }
        machine.connect_to(config.clone(), options.clone());
        machine.coordinate_by(handle);
        if let Some(run_max) = self.run_max {
            machine.within(run_max);
        }
        machine
    }
}

/// Runs a machine for each connection, and waits for all of them.
pub(super) async fn run(coordinator: &Arc<Coordinator>, plan: &RunPlan<'_>) -> Result<(), RunError> {
    plan.check()?;
    coordinator.begin_run();
    let health = Health::watch(coordinator, &plan.targets);
    // Dropped, it ends its tasks.
    let mut tasks = JoinSet::new();
    let mut numbers = BTreeMap::new();
    for (number, target) in plan.targets.iter().enumerate() {
        let handle = CoordinationHandle::new(Arc::clone(coordinator), number);
        let machine = plan.machine(target, handle);
        // What became of it, the coordinator knows.
        let task = tasks.spawn(async move { drop(machine.run().await) });
        numbers.insert(task.id(), number);
    }
    while let Some(ended) = tasks.join_next().await {
        // Handlers' panics are caught within; this is one of ours.
        if let Err(error) = ended
            && let Some(number) = numbers.get(&error.id())
        {
            let reason = format!("its machine did not end: {error}");
            coordinator.end(*number, Some(reason));
        }
    }
    health.end().await;
    outcome(coordinator)
}

fn outcome(coordinator: &Coordinator) -> Result<(), RunError> {
    let state = coordinator.snapshot();
    let failed = state.connections.iter();
    let failed: Vec<FailedConnection> = failed
        .filter(|connection| connection.status != Status::Completed)
        .map(|connection| FailedConnection {
            id: connection.name.clone(),
            state: connection.state().map(str::to_owned),
            reason: connection
                .failure
                .clone()
                .unwrap_or_else(|| "it did not end".to_owned()),
        })
        .collect();
    let connections = state.connections.len();
    coordinator.all_ended(connections - failed.len(), failed.len());
    if failed.is_empty() {
        Ok(())
    } else {
        Err(ConnectionsFailed { failed, connections }.into())
    }
}
