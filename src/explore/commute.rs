//! Which steps of different connections can change places without anything being different.
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
//!   them, and an error lets go of all of them;
//! - what is not understood depends on everything, and so do the BEGIN and the end of the transaction that it is in;
//! - where there is `always`, a schema change, or a look at the server's own tables, nothing is left out;
//! - whoever gets an error that nobody expected gives up its transaction, and lets go of its locks: where that comes
//!   of a statement that has nothing to do with locks, a plain read or ROLLBACK TO, none of this holds
//!   ([`Dependence::holds`]).

use std::collections::BTreeSet;

use crate::history::Vars;
use crate::plan::{Action, Statement, Step, TrialPlan, Value};
use crate::sql::named_tables;
use crate::sql::{Kind, TransactionMode, classify};
use crate::transaction::Transaction;

/// What a step has to do with tables and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Footprint {
    /// Tables of which it sees the committed state, now or later in its transaction.
    sees: BTreeSet<usize>,
    /// Tables in which it asks for locks.
    locks: BTreeSet<usize>,
    /// Tables in which the transaction that it begins locks, if that is pessimistic or may be.
    keeps: BTreeSet<usize>,
    /// The same, if it is optimistic or may be, or one of three who may wait for each other.
    meets: BTreeSet<usize>,
    /// Tables in which it lets go of locks, or commits rows.
    frees: BTreeSet<usize>,
    /// Variables of the shared state that it uses.
    reads: BTreeSet<String>,
    /// Variables that it sets.
    writes: BTreeSet<String>,
    /// Whether it may have to do with anything.
    any: bool,
    /// Whether it asks for no locks and lets go of none, though its transaction has some.
    quiet: bool,
}

impl Footprint {
    fn depends_on(&self, other: &Self) -> bool {
        let meet = |one: &BTreeSet<usize>, other: &BTreeSet<usize>| !one.is_disjoint(other);
        let frees = |one: &Self, other: &Self| {
            meet(&one.frees, &other.sees) || meet(&one.frees, &other.locks) || meet(&one.frees, &other.frees)
        };
        let vars = |one: &Self, other: &Self| {
            !one.writes.is_disjoint(&other.reads) || !one.writes.is_disjoint(&other.writes)
        };
        self.any
            || other.any
            || frees(self, other)
            || frees(other, self)
            || meet(&self.locks, &other.locks)
            || meet(&self.meets, &other.keeps)
            || meet(&other.meets, &self.keeps)
            || vars(self, other)
            || vars(other, self)
    }
}

/// Which pairs of steps depend on each other.
#[derive(Debug, Clone, Default)]
pub struct Dependence {
    of: Vec<Vec<bool>>,
    /// Steps that are taken to let go of no locks, though their transaction has some.
    quiet: Vec<bool>,
}

impl Dependence {
    /// All pairs.
    #[must_use]
    pub fn everything(steps: usize) -> Self {
        Self {
            of: vec![vec![true; steps]; steps],
            quiet: vec![false; steps],
        }
    }

    /// By the tables of the trial's database; `tied` tells that foreign keys make statements touch more tables
    /// than they name, and `mode` what the server begins transactions with, where that is known.
    #[must_use]
    pub fn of_plan(plan: &TrialPlan, tables: &[String], tied: bool, mode: Option<TransactionMode>) -> Self {
        // `always` looks at every state on the way, and a schema change makes tables that nobody could name before.
        let beyond = |text: &str| {
            let small = text.to_ascii_lowercase();
            classify(text).kind == Kind::Ddl || ["_schema", "mysql."].iter().any(|word| small.contains(word))
        };
        if plan.all_finals().any(|one| !one.always.is_empty())
            || (0..plan.connections.len())
                .flat_map(|own| texts(plan, own))
                .any(beyond)
        {
            return Self::everything(plan.steps.len());
        }
        let footprints = footprints(plan, tables, tied, mode);
        let of = footprints
            .iter()
            .enumerate()
            .map(|(one, own)| {
                footprints
                    .iter()
                    .enumerate()
                    .map(|(other, theirs)| {
                        let same = plan.steps[one].connection == plan.steps[other].connection;
                        same || own.depends_on(theirs)
                    })
                    .collect()
            })
            .collect();
        let quiet = footprints.iter().map(|own| own.quiet).collect();
        Self { of, quiet }
    }

    /// Whether it holds of an order in which these steps got an error that nobody expected.
    #[must_use]
    pub fn holds(&self, mut failed: impl Iterator<Item = usize>) -> bool {
        !failed.any(|step| self.quiet.get(step).copied().unwrap_or_default())
    }

    /// Whether two steps depend on each other; those of one connection do.
    #[must_use]
    pub fn between(&self, one: usize, other: usize) -> bool {
        self.of
            .get(one)
            .and_then(|row| row.get(other))
            .copied()
            .unwrap_or(true)
    }

    /// How many orders this one stands for, itself included: those in which every two steps that depend on each
    /// other come as they do here. `after` are further pairs of which the second comes after the first: what somebody
    /// does who waited, after the step that let it go on.
    #[must_use]
    pub fn stands_for(
        &self,
        order: &[usize],
        after: &[(usize, usize)],
        connection_of: impl Fn(usize) -> usize,
    ) -> u128 {
        if self.of.iter().flatten().all(|depends| *depends) {
            return 1;
        }
        // By how far each connection has come; what is counted for one such place is kept.
        let mut connections: Vec<usize> = order.iter().map(|step| connection_of(*step)).collect();
        connections.sort_unstable();
        connections.dedup();
        let sequences: Vec<Vec<usize>> = connections
            .iter()
            .map(|own| {
                let mine = order.iter().copied().filter(|step| connection_of(*step) == *own);
                mine.collect()
            })
            .collect();
        let position = |step: usize| {
            order
                .iter()
                .position(|other| *other == step)
                .unwrap_or(usize::MAX)
        };
        let comes_first = |one: usize, other: usize| {
            after.contains(&(one, other)) || self.between(one, other) && position(one) < position(other)
        };
        let mut known = std::collections::HashMap::new();
        let mut at = vec![0; sequences.len()];
        count(&sequences, &mut at, &comes_first, &mut known)
    }
}

/// In how many ways the rest of the sequences can be merged, where `comes_first` tells which steps of different ones
/// must come before which.
fn count(
    sequences: &[Vec<usize>],
    at: &mut Vec<usize>,
    comes_first: &dyn Fn(usize, usize) -> bool,
    known: &mut std::collections::HashMap<Vec<usize>, u128>,
) -> u128 {
    if let Some(count) = known.get(at) {
        return *count;
    }
    let mut sum: u128 = 0;
    let mut done = true;
    for own in 0..sequences.len() {
        let Some(step) = sequences[own].get(at[own]).copied() else {
            continue;
        };
        done = false;
        let free = (0..sequences.len()).filter(|other| *other != own).all(|other| {
            let mut left = sequences[other][at[other]..].iter();
            !left.any(|later| comes_first(*later, step))
        });
        if free {
            at[own] += 1;
            sum = sum.saturating_add(count(sequences, at, comes_first, known));
            at[own] -= 1;
        }
    }
    let sum = if done { 1 } else { sum };
    known.insert(at.clone(), sum);
    sum
}

fn footprints(
    plan: &TrialPlan,
    tables: &[String],
    tied: bool,
    mode: Option<TransactionMode>,
) -> Vec<Footprint> {
    let mut all = vec![Footprint::default(); plan.steps.len()];
    // What a step sets has another value later, or earlier.
    let mut vars = plan.vars.clone();
    for step in &plan.steps {
        for name in step
            .set
            .iter()
            .map(|(name, _)| name)
            .chain(step.save.iter().map(|(name, ..)| name))
        {
            vars.remove(name);
        }
    }
    let mut together: Vec<BTreeSet<usize>> = Vec::new();
    for own in 0..plan.connections.len() {
        let mut open: Open = None;
        let mine = plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.connection == own);
        // Without autocommit a transaction begins with the first statement after the one before.
        let session = plan.connections.get(own);
        let session = session.map_or_else(Transaction::default, |own| Transaction::of_session(&own.vars));
        let implicit = !session.is_closed();
        let says_autocommit = texts(plan, own).any(|text| text.to_ascii_lowercase().contains("autocommit"));
        let begun = |step: usize, asked: TransactionMode| Begun {
            step,
            mode: match asked {
                TransactionMode::Session => session.mode(mode),
                given => Some(given),
            },
            locked: BTreeSet::new(),
            any: false,
        };
        for (number, step) in mine {
            let mut footprint = Footprint {
                any: says_autocommit,
                ..Footprint::default()
            };
            variables(step, &mut footprint);
            if implicit && open.is_none() {
                open = Some(begun(number, TransactionMode::Session));
            }
            match &step.action {
                Action::Set | Action::Nothing | Action::Sleep(_) => {}
                Action::Sql(statements) => {
                    for statement in statements {
                        let text = text(statement, &vars);
                        if let Some(mode) = one(&text, tables, tied, &mut open, &mut footprint, &mut all) {
                            open = Some(begun(number, mode));
                        }
                    }
                }
                Action::Prepared(statement, _) | Action::Load { statement, .. } => {
                    let text = text(statement, &vars);
                    if let Some(mode) = one(&text, tables, tied, &mut open, &mut footprint, &mut all) {
                        open = Some(begun(number, mode));
                    }
                }
                Action::Kill { .. }
                | Action::Disconnect
                | Action::Reconnect
                | Action::Watch(_)
                | Action::Handler(_) => {
                    footprint.any = true;
                }
            }
            // What begins and ends a transaction with something in it that only a run knows may be about anything, too.
            if let (true, Some(begun)) = (footprint.any, &mut open) {
                begun.any = true;
                all[begun.step].any = true;
            }
            let has_locks = open.as_ref().is_some_and(|begun| !begun.locked.is_empty());
            footprint.quiet =
                has_locks && !footprint.any && footprint.locks.is_empty() && footprint.frees.is_empty();
            let begins = &mut all[number];
            // A BEGIN has got what its transaction will see already.
            footprint.sees.extend(&begins.sees);
            footprint.any |= begins.any;
            footprint.keeps.extend(&begins.keeps);
            footprint.meets.extend(&begins.meets);
            *begins = footprint;
        }
        // By connection, which is more than by transaction, and simpler.
        let mine = plan
            .steps
            .iter()
            .zip(&all)
            .filter(|(step, _)| step.connection == own);
        together.push(
            mine.flat_map(|(_, footprint)| footprint.locks.iter().copied())
                .collect(),
        );
        // A transaction that nobody ends is rolled back at the end, when no order matters any more.
    }
    let groups = groups(tables.len(), &together);
    for footprint in &mut all {
        let Footprint {
            sees,
            locks,
            keeps,
            meets,
            frees,
            ..
        } = footprint;
        for set in [sees, locks, &mut *keeps, &mut *meets, frees] {
            *set = set.iter().map(|table| groups[*table]).collect();
        }
        let lockers = |group: &usize| {
            let own = together.iter();
            own.filter(|tables| tables.iter().any(|table| groups[*table] == *group))
                .count()
        };
        meets.extend(keeps.iter().filter(|group| lockers(group) > 2));
    }
    all
}

/// The texts of a connection's statements, as they stand in the file.
pub(super) fn texts(plan: &TrialPlan, own: usize) -> impl Iterator<Item = &str> {
    let steps = plan.steps.iter().filter(move |step| step.connection == own);
    steps.flat_map(|step| step.action.statements().iter().map(|one| one.text.source()))
}

/// For each table the first of those that are locked together with it, by whatever chain.
fn groups(tables: usize, together: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut group: Vec<usize> = (0..tables).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for set in together {
            let Some(least) = set.iter().map(|table| group[*table]).min() else {
                continue;
            };
            for table in set {
                changed |= group[*table] != least;
                group[*table] = least;
            }
        }
    }
    group
}

fn text(statement: &Statement, vars: &Vars) -> Option<String> {
    statement.text.fill(vars).ok()
}

/// A transaction that is open.
struct Begun {
    /// The step that began it.
    step: usize,
    /// Its mode, where that is known.
    mode: Option<TransactionMode>,
    /// The tables in which it has locked.
    locked: BTreeSet<usize>,
    /// Whether it may have seen and locked anything.
    any: bool,
}

type Open = Option<Begun>;

/// Adds what one statement has to do with tables; tells the mode of the transaction that it begins, if it does.
fn one(
    text: &Option<String>,
    tables: &[String],
    tied: bool,
    open: &mut Open,
    footprint: &mut Footprint,
    all: &mut [Footprint],
) -> Option<TransactionMode> {
    let Some(text) = text else {
        // What it is, only a run knows.
        footprint.any = true;
        return None;
    };
    let statement = classify(text);
    let all_tables: BTreeSet<usize> = (0..tables.len()).collect();
    let named: BTreeSet<usize> = named_tables(text, tables)
        .into_iter()
        .filter_map(|name| tables.iter().position(|table| table == name))
        .collect();
    let touched = |at_least_one: bool| {
        if at_least_one && (tied || named.is_empty()) {
            all_tables.clone()
        } else {
            named.clone()
        }
    };
    let end = |open: &mut Open, footprint: &mut Footprint| {
        if let Some(Begun { locked, any, .. }) = open.take() {
            footprint.any |= any;
            // That of an optimistic transaction asks for its locks now, and looks whether others came first.
            footprint.locks.extend(&locked);
            footprint.sees.extend(&locked);
            footprint.frees.extend(&locked);
        }
    };
    match &statement.kind {
        _ if statement.takes_user_lock() || statement.changes_whole_server() => footprint.any = true,
        Kind::Begin(mode) => {
            end(open, footprint);
            return Some(*mode);
        }
        Kind::Commit => end(open, footprint),
        Kind::Rollback => {
            if let Some(Begun { locked, any, .. }) = open.take() {
                footprint.any |= any;
                footprint.frees.extend(locked);
            }
        }
        Kind::Savepoint | Kind::ReleaseSavepoint | Kind::RollbackToSavepoint => {}
        // What sleeps may read as well.
        Kind::Select { locking: false } | Kind::Sleep => {
            let read = touched(false);
            footprint.sees.extend(&read);
            if let Some(begun) = open {
                all[begun.step].sees.extend(&read);
            }
        }
        Kind::Select { locking: true } | Kind::Dml => {
            let touched = touched(true);
            footprint.sees.extend(&touched);
            footprint.locks.extend(&touched);
            match open {
                Some(begun) => {
                    begun.locked.extend(&touched);
                    let first = &mut all[begun.step];
                    first.sees.extend(&touched);
                    if begun.mode != Some(TransactionMode::Pessimistic) {
                        first.meets.extend(&touched);
                    }
                    if begun.mode != Some(TransactionMode::Optimistic) {
                        first.keeps.extend(&touched);
                    }
                }
                None => footprint.frees.extend(&touched),
            }
        }
        Kind::Set(_)
        | Kind::Ddl
        | Kind::GetLock { .. }
        | Kind::ReleaseLock { .. }
        | Kind::LockTables
        | Kind::Use(_)
        | Kind::Kill
        | Kind::Execute
        | Kind::Other => footprint.any = true,
    }
    None
}

/// Variables that a step sets and uses.
fn variables(step: &Step, footprint: &mut Footprint) {
    let own = ["connection", "index", "database"];
    let mut reads = |template: &crate::expect::Template| {
        let names = template.variables().map(|(name, _)| name.to_owned());
        footprint
            .reads
            .extend(names.filter(|name| !own.contains(&name.as_str())));
    };
    let mut value = |value: &Value| {
        if let Value::Template(template) = value {
            reads(template);
        }
    };
    for (_, set) in &step.set {
        value(set);
    }
    match &step.action {
        Action::Sql(statements) => statements.iter().for_each(|one| reads(&one.text)),
        Action::Prepared(one, params) => {
            params.iter().for_each(&mut value);
            reads(&one.text);
        }
        Action::Load { statement, .. } => reads(&statement.text),
        _ => {}
    }
    for expectation in &step.expectations {
        let names = expectation.check.variables().into_iter().map(|(name, _)| name);
        footprint
            .reads
            .extend(names.filter(|name| !own.contains(&name.as_str())));
    }
    let saved = step.save.iter().map(|(name, ..)| name.clone());
    footprint
        .writes
        .extend(saved.chain(step.set.iter().map(|(name, _)| name.clone())));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{PlanInput, plan};
    use crate::source::SourceFile;

    fn dependence(states: &str) -> (TrialPlan, Dependence) {
        let text = format!("scenario: x\npermutations: all\nconnections:\n{states}");
        let planned = plan(Arc::new(SourceFile::new("t.yaml", text)), &PlanInput::default());
        let problems: Vec<&str> = planned.problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(problems, [""; 0]);
        let plan = planned.trials.into_iter().next().expect("a trial");
        let tables = ["t", "u"].map(str::to_owned);
        let dependence = Dependence::of_plan(&plan, &tables, false, Some(TransactionMode::Pessimistic));
        (plan, dependence)
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
        let (_, dependence) = dependence(&states);
        let mut found = Vec::new();
        for first in 0..one.len() {
            for second in 0..other.len() {
                if dependence.between(first, one.len() + second) {
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
    fn the_age_of_pessimistic_ones_matters_where_a_third_one_locks() {
        let begins = |third: &str| {
            let own = "{txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}]}";
            let third = format!("  c: {{states: [{{sql: {third}}}]}}\n");
            let (_, dependence) = dependence(&format!("  a: {own}\n  b: {own}\n{third}"));
            dependence.between(0, 3)
        };
        assert!(begins("update t set n = 2"));
        assert!(!begins("update u set n = 2"));
        assert!(!begins("select n from t"));
    }

    #[test]
    fn it_does_not_hold_where_one_with_locks_gives_up_after_a_statement_that_has_none_to_do_with_them() {
        let (_, dependence) = dependence(
            "  a: {states: [{sql: begin}, {sql: select n from t}, {sql: update t set n = 1}, {sql: select n from t}, \
             {sql: rollback to s}, {sql: commit}]}\n",
        );
        let holds = (0..6).map(|step| dependence.holds([step].into_iter()));
        assert_eq!(holds.collect::<Vec<_>>(), [true, true, true, false, false, true]);
        assert!(dependence.holds([0, 1, 2].into_iter()));
        assert!(!dependence.holds([0, 3].into_iter()));
    }

    #[test]
    fn an_order_stands_for_those_that_cannot_differ() {
        let free = Dependence {
            of: (0..4)
                .map(|one| (0..4).map(|other| one / 2 == other / 2).collect())
                .collect(),
            quiet: vec![false; 4],
        };
        // Two connections of two steps that have nothing in common: all six orders are one.
        assert_eq!(free.stands_for(&[0, 1, 2, 3], &[], |step| step / 2), 6);
        // The first one's second step waits for the second one's first: not in 0 1 2 3.
        assert_eq!(free.stands_for(&[0, 2, 1, 3], &[(2, 1)], |step| step / 2), 5);
        assert_eq!(
            Dependence::everything(4).stands_for(&[0, 2, 1, 3], &[], |step| step / 2),
            1
        );
    }
}
