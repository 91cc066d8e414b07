//! Which steps of different connections are independent: they can change places without anything being different.
//!
//! Told by the tables that statements name, so it holds whatever rows they touch, in every mode of transactions
//! and on every level of isolation that TiDB has:
//! - a statement that locks or writes depends on others that do in the same table, and on their commits;
//! - a plain read, and the BEGIN of the transaction that it is in, depend on commits only;
//! - the first steps of an optimistic transaction and of a pessimistic one that lock in the same table depend on each
//!   other: if the lock that the first one meets when it commits is of an older transaction it waits, if it is of a
//!   newer one it is refused at once;
//! - the same of two pessimistic ones where a third connection locks in the table, too: if both wait, the older one gets
//!   the lock;
//! - a COMMIT depends on all that has to do with the tables that its transaction wrote or locked;
//! - tables that one transaction locks count as one: who is refused in a deadlock depends on the locks in all of
//!   them, and an error releases all of them;
//! - after an error that is expected and may end the transaction, what follows may commit by itself: it counts as both;
//! - what takes time or tells the time (SLEEP, NOW(6)) depends on all that lock and release: limits go on meanwhile, and
//!   a time that is saved may be read AS OF;
//! - where a limit shorter than that of most steps is set, so does a statement that may take long: a join, a query within
//!   another, REPEAT;
//! - what is not understood depends on everything, and so do the BEGIN and the end of the transaction that it is in;
//! - where there is `always`, a schema change, or a look at the server's own tables, nothing is left out;
//! - a connection that gets an error that nobody expected rolls back, and releases its locks: where that comes of a
//!   statement that has nothing to do with locks, a plain read or ROLLBACK TO, none of this holds
//!   ([`DependencyRelation::holds`]); and where the server says of a session's transaction what the text does not
//!   ([`DependencyRelation::is_as_told`]).

use super::footprint::Schema;
use super::footprints::footprints;
use crate::plan::{Statement, TrialPlan};
use crate::sql::{Kind, classify, names};

/// Which pairs of steps depend on each other.
#[derive(Debug, Clone, Default)]
pub struct DependencyRelation {
    of: Vec<Vec<bool>>,
    /// Steps that are taken to release no locks, though their transaction holds some.
    holds_but_idle: Vec<bool>,
    /// Whether a session is taken to have a transaction after each step, where that is known.
    open_after: Vec<Option<bool>>,
}

impl DependencyRelation {
    /// All pairs.
    #[must_use]
    pub fn everything(steps: usize) -> Self {
        Self {
            of: vec![vec![true; steps]; steps],
            holds_but_idle: vec![false; steps],
            open_after: vec![None; steps],
        }
    }

    /// By the tables of the trial's database.
    #[must_use]
    pub fn of_plan(plan: &TrialPlan, schema: Schema<'_>) -> Self {
        // `always` looks at every state on the way, and a schema change makes tables that nobody could name before.
        let beyond = |text: &str| {
            let names = names(text);
            let of_server =
                |name: &String| name.ends_with("_schema") || ["mysql", "sys"].contains(&name.as_str());
            classify(text).kind == Kind::Ddl || names.iter().any(of_server)
        };
        let text = |one: &Statement| {
            let source = one.text.source();
            one.text.fill(&plan.vars).unwrap_or_else(|_| source.to_owned())
        };
        let texts: Vec<String> = plan.statements().map(text).collect();
        if plan.all_finals().any(|one| !one.always.is_empty())
            || texts.iter().any(|text| beyond(text))
            || limits_rest(plan, &texts)
        {
            return Self::everything(plan.steps.len());
        }
        let footprints = footprints(plan, schema);
        let depends = |one: usize, other: usize| {
            let same = plan.steps[one].connection == plan.steps[other].connection;
            same || footprints[one].depends_on(&footprints[other])
        };
        Self {
            holds_but_idle: footprints.iter().map(|own| own.holds_but_idle).collect(),
            open_after: footprints.iter().map(|own| own.open_after).collect(),
            ..Self::of_pairs(footprints.len(), depends)
        }
    }

    /// The pairs of which this is so, of so many steps.
    pub(super) fn of_pairs(steps: usize, depends: impl Fn(usize, usize) -> bool) -> Self {
        let row = |one| (0..steps).map(|other| depends(one, other)).collect();
        Self {
            of: (0..steps).map(row).collect(),
            holds_but_idle: vec![false; steps],
            open_after: vec![None; steps],
        }
    }

    /// Whether it holds of a schedule in which these steps got an error that nobody expected.
    #[must_use]
    pub fn holds(&self, mut failed: impl Iterator<Item = usize>) -> bool {
        !failed.any(|step| self.holds_but_idle.get(step).copied().unwrap_or_default())
    }

    /// Whether a step left its session as it is taken to: what the server says of the transaction goes before what the
    /// text suggests.
    #[must_use]
    pub fn is_as_told(&self, step: usize, in_transaction: bool) -> bool {
        let told = self.open_after.get(step).copied().flatten();
        told.is_none_or(|told| told == in_transaction)
    }

    /// Whether two steps depend on each other; those of one connection do.
    #[must_use]
    pub fn depends(&self, one: usize, other: usize) -> bool {
        self.of
            .get(one)
            .and_then(|row| row.get(other))
            .copied()
            .unwrap_or(true)
    }

    /// Whether no two steps are independent.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.of.iter().flatten().all(|depends| *depends)
    }
}

/// Whether sessions may be ended since they rest while somebody takes time: then the time matters to all.
fn limits_rest(plan: &TrialPlan, texts: &[String]) -> bool {
    const LIMITS: [&str; 3] = [
        "wait_timeout",
        "interactive_timeout",
        "tidb_idle_transaction_timeout",
    ];
    let is_limit = |name: &str| LIMITS.contains(&name.to_ascii_lowercase().as_str());
    let mut of_sessions = plan.connections.iter().flat_map(|own| &own.vars);
    of_sessions.any(|(name, _)| is_limit(name))
        || texts
            .iter()
            .any(|text| names(text).iter().any(|name| is_limit(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{PlanInput, plan};
    use crate::source::SourceFile;
    use crate::sql::TransactionMode;

    fn relation(states: &str) -> (TrialPlan, DependencyRelation) {
        let text = format!("scenario: x\npermutations: all\nconnections:\n{states}");
        let planned = plan(Arc::new(SourceFile::new("t.yaml", text)), &PlanInput::default());
        let problems: Vec<&str> = planned.problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(problems, [""; 0]);
        let plan = planned.trials.into_iter().next().expect("a trial");
        let schema = Schema {
            tables: &["t", "u"].map(str::to_owned),
            tied: false,
            timed: &[],
            mode: Some(TransactionMode::Pessimistic),
        };
        let relation = DependencyRelation::of_plan(&plan, schema);
        (plan, relation)
    }

    /// Each pair of the first connection's steps and the second's that depend on each other.
    fn pairs(one: &[&str], other: &[&str]) -> Vec<(usize, usize)> {
        let list = |texts: &[&str]| {
            let states: Vec<String> = texts.iter().map(|text| format!("{{sql: \"{text}\"}}")).collect();
            states.join(", ")
        };
        let states = format!(
            "  a: {{states: [{}]}}\n  b: {{states: [{}]}}\n",
            list(one),
            list(other)
        );
        let (_, relation) = relation(&states);
        let mut found = Vec::new();
        for first in 0..one.len() {
            for second in 0..other.len() {
                if relation.depends(first, one.len() + second) {
                    found.push((first, second));
                }
            }
        }
        found
    }

    #[test]
    fn statements_depend_by_tables_and_commits() {
        let writes = ["begin", "update t set a = 1", "commit"];
        for (one, other, wanted) in [
            // Another table: nothing.
            (
                &writes[..],
                &["begin", "update u set a = 1", "commit"][..],
                vec![],
            ),
            // The same table: all but the BEGINs of each other, and a BEGIN with an update.
            (
                &writes,
                &writes,
                vec![(0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)],
            ),
            // A plain read depends on the commit, and so does its BEGIN.
            (
                &["begin", "select * from t", "commit"],
                &writes,
                vec![(0, 2), (1, 2)],
            ),
            // An optimistic one is refused by a newer lock, and waits for an older one.
            (
                &["begin optimistic", "update t set a = 1", "commit"],
                &writes,
                vec![(0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)],
            ),
            (
                &["begin optimistic", "update t set a = 1", "commit"],
                &["begin optimistic", "update t set a = 1", "commit"],
                vec![(0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)],
            ),
            // Autocommit is both.
            (&["update t set a = 2"], &["select * from t"], vec![(0, 0)]),
            (&["select * from u"], &["update t set a = 2"], vec![]),
            // A rollback lets go of locks, and nobody sees what it wrote.
            (
                &["begin", "update t set a = 1", "rollback"],
                &["update t set a = 2"],
                vec![(0, 0), (1, 0), (2, 0)],
            ),
            // What is not understood depends on everything.
            (&["set @a = 1"], &["select * from u"], vec![(0, 0)]),
            (&["select get_lock('a', 1)"], &["select 1"], vec![(0, 0)]),
            // And so do the BEGIN and the COMMIT around it.
            (
                &["begin", "execute s", "savepoint x", "commit"],
                &["select 1"],
                vec![(0, 0), (1, 0), (3, 0)],
            ),
        ] {
            assert_eq!(pairs(one, other), wanted, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_statement_that_may_take_long_depends_on_whoever_waits_up_to_a_limit() {
        let depends = |of_b: &str, of_c: &str| {
            let a = "  a: {states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}]}\n";
            let c = format!("  c: {{states: [{{sql: \"{of_c}\"}}]}}\n");
            let (_, relation) = relation(&format!("{a}  b: {of_b}\n{c}"));
            // Its own wait, and the COMMIT that ends it.
            [relation.depends(3, 4), relation.depends(2, 4)]
        };
        let join = "select count(*) from u x, u y";
        for (of_b, of_c, wanted) in [
            ("{states: [{sql: update t set n = 2}]}", join, false),
            (
                "{vars: {innodb_lock_wait_timeout: 1}, states: [{sql: update t set n = 2}]}",
                join,
                true,
            ),
            ("{states: [{sql: select n from t for update wait 1}]}", join, true),
            ("{states: [{sql: update t set n = 2, timeout: 1s}]}", join, true),
            ("{states: [{sql: update t set n = 2, within: 2s}]}", join, true),
            (
                "{vars: {innodb_lock_wait_timeout: 1}, states: [{sql: update t set n = 2}]}",
                "select n from u",
                false,
            ),
        ] {
            assert_eq!(depends(of_b, of_c), [wanted, wanted], "{of_b} and {of_c}");
        }
    }

    #[test]
    fn the_age_of_pessimistic_ones_matters_where_a_third_one_locks() {
        let begins = |third: &str| {
            let own = "{txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}]}";
            let third = format!("  c: {{states: [{{sql: {third}}}]}}\n");
            let (_, relation) = relation(&format!("  a: {own}\n  b: {own}\n{third}"));
            relation.depends(0, 3)
        };
        assert!(begins("update t set n = 2"));
        assert!(!begins("update u set n = 2"));
        assert!(!begins("select n from t"));
    }

    #[test]
    fn it_does_not_hold_where_one_with_locks_gives_up_after_a_statement_that_has_none_to_do_with_them() {
        let (_, relation) = relation(
            "  a: {states: [{sql: begin}, {sql: select n from t}, {sql: update t set n = 1}, {sql: select n from t}, \
             {sql: rollback to s}, {sql: commit}]}\n",
        );
        let holds = (0..6).map(|step| relation.holds([step].into_iter()));
        assert_eq!(holds.collect::<Vec<_>>(), [true, true, true, false, false, true]);
        assert!(relation.holds([0, 1, 2].into_iter()));
        assert!(!relation.holds([0, 3].into_iter()));
    }
}
