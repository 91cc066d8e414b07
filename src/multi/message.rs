//! Typed messages, and the bounded channels on which subscribers get them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::SharedTestState;
use crate::handler::ImportJob;
use crate::history::{SqlValue, Status};

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// A connection has a session.
    ConnectionEstablished {
        /// The server's `CONNECTION_ID()`.
        session: u64,
        /// What `select version()` answers.
        server_version: String,
    },
    /// A connection has failed.
    ConnectionFailed {
        /// The state in which it failed, if it had come to one.
        state: Option<String>,
        /// Why.
        reason: String,
    },
    /// A connection's status is another.
    StatusChanged {
        /// The new one.
        status: Status,
    },
    /// A connection has entered a state.
    StateEntered {
        /// Its name.
        state: String,
    },
    /// All connections have had a session.
    AllConnectionsReady,
    /// An event was signalled.
    Signalled {
        /// Its name.
        event: String,
    },
    /// A variable was set.
    VariableSet {
        /// Its name.
        name: String,
        /// Its new value.
        value: SqlValue,
    },
    /// An import job was seen for the first time.
    ImportJobAdded(ImportJob),
    /// An import job has changed and is not over.
    ImportJobUpdated(ImportJob),
    /// An import job is over: finished, failed or cancelled.
    ImportJobCompleted(ImportJob),
    /// What a member has to say to all others.
    Broadcast {
        /// What it is about.
        topic: String,
        /// What it says.
        payload: serde_json::Value,
    },
    /// A member asks for the global state.
    StateRequest,
    /// The answer, for the member who asked alone.
    StateAnswer(Box<SharedTestState>),
    /// A connection's test has come to its end.
    TestCompleted,
    /// All connections have ended.
    AllEnded {
        /// How many completed.
        completed: usize,
        /// How many failed.
        failed: usize,
    },
    /// A shutdown was asked for: machines end after the state under way.
    Shutdown,
}

/// A message with its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The connection or member that sent it; `coordinator` for the coordinator's own.
    pub from: String,
    /// Counts all messages of a coordinator from 1, those that one did not get included.
    pub number: u64,
    /// What has happened.
    pub message: Message,
}

/// What a subscription gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The next message.
    Message(Envelope),
    /// The channel was full, and so many messages that would have come here were left out. The global state
    /// has what came of them.
    Missed(u64),
}

#[derive(Debug)]
struct Item {
    missed_before: u64,
    envelope: Envelope,
}

/// The receiving end of a bounded channel.
///
/// Whoever reads too slowly stalls nobody and loses nothing silently: what does not fit is left out and counted,
/// and where it would have stood [`Received::Missed`] says how much it was.
#[derive(Debug)]
pub struct Subscription {
    receiver: mpsc::Receiver<Item>,
    missed: Arc<AtomicU64>,
    next: Option<Envelope>,
}

impl Subscription {
    /// The next message, or how many were missed; none when the coordinator has ended and all is read.
    ///
    /// # Cancellation
    /// Dropping the future loses no message.
    pub async fn receive(&mut self) -> Option<Received> {
        if let Some(envelope) = self.next.take() {
            return Some(Received::Message(envelope));
        }
        match self.receiver.recv().await {
            Some(item) => Some(self.unpack(item)),
            None => self.missed_at_the_end(),
        }
    }

    /// The next message, if one is there.
    pub fn try_receive(&mut self) -> Option<Received> {
        if let Some(envelope) = self.next.take() {
            return Some(Received::Message(envelope));
        }
        match self.receiver.try_recv() {
            Ok(item) => Some(self.unpack(item)),
            Err(mpsc::error::TryRecvError::Empty) => None,
            Err(mpsc::error::TryRecvError::Disconnected) => self.missed_at_the_end(),
        }
    }

    fn unpack(&mut self, item: Item) -> Received {
        if item.missed_before == 0 {
            return Received::Message(item.envelope);
        }
        self.next = Some(item.envelope);
        Received::Missed(item.missed_before)
    }

    fn missed_at_the_end(&self) -> Option<Received> {
        match self.missed.swap(0, Ordering::Relaxed) {
            0 => None,
            missed => Some(Received::Missed(missed)),
        }
    }
}

#[derive(Debug)]
struct Subscriber {
    name: String,
    sender: mpsc::Sender<Item>,
    missed: Arc<AtomicU64>,
}

/// All subscribers of a coordinator.
#[derive(Debug, Default)]
pub(super) struct Bus {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sent: u64,
    subscribers: Vec<Subscriber>,
}

impl Bus {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is a single push or count, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn subscribe(&self, name: &str, capacity: usize) -> Subscription {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let missed = Arc::<AtomicU64>::default();
        self.lock().subscribers.push(Subscriber {
            name: name.to_owned(),
            sender,
            missed: Arc::clone(&missed),
        });
        Subscription {
            receiver,
            missed,
            next: None,
        }
    }

    /// Sends to all but the sender itself.
    pub fn publish(&self, from: &str, message: &Message) {
        self.send(from, message, |name| name != from);
    }

    /// Sends to one member alone.
    pub fn answer(&self, to: &str, message: &Message) {
        self.send(COORDINATOR, message, |name| name == to);
    }

    fn send(&self, from: &str, message: &Message, to: impl Fn(&str) -> bool) {
        let mut inner = self.lock();
        inner.sent += 1;
        let number = inner.sent;
        inner.subscribers.retain(|subscriber| {
            if !to(&subscriber.name) {
                return !subscriber.sender.is_closed();
            }
            let missed_before = subscriber.missed.load(Ordering::Relaxed);
            let envelope = Envelope {
                from: from.to_owned(),
                number,
                message: message.clone(),
            };
            match subscriber.sender.try_send(Item {
                missed_before,
                envelope,
            }) {
                Ok(()) => {
                    subscriber.missed.fetch_sub(missed_before, Ordering::Relaxed);
                    true
                }
                Err(mpsc::error::TrySendError::Full(_)) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }

    /// No more messages: subscriptions end when they are read.
    pub fn close(&self) {
        self.lock().subscribers.clear();
    }
}

/// The sender of what the coordinator says itself.
pub(super) const COORDINATOR: &str = "coordinator";

#[cfg(test)]
mod tests {
    use super::*;

    fn note(topic: &str) -> Message {
        Message::Broadcast {
            topic: topic.to_owned(),
            payload: serde_json::Value::Null,
        }
    }

    fn read(subscription: &mut Subscription) -> Vec<String> {
        std::iter::from_fn(|| subscription.try_receive())
            .map(|received| match received {
                Received::Missed(missed) => format!("missed {missed}"),
                Received::Message(Envelope {
                    message: Message::Broadcast { topic, .. },
                    ..
                }) => topic,
                Received::Message(other) => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_slow_subscriber_is_told_what_it_missed_and_stalls_nobody() {
        let bus = Bus::default();
        let mut slow = bus.subscribe("slow", 2);
        let mut quick = bus.subscribe("quick", 8);
        for topic in ["1", "2", "3", "4"] {
            bus.publish("a", &note(topic));
        }
        assert_eq!(read(&mut quick), ["1", "2", "3", "4"]);
        assert_eq!(read(&mut slow), ["1", "2"]);
        bus.publish("a", &note("5"));
        assert_eq!(read(&mut slow), ["missed 2", "5"]);
        for topic in ["6", "7", "8"] {
            bus.publish("a", &note(topic));
        }
        bus.close();
        assert_eq!(read(&mut slow), ["6", "7", "missed 1"], "also at the end");
        assert_eq!(slow.try_receive(), None);
    }

    #[test]
    fn a_message_does_not_come_back_to_its_sender() {
        let bus = Bus::default();
        let (mut a, mut b) = (bus.subscribe("a", 8), bus.subscribe("b", 8));
        bus.publish("a", &note("from a"));
        assert_eq!(read(&mut a), [""; 0]);
        assert_eq!(read(&mut b), ["from a"]);
    }

    #[test]
    fn an_answer_goes_to_the_one_who_asked() {
        let bus = Bus::default();
        let (mut a, mut b) = (bus.subscribe("a", 8), bus.subscribe("b", 8));
        bus.answer("a", &note("answer"));
        assert_eq!(read(&mut a), ["answer"]);
        assert_eq!(read(&mut b), [""; 0]);
    }
}
