//! The connection that a trial's own statements go through: setup, who waits, final checks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::error::TrialError;
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};
use crate::server::Server;
use crate::sql::{Kind, Product, TransactionMode, classify};
use crate::transaction::mode_of;

/// The limit for one statement of the setup, the teardown or a final query.
const CONTROL_MAX: Duration = Duration::from_secs(60);
/// How long a schema change waits for its turn. Turns are for speed only, so that one that hangs must not hold
/// up the others for ever.
const TURN_MAX: Duration = Duration::from_secs(10);

/// A control connection with the endpoint that it is on.
pub(super) struct Control {
    pub connection: Connection,
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
    /// The mode that sessions begin transactions with, where it was asked for.
    pub txn_mode: Option<TransactionMode>,
    /// After how long the server ends a wait at the soonest, where it was asked for.
    pub patience: Option<Duration>,
    schema_changes: Option<Arc<Mutex<()>>>,
}

impl Control {
    pub async fn open(server: &Server) -> Result<Self, TrialError> {
        let mut config = server.config().clone();
        config.id = "control".to_owned();
        config.database = None;
        let options = ConnectionOptions {
            session_vars: vec![("time_zone".to_owned(), "'+00:00'".to_owned())],
            ..server.options().clone()
        };
        let connection = Connection::open(&config, &options)
            .await
            .map_err(|error| TrialError::connect("the control connection", &error))?;
        Ok(Self {
            connection,
            config,
            options,
            txn_mode: None,
            patience: None,
            schema_changes: server.schema_changes(),
        })
    }

    /// Asks for the mode that sessions begin transactions with.
    pub async fn ask_txn_mode(&mut self) {
        if self.connection.product() != Product::TiDb {
            return;
        }
        if let Outcome::Rows(set) = self.execute("select @@global.tidb_txn_mode").await
            && let Some(SqlValue::Text(mode)) = set.rows.first().and_then(|row| row.first())
        {
            self.txn_mode = mode_of(mode);
        }
    }

    /// One statement within [`CONTROL_MAX`]. A schema change waits for its turn before.
    pub async fn execute(&mut self, sql: &str) -> Outcome {
        let turns = self.schema_changes.as_ref();
        let _turn = match turns.filter(|_| classify(sql).kind == Kind::Ddl) {
            Some(turns) => tokio::time::timeout(TURN_MAX, turns.lock()).await.ok(),
            None => None,
        };
        match tokio::time::timeout(CONTROL_MAX, self.connection.execute(sql)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::TimedOut {
                limit_ms: u64::try_from(CONTROL_MAX.as_millis()).unwrap_or(u64::MAX),
                in_vain: false,
            },
        }
    }
}
