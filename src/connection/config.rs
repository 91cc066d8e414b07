//! Where to connect, as whom, and with which options.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::gate::Gate;
use crate::policy::{CircuitBreaker, RetryPolicy};

/// Where to connect and as whom. Everything else that a connection can have stands in
/// [`ConnectionOptions`], so that this literal of six fields stays complete.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// The name that reports use for this connection.
    pub id: String,
    /// A host name or an address.
    pub host: String,
    /// The SQL port, 4000 by TiDB's default.
    pub port: u16,
    /// The user.
    pub username: String,
    /// The password; never printed.
    pub password: String,
    /// The default database, if any.
    pub database: Option<String>,
}

impl fmt::Debug for ConnectionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionConfig")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("password", &"<redacted>")
            .field("database", &self.database)
            .finish()
    }
}

/// What else a connection can have.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// Whether and how the connection is encrypted.
    pub tls: Tls,
    /// Session variables that are set right after connecting, in order: name and SQL literal.
    pub session_vars: Vec<(String, String)>,
    /// The limit for connecting, handshake and session variables included.
    pub connect_max: Duration,
    /// The limit for one statement of a handler; over it, it is ended by KILL QUERY.
    pub statement_max: Duration,
    /// What is tried again: connecting, and transactions of handlers.
    pub retry: RetryPolicy,
    /// Keeps connecting to a server that does not answer within bounds. Clones of these options share it.
    pub breaker: Option<Arc<CircuitBreaker>>,
    /// Closed, it stops all connections that were opened with clones of these options.
    pub gate: Gate,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            tls: Tls::Auto,
            session_vars: Vec::new(),
            connect_max: Duration::from_secs(10),
            statement_max: Duration::from_mins(1),
            retry: RetryPolicy::default(),
            breaker: None,
            gate: Gate::default(),
        }
    }
}

/// Whether and how a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Off for this machine's own addresses, otherwise on with the host's identity verified.
    #[default]
    Auto,
    /// Never encrypted.
    Off,
    /// Encrypted, the host's identity verified against the public roots or against this CA file (PEM).
    Verified {
        /// A CA of one's own.
        ca: Option<PathBuf>,
    },
}
