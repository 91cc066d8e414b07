//! A workload with its options resolved, and what is expected of its history.

use std::time::Duration;

use super::context::{Context, isolation, txn};
use crate::isolation::{Anomaly, AnomalySet, Header, IsolationSetting, Level, ReadLock, TransactionMode};
use crate::scenario::{Distribution, FinalDecl, WorkloadDecl, WorkloadKind, keys};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, Span, nearest};

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
    fn shares_keys(&self) -> bool {
        // Elements of a set are all different, and who reads all of them touches no single one.
        self.connections > 1 && self.kind != WorkloadKind::Set && (self.reads < 100 || !self.has_reads())
    }

    fn has_reads(&self) -> bool {
        self.kind.uses().contains(&"reads")
    }
}

/// The counts of `at_least`, where the file has them.
#[derive(Debug, Default)]
struct Counts {
    ok: Option<(u64, Span)>,
    conflicts: Option<(u64, Span)>,
    reads: Option<(u64, Span)>,
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
            seed: decl.seed.unwrap_or(seed),
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

    fn workload_expect(&mut self, plan: &WorkloadPlan) -> WorkloadExpect {
        let mut expect = plan.expect.clone();
        let mut counts = Counts::default();
        let mut level_given = None;
        let decls: Vec<FinalDecl> = self.scenario.expect.clone();
        for decl in &decls {
            let mine = self.variant.is_in(decl.when.as_ref());
            for (key, node) in &decl.entries {
                match key.as_str() {
                    Some("isolation") => {
                        let level = self.level(node);
                        if let (Some(level), true) = (level, mine) {
                            if let Some(earlier) = level_given.replace(node.span) {
                                self.twice("isolation", earlier, node.span);
                            }
                            expect.level = (level, node.span);
                        }
                    }
                    Some("anomalies") => self.anomalies(node, mine, &mut expect),
                    Some("at_least") => {
                        let read = self.at_least(node);
                        if mine {
                            counts.ok = read.ok.or(counts.ok);
                            counts.conflicts = read.conflicts.or(counts.conflicts);
                            counts.reads = read.reads.or(counts.reads);
                        }
                    }
                    Some(other) => {
                        let known = keys::names(keys::FINAL_OF_WORKLOAD).join(", ");
                        let problem = Diagnostic::error(
                            key.span,
                            format!("`{other}` cannot be expected of a workload"),
                        );
                        self.problems
                            .push(problem.label(key.span, format!("what can be expected of it: {known}")));
                    }
                    None => {}
                }
            }
        }
        self.contradictions(plan, &expect);
        let tenth = match plan.length {
            WorkloadLength::Transactions(count) => count.div_ceil(10),
            WorkloadLength::Duration(_) => u64::from(plan.connections),
        };
        expect.ok = counts.ok.unwrap_or((tenth, plan.span));
        expect.conflicts = counts
            .conflicts
            .unwrap_or((u64::from(plan.shares_keys()), plan.span));
        let reads = u64::from(plan.reads > 0 || !plan.has_reads());
        expect.reads = counts.reads.unwrap_or((reads, plan.span));
        if let (WorkloadLength::Transactions(count), Some((ok, span))) = (plan.length, counts.ok)
            && ok > count
        {
            let message = format!("{ok} transactions cannot commit: the workload has {count}");
            let problem = Diagnostic::error(span, message);
            self.problems
                .push(problem.label(span, format!("at most {count}")));
        }
        expect
    }

    fn twice(&mut self, what: &str, one: Span, other: Span) {
        let problem = Diagnostic::error(other, format!("`{what}` is given twice for this variant"));
        self.problems.push(
            problem
                .label(one, "this one …")
                .label(other, "… and this one")
                .help("keep one of them"),
        );
    }

    fn level(&mut self, node: &Node) -> Option<Level> {
        let text = match &node.kind {
            NodeKind::Str(text) => text.clone(),
            _ => {
                let problem = Diagnostic::error(node.span, "`isolation` must be the name of a level");
                let label = format!("this is {}", node.describe());
                self.problems.push(problem.label(node.span, label));
                return None;
            }
        };
        match Level::by_name(&text) {
            Ok(level) => Some(level),
            Err(message) => {
                let problem = Diagnostic::error(node.span, format!("there is no isolation level `{text}`"));
                let known = message.split_once("there are: ").map_or("", |(_, known)| known);
                self.problems.push(
                    problem
                        .label(node.span, "unknown")
                        .help(format!("levels: {known}")),
                );
                None
            }
        }
    }

    fn anomalies(&mut self, node: &Node, mine: bool, expect: &mut WorkloadExpect) {
        let Some(map) = MapReader::new(node, "`anomalies`", &keys::names(keys::ANOMALIES), self.problems)
        else {
            return;
        };
        if node.as_map().is_some_and(<[Entry]>::is_empty) {
            let problem = Diagnostic::error(node.span, "`anomalies` is empty");
            self.problems
                .push(problem.label(node.span, "write `allowed` or `present`, or remove the key"));
        }
        if let Some(entry) = map.entry("allowed") {
            let found = self.names_of_anomalies(&entry.value, "allowed");
            if mine {
                if let Some((_, earlier)) = expect.allowed {
                    self.twice("allowed", earlier, entry.key.span);
                }
                let set = AnomalySet::of(found.into_iter().map(|(anomaly, _)| anomaly));
                expect.allowed = Some((set, entry.key.span));
            }
        }
        if let Some(entry) = map.entry("present") {
            let found = self.names_of_anomalies(&entry.value, "present");
            if entry.value.as_seq().is_some_and(<[Node]>::is_empty) {
                let problem = Diagnostic::error(entry.value.span, "`present` is empty");
                self.problems
                    .push(problem.label(entry.value.span, "name an anomaly, or remove the key"));
            }
            if mine {
                expect.present.extend(found);
            }
        }
    }

    fn names_of_anomalies(&mut self, node: &Node, what: &str) -> Vec<(Anomaly, Span)> {
        let Some(items) = node.as_seq() else {
            let problem = Diagnostic::error(node.span, format!("`{what}` must be a list of anomalies"));
            self.problems
                .push(problem.label(node.span, "write `[G2-item]`, or `[]` for none"));
            return Vec::new();
        };
        let mut found: Vec<(Anomaly, Span)> = Vec::new();
        for item in items {
            let name = item.text().unwrap_or_default();
            let Some(anomaly) = Anomaly::by_name(&name) else {
                let known: Vec<String> = Anomaly::all().map(|anomaly| anomaly.to_string()).collect();
                let message = match nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => format!("unknown anomaly `{name}`; did you mean `{near}`?"),
                    None => format!("there is no anomaly `{name}`"),
                };
                let problem = Diagnostic::error(item.span, message).label(item.span, "unknown");
                self.problems
                    .push(problem.help("docs/histories.md lists the anomalies"));
                continue;
            };
            if let Some((_, earlier)) = found.iter().find(|(other, _)| *other == anomaly) {
                let problem = Diagnostic::error(item.span, format!("`{anomaly}` is named twice"));
                self.problems.push(
                    problem
                        .label(item.span, "again here")
                        .label(*earlier, "first here"),
                );
            }
            found.push((anomaly, item.span));
        }
        found
    }

    fn at_least(&mut self, node: &Node) -> Counts {
        let mut counts = Counts::default();
        let Some(map) = MapReader::new(node, "`at_least`", &keys::names(keys::AT_LEAST), self.problems)
        else {
            return counts;
        };
        if node.as_map().is_some_and(<[Entry]>::is_empty) {
            let problem = Diagnostic::error(node.span, "`at_least` is empty");
            self.problems
                .push(problem.label(node.span, "write `{ok: 100}`, or remove the key"));
        }
        for (key, least) in [("ok", 1), ("conflicts", 0), ("reads", 0)] {
            let Some(node) = map.get(key) else { continue };
            let read = match node.kind {
                NodeKind::Int(count) if (least..=i128::from(keys::TIMES_MAX)).contains(&count) => {
                    u64::try_from(count).ok()
                }
                _ => None,
            };
            let Some(count) = read else {
                let message = format!(
                    "`{key}` must be a whole number from {least} to {}",
                    keys::TIMES_MAX
                );
                let problem = Diagnostic::error(node.span, message);
                self.problems
                    .push(problem.label(node.span, format!("this is {}", node.describe())));
                continue;
            };
            let count = Some((count, node.span));
            match key {
                "ok" => counts.ok = count,
                "conflicts" => counts.conflicts = count,
                _ => counts.reads = count,
            }
        }
        counts
    }

    /// Anomalies that the level forbids can be neither allowed nor required.
    fn contradictions(&mut self, plan: &WorkloadPlan, expect: &WorkloadExpect) {
        let (level, level_span) = expect.level;
        let Ok(forbidden) = level.forbids(&plan.header()) else {
            return;
        };
        let allowed = expect.allowed.iter();
        let allowed = allowed.flat_map(|(set, span)| set.iter().map(|anomaly| (anomaly, *span)));
        let present = expect.present.iter().copied();
        for (anomaly, span) in allowed.chain(present) {
            if forbidden.contains(anomaly) {
                let problem = Diagnostic::error(span, format!("{level} forbids {anomaly}"));
                self.problems.push(
                    problem
                        .label(span, "this one …")
                        .label(level_span, format!("… and {level} exclude each other"))
                        .help("name a weaker level with `isolation`, or remove the anomaly"),
                );
            }
        }
    }
}
