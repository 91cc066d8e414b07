//! Why no server came up, or is perhaps not gone.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use testcontainers::TestcontainersError;

use super::build::BuildError;
use super::settings::SettingsError;

/// How much of a log a failed start carries, in lines.
pub(super) const FAILED_LINES: usize = 25;

/// Why no server came up. The text never holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The URL can't be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The server behind the URL can't be reached or does not answer as it should.
    #[error("the server does not answer as it should")]
    Probe(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A store, flags or variables are asked for, and the server is not ours.
    #[error("a server given by TIDB_URL is not ours to configure (store, flags, global variables)")]
    NotOurs,
    /// A flag that is ours to give, or no flag at all.
    #[error("the flag `{name}` cannot be given to the server")]
    Flag {
        /// The flag.
        name: String,
    },
    /// Not a name of a variable.
    #[error("`{name}` is no name of a global variable")]
    Variable {
        /// The name.
        name: String,
    },
    /// There is no tidb-server to start.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The process can't be started.
    #[error("start {}", .path.display())]
    Process {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("{what} ended with code {code} before it answered; the end of its log:\n{log}")]
    Ended {
        /// `tidb-server` or `the container`.
        what: &'static str,
        /// Its exit code; 128 and the number of the signal that ended it.
        code: i32,
        /// The end of its log.
        log: String,
    },
    /// It did not answer in time.
    #[error("the server did not answer within {limit_s} s{last}; the end of its log:\n{log}")]
    TooLate {
        /// The limit in seconds.
        limit_s: u64,
        /// What the last try to connect said, after a blank; empty if there was none.
        last: String,
        /// The end of its log.
        log: String,
    },
    /// No container can be made.
    #[error("container: {reason}")]
    Container {
        /// Why.
        reason: String,
    },
    /// The engine failed.
    #[error("the container engine failed")]
    Engine(#[source] Box<TestcontainersError>),
    /// The process that removes our containers can't be started.
    #[error("start the process that removes containers")]
    Reaper(#[source] io::Error),
}

impl StartError {
    pub(super) fn probe(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Probe(Box::new(error))
    }

    pub(super) fn late(limit: Duration, last: Option<impl std::fmt::Display>, log: String) -> Self {
        let last = last.map_or_else(String::new, |error| format!(" ({error})"));
        Self::TooLate {
            limit_s: limit.as_secs(),
            last,
            log,
        }
    }
}

/// Why a server is perhaps not gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The process or its directory.
    #[error("end tidb-server and remove its directory")]
    Process(#[source] io::Error),
    /// The container.
    #[error("remove the container")]
    Container(#[source] Box<TestcontainersError>),
}
