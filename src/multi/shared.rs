//! What the connections of a coordinator share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::watch;

use super::machine::{MachineError, MachineEvent, MachineReport};
use super::message::{Bus, COORDINATOR, Message};
use crate::handler::{ContextEvent, Coordination, ImportJob, SharedSnapshot, State, WaitError};
use crate::history::{SqlValue, Status, Vars};

/// The event that comes when every connection has had a session.
pub const ALL_CONNECTIONS_READY: &str = "all_connections_ready";

/// The state that all connections of a coordinator share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SharedTestState {
    /// One for each connection, in the order in which they were added.
    pub connections: Vec<ConnectionResult>,
    /// Variables.
    pub vars: Vars,
    /// Events in the order in which they came, each once.
    pub events: Vec<String>,
    /// Series by name.
    pub series: BTreeMap<String, Vec<SqlValue>>,
    /// Import jobs by number, as they were seen last.
    pub import_jobs: BTreeMap<i64, ImportJob>,
}

/// What became of one connection. Times are microseconds since the run began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionResult {
    /// Its name.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// Each status that it has had, with the time from which it had it.
    pub statuses: Vec<(u64, Status)>,
    /// States in the order in which they were entered.
    pub states: Vec<String>,
    /// The server's id of its newest session.
    pub session: Option<u64>,
    /// What `select version()` answers.
    pub server_version: Option<String>,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// How often something was tried again.
    pub retries: u32,
    /// The event for which it waits.
    pub waits_for: Option<String>,
    /// From its start to its end.
    pub took: Duration,
}

impl ConnectionResult {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            statuses: vec![(0, Status::NotStarted)],
            ..Self::default()
        }
    }

    /// Whether it has completed or failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status, Status::Completed | Status::Failed)
    }

    fn was_connected(&self) -> bool {
        self.statuses
            .iter()
            .any(|(_, status)| *status == Status::Connected)
    }
}

/// The shared state with what goes on around it: waits, messages, the end.
#[derive(Debug)]
pub(super) struct Shared {
    pub state: Arc<Mutex<SharedTestState>>,
    pub bus: Bus,
    began: Mutex<Instant>,
    // Wakes those who wait; they look for themselves.
    changed: watch::Sender<()>,
    stop: watch::Sender<bool>,
    // Whether somebody who is no connection may signal events.
    outsiders: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is whole before anything of the user's runs, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Arc::default(),
            bus: Bus::default(),
            began: Mutex::new(Instant::now()),
            changed: watch::Sender::new(()),
            stop: watch::Sender::new(false),
            outsiders: AtomicBool::new(false),
        })
    }

    /// For a machine that runs without others.
    pub fn alone(id: &str) -> Arc<dyn Coordination> {
        let shared = Self::new();
        shared.add(id);
        shared.seat(0)
    }

    pub fn add(&self, id: &str) {
        self.lock().connections.push(ConnectionResult::new(id));
    }

    pub fn lock(&self) -> MutexGuard<'_, SharedTestState> {
        lock(&self.state)
    }

    pub fn seat(self: &Arc<Self>, number: usize) -> Arc<Seat> {
        Arc::new(Seat {
            shared: Arc::clone(self),
            number,
        })
    }

    /// A run begins. Of a run before, only the variables stay; what was signalled before the first one does, too.
    pub fn begin(&self) {
        *lock(&self.began) = Instant::now();
        let mut state = self.lock();
        if state
            .connections
            .iter()
            .all(|connection| connection.status == Status::NotStarted)
        {
            return;
        }
        for connection in &mut state.connections {
            *connection = ConnectionResult::new(&connection.id);
        }
        state.events.clear();
        state.series.clear();
        state.import_jobs.clear();
    }

    pub fn let_outsiders_signal(&self) {
        self.outsiders.store(true, Ordering::Relaxed);
    }

    pub fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub fn shut_down(&self, from: &str) {
        let state = self.lock();
        if !self.stop.send_replace(true) {
            self.bus.publish(from, &Message::Shutdown);
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Since the run began.
    pub fn elapsed(&self) -> Duration {
        lock(&self.began).elapsed()
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Changes the state of one connection. Messages are sent under the lock, so that all get them in the order
    /// in which the state changed.
    fn change(&self, number: usize, change: impl FnOnce(&mut ConnectionResult) -> Vec<Message>) {
        let at_us = self.now_us();
        let mut state = self.lock();
        let Some(connection) = state.connections.get_mut(number) else {
            return;
        };
        let before = connection.status;
        let mut messages = change(connection);
        if connection.status != before {
            let status = connection.status;
            connection.statuses.push((at_us, status));
            messages.insert(0, Message::StatusChanged { status });
        }
        let id = connection.id.clone();
        for message in &messages {
            self.bus.publish(&id, message);
        }
        let ready = state.connections.iter().all(ConnectionResult::was_connected);
        if ready && !state.events.iter().any(|event| event == ALL_CONNECTIONS_READY) {
            state.events.push(ALL_CONNECTIONS_READY.to_owned());
            self.bus.publish(COORDINATOR, &Message::AllConnectionsReady);
        }
        drop(state);
        self.changed.send_replace(());
    }

    pub fn machine_event(&self, number: usize, event: &MachineEvent<'_>) {
        self.change(number, |connection| match event {
            MachineEvent::Entered(state) => {
                connection.states.push(state.name().to_owned());
                if is_test(state.name()) && connection.status == Status::Connected {
                    connection.status = Status::Testing;
                }
                vec![Message::StateEntered {
                    state: state.name().to_owned(),
                }]
            }
            MachineEvent::Context(ContextEvent::Connecting) => {
                connection.status = Status::Connecting;
                Vec::new()
            }
            MachineEvent::Context(ContextEvent::Connected { session, version }) => {
                connection.session = Some(*session);
                connection.server_version = Some(version.clone());
                connection.status = Status::Connected;
                vec![Message::ConnectionEstablished {
                    session: *session,
                    server_version: version.clone(),
                }]
            }
            MachineEvent::Context(ContextEvent::Retried { .. }) => {
                connection.retries += 1;
                Vec::new()
            }
        });
        // A session that was opened anew in the middle of the test goes on with it.
        let again = matches!(event, MachineEvent::Context(ContextEvent::Connected { .. }));
        if again {
            self.change(number, |connection| {
                if connection.states.last().is_some_and(|state| is_test(state)) {
                    connection.status = Status::Testing;
                }
                Vec::new()
            });
        }
    }

    pub fn ended(&self, number: usize, result: &Result<MachineReport, MachineError>) {
        match result {
            Ok(report) => self.change(number, |connection| {
                connection.took = report.took;
                connection.status = Status::Completed;
                vec![Message::TestCompleted]
            }),
            Err(error) => self.failed(number, error.failure.to_string(), error.report.took),
        }
    }

    pub fn failed(&self, number: usize, reason: String, took: Duration) {
        self.change(number, |connection| {
            connection.took = took;
            connection.status = Status::Failed;
            connection.failure = Some(reason.clone());
            let state = connection.states.last().cloned();
            vec![Message::ConnectionFailed { state, reason }]
        });
    }

    pub fn signal(&self, from: &str, event: &str) {
        let mut state = self.lock();
        if !state.events.iter().any(|known| known == event) {
            state.events.push(event.to_owned());
        }
        let event = event.to_owned();
        self.bus.publish(from, &Message::Signalled { event });
        drop(state);
        self.changed.send_replace(());
    }

    /// Why an event can no longer come, for a connection that waits for it: everybody else has ended or waits for
    /// what has not come either.
    fn in_vain(&self, state: &SharedTestState, number: usize, event: &str) -> Option<Vec<String>> {
        if event == ALL_CONNECTIONS_READY {
            let unready: Vec<String> = state
                .connections
                .iter()
                .filter(|connection| connection.has_ended() && !connection.was_connected())
                .map(|connection| format!("`{}` has no session and never will", connection.id))
                .collect();
            return (!unready.is_empty()).then_some(unready);
        }
        if self.outsiders.load(Ordering::Relaxed) {
            return None;
        }
        let others = state.connections.iter().enumerate();
        let reasons: Option<Vec<String>> = others
            .filter(|(other, _)| *other != number)
            .map(|(_, other)| match (&other.waits_for, other.status) {
                (_, Status::Completed) => Some(format!("`{}` completed without it", other.id)),
                (_, Status::Failed) => Some(format!("`{}` failed", other.id)),
                (Some(waits_for), _) if !state.events.contains(waits_for) => {
                    Some(format!("`{}` waits for `{waits_for}` itself", other.id))
                }
                _ => None,
            })
            .collect();
        let alone = || vec!["there is no other connection".to_owned()];
        reasons.map(|reasons| if reasons.is_empty() { alone() } else { reasons })
    }
}

fn is_test(state: &str) -> bool {
    match State::named(state.to_owned()) {
        State::Testing | State::Custom(_) => true,
        State::Initial
        | State::Connecting
        | State::Connected
        | State::VerifyingDatabase
        | State::GettingVersion => false,
    }
}

/// One connection's place at the shared state.
#[derive(Debug)]
pub(super) struct Seat {
    shared: Arc<Shared>,
    number: usize,
}

impl Seat {
    fn id(&self, state: &SharedTestState) -> String {
        let connection = state.connections.get(self.number);
        connection.map_or_else(String::new, |connection| connection.id.clone())
    }

    fn wait(&self, event: Option<&str>) {
        if let Some(connection) = self.shared.lock().connections.get_mut(self.number) {
            connection.waits_for = event.map(str::to_owned);
        }
        // That one more waits may be what makes another wait in vain.
        self.shared.changed.send_replace(());
    }
}

/// Notes that a wait is over, also where its future is dropped.
struct Waiting<'s>(&'s Seat);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.wait(None);
    }
}

#[async_trait]
impl Coordination for Seat {
    fn var(&self, name: &str) -> Option<SqlValue> {
        self.shared.lock().vars.get(name).cloned()
    }

    fn set_var(&self, name: &str, value: SqlValue) {
        let mut state = self.shared.lock();
        state.vars.insert(name.to_owned(), value.clone());
        let from = self.id(&state);
        let name = name.to_owned();
        self.shared
            .bus
            .publish(&from, &Message::VariableSet { name, value });
    }

    fn add(&self, name: &str, number: i128) -> Result<i128, String> {
        let mut state = self.shared.lock();
        let before = match state.vars.get(name) {
            None | Some(SqlValue::Null) => 0,
            Some(SqlValue::Int(before)) => *before,
            Some(other) => return Err(format!("it is {}, no whole number", crate::history::show(other))),
        };
        let sum = before
            .checked_add(number)
            .ok_or_else(|| format!("{before} and {number} are more than fits"))?;
        let value = SqlValue::Int(sum);
        state.vars.insert(name.to_owned(), value.clone());
        let from = self.id(&state);
        let name = name.to_owned();
        self.shared
            .bus
            .publish(&from, &Message::VariableSet { name, value });
        Ok(sum)
    }

    fn signal(&self, event: &str) {
        let from = self.id(&self.shared.lock());
        self.shared.signal(&from, event);
    }

    async fn wait_for(&self, event: &str, limit: Duration) -> Result<(), WaitError> {
        let named = || event.to_owned();
        let mut changed = self.shared.changed.subscribe();
        let deadline = tokio::time::Instant::now() + limit;
        self.wait(Some(event));
        let _waiting = Waiting(self);
        loop {
            changed.mark_unchanged();
            {
                let state = self.shared.lock();
                if state.events.iter().any(|known| known == event) {
                    return Ok(());
                }
                if *self.shared.stop.borrow() {
                    return Err(WaitError::ShutDown { event: named() });
                }
                if let Some(reasons) = self.shared.in_vain(&state, self.number, event) {
                    return Err(WaitError::InVain {
                        event: named(),
                        reasons,
                    });
                }
            }
            if tokio::time::timeout_at(deadline, changed.changed())
                .await
                .is_err()
            {
                return Err(WaitError::OverTime {
                    event: named(),
                    limit_ms: limit.as_millis(),
                });
            }
        }
    }

    fn record(&self, series: &str, value: SqlValue) {
        let mut state = self.shared.lock();
        state.series.entry(series.to_owned()).or_default().push(value);
    }

    /// Several monitors may see the same change; it is told once.
    fn import_job(&self, job: &ImportJob) {
        let mut state = self.shared.lock();
        let before = state.import_jobs.get(&job.id);
        // A monitor that asked earlier may answer later: what is over stays over.
        if before.is_some_and(|before| before == job || before.is_over()) {
            return;
        }
        let from = self.id(&state);
        let status_before = before.map(|before| before.status.clone());
        let message = match &status_before {
            None => Message::ImportJobAdded(job.clone()),
            Some(_) => Message::ImportJobUpdated(job.clone()),
        };
        if status_before.is_none() || !job.is_over() {
            self.shared.bus.publish(&from, &message);
        }
        if job.is_over() {
            self.shared
                .bus
                .publish(&from, &Message::ImportJobCompleted(job.clone()));
        }
        state.import_jobs.insert(job.id, job.clone());
        drop(state);
        if status_before.as_ref() != Some(&job.status) {
            self.shared
                .signal(&from, &format!("import.{}.{}", job.id, job.status));
        }
    }

    fn snapshot(&self) -> SharedSnapshot {
        let state = self.shared.lock();
        SharedSnapshot {
            vars: state.vars.clone(),
            events: state.events.clone(),
            series: state.series.clone(),
        }
    }
}
