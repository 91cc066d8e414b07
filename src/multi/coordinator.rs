//! The coordinator: machines that run at once, share a state, and tell whoever listens what happens.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::machine::ready_handlers;
use super::member::Member;
use super::report::RunError;
use super::results::Results;
use super::run::{self, ByState, RunPlan};
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::coordinator::{Coordinator, SharedState, Subscription};
use crate::handler::{State, StateHandler, Variable};
use crate::history::History;

/// The same coordinator by the name that it has where nobody needs its messages.
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
pub type SimpleMultiConnectionCoordinator = MultiConnectionCoordinator;

/// Runs a state machine for each connection, all at once, and keeps what became of each.
///
/// Without handlers of one's own a connection is opened, looked at and closed; a handler that is registered for
/// [`State::Testing`] is the test. Handlers reach each other through their context: variables, events, barriers,
/// messages, series. One connection's failure ends its own machine only.
///
/// Everything that happens is also a [`super::Message`]: subscribers get them on bounded channels of their own while
/// the connections run, in one order for all. A message never comes back to its sender. A subscriber that is too slow
/// stalls nobody; it is told how many messages it missed ([`super::Received::Missed`]), and the shared state has what
/// came of them.
///
/// While connections run no statement, it is looked several times a second whether their sessions are still there: one
/// that was killed is told by [`super::Message::SessionLost`] and the event [`super::session_lost`].
///
/// ```no_run
/// use tidb_scenarios::multi::{Message, Received};
/// use tidb_scenarios::{ConnectionConfig, MultiConnectionCoordinator};
///
/// # async fn example(connections: Vec<ConnectionConfig>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut coordinator = MultiConnectionCoordinator::new();
/// for config in connections {
///     coordinator.add_connection(config);
/// }
/// let mut messages = coordinator.subscribe("log", 1_000);
/// let log = tokio::spawn(async move {
///     while let Some(received) = messages.receive().await {
///         match received {
///             Received::Message(envelope) => println!("{}: {:?}", envelope.from, envelope.message),
///             Received::Missed(count) => println!("{count} messages were missed"),
///         }
///     }
/// });
/// let ended = coordinator.run_all_connections().await;
/// coordinator.close();
/// log.await?;
/// Ok(ended?)
/// # }
/// ```
pub struct MultiConnectionCoordinator {
    shared_state: Arc<Mutex<SharedState>>,
    connections: Vec<ConnectionConfig>,
    options: Vec<ConnectionOptions>,
    coordinator: Arc<Coordinator>,
    handlers: ByState,
    own_handlers: BTreeMap<String, ByState>,
    run_max: Option<Duration>,
}

impl fmt::Debug for MultiConnectionCoordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiConnectionCoordinator")
            .field("connections", &self.connections)
            .field("handlers", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

impl Default for MultiConnectionCoordinator {
    fn default() -> Self {
        Self::new()
    }
}

impl MultiConnectionCoordinator {
    /// A coordinator without connections.
    #[must_use]
    pub fn new() -> Self {
        let coordinator = Arc::new(Coordinator::of_handlers());
        Self {
            shared_state: coordinator.shared_state(),
            connections: Vec::new(),
            options: Vec::new(),
            coordinator,
            handlers: ready_handlers(),
            own_handlers: BTreeMap::new(),
            run_max: None,
        }
    }

    /// Adds a connection with the default options.
    pub fn add_connection(&mut self, config: ConnectionConfig) -> &mut Self {
        self.add_connection_with(config, ConnectionOptions::default())
    }

    /// Adds a connection with options of its own: TLS, session variables, limits, policies.
    pub fn add_connection_with(&mut self, config: ConnectionConfig, options: ConnectionOptions) -> &mut Self {
        self.coordinator.add(&config.id);
        self.connections.push(config);
        self.options.push(options);
        self
    }

    /// Registers the handler of a state for all connections, in place of the one that it had.
    pub fn register_handler(&mut self, state: State, handler: Box<dyn StateHandler>) -> &mut Self {
        self.handlers.insert(state, Arc::from(handler));
        self
    }

    /// Registers the handler of a state for one connection.
    pub fn register_handler_for(
        &mut self,
        id: &str,
        state: State,
        handler: Box<dyn StateHandler>,
    ) -> &mut Self {
        let own = self.own_handlers.entry(id.to_owned()).or_default();
        own.insert(state, Arc::from(handler));
        self
    }

    /// Sets a variable that connections share.
    pub fn set(&mut self, name: &str, value: impl Variable) -> &mut Self {
        self.coordinator.preset_var(name, value.into_value());
        self
    }

    /// Says how long each connection may run in all; 10 minutes otherwise.
    pub fn within(&mut self, run_max: Duration) -> &mut Self {
        self.run_max = Some(run_max);
        self
    }

    /// Says how many messages that a connection has not read there is room for; 1,000 otherwise.
    pub fn messages(&mut self, capacity: usize) -> &mut Self {
        self.coordinator.set_inbox_capacity(capacity);
        self
    }

    /// Says how many statements are kept in the history; [`super::STATEMENTS_MAX`] otherwise. How many more there
    /// were is told.
    pub fn record_at_most(&mut self, statements: usize) -> &mut Self {
        self.coordinator.record_at_most(statements);
        self
    }

    /// Subscribes to the messages of all others than `name`. The channel holds `capacity` messages (at least one).
    #[must_use]
    pub fn subscribe(&self, name: &str, capacity: usize) -> Subscription {
        self.coordinator.subscribe(name, capacity)
    }

    /// Somebody who takes part without a connection.
    ///
    /// Since it may signal events and send messages, a wait for one is not known to be unsatisfiable any more; it has
    /// its limit.
    #[must_use]
    pub fn member(&self, name: impl Into<String>) -> Member {
        Member::new(name, Arc::clone(&self.coordinator), self.secrets())
    }

    fn secrets(&self) -> Arc<[String]> {
        let passwords = self.connections.iter().map(|config| config.password.clone());
        passwords.collect()
    }

    /// Runs all connections at once, and waits until each has completed or failed. The last message is
    /// [`super::Message::AllEnded`].
    ///
    /// # Errors
    /// [`RunError::Failed`] names every connection that failed; the results of the others are there. The other
    /// errors come before anything runs.
    ///
    /// # Cancellation
    /// Dropping the future ends all machines where they are.
    pub async fn run_all_connections(&mut self) -> Result<(), RunError> {
        let targets = self.connections.iter().cloned().zip(self.options.iter().cloned());
        let plan = RunPlan {
            targets: targets.collect(),
            handlers: &self.handlers,
            own_handlers: &self.own_handlers,
            run_max: self.run_max,
        };
        run::run(&self.coordinator, &plan).await
    }

    /// Ends all subscriptions: what was sent can still be read, then they give nothing more. Dropping the
    /// coordinator and its members does the same.
    pub fn close(&self) {
        self.coordinator.close_subscriptions();
    }

    /// The state that connections share; while they run, too. Whoever holds its lock stops all of them.
    #[must_use]
    pub fn shared_state(&self) -> Arc<Mutex<SharedState>> {
        Arc::clone(&self.shared_state)
    }

    /// The shared state as it is now; while connections run, ask a [`Member`].
    #[must_use]
    pub fn state(&self) -> SharedState {
        self.coordinator.snapshot()
    }

    /// What became of the connections, in the order in which they were added.
    #[must_use]
    pub fn results(&self) -> Results {
        Results::of(&self.coordinator, self.secrets())
    }

    /// All that happened, as data: the same as of a scenario file.
    #[must_use]
    pub fn history(&self) -> History {
        self.results().into_history()
    }

    /// Prints [`Self::results`] to standard output.
    pub fn print_results(&self) {
        self.results().print();
    }
}
