//! Waits of connections for each other, and the events that end them.

use std::time::{Duration, Instant};

use super::Coordinator;
use super::message::Message;
use super::waits::graph::Wanted;
use super::waits::participant::{AfterFailure, Unsatisfied, WaitEnd};
use crate::history::{EventRecord, WaitFailure};

/// Notes that a wait is over, also where its future is dropped.
struct WaitGuard<'c> {
    coordinator: &'c Coordinator,
    connection: usize,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.coordinator.waits().stop_waiting(self.connection);
        self.coordinator.set_waits_for(self.connection, None);
    }
}

impl Coordinator {
    fn set_waits_for(&self, connection: usize, wanted: Option<String>) {
        if let Some(record) = self.lock().connections.get_mut(connection) {
            record.waits_for = wanted;
        }
    }

    /// Waits until this has come, at most so long; a connection that waits in a plan ends where it does not come.
    ///
    /// # Errors
    /// [`Unsatisfied`] at once when the wait can no longer be satisfied, and at the limit otherwise.
    ///
    /// # Cancellation
    /// Dropping the future stops the wait and changes nothing.
    pub(crate) async fn wait(
        &self,
        connection: usize,
        wanted: Wanted,
        limit: Duration,
    ) -> Result<(), Unsatisfied> {
        self.wait_and_then(connection, wanted, limit, AfterFailure::Ends)
            .await
    }

    /// The same for a handler, which goes on where it does not come.
    ///
    /// # Errors
    /// As for [`Self::wait`].
    pub(super) async fn wait_in_handler(
        &self,
        connection: usize,
        wanted: Wanted,
        limit: Duration,
    ) -> Result<(), Unsatisfied> {
        let now = Instant::now();
        let far = Duration::from_secs(u32::MAX.into());
        let over = now.checked_add(limit).or_else(|| now.checked_add(far));
        let then = AfterFailure::GoesOn(over.unwrap_or(now));
        self.wait_and_then(connection, wanted, limit, then).await
    }

    async fn wait_and_then(
        &self,
        connection: usize,
        wanted: Wanted,
        limit: Duration,
        then: AfterFailure,
    ) -> Result<(), Unsatisfied> {
        let words = self.waits().words(&wanted);
        self.set_waits_for(connection, Some(words));
        let end = self.waits().wait(connection, wanted.clone(), then);
        let _waiting = WaitGuard {
            coordinator: self,
            connection,
        };
        tokio::pin!(end);
        // Whoever drops the other end has not satisfied the wait.
        let dropped = || -> WaitEnd {
            Err(Unsatisfied {
                wanted: self.waits().words(&wanted),
                failure: WaitFailure::Stopped,
                reasons: vec!["the run has begun anew".to_owned()],
                cycle: Vec::new(),
            })
        };
        match tokio::time::timeout(limit, &mut end).await {
            Ok(ended) => ended.unwrap_or_else(|_| dropped()),
            Err(_) => {
                let timed_out = self.waits().time_out(connection);
                match timed_out {
                    Some(why) => Err(why),
                    // It ended in this very moment.
                    None => end.await.unwrap_or_else(|_| dropped()),
                }
            }
        }
    }

    /// The number of a barrier for so many connections, which is made where it is not known yet.
    ///
    /// # Errors
    /// A line where it is for another number of connections.
    pub(crate) fn barrier(&self, name: &str, parties: u32) -> Result<usize, String> {
        self.waits().barrier(name, parties)
    }

    /// A connection signals an event.
    pub fn signal(&self, connection: usize, name: &str) {
        self.emit(Some(connection), name, false);
    }

    /// Somebody who is no connection signals an event.
    pub fn signal_from(&self, outsider: &str, name: &str) {
        self.emit_from(None, outsider, name, false);
    }

    /// An event comes.
    pub(super) fn emit(&self, connection: Option<usize>, name: &str, of_job: bool) {
        let from = self.look(|shared| {
            let record = connection.and_then(|connection| shared.connections.get(connection));
            record.map(|record| record.name.clone()).unwrap_or_default()
        });
        self.emit_from(connection, &from, name, of_job);
    }

    fn emit_from(&self, connection: Option<usize>, from: &str, name: &str, of_job: bool) {
        let at_us = self.now_us();
        tracing::debug!(event = name, "signals");
        let mut shared = self.lock();
        shared.events.push(EventRecord {
            at_us,
            name: name.to_owned(),
            connection,
            of_job,
        });
        self.bus.publish(from, || Message::Signalled {
            event: name.to_owned(),
        });
        drop(shared);
        self.waits().signal(name);
    }

    /// Somebody who is no connection may signal events and send messages from now on: a wait for one is no longer
    /// known to be unsatisfiable.
    pub fn let_outsiders_act(&self) {
        self.waits().let_outsiders_act();
    }

    /// Ends all waits: the trial ends here.
    pub fn end_all_waits(&self) {
        self.waits().stop("the trial was over its limit", false);
    }

    /// Asks all connections to end: waits end at once, and no other one begins.
    pub fn shut_down(&self, from: &str) {
        let shared = self.lock();
        if !self.stop.send_replace(true) {
            self.bus.publish(from, || Message::Shutdown);
        }
        drop(shared);
        self.waits().stop("the coordinator shuts down", true);
    }

    /// Whether the connections are asked to end.
    #[must_use]
    pub fn stop_signal(&self) -> tokio::sync::watch::Receiver<bool> {
        self.stop.subscribe()
    }
}
