//! What connections share, as one of them has it.

use std::sync::Arc;
use std::time::Duration;

use super::inbox::{Incoming, SendError};
use super::message::Subscription;
use super::messages::Unread;
use super::waits::graph::{ALL_CONNECTIONS_READY, Wanted};
use super::waits::participant::Unsatisfied;
use super::{Coordinator, SharedState};
use crate::history::{Done, JobSeen, Outcome, SessionFlags, SqlValue, StepEnd, Vars, Went};

/// One connection's handle on what is shared: a handler's context works with it.
#[derive(Debug, Clone)]
pub(crate) struct CoordinationHandle {
    coordinator: Arc<Coordinator>,
    number: usize,
}

impl CoordinationHandle {
    pub fn new(coordinator: Arc<Coordinator>, number: usize) -> Self {
        Self { coordinator, number }
    }

    /// For a connection without others.
    pub fn alone(name: &str) -> Self {
        let coordinator = Arc::new(Coordinator::of_handlers());
        let number = coordinator.add(name);
        Self::new(coordinator, number)
    }

    pub fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    fn name(&self) -> String {
        let name = |shared: &SharedState| Some(shared.connections.get(self.number)?.name.clone());
        self.coordinator.look(name).unwrap_or_default()
    }

    // --- variables and series

    pub fn var(&self, name: &str) -> Option<SqlValue> {
        self.coordinator.var_of(self.number, name)
    }

    pub fn set_var(&self, name: &str, value: SqlValue) {
        self.coordinator.set_var(self.number, name, value);
    }

    pub fn add(&self, name: &str, number: i128) -> Result<i128, String> {
        self.coordinator.add_whole(self.number, name, number)
    }

    pub fn record(&self, series: &str, value: SqlValue) {
        self.coordinator.record(series, value);
    }

    pub fn shared_state(&self) -> SharedState {
        self.coordinator.snapshot()
    }

    // --- waits

    pub fn signal(&self, event: &str) {
        self.coordinator.signal(self.number, event);
    }

    pub async fn wait_for(&self, event: &str, limit: Duration) -> Result<(), Unsatisfied> {
        // A plan's connections are all open before the first state, so its event of this name is any other.
        let wanted = if event == ALL_CONNECTIONS_READY && self.coordinator.of_handlers {
            Wanted::AllConnected
        } else {
            Wanted::Event {
                name: event.to_owned(),
                times: 1,
            }
        };
        self.wait(wanted, limit).await
    }

    pub fn barrier(&self, name: &str, parties: u32) -> Result<usize, String> {
        self.coordinator.barrier(name, parties)
    }

    pub async fn wait_at(&self, barrier: usize, limit: Duration) -> Result<(), Unsatisfied> {
        self.wait(Wanted::Barrier(barrier), limit).await
    }

    async fn wait(&self, wanted: Wanted, limit: Duration) -> Result<(), Unsatisfied> {
        let began_us = self.coordinator.now_us();
        let waited = self.coordinator.wait_in_handler(self.number, wanted, limit).await;
        self.record_wait(began_us, waited.as_ref().err());
        waited
    }

    /// Keeps a record of a wait that failed; how long any other one lasted is told with the next statement.
    fn record_wait(&self, began_us: u64, failed: Option<&Unsatisfied>) {
        if !self.coordinator.of_handlers {
            return;
        }
        let Some(why) = failed else {
            let waited_us = self.coordinator.now_us().saturating_sub(began_us);
            self.coordinator.add_waited(self.number, waited_us);
            return;
        };
        let text = format!("waits for {}", why.wanted);
        let number = self.coordinator.begin_statement(self.number, &text);
        let now_us = self.coordinator.now_us();
        let waited_us = now_us.saturating_sub(began_us);
        self.coordinator.change_step(number, |record| {
            record.started_us = began_us;
            record.waited_us = waited_us;
        });
        let went = Went::Unsatisfied {
            wanted: why.wanted.clone(),
            want: None,
            failure: why.failure,
            reasons: why.reasons.clone(),
            cycle: why.cycle.clone(),
        };
        let end = ended(now_us, waited_us, Outcome::Done(Done::default()));
        self.coordinator.end_step(self.number, number, end, went);
    }

    // --- messages

    pub fn send(&self, to: &str, topic: String, payload: serde_json::Value) -> Result<(), SendError> {
        self.coordinator.send(&self.name(), to, topic, payload)
    }

    pub fn broadcast(&self, topic: String, payload: serde_json::Value) {
        self.coordinator.broadcast(&self.name(), topic, payload);
    }

    pub async fn receive(&self, limit: Duration) -> Result<Incoming, Unread> {
        let began_us = self.coordinator.now_us();
        let received = self.coordinator.receive(self.number, limit).await;
        match &received {
            Ok(_) => self.record_wait(began_us, None),
            Err(Unread::Unsatisfied(why)) => self.record_wait(began_us, Some(why)),
            Err(Unread::Missed(_)) => {}
        }
        received
    }

    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.coordinator.subscribe(&self.name(), capacity)
    }

    // --- the session, its statements, jobs

    pub fn enter(&self, state: &str, testing: bool) {
        self.coordinator.enter_handler(self.number, state, testing);
    }

    /// The connection has ended; `told` is why it failed, without what others have to do with it.
    pub fn end(&self, failed: Option<String>, told: Option<String>) {
        self.coordinator.end_and_tell(self.number, failed, told);
    }

    pub fn connecting(&self) {
        self.coordinator.connecting(self.number);
    }

    pub fn connected(&self, session: u64, version: &str, testing: bool) {
        self.coordinator.connected(self.number, session, version, testing);
    }

    pub fn close_session(&self) {
        self.coordinator.close_session(self.number);
    }

    pub fn retried(&self, pause: Duration) {
        self.coordinator.retried(self.number, pause);
    }

    /// Whether the newest session was found to be gone.
    pub fn is_gone(&self) -> bool {
        self.coordinator.is_gone(self.number)
    }

    /// A statement begins; where the states are a plan's, their own records are all there is.
    pub fn begin_statement(&self, sql: &str) -> Option<usize> {
        let recorded = self.coordinator.of_handlers;
        recorded.then(|| self.coordinator.begin_statement(self.number, sql))
    }

    /// The same statement has ended; `flags` came with its answer.
    pub fn end_statement(
        &self,
        number: Option<usize>,
        took: Duration,
        outcome: &Outcome,
        flags: Option<SessionFlags>,
    ) {
        let Some(number) = number else { return };
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let end = StepEnd {
            flags,
            ..ended(self.coordinator.now_us(), took_us, outcome.clone())
        };
        self.coordinator.end_step(self.number, number, end, Went::On);
    }

    pub fn saw_job(&self, seen: &JobSeen) {
        self.coordinator.saw_job(self.number, seen);
    }
}

fn ended(at_us: u64, took_us: u64, outcome: Outcome) -> StepEnd {
    StepEnd {
        at_us,
        took_us,
        outcome,
        statement: 0,
        warnings: None,
        plan: None,
        vars: Vars::new(),
        save_problem: None,
        flags: None,
    }
}
