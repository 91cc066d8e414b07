//! Follows a step until it has returned or is blocked.

use std::time::{Duration, Instant};

use super::blocked::Blocked;
use super::driver::{Driver, SessionSlot};
use crate::history::{Stopped, WaitRule};
use crate::plan::Action;

/// What is known of a step before it is started. It says how soon to ask about it; what the answer has to show is the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confidence {
    /// The file says that it blocks.
    Expected,
    /// The file says that it does not.
    Unexpected,
    /// It may block or not: a step of one schedule of many.
    Exploring,
}

/// What has become of a step that is followed.
#[derive(Debug)]
pub(crate) enum StepProgress {
    /// Its answer is there.
    Returned,
    /// It is blocked; its wait stands in its record.
    Blocked,
    /// The run ends here.
    Aborted(Stopped),
}

/// The first poll of a statement that must not block comes after this: most have returned by then.
const FIRST_POLL_UNEXPECTED: Duration = Duration::from_millis(3);
/// The same of one that the file says blocks: the server shows a wait 1 to 2 ms after the statement was sent.
const FIRST_POLL_EXPECTED: Duration = Duration::from_micros(900);
/// The same while exploring, where somebody might hold the step back.
const FIRST_POLL_EXPLORING: Duration = Duration::from_millis(1);
/// The same where nobody else has a transaction open.
const FIRST_POLL_ALONE: Duration = Duration::from_millis(20);
/// The shortest pause from one poll to the next; each is longer by a quarter of the time that the statement has run.
const PAUSE_MIN: Duration = Duration::from_micros(600);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// So long at least a session outside of the trial must hold a step back before it fails the trial: TiDB's own sessions
/// lock rows of everybody's tables for a moment.
const HELD_OUTSIDE_MIN: Duration = Duration::from_millis(200);
/// Schema changes are asked about after this, and as rarely: the answer costs some 15 ms.
const SCHEMA_CHANGES_EVERY: Duration = Duration::from_millis(40);

impl Driver<'_> {
    /// Follows one step until it has returned or is blocked.
    pub async fn watch(&mut self, record: usize, confidence: Confidence) -> StepProgress {
        let connection = self.connection_of(record);
        let control = self.sessions[connection].control;
        let step = self.step_of(record);
        let timeout = step.timeout;
        let may_block = step.blocked.is_some() || confidence == Confidence::Exploring;
        // What runs no statement is not blocked.
        let asks = matches!(
            step.action,
            Action::Sql(_) | Action::Prepared(..) | Action::Load { .. }
        );
        let sent = Instant::now();
        let limit = sent + timeout;
        let mut next_poll = sent + self.first_poll(connection, confidence);
        let mut schema_asked = sent;
        let mut held_outside_since: Option<Instant> = None;
        loop {
            self.next_report(if asks { next_poll.min(limit) } else { limit })
                .await;
            if self.is_done(record) {
                return StepProgress::Returned;
            }
            if Instant::now() >= limit {
                self.end_statement(record, timeout, false).await;
                return StepProgress::Returned;
            }
            let view = match self.view(control).await {
                Ok(view) => view,
                Err(stopped) => return StepProgress::Aborted(stopped),
            };
            let mut blocked = self.in_view(&view, record);
            if blocked.is_none()
                && schema_asked.elapsed() >= SCHEMA_CHANGES_EVERY
                && self.may_change_schema(record)
            {
                blocked = self.schema_wait(record).await;
                schema_asked = Instant::now();
            }
            // The answer may have come while the server was asked.
            self.drain();
            if self.is_done(record) {
                return StepProgress::Returned;
            }
            let outside = blocked.as_ref().is_some_and(|blocked| !blocked.is_by_trial());
            held_outside_since = held_outside_since
                .filter(|_| outside)
                .or(outside.then(Instant::now));
            let counts = |blocked: &Blocked| match confidence {
                Confidence::Expected => true,
                // A wait for a user-level lock ends by the time that its statement says: what it comes to is told then.
                Confidence::Unexpected if blocked.rule == WaitRule::UserLock => false,
                Confidence::Unexpected => {
                    held_outside_since.is_none_or(|since| since.elapsed() >= HELD_OUTSIDE_MIN)
                }
                // What others do on the server is no part of an outcome.
                Confidence::Exploring => blocked.is_by_trial(),
            };
            if let Some(blocked) = blocked.filter(counts) {
                self.note_blocked(record, blocked);
                return if may_block {
                    StepProgress::Blocked
                } else {
                    StepProgress::Aborted(Stopped::UnexpectedWait { record })
                };
            }
            next_poll = Instant::now() + (sent.elapsed() / 4).clamp(PAUSE_MIN, PAUSE_MAX);
        }
    }

    /// How long after a statement was sent to poll first.
    fn first_poll(&self, connection: usize, confidence: Confidence) -> Duration {
        let may_hold = |slot: &SessionSlot| slot.running.is_some() || !slot.transaction.is_closed();
        let mut others = self
            .sessions
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != connection);
        match confidence {
            Confidence::Expected => FIRST_POLL_EXPECTED,
            Confidence::Unexpected => FIRST_POLL_UNEXPECTED,
            Confidence::Exploring if others.any(|(_, slot)| may_hold(slot)) => FIRST_POLL_EXPLORING,
            Confidence::Exploring => FIRST_POLL_ALONE,
        }
    }
}
