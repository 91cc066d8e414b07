//! Messages from one connection or member to another, or to all.

use std::time::{Duration, Instant};

use super::Coordinator;
use super::inbox::{Incoming, NextMessage, SendError};
use super::message::{Message, Subscription};
use super::waits::graph::Wanted;
use super::waits::participant::Unsatisfied;

/// Why no message was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// So many messages to all did not fit into the inbox. The next one can be read.
    Missed(u64),
    /// None came.
    Unsatisfied(Unsatisfied),
}

impl Coordinator {
    /// Subscribes to the messages of all others than `name`. The channel holds `capacity` messages (at least one).
    #[must_use]
    pub fn subscribe(&self, name: &str, capacity: usize) -> Subscription {
        self.bus.subscribe(name, capacity)
    }

    /// Ends all subscriptions: what was sent can still be read.
    pub fn close_subscriptions(&self) {
        self.bus.close();
    }

    /// How many messages that a connection has not read there is room for.
    pub fn set_inbox_capacity(&self, capacity: usize) {
        self.bus.set_inbox_capacity(capacity);
    }

    /// Says something to all others.
    pub fn broadcast(&self, from: &str, topic: String, payload: serde_json::Value) {
        self.bus.broadcast(from, topic, payload, |number| {
            self.waits().set_mail(number, true);
        });
    }

    /// Says something to one connection or member.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send(
        &self,
        from: &str,
        to: &str,
        topic: String,
        payload: serde_json::Value,
    ) -> Result<(), SendError> {
        let ended = self.look(|shared| shared.connection(to).is_some_and(|record| record.has_ended()));
        if ended {
            return Err(SendError::HasEnded { to: to.to_owned() });
        }
        self.bus.direct(from, to, topic, payload, |number| {
            self.waits().set_mail(number, true);
        })
    }

    /// Tells all that the run is over.
    pub fn all_ended(&self, completed: usize, failed: usize) {
        self.bus.publish_own(|| Message::AllEnded { completed, failed });
    }

    /// A member asks for what is shared; the answer comes to its own subscriptions, in its place among the messages.
    pub fn request_state(&self, from: &str) {
        let shared = self.lock();
        self.bus.publish(from, || Message::StateRequest);
        self.bus
            .answer(from, || Message::StateAnswer(Box::new(shared.clone())));
    }

    /// The next message to a connection.
    pub(super) async fn receive(&self, connection: usize, limit: Duration) -> Result<Incoming, Unread> {
        let began = Instant::now();
        loop {
            let next = self
                .bus
                .take(connection, || self.waits().set_mail(connection, false));
            match next {
                NextMessage::Is(message) => return Ok(message),
                NextMessage::Missed(count) => return Err(Unread::Missed(count)),
                NextMessage::Nothing => {}
            }
            let left = limit.saturating_sub(began.elapsed());
            self.wait_in_handler(connection, Wanted::Message, left)
                .await
                .map_err(Unread::Unsatisfied)?;
        }
    }
}
