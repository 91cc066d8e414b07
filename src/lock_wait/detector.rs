//! Decides from what the server shows when a statement is certainly blocked.
//!
//! `TIDB_TRX` shows a statement as `LockWaiting` also while it merely tries to get a lock, for up to some
//! 25 ms on a busy machine. The same wait (same transaction, same start of the wait) seen twice is
//! trusted where the file says that there is one, and where it says that there is none only after a
//! longer time, since a wrong "it waits" would fail a good trial.

use std::time::{Duration, Instant};

use super::trx::{TrxRow, WAITS};
use crate::history::WaitRule;

/// What is known beforehand of whether a statement blocks: how much is asked for before it is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confidence {
    /// The file says that it blocks.
    Expected,
    /// The file says that it must not: a wrong "it is blocked" would fail a good trial.
    Unexpected,
    /// It may block or return: a step in one schedule of many.
    Exploring,
    /// The same, and it has returned in an earlier schedule when all was as it is now.
    ReturnedBefore,
    /// The same, and it was blocked then: it has to be seen only that it has come so far.
    BlockedBefore,
}

impl Confidence {
    /// Whether a step may be blocked without that the trial fails.
    pub fn may_block(self) -> bool {
        self != Self::Unexpected
    }

    /// Whether nobody but the server says that the step blocks.
    pub fn is_exploring(self) -> bool {
        match self {
            Self::Expected | Self::Unexpected => false,
            Self::Exploring | Self::ReturnedBefore | Self::BlockedBefore => true,
        }
    }

    /// How far apart two polls must have shown the same lock wait, and how many in all.
    fn lock_wait_needs(self) -> (Duration, u32) {
        match self {
            Self::Expected => (APART_EXPECTED, 1),
            Self::Unexpected => (APART_UNEXPECTED, 1),
            Self::Exploring | Self::ReturnedBefore => (APART_EXPLORING, POLLS_EXPLORING),
            Self::BlockedBefore => (APART_BLOCKED_BEFORE, 1),
        }
    }
}

const APART_EXPECTED: Duration = Duration::from_millis(2);
/// The statement must only have come to where it blocks.
const APART_BLOCKED_BEFORE: Duration = Duration::from_millis(1);
const APART_UNEXPECTED: Duration = Duration::from_millis(200);
/// A busy server shows a statement that merely gets its lock as waiting for 10 to 35 ms.
const APART_EXPLORING: Duration = Duration::from_millis(24);
const POLLS_EXPLORING: u32 = 8;
/// A commit in back-off, where the step may block.
const COMMITTING_EXPECTED: Duration = Duration::from_millis(300);
/// A commit in back-off that must not be: a big transaction on a busy machine takes its time.
const COMMITTING_UNEXPECTED: Duration = Duration::from_secs(3);
/// No answer and nothing in `TIDB_TRX`, where a step may block.
const NO_ANSWER: Duration = Duration::from_millis(300);
/// So many polls must show what only its length tells: a server that is slow to answer them is slow with the
/// statement, too. On an idle machine 300 ms have about a hundred.
const POLLS_OF_LENGTH: u32 = 80;

/// What polls have shown of one statement so far.
#[derive(Debug)]
pub(crate) struct BlockDetector {
    sent: Instant,
    confidence: Confidence,
    /// Whether nobody holds what a commit could wait for.
    free_to_commit: bool,
    /// All polls, and those that have shown the same lock wait or commit.
    polls: u32,
    polls_alike: u32,
    lock_wait: Option<(Instant, i128, Option<String>)>,
    committing: Option<(Instant, i128)>,
}

/// What one more poll says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detection {
    /// Poll again.
    NotYet,
    /// It is blocked.
    Blocked(WaitRule),
    /// Nothing in `TIDB_TRX` tells of a wait, and no answer has come for long: ask otherwise.
    Silent,
}

impl BlockDetector {
    /// For a statement that was sent at this moment.
    pub fn new(sent: Instant, confidence: Confidence) -> Self {
        Self {
            sent,
            confidence,
            free_to_commit: false,
            polls: 0,
            polls_alike: 0,
            lock_wait: None,
            committing: None,
        }
    }

    /// Nobody is known to hold what its commit could wait for, so that one that takes long is slow.
    pub fn free_to_commit(mut self, free: bool) -> Self {
        self.free_to_commit = free;
        self
    }

    /// That it blocks has become known while it was polled.
    pub fn blocked_before(&mut self) {
        self.confidence = Confidence::BlockedBefore;
    }

    /// How long a wait that is known from before has still to show.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let known = self.confidence == Confidence::BlockedBefore;
        let (first, ..) = self.lock_wait.as_ref().filter(|_| known)?;
        Some(APART_BLOCKED_BEFORE.saturating_sub(now.saturating_duration_since(*first)))
    }

    /// Judges one more sight of the statement's transaction.
    pub fn poll(&mut self, row: Option<&TrxRow>, now: Instant) -> Detection {
        let state = row.map(|row| row.state.as_str());
        self.polls += 1;
        match (row, state) {
            (Some(row), Some(WAITS)) => self.lock_wait(row, now),
            (Some(row), Some("Committing")) => self.committing(row, now),
            _ => {
                self.lock_wait = None;
                self.silent(now)
            }
        }
    }

    fn lock_wait(&mut self, row: &TrxRow, now: Instant) -> Detection {
        self.committing = None;
        let first = match &self.lock_wait {
            Some((first, id, since)) if *id == row.id && *since == row.waiting_since => *first,
            _ => {
                // A server that tells how long it has lasted saves the poll that shows its beginning.
                // It can have lasted no longer than the statement, whatever a server says whose clock was set.
                let known = self.confidence == Confidence::BlockedBefore;
                let waited = row.waited.filter(|_| known).unwrap_or_default();
                let waited = waited.min(now.saturating_duration_since(self.sent));
                let first = now.checked_sub(waited).unwrap_or(now);
                self.lock_wait = Some((first, row.id, row.waiting_since.clone()));
                self.polls_alike = 0;
                first
            }
        };
        self.polls_alike += 1;
        let apart = now.saturating_duration_since(first);
        let (needed, polls) = self.confidence.lock_wait_needs();
        if apart >= needed && self.polls_alike >= polls {
            Detection::Blocked(WaitRule::SameLockWaitTwice {
                apart_us: micros(apart),
            })
        } else {
            Detection::NotYet
        }
    }

    fn committing(&mut self, row: &TrxRow, now: Instant) -> Detection {
        self.lock_wait = None;
        let first = match self.committing {
            Some((first, id)) if id == row.id => first,
            _ => {
                self.polls_alike = 0;
                now
            }
        };
        self.polls_alike += 1;
        self.committing = Some((first, row.id));
        let lasted = now.saturating_duration_since(first);
        let needed = if self.confidence.may_block() && !self.free_to_commit {
            COMMITTING_EXPECTED
        } else {
            COMMITTING_UNEXPECTED
        };
        if lasted >= needed && self.polls_alike >= POLLS_OF_LENGTH {
            Detection::Blocked(WaitRule::Committing {
                for_us: micros(lasted),
            })
        } else {
            Detection::NotYet
        }
    }

    fn silent(&self, now: Instant) -> Detection {
        // An autocommit statement in back-off changes its transaction with each try, so the time runs on.
        let long = now.saturating_duration_since(self.sent) >= NO_ANSWER;
        // Where none is expected, only those are asked for that the server tells by name.
        if long && (!self.confidence.may_block() || self.polls >= POLLS_OF_LENGTH) {
            Detection::Silent
        } else {
            Detection::NotYet
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: &str, since: &str) -> TrxRow {
        TrxRow {
            session: 1,
            id: 7,
            state: state.to_owned(),
            waiting_since: Some(since.to_owned()),
            waited: Some(Duration::from_millis(500)),
            keys: 0,
        }
    }

    #[test]
    fn one_poll_proves_nothing_and_the_same_wait_twice_does() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut detector = BlockDetector::new(sent, Confidence::Expected);
        assert_eq!(
            detector.poll(Some(&row("LockWaiting", "a")), at(1)),
            Detection::NotYet
        );
        assert_eq!(
            detector.poll(Some(&row("LockWaiting", "b")), at(4)),
            Detection::NotYet
        );
        let rule = WaitRule::SameLockWaitTwice { apart_us: 2_000 };
        assert_eq!(
            detector.poll(Some(&row("LockWaiting", "b")), at(6)),
            Detection::Blocked(rule)
        );
    }

    #[test]
    fn a_wait_while_exploring_needs_time_and_polls() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut detector = BlockDetector::new(sent, Confidence::Exploring);
        for poll in 0..7 {
            assert_eq!(
                detector.poll(Some(&row("LockWaiting", "a")), at(10 * poll)),
                Detection::NotYet
            );
        }
        assert!(matches!(
            detector.poll(Some(&row("LockWaiting", "a")), at(70)),
            Detection::Blocked(_)
        ));
        let mut detector = BlockDetector::new(sent, Confidence::Exploring);
        for poll in 0..20 {
            assert_eq!(
                detector.poll(Some(&row("LockWaiting", "a")), at(poll)),
                Detection::NotYet
            );
        }
        detector.blocked_before();
        assert!(matches!(
            detector.poll(Some(&row("LockWaiting", "a")), at(20)),
            Detection::Blocked(_)
        ));
    }

    #[test]
    fn one_poll_of_a_wait_known_from_before_is_enough_where_the_server_tells_how_long_it_has_lasted() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let waited = |micros: Option<u64>| TrxRow {
            waited: micros.map(Duration::from_micros),
            ..row("LockWaiting", "a")
        };
        let mut detector = BlockDetector::new(sent, Confidence::BlockedBefore);
        assert_eq!(detector.poll(Some(&waited(Some(500))), at(3)), Detection::NotYet);
        let rule = WaitRule::SameLockWaitTwice { apart_us: 1_500 };
        assert_eq!(
            detector.poll(Some(&waited(Some(1_500))), at(4)),
            Detection::Blocked(rule)
        );
        let mut detector = BlockDetector::new(sent, Confidence::BlockedBefore);
        let rule = WaitRule::SameLockWaitTwice { apart_us: 1_000 };
        assert_eq!(
            detector.poll(Some(&waited(Some(1_000))), at(3)),
            Detection::Blocked(rule)
        );
        let mut detector = BlockDetector::new(sent, Confidence::BlockedBefore);
        assert_eq!(detector.poll(Some(&waited(None)), at(3)), Detection::NotYet);
        assert_eq!(
            detector.poll(Some(&waited(None)), at(4)),
            Detection::Blocked(rule)
        );
    }

    #[test]
    fn a_wait_that_must_not_be_needs_longer() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut detector = BlockDetector::new(sent, Confidence::Unexpected);
        assert_eq!(
            detector.poll(Some(&row("LockWaiting", "a")), at(1)),
            Detection::NotYet
        );
        assert_eq!(
            detector.poll(Some(&row("LockWaiting", "a")), at(26)),
            Detection::NotYet
        );
        assert!(matches!(
            detector.poll(Some(&row("LockWaiting", "a")), at(201)),
            Detection::Blocked(_)
        ));
    }

    #[test]
    fn a_commit_in_back_off_is_told_by_its_length_and_by_many_polls() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        // With a poll each so many milliseconds: when it counts as blocked.
        let blocked_after = |every: u64, state: &str| {
            let mut detector = BlockDetector::new(sent, Confidence::Expected);
            (0..).map(|poll| poll * every).find(|ms| {
                let detection = detector.poll(Some(&row(state, "")), at(*ms));
                detection != Detection::NotYet
            })
        };
        assert_eq!(blocked_after(3, "Committing"), Some(300));
        assert_eq!(blocked_after(30, "Committing"), Some(79 * 30));
        let mut detector = BlockDetector::new(sent, Confidence::Exploring).free_to_commit(true);
        for poll in 0..1_000 {
            assert_eq!(
                detector.poll(Some(&row("Committing", "")), at(poll * 3)),
                Detection::NotYet
            );
        }
        assert_eq!(blocked_after(3, "Running"), Some(300));
        assert_eq!(blocked_after(30, "Running"), Some(79 * 30));
        // Another transaction's commit begins anew.
        let mut detector = BlockDetector::new(sent, Confidence::Expected);
        for poll in 0..200 {
            let tried = TrxRow {
                id: i128::from(poll / 60),
                ..row("Committing", "")
            };
            assert_eq!(detector.poll(Some(&tried), at(poll * 10)), Detection::NotYet);
        }
        // But its statement has taken long, and is asked about when it does not commit just now.
        assert_eq!(
            detector.poll(Some(&row("Running", "")), at(2_000)),
            Detection::Silent
        );
    }
}
