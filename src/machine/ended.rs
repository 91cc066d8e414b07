//! The end of a step.

use std::time::Instant;

use super::acted::Acted;
use super::timestamps::timestamps;
use super::worker::Worker;
use crate::history::{StepEnd, Timestamps, Vars};
use crate::plan::Step;

/// A step that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub end: StepEnd,
    /// The number of the transaction that the last statement was part of.
    pub txn: Option<u32>,
    /// The server's timestamps of it, where they are asked for.
    pub timestamps: Option<Timestamps>,
    /// The texts of the statements that were run.
    pub ran: Vec<String>,
    /// The state that a handler leads to.
    pub next: Option<String>,
    /// Whether all jobs that are watched have ended.
    pub job_ended: bool,
    /// Whether others may see something new after it.
    pub may_show: bool,
}

impl Worker {
    /// The end of a step whose action was begun at `sent`, with the variables as they were then: with what the server says
    /// of the session after it, and with the warnings and the plan, where an expectation asks for them. What `save` and
    /// `set` keep is still missing.
    pub(super) async fn end(&mut self, step: &Step, acted: Acted, vars: Vars, sent: Instant) -> Ended {
        let took = sent.elapsed().saturating_sub(self.held.so_far());
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at_us = self.coordinator.now_us();
        let flags = match &mut self.connection {
            Some(connection) if acted.asked_server => connection.ask_flags().await,
            Some(_) | None => None,
        };
        let may_show = self.may_show(&acted);
        let txn = acted.note(&mut self.transaction, flags);
        let (warnings, plan) = self.ask_more(step, &acted, &vars).await;
        let timestamps = match &mut self.connection {
            Some(connection) if self.asks_timestamps && !acted.ran.is_empty() => timestamps(connection).await,
            Some(_) | None => None,
        };
        Ended {
            end: StepEnd {
                at_us,
                took_us,
                outcome: acted.outcome,
                statement: acted.statement,
                warnings,
                plan,
                vars,
                save_problem: None,
                flags,
            },
            txn,
            timestamps,
            ran: acted.ran.into_iter().map(|one| one.sql).collect(),
            next: acted.next,
            job_ended: acted.job_ended,
            may_show,
        }
    }
}
