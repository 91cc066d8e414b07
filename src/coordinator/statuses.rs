//! Where each connection is: its sessions, its status, its state, its end.

use std::collections::BTreeSet;

use super::message::Message;
use super::{ALL_CONNECTIONS_READY, Coordinator};
use crate::history::{ConnectionRecord, Status, Vars};

/// The state that a connection is in while the server says that its statement waits.
const BLOCKED: &str = "blocked";

impl Coordinator {
    /// Begins again with the same sessions: for another order of the same steps.
    pub fn begin_again(&self, vars: Vars) {
        self.clock.restart();
        let mut shared = self.lock();
        for record in &mut shared.connections {
            let session = record.session();
            let name = std::mem::take(&mut record.name);
            *record = ConnectionRecord {
                states: vec![(0, "initial".to_owned())],
                sessions: session.into_iter().collect(),
                ..ConnectionRecord::new(name)
            };
            record.set_status(0, Status::Connected);
        }
        shared.vars = vars;
        shared.own.iter_mut().for_each(Vars::clear);
        self.log().clear();
    }

    /// Begins a run of handlers. Of a run before, only the variables stay; before the first one, what was signalled
    /// and sent stays, too.
    pub fn begin_run(&self) {
        self.clock.restart();
        let mut shared = self.lock();
        let mut connections = shared.connections.iter();
        if connections.all(|connection| connection.status == Status::NotStarted) {
            return;
        }
        for record in &mut shared.connections {
            *record = ConnectionRecord::new(std::mem::take(&mut record.name));
        }
        shared.events.clear();
        shared.series.clear();
        shared.jobs.clear();
        self.log().clear();
        self.bus.clear_inboxes();
        self.waits().restart();
    }

    /// Changes the record of one connection, and tells of it. Messages are sent under the lock, so that all get them
    /// in the order in which the state changed.
    fn change(&self, connection: usize, change: impl FnOnce(u64, &mut ConnectionRecord) -> Option<Message>) {
        let at_us = self.now_us();
        let mut shared = self.lock();
        let Some(record) = shared.connections.get_mut(connection) else {
            return;
        };
        let before = record.status;
        let message = change(at_us, record);
        if record.status != before {
            let status = record.status;
            self.bus
                .publish(&record.name, || Message::StatusChanged { status });
        }
        if let Some(message) = message {
            self.bus.publish(&record.name, || message);
        }
    }

    /// A connection enters a state.
    pub fn enter(&self, connection: usize, state: &str) {
        self.enter_at(connection, state, self.now_us());
    }

    /// A connection entered a state at a time that was noted.
    pub fn enter_at(&self, connection: usize, state: &str, at_us: u64) {
        if let Some(record) = self.lock().connections.get_mut(connection) {
            tracing::debug!(connection = record.name, state, "enters");
            record.states.push((at_us, state.to_owned()));
            let entered = || Message::StateEntered {
                state: state.to_owned(),
            };
            self.bus.publish(&record.name, entered);
        }
    }

    /// A connection enters a state of a plan; `again` if another round follows this one.
    pub fn enter_state(&self, connection: usize, state: usize, name: &str, again: bool) {
        self.enter(connection, name);
        self.waits().enter(connection, state, again);
    }

    /// A connection enters a state whose work is a handler's; `testing` if it is a part of the test, not of the way
    /// there.
    pub fn enter_handler(&self, connection: usize, name: &str, testing: bool) {
        if testing {
            self.change(connection, |at_us, record| {
                if record.status == Status::Connected {
                    record.set_status(at_us, Status::Testing);
                }
                None
            });
        }
        self.enter(connection, name);
        let mut waits = self.waits();
        let state = waits.state_of_handlers(name);
        waits.enter(connection, state, false);
    }

    /// A connection's last wait was none: its state was never left.
    pub fn forget_blocked(&self, connection: usize) {
        if let Some(record) = self.lock().connections.get_mut(connection)
            && let Some(at) = record.states.iter().rposition(|(_, state)| state == BLOCKED)
        {
            record.states.truncate(at);
        }
    }

    /// A connection's status changes; lifecycle states are entered with it.
    pub fn set_status(&self, connection: usize, status: Status) {
        self.change(connection, |at_us, record| {
            record.set_status(at_us, status);
            let lifecycle = !matches!(status, Status::NotStarted | Status::Testing);
            if lifecycle {
                record.states.push((at_us, status.word().to_owned()));
            }
            None
        });
    }

    /// A connection closes its session.
    pub fn close_session(&self, connection: usize) {
        self.log().closed.insert(connection);
    }

    /// A connection has a new session.
    pub fn add_session(&self, connection: usize, session: u64) {
        self.log().closed.remove(&connection);
        if let Some(record) = self.lock().connections.get_mut(connection) {
            record.sessions.push(session);
            record.gone_us = None;
        }
    }

    /// A handler begins to open a session.
    pub fn connecting(&self, connection: usize) {
        if self.of_handlers {
            self.change(connection, |at_us, record| {
                record.set_status(at_us, Status::Connecting);
                None
            });
        }
    }

    /// A handler has opened a session; `testing` if it did so in the middle of the test.
    pub fn connected(&self, connection: usize, session: u64, version: &str, testing: bool) {
        self.add_session(connection, session);
        self.change(connection, |at_us, record| {
            record.server_version = Some(version.to_owned());
            if self.of_handlers {
                record.set_status(at_us, Status::Connected);
            }
            Some(Message::ConnectionEstablished {
                session,
                server_version: version.to_owned(),
            })
        });
        if !self.of_handlers {
            return;
        }
        if testing {
            self.change(connection, |at_us, record| {
                record.set_status(at_us, Status::Testing);
                None
            });
        }
        let all = self.waits().connect(connection);
        if all {
            self.emit(Some(connection), ALL_CONNECTIONS_READY, false);
            self.bus.publish_own(|| Message::AllConnectionsReady);
        }
    }

    /// The server's id of a connection's newest session.
    #[must_use]
    pub fn session(&self, connection: usize) -> Option<u64> {
        self.lock()
            .connections
            .get(connection)
            .and_then(ConnectionRecord::session)
    }

    /// The newest sessions of connections that have not ended.
    #[must_use]
    pub fn open_sessions(&self) -> Vec<(usize, u64)> {
        let closed = self.log().closed.clone();
        let shared = self.lock();
        let connections = shared.connections.iter().enumerate();
        let open = connections.filter(|(number, own)| {
            let open = matches!(own.status, Status::Connected | Status::Testing);
            open && own.gone_us.is_none() && !closed.contains(number)
        });
        open.filter_map(|(number, own)| Some((number, own.session()?)))
            .collect()
    }

    /// Connections that have a session and run no statement.
    #[must_use]
    pub fn resting(&self) -> Vec<usize> {
        let running = self.log().running.clone();
        let testing = self.look(|shared| {
            let connections = shared.connections.iter().enumerate();
            let testing = connections.filter(|(_, own)| own.status == Status::Testing);
            testing.map(|(number, _)| number).collect::<BTreeSet<_>>()
        });
        let open = self.open_sessions().into_iter().map(|(number, _)| number);
        open.filter(|number| testing.contains(number) && !running.contains_key(number))
            .collect()
    }

    /// The session of a connection that rests is no longer there. Says whether that is so still: it may have ended,
    /// or opened another session, while the server was asked.
    pub fn note_gone(&self, connection: usize, session: u64) -> bool {
        let at_us = self.now_us();
        let log = self.log();
        let busy = log.running.contains_key(&connection) || log.closed.contains(&connection);
        drop(log);
        let mut shared = self.lock();
        let Some(record) = shared.connections.get_mut(connection) else {
            return false;
        };
        let same = record.session() == Some(session) && !record.has_ended();
        if !same || busy || record.gone_us.is_some() {
            return false;
        }
        tracing::warn!(connection = record.name, session, "its session is gone");
        record.gone_us = Some(at_us);
        self.bus
            .publish(&record.name, || Message::SessionLost { session });
        true
    }

    /// Whether a connection's newest session was found to be gone while it rested.
    #[must_use]
    pub fn is_gone(&self, connection: usize) -> bool {
        let shared = self.lock();
        let record = shared.connections.get(connection);
        record.is_some_and(|record| record.gone_us.is_some())
    }

    /// A connection has ended; `failed` says why, where it did not complete.
    pub fn end(&self, connection: usize, failed: Option<String>) {
        self.end_and_tell(connection, failed.clone(), failed);
    }

    /// The same; `told` is the reason for those who wait for it, without what others have to do with it.
    pub fn end_and_tell(&self, connection: usize, failed: Option<String>, told: Option<String>) {
        let (status, message) = match failed {
            None => (Status::Completed, Message::TestCompleted),
            Some(reason) => {
                let state = self.look(|shared| {
                    let record = shared.connections.get(connection)?;
                    record.state().map(str::to_owned)
                });
                (Status::Failed, Message::ConnectionFailed { state, reason })
            }
        };
        self.change(connection, |at_us, record| {
            if let Message::ConnectionFailed { reason, .. } = &message {
                // Where it was at the trial's limit says more than that it was ended there.
                record.failure.get_or_insert_with(|| reason.clone());
            }
            record.set_status(at_us, status);
            record.states.push((at_us, status.word().to_owned()));
            record.waits_for = None;
            Some(message)
        });
        self.waits().end(connection, told);
    }

    /// Writes down where each connection is that has not ended: the trial ends here.
    pub fn note_whereabouts(&self) {
        let whereabouts = self.waits().all_whereabouts();
        let mut shared = self.lock();
        for (connection, whereabouts) in whereabouts {
            if let Some(record) = shared.connections.get_mut(connection) {
                record.failure = Some(whereabouts);
            }
        }
    }
}
