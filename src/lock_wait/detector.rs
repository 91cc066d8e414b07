//! Decides from what the server shows when a wait is certain.
//!
//! `TIDB_TRX` shows a statement as `LockWaiting` also while it merely tries to get a lock, for up to some
//! 25 ms on a busy machine. The same wait (same transaction, same start of the wait) seen twice is
//! trusted where the file says that there is one, and where it says that there is none only after a
//! longer time, since a wrong "it waits" would fail a good trial.

use std::time::{Duration, Instant};

use super::trx::{TrxRow, WAITS};
use crate::history::WaitRule;

/// Between two sights of an expected wait.
const APART_EXPECTED: Duration = Duration::from_millis(2);
/// The same where it is known to wait, so that the statement must only have come to where it does.
const APART_KNOWN: Duration = Duration::from_millis(1);
/// Between two sights of a wait that must not be.
const APART_UNEXPECTED: Duration = Duration::from_millis(200);
/// Between two sights of a wait that may be or not be, and how many looks in between must show it: a busy server
/// shows a statement that merely gets its lock as waiting for 10 to 35 ms.
const APART_OF_MANY: Duration = Duration::from_millis(24);
const LOOKS_OF_MANY: u32 = 8;
/// A commit in back-off, where it is expected.
const COMMITTING_EXPECTED: Duration = Duration::from_millis(300);
/// A commit in back-off that must not be: a big transaction on a busy machine takes its time.
const COMMITTING_UNEXPECTED: Duration = Duration::from_secs(3);
/// No answer and nothing in `TIDB_TRX`, where a wait is expected.
const NO_ANSWER: Duration = Duration::from_millis(300);
/// So many looks must show what only its length tells: a server that is slow to answer them is slow with the
/// statement, too. On an idle machine 300 ms have about a hundred.
const LOOKS_OF_LENGTH: u32 = 80;

/// What has been seen of one statement so far.
#[derive(Debug)]
pub(crate) struct Sights {
    sent: Instant,
    expected: bool,
    /// Whether the step is one of an order of many: it may wait or not.
    of_many: bool,
    /// Whether it is known to wait from an order before this, so that it is to be seen only that it has come so far.
    known: bool,
    /// Whether nobody holds what a commit could wait for.
    free_to_commit: bool,
    /// All looks, and those that have shown the same lock wait or commit.
    looks: u32,
    looks_alike: u32,
    lock_wait: Option<(Instant, i128, Option<String>)>,
    committing: Option<(Instant, i128)>,
}

/// What one more sight says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Look again.
    NotYet,
    /// It waits.
    Waits(WaitRule),
    /// Nothing in `TIDB_TRX` tells of a wait, and no answer has come for long: ask otherwise.
    Silent,
}

impl Sights {
    pub fn new(sent: Instant, expected: bool) -> Self {
        Self {
            sent,
            expected,
            of_many: false,
            known: false,
            free_to_commit: false,
            looks: 0,
            looks_alike: 0,
            lock_wait: None,
            committing: None,
        }
    }

    /// For a step that may wait or not.
    pub fn of_many(sent: Instant) -> Self {
        Self {
            of_many: true,
            ..Self::new(sent, true)
        }
    }

    /// For a step that waited in an order before this when all was as it is now.
    pub fn of_known(sent: Instant) -> Self {
        Self {
            known: true,
            ..Self::new(sent, true)
        }
    }

    /// Nobody is known to hold what its commit could wait for, so that one that takes long is slow.
    pub fn free_to_commit(mut self, free: bool) -> Self {
        self.free_to_commit = free;
        self
    }

    /// That it waits has become known while it was looked at.
    pub fn is_known(&mut self) {
        (self.known, self.of_many) = (true, false);
    }

    /// How long a wait that is known has still to show.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let (first, ..) = self.lock_wait.as_ref().filter(|_| self.known)?;
        Some(APART_KNOWN.saturating_sub(now.saturating_duration_since(*first)))
    }

    /// Judges one more sight of the statement's transaction.
    pub fn see(&mut self, row: Option<&TrxRow>, now: Instant) -> Sight {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let state = row.map(|row| row.state.as_str());
        self.looks += 1;
        if let (Some(row), Some(WAITS)) = (row, state) {
            self.committing = None;
            let first = match &self.lock_wait {
                Some((first, id, since)) if *id == row.id && *since == row.waiting_since => *first,
                _ => {
                    // A server that tells how long it has lasted saves the look that shows its beginning.
                    // It can have lasted no longer than the statement, whatever a server says whose clock was set.
                    let waited = row.waited.filter(|_| self.known).unwrap_or_default();
                    let waited = waited.min(now.saturating_duration_since(self.sent));
                    let first = now.checked_sub(waited).unwrap_or(now);
                    self.lock_wait = Some((first, row.id, row.waiting_since.clone()));
                    self.looks_alike = 0;
                    first
                }
            };
            self.looks_alike += 1;
            let apart = now.saturating_duration_since(first);
            let needed = if self.known {
                APART_KNOWN
            } else if self.of_many {
                APART_OF_MANY
            } else if self.expected {
                APART_EXPECTED
            } else {
                APART_UNEXPECTED
            };
            let looked = !self.of_many || self.looks_alike >= LOOKS_OF_MANY;
            return if apart >= needed && looked {
                Sight::Waits(WaitRule::SameLockWaitTwice {
                    apart_us: micros(apart),
                })
            } else {
                Sight::NotYet
            };
        }
        self.lock_wait = None;
        if let (Some(row), Some("Committing")) = (row, state) {
            let first = match self.committing {
                Some((first, id)) if id == row.id => first,
                _ => {
                    self.looks_alike = 0;
                    now
                }
            };
            self.looks_alike += 1;
            self.committing = Some((first, row.id));
            let lasted = now.saturating_duration_since(first);
            let needed = if self.expected && !self.free_to_commit {
                COMMITTING_EXPECTED
            } else {
                COMMITTING_UNEXPECTED
            };
            return if lasted >= needed && self.looks_alike >= LOOKS_OF_LENGTH {
                Sight::Waits(WaitRule::Committing {
                    for_us: micros(lasted),
                })
            } else {
                Sight::NotYet
            };
        }
        // An autocommit statement in back-off changes its transaction with each try, so the time runs on.
        let long = now.saturating_duration_since(self.sent) >= NO_ANSWER;
        // Where none is expected, only those are asked for that the server tells by name.
        if long && (!self.expected || self.looks >= LOOKS_OF_LENGTH) {
            Sight::Silent
        } else {
            Sight::NotYet
        }
    }
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
    fn one_sight_proves_nothing_and_the_same_wait_twice_does() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut sights = Sights::new(sent, true);
        assert_eq!(sights.see(Some(&row("LockWaiting", "a")), at(1)), Sight::NotYet);
        assert_eq!(sights.see(Some(&row("LockWaiting", "b")), at(4)), Sight::NotYet);
        let rule = WaitRule::SameLockWaitTwice { apart_us: 2_000 };
        assert_eq!(
            sights.see(Some(&row("LockWaiting", "b")), at(6)),
            Sight::Waits(rule)
        );
    }

    #[test]
    fn a_wait_that_may_be_needs_time_and_looks() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut sights = Sights::of_many(sent);
        for look in 0..7 {
            assert_eq!(
                sights.see(Some(&row("LockWaiting", "a")), at(10 * look)),
                Sight::NotYet
            );
        }
        assert!(matches!(
            sights.see(Some(&row("LockWaiting", "a")), at(70)),
            Sight::Waits(_)
        ));
        let mut sights = Sights::of_many(sent);
        for look in 0..20 {
            assert_eq!(
                sights.see(Some(&row("LockWaiting", "a")), at(look)),
                Sight::NotYet
            );
        }
        sights.is_known();
        assert!(matches!(
            sights.see(Some(&row("LockWaiting", "a")), at(20)),
            Sight::Waits(_)
        ));
    }

    #[test]
    fn one_sight_of_a_known_wait_is_enough_where_the_server_tells_how_long_it_has_lasted() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let waited = |micros: Option<u64>| TrxRow {
            waited: micros.map(Duration::from_micros),
            ..row("LockWaiting", "a")
        };
        let mut sights = Sights::of_known(sent);
        assert_eq!(sights.see(Some(&waited(Some(500))), at(3)), Sight::NotYet);
        let rule = WaitRule::SameLockWaitTwice { apart_us: 1_500 };
        assert_eq!(sights.see(Some(&waited(Some(1_500))), at(4)), Sight::Waits(rule));
        let mut sights = Sights::of_known(sent);
        let rule = WaitRule::SameLockWaitTwice { apart_us: 1_000 };
        assert_eq!(sights.see(Some(&waited(Some(1_000))), at(3)), Sight::Waits(rule));
        let mut sights = Sights::of_known(sent);
        assert_eq!(sights.see(Some(&waited(None)), at(3)), Sight::NotYet);
        assert_eq!(sights.see(Some(&waited(None)), at(4)), Sight::Waits(rule));
    }

    #[test]
    fn a_wait_that_must_not_be_needs_longer() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        let mut sights = Sights::new(sent, false);
        assert_eq!(sights.see(Some(&row("LockWaiting", "a")), at(1)), Sight::NotYet);
        assert_eq!(sights.see(Some(&row("LockWaiting", "a")), at(26)), Sight::NotYet);
        assert!(matches!(
            sights.see(Some(&row("LockWaiting", "a")), at(201)),
            Sight::Waits(_)
        ));
    }

    #[test]
    fn a_commit_in_back_off_is_told_by_its_length_and_by_many_looks() {
        let sent = Instant::now();
        let at = |ms: u64| sent + Duration::from_millis(ms);
        // At a look each so many milliseconds: when it is believed.
        let believed = |every: u64, state: &str| {
            let mut sights = Sights::new(sent, true);
            (0..).map(|look| look * every).find(|ms| {
                let sight = sights.see(Some(&row(state, "")), at(*ms));
                sight != Sight::NotYet
            })
        };
        assert_eq!(believed(3, "Committing"), Some(300));
        assert_eq!(believed(30, "Committing"), Some(79 * 30));
        let mut sights = Sights::of_many(sent).free_to_commit(true);
        for look in 0..1_000 {
            assert_eq!(
                sights.see(Some(&row("Committing", "")), at(look * 3)),
                Sight::NotYet
            );
        }
        assert_eq!(believed(3, "Running"), Some(300));
        assert_eq!(believed(30, "Running"), Some(79 * 30));
        // Another transaction's commit begins anew.
        let mut sights = Sights::new(sent, true);
        for look in 0..200 {
            let tried = TrxRow {
                id: i128::from(look / 60),
                ..row("Committing", "")
            };
            assert_eq!(sights.see(Some(&tried), at(look * 10)), Sight::NotYet);
        }
        // But its statement has taken long, and is asked about when it does not commit just now.
        assert_eq!(sights.see(Some(&row("Running", "")), at(2_000)), Sight::Silent);
    }
}
