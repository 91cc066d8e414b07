//! The advanced coordinator: the simple one's machines, and messages between all who take part.

use std::sync::Arc;
use std::time::Duration;

use super::group::{Group, RunError};
use super::message::{Message, Subscription};
use super::shared::Shared;
use super::{Results, SharedTestState};
use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::handler::{State, StateHandler, Variable};

/// Runs a state machine for each of many connections, all at once, and tells whoever listens what happens.
///
/// It does what [`super::SimpleMultiConnectionCoordinator`] does. Besides, everything that happens is a
/// [`Message`]: subscribers get them on bounded channels of their own while the connections run, in one order
/// for all. A message never comes back to its sender. A subscriber that is too slow stalls nobody; it is told
/// how many messages it missed ([`super::Received::Missed`]), and the global state has what came of them.
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
#[derive(Debug)]
pub struct MultiConnectionCoordinator {
    connections: Vec<ConnectionConfig>,
    group: Group,
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
        Self {
            connections: Vec::new(),
            group: Group::new(),
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

    /// Subscribes to the messages of all others than `name`. The channel holds `capacity` messages (at least one).
    #[must_use]
    pub fn subscribe(&self, name: &str, capacity: usize) -> Subscription {
        self.group.shared.bus.subscribe(name, capacity)
    }

    /// Somebody who takes part without a connection, or a connection's handler that sends messages: give it the
    /// connection's name.
    ///
    /// Since it may signal events, a wait for one is not told any more that it is in vain; it has its limit.
    #[must_use]
    pub fn member(&self, name: impl Into<String>) -> Member {
        self.group.shared.let_outsiders_signal();
        Member {
            name: name.into(),
            shared: Arc::clone(&self.group.shared),
        }
    }

    /// Runs all connections at once, and waits until each has completed or failed. The last message is
    /// [`Message::AllEnded`].
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

    /// Ends all subscriptions: what was sent can still be read, then they give nothing more. Dropping the
    /// coordinator and its members does the same.
    pub fn close(&self) {
        self.group.shared.bus.close();
    }

    /// The global state as it is now; while connections run, ask a [`Member`].
    #[must_use]
    pub fn state(&self) -> SharedTestState {
        self.group.shared.lock().clone()
    }

    /// What became of the connections, in the order in which they were added.
    #[must_use]
    pub fn results(&self) -> Results {
        Results::new(self.state())
    }

    /// Prints [`Self::results`] to standard output.
    pub fn print_results(&self) {
        self.results().print();
    }
}

/// Somebody who sends messages under a name of its own, from any task. Clones have the same name.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    shared: Arc<Shared>,
}

impl Member {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes to the messages of all others. The channel holds `capacity` messages (at least one).
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.shared.bus.subscribe(&self.name, capacity)
    }

    /// Says something to all others.
    pub fn broadcast(&self, topic: impl Into<String>, payload: impl Into<serde_json::Value>) {
        let message = Message::Broadcast {
            topic: topic.into(),
            payload: payload.into(),
        };
        self.shared.bus.publish(&self.name, &message);
    }

    /// Signals an event for which connections may wait.
    pub fn signal(&self, event: &str) {
        self.shared.signal(&self.name, event);
    }

    /// Asks for the global state by message: the others see that it was asked for, and the answer comes to this
    /// member's subscriptions alone, in its place among the other messages.
    pub fn request_state(&self) {
        let state = self.shared.lock();
        self.shared.bus.publish(&self.name, &Message::StateRequest);
        let answer = Message::StateAnswer(Box::new(state.clone()));
        self.shared.bus.answer(&self.name, &answer);
    }

    /// The global state as it is now, without a message.
    #[must_use]
    pub fn state(&self) -> SharedTestState {
        self.shared.lock().clone()
    }

    /// Asks all machines to end: each ends after the state under way, for which it has 5 seconds; waits for events
    /// end at once. What has not come to its end has failed. It is for good: a coordinator does not run again.
    pub fn shut_down(&self) {
        self.shared.shut_down(&self.name);
    }
}
