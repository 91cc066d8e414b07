//! Runs one schedule of many: any step may be blocked, and the other connections go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::scheduler::{ScheduledStep, Scheduler};
use super::starvation::Starvation;
use crate::history::{Status, Stopped};
use crate::machine::Command;
use crate::plan::TrialPlan;
use crate::run::{Confidence, Driver, POLL_EVERY, StepProgress};

/// How long a session may take to be as good as new: to roll back, or, where it is lost, to be opened anew.
const REFRESH_MAX: Duration = Duration::from_secs(5);

/// One schedule as it is run.
pub(super) struct Interleaving<'d> {
    pub driver: Driver<'d>,
    plan: Arc<TrialPlan>,
    starvation: &'d Starvation,
    /// The steps as they were started.
    pub scheduled: Vec<ScheduledStep>,
    /// Connections that have rolled back after an error.
    rolled_back: Vec<usize>,
}

impl<'d> Interleaving<'d> {
    pub fn new(driver: Driver<'d>, starvation: &'d Starvation) -> Self {
        Self {
            plan: Arc::clone(&driver.plan),
            driver,
            starvation,
            scheduled: Vec::new(),
            rolled_back: Vec::new(),
        }
    }

    /// Runs the steps as the scheduler says, without those in `skip`; tells whether to the end.
    pub async fn run(&mut self, scheduler: &mut dyn Scheduler, skip: &[usize]) -> bool {
        match self.steps(scheduler, skip).await {
            Ok(complete) => complete,
            Err(stopped) => {
                self.driver.stopped = Some(stopped);
                true
            }
        }
    }

    async fn steps(&mut self, scheduler: &mut dyn Scheduler, skip: &[usize]) -> Result<bool, Stopped> {
        let plan = Arc::clone(&self.plan);
        let mut left: Vec<VecDeque<usize>> = plan
            .connections
            .iter()
            .map(|own| own.states.clone().filter(|step| !skip.contains(step)).collect())
            .collect();
        self.driver.always(None).await;
        loop {
            let enabled: Vec<usize> = (0..left.len())
                .filter(|number| {
                    let slot = &self.driver.sessions[*number];
                    slot.running.is_none() && slot.failed.is_none() && !left[*number].is_empty()
                })
                .collect();
            if enabled.is_empty() {
                let Some(record) = self.first_to_end() else {
                    break;
                };
                self.starvation.await_end(&mut self.driver, record).await?;
                self.drain_unblocked(None).await?;
                continue;
            }
            let Some(connection) = scheduler.next(&enabled) else {
                return Ok(false);
            };
            let Some(step) = left.get_mut(connection).and_then(VecDeque::pop_front) else {
                return Ok(false);
            };
            self.scheduled.push(ScheduledStep {
                connection,
                step,
                enabled,
            });
            self.step(connection, step).await?;
        }
        for (number, slot) in self.driver.sessions.iter().enumerate() {
            if slot.failed.is_none() {
                self.driver.coordinator.set_status(number, Status::Completed);
            }
        }
        Ok(true)
    }

    /// The record of the blocked step whose limit comes first: it waits for a connection that has no more steps, or for
    /// its own limit.
    fn first_to_end(&self) -> Option<usize> {
        let running = self.driver.sessions.iter().filter_map(|slot| slot.running);
        self.driver.coordinator.look_at_steps(|steps| {
            running.min_by_key(|record| {
                let limit = self.driver.step_of(*record).timeout.as_micros();
                let started = steps.get(*record).map_or(0, |record| record.started_us);
                u128::from(started) + limit
            })
        })
    }

    /// Starts one step, and takes note of all that comes of it.
    async fn step(&mut self, connection: usize, step: usize) -> Result<(), Stopped> {
        debug_assert_eq!(self.plan.steps[step].connection, connection);
        let record = self.driver.start(step);
        let just_seen = match self.driver.watch(record, Confidence::Exploring).await {
            StepProgress::Returned => None,
            StepProgress::Blocked => Some(record),
            StepProgress::Aborted(stopped) => return Err(stopped),
        };
        if self.driver.is_done(record) {
            // What returned before anybody did anything was not blocked by anybody: a deadlock's victim, say.
            self.driver.forget_wait(record);
        }
        self.driver.settle_kill(record).await?;
        self.drain_unblocked(just_seen).await?;
        self.driver.always(Some(step)).await;
        Ok(())
    }

    /// Waits for all that comes of a step for those who are blocked: whoever is not any more returns, or is blocked by
    /// somebody else; a session whose step got an error that nobody expected rolls back, which may unblock others.
    /// `just_seen` is the record of the last step, if the server has just shown that it is blocked.
    async fn drain_unblocked(&mut self, mut just_seen: Option<usize>) -> Result<(), Stopped> {
        loop {
            self.driver.drain();
            if self.roll_back_failed().await {
                just_seen = None;
                continue;
            }
            let mut moves = false;
            let running = self.driver.running();
            let known = just_seen.take();
            let records = running
                .iter()
                .filter_map(|number| self.driver.sessions[*number].running);
            let records: Vec<usize> = records.filter(|record| Some(*record) != known).collect();
            for (record, blocked) in self.driver.are_blocked(&records).await? {
                match blocked {
                    Some(blocked) if blocked.is_by_trial() => self.driver.note_held(record, &blocked),
                    Some(_) | None => moves |= !self.is_over_limit(record),
                }
            }
            // The answer may have come while the server was asked.
            self.driver.drain();
            if self.driver.running() != running {
                continue;
            }
            if !moves {
                return Ok(());
            }
            self.driver.next_report(Instant::now() + POLL_EVERY).await;
        }
    }

    /// Whether a step has run for longer than it may, and is not waited for: the end of the schedule ends it.
    fn is_over_limit(&self, record: usize) -> bool {
        let ran_us = self.driver.coordinator.since_start_us(record);
        u128::from(ran_us) >= self.driver.step_of(record).timeout.as_micros()
    }

    /// Rolls back each session that got an error that nobody expected: an application would do so, too. Tells whether
    /// there was one.
    async fn roll_back_failed(&mut self) -> bool {
        let mut any = false;
        for number in 0..self.driver.sessions.len() {
            let slot = &mut self.driver.sessions[number];
            if slot.failed.is_none() || slot.running.is_some() || self.rolled_back.contains(&number) {
                continue;
            }
            self.rolled_back.push(number);
            any = true;
            slot.transaction.roll_back();
            let (done, told) = oneshot::channel();
            let reopen = false;
            if slot.commands.send(Command::Refresh { reopen, done }).is_ok() {
                // A session that does not roll back is found by the next schedule, which gets another one.
                drop(tokio::time::timeout(REFRESH_MAX, told).await);
            }
            self.driver.coordinator.set_status(number, Status::Failed);
        }
        any
    }
}
