//! A workload with its options resolved, and what is expected of its history.

use std::time::Duration;

use super::context::{Context, isolation, txn};
use crate::isolation::{Anomaly, AnomalySet, Header, IsolationSetting, Level, ReadLock, TransactionMode};
use crate::scenario::{Distribution, WorkloadDecl, WorkloadKind, keys};
use crate::source::{Diagnostic, Node, Span};

const CONNECTIONS: u32 = 8;
const TRANSACTIONS: u32 = 1_000;
const OPS: u32 = 4;
const READS: u32 = 50;
const WRITES_PER_KEY: u32 = 64;

/// A workload.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadPlan {
    /// Where it stands.
    pub span: Span,
    /// What its transactions do.
    pub kind: WorkloadKind,
    /// How many connections.
    pub connections: u32,
    /// How long it runs.
    pub length: WorkloadLength,
    /// The mode of the transactions.
    pub mode: TransactionMode,
    /// The isolation level that is set.
    pub isolation: IsolationSetting,
    /// How it reads.
    pub read_lock: ReadLock,
    /// For what is random.
    pub seed: u64,
    /// Whether TiDB is asked for the timestamps of transactions.
    pub timestamps: bool,
    /// How often a transaction that failed for a conflict is tried again.
    pub retries: u32,
    /// How many keys, accounts or pairs.
    pub keys: u32,
    /// The largest number of operations of a transaction.
    pub ops: u32,
    /// How many of a hundred operations, or transactions, read.
    pub reads: u32,
    /// How keys are chosen.
    pub distribution: Distribution,
    /// After how many writes a key is replaced by a new one.
    pub writes_per_key: u32,
    /// The limit of one statement.
    pub statement_max: Duration,
    /// What is expected of its history.
    pub expect: WorkloadExpect,
}

/// How long a workload runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadLength {
    /// So many transactions of all connections together; tries after the first of one are not counted.
    Transactions(u64),
    /// Transactions begin for so long.
    Duration(Duration),
}

/// What is expected of a workload's history.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadExpect {
    /// The level, and where it stands (the workload, where it is the default).
    pub level: (Level, Span),
    /// The only anomalies that may be found, where the file says so.
    pub allowed: Option<(AnomalySet, Span)>,
    /// Anomalies of which each must be found.
    pub present: Vec<(Anomaly, Span)>,
    /// How many transactions must have committed.
    pub ok: (u64, Span),
    /// How many transactions must have met another one at a key.
    pub conflicts: (u64, Span),
    /// How many reads transactions that committed must have done.
    pub reads: (u64, Span),
}

impl WorkloadPlan {
    /// What the head of the history says.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            workload: Some(self.kind.name().to_owned()),
            mode: Some(self.mode),
            isolation: Some(self.isolation),
            read_lock: Some(self.read_lock),
            seed: Some(self.seed),
            repeat: None,
            total: None,
        }
    }

    /// Whether its connections can meet at a key, with a write of at least one of them.
    pub(super) fn shares_keys(&self) -> bool {
        // Elements of a set are all different, and who reads all of them touches no single one.
        self.connections > 1 && self.kind != WorkloadKind::Set && (self.reads < 100 || !self.has_reads())
    }

    pub(super) fn has_reads(&self) -> bool {
        self.kind.uses().contains(&"reads")
    }
}

impl Context<'_> {
    /// The workload of this variant.
    pub(super) fn workload(&mut self, decl: &WorkloadDecl, seed: u64) -> WorkloadPlan {
        let named = |own: &Option<Node>, axis: Option<&Node>| {
            let node = own.as_ref().or(axis)?;
            Some((
                node.span,
                node.text().unwrap_or_default().into_owned(),
                own.is_some(),
            ))
        };
        let mut setting = IsolationSetting::RepeatableRead;
        if let Some((span, text, is_own)) = named(&decl.isolation, self.variant.value("isolation")) {
            match isolation(&text) {
                Some(level) if level.short == "rc" => setting = IsolationSetting::ReadCommitted,
                Some(_) => {}
                // On an axis of the matrix this is told already.
                None if !is_own => {}
                None => {
                    let problem = Diagnostic::error(span, "TiDB does not have this isolation level");
                    let label = "`repeatable read` or `read committed`; others are error 8048";
                    self.problems.push(problem.label(span, label));
                }
            }
        }
        let mut mode = TransactionMode::Pessimistic;
        if let Some((span, text, is_own)) = named(&decl.txn, self.variant.value("txn")) {
            match txn(&text) {
                Some("optimistic") => mode = TransactionMode::Optimistic,
                Some(_) => {}
                None if !is_own => {}
                None => {
                    let problem = Diagnostic::error(span, "this is not a transaction mode");
                    self.problems
                        .push(problem.label(span, "`pessimistic` or `optimistic`"));
                }
            }
        }
        if let (Some(duration), Some(limit)) = (
            &decl.duration,
            self.scenario.timeout.or(Some(super::TRIAL_TIMEOUT)),
        ) && duration.value >= limit
        {
            let problem = Diagnostic::error(duration.span, "the workload runs longer than its trial may");
            let label =
                format!("`timeout` of the trial is {limit:?}; write a longer one, or run for less time");
            self.problems.push(problem.label(duration.span, label));
        }
        let axis = self.variant.value("read_lock");
        let read_lock = match axis.map(Node::text) {
            Some(text) if text.as_deref() == Some("for_update") => ReadLock::ForUpdate,
            Some(_) => ReadLock::Plain,
            None if decl.for_update == Some(true) => ReadLock::ForUpdate,
            None => ReadLock::Plain,
        };
        self.axes(decl);
        let span = decl.span;
        let mut plan = WorkloadPlan {
            span,
            kind: decl.kind,
            connections: decl.connections.unwrap_or(CONNECTIONS),
            length: match &decl.duration {
                Some(duration) => WorkloadLength::Duration(duration.value),
                None => WorkloadLength::Transactions(u64::from(decl.transactions.unwrap_or(TRANSACTIONS))),
            },
            mode,
            isolation: setting,
            read_lock,
            seed: self.input.seed.or(decl.seed).unwrap_or(seed),
            timestamps: decl.timestamps,
            retries: decl.retries,
            keys: decl.keys.unwrap_or(match decl.kind {
                WorkloadKind::LongFork => 3,
                WorkloadKind::Bank | WorkloadKind::WriteSkew | WorkloadKind::Sequential => 5,
                WorkloadKind::ListAppend
                | WorkloadKind::RwRegister
                | WorkloadKind::Register
                | WorkloadKind::Set
                | WorkloadKind::Monotonic => 4,
            }),
            ops: decl.ops.unwrap_or(OPS),
            reads: decl.reads.unwrap_or(READS),
            distribution: decl.distribution,
            writes_per_key: decl.writes_per_key.unwrap_or(WRITES_PER_KEY),
            statement_max: self.scenario.step_timeout.unwrap_or(super::STEP_TIMEOUT),
            expect: WorkloadExpect {
                level: (Level::Promised, span),
                allowed: None,
                present: Vec::new(),
                ok: (1, span),
                conflicts: (0, span),
                reads: (0, span),
            },
        };
        let least = match decl.kind {
            WorkloadKind::Bank | WorkloadKind::LongFork | WorkloadKind::Sequential => 2,
            WorkloadKind::ListAppend
            | WorkloadKind::RwRegister
            | WorkloadKind::Register
            | WorkloadKind::WriteSkew
            | WorkloadKind::Set
            | WorkloadKind::Monotonic => 1,
        };
        if plan.keys < least {
            let message = format!("`{}` needs at least {least} `keys`", decl.kind.name());
            let problem = Diagnostic::error(span, message);
            self.problems
                .push(problem.label(span, format!("this one has {}", plan.keys)));
        }
        plan.expect = self.workload_expect(&plan);
        plan
    }

    /// An axis of the matrix is an option of the workload, or a name that some `when` asks for.
    fn axes(&mut self, decl: &WorkloadDecl) {
        for axis in &self.scenario.matrix {
            let name = axis.name.value.as_str();
            let is_set = match name {
                "isolation" => decl.isolation.is_some(),
                "txn" => decl.txn.is_some(),
                "read_lock" => decl.for_update.is_some(),
                _ => {
                    let message = format!("`{name}` has no effect on a workload");
                    let label = "a matrix of a workload can have: isolation, txn, read_lock";
                    let problem = Diagnostic::error(axis.name.span, message);
                    self.problems.push(problem.label(axis.name.span, label));
                    continue;
                }
            };
            if is_set {
                let message = format!("`{name}` is in `workload` and in `matrix`");
                let problem = Diagnostic::error(axis.name.span, message);
                self.problems.push(
                    problem
                        .label(axis.name.span, "this one …")
                        .label(decl.span, "… and the one in here exclude each other"),
                );
            }
            for node in axis.values.iter().filter(|_| name == "read_lock") {
                let text = node.text().unwrap_or_default();
                if !keys::READ_LOCKS.contains(&text.as_ref()) {
                    let problem = Diagnostic::error(node.span, "not a value for `read_lock`");
                    let known = keys::READ_LOCKS.join(", ");
                    self.problems
                        .push(problem.label(node.span, format!("one of: {known}")));
                }
            }
        }
    }
}
