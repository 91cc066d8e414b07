//! Runs the machines of a coordinator, all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::machine::{StateMachine, ready_handlers};
use super::message::{COORDINATOR, Message};
use super::shared::Shared;
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::handler::{State, StateHandler};
use crate::history::Status;

/// Why a run was not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing ran: there is no connection, and a test of nothing must not pass.
    #[error("no connection was added")]
    NoConnections,
    /// Nothing ran: two connections have one name.
    #[error("two connections are named `{id}`")]
    SameName {
        /// The name.
        id: String,
    },
    /// Nothing ran: something was given for a connection that is not there.
    #[error("there is no connection `{id}`, for which a handler was registered")]
    NoSuchConnection {
        /// The name.
        id: String,
    },
    /// Some connections failed. The results of the others are there.
    #[error(transparent)]
    Failed(#[from] ConnectionsFailed),
}

/// Every connection that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionsFailed {
    /// Those that failed, in the order in which they were added; at least one.
    pub failed: Vec<FailedConnection>,
    /// How many there are in all.
    pub connections: usize,
}

/// A connection that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedConnection {
    /// Its name.
    pub id: String,
    /// The state in which it failed, if it had come to one.
    pub state: Option<String>,
    /// Why.
    pub reason: String,
}

impl std::error::Error for ConnectionsFailed {}

impl fmt::Display for ConnectionsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} connections failed: ",
            self.failed.len(),
            self.connections
        )?;
        for (at, failed) in self.failed.iter().enumerate() {
            let FailedConnection { id, state, reason } = failed;
            if at > 0 {
                f.write_str("; ")?;
            }
            match state {
                Some(state) => write!(f, "`{id}` in state `{state}`: {reason}")?,
                None => write!(f, "`{id}`: {reason}")?,
            }
        }
        Ok(())
    }
}

/// Handlers by state, each shared by all machines that have it.
type ByState = BTreeMap<State, Arc<dyn StateHandler>>;

/// What a coordinator knows of its connections beside their configurations.
pub(super) struct Group {
    pub shared: Arc<Shared>,
    options: BTreeMap<String, ConnectionOptions>,
    handlers: ByState,
    own_handlers: BTreeMap<String, ByState>,
    run_max: Option<Duration>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("options", &self.options)
            .field("handlers", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

impl Group {
    pub fn new() -> Self {
        Self {
            shared: Shared::new(),
            options: BTreeMap::new(),
            handlers: ready_handlers(),
            own_handlers: BTreeMap::new(),
            run_max: None,
        }
    }

    pub fn add(&mut self, id: &str, options: ConnectionOptions) {
        self.shared.add(id);
        self.options.insert(id.to_owned(), options);
    }

    pub fn register(&mut self, state: State, handler: Box<dyn StateHandler>) {
        self.handlers.insert(state, Arc::from(handler));
    }

    pub fn register_for(&mut self, id: &str, state: State, handler: Box<dyn StateHandler>) {
        let own = self.own_handlers.entry(id.to_owned()).or_default();
        own.insert(state, Arc::from(handler));
    }

    pub fn within(&mut self, run_max: Duration) {
        self.run_max = Some(run_max);
    }

    fn machine(&self, number: usize, config: &ConnectionConfig) -> StateMachine {
        let mut machine = StateMachine::new();
        let none = ByState::new();
        let own = self.own_handlers.get(&config.id).unwrap_or(&none);
        for (state, handler) in self.handlers.iter().chain(own) {
            machine.register_shared(state.clone(), Arc::clone(handler));
        }
        let options = self.options.get(&config.id).cloned().unwrap_or_default();
        machine.connect_to(config.clone(), options);
        machine.coordinate_by(self.shared.seat(number));
        machine.stop_by(self.shared.stop_signal());
        if let Some(run_max) = self.run_max {
            machine.within(run_max);
        }
        let shared = Arc::clone(&self.shared);
        machine.observe(move |event| shared.machine_event(number, &event));
        machine
    }

    fn check(&self, connections: &[ConnectionConfig]) -> Result<(), RunError> {
        if connections.is_empty() {
            return Err(RunError::NoConnections);
        }
        let mut seen = BTreeSet::new();
        for connection in connections {
            if !seen.insert(&connection.id) {
                let id = connection.id.clone();
                return Err(RunError::SameName { id });
            }
        }
        match self.own_handlers.keys().find(|id| !seen.contains(id)) {
            Some(id) => Err(RunError::NoSuchConnection { id: id.clone() }),
            None => Ok(()),
        }
    }

    /// Runs a machine for each connection, and waits for all of them.
    pub async fn run(&self, connections: &[ConnectionConfig]) -> Result<(), RunError> {
        self.check(connections)?;
        self.shared.begin();
        // Dropped, it ends its tasks.
        let mut tasks = JoinSet::new();
        let mut numbers = BTreeMap::new();
        for (number, config) in connections.iter().enumerate() {
            let machine = self.machine(number, config);
            let shared = Arc::clone(&self.shared);
            let task = tasks.spawn(async move {
                let result = machine.run().await;
                shared.ended(number, &result);
            });
            numbers.insert(task.id(), number);
        }
        while let Some(ended) = tasks.join_next().await {
            // Handlers' panics are caught within; this is one of ours.
            if let Err(error) = ended
                && let Some(number) = numbers.get(&error.id())
            {
                let reason = format!("its machine did not end: {error}");
                self.shared.failed(*number, reason, self.shared.elapsed());
            }
        }
        self.outcome()
    }

    fn outcome(&self) -> Result<(), RunError> {
        let state = self.shared.lock();
        let failed: Vec<FailedConnection> = state
            .connections
            .iter()
            .filter(|connection| connection.status != Status::Completed)
            .map(|connection| FailedConnection {
                id: connection.id.clone(),
                state: connection.states.last().cloned(),
                reason: connection
                    .failure
                    .clone()
                    .unwrap_or_else(|| "it did not end".to_owned()),
            })
            .collect();
        let connections = state.connections.len();
        let ended = Message::AllEnded {
            completed: connections - failed.len(),
            failed: failed.len(),
        };
        self.shared.bus.publish(COORDINATOR, &ended);
        if failed.is_empty() {
            Ok(())
        } else {
            Err(ConnectionsFailed { failed, connections }.into())
        }
    }
}
