//! What earlier orders have shown of who waits, so that later ones are certain of it sooner.
//!
//! Whether a step waits follows from what was done before it, and a server that works on other things shows a
//! statement that merely gets its lock as waiting for a while; so whoever sees a wait for the first time has to
//! look for long. The next order that comes to the same place knows what to expect, and believes a wait as soon as
//! one that the file announces.
//!
//! Two orders are at the same place if they differ only in the order of steps that can have nothing to do with each
//! other: steps inside transactions that are open, of which none waited for another, between the same two ends of
//! something (see [`Track::returned`]). What one of them wrote nobody else sees before its end, and had it locked
//! what another asked for, that one would wait.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::history::{Outcome, StepRecord};
use crate::plan::{Step as PlanStep, TrialPlan};
use crate::sql::{
    DEADLOCK, Kind, LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, QUERY_TIMEOUT, TransactionMode, classify,
};
use crate::transaction::Transaction;

/// So many places are kept; what comes after them is looked at with care each time.
const PLACES_MAX: usize = 20_000;

/// A step of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Step {
    step: usize,
    /// How many steps had ended something when it was started, and when it came back.
    started: usize,
    returned: Option<usize>,
    /// Whether it is the same whenever it is done.
    timeless: bool,
}

/// What was done so far in an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Track {
    connections: Vec<Vec<Step>>,
    /// The steps that have ended something, as they came back.
    ended: Vec<usize>,
    /// Who has started a step that has neither returned nor is known to wait.
    running: Option<usize>,
    /// Who came back meanwhile, and whether that ended something.
    late: Vec<(usize, bool)>,
}

impl Track {
    pub fn started(&mut self, connection: usize, step: usize, timeless: bool) {
        self.come_late();
        if self.connections.len() <= connection {
            self.connections.resize(connection + 1, Vec::new());
        }
        self.connections[connection].push(Step {
            step,
            started: if timeless { 0 } else { self.ended.len() },
            returned: None,
            timeless,
        });
        self.running = Some(connection);
    }

    /// A step is known to wait.
    pub fn waits(&mut self) {
        self.running = None;
        self.come_late();
    }

    /// A step came back; `ends` tells whether others may see or get something that they could not before, or
    /// whether it may itself have seen what others do: all but a statement that succeeded in a transaction that was
    /// open and stays open.
    pub fn returned(&mut self, connection: usize, ends: bool) {
        // Whoever a COMMIT lets go may be back sooner than the COMMIT is.
        if self.running.is_some_and(|running| running != connection) {
            self.late.push((connection, ends));
            return;
        }
        self.running = None;
        self.note(connection, ends);
        self.come_late();
    }

    fn come_late(&mut self) {
        for (connection, ends) in std::mem::take(&mut self.late) {
            self.note(connection, ends);
        }
    }

    fn note(&mut self, connection: usize, ends: bool) {
        let Some(last) = self
            .connections
            .get_mut(connection)
            .and_then(|own| own.last_mut())
        else {
            return;
        };
        if ends {
            self.ended.push(last.step);
        }
        let timeless = last.timeless && !ends;
        last.returned = Some(if timeless { 0 } else { self.ended.len() });
    }

    /// The place of a connection's step that has not come back.
    pub fn place(&self, connection: usize) -> Place {
        Place {
            connection,
            track: self.clone(),
        }
    }
}

/// Where an order is when it is asked whether a connection's step waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    connection: usize,
    track: Track,
}

/// What was seen in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// The step waits for certain.
    Waits,
    /// It comes back by itself.
    Returns,
    /// One time this and one time that: never to be trusted again.
    Unsure,
}

/// What the orders of one exploration have seen, each in its places.
#[derive(Debug, Default)]
pub(crate) struct Known {
    places: Mutex<HashMap<Place, Seen>>,
    timeless: OnceLock<Vec<bool>>,
    waits_for_its_limit: OnceLock<bool>,
}

impl Known {
    pub(super) fn of(&self, place: &Place) -> Option<Seen> {
        self.lock().get(place).copied()
    }

    /// Whether a step waits for certain in this place.
    pub(super) fn waits(&self, place: &Place) -> bool {
        self.of(place) == Some(Seen::Waits)
    }

    /// Takes note of what was seen for certain. What contradicts itself is thrown away.
    pub(super) fn note(&self, place: Place, seen: Seen) {
        let mut places = self.lock();
        if let Some(before) = places.get_mut(&place) {
            if *before != seen {
                tracing::debug!(?place, ?before, ?seen, "seen otherwise before");
                *before = Seen::Unsure;
            }
        } else if places.len() < PLACES_MAX || seen == Seen::Unsure {
            places.insert(place, seen);
        }
    }

    /// Whether a step of the plan is the same whenever it is done.
    pub(super) fn is_timeless(&self, plan: &TrialPlan, step: usize) -> bool {
        let steps = self.timeless.get_or_init(|| timeless(plan));
        steps.get(step).copied().unwrap_or_default()
    }

    /// Whether nothing in the plan ends a wait sooner than its step's own limit.
    pub(super) fn waits_for_its_limit(&self, plan: &TrialPlan) -> bool {
        *self
            .waits_for_its_limit
            .get_or_init(|| super::vain::waits_for_its_limit(plan))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Seen>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each step, whether it is the same whenever it is done: the BEGIN of a pessimistic transaction of a connection
/// that never reads what was there at the BEGIN, but locks whatever it looks at.
fn timeless(plan: &TrialPlan) -> Vec<bool> {
    let locks_only = |text: &str| match classify(text).kind {
        Kind::Begin(mode) => mode != TransactionMode::Optimistic,
        Kind::Select { locking } => locking,
        // A query in it may read what was there at the BEGIN.
        Kind::Dml => !text.to_ascii_lowercase().contains("select"),
        Kind::Commit | Kind::Rollback | Kind::Savepoint => true,
        _ => false,
    };
    let pessimistic = |vars: &[(String, String)]| {
        Transaction::of_session(vars).mode(None) == Some(TransactionMode::Pessimistic)
    };
    plan.steps
        .iter()
        .map(|step| {
            let mut own = plan
                .steps
                .iter()
                .filter(|other| other.connection == step.connection);
            let vars = plan
                .connections
                .get(step.connection)
                .map(|own| own.vars.as_slice());
            let begins = |text: &str| matches!(classify(text).kind, Kind::Begin(_));
            let all = |step: &PlanStep, is: &dyn Fn(&str) -> bool| {
                let statements = step.action.statements();
                !statements.is_empty() && statements.iter().all(|one| is(one.text.source()))
            };
            all(step, &begins)
                && pessimistic(vars.unwrap_or_default())
                && own.all(|step| all(step, &locks_only))
        })
        .collect()
}

/// A wait that was believed.
#[derive(Debug, Clone)]
pub(super) struct Belief {
    pub record: usize,
    /// When it was seen the last time.
    pub since_us: u64,
    pub place: Place,
}

impl Belief {
    /// Whether the statement came back though nobody had let go of anything since: then it was slow, and did not
    /// wait. `ends` are the records of the steps that may have let go of something.
    pub fn was_wrong(&self, steps: &[StepRecord], ends: &[usize]) -> bool {
        let Some(end) = steps.get(self.record).and_then(|record| record.end.as_ref()) else {
            return false;
        };
        let gave_up = match &end.outcome {
            Outcome::TimedOut { .. } | Outcome::Lost { .. } => true,
            Outcome::Refused(error) => {
                // Whoever waits may be the victim of a cycle that another one closes.
                [DEADLOCK, LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, QUERY_TIMEOUT].contains(&error.code)
            }
            Outcome::Rows(_) | Outcome::Done(_) => false,
        };
        let mut others = ends.iter().filter(|other| **other != self.record);
        !gave_up
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
    use super::*;
    use crate::history::{Done, SqlError, StepEnd};

    /// The place of the last step of `asked` after these: a connection, its step, and what came of it.
    fn place(asked: usize, done: &[(usize, usize, &str)]) -> Place {
        let mut track = Track::default();
        for (connection, step, what) in done {
            match *what {
                "starts" => track.started(*connection, *step, false),
                "waits" => {
                    track.started(*connection, *step, false);
                    track.waits();
                }
                "back" => track.returned(*connection, false),
                "back, ends" => track.returned(*connection, true),
                other => {
                    track.started(*connection, *step, other == "timeless");
                    track.returned(*connection, other == "ends");
                }
            }
        }
        track.place(asked)
    }

    #[test]
    fn steps_that_have_nothing_to_do_with_each_other_lead_to_the_same_place() {
        let one = place(1, &[(0, 0, ""), (1, 3, ""), (0, 1, ""), (1, 4, "starts")]);
        let other = place(1, &[(1, 3, ""), (0, 0, ""), (0, 1, ""), (1, 4, "starts")]);
        assert_eq!(one, other);
    }

    #[test]
    fn what_can_make_data_differ_leads_to_another_place() {
        let with = |done: &[(usize, usize, &str)]| {
            let mut all = done.to_vec();
            all.push((1, 4, "starts"));
            place(1, &all)
        };
        let places = [
            with(&[(0, 0, ""), (0, 1, ""), (1, 3, "")]),
            // It has not begun.
            with(&[(0, 0, ""), (1, 3, "")]),
            // It has ended.
            with(&[(0, 0, ""), (0, 1, ""), (0, 2, "ends"), (1, 3, "")]),
            // It ended after the other one's snapshot was taken.
            with(&[(0, 0, ""), (0, 1, ""), (1, 3, ""), (0, 2, "ends")]),
            // It waits itself.
            with(&[(0, 0, ""), (0, 1, "waits"), (1, 3, "")]),
            // Two that ended, one way and the other.
            with(&[(0, 0, "ends"), (2, 6, "ends"), (1, 3, "")]),
            with(&[(2, 6, "ends"), (0, 0, "ends"), (1, 3, "")]),
            // A third one locks what it locks before that end, or after it.
            with(&[(2, 5, ""), (0, 0, "ends"), (1, 3, "")]),
            with(&[(0, 0, "ends"), (2, 5, ""), (1, 3, "")]),
        ];
        for (number, one) in places.iter().enumerate() {
            for other in &places[number + 1..] {
                assert_ne!(one, other);
            }
        }
        let mut track = Track::default();
        track.started(0, 0, false);
        assert_ne!(track.place(0), track.place(1));
    }

    #[test]
    fn a_begin_that_sees_nothing_may_come_before_an_end_or_after_it() {
        let one = place(1, &[(1, 3, "timeless"), (0, 0, "ends"), (1, 4, "starts")]);
        let other = place(1, &[(0, 0, "ends"), (1, 3, "timeless"), (1, 4, "starts")]);
        assert_eq!(one, other);
        let timeless = |states: &str, mode: &str| {
            let text = format!(
                "scenario: x\nsetup: create table t (id int primary key, n int)\nconnections:\n  a: {{{mode}states: [{states}]}}\npermutations: all\n"
            );
            let file = crate::source::SourceFile::new("t.yaml", text);
            let mut planned =
                crate::plan::plan(std::sync::Arc::new(file), &crate::plan::PlanInput::default());
            timeless(&planned.trials.remove(0))
        };
        let begin = |rest: &str, mode: &str| timeless(&format!("{{sql: begin}}, {rest}"), mode)[0];
        let pessimistic = "txn: pessimistic, ";
        let update = "{sql: update t set n = 1}, {sql: commit}";
        assert_eq!(
            timeless(&format!("{{sql: begin}}, {update}"), pessimistic),
            [true, false, false]
        );
        assert!(begin(
            "{sql: select n from t for update}, {sql: rollback}",
            pessimistic
        ));
        assert!(!begin(update, ""), "the server may be another way");
        assert!(!begin(update, "txn: optimistic, "));
        assert!(!begin("{sql: select n from t}, {sql: commit}", pessimistic));
        assert!(!begin(
            "{sql: \"update t set n = (select 1)\"}, {sql: commit}",
            pessimistic
        ));
        assert!(!begin("{sql: begin optimistic}, {sql: commit}", pessimistic));
        assert!(!begin("{sql: \"set tidb_txn_mode = 'optimistic'\"}", pessimistic));
    }

    #[test]
    fn it_is_the_same_whether_a_commit_is_back_before_whoever_it_lets_go() {
        let begin = [(0, 0, ""), (1, 3, "waits"), (2, 6, "waits"), (0, 1, "starts")];
        let with = |more: &[(usize, usize, &str)]| place(2, &[&begin[..], more].concat());
        let one = with(&[(0, 1, "back, ends"), (1, 3, "back")]);
        assert_eq!(one, with(&[(1, 3, "back"), (0, 1, "back, ends")]));
        let ends = with(&[(0, 1, "back, ends"), (1, 3, "back, ends")]);
        assert_eq!(ends, with(&[(1, 3, "back, ends"), (0, 1, "back, ends")]));
        assert_ne!(one, ends);
    }

    #[test]
    fn what_was_seen_is_known_and_what_contradicts_itself_never_again() {
        let known = Known::default();
        let here = place(1, &[(0, 0, ""), (1, 3, "starts")]);
        assert_eq!(known.of(&here), None);
        assert!(!known.waits(&here));
        known.note(here.clone(), Seen::Waits);
        known.note(here.clone(), Seen::Waits);
        assert_eq!(known.of(&here), Some(Seen::Waits));
        assert_eq!(
            known.of(&place(1, &[(1, 3, "starts")])),
            None,
            "elsewhere nothing is known"
        );
        known.note(here.clone(), Seen::Returns);
        for seen in [Seen::Waits, Seen::Waits, Seen::Returns] {
            assert_eq!(known.of(&here), Some(Seen::Unsure));
            assert!(!known.waits(&here));
            known.note(here.clone(), seen);
        }
        assert_eq!(known.of(&here), Some(Seen::Unsure));
    }

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
        let belief = Belief {
            record: 1,
            since_us: 30,
            place: place(1, &[]),
        };
        // A step from 40 to 60, which may have let go of something or not, and the end of the one that waited.
        let wrong = |from, to, ends: &[usize], at, outcome| {
            let steps = [
                record(0, 0, Some((10, done()))),
                record(1, 20, Some((at, outcome))),
                record(0, from, Some((to, done()))),
            ];
            belief.was_wrong(&steps, ends)
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
                in_vain: false
            }
        ));
        let waits_still = [record(0, 0, Some((10, done()))), record(1, 20, None)];
        assert!(!belief.was_wrong(&waits_still, &[]));
    }
}
