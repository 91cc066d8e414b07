//! What each step of a plan reads, locks and releases, as far as its text tells.

use std::collections::BTreeSet;

use crate::coordinator::Owners;
use crate::history::Vars;
use crate::plan::{Action, LoadContent, Statement, Step, TrialPlan, Value};
use crate::sql::{Kind, Prepared, TransactionChange, TransactionMode, classify, named_tables};
use crate::transaction::Transaction;

/// What a step has to do with tables and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Tables of which it sees the committed state, now or later in its transaction.
    reads: BTreeSet<usize>,
    /// Tables in which it asks for locks.
    locks: BTreeSet<usize>,
    /// Tables in which the transaction that it begins locks, if that is pessimistic or may be.
    pessimistic_begin_locks: BTreeSet<usize>,
    /// The same, if it is optimistic or may be, or one of three who may wait for each other.
    optimistic_begin_locks: BTreeSet<usize>,
    /// Tables in which it releases locks, or commits rows.
    releases: BTreeSet<usize>,
    /// Variables of the shared state that it uses.
    vars_read: BTreeSet<String>,
    /// Variables that it sets.
    vars_written: BTreeSet<String>,
    /// Whether it may have to do with anything.
    unknown: bool,
    /// Whether it asks for no locks and releases none, though its transaction holds some.
    pub holds_but_idle: bool,
}

impl Footprint {
    /// Whether the order of two steps of different connections may matter.
    pub fn depends_on(&self, other: &Self) -> bool {
        let meet = |one: &BTreeSet<usize>, other: &BTreeSet<usize>| !one.is_disjoint(other);
        let releases = |one: &Self, other: &Self| {
            meet(&one.releases, &other.reads)
                || meet(&one.releases, &other.locks)
                || meet(&one.releases, &other.releases)
        };
        let vars = |one: &Self, other: &Self| {
            !one.vars_written.is_disjoint(&other.vars_read)
                || !one.vars_written.is_disjoint(&other.vars_written)
        };
        self.unknown
            || other.unknown
            || releases(self, other)
            || releases(other, self)
            || meet(&self.locks, &other.locks)
            || meet(&self.optimistic_begin_locks, &other.pessimistic_begin_locks)
            || meet(&other.optimistic_begin_locks, &self.pessimistic_begin_locks)
            || vars(self, other)
            || vars(other, self)
    }
}

/// What is known of the tables that a plan's statements may touch.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'t> {
    /// The tables of the trial's database.
    pub tables: &'t [String],
    /// Whether foreign keys make statements touch more tables than they name.
    pub tied: bool,
    /// What the server begins transactions with, where that is known.
    pub mode: Option<TransactionMode>,
}

/// The footprints of all steps.
pub(super) fn footprints(plan: &TrialPlan, schema: Schema<'_>) -> Vec<Footprint> {
    let mut all = vec![Footprint::default(); plan.steps.len()];
    let vars = constants(plan);
    let mut together: Vec<BTreeSet<usize>> = Vec::new();
    for own in 0..plan.connections.len() {
        let mut sequence = Sequence::new(plan, own, schema, &vars, &mut all);
        let mine = plan.steps.iter().enumerate();
        for (number, step) in mine.filter(|(_, step)| step.connection == own) {
            sequence.step(number, step);
        }
        // A transaction that nobody ends is rolled back at the end, when no order matters any more.
        let mine = plan
            .steps
            .iter()
            .zip(&all)
            .filter(|(step, _)| step.connection == own);
        // By connection, which is more than by transaction, and simpler.
        together.push(
            mine.flat_map(|(_, footprint)| footprint.locks.iter().copied())
                .collect(),
        );
    }
    merge(&mut all, schema.tables.len(), &together);
    all
}

/// The variables that have the same value from the first step to the last.
fn constants(plan: &TrialPlan) -> Vars {
    let mut vars = plan.vars.clone();
    for step in &plan.steps {
        let set = step.set.iter().map(|(name, _)| name);
        for name in set.chain(step.save.iter().map(|one| &one.name)) {
            vars.remove(name);
        }
    }
    vars
}

/// Tables that one connection locks count as one.
fn merge(all: &mut [Footprint], tables: usize, together: &[BTreeSet<usize>]) {
    let groups = groups(tables, together);
    let lockers = |group: &usize| {
        let own = together.iter();
        own.filter(|tables| tables.iter().any(|table| groups[*table] == *group))
            .count()
    };
    for footprint in all {
        for set in [
            &mut footprint.reads,
            &mut footprint.locks,
            &mut footprint.pessimistic_begin_locks,
            &mut footprint.optimistic_begin_locks,
            &mut footprint.releases,
        ] {
            *set = set.iter().map(|table| groups[*table]).collect();
        }
        let contended = footprint.pessimistic_begin_locks.iter().copied();
        let contended = contended.filter(|group| lockers(group) > 2);
        footprint.optimistic_begin_locks.extend(contended);
    }
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

/// A transaction that is open.
struct Begun {
    /// The step that began it.
    step: usize,
    /// Its mode, where that is known.
    mode: Option<TransactionMode>,
    /// The tables in which it has locked.
    locked: BTreeSet<usize>,
    /// Whether it may have seen and locked anything.
    unknown: bool,
}

/// The steps of one connection, one after another.
struct Sequence<'p> {
    schema: Schema<'p>,
    owners: &'p Owners,
    vars: &'p Vars,
    all: &'p mut [Footprint],
    /// The transaction's state of a session that has just been opened.
    session: Transaction,
    /// Whether autocommit may be changed on the way.
    says_autocommit: bool,
    open: Option<Begun>,
    /// Whether a transaction is open cannot be told, since something ran that may have begun or ended one.
    uncertain: bool,
    /// What EXECUTE runs.
    prepared: Prepared,
}

impl<'p> Sequence<'p> {
    fn new(
        plan: &'p TrialPlan,
        own: usize,
        schema: Schema<'p>,
        vars: &'p Vars,
        all: &'p mut [Footprint],
    ) -> Self {
        let session = plan.connections.get(own);
        let mut texts = texts(plan, own);
        Self {
            schema,
            owners: &plan.owners,
            vars,
            all,
            session: session.map_or_else(Transaction::default, |own| Transaction::of_session(&own.vars)),
            says_autocommit: texts.any(|text| text.to_ascii_lowercase().contains("autocommit")),
            open: None,
            uncertain: false,
            prepared: Prepared::default(),
        }
    }

    fn begin(&mut self, step: usize, asked: TransactionMode) {
        self.open = Some(Begun {
            step,
            mode: match asked {
                TransactionMode::Session => self.session.mode(self.schema.mode),
                given => Some(given),
            },
            locked: BTreeSet::new(),
            unknown: false,
        });
    }

    fn step(&mut self, number: usize, step: &Step) {
        let mut footprint = Footprint {
            unknown: self.says_autocommit,
            ..Footprint::default()
        };
        variables(self.owners, step, &mut footprint);
        // Without autocommit a transaction begins with the first statement after the one before.
        if !self.session.is_closed() && self.open.is_none() {
            self.begin(number, TransactionMode::Session);
        }
        for statement in step.action.statements() {
            if let Some(mode) = self.statement(statement, &mut footprint) {
                self.begin(number, mode);
            }
        }
        match &step.action {
            Action::Sql(_) | Action::Prepared(..) | Action::Load { .. } => {}
            Action::Set | Action::Nothing | Action::Sleep(_) => {}
            Action::Kill { .. }
            | Action::Disconnect
            | Action::Reconnect
            | Action::Watch(_)
            | Action::Handler(_) => {
                footprint.unknown = true;
            }
        }
        // What begins and ends a transaction with something in it that only a run knows may be about anything, too.
        if let (true, Some(begun)) = (footprint.unknown, &mut self.open) {
            begun.unknown = true;
            self.all[begun.step].unknown = true;
        }
        let has_locks = self.open.as_ref().is_some_and(|begun| !begun.locked.is_empty());
        footprint.holds_but_idle =
            has_locks && !footprint.unknown && footprint.locks.is_empty() && footprint.releases.is_empty();
        // A BEGIN has got what its transaction will see already.
        let begins = &mut self.all[number];
        footprint.reads.extend(&begins.reads);
        footprint.unknown |= begins.unknown;
        footprint
            .pessimistic_begin_locks
            .extend(&begins.pessimistic_begin_locks);
        footprint
            .optimistic_begin_locks
            .extend(&begins.optimistic_begin_locks);
        *begins = footprint;
    }

    /// Adds what one statement has to do with tables; tells the mode of the transaction that it begins, if it does.
    fn statement(&mut self, statement: &Statement, footprint: &mut Footprint) -> Option<TransactionMode> {
        let Ok(text) = statement.text.fill(self.vars) else {
            // What it is, only a run knows.
            footprint.unknown = true;
            return None;
        };
        let executed = self.prepared.executed(&text).map(str::to_owned);
        self.prepared.note(&text);
        let text = executed.unwrap_or(text);
        let statement = classify(&text);
        let before = self.uncertain;
        self.uncertain = match statement.change() {
            TransactionChange::Begins(_) | TransactionChange::Ends => false,
            TransactionChange::Unknown => true,
            TransactionChange::Stays
            | TransactionChange::MayBegin
            | TransactionChange::EndsIfAutocommitWasOff => before,
        };
        // What ends the uncertainty ends a transaction of which nothing is known, if there is one. Savepoints are the
        // session's own in any case.
        let savepoint = matches!(
            statement.kind,
            Kind::Savepoint | Kind::ReleaseSavepoint | Kind::RollbackToSavepoint
        );
        footprint.unknown |= (before || self.uncertain) && !savepoint;
        match &statement.kind {
            _ if statement.takes_user_lock() || statement.changes_whole_server() => footprint.unknown = true,
            Kind::Begin(mode) => {
                self.commit(footprint);
                return Some(*mode);
            }
            Kind::Commit => self.commit(footprint),
            Kind::Rollback => {
                if let Some(Begun { locked, unknown, .. }) = self.open.take() {
                    footprint.unknown |= unknown;
                    footprint.releases.extend(locked);
                }
            }
            Kind::Savepoint | Kind::ReleaseSavepoint | Kind::RollbackToSavepoint => {}
            // What sleeps may read as well.
            Kind::Select { locking: false } | Kind::Sleep => {
                let read = self.named(&text);
                footprint.reads.extend(&read);
                if let Some(begun) = &self.open {
                    self.all[begun.step].reads.extend(&read);
                }
            }
            Kind::Select { locking: true } | Kind::Dml => self.lock(&text, footprint),
            Kind::Set(_)
            | Kind::Ddl
            | Kind::LockTables
            | Kind::GetLock { .. }
            | Kind::ReleaseLock { .. }
            | Kind::Use(_)
            | Kind::Kill
            | Kind::Execute
            | Kind::Other => footprint.unknown = true,
        }
        // What commits without saying so ends it as COMMIT does.
        if statement.change() == TransactionChange::Ends {
            self.commit(footprint);
        }
        None
    }

    fn commit(&mut self, footprint: &mut Footprint) {
        if let Some(Begun { locked, unknown, .. }) = self.open.take() {
            footprint.unknown |= unknown;
            // That of an optimistic transaction asks for its locks now, and looks whether others came first.
            footprint.locks.extend(&locked);
            footprint.reads.extend(&locked);
            footprint.releases.extend(&locked);
        }
    }

    /// A statement that locks rows.
    fn lock(&mut self, text: &str, footprint: &mut Footprint) {
        let mut touched = self.named(text);
        if self.schema.tied || touched.is_empty() {
            touched = (0..self.schema.tables.len()).collect();
        }
        footprint.reads.extend(&touched);
        footprint.locks.extend(&touched);
        let Some(begun) = &mut self.open else {
            footprint.releases.extend(&touched);
            return;
        };
        begun.locked.extend(&touched);
        let first = &mut self.all[begun.step];
        first.reads.extend(&touched);
        if begun.mode != Some(TransactionMode::Pessimistic) {
            first.optimistic_begin_locks.extend(&touched);
        }
        if begun.mode != Some(TransactionMode::Optimistic) {
            first.pessimistic_begin_locks.extend(&touched);
        }
    }

    /// The tables that a text names.
    fn named(&self, text: &str) -> BTreeSet<usize> {
        let tables = self.schema.tables;
        named_tables(text, tables)
            .into_iter()
            .filter_map(|name| tables.iter().position(|table| table == name))
            .collect()
    }
}

/// The texts of a connection's statements, as they stand in the file.
pub(super) fn texts(plan: &TrialPlan, own: usize) -> impl Iterator<Item = &str> {
    let steps = plan.steps.iter().filter(move |step| step.connection == own);
    steps.flat_map(|step| step.action.statements().iter().map(|one| one.text.source()))
}

/// Variables that a step sets and uses, by the names that they have over all connections.
fn variables(owners: &Owners, step: &Step, footprint: &mut Footprint) {
    let own = ["connection", "index", "database"];
    let key = |name: &str| owners.key(name, Some(step.connection));
    let mut reads = |template: &crate::expect::Template| {
        let names = template.variables().map(|(name, _)| name);
        footprint
            .vars_read
            .extend(names.filter(|name| !own.contains(name)).map(key));
    };
    for statement in step.action.statements() {
        reads(&statement.text);
    }
    let mut value = |value: &Value| {
        if let Value::Template(template) = value {
            reads(template);
        }
    };
    for (_, set) in &step.set {
        value(set);
    }
    match &step.action {
        Action::Prepared(_, params) => params.iter().for_each(&mut value),
        Action::Load {
            content: LoadContent::Rows(rows),
            ..
        } => rows.iter().flatten().for_each(&mut value),
        _ => {}
    }
    for expectation in &step.expectations {
        let names = expectation.check.variables().into_iter().map(|(name, _)| name);
        footprint.vars_read.extend(
            names
                .filter(|name| !own.contains(&name.as_str()))
                .map(|name| key(&name)),
        );
    }
    let saved = step.save.iter().map(|one| match one.shared {
        true => one.name.clone(),
        false => owners.key_of(step.connection, &one.name),
    });
    footprint.vars_written.extend(saved);
    for (name, _) in &step.set {
        footprint
            .vars_written
            .insert(match owners.is_own(step.connection, name) {
                true => owners.key_of(step.connection, name),
                false => name.clone(),
            });
    }
}
