//! Follows a step until it has returned or is certainly blocked.

use std::time::{Duration, Instant};

use super::driver::{Driver, SessionSlot};
use super::events::DriverEvent;
use super::limits::POLL_EVERY;
use crate::history::{Stopped, WaitRule};
use crate::lock_wait::{self, BlockDetector, Confidence, Detection, TrxRow};
use crate::plan::Action;
use crate::sql::{Kind, Product, TransactionMode, classify};

/// The first poll of a statement that must not block comes after this: most have returned by then.
const FIRST_POLL: Duration = Duration::from_millis(3);
/// The same of one that the file says blocks.
const FIRST_POLL_EXPECTED: Duration = Duration::from_micros(500);
/// The same of a step in one schedule of many, where somebody might hold it back: any may block and most do not, and
/// a poll costs as much as a step.
const FIRST_POLL_EXPLORING: Duration = Duration::from_millis(2);
/// The same where it was blocked before: by then it shows, mostly, that it has been so for a millisecond.
const FIRST_POLL_BLOCKED_BEFORE: Duration = Duration::from_micros(1_200);
/// The same where nobody else has a transaction open, or where it returned before.
const FIRST_POLL_ALONE: Duration = Duration::from_millis(20);
/// From one question to the next, so that many polls are had in little time also where answers are slow.
const POLL_EVERY_EXPLORING: Duration = Duration::from_millis(3);
const POLL_EVERY_BLOCKED_BEFORE: Duration = Duration::from_millis(1);
const POLL_EVERY_UNEXPECTED: Duration = Duration::from_millis(10);
/// The shortest pause before a poll: the machine is for others, too.
const PAUSE_MIN: Duration = Duration::from_micros(500);
/// Between two questions about a statement of which `TIDB_TRX` says nothing.
const ASK_OTHERWISE_EVERY: Duration = Duration::from_millis(200);

/// What has become of a step that is followed.
#[derive(Debug)]
pub(crate) enum StepProgress {
    /// Its answer is there.
    Returned,
    /// It is certainly blocked; its wait stands in its record.
    Blocked,
    /// The run ends here.
    Aborted(Stopped),
}

/// A step that is being followed.
struct Watched {
    record: usize,
    connection: usize,
    sent: Instant,
    confidence: Confidence,
    detector: BlockDetector,
    asked_otherwise: Instant,
}

impl Watched {
    /// When to poll next, after a poll that began then.
    fn next_poll(&self, polled: Instant) -> Instant {
        let now = Instant::now();
        match self.confidence {
            Confidence::BlockedBefore => {
                let left = self.detector.left(now).unwrap_or(POLL_EVERY_BLOCKED_BEFORE);
                now + left.max(PAUSE_MIN)
            }
            Confidence::Exploring | Confidence::ReturnedBefore => {
                (polled + POLL_EVERY_EXPLORING).max(now + PAUSE_MIN)
            }
            Confidence::Expected => now + POLL_EVERY,
            Confidence::Unexpected => now + POLL_EVERY_UNEXPECTED,
        }
    }
}

impl Driver<'_> {
    /// Follows one step until it has returned or is certainly blocked. `confidence` tells what is known of it: at the
    /// beginning, and before each poll, since others may find out meanwhile that it blocks.
    pub async fn watch(
        &mut self,
        record: usize,
        confidence: &(dyn Fn() -> Confidence + Sync),
    ) -> StepProgress {
        let progress = self.followed(record, confidence).await;
        if matches!(progress, StepProgress::Blocked) && !self.is_done(record) {
            self.events.push(DriverEvent::Blocked);
        }
        progress
    }

    async fn followed(
        &mut self,
        record: usize,
        confidence: &(dyn Fn() -> Confidence + Sync),
    ) -> StepProgress {
        let mut watched = self.watched(record, confidence());
        let control = self.sessions[watched.connection].control;
        let step = self.step_of(record);
        let timeout = step.timeout;
        let limit = watched.sent + timeout;
        // What runs no statement is not blocked.
        let polls = matches!(
            step.action,
            Action::Sql(_) | Action::Prepared(..) | Action::Load { .. }
        );
        let mut next_poll = watched.sent + self.first_poll(watched.connection, watched.confidence);
        loop {
            self.next_report(if polls { next_poll.min(limit) } else { limit })
                .await;
            if self.is_done(record) {
                return StepProgress::Returned;
            }
            if Instant::now() >= limit {
                self.end_statement(record, timeout, false).await;
                return StepProgress::Returned;
            }
            let polled = Instant::now();
            let rows = match self.rows(control).await {
                Ok(rows) => rows,
                Err(stopped) => return StepProgress::Aborted(stopped),
            };
            let now = Instant::now();
            if confidence() == Confidence::BlockedBefore {
                watched.confidence = Confidence::BlockedBefore;
                watched.detector.blocked_before();
            }
            let row = self.row_of(&rows, watched.connection);
            let detection = watched.detector.poll(row, now);
            // The answer may have come while the server was asked.
            self.drain();
            if self.is_done(record) {
                return StepProgress::Returned;
            }
            let blocked = self.confirmed(&mut watched, detection, &rows, now).await;
            if self.is_done(record) {
                return StepProgress::Returned;
            }
            if let Some((rule, holders)) = blocked {
                self.note_wait(record, rule, &rows, holders, watched.confidence)
                    .await;
                return match watched.confidence.may_block() {
                    true => StepProgress::Blocked,
                    false if self.is_done(record) => StepProgress::Returned,
                    false => StepProgress::Aborted(Stopped::UnexpectedWait { record }),
                };
            }
            next_poll = watched.next_poll(polled);
        }
    }

    fn watched(&self, record: usize, confidence: Confidence) -> Watched {
        let connection = self.connection_of(record);
        let sent = Instant::now();
        // InnoDB shows a wait only where there is one.
        let careful = self.product(connection) == Product::TiDb;
        let detector = match confidence {
            Confidence::Exploring | Confidence::ReturnedBefore if careful => {
                BlockDetector::new(sent, confidence).free_to_commit(self.is_free_to_commit(connection))
            }
            Confidence::Exploring | Confidence::ReturnedBefore => {
                BlockDetector::new(sent, Confidence::Expected)
            }
            Confidence::Expected | Confidence::Unexpected | Confidence::BlockedBefore => {
                BlockDetector::new(sent, confidence)
            }
        };
        Watched {
            record,
            connection,
            sent,
            confidence,
            detector,
            asked_otherwise: sent,
        }
    }

    /// How long after a statement was sent to poll first.
    fn first_poll(&self, connection: usize, confidence: Confidence) -> Duration {
        match confidence {
            Confidence::Expected => return FIRST_POLL_EXPECTED,
            Confidence::Unexpected => return FIRST_POLL,
            Confidence::BlockedBefore => return FIRST_POLL_BLOCKED_BEFORE,
            Confidence::ReturnedBefore => return FIRST_POLL_ALONE,
            Confidence::Exploring => {}
        }
        let may_hold = |slot: &SessionSlot| slot.running.is_some() || !slot.transaction.is_closed();
        let mut others = self
            .sessions
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != connection);
        if others.any(|(_, slot)| may_hold(slot)) {
            FIRST_POLL_EXPLORING
        } else {
            FIRST_POLL_ALONE
        }
    }

    /// Whether TiDB's commit can wait for nobody: a pessimistic transaction has all its locks before, and an optimistic
    /// one meets only those of pessimistic ones, and of commits under way.
    fn is_free_to_commit(&self, connection: usize) -> bool {
        let mode = |slot: &SessionSlot| slot.transaction.mode(self.controls[slot.control].txn_mode);
        let own = &self.sessions[connection];
        let others = (0..self.sessions.len()).filter(|number| *number != connection);
        own.transaction.is_open() && mode(own) == Some(TransactionMode::Pessimistic)
            || others.map(|number| &self.sessions[number]).all(|slot| {
                let locks = slot.transaction.may_hold_locks();
                slot.running.is_none() && (!locks || mode(slot) == Some(TransactionMode::Optimistic))
            })
    }

    /// The rule by which the step is blocked, and those who are known to hold it back; nothing, where that is not
    /// certain yet.
    async fn confirmed(
        &mut self,
        watched: &mut Watched,
        detection: Detection,
        rows: &[TrxRow],
        now: Instant,
    ) -> Option<(WaitRule, Vec<usize>)> {
        match detection {
            Detection::NotYet => None,
            // A slow commit looks like one that waits; it waits only if somebody can hold it back. While exploring
            // that is asked of every step, since none is expected to block.
            Detection::Blocked(rule) => {
                let doubtful =
                    watched.confidence.is_exploring() || matches!(rule, WaitRule::Committing { .. });
                let held = !doubtful
                    || !self
                        .candidates(watched.connection, watched.record, rows)
                        .is_empty();
                held.then(|| (rule, Vec::new()))
            }
            Detection::Silent if watched.asked_otherwise + ASK_OTHERWISE_EVERY <= now => {
                watched.asked_otherwise = now;
                self.ask_otherwise(watched, rows).await
            }
            Detection::Silent => None,
        }
    }

    /// For what never shows as a lock wait: metadata locks, user-level locks, autocommit statements.
    async fn ask_otherwise(&mut self, watched: &Watched, rows: &[TrxRow]) -> Option<(WaitRule, Vec<usize>)> {
        let (record, connection) = (watched.record, watched.connection);
        let control = self.sessions[connection].control;
        let kind = classify(&self.statement_text(record)).kind;
        let unknown = matches!(kind, Kind::Execute | Kind::Other);
        let mut others = unknown || !self.candidates(connection, record, rows).is_empty();
        if unknown || kind == Kind::Ddl {
            match self.metadata_lock_waits(record).await {
                Some(holders) if holders.is_empty() => {}
                Some(holders) => return Some((WaitRule::MetadataLock, holders)),
                // A server that does not tell has to be believed.
                None => others = true,
            }
        }
        // In a transaction of its own, a wait for a row shows as one.
        let in_transaction = !self.sessions[connection].transaction.is_closed();
        if watched.confidence.is_exploring()
            && in_transaction
            && matches!(kind, Kind::Dml | Kind::Select { .. })
        {
            return None;
        }
        // A statement that nobody can hold back is slow, not blocked; SLEEP is just that.
        if !watched.confidence.may_block() || !others || kind == Kind::Sleep {
            return None;
        }
        let session = self.coordinator.session(connection)?;
        let running = lock_wait::is_running(&mut self.controls[control].connection, session).await;
        self.drain();
        let for_us = u64::try_from(watched.sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        (running && !self.is_done(record)).then_some((WaitRule::NoAnswer { for_us }, Vec::new()))
    }
}
