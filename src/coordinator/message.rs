//! What happens, as typed messages, and what a subscription gives of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::state::SharedState;
use crate::history::{JobRecord, SqlValue, Status};

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
    /// An import job or a schema change was seen for the first time.
    JobAdded(JobRecord),
    /// An import job or a schema change has made progress and has not ended.
    JobUpdated(JobRecord),
    /// An import job or a schema change has ended, well or not.
    JobCompleted(JobRecord),
    /// The session of a connection that ran nothing is gone: it was killed, or the server was lost.
    SessionLost {
        /// The server's `CONNECTION_ID()`.
        session: u64,
    },
    /// What a connection or member has to say to all others.
    Broadcast {
        /// What it is about.
        topic: String,
        /// What it says.
        payload: serde_json::Value,
    },
    /// What a connection or member has to say to the one that gets this.
    Direct {
        /// What it is about.
        topic: String,
        /// What it says.
        payload: serde_json::Value,
    },
    /// A member asks for the global state.
    StateRequest,
    /// The answer, for the member who asked alone.
    StateAnswer(Box<SharedState>),
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
pub(super) struct Item {
    pub missed_before: u64,
    pub envelope: Envelope,
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
    pub(super) fn new(receiver: mpsc::Receiver<Item>, missed: Arc<AtomicU64>) -> Self {
        Self {
            receiver,
            missed,
            next: None,
        }
    }

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
