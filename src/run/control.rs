//! The connections that a trial's own statements go through: setup, who waits, final checks.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::error::TrialError;
use super::limits::{CONTROL_MAX, TURN_MAX};
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};
use crate::plan::ControlId;
use crate::server::Server;
use crate::sql::{Kind, Product, TransactionMode, classified};
use crate::transaction::mode_of;

/// A control connection with the endpoint that it is on.
pub(crate) struct Control {
    pub connection: Connection,
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
    /// The mode that sessions begin transactions with, where it was asked for.
    pub txn_mode: Option<TransactionMode>,
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
            schema_changes: server.schema_changes(),
        })
    }

    /// A session as good as new, in this database.
    pub async fn renew(&mut self, database: &str) -> Result<(), TrialError> {
        let connection = Connection::open(&self.config, &self.options)
            .await
            .map_err(|error| TrialError::connect("the control connection", &error))?;
        std::mem::replace(&mut self.connection, connection).close().await;
        let outcome = self.execute(&format!("use `{database}`")).await;
        if outcome.is_error() {
            let got = crate::history::describe(&outcome);
            return Err(TrialError::new(format!("use {database}: {got}")));
        }
        Ok(())
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
        let _turn = match turns.filter(|_| classified(sql).kind == Kind::Ddl) {
            Some(turns) => tokio::time::timeout(TURN_MAX, turns.lock()).await.ok(),
            None => None,
        };
        match tokio::time::timeout(CONTROL_MAX, self.connection.execute(sql)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::TimedOut {
                limit_ms: u64::try_from(CONTROL_MAX.as_millis()).unwrap_or(u64::MAX),
                starved: false,
            },
        }
    }
}

/// The control connections of a trial: one for each server that it may touch.
pub(crate) struct Controls {
    shared: Control,
    own: Vec<Control>,
}

impl Controls {
    /// Opens them; `own` are the servers of the trial's own, in the plan's order.
    pub async fn open(server: &Server, own: &[Server]) -> Result<Self, TrialError> {
        let mut controls = Self {
            shared: Control::open(server).await?,
            own: Vec::new(),
        };
        for server in own {
            controls.own.push(Control::open(server).await?);
        }
        Ok(controls)
    }

    /// That of the run's server, which stays after the trial.
    pub fn shared(&mut self) -> &mut Control {
        &mut self.shared
    }

    pub fn ids(&self) -> impl Iterator<Item = ControlId> + use<> {
        let own = (0..self.own.len()).map(|number| ControlId { server: Some(number) });
        std::iter::once(ControlId::default()).chain(own)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Control> {
        std::iter::once(&mut self.shared).chain(&mut self.own)
    }

    pub async fn close(self) {
        for control in std::iter::once(self.shared).chain(self.own) {
            control.connection.close().await;
        }
    }
}

impl Index<ControlId> for Controls {
    type Output = Control;

    fn index(&self, id: ControlId) -> &Control {
        match id.server {
            None => &self.shared,
            Some(number) => &self.own[number],
        }
    }
}

impl IndexMut<ControlId> for Controls {
    fn index_mut(&mut self, id: ControlId) -> &mut Control {
        match id.server {
            None => &mut self.shared,
            Some(number) => &mut self.own[number],
        }
    }
}
