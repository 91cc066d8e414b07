//! Runs one schedule of many: any step may be blocked, and the other connections go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::claim::BlockedClaim;
use super::schedule_history::{ScheduleHistory, SchedulePoint, ends_something};
use super::scheduler::{ScheduledStep, Scheduler};
use super::starvation::Starvation;
use super::wait_cache::{Observation, WaitCache};
use crate::history::{Status, Stopped, WaitRule};
use crate::lock_wait::TrxRow;
use crate::machine::Command;
use crate::plan::{Action, TrialPlan};
use crate::run::{Driver, DriverEvent, POLL_EVERY, RETURN_MAX, StepProgress, Waiting};
use crate::sql::{Kind, classify};

/// How long a wait may still show after a lock was released, where somebody else may hold what is waited for:
/// a release takes 1 to 3 ms.
const RELEASE_GRACE: Duration = Duration::from_millis(30);
/// So many rounds of polls in that time at the least, so that a busy machine has its chance, too.
const RELEASE_POLLS: u32 = 6;
/// How long a session may take to be as good as new: to roll back, or, where it is lost, to be opened anew.
const REFRESH_MAX: Duration = Duration::from_secs(5);

/// One schedule as it is run.
pub(super) struct Interleaving<'d> {
    pub driver: Driver<'d>,
    plan: Arc<TrialPlan>,
    cache: &'d WaitCache,
    starvation: &'d Starvation,
    history: ScheduleHistory,
    /// The steps as they were started.
    pub scheduled: Vec<ScheduledStep>,
    /// Connections that have rolled back after an error.
    rolled_back: Vec<usize>,
    /// The records of steps that may have released something.
    ends: Vec<usize>,
    /// The steps that were taken to be blocked, each for as long as nothing newer was seen of it.
    claims: Vec<BlockedClaim>,
}

impl<'d> Interleaving<'d> {
    pub fn new(driver: Driver<'d>, cache: &'d WaitCache, starvation: &'d Starvation) -> Self {
        Self {
            plan: Arc::clone(&driver.plan),
            driver,
            cache,
            starvation,
            history: ScheduleHistory::default(),
            scheduled: Vec::new(),
            rolled_back: Vec::new(),
            ends: Vec::new(),
            claims: Vec::new(),
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
                self.drain_unblocked(true).await?;
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
        let held = self.driver.sessions[connection].transaction.may_hold_locks();
        let record = self.driver.start(step);
        let point = self.point(connection);
        let cache = self.cache;
        let progress = self.driver.watch(record, &|| cache.confidence(&point)).await;
        match progress {
            StepProgress::Aborted(stopped) => return Err(stopped),
            StepProgress::Blocked => {
                let candidates = self.driver.wait_of(record).map(|wait| wait.candidates);
                self.claim(record, point.clone(), &candidates.unwrap_or_default());
            }
            StepProgress::Returned => {}
        }
        self.note_events();
        let returned = self.driver.is_done(record);
        if returned {
            // What returned before anybody did anything was not blocked by anybody: a deadlock's victim, say.
            self.driver.forget_wait(record);
            self.cache.note(point, Observation::Returns);
        }
        let holds = self.driver.sessions[connection].transaction.may_hold_locks();
        let released = returned && ((held && !holds) || self.may_release(record));
        self.drain_unblocked(released).await?;
        self.driver.always(Some(step)).await;
        Ok(())
    }

    /// Takes note of what the driver has seen.
    fn note_events(&mut self) {
        for event in self.driver.events.drain(..) {
            match event {
                DriverEvent::Started { connection, step } => {
                    let independent = self.cache.is_snapshot_independent(step);
                    self.history.started(connection, step, independent);
                }
                DriverEvent::Blocked => self.history.blocked(),
                DriverEvent::Returned(returned) => {
                    let step = self.plan.steps.get(returned.step);
                    let ends = step.is_none_or(|step| ends_something(step, &returned));
                    self.history.returned(returned.connection, ends);
                    if ends {
                        self.ends.push(returned.record);
                    }
                }
            }
        }
    }

    /// The point at which a connection's step is that has not returned.
    fn point(&mut self, connection: usize) -> SchedulePoint {
        self.note_events();
        self.history.point(connection)
    }

    /// Takes note that a step is taken to be blocked, and of what that says of other schedules.
    fn claim(&mut self, record: usize, point: SchedulePoint, candidates: &[usize]) {
        let Some(wait) = self.driver.wait_of(record) else {
            return;
        };
        // A user-level lock is waited for up to a time that the statement says itself.
        let text = self.driver.statement_text(record);
        if self.driver.is_done(record) || classify(&text).takes_user_lock() {
            return;
        }
        // Of other waits the server shows too little to be quick about them.
        let shows = matches!(wait.rule, WaitRule::SameLockWaitTwice { .. });
        // Where all who may hold it are blocked themselves, one of them may be about to go on.
        let sessions = &self.driver.sessions;
        let held = candidates.iter().any(|own| sessions[*own].running.is_none());
        if shows && held {
            self.cache.note(point.clone(), Observation::Blocks);
        }
        self.claims.retain(|claim| claim.record != record);
        self.claims.push(BlockedClaim {
            record,
            since_us: self.driver.coordinator.now_us(),
            point,
        });
    }

    /// Whether a step was taken to be blocked that cannot have been: it returned though nobody had released anything.
    /// That is not believed again at that point.
    pub fn is_suspect(&mut self) -> bool {
        self.note_events();
        // What is left of a session that was killed goes when nobody does anything.
        let leaves = |action: &Action| {
            matches!(
                action,
                Action::Kill { .. } | Action::Disconnect | Action::Reconnect
            )
        };
        if self.plan.steps.iter().any(|step| leaves(&step.action)) {
            return false;
        }
        let (claims, ends) = (&self.claims, &self.ends);
        let wrong: Vec<&BlockedClaim> = self.driver.coordinator.look_at_steps(|steps| {
            let wrong = |claim: &&BlockedClaim| claim.was_wrong(steps, ends);
            claims.iter().filter(wrong).collect()
        });
        for claim in &wrong {
            tracing::debug!(?claim, "returned by itself");
            self.cache.note(claim.point.clone(), Observation::Inconsistent);
        }
        !wrong.is_empty()
    }

    /// Whether a step may have released what others wait for beside row locks of its own transaction.
    fn may_release(&self, record: usize) -> bool {
        match self.driver.step_of(record).action {
            Action::Kill { .. } | Action::Disconnect | Action::Reconnect => true,
            _ => matches!(
                classify(&self.driver.text_of(record)).kind,
                Kind::ReleaseLock { .. } | Kind::Ddl | Kind::Execute | Kind::Other | Kind::Set(_)
            ),
        }
    }

    /// Takes note of all that came of a step for those who are blocked: who goes on, who is blocked still, whose
    /// session rolls back after an error.
    async fn drain_unblocked(&mut self, released: bool) -> Result<(), Stopped> {
        let mut released = released;
        let mut began = Instant::now();
        let mut polls = 0;
        let mut before = self.driver.running();
        let mut asked = false;
        loop {
            self.driver.drain();
            let rolled_back = self.roll_back_failed().await;
            let running = self.driver.running();
            // Whoever returned may have released locks, too.
            if rolled_back || running != before {
                released = true;
                (began, polls) = (Instant::now(), 0);
                before.clone_from(&running);
            }
            if running.is_empty() || !released {
                return Ok(());
            }
            // Most who are unblocked are back before the server could be asked.
            if !asked && running.iter().any(|own| !self.is_known_to_block(*own)) {
                asked = true;
                self.driver.next_report(Instant::now() + POLL_EVERY).await;
                continue;
            }
            let polled = self.poll_blocked(&running).await?;
            polls += 1;
            let grace = began.elapsed() < RELEASE_GRACE || polls < RELEASE_POLLS;
            let may_move = (polled.moves && began.elapsed() < RETURN_MAX) || (polled.open && grace);
            if !may_move {
                // The answer may have come while the server was asked.
                self.driver.drain();
                if self.driver.running() != before {
                    continue;
                }
                for (record, candidates) in polled.blocked {
                    let point = self.point(self.driver.connection_of(record));
                    self.claim(record, point, &candidates);
                }
                return Ok(());
            }
            self.driver.next_report(Instant::now() + POLL_EVERY).await;
        }
    }

    /// One look at each step that was blocked.
    async fn poll_blocked(&mut self, running: &[usize]) -> Result<Polled, Stopped> {
        let mut polled = Polled::default();
        for connection in running.iter().copied() {
            let Some(record) = self.driver.sessions[connection].running else {
                continue;
            };
            let control = self.driver.sessions[connection].control;
            let rows = self.driver.rows(control).await?;
            let waits = self.driver.row_of(&rows, connection).map(TrxRow::waits);
            let candidates = self.driver.candidates(connection, record, &rows);
            let held = !candidates.is_empty();
            match waits {
                Some(true) if held => {
                    polled.open |= !self.is_known_to_block(connection);
                    polled.blocked.push((record, candidates));
                }
                Some(true) => polled.moves = true,
                _ => match self.driver.still_waits(connection, record).await? {
                    Waiting::LetGo | Waiting::Gone => polled.moves = true,
                    Waiting::Held | Waiting::Unknown => polled.open |= held,
                },
            }
        }
        Ok(polled)
    }

    /// Whether it was certain in a schedule before this one that a connection's step is blocked at the point where this
    /// one is now.
    fn is_known_to_block(&mut self, connection: usize) -> bool {
        let point = self.point(connection);
        self.cache.blocks(&point)
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

/// What a look at all blocked steps has shown.
#[derive(Debug, Default)]
struct Polled {
    /// One of them may still turn out to be unblocked.
    open: bool,
    /// One of them is unblocked, and about to return.
    moves: bool,
    /// The records of those that are blocked, and who may hold them back.
    blocked: Vec<(usize, Vec<usize>)>,
}
