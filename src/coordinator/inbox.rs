//! Messages that one connection or member has for another, or for all.

use std::collections::VecDeque;

/// A message that a connection or member sent to one other, or to all.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// The connection or member that sent it.
    pub from: String,
    /// What it is about.
    pub topic: String,
    /// What it says.
    pub payload: serde_json::Value,
    /// Whether it went to all.
    pub to_all: bool,
}

/// Why a message was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nobody has this name.
    #[error("no connection or member is named `{to}`; {known}")]
    NoSuchMember {
        /// The name.
        to: String,
        /// The names that are known, in words.
        known: String,
    },
    /// The connection has ended, so it reads no more.
    #[error("`{to}` has ended and reads no more messages")]
    HasEnded {
        /// The connection.
        to: String,
    },
    /// There is no room before the messages that came before have been read.
    #[error("the inbox of `{to}` is full: {capacity} messages have not been read")]
    Full {
        /// The connection or member.
        to: String,
        /// How many messages there is room for.
        capacity: usize,
    },
}

/// What the next message of an inbox is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NextMessage {
    Is(Incoming),
    /// So many messages to all did not fit.
    Missed(u64),
    Nothing,
}

/// The messages of one connection that it has not read.
#[derive(Debug)]
pub(super) struct Inbox {
    pub name: String,
    queue: VecDeque<(u64, Incoming)>,
    missed: u64,
}

impl Inbox {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            queue: VecDeque::new(),
            missed: 0,
        }
    }

    pub fn clear(&mut self) {
        self.queue.clear();
        self.missed = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.missed == 0
    }

    /// Adds a message, if there is room. One to all that does not fit is counted, and told in its place.
    pub fn push(&mut self, message: Incoming, capacity: usize) -> bool {
        if self.queue.len() < capacity {
            self.queue.push_back((std::mem::take(&mut self.missed), message));
            return true;
        }
        if message.to_all {
            self.missed += 1;
        }
        false
    }

    pub fn next(&mut self) -> NextMessage {
        match self.queue.front_mut() {
            Some((missed, _)) if *missed > 0 => NextMessage::Missed(std::mem::take(missed)),
            Some(_) => self
                .queue
                .pop_front()
                .map_or(NextMessage::Nothing, |(_, message)| NextMessage::Is(message)),
            None if self.missed > 0 => NextMessage::Missed(std::mem::take(&mut self.missed)),
            None => NextMessage::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_where_it_would_have_stood() {
        let message = |topic: &str, to_all| Incoming {
            from: "a".to_owned(),
            topic: topic.to_owned(),
            payload: serde_json::Value::Null,
            to_all,
        };
        let mut inbox = Inbox::new("b");
        assert!(inbox.push(message("1", true), 1));
        assert!(!inbox.push(message("2", true), 1));
        assert!(!inbox.push(message("3", false), 1), "its sender is told");
        assert_eq!(inbox.next(), NextMessage::Is(message("1", true)));
        assert!(inbox.push(message("4", true), 1));
        assert!(!inbox.push(message("5", true), 1));
        assert_eq!(inbox.next(), NextMessage::Missed(1));
        assert_eq!(inbox.next(), NextMessage::Is(message("4", true)));
        assert!(!inbox.is_empty());
        assert_eq!(inbox.next(), NextMessage::Missed(1), "also at the end");
        assert_eq!((inbox.next(), inbox.is_empty()), (NextMessage::Nothing, true));
    }
}
