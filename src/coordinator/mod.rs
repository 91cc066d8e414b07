//! What connections share while they run: variables, events, barriers, messages, and which waits can still be
//! satisfied. Scenario files and programs have the same.
//!
//! Architecture invariant: it asks no server and waits for nothing but what connections tell it.

mod bus;
mod handle;
mod inbox;
mod jobs;
mod message;
mod messages;
mod owners;
mod state;
mod statuses;
mod step_log;
mod steps;
mod values;
mod waiting;
pub(crate) mod waits;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::history::{ConnectionRecord, History, Vars};
use bus::Bus;
use step_log::StepLog;
use waits::Waits;
use waits::graph::StateGraph;

pub(crate) use handle::CoordinationHandle;
pub use inbox::{Incoming, SendError};
pub use message::{Envelope, Message, Received, Subscription};
pub(crate) use messages::Unread;
pub use owners::Owners;
pub(crate) use owners::Variable;
pub use state::SharedState;
pub use step_log::STATEMENTS_MAX;
pub use waits::graph::{ALL_CONNECTIONS_READY, Effects, Wanted};
pub(crate) use waits::participant::Unsatisfied;

/// What the connections of a trial, or of a program's coordinator, share.
#[derive(Debug)]
pub struct Coordinator {
    clock: TrialClock,
    /// Whether the states are handlers, which open the sessions themselves; otherwise they are a plan's.
    of_handlers: bool,
    shared: Arc<Mutex<SharedState>>,
    /// Whose the variables are, where the states are a plan's.
    owners: Owners,
    log: Mutex<StepLog>,
    waits: Mutex<Waits>,
    bus: Bus,
    /// Whether it shuts down.
    stop: watch::Sender<bool>,
}

/// Microseconds since the trial began.
#[derive(Debug)]
struct TrialClock {
    created: Instant,
    /// When it began anew, in microseconds since it was created.
    zero_us: AtomicU64,
}

impl TrialClock {
    fn us_at(&self, at: Instant) -> u64 {
        let us = u64::try_from(at.saturating_duration_since(self.created).as_micros()).unwrap_or(u64::MAX);
        us.saturating_sub(self.zero_us.load(Ordering::Relaxed))
    }

    fn restart(&self) {
        let now_us = self.us_at(Instant::now());
        self.zero_us.fetch_add(now_us, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while something is changed is one of ours; the connections shall still end in an orderly way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Coordinator {
    /// A coordinator for the connections of a plan.
    #[must_use]
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>, vars: Vars) -> Self {
        Self::with_graph(names, vars, StateGraph::default())
    }

    /// A coordinator for the connections of a plan that take their next step by themselves: the graph tells what
    /// each of their states may do for others.
    #[must_use]
    pub(crate) fn with_graph<'n>(
        names: impl IntoIterator<Item = &'n str>,
        vars: Vars,
        graph: StateGraph,
    ) -> Self {
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let connections = names.iter().map(|name| ConnectionRecord {
            states: vec![(0, "initial".to_owned())],
            ..ConnectionRecord::new(name)
        });
        let shared = SharedState {
            own: vec![Vars::new(); names.len()],
            vars,
            connections: connections.collect(),
            ..SharedState::default()
        };
        Self::with(shared, Waits::new(names, graph), false)
    }

    /// The same with these owners of the variables.
    #[must_use]
    pub(crate) fn with_owners(self, owners: Owners) -> Self {
        Self { owners, ..self }
    }

    /// A coordinator for connections whose states are handlers. They are added one by one.
    #[must_use]
    pub fn of_handlers() -> Self {
        let made = Self::with(SharedState::default(), Waits::default(), true);
        lock(&made.log).statements_max = STATEMENTS_MAX;
        made
    }

    fn with(shared: SharedState, waits: Waits, of_handlers: bool) -> Self {
        let bus = Bus::default();
        for connection in &shared.connections {
            bus.add_inbox(&connection.name);
        }
        Self {
            clock: TrialClock {
                created: Instant::now(),
                zero_us: AtomicU64::new(0),
            },
            of_handlers,
            shared: Arc::new(Mutex::new(shared)),
            owners: Owners::default(),
            log: Mutex::default(),
            waits: Mutex::new(waits),
            bus,
            stop: watch::Sender::new(false),
        }
    }

    /// Adds a connection whose states are handlers; its number comes back.
    pub fn add(&self, name: &str) -> usize {
        let mut shared = self.lock();
        shared.connections.push(ConnectionRecord::new(name));
        shared.own.push(Vars::new());
        self.bus.add_inbox(name);
        self.waits().add_of_handlers(name);
        shared.connections.len() - 1
    }

    /// Microseconds since the trial's connections began to open.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.us_at(Instant::now())
    }

    /// The same for a moment that was noted.
    #[must_use]
    pub fn us_at(&self, at: Instant) -> u64 {
        self.clock.us_at(at)
    }

    fn lock(&self) -> MutexGuard<'_, SharedState> {
        lock(&self.shared)
    }

    fn log(&self) -> MutexGuard<'_, StepLog> {
        lock(&self.log)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        lock(&self.waits)
    }

    /// What is shared, for those who want to look at it themselves. Whoever holds the lock stops all connections.
    #[must_use]
    pub fn shared_state(&self) -> Arc<Mutex<SharedState>> {
        Arc::clone(&self.shared)
    }

    /// All that is shared, as it is now.
    #[must_use]
    pub fn snapshot(&self) -> SharedState {
        self.lock().clone()
    }

    /// Looks at what is shared, as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&SharedState) -> T) -> T {
        look(&self.lock())
    }

    /// What has happened so far.
    #[must_use]
    pub fn history(&self) -> History {
        let shared = self.snapshot();
        let log = self.log();
        History {
            vars: shared.all_vars(),
            connections: shared.connections,
            steps: log.records.clone(),
            unrecorded: log.unrecorded,
            events: shared.events,
            series: shared.series,
            jobs: shared.jobs,
            ..History::default()
        }
    }

    /// The same at the end of a run: what happened in it is taken out.
    #[must_use]
    pub fn take_history(&self) -> History {
        let mut shared = self.lock();
        let history = History {
            connections: shared.connections.clone(),
            vars: shared.all_vars(),
            events: std::mem::take(&mut shared.events),
            series: std::mem::take(&mut shared.series),
            jobs: std::mem::take(&mut shared.jobs),
            ..History::default()
        };
        drop(shared);
        let mut log = self.log();
        History {
            steps: std::mem::take(&mut log.records),
            unrecorded: log.unrecorded,
            ..history
        }
    }

    /// The names of the states, by the numbers that steps have, where the states are handlers.
    #[must_use]
    pub fn state_names(&self) -> Vec<String> {
        self.waits().state_names()
    }
}
