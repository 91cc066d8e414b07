//! Ends what does not end by itself: statements over their limit, and all sessions at the end of a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::driver::Driver;
use crate::connection::KILL_MAX;
use crate::history::{Outcome, Status, StepEnd, Went};
use crate::machine::{Command, vars_of};

impl Driver<'_> {
    /// Waits for a step's answer up to its limit, and ends it there.
    pub async fn await_end(&mut self, record: usize) {
        let timeout = self.step_of(record).timeout;
        let deadline = Instant::now() + timeout;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        if !self.is_done(record) {
            self.end_statement(record, timeout, false).await;
        }
    }

    /// Ends a statement that is over its limit, or would be: by KILL QUERY, and if that does not help by closing
    /// the connection. Whether the statement took effect is unknown.
    pub async fn end_statement(&mut self, record: usize, limit: Duration, starved: bool) {
        let connection = self.connection_of(record);
        let plan = Arc::clone(&self.plan);
        let name = plan.connections[connection].name.as_str();
        tracing::warn!(connection = name, ?limit, "over its limit: KILL QUERY");
        self.coordinator.set_over_limit(connection, true);
        self.kill_query(connection).await;
        let deadline = Instant::now() + KILL_MAX;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let outcome = Outcome::TimedOut { limit_ms, starved };
        let reason = format!("{name}: {}", crate::history::describe(&outcome));
        if self.is_done(record) {
            self.coordinator.change_step(record, |record| {
                if let Some(end) = &mut record.end {
                    end.outcome = outcome;
                }
            });
        } else {
            let end = self.end_by_force(record, outcome);
            self.coordinator.end_step(connection, record, end, Went::On);
            self.sessions[connection].running = None;
            self.discard(connection).await;
        }
        self.sessions[connection].failed = Some(reason);
        self.close_session(connection);
    }

    /// The end of a statement that gave no answer.
    fn end_by_force(&self, record: usize, outcome: Outcome) -> StepEnd {
        let at_us = self.coordinator.now_us();
        let started = self.coordinator.look_at_steps(|steps| {
            let record = steps.get(record);
            record.map_or(at_us, |record| record.started_us)
        });
        StepEnd {
            at_us,
            took_us: at_us.saturating_sub(started),
            outcome,
            statement: 0,
            warnings: None,
            plan: None,
            vars: vars_of(&self.plan, &self.coordinator, Some(self.connection_of(record))),
            save_problem: None,
            flags: None,
        }
    }

    /// Ends a connection whose statement does not end: its session by KILL, its task by force.
    async fn discard(&mut self, connection: usize) {
        let control = self.sessions[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control].execute(&format!("kill {session}")).await;
        }
        self.sessions[connection].task.abort();
        self.coordinator.set_status(connection, Status::Failed);
    }

    /// KILL QUERY of a connection's session.
    async fn kill_query(&mut self, connection: usize) {
        let control = self.sessions[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control]
                .execute(&format!("kill query {session}"))
                .await;
        }
    }

    /// Ends all sessions. What is still blocked is ended by KILL QUERY; what comes of it is no part of the history.
    pub async fn finish(&mut self) {
        self.drain();
        // A KILL of the whole session would do, but it can end the whole server: see `Worker::close`.
        for connection in self.running() {
            self.kill_query(connection).await;
        }
        // Locks that are let go of now end waits at once; TiDB looks for a KILL once a second.
        for slot in &self.sessions {
            if slot.running.is_none() && slot.failed.is_none() {
                let _ = slot.commands.send(Command::Finish);
            }
        }
        let deadline = Instant::now() + KILL_MAX;
        while self.sessions.iter().any(|slot| slot.running.is_some()) {
            let report = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await;
            let Ok(Some(report)) = report else { break };
            let slot = &mut self.sessions[report.connection];
            slot.running = None;
            let _ = slot.commands.send(Command::Fail);
        }
        for connection in 0..self.sessions.len() {
            if self.sessions[connection].running.take().is_some() {
                // What it answers to its end is of our doing, and no outcome.
                self.discard(connection).await;
            }
        }
        let deadline = tokio::time::Instant::now() + KILL_MAX;
        for slot in &mut self.sessions {
            let (closed, _) = mpsc::unbounded_channel();
            slot.commands = closed;
            if tokio::time::timeout_at(deadline, &mut slot.task).await.is_err() {
                slot.task.abort();
            }
        }
    }
}
