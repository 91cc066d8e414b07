//! What the statements of one connection, one after another, have to do with tables, as far as their texts tell.

use std::collections::BTreeSet;

use super::footprint::{Footprint, Schema};
use crate::coordinator::Owners;
use crate::history::{Outcome, SqlError, Vars};
use crate::plan::{Action, LoadContent, Statement, Step, TrialPlan, Value};
use crate::sql::{
    Kind, Prepared, TRANSACTION_ENDING, TXN_MODE, TransactionChange, TransactionMode, classify,
    may_take_long, named_tables, reads_clock,
};
use crate::transaction::Transaction;

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
    /// Whether an error that is expected may have ended it: what follows may commit by itself.
    maybe_ended: bool,
}

/// The steps of one connection, one after another.
pub(super) struct Sequence<'p> {
    schema: Schema<'p>,
    owners: &'p Owners,
    vars: &'p Vars,
    all: &'p mut [Footprint],
    /// The transaction's state of a session that has just been opened.
    session: Transaction,
    first_session: Transaction,
    /// Whether autocommit may be changed on the way.
    says_autocommit: bool,
    open: Option<Begun>,
    /// Whether a transaction is open cannot be told, since something ran that may have begun or ended one.
    uncertain: bool,
    /// What EXECUTE runs.
    prepared: Prepared,
    /// Whether what takes long may let somebody's limit pass.
    pub is_timed: bool,
}

impl<'p> Sequence<'p> {
    pub fn new(
        plan: &'p TrialPlan,
        own: usize,
        schema: Schema<'p>,
        vars: &'p Vars,
        all: &'p mut [Footprint],
    ) -> Self {
        let session = plan.connections.get(own);
        let session = session.map_or_else(Transaction::default, |own| Transaction::of_session(&own.vars));
        let mut texts = texts(plan, own);
        Self {
            schema,
            owners: &plan.owners,
            vars,
            all,
            first_session: session.clone(),
            session,
            says_autocommit: texts.any(|text| text.to_ascii_lowercase().contains("autocommit")),
            open: None,
            uncertain: false,
            prepared: Prepared::default(),
            is_timed: false,
        }
    }

    /// The session is a new one: what it had open is rolled back.
    fn begin_session(&mut self) {
        self.open = None;
        self.uncertain = false;
        self.prepared = Prepared::default();
        self.session = self.first_session.clone();
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
            maybe_ended: false,
        });
    }

    pub fn step(&mut self, number: usize, step: &Step) {
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
            Action::Set | Action::Nothing => {}
            Action::Sleep(_) => footprint.clock = true,
            Action::Kill { .. } | Action::Disconnect | Action::Reconnect | Action::Watch(_) => {
                footprint.unknown = true;
            }
            Action::Handler(_) => {
                footprint.unknown = true;
                self.uncertain = true;
            }
        }
        // What begins and ends a transaction with something in it that only a run knows may be about anything, too.
        if let (true, Some(begun)) = (footprint.unknown, &mut self.open) {
            begun.unknown = true;
            self.all[begun.step].unknown = true;
        }
        if matches!(step.action, Action::Disconnect | Action::Reconnect) {
            self.begin_session();
        }
        if step.action.statements().len() > 1 && step.wants_error() {
            // After an error the rest of the list is not run.
            self.uncertain = true;
        }
        let ends = |code: u16| step.expects_error(&refused(code));
        if let (true, Some(begun)) = (TRANSACTION_ENDING.iter().copied().any(ends), &mut self.open) {
            begun.maybe_ended = true;
        }
        let has_locks = self.open.as_ref().is_some_and(|begun| !begun.locked.is_empty());
        let idle = has_locks && footprint.locks.is_empty() && footprint.releases.is_empty();
        let of_unknown = self.open.as_ref().is_some_and(|begun| begun.unknown);
        footprint.holds_but_idle = (idle || of_unknown) && !footprint.unknown;
        let maybe_ended = self.open.as_ref().is_some_and(|begun| begun.maybe_ended);
        let known = self.session.is_closed() && !self.says_autocommit && !self.uncertain && !maybe_ended;
        footprint.open_after = known.then_some(self.open.is_some());
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
        footprint.clock |= reads_clock(&text) || self.is_timed && may_take_long(&text);
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
            Kind::Set(targets) if targets.session.iter().any(|name| name == TXN_MODE) => {
                footprint.unknown = true;
                self.session.forget_mode();
            }
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
        let timed = |table: &usize| self.schema.timed.contains(&self.schema.tables[*table]);
        footprint.clock |= touched.iter().any(timed);
        footprint.reads.extend(&touched);
        footprint.locks.extend(&touched);
        let Some(begun) = &mut self.open else {
            footprint.releases.extend(&touched);
            return;
        };
        if begun.maybe_ended {
            footprint.releases.extend(&touched);
        }
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

fn refused(code: u16) -> Outcome {
    Outcome::Refused(SqlError {
        code,
        sqlstate: String::new(),
        message: String::new(),
    })
}
