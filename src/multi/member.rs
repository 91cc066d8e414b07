//! Somebody who takes part in a run without a connection.

use std::sync::Arc;

use super::results::Results;
use crate::coordinator::{Coordinator, SendError, SharedState, Subscription};

/// Somebody who takes part under a name of its own, from any task, without a connection. Clones have the same name.
///
/// Since it may signal events and send messages, a wait of a connection for one is not known to be unsatisfiable any
/// more; it has its limit.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    coordinator: Arc<Coordinator>,
    /// Texts that no output may show.
    secrets: Arc<[String]>,
}

impl Member {
    pub(super) fn new(
        name: impl Into<String>,
        coordinator: Arc<Coordinator>,
        secrets: Arc<[String]>,
    ) -> Self {
        coordinator.let_outsiders_act();
        Self {
            name: name.into(),
            coordinator,
            secrets,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes to the messages of all others. The channel holds `capacity` messages (at least one).
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.coordinator.subscribe(&self.name, capacity)
    }

    /// Says something to all others: connections read it by [`crate::StateContext::receive`].
    pub fn broadcast(&self, topic: impl Into<String>, payload: impl Into<serde_json::Value>) {
        self.coordinator
            .broadcast(&self.name, topic.into(), payload.into());
    }

    /// Says something to one connection, or to another member that has a subscription.
    ///
    /// # Errors
    /// [`SendError`] where nobody has this name, or the connection has ended or does not read.
    pub fn send(
        &self,
        to: &str,
        topic: impl Into<String>,
        payload: impl Into<serde_json::Value>,
    ) -> Result<(), SendError> {
        self.coordinator
            .send(&self.name, to, topic.into(), payload.into())
    }

    /// Signals an event for which connections may wait.
    pub fn signal(&self, event: &str) {
        self.coordinator.signal_from(&self.name, event);
    }

    /// Asks for the shared state by message: the others see that it was asked for, and the answer comes to this
    /// member's subscriptions alone, in its place among the other messages.
    pub fn request_state(&self) {
        self.coordinator.request_state(&self.name);
    }

    /// The shared state as it is now, without a message.
    #[must_use]
    pub fn state(&self) -> SharedState {
        self.coordinator.snapshot()
    }

    /// What has happened so far.
    #[must_use]
    pub fn results(&self) -> Results {
        Results::of(&self.coordinator, Arc::clone(&self.secrets))
    }

    /// Asks all machines to end: each ends after the state under way, for which it has 5 seconds; waits for other
    /// connections end at once. What has not come to its end has failed. It is for good: a coordinator does not run
    /// again.
    pub fn shut_down(&self) {
        self.coordinator.shut_down(&self.name);
    }
}
