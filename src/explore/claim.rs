//! That a step is blocked, as it was believed: what came of it tells whether it can have been so.

use super::schedule_history::SchedulePoint;
use crate::history::{Outcome, StepRecord};
use crate::sql::{DEADLOCK, LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, QUERY_TIMEOUT};

/// A step that was taken to be blocked.
#[derive(Debug, Clone)]
pub(super) struct BlockedClaim {
    pub record: usize,
    /// When it was seen the last time.
    pub since_us: u64,
    pub point: SchedulePoint,
}

impl BlockedClaim {
    /// Whether the statement returned though nobody had released anything since: then it was slow, and not blocked. `ends` are the records of the steps that may have released something.
    pub fn was_wrong(&self, steps: &[StepRecord], ends: &[usize]) -> bool {
        let Some(end) = steps.get(self.record).and_then(|record| record.end.as_ref()) else {
            return false;
        };
        let ended_otherwise = match &end.outcome {
            Outcome::TimedOut { .. } | Outcome::Lost { .. } => true,
            Outcome::Refused(error) => {
                // A blocked step may be the victim of a cycle that another one closes.
                [DEADLOCK, LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, QUERY_TIMEOUT].contains(&error.code)
            }
            Outcome::Rows(_) | Outcome::Done(_) => false,
        };
        let mut others = ends.iter().filter(|other| **other != self.record);
        !ended_otherwise
            && !others.any(|other| {
                steps.get(*other).is_some_and(|other| {
                    let ended = other.end.as_ref().map_or(u64::MAX, |end| end.at_us);
                    other.started_us <= end.at_us && ended >= self.since_us
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule_history::tests::point;
    use super::*;
    use crate::history::{Done, SqlError, StepEnd};

    fn record(connection: usize, started_us: u64, end: Option<(u64, Outcome)>) -> StepRecord {
        StepRecord {
            connection,
            started_us,
            end: end.map(|(at_us, outcome)| StepEnd {
                at_us,
                took_us: at_us - started_us,
                outcome,
                statement: 0,
                warnings: None,
                plan: None,
                vars: crate::history::Vars::new(),
                save_problem: None,
                flags: None,
            }),
            ..StepRecord::default()
        }
    }

    #[test]
    fn a_wait_that_ends_though_nobody_lets_go_was_none() {
        let done = || Outcome::Done(Done::default());
        let refused = |code| {
            Outcome::Refused(SqlError {
                code,
                sqlstate: String::new(),
                message: String::new(),
            })
        };
        let claim = BlockedClaim {
            record: 1,
            since_us: 30,
            point: point(1, &[]),
        };
        // A step from 40 to 60, which may have let go of something or not, and the end of the one that waited.
        let wrong = |from, to, ends: &[usize], at, outcome| {
            let steps = [
                record(0, 0, Some((10, done()))),
                record(1, 20, Some((at, outcome))),
                record(0, from, Some((to, done()))),
            ];
            claim.was_wrong(&steps, ends)
        };
        assert!(!wrong(40, 60, &[2], 70, done()), "somebody let go of it");
        assert!(
            !wrong(40, 60, &[2], 50, done()),
            "the COMMIT is still on its way back"
        );
        assert!(wrong(40, 60, &[], 70, done()), "nobody let go of anything");
        assert!(wrong(40, 60, &[0], 70, done()), "that was before");
        assert!(wrong(80, 90, &[2], 70, done()), "that was after");
        assert!(wrong(40, 60, &[1], 70, done()), "it does not let itself go");
        assert!(wrong(40, 60, &[], 70, refused(1062)));
        assert!(!wrong(40, 60, &[], 70, refused(DEADLOCK)));
        assert!(!wrong(40, 60, &[], 70, refused(LOCK_WAIT_TIMEOUT)));
        assert!(!wrong(
            40,
            60,
            &[],
            70,
            Outcome::TimedOut {
                limit_ms: 1,
                starved: false
            }
        ));
        let waits_still = [record(0, 0, Some((10, done()))), record(1, 20, None)];
        assert!(!claim.was_wrong(&waits_still, &[]));
    }
}
