//! Owns one connection and carries out what its states do.

use std::sync::Arc;

use super::acted::Acted;
use super::gate::{Gate, Held, Pass, may_show};
use super::observe::Observer;
use crate::connection::{ConnectError, Connection, ConnectionConfig, ConnectionOptions, ROLLBACK_MAX};
use crate::coordinator::Coordinator;
use crate::history::{SqlValue, Status, Vars};
use crate::plan::TrialPlan;
use crate::transaction::Transaction;

/// One connection with all that its states need.
#[derive(Debug)]
pub(crate) struct Worker {
    pub number: usize,
    pub plan: Arc<TrialPlan>,
    pub coordinator: Arc<Coordinator>,
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
    pub(super) connection: Option<Connection>,
    /// Asks about its session from outside.
    pub(super) observer: Observer,
    /// Whether its last statement may have been ended by a KILL.
    pub(super) interrupted: bool,
    /// What its session's statements have done to its transaction.
    pub(super) transaction: Transaction,
    /// Variables that only this connection sees.
    pub(super) locals: Vars,
    /// Holds its statements back, where somebody looks in between.
    pub(super) gate: Option<Arc<Gate>>,
    /// How long that has held it back in its step.
    pub(super) held: Arc<Held>,
    /// Whether it asks its session for timestamps after each statement.
    pub asks_timestamps: bool,
    /// The record of the step that it takes.
    pub(super) record: usize,
    /// The schema change of a table that it followed last; before, the newest one of the server.
    pub followed_ddl: Option<i128>,
}

impl Worker {
    /// A worker without a session yet.
    pub fn new(
        number: usize,
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        config: ConnectionConfig,
        options: ConnectionOptions,
        observer: Observer,
    ) -> Self {
        let mut worker = Self {
            number,
            plan,
            coordinator,
            config,
            options,
            connection: None,
            observer,
            interrupted: false,
            transaction: Transaction::default(),
            locals: Vars::new(),
            gate: None,
            held: Arc::default(),
            asks_timestamps: false,
            record: 0,
            followed_ddl: None,
        };
        if let Some(own) = worker.plan.connections.get(number) {
            worker.transaction = Transaction::of_session(&own.vars);
            worker
                .locals
                .insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
            worker
                .locals
                .insert("index".to_owned(), SqlValue::Int(own.index as i128));
        }
        worker
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&mut self) -> Result<(), ConnectError> {
        self.coordinator.set_status(self.number, Status::Connecting);
        self.open().await.inspect_err(|_| {
            self.coordinator.set_status(self.number, Status::Failed);
        })?;
        if let Some(connection) = &self.connection {
            tracing::debug!(connection = %self.config.id, session = connection.session_id(), "connected");
        }
        self.coordinator.set_status(self.number, Status::Connected);
        Ok(())
    }

    /// Opens a session.
    pub(super) async fn open(&mut self) -> Result<(), ConnectError> {
        let connection = Connection::open(&self.config, &self.options).await?;
        self.coordinator.add_session(self.number, connection.session_id());
        if let Some(own) = self.plan.connections.get(self.number) {
            self.transaction.in_new_session(&own.vars);
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Waits until a statement may run.
    pub(super) async fn pass(&self) -> Option<Pass> {
        match &self.gate {
            Some(gate) => Some(self.held.during(gate.enter(self.number)).await),
            None => None,
        }
    }

    /// Whether others may see something new after an action. What a handler's statements do is not known one by one.
    /// Nobody asks where nobody looks.
    pub(super) fn may_show(&self, acted: &Acted) -> bool {
        if self.gate.is_none() {
            return false;
        }
        match acted.ran.last() {
            Some(last) => may_show(last, self.transaction.is_open()),
            None => acted.asked_server,
        }
    }

    /// Waits until what has changed was looked at, if somebody looks.
    pub(super) async fn let_look(&self) {
        if let Some(gate) = &self.gate {
            self.held.during(gate.changed(self.record)).await;
        }
    }

    /// Says goodbye to the server.
    pub(super) async fn close(&mut self) {
        self.roll_back_before_close().await;
        self.observer.close().await;
        self.interrupted = false;
        self.transaction.in_no_session();
        if let Some(connection) = self.connection.take() {
            self.coordinator.close_session(self.number);
            connection.close().await;
        }
    }

    /// Closes a session that no machine will use.
    pub async fn close_unused(self) {
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }

    /// Rolls back before the session of a statement that was killed is closed. TiDB 8.5 remembers the KILL until
    /// the session's next statement, and where it meets it while it rolls back for a closed connection, the
    /// whole server ends with a panic.
    async fn roll_back_before_close(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|_| self.interrupted)
            && tokio::time::timeout(ROLLBACK_MAX, connection.execute("rollback"))
                .await
                .is_err()
        {
            tracing::warn!(connection = %self.config.id, "no roll-back in time");
        }
    }
}
