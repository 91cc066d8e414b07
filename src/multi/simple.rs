//! The simple coordinator: machines that run at once and share a state.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::group::{Group, RunError};
use super::{Results, SharedTestState};
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::handler::{State, StateHandler, Variable};

/// Runs a state machine for each of a few connections, all at once, and keeps what became of each.
///
/// Without handlers of one's own a connection is opened, looked at and closed; a handler that is registered for
/// [`State::Testing`] is the test. Handlers reach each other through their context: variables, events, series.
/// One connection's failure ends its own machine only.
///
/// ```no_run
/// use tidb_scenarios::{ConnectionConfig, SimpleMultiConnectionCoordinator};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut coordinator = SimpleMultiConnectionCoordinator::new();
/// coordinator.add_connection(ConnectionConfig {
///     id: "primary".to_string(),
///     host: "tidb-primary.tidbcloud.com".to_string(),
///     port: 4000,
///     username: "user".to_string(),
///     password: "password".to_string(),
///     database: Some("test".to_string()),
/// });
/// coordinator.run_all_connections().await?;
/// coordinator.print_results();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SimpleMultiConnectionCoordinator {
    shared_state: Arc<Mutex<SharedTestState>>,
    connections: Vec<ConnectionConfig>,
    group: Group,
}

impl Default for SimpleMultiConnectionCoordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl SimpleMultiConnectionCoordinator {
    /// A coordinator without connections.
    #[must_use]
    pub fn new() -> Self {
        let group = Group::new();
        Self {
            shared_state: Arc::clone(&group.shared.state),
            connections: Vec::new(),
            group,
        }
    }

    /// Adds a connection with the default options.
    pub fn add_connection(&mut self, config: ConnectionConfig) -> &mut Self {
        self.add_connection_with(config, ConnectionOptions::default())
    }

    /// Adds a connection with options of its own: TLS, session variables, limits, policies.
    pub fn add_connection_with(&mut self, config: ConnectionConfig, options: ConnectionOptions) -> &mut Self {
        self.group.add(&config.id, options);
        self.connections.push(config);
        self
    }

    /// Registers the handler of a state for all connections, in place of the one that it had.
    pub fn register_handler(&mut self, state: State, handler: Box<dyn StateHandler>) -> &mut Self {
        self.group.register(state, handler);
        self
    }

    /// Registers the handler of a state for one connection.
    pub fn register_handler_for(
        &mut self,
        id: &str,
        state: State,
        handler: Box<dyn StateHandler>,
    ) -> &mut Self {
        self.group.register_for(id, state, handler);
        self
    }

    /// Sets a variable that connections share.
    pub fn set(&mut self, name: &str, value: impl Variable) -> &mut Self {
        self.group
            .shared
            .lock()
            .vars
            .insert(name.to_owned(), value.into_value());
        self
    }

    /// Says how long each connection may run in all; 10 minutes otherwise.
    pub fn within(&mut self, run_max: Duration) -> &mut Self {
        self.group.within(run_max);
        self
    }

    /// Runs all connections at once, and waits until each has completed or failed.
    ///
    /// # Errors
    /// [`RunError::Failed`] names every connection that failed; the results of the others are there. The other
    /// errors come before anything runs.
    ///
    /// # Cancellation
    /// Dropping the future ends all machines where they are.
    pub async fn run_all_connections(&mut self) -> Result<(), RunError> {
        self.group.run(&self.connections).await
    }

    /// The state that connections share; while they run, too.
    #[must_use]
    pub fn shared_state(&self) -> Arc<Mutex<SharedTestState>> {
        Arc::clone(&self.shared_state)
    }

    /// What became of the connections, in the order in which they were added.
    #[must_use]
    pub fn results(&self) -> Results {
        Results::new(self.group.shared.lock().clone())
    }

    /// Prints [`Self::results`] to standard output.
    pub fn print_results(&self) {
        self.results().print();
    }
}
