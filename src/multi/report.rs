//! What became of machines, and why a run was not what was asked for.

use std::fmt;
use std::time::Duration;

use crate::handler::{State, StateError};

/// What a machine that has come to its end did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineReport {
    /// The connection's name.
    pub id: String,
    /// States in the order in which they were entered.
    pub states: Vec<State>,
    /// What the server said of its version, if a session was opened.
    pub server_version: Option<String>,
    /// From the start to the end, the session closed.
    pub took: Duration,
}

/// A machine that did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("connection `{}`{}: {failure}", .report.id, in_state(.report))]
pub struct MachineError {
    /// Why.
    #[source]
    pub failure: MachineFailure,
    /// What it did until then; the last state is the one that failed.
    pub report: MachineReport,
}

fn in_state(report: &MachineReport) -> String {
    let last = report.states.last();
    last.map_or_else(String::new, |state| format!(" in state `{state}`"))
}

/// Why a machine did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineFailure {
    /// A state has no handler. Where handlers say where they lead, that is known before anything runs.
    #[error("no handler is registered for state `{state}`{}; registered are: {registered}", needed(.from.as_ref()))]
    NoHandler {
        /// The state.
        state: State,
        /// The state that leads there; none for the first one.
        from: Option<State>,
        /// The states that have one.
        registered: String,
    },
    /// Its handler failed or panicked.
    #[error(transparent)]
    Handler(#[from] StateError),
    /// It ran for too long.
    #[error("it ran over its limit of {limit_ms} ms")]
    OverTime {
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// The coordinator shut down before its end.
    #[error("the coordinator shut down before its end")]
    ShutDown,
}

fn needed(from: Option<&State>) -> String {
    from.map_or_else(
        || ", where the machine begins".to_owned(),
        |from| format!(", to which `{from}` leads"),
    )
}

impl MachineFailure {
    /// The same without what other connections have to do with it: for those who wait for this one.
    pub(super) fn own_part(&self) -> String {
        match self {
            Self::Handler(error) => error.own_part(),
            other => other.to_string(),
        }
    }
}

/// Why a run was not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing ran: there is no connection, and a test of nothing must not pass.
    #[error("no connection was added")]
    NoConnections,
    /// Nothing ran: two connections have one name.
    #[error("two connections are named `{id}`")]
    SameName {
        /// The name.
        id: String,
    },
    /// Nothing ran: something was given for a connection that is not there.
    #[error("there is no connection `{id}`, for which a handler was registered")]
    NoSuchConnection {
        /// The name.
        id: String,
    },
    /// Some connections failed. The results of the others are there.
    #[error(transparent)]
    Failed(#[from] ConnectionsFailed),
}

/// Every connection that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionsFailed {
    /// Those that failed, in the order in which they were added; at least one.
    pub failed: Vec<FailedConnection>,
    /// How many there are in all.
    pub connections: usize,
}

/// A connection that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedConnection {
    /// Its name.
    pub id: String,
    /// The state in which it failed, if it had come to one.
    pub state: Option<String>,
    /// Why.
    pub reason: String,
}

impl std::error::Error for ConnectionsFailed {}

impl fmt::Display for ConnectionsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} connections failed: ",
            self.failed.len(),
            self.connections
        )?;
        for (at, failed) in self.failed.iter().enumerate() {
            let FailedConnection { id, state, reason } = failed;
            if at > 0 {
                f.write_str("; ")?;
            }
            match state {
                Some(state) => write!(f, "`{id}` in state `{state}`: {reason}")?,
                None => write!(f, "`{id}`: {reason}")?,
            }
        }
        Ok(())
    }
}
