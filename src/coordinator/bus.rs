//! Who gets which message: subscribers on bounded channels, connections in their inboxes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::inbox::{Inbox, Incoming, NextMessage, SendError};
use super::message::{Envelope, Item, Message, Subscription};

/// The sender of what the coordinator says itself.
const COORDINATOR: &str = "coordinator";
/// How many messages an inbox has room for, where nobody says otherwise.
const INBOX_CAPACITY: usize = 1_000;

#[derive(Debug)]
struct Subscriber {
    name: String,
    sender: mpsc::Sender<Item>,
    missed: Arc<AtomicU64>,
}

/// All who get messages.
#[derive(Debug)]
pub(super) struct Bus {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    sent: u64,
    subscribers: Vec<Subscriber>,
    /// One for each connection.
    inboxes: Vec<Inbox>,
    capacity: usize,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                sent: 0,
                subscribers: Vec::new(),
                inboxes: Vec::new(),
                capacity: INBOX_CAPACITY,
            }),
        }
    }
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
        Subscription::new(receiver, missed)
    }

    pub fn add_inbox(&self, name: &str) {
        self.lock().inboxes.push(Inbox::new(name));
    }

    pub fn clear_inboxes(&self) {
        self.lock().inboxes.iter_mut().for_each(Inbox::clear);
    }

    pub fn set_inbox_capacity(&self, capacity: usize) {
        self.lock().capacity = capacity.max(1);
    }

    /// Sends to all subscribers but the sender itself. The message is made only where somebody gets it.
    pub fn publish(&self, from: &str, message: impl FnOnce() -> Message) {
        self.lock().send(from, message, |name| name != from);
    }

    /// The same for what the coordinator says itself.
    pub fn publish_own(&self, message: impl FnOnce() -> Message) {
        self.publish(COORDINATOR, message);
    }

    /// Sends to the subscriptions of one member alone.
    pub fn answer(&self, to: &str, message: impl FnOnce() -> Message) {
        self.lock().send(COORDINATOR, message, |name| name == to);
    }

    /// Sends to all others: connections find it in their inboxes. `has_mail` is told of each of them, by its number,
    /// before anybody can read.
    pub fn broadcast(
        &self,
        from: &str,
        topic: String,
        payload: serde_json::Value,
        mut has_mail: impl FnMut(usize),
    ) {
        let mut inner = self.lock();
        let capacity = inner.capacity;
        for (number, inbox) in inner.inboxes.iter_mut().enumerate() {
            if inbox.name != from {
                inbox.push(
                    Incoming {
                        from: from.to_owned(),
                        topic: topic.clone(),
                        payload: payload.clone(),
                        to_all: true,
                    },
                    capacity,
                );
                has_mail(number);
            }
        }
        inner.send(
            from,
            || Message::Broadcast { topic, payload },
            |name| name != from,
        );
    }

    /// Sends to one connection, or to the subscriptions of one member.
    pub fn direct(
        &self,
        from: &str,
        to: &str,
        topic: String,
        payload: serde_json::Value,
        mut has_mail: impl FnMut(usize),
    ) -> Result<(), SendError> {
        let mut inner = self.lock();
        let capacity = inner.capacity;
        if let Some(number) = inner.inboxes.iter().position(|inbox| inbox.name == to) {
            let message = Incoming {
                from: from.to_owned(),
                topic,
                payload,
                to_all: false,
            };
            let fits = inner.inboxes[number].push(message, capacity);
            if !fits {
                let to = to.to_owned();
                return Err(SendError::Full { to, capacity });
            }
            has_mail(number);
            return Ok(());
        }
        inner.subscribers.retain(|one| !one.sender.is_closed());
        let theirs = || inner.subscribers.iter().filter(|one| one.name == to);
        if theirs().count() == 0 {
            return Err(inner.nobody(to));
        }
        if let Some(full) = theirs().find(|one| one.sender.capacity() == 0) {
            return Err(SendError::Full {
                to: to.to_owned(),
                capacity: full.sender.max_capacity(),
            });
        }
        inner.send(from, || Message::Direct { topic, payload }, |name| name == to);
        Ok(())
    }

    /// The next message of a connection's inbox. `is_empty` is told where it was the last one, before another can come.
    pub fn take(&self, connection: usize, is_empty: impl FnOnce()) -> NextMessage {
        let mut inner = self.lock();
        let Some(inbox) = inner.inboxes.get_mut(connection) else {
            return NextMessage::Nothing;
        };
        let next = inbox.next();
        if inbox.is_empty() {
            is_empty();
        }
        next
    }

    /// No more messages: subscriptions end when they are read.
    pub fn close(&self) {
        self.lock().subscribers.clear();
    }
}

impl Inner {
    fn send(&mut self, from: &str, message: impl FnOnce() -> Message, to: impl Fn(&str) -> bool) {
        self.sent += 1;
        let number = self.sent;
        self.subscribers.retain(|one| !one.sender.is_closed());
        let mut getting = self.subscribers.iter().filter(|one| to(&one.name)).peekable();
        if getting.peek().is_none() {
            return;
        }
        let message = message();
        for subscriber in getting {
            let missed_before = subscriber.missed.load(Ordering::Relaxed);
            let envelope = Envelope {
                from: from.to_owned(),
                number,
                message: message.clone(),
            };
            let item = Item {
                missed_before,
                envelope,
            };
            match subscriber.sender.try_send(item) {
                Ok(()) => {
                    subscriber.missed.fetch_sub(missed_before, Ordering::Relaxed);
                }
                Err(mpsc::error::TrySendError::Full(_)) => {
                    subscriber.missed.fetch_add(1, Ordering::Relaxed);
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
    }

    fn nobody(&self, to: &str) -> SendError {
        let connections = self.inboxes.iter().map(|inbox| &inbox.name);
        let members = self.subscribers.iter().map(|one| &one.name);
        let mut known: Vec<String> = connections
            .chain(members)
            .map(|name| format!("`{name}`"))
            .collect();
        known.dedup();
        let known = match known.as_slice() {
            [] => "there is none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        SendError::NoSuchMember {
            to: to.to_owned(),
            known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::message::Received;

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
                    message: Message::Broadcast { topic, .. } | Message::Direct { topic, .. },
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
            bus.publish("a", || note(topic));
        }
        assert_eq!(read(&mut quick), ["1", "2", "3", "4"]);
        assert_eq!(read(&mut slow), ["1", "2"]);
        bus.publish("a", || note("5"));
        assert_eq!(read(&mut slow), ["missed 2", "5"]);
        for topic in ["6", "7", "8"] {
            bus.publish("a", || note(topic));
        }
        bus.close();
        assert_eq!(read(&mut slow), ["6", "7", "missed 1"], "also at the end");
        assert_eq!(slow.try_receive(), None);
    }

    #[test]
    fn a_message_does_not_come_back_to_its_sender() {
        let bus = Bus::default();
        let (mut a, mut b) = (bus.subscribe("a", 8), bus.subscribe("b", 8));
        bus.publish("a", || note("from a"));
        assert_eq!(read(&mut a), [""; 0]);
        assert_eq!(read(&mut b), ["from a"]);
    }

    #[test]
    fn an_answer_goes_to_the_one_who_asked() {
        let bus = Bus::default();
        let (mut a, mut b) = (bus.subscribe("a", 8), bus.subscribe("b", 8));
        bus.answer("a", || note("answer"));
        assert_eq!(read(&mut a), ["answer"]);
        assert_eq!(read(&mut b), [""; 0]);
    }

    #[test]
    fn a_message_to_one_is_read_by_that_one_or_refused() {
        let bus = Bus::default();
        bus.add_inbox("alice");
        bus.set_inbox_capacity(1);
        let mut operator = bus.subscribe("operator", 1);
        let mut mail = Vec::new();
        let mut send = |to: &str| {
            bus.direct("bob", to, "topic".to_owned(), serde_json::Value::Null, |number| {
                mail.push(number);
            })
        };
        assert_eq!(send("alice"), Ok(()));
        let full = send("alice").unwrap_err().to_string();
        assert_eq!(
            full,
            "the inbox of `alice` is full: 1 messages have not been read"
        );
        assert_eq!(send("operator"), Ok(()));
        assert!(matches!(send("operator"), Err(SendError::Full { .. })));
        let nobody = send("carol").unwrap_err().to_string();
        assert_eq!(
            nobody,
            "no connection or member is named `carol`; there are `alice`, `operator`"
        );
        assert_eq!(mail, [0]);
        assert_eq!(read(&mut operator), ["topic"]);
        let mut emptied = false;
        assert!(matches!(bus.take(0, || emptied = true), NextMessage::Is(_)));
        assert!(emptied);
    }
}
