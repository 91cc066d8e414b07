//! Which steps of different connections can change places without anything being different.
//!
//! Told by the tables that statements name, so it holds whatever rows they touch, in every mode of transactions
//! and on every level of isolation that TiDB has:
//! - a statement that locks or writes depends on others that do in the same table, and on their commits;
//! - a plain read, and the BEGIN of the transaction that it is in, depend on commits only;
//! - a COMMIT depends on all that has to do with the tables that its transaction wrote or locked;
//! - tables that one transaction locks count as one: who is refused in a deadlock depends on the locks in all of
//!   them, and an error lets go of all of them;
//! - what is not understood depends on everything.

use std::collections::BTreeSet;

use crate::coordinator::transactions::Transaction;
use crate::history::Vars;
use crate::plan::{Action, Statement, Step, TrialPlan, Value};
use crate::run::named_tables;
use crate::sql::{Kind, classify};

/// What a step has to do with tables and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Footprint {
    /// Tables of which it sees the committed state, now or later in its transaction.
    sees: BTreeSet<usize>,
    /// Tables in which it asks for locks.
    locks: BTreeSet<usize>,
    /// Tables in which it lets go of locks, or commits rows.
    frees: BTreeSet<usize>,
    /// Variables of the shared state that it uses.
    reads: BTreeSet<String>,
    /// Variables that it sets.
    writes: BTreeSet<String>,
    /// Whether it may have to do with anything.
    any: bool,
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
            || vars(self, other)
            || vars(other, self)
    }
}

/// Which pairs of steps depend on each other.
#[derive(Debug, Clone)]
pub struct Dependence {
    of: Vec<Vec<bool>>,
}

impl Dependence {
    /// All pairs.
    #[must_use]
    pub fn everything(steps: usize) -> Self {
        Self {
            of: vec![vec![true; steps]; steps],
        }
    }

    /// By the tables of the trial's database; `tied` tells that foreign keys make statements touch more tables
    /// than they name.
    #[must_use]
    pub fn of_plan(plan: &TrialPlan, tables: &[String], tied: bool) -> Self {
        let footprints = footprints(plan, tables, tied);
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
        Self { of }
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
    /// other come as they do here.
    #[must_use]
    pub fn stands_for(&self, order: &[usize], connection_of: impl Fn(usize) -> usize) -> u128 {
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
        let mut known = std::collections::HashMap::new();
        let mut at = vec![0; sequences.len()];
        self.count(&sequences, &mut at, &position, &mut known)
    }

    fn count(
        &self,
        sequences: &[Vec<usize>],
        at: &mut Vec<usize>,
        position: &dyn Fn(usize) -> usize,
        known: &mut std::collections::HashMap<Vec<usize>, u128>,
    ) -> u128 {
        if let Some(count) = known.get(at) {
            return *count;
        }
        let mut count: u128 = 0;
        let mut done = true;
        for own in 0..sequences.len() {
            let Some(step) = sequences[own].get(at[own]).copied() else {
                continue;
            };
            done = false;
            // It can be next if nothing that depends on it and comes before it here is still to come.
            let free = (0..sequences.len()).all(|other| {
                other == own
                    || sequences[other][at[other]..]
                        .iter()
                        .all(|later| !self.between(step, *later) || position(step) < position(*later))
            });
            if free {
                at[own] += 1;
                count = count.saturating_add(self.count(sequences, at, position, known));
                at[own] -= 1;
            }
        }
        let count = if done { 1 } else { count };
        known.insert(at.clone(), count);
        count
    }
}

fn footprints(plan: &TrialPlan, tables: &[String], tied: bool) -> Vec<Footprint> {
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
        // What the transaction that is open has seen and locked, and the step that began it.
        let mut open: Option<(usize, BTreeSet<usize>, BTreeSet<usize>)> = None;
        let mine = plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.connection == own);
        // Without autocommit a transaction begins with the first statement after the one before.
        let implicit = plan
            .connections
            .get(own)
            .is_some_and(|own| !Transaction::of_session(&own.vars).is_closed());
        let says_autocommit =
            mine_texts(plan, own).any(|text| text.to_ascii_lowercase().contains("autocommit"));
        for (number, step) in mine {
            let mut footprint = Footprint {
                any: says_autocommit,
                ..Footprint::default()
            };
            variables(step, &mut footprint);
            if implicit && open.is_none() {
                open = Some((number, BTreeSet::new(), BTreeSet::new()));
            }
            match &step.action {
                Action::Set | Action::Nothing | Action::Sleep(_) => {}
                Action::Sql(statements) => {
                    for statement in statements {
                        let text = text(statement, &vars);
                        one(&text, number, tables, tied, &mut open, &mut footprint, &mut all);
                    }
                }
                Action::Prepared(statement, _) | Action::Load { statement, .. } => {
                    let text = text(statement, &vars);
                    one(&text, number, tables, tied, &mut open, &mut footprint, &mut all);
                }
                Action::Kill { .. }
                | Action::Disconnect
                | Action::Reconnect
                | Action::Watch(_)
                | Action::Handler(_) => {
                    footprint.any = true;
                }
            }
            let begun = &mut all[number];
            // A BEGIN has got what its transaction will see already.
            footprint.sees.extend(&begun.sees);
            *begun = footprint;
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
        for set in [&mut footprint.sees, &mut footprint.locks, &mut footprint.frees] {
            *set = set.iter().map(|table| groups[*table]).collect();
        }
    }
    all
}

/// The texts of a connection's statements, as they stand in the file.
fn mine_texts(plan: &TrialPlan, own: usize) -> impl Iterator<Item = &str> {
    let steps = plan.steps.iter().filter(move |step| step.connection == own);
    steps.flat_map(|step| match &step.action {
        Action::Sql(statements) => statements.iter().map(|one| one.text.source()).collect(),
        Action::Prepared(one, _) => vec![one.text.source()],
        _ => Vec::new(),
    })
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

type Open = Option<(usize, BTreeSet<usize>, BTreeSet<usize>)>;

/// Adds what one statement has to do with tables.
fn one(
    text: &Option<String>,
    number: usize,
    tables: &[String],
    tied: bool,
    open: &mut Open,
    footprint: &mut Footprint,
    all: &mut [Footprint],
) {
    let Some(text) = text else {
        // What it is, only a run knows.
        footprint.any = true;
        return;
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
        if let Some((_, _, locked)) = open.take() {
            // That of an optimistic transaction asks for its locks now, and looks whether others came first.
            footprint.locks.extend(&locked);
            footprint.sees.extend(&locked);
            footprint.frees.extend(&locked);
        }
    };
    match &statement.kind {
        _ if statement.takes_user_lock() || statement.changes_whole_server() => footprint.any = true,
        Kind::Begin(_) => {
            end(open, footprint);
            *open = Some((number, BTreeSet::new(), BTreeSet::new()));
        }
        Kind::Commit => end(open, footprint),
        Kind::Rollback => {
            if let Some((_, _, locked)) = open.take() {
                footprint.frees.extend(locked);
            }
        }
        Kind::Savepoint | Kind::ReleaseSavepoint | Kind::RollbackToSavepoint | Kind::Sleep => {}
        Kind::Select { locking: false } => {
            let read = touched(false);
            footprint.sees.extend(&read);
            if let Some((begun, seen, _)) = open {
                seen.extend(&read);
                all[*begun].sees.extend(&read);
            }
        }
        Kind::Select { locking: true } | Kind::Dml => {
            let touched = touched(true);
            footprint.sees.extend(&touched);
            footprint.locks.extend(&touched);
            match open {
                Some((begun, seen, locked)) => {
                    seen.extend(&touched);
                    locked.extend(&touched);
                    all[*begun].sees.extend(&touched);
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
        let dependence = Dependence::of_plan(&plan, &tables, false);
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
        ] {
            assert_eq!(pairs(one, other), wanted, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn an_order_stands_for_those_that_cannot_differ() {
        let free = Dependence {
            of: (0..4)
                .map(|one| (0..4).map(|other| one / 2 == other / 2).collect())
                .collect(),
        };
        // Two connections of two steps that have nothing in common: all six orders are one.
        assert_eq!(free.stands_for(&[0, 1, 2, 3], |step| step / 2), 6);
        assert_eq!(
            Dependence::everything(4).stands_for(&[0, 2, 1, 3], |step| step / 2),
            1
        );
    }
}
