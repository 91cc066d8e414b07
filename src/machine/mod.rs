//! One connection's state machine: a task that owns the connection and runs one state at a time.

mod action;
mod csv;
mod free;
mod handler;
mod watch;
pub(crate) use action::explain;
pub(crate) use free::{Around, KillRequest};

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::connection::{ConnectError, Connection, ConnectionConfig, ConnectionOptions, ROLLBACK_MAX};
use crate::coordinator::Coordinator;
use crate::history::{Outcome, Status, StepEnd};
use crate::plan::TrialPlan;
use crate::sql::QUERY_INTERRUPTED;

/// What the driver asks of a machine.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run this step of the plan.
    Run {
        step: usize,
        /// The session that `kill` ends.
        target: Option<u64>,
    },
    /// Close the session and end.
    Finish,
    /// Close the session at once: the connection has failed.
    Fail,
    /// Leave nothing behind for the next order of steps: roll back, or open another session where that is not
    /// enough to make this one as good as new. Tells whether there is a session then.
    Refresh {
        reopen: bool,
        done: oneshot::Sender<bool>,
    },
}

/// A step has ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub connection: usize,
    pub end: StepEnd,
    /// The statements that were run, each with its outcome told apart for the transaction's state.
    pub ran: Vec<(String, crate::history::Outcome)>,
}

/// A machine of one connection.
#[derive(Debug)]
pub(crate) struct Machine {
    pub number: usize,
    pub plan: Arc<TrialPlan>,
    pub coordinator: Arc<Coordinator>,
    pub config: ConnectionConfig,
    pub options: ConnectionOptions,
    pub connection: Option<Connection>,
    /// Whether its last statement may have been ended by a KILL.
    pub interrupted: bool,
    /// How often it has run through its states, and how often the state has done what it does.
    pub round: u32,
    /// The same of the state that it is in.
    pub iteration: u32,
    /// The state that its handler leads to.
    pub led: Option<String>,
    /// The schema change of a table that it followed last; before, the newest one of the server.
    pub followed_ddl: Option<i128>,
}

impl Machine {
    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&mut self) -> Result<(), ConnectError> {
        self.coordinator.set_status(self.number, Status::Connecting);
        let connection = Connection::open(&self.config, &self.options)
            .await
            .inspect_err(|_| {
                self.coordinator.set_status(self.number, Status::Failed);
            })?;
        self.coordinator.add_session(self.number, connection.session_id());
        tracing::debug!(connection = %self.config.id, session = connection.session_id(), "connected");
        self.coordinator.set_status(self.number, Status::Connected);
        self.connection = Some(connection);
        Ok(())
    }

    /// Runs what the driver asks for until it says that this is all.
    pub async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Run { step, target } => {
                    let report = self.step(step, target).await;
                    if reports.send(report).is_err() {
                        break;
                    }
                }
                Command::Finish => {
                    self.close().await;
                    self.coordinator.set_status(self.number, Status::Completed);
                    break;
                }
                Command::Refresh { reopen, done } => {
                    let ready = self.refresh(reopen).await;
                    // Whoever asked may have given up.
                    let _ = done.send(ready);
                }
                Command::Fail => {
                    self.interrupted = true;
                    self.close().await;
                    self.coordinator.set_status(self.number, Status::Failed);
                }
            }
        }
    }

    /// Rolls back before the session of a statement that was killed is closed. TiDB 8.5 remembers the KILL until
    /// the session's next statement, and where it meets it while it rolls back for a closed connection, the
    /// whole server ends with a panic.
    async fn settle(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|_| self.interrupted)
            && tokio::time::timeout(ROLLBACK_MAX, connection.execute("rollback"))
                .await
                .is_err()
        {
            tracing::warn!(connection = %self.config.id, "no roll-back in time");
        }
    }

    async fn refresh(&mut self, reopen: bool) -> bool {
        let kept = match self.connection.as_mut().filter(|own| !reopen && !own.is_lost()) {
            Some(connection) => !connection.execute("rollback").await.is_error(),
            None => false,
        };
        self.interrupted = false;
        if kept {
            return true;
        }
        self.close().await;
        match Connection::open(&self.config, &self.options).await {
            Ok(connection) => {
                self.coordinator.add_session(self.number, connection.session_id());
                self.connection = Some(connection);
                true
            }
            Err(error) => {
                tracing::warn!(connection = %self.config.id, %error, "no session for the next order");
                false
            }
        }
    }

    async fn close(&mut self) {
        self.settle().await;
        self.interrupted = false;
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    async fn step(&mut self, number: usize, target: Option<u64>) -> Report {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        self.coordinator.set_status(self.number, Status::Testing);
        self.coordinator.enter(self.number, &step.state);
        let sent = Instant::now();
        let done = self.act(step, target).await;
        let took = sent.elapsed();
        let at_us = self.coordinator.now_us();
        self.interrupted =
            matches!(&done.outcome, Outcome::Refused(error) if error.code == QUERY_INTERRUPTED);
        // Without its text, which may hold a password.
        tracing::debug!(
            state = step.state,
            line = plan.file.place(step.span.start).line,
            outcome = done.outcome.word(),
            took_ms = took.as_secs_f64() * 1_000.0,
            "step ended"
        );
        let (warnings, explain) = self.ask_more(step, &done).await;
        let (vars, save_problem) = self.keep(step, &done.outcome);
        let end = StepEnd {
            at_us,
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            outcome: done.outcome,
            statement: done.statement,
            warnings,
            plan: explain,
            vars,
            save_problem,
        };
        Report {
            connection: self.number,
            end,
            ran: done.ran,
        }
    }
}
