//! Follows one order of many: any step may wait, and the others go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::limits::{POLL_EVERY, RETURN_MAX};
use super::script::{Fate, Script};
use super::watch::Waiting;
use crate::history::{Status, Stopped};
use crate::lock_wait::TrxRow;
use crate::machine::Command;

/// How long a wait may still show after a lock was let go of, where somebody else may hold what is waited for:
/// a release takes 1 to 3 ms.
const RELEASE_GRACE: Duration = Duration::from_millis(30);
/// So many looks in that time at the least, so that a busy machine has its chance, too.
const RELEASE_LOOKS: u32 = 6;
/// How long a session may take to roll back.
const ROLLBACK_MAX: Duration = Duration::from_secs(5);

/// Says who takes the next step.
pub trait Chooser: Send {
    /// The connection, of those that can: they wait for nothing and have steps left. `None` ends the order here.
    fn choose(&mut self, able: &[usize]) -> Option<usize>;
}

/// A step as it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The connection's number.
    pub connection: usize,
    /// The step's number.
    pub step: usize,
    /// The connections that could have taken one instead, themselves included.
    pub able: Vec<usize>,
}

impl Script<'_> {
    /// Runs the steps as the chooser says; tells whether to the end. Which were started in which order is in `taken`.
    pub async fn follow_order(&mut self, chooser: &mut dyn Chooser, skip: &[usize]) -> bool {
        match self.order(chooser, skip).await {
            Ok(complete) => complete,
            Err(stopped) => {
                self.history.stopped = Some(stopped);
                true
            }
        }
    }

    async fn order(&mut self, chooser: &mut dyn Chooser, skip: &[usize]) -> Result<bool, Stopped> {
        let plan = Arc::clone(&self.plan);
        let mut left: Vec<VecDeque<usize>> = plan
            .connections
            .iter()
            .map(|own| own.states.clone().filter(|step| !skip.contains(step)).collect())
            .collect();
        self.always(None).await;
        loop {
            let able: Vec<usize> = (0..left.len())
                .filter(|number| {
                    let seat = &self.seats[*number];
                    seat.busy.is_none() && seat.failed.is_none() && !left[*number].is_empty()
                })
                .collect();
            if able.is_empty() {
                // Whoever is left waits for a connection that has no more steps, or for its own limit. The limit of
                // whoever waits for the longest time comes first.
                let busy = self.seats.iter().filter_map(|seat| seat.busy);
                let limit = |record: &usize| {
                    let record = &self.history.steps[*record];
                    let limit = plan.steps[record.step].timeout.as_micros();
                    u128::from(record.started_us) + limit
                };
                let Some(record) = busy.min_by_key(limit) else {
                    break;
                };
                self.await_the_last(record).await?;
                self.settle(true).await?;
                continue;
            }
            let Some(connection) = chooser.choose(&able) else {
                return Ok(false);
            };
            let Some(step) = left.get_mut(connection).and_then(VecDeque::pop_front) else {
                return Ok(false);
            };
            self.taken.push(Taken {
                connection,
                step,
                able,
            });
            let held = self.seats[connection].transaction.may_hold_locks();
            let record = self.start(step);
            let place = self.track.place(connection);
            if let Fate::Stop(stopped) = self.watch(record).await {
                return Err(stopped);
            }
            let holds = self.seats[connection].transaction.may_hold_locks();
            let returned = self.is_done(record);
            // What came back before anybody did anything did not wait for anybody: a deadlock's victim, say.
            if returned && self.history.steps[record].wait.take().is_some() {
                self.coordinator.forget_blocked(connection);
            }
            if returned {
                self.came_back(place);
            } else {
                self.track.waits();
            }
            let let_go = returned && ((held && !holds) || self.lets_go(record));
            self.settle(let_go).await?;
            self.always(Some(step)).await;
        }
        for number in 0..self.seats.len() {
            if self.seats[number].failed.is_none() {
                self.coordinator.set_status(number, Status::Completed);
            }
        }
        Ok(true)
    }

    /// Whether a step may have let go of what others wait for beside row locks of its own transaction.
    fn lets_go(&self, record: usize) -> bool {
        use crate::plan::Action;
        use crate::sql::{Kind, classify};
        let record = &self.history.steps[record];
        match self.plan.steps.get(record.step).map(|step| &step.action) {
            Some(Action::Kill { .. } | Action::Disconnect | Action::Reconnect) => true,
            _ => matches!(
                classify(&record.text).kind,
                Kind::ReleaseLock { .. } | Kind::Ddl | Kind::Execute | Kind::Other | Kind::Set(_)
            ),
        }
    }

    /// Takes note of all that came of a step for those who wait: who goes on, who waits still, whose session
    /// gives up after an error.
    async fn settle(&mut self, let_go: bool) -> Result<(), Stopped> {
        let mut let_go = let_go;
        let mut began = Instant::now();
        let mut looks = 0;
        let mut before = self.busy();
        let mut asked = false;
        loop {
            self.drain();
            let gave_up = self.give_up().await;
            let busy = self.busy();
            // Whoever came back may have let go of locks, too.
            if gave_up || busy != before {
                let_go = true;
                (began, looks) = (Instant::now(), 0);
                before.clone_from(&busy);
            }
            if busy.is_empty() || !let_go {
                return Ok(());
            }
            // Most who are let go are back before the server could be asked.
            if !asked && busy.iter().any(|own| !self.is_known_to_wait(*own)) {
                asked = true;
                self.next_report(Instant::now() + POLL_EVERY).await;
                continue;
            }
            let mut open = false;
            let mut moves = false;
            let mut waiting = Vec::new();
            for connection in busy {
                let Some(record) = self.seats[connection].busy else {
                    continue;
                };
                let control = self.seats[connection].control;
                let rows = self.rows(control).await?;
                let waits = self.row_of(&rows, connection).map(TrxRow::waits);
                let candidates = self.candidates(connection, record, &rows);
                let held = !candidates.is_empty();
                match waits {
                    Some(true) if held => {
                        let known = self.is_known_to_wait(connection);
                        open |= !known;
                        waiting.push((record, candidates, !known));
                    }
                    Some(true) => moves = true,
                    _ => match self.still_waits(connection, record).await? {
                        Waiting::LetGo | Waiting::Gone => moves = true,
                        Waiting::Held | Waiting::Unknown => open |= held,
                    },
                }
            }
            looks += 1;
            let grace = began.elapsed() < RELEASE_GRACE || looks < RELEASE_LOOKS;
            let waits = (moves && began.elapsed() < RETURN_MAX) || (open && grace);
            if !waits {
                // The answer may have come while the server was asked.
                self.drain();
                if self.busy() != before {
                    continue;
                }
                for (record, candidates, certain) in waiting {
                    let place = self.track.place(self.history.steps[record].connection);
                    self.believe(record, place, &candidates, certain);
                }
                return Ok(());
            }
            self.next_report(Instant::now() + POLL_EVERY).await;
        }
    }

    /// Whether it was certain in an order before this that a connection's step waits where this one is now.
    fn is_known_to_wait(&self, connection: usize) -> bool {
        self.known.waits(&self.track.place(connection))
    }

    pub(super) fn busy(&self) -> Vec<usize> {
        let seats = self.seats.iter().enumerate();
        seats
            .filter(|(_, seat)| seat.busy.is_some())
            .map(|(number, _)| number)
            .collect()
    }

    /// Rolls back whoever got an error that nobody expected: an application would give up its transaction.
    async fn give_up(&mut self) -> bool {
        let mut any = false;
        for number in 0..self.seats.len() {
            let seat = &mut self.seats[number];
            if seat.failed.is_none() || seat.busy.is_some() || self.given_up.contains(&number) {
                continue;
            }
            self.given_up.push(number);
            any = true;
            seat.transaction = crate::transaction::Transaction::default();
            let (done, told) = oneshot::channel();
            let reopen = false;
            if seat.commands.send(Command::Refresh { reopen, done }).is_ok() {
                // A session that does not roll back is found by the next order, which gets another one.
                drop(tokio::time::timeout(ROLLBACK_MAX, told).await);
            }
            self.coordinator.set_status(number, Status::Failed);
        }
        any
    }
}
