//! Owns one connection and carries out what its states do.

use std::sync::Arc;
use std::time::Instant;

use crate::connection::{ConnectError, Connection, ConnectionConfig, ConnectionOptions, ROLLBACK_MAX};
use crate::coordinator::Coordinator;
use crate::history::{SqlValue, Status, StepEnd, Vars};
use crate::plan::{Step, TrialPlan};
use crate::transaction::Transaction;

use super::action::Acted;

/// One connection with all that its states need.
#[derive(Debug)]
pub(crate) struct Worker {
    pub number: usize,
    pub plan: Arc<TrialPlan>,
    pub coordinator: Arc<Coordinator>,
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
    pub(super) connection: Option<Connection>,
    /// Whether its last statement may have been ended by a KILL.
    pub(super) interrupted: bool,
    /// What its session's statements have done to its transaction.
    pub(super) transaction: Transaction,
    /// Variables that only this connection sees.
    pub(super) locals: Vars,
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
    ) -> Self {
        let mut worker = Self {
            number,
            plan,
            coordinator,
            config,
            options,
            connection: None,
            interrupted: false,
            transaction: Transaction::default(),
            locals: Vars::new(),
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

    /// Says goodbye to the server.
    pub(super) async fn close(&mut self) {
        self.roll_back_before_close().await;
        self.interrupted = false;
        self.transaction.roll_back();
        if let Some(connection) = self.connection.take() {
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

    /// The end of a step whose action was begun at `sent`: with what the server says of the session after it, and with
    /// the warnings and the plan, where an expectation asks for them. What `save` and `set` keep is still missing.
    pub(super) async fn end(&mut self, step: &Step, acted: Acted, sent: Instant) -> Ended {
        let took_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        let at_us = self.coordinator.now_us();
        let flags = match &mut self.connection {
            Some(connection) if acted.asked_server => connection.ask_flags().await,
            Some(_) | None => None,
        };
        let txn = acted.note(&mut self.transaction, flags);
        let (warnings, plan) = self.ask_more(step, &acted).await;
        Ended {
            end: StepEnd {
                at_us,
                took_us,
                outcome: acted.outcome,
                statement: acted.statement,
                warnings,
                plan,
                vars: Vars::new(),
                save_problem: None,
                flags,
            },
            txn,
            ran: acted.ran.into_iter().map(|one| one.sql).collect(),
            next: acted.next,
            job_ended: acted.job_ended,
        }
    }
}

/// A step that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub end: StepEnd,
    /// The number of the transaction that the last statement was part of.
    pub txn: Option<u32>,
    /// The texts of the statements that were run.
    pub ran: Vec<String>,
    /// The state that a handler leads to.
    pub next: Option<String>,
    /// Whether all jobs that are watched have ended.
    pub job_ended: bool,
}
