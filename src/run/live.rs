//! What is going on right now, for whoever shows it.

use std::fmt;
use std::sync::Arc;

use crate::coordinator::Coordinator;
use crate::history::Status;

/// One connection at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveConnection {
    /// Its name.
    pub name: String,
    /// How far it has come.
    pub status: Status,
    /// The state that it is in.
    pub state: String,
    /// Whether the server says that its statement waits for a lock.
    pub blocked: bool,
    /// Whether its session is gone though it has not ended.
    pub gone: bool,
}

/// The trial at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStatus {
    /// The trial's name.
    pub trial: String,
    /// Whether all connections have ended.
    pub ended: bool,
    /// All connections, in the order of the file.
    pub connections: Vec<LiveConnection>,
    /// Events in the order in which they came.
    pub events: Vec<String>,
}

/// Is shown the status of trials with connections that run freely, some twenty times a second.
#[derive(Clone)]
pub struct Live(Arc<dyn Fn(&LiveStatus) + Send + Sync>);

impl Live {
    /// Shows it by this.
    pub fn new(show: impl Fn(&LiveStatus) + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }

    pub(super) fn show(&self, trial: &str, coordinator: &Coordinator, ended: bool) {
        self.0(&status(trial, coordinator, ended));
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

fn status(trial: &str, coordinator: &Coordinator, ended: bool) -> LiveStatus {
    let blocked = coordinator.blocked();
    coordinator.look(|shared| LiveStatus {
        trial: trial.to_owned(),
        ended,
        connections: shared
            .connections
            .iter()
            .enumerate()
            .map(|(number, own)| LiveConnection {
                name: own.name.clone(),
                status: own.status,
                state: own
                    .states
                    .last()
                    .map(|(_, state)| state.clone())
                    .unwrap_or_default(),
                blocked: blocked.contains(&number),
                gone: own.gone_us.is_some() && matches!(own.status, Status::Connected | Status::Testing),
            })
            .collect(),
        events: shared.events.iter().map(|event| event.name.clone()).collect(),
    })
}
