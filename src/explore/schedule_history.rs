//! What was done so far in a schedule, as far as it matters for who is blocked.
//!
//! Two schedules are at the same point if they differ only in the order of steps that can have nothing to do with
//! each other: steps inside transactions that are open, of which none was blocked by another, between the same two ends
//! of something (see [`ScheduleHistory::returned`]). What one of them wrote nobody else sees before its end, and had it
//! locked what another asked for, that one would be blocked.

use crate::plan::{Action, Step, TrialPlan};
use crate::run::Returned;
use crate::sql::{Kind, TransactionMode, classify};
use crate::transaction::Transaction;

/// A step of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct DoneStep {
    step: usize,
    /// How many steps had ended something when it was started, and when it returned.
    started: usize,
    returned: Option<usize>,
    /// Whether it is the same whenever it is done.
    snapshot_independent: bool,
}

/// What was done so far in a schedule: its happens-before relation, as far as it matters for who is blocked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct ScheduleHistory {
    connections: Vec<Vec<DoneStep>>,
    /// The steps that have ended something, as they returned.
    ended: Vec<usize>,
    /// Who has started a step that has neither returned nor is known to be blocked.
    running: Option<usize>,
    /// Who returned meanwhile, and whether that ended something.
    late: Vec<(usize, bool)>,
}

impl ScheduleHistory {
    pub fn started(&mut self, connection: usize, step: usize, snapshot_independent: bool) {
        self.note_late();
        if self.connections.len() <= connection {
            self.connections.resize(connection + 1, Vec::new());
        }
        self.connections[connection].push(DoneStep {
            step,
            started: if snapshot_independent { 0 } else { self.ended.len() },
            returned: None,
            snapshot_independent,
        });
        self.running = Some(connection);
    }

    /// The step that was started last is known to be blocked.
    pub fn blocked(&mut self) {
        self.running = None;
        self.note_late();
    }

    /// A step returned; `ends` tells whether others may see or get something that they could not before, or
    /// whether it may itself have seen what others do: all but a statement that succeeded in a transaction that was
    /// open and stays open.
    pub fn returned(&mut self, connection: usize, ends: bool) {
        // A step that a COMMIT unblocks may return sooner than the COMMIT does.
        if self.running.is_some_and(|running| running != connection) {
            self.late.push((connection, ends));
            return;
        }
        self.running = None;
        self.note(connection, ends);
        self.note_late();
    }

    fn note_late(&mut self) {
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
        let snapshot_independent = last.snapshot_independent && !ends;
        last.returned = Some(if snapshot_independent { 0 } else { self.ended.len() });
    }

    /// The point at which a connection's step that has not returned is.
    pub fn point(&self, connection: usize) -> SchedulePoint {
        SchedulePoint {
            connection,
            history: self.clone(),
        }
    }
}

/// Where a schedule is when it is asked whether a connection's step is blocked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SchedulePoint {
    connection: usize,
    history: ScheduleHistory,
}

/// Whether others may see or get something after a step that they could not before, or whether what it saw depends
/// on what others do in transactions that are open. So it is of all but plain statements of a transaction that goes
/// on.
pub(super) fn ends_something(step: &Step, returned: &Returned) -> bool {
    match step.action {
        Action::Sleep(_) | Action::Nothing => return false,
        Action::Sql(_) | Action::Prepared(..) => {}
        Action::Load { .. }
        | Action::Kill { .. }
        | Action::Disconnect
        | Action::Reconnect
        | Action::Set
        | Action::Watch(_)
        | Action::Handler(_) => return true,
    }
    let mut open = returned.was_open;
    let mut goes_on = |sql: &str| {
        let statement = classify(sql);
        // With SKIP LOCKED and NOWAIT nobody waits, but what comes of it depends on who came first.
        let lower = sql.to_ascii_lowercase();
        let asks = lower.contains("skip locked") || lower.contains("nowait");
        let plain = match statement.kind {
            Kind::Begin(_) => !std::mem::replace(&mut open, true),
            Kind::Select { .. } | Kind::Dml | Kind::Savepoint | Kind::Sleep => true,
            _ => false,
        };
        plain && !asks && !statement.takes_user_lock() && !statement.changes_whole_server()
    };
    let shares = !step.save.is_empty() || !step.set.is_empty();
    !returned.is_open || shares || returned.is_error || !returned.ran.iter().all(|sql| goes_on(sql))
}

/// Each step, whether it is the same whenever it is done: the BEGIN of a pessimistic transaction of a connection
/// that never reads what was there at the BEGIN, but locks whatever it looks at.
pub(super) fn snapshot_independent(plan: &TrialPlan) -> Vec<bool> {
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
            let all = |step: &Step, is: &dyn Fn(&str) -> bool| {
                let statements = step.action.statements();
                !statements.is_empty() && statements.iter().all(|one| is(one.text.source()))
            };
            all(step, &begins)
                && pessimistic(vars.unwrap_or_default())
                && own.all(|step| all(step, &locks_only))
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The point of the last step of `asked` after these: a connection, its step, and what came of it.
    pub(in crate::explore) fn point(asked: usize, done: &[(usize, usize, &str)]) -> SchedulePoint {
        let mut history = ScheduleHistory::default();
        for (connection, step, what) in done {
            match *what {
                "starts" => history.started(*connection, *step, false),
                "blocked" => {
                    history.started(*connection, *step, false);
                    history.blocked();
                }
                "back" => history.returned(*connection, false),
                "back, ends" => history.returned(*connection, true),
                other => {
                    history.started(*connection, *step, other == "snapshot independent");
                    history.returned(*connection, other == "ends");
                }
            }
        }
        history.point(asked)
    }

    #[test]
    fn steps_that_have_nothing_to_do_with_each_other_lead_to_the_same_point() {
        let one = point(1, &[(0, 0, ""), (1, 3, ""), (0, 1, ""), (1, 4, "starts")]);
        let other = point(1, &[(1, 3, ""), (0, 0, ""), (0, 1, ""), (1, 4, "starts")]);
        assert_eq!(one, other);
    }

    #[test]
    fn what_can_make_data_differ_leads_to_another_point() {
        let with = |done: &[(usize, usize, &str)]| {
            let mut all = done.to_vec();
            all.push((1, 4, "starts"));
            point(1, &all)
        };
        let points = [
            with(&[(0, 0, ""), (0, 1, ""), (1, 3, "")]),
            // It has not begun.
            with(&[(0, 0, ""), (1, 3, "")]),
            // It has ended.
            with(&[(0, 0, ""), (0, 1, ""), (0, 2, "ends"), (1, 3, "")]),
            // It ended after the other one's snapshot was taken.
            with(&[(0, 0, ""), (0, 1, ""), (1, 3, ""), (0, 2, "ends")]),
            // It is blocked itself.
            with(&[(0, 0, ""), (0, 1, "blocked"), (1, 3, "")]),
            // Two that ended, one way and the other.
            with(&[(0, 0, "ends"), (2, 6, "ends"), (1, 3, "")]),
            with(&[(2, 6, "ends"), (0, 0, "ends"), (1, 3, "")]),
            // A third one locks what it locks before that end, or after it.
            with(&[(2, 5, ""), (0, 0, "ends"), (1, 3, "")]),
            with(&[(0, 0, "ends"), (2, 5, ""), (1, 3, "")]),
        ];
        for (number, one) in points.iter().enumerate() {
            for other in &points[number + 1..] {
                assert_ne!(one, other);
            }
        }
        let mut history = ScheduleHistory::default();
        history.started(0, 0, false);
        assert_ne!(history.point(0), history.point(1));
    }

    #[test]
    fn a_begin_that_sees_nothing_may_come_before_an_end_or_after_it() {
        let one = point(
            1,
            &[(1, 3, "snapshot independent"), (0, 0, "ends"), (1, 4, "starts")],
        );
        let other = point(
            1,
            &[(0, 0, "ends"), (1, 3, "snapshot independent"), (1, 4, "starts")],
        );
        assert_eq!(one, other);
        let independent = |states: &str, mode: &str| {
            let text = format!(
                "scenario: x\nsetup: create table t (id int primary key, n int)\nconnections:\n  a: {{{mode}states: [{states}]}}\npermutations: all\n"
            );
            let file = crate::source::SourceFile::new("t.yaml", text);
            let mut planned =
                crate::plan::plan(std::sync::Arc::new(file), &crate::plan::PlanInput::default());
            snapshot_independent(&planned.trials.remove(0))
        };
        let begin = |rest: &str, mode: &str| independent(&format!("{{sql: begin}}, {rest}"), mode)[0];
        let pessimistic = "txn: pessimistic, ";
        let update = "{sql: update t set n = 1}, {sql: commit}";
        assert_eq!(
            independent(&format!("{{sql: begin}}, {update}"), pessimistic),
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
        let begin = [(0, 0, ""), (1, 3, "blocked"), (2, 6, "blocked"), (0, 1, "starts")];
        let with = |more: &[(usize, usize, &str)]| point(2, &[&begin[..], more].concat());
        let one = with(&[(0, 1, "back, ends"), (1, 3, "back")]);
        assert_eq!(one, with(&[(1, 3, "back"), (0, 1, "back, ends")]));
        let ends = with(&[(0, 1, "back, ends"), (1, 3, "back, ends")]);
        assert_eq!(ends, with(&[(1, 3, "back, ends"), (0, 1, "back, ends")]));
        assert_ne!(one, ends);
    }
}
