//! What a handler shares with the other connections: variables, events, barriers, messages, series.

use std::time::Duration;

use super::context::StateContext;
use super::error::StateError;
use super::variable::Variable;
use super::wait::WaitError;
use crate::coordinator::{Incoming, SharedState, Subscription, Unread};
use crate::history::{JobSeen, show};

/// # Waits
/// While a connection waits for another one ([`Self::wait_for`], [`Self::barrier`], [`Self::receive`]), the others
/// count on it to do nothing else: a wait that nobody can satisfy any more ends at once. So a handler that shall do
/// something after a while gives the wait this while as its limit, and does not leave it by other means.
impl StateContext {
    /// A variable that connections share.
    ///
    /// # Errors
    /// [`StateError::Variable`] where it is not set or of another type.
    pub fn get<T: Variable>(&self, name: &str) -> Result<T, StateError> {
        let wrong = |reason: String| StateError::Variable {
            name: name.to_owned(),
            reason,
        };
        let value = self
            .handle
            .var(name)
            .ok_or_else(|| wrong("it is not set".to_owned()))?;
        T::from_value(&value).ok_or_else(|| wrong(format!("it is {}, not {}", show(&value), T::WHAT)))
    }

    /// Sets a variable that connections share.
    pub fn set(&self, name: &str, value: impl Variable) {
        self.handle.set_var(name, value.into_value());
    }

    /// Adds to a whole number that connections share, in one go, and gives the sum.
    ///
    /// # Errors
    /// [`StateError::Variable`] where it is no whole number.
    pub fn add(&self, name: &str, number: i128) -> Result<i128, StateError> {
        let wrong = |reason| StateError::Variable {
            name: name.to_owned(),
            reason,
        };
        self.handle.add(name, number).map_err(wrong)
    }

    /// Appends to a series.
    pub fn record(&self, series: &str, value: impl Variable) {
        self.handle.record(series, value.into_value());
    }

    /// All that is shared, as it is now.
    #[must_use]
    pub fn shared_state(&self) -> SharedState {
        self.handle.shared_state()
    }

    /// Signals an event: those who wait for it go on. Events stay, so whoever waits later finds it there.
    pub fn signal(&self, event: &str) {
        self.handle.signal(event);
    }

    /// Waits for an event, at most so long.
    ///
    /// # Errors
    /// [`StateError::Wait`]: over the limit, or at once when no other connection can signal it any more.
    ///
    /// # Cancellation
    /// Dropping the future stops the wait and changes nothing.
    pub async fn wait_for(&mut self, event: &str, limit: Duration) -> Result<(), StateError> {
        let waited = self.handle.wait_for(event, limit).await;
        waited.map_err(|why| WaitError::of(why, limit).into())
    }

    /// Waits at a barrier until so many connections are there, this one among them, at most so long. Then all of them
    /// go on, and the barrier is closed again for the next ones.
    ///
    /// # Errors
    /// [`StateError::Wait`]: over the limit, or at once when not so many can come any more. [`StateError::Barrier`]
    /// where the barrier is for another number of connections.
    ///
    /// # Cancellation
    /// Dropping the future leaves the barrier.
    pub async fn barrier(&mut self, name: &str, connections: u32, limit: Duration) -> Result<(), StateError> {
        let barrier = self
            .handle
            .barrier(name, connections)
            .map_err(StateError::Barrier)?;
        let waited = self.handle.wait_at(barrier, limit).await;
        waited.map_err(|why| WaitError::of(why, limit).into())
    }

    /// Sends a message to one other connection, which reads it by [`Self::receive`], or to a member, which gets it as
    /// `Message::Direct` on its subscription.
    ///
    /// # Errors
    /// [`StateError::Send`] where nobody has this name, or the connection has ended or does not read.
    pub fn send(
        &self,
        to: &str,
        topic: impl Into<String>,
        payload: impl Into<serde_json::Value>,
    ) -> Result<(), StateError> {
        Ok(self.handle.send(to, topic.into(), payload.into())?)
    }

    /// Sends a message to all other connections and members.
    pub fn broadcast(&self, topic: impl Into<String>, payload: impl Into<serde_json::Value>) {
        self.handle.broadcast(topic.into(), payload.into());
    }

    /// The next message that another connection or member sent to this connection or to all; waits for it at most so
    /// long. Messages stay in an inbox until they are read, from the beginning of the run.
    ///
    /// # Errors
    /// [`StateError::Wait`]: over the limit, or at once when no other connection can send one any more.
    /// [`StateError::Missed`] where messages to all were left out, since the inbox was full.
    ///
    /// # Cancellation
    /// Dropping the future loses no message.
    pub async fn receive(&mut self, limit: Duration) -> Result<Incoming, StateError> {
        let received = self.handle.receive(limit).await;
        received.map_err(|unread| match unread {
            Unread::Missed(count) => StateError::Missed { count },
            Unread::Unsatisfied(why) => WaitError::of(why, limit).into(),
        })
    }

    /// Subscribes to all that happens to the others, from now on. The channel holds `capacity` messages (at least
    /// one). A connection that waits on its subscription counts as one that works.
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.handle.subscribe(capacity)
    }

    /// An import job or a schema change was seen as it is now. What is new about it is told to the others, once.
    pub fn saw_job(&self, seen: &JobSeen) {
        self.handle.saw_job(seen);
    }
}
