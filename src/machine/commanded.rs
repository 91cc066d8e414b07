//! A worker that runs the steps that a driver asks for, one at a time.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use crate::history::{Outcome, Status, StepEnd, Timestamps};
use crate::sql::QUERY_INTERRUPTED;
use crate::transaction::Transaction;

use super::ended::Ended;
use super::worker::Worker;

/// What the driver asks of a worker.
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
    /// Leave nothing behind for the next schedule: roll back, or open another session where that is not
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
    /// The texts of the statements that were run.
    pub ran: Vec<String>,
    /// The number of the transaction that the last one was part of.
    pub txn: Option<u32>,
    /// The server's timestamps of it, where they are asked for.
    pub timestamps: Option<Timestamps>,
    /// The session's transaction after them.
    pub transaction: Transaction,
}

impl Worker {
    /// Runs what the driver asks for until it says that this is all.
    pub async fn obey(
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

    async fn refresh(&mut self, reopen: bool) -> bool {
        let kept = match self.connection.as_mut().filter(|own| !reopen && !own.is_lost()) {
            Some(connection) => !connection.execute("rollback").await.is_error(),
            None => false,
        };
        self.interrupted = false;
        if kept {
            if let Some(own) = self.plan.connections.get(self.number) {
                self.transaction.in_new_session(&own.vars);
            }
            return true;
        }
        self.close().await;
        match self.open().await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(connection = %self.config.id, %error, "no session for the next schedule");
                false
            }
        }
    }

    async fn step(&mut self, number: usize, target: Option<u64>) -> Report {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        self.coordinator.set_status(self.number, Status::Testing);
        self.coordinator.enter(self.number, &step.state);
        let vars = self.vars();
        let sent = Instant::now();
        let acted = self.act(step, target).await;
        self.interrupted =
            matches!(&acted.outcome, Outcome::Refused(error) if error.code == QUERY_INTERRUPTED);
        let Ended {
            mut end,
            txn,
            timestamps,
            ran,
            ..
        } = self.end(step, acted, vars, sent).await;
        // Without its text, which may hold a password.
        tracing::debug!(
            state = step.state,
            line = plan.file.place(step.span.start).line,
            outcome = end.outcome.word(),
            took_ms = end.took_us as f64 / 1_000.0,
            "step ended"
        );
        self.keep(step, &mut end);
        Report {
            connection: self.number,
            end,
            ran,
            txn,
            timestamps,
            transaction: self.transaction.clone(),
        }
    }
}
