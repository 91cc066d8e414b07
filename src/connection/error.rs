//! Why a session could not be opened.

use super::config::ConnectionConfig;
use crate::history::{Outcome, SqlError};
use crate::policy::CircuitOpen;

/// Why a session could not be opened. The text never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing answered within [`super::ConnectionOptions::connect_max`]; a stopped server accepts a TCP
    /// connection and never greets, so the limit covers the handshake.
    #[error("{host}:{port} did not answer within {limit_ms} ms")]
    NoAnswer {
        /// The host that was tried.
        host: String,
        /// The port that was tried.
        port: u16,
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// The server refused the login or a session variable.
    #[error("{host}:{port} refused: error {} ({}): {}", .error.code, .error.sqlstate, .error.message)]
    Refused {
        /// The host that was tried.
        host: String,
        /// The port that was tried.
        port: u16,
        /// What the server said.
        error: SqlError,
    },
    /// The network or TLS failed.
    #[error("cannot connect to {host}:{port}: {message}")]
    Unreachable {
        /// The host that was tried.
        host: String,
        /// The port that was tried.
        port: u16,
        /// What the system said.
        message: String,
    },
    /// It was not tried, since the server has not answered for a while.
    #[error("{host}:{port}: {open}")]
    LeftAlone {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the breaker said.
        open: CircuitOpen,
    },
}

impl ConnectError {
    pub(super) fn of(config: &ConnectionConfig, outcome: Outcome) -> Self {
        let (host, port) = (config.host.clone(), config.port);
        match outcome {
            Outcome::Refused(error) => Self::Refused { host, port, error },
            Outcome::Lost { message, .. } => Self::Unreachable { host, port, message },
            Outcome::Rows(_) | Outcome::Done(_) | Outcome::TimedOut { .. } | Outcome::Unanswered { .. } => {
                let message = "the server's greeting made no sense".to_owned();
                Self::Unreachable { host, port, message }
            }
        }
    }

    /// Whether another try can help: nothing listens yet, or it does not answer yet.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } | Self::Unreachable { .. } => true,
            Self::Refused { .. } | Self::LeftAlone { .. } => false,
        }
    }
}
