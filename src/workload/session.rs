//! The sessions that a workload runs on: those of a server, or whatever a test puts between.

use std::sync::Arc;

use async_trait::async_trait;

use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};

/// One session of a workload.
#[async_trait]
pub trait Session: Send {
    /// Runs one statement; with parameters it is a prepared one.
    async fn run(&mut self, sql: &str, params: &[SqlValue]) -> Outcome;

    /// The server's number for it, which KILL uses.
    fn id(&self) -> u64;

    /// Says goodbye, if it is not lost.
    async fn close(self: Box<Self>);
}

/// Opens the sessions of a workload.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens one.
    ///
    /// # Errors
    /// Why it cannot be opened, in words.
    async fn open(&self) -> Result<Box<dyn Session>, String>;

    /// Ends the statement that a session runs, by KILL QUERY over a session of its own.
    async fn kill(&self, id: u64);
}

/// The sessions of a server.
#[derive(Debug)]
pub(super) struct OfServer {
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
}

#[async_trait]
impl Sessions for OfServer {
    async fn open(&self) -> Result<Box<dyn Session>, String> {
        let opened = Connection::open_retrying(&self.config, &self.options, |_, _| {}).await;
        match opened {
            Ok(connection) => Ok(Box::new(connection)),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn kill(&self, id: u64) {
        if let Ok(mut connection) = Connection::open(&self.config, &self.options).await {
            let outcome = connection.execute(&format!("kill query {id}")).await;
            tracing::debug!(id, outcome = outcome.word(), "kill query");
            connection.close().await;
        }
    }
}

#[async_trait]
impl Session for Connection {
    async fn run(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        if params.is_empty() {
            self.execute(sql).await
        } else {
            self.execute_prepared(sql, params).await
        }
    }

    fn id(&self) -> u64 {
        self.session_id()
    }

    async fn close(self: Box<Self>) {
        Self::close(*self).await;
    }
}

/// What stands between a workload and its sessions: nothing, but in tests of what it finds.
pub type Between = Arc<dyn Fn(Arc<dyn Sessions>) -> Arc<dyn Sessions> + Send + Sync>;
