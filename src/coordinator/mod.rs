//! What connections share: state, and who is blocked by whom.

mod shared;
pub(crate) mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::history::{ConnectionRecord, EventRecord, History, JobRecord, SqlValue, Status, StepRecord, Vars};

pub use waits::Reach;

use waits::{Map, Waits};

/// The state that a connection is in while the server says that its statement waits.
const BLOCKED: &str = "blocked";

/// The state that all connections of a trial share.
#[derive(Debug)]
pub struct Coordinator {
    began: Instant,
    /// When the clock began anew, in microseconds since it first did.
    zero_us: AtomicU64,
    shared: Mutex<SharedState>,
    waits: Mutex<Waits>,
}

/// What is shared.
#[derive(Debug, Clone, Default)]
pub struct SharedState {
    /// Variables.
    pub vars: Vars,
    /// One for each connection, in the plan's order.
    pub connections: Vec<ConnectionRecord>,
    /// Steps, in the order in which they began.
    pub steps: Vec<StepRecord>,
    /// Events in the order in which they came.
    pub events: Vec<EventRecord>,
    /// Recorded values by series.
    pub series: BTreeMap<String, Vec<(u64, SqlValue)>>,
    /// Jobs that are watched.
    pub jobs: Vec<JobRecord>,
    /// The records of steps that have not ended, by their connections.
    pub running: BTreeMap<usize, usize>,
    /// Connections whose step was over its limit, so that it is to go no further.
    pub over_limit: BTreeSet<usize>,
    /// Connections whose statement the server says is waiting for a lock.
    pub blocked: BTreeSet<usize>,
}

impl Coordinator {
    /// A coordinator for these connections.
    #[must_use]
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, vars: Vars) -> Self {
        Self::with_map(names, vars, Map::default())
    }

    /// A coordinator for connections that run freely: the map tells what may come of each of their states.
    #[must_use]
    pub fn with_map<'n>(names: impl IntoIterator<Item = &'n str>, vars: Vars, map: Map) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let waits = Waits::new(names.iter().map(|&name| name.to_owned()).collect(), map);
        let connections = names.into_iter().map(|name| ConnectionRecord {
            name: name.to_owned(),
            states: vec![(0, "initial".to_owned())],
            ..ConnectionRecord::default()
        });
        let shared = SharedState {
            vars,
            connections: connections.collect(),
            ..SharedState::default()
        };
        Self {
            began: Instant::now(),
            zero_us: AtomicU64::new(0),
            shared: Mutex::new(shared),
            waits: Mutex::new(waits),
        }
    }

    /// Microseconds since the trial's connections began to open.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.us_at(Instant::now())
    }

    /// The same for a moment that was noted.
    #[must_use]
    pub fn us_at(&self, at: Instant) -> u64 {
        let us = u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX);
        us.saturating_sub(self.zero_us.load(Ordering::Relaxed))
    }

    /// Begins again with the same sessions: for another order of the same steps.
    pub fn begin_again(&self, vars: Vars) {
        let now_us = self.now_us();
        self.zero_us.fetch_add(now_us, Ordering::Relaxed);
        let mut shared = self.lock();
        for record in &mut shared.connections {
            let session = record.sessions.last().copied();
            *record = ConnectionRecord {
                name: std::mem::take(&mut record.name),
                states: vec![(0, "initial".to_owned())],
                sessions: session.into_iter().collect(),
                status: Status::Connected,
                ..ConnectionRecord::default()
            };
        }
        shared.vars = vars;
        shared.steps.clear();
        shared.running.clear();
    }

    /// What happened, as far as the connections' shared state tells: it is taken out.
    #[must_use]
    pub fn take_history(&self) -> History {
        let mut shared = self.lock();
        History {
            connections: shared.connections.clone(),
            vars: shared.vars.clone(),
            steps: std::mem::take(&mut shared.steps),
            events: std::mem::take(&mut shared.events),
            series: std::mem::take(&mut shared.series),
            jobs: std::mem::take(&mut shared.jobs),
            ..History::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, SharedState> {
        // Every change is a single assignment or push, so a panic elsewhere leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
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
        }
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
        let at_us = self.now_us();
        if let Some(record) = self.lock().connections.get_mut(connection) {
            record.status = status;
            let lifecycle = !matches!(status, Status::NotStarted | Status::Testing);
            if lifecycle {
                record.states.push((at_us, status.word().to_owned()));
            }
        }
    }

    /// A connection's step is over its limit: of a list of statements no other one is to be run; or it begins one.
    pub fn set_over_limit(&self, connection: usize, over: bool) {
        let mut shared = self.lock();
        if over {
            shared.over_limit.insert(connection);
        } else {
            shared.over_limit.remove(&connection);
        }
    }

    /// Whether a connection's step is over its limit.
    pub fn is_over_limit(&self, connection: usize) -> bool {
        self.lock().over_limit.contains(&connection)
    }

    /// A connection has a new session.
    pub fn add_session(&self, connection: usize, session: u64) {
        if let Some(record) = self.lock().connections.get_mut(connection) {
            record.sessions.push(session);
            record.gone_us = None;
        }
    }

    /// The server's id of a connection's newest session.
    #[must_use]
    pub fn session(&self, connection: usize) -> Option<u64> {
        self.lock()
            .connections
            .get(connection)
            .and_then(|record| record.sessions.last().copied())
    }

    /// All that is shared, as it is now.
    #[must_use]
    pub fn snapshot(&self) -> SharedState {
        self.lock().clone()
    }

    /// The variables as they are now.
    #[must_use]
    pub fn vars(&self) -> Vars {
        self.lock().vars.clone()
    }

    /// Adds or replaces variables, and returns them all.
    pub fn update_vars(&self, new: Vars) -> Vars {
        let mut shared = self.lock();
        shared.vars.extend(new);
        shared.vars.clone()
    }
}
