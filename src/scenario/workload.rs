//! Reads `workload`.

use std::time::Duration;

use super::reader::Reader;
use super::{Located, keys};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, Span, nearest, read};

/// What `workload` says. Each option that is here is one that the kind uses.
#[derive(Debug, Clone)]
pub struct WorkloadDecl {
    /// Where the key stands.
    pub span: Span,
    /// What its transactions do.
    pub kind: WorkloadKind,
    /// How many connections, 8 by default.
    pub connections: Option<u32>,
    /// How many transactions all connections run together, 1,000 by default.
    pub transactions: Option<u32>,
    /// For how long they run, in place of a number.
    pub duration: Option<Located<Duration>>,
    /// `pessimistic` or `optimistic`.
    pub txn: Option<Node>,
    /// `repeatable read` or `read committed`.
    pub isolation: Option<Node>,
    /// Whether each read is `SELECT … FOR UPDATE`.
    pub for_update: Option<bool>,
    /// For what is random.
    pub seed: Option<u64>,
    /// Whether TiDB is asked for the timestamps of transactions.
    pub timestamps: bool,
    /// How often a transaction that failed for a conflict is tried again.
    pub retries: u32,
    /// How many keys, accounts or pairs.
    pub keys: Option<u32>,
    /// The largest number of operations of a transaction.
    pub ops: Option<u32>,
    /// How many of a hundred operations, or transactions, read.
    pub reads: Option<u32>,
    /// How keys are chosen.
    pub distribution: Distribution,
    /// After how many writes a key is replaced by a new one.
    pub writes_per_key: Option<u32>,
}

/// How keys are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Each as often as any other.
    #[default]
    Uniform,
    /// The first one most often, the second one half as often, and so on.
    Zipf,
    /// The first one in half of all cases, the others as often as each other.
    Hot,
}

/// What the transactions of a workload do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Appends to lists and reads them.
    ListAppend,
    /// Writes registers and reads them.
    RwRegister,
    /// One operation on one register: read, write, compare and set.
    Register,
    /// Moves money between accounts, and reads all of them.
    Bank,
    /// Turns off one of two, if both are on.
    WriteSkew,
    /// Inserts elements, and reads all of them.
    Set,
    /// Writes single registers, and reads groups of them.
    LongFork,
    /// Adds one to registers, and reads them.
    Monotonic,
    /// Writes registers one after the other, and reads them in the opposite order.
    Sequential,
}

impl WorkloadKind {
    /// Each with its name, and the options that only some kinds use.
    pub const ALL: [(Self, &'static str, &'static [&'static str]); 9] = [
        (
            Self::ListAppend,
            "list_append",
            &["keys", "ops", "reads", "distribution", "writes_per_key"],
        ),
        (
            Self::RwRegister,
            "rw_register",
            &["keys", "ops", "reads", "distribution"],
        ),
        (Self::Register, "register", &["keys", "reads", "distribution"]),
        (Self::Bank, "bank", &["keys", "reads", "distribution"]),
        (Self::WriteSkew, "write_skew", &["keys", "distribution"]),
        (Self::Set, "set", &["reads"]),
        (Self::LongFork, "long_fork", &["keys", "reads"]),
        (Self::Monotonic, "monotonic", &["keys", "reads", "distribution"]),
        (Self::Sequential, "sequential", &["keys", "reads"]),
    ];

    fn row(self) -> &'static (Self, &'static str, &'static [&'static str]) {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .expect("each kind has its row")
    }

    /// Its name in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The options that it uses, beside those that all use.
    #[must_use]
    pub fn uses(self) -> &'static [&'static str] {
        self.row().2
    }
}

/// The options that only some kinds use.
const OF_SOME: &[&str] = &["keys", "ops", "reads", "distribution", "writes_per_key"];

impl Reader<'_> {
    /// Reads `workload`, and refuses the keys of the file that have no meaning beside it.
    pub(super) fn workload(&mut self, file: &MapReader<'_>) -> Option<WorkloadDecl> {
        let entry = file.entry("workload")?;
        let has_none = [
            ("connections", "`connections` of the workload is their number"),
            ("steps", "its kind says what the connections do"),
            ("permutations", "its transactions run in no fixed order"),
            ("vars", "nothing in a workload uses variables"),
            ("seed", "write `seed` inside `workload`"),
        ];
        for (key, why) in has_none {
            if let Some(other) = file.entry(key) {
                let message = format!("`workload` and `{key}` exclude each other");
                let problem = Diagnostic::error(other.key.span, message);
                self.problems.push(
                    problem
                        .label(other.key.span, why)
                        .label(entry.key.span, "this file is a workload"),
                );
            }
        }
        self.workload_itself(entry)
    }

    fn workload_itself(&mut self, entry: &Entry) -> Option<WorkloadDecl> {
        let node = &entry.value;
        let map = MapReader::new(node, "`workload`", &keys::names(keys::WORKLOAD), self.problems)?;
        let kind = match map.get("kind") {
            Some(node) => self.workload_kind(node),
            None => {
                let problem = Diagnostic::error(entry.key.span, "`kind` of the workload is missing");
                let known = keys::WORKLOAD_KINDS.join(", ");
                self.problems
                    .push(problem.label(entry.key.span, format!("one of: {known}")));
                None
            }
        };
        if let Some(kind) = kind {
            for option in OF_SOME.iter().filter(|option| !kind.uses().contains(option)) {
                if let Some(unused) = map.entry(option) {
                    let message = format!("`{option}` has no effect on `{}`", kind.name());
                    let used = match kind.uses() {
                        [] => "it has no options of its own".to_owned(),
                        used => format!("its own options are: {}", used.join(", ")),
                    };
                    self.error(&unused.key, message, used);
                }
            }
        }
        if let (Some(one), Some(other)) = (map.entry("transactions"), map.entry("duration")) {
            let message = "`transactions` and `duration` exclude each other";
            self.exclude(one.key.span, other.key.span, message);
        }
        let most = |key: &str| match key {
            "connections" => (1, keys::WORKLOAD_CONNECTIONS_MAX),
            "keys" => (1, keys::WORKLOAD_KEYS_MAX),
            "ops" => (1, keys::WORKLOAD_OPS_MAX),
            "reads" => (0, 100),
            "retries" => (0, keys::TIMES_MAX),
            _ => (1, keys::TIMES_MAX),
        };
        let mut number = |key: &str| {
            let (least, most) = most(key);
            map.get(key)
                .and_then(|node| self.whole(node, &format!("`{key}`"), least, most))
        };
        let [
            connections,
            transactions,
            keys,
            ops,
            reads,
            writes_per_key,
            retries,
        ] = [
            "connections",
            "transactions",
            "keys",
            "ops",
            "reads",
            "writes_per_key",
            "retries",
        ]
        .map(&mut number);
        let duration = map.get("duration").and_then(|node| {
            let value = self.ok(read::limit(node))?;
            Some(Located {
                span: node.span,
                value,
            })
        });
        let for_update = map
            .get("read_lock")
            .and_then(|node| self.one_of(node, "read_lock", keys::READ_LOCKS))
            .map(|lock| lock == "for_update");
        let distribution = map
            .get("distribution")
            .and_then(|node| self.one_of(node, "distribution", keys::DISTRIBUTIONS));
        let timestamps = map
            .get("timestamps")
            .and_then(|node| self.ok(read::boolean(node)));
        let seed = map.get("seed").and_then(|node| self.seed(node));
        Some(WorkloadDecl {
            span: entry.key.span,
            // A mistake, told above; what else is wrong is told all the same.
            kind: kind.unwrap_or(WorkloadKind::ListAppend),
            connections,
            transactions,
            duration,
            txn: map.get("txn").cloned(),
            isolation: map.get("isolation").cloned(),
            for_update,
            seed,
            timestamps: timestamps.unwrap_or(true),
            retries: retries.unwrap_or(0),
            keys,
            ops,
            reads,
            distribution: match distribution {
                Some("zipf") => Distribution::Zipf,
                Some("hot") => Distribution::Hot,
                _ => Distribution::Uniform,
            },
            writes_per_key,
        })
    }

    fn workload_kind(&mut self, node: &Node) -> Option<WorkloadKind> {
        let name = self.words(node, "the kind of a workload")?.value;
        let found = WorkloadKind::ALL.iter().find(|(_, known, _)| *known == name);
        if found.is_none() {
            let known = keys::WORKLOAD_KINDS;
            let message = match nearest(&name, known.iter().copied()) {
                Some(near) => format!("unknown kind `{name}`; did you mean `{near}`?"),
                None => format!("there is no workload `{name}`"),
            };
            self.error(node, message, format!("one of: {}", known.join(", ")));
        }
        found.map(|(kind, ..)| *kind)
    }

    fn one_of(&mut self, node: &Node, key: &str, known: &[&'static str]) -> Option<&'static str> {
        let word = node.text().unwrap_or_default();
        let found = known.iter().find(|known| **known == word).copied();
        if found.is_none() {
            let message = match nearest(&word, known.iter().copied()) {
                Some(near) => format!("`{key}` cannot be `{word}`; did you mean `{near}`?"),
                None => format!("not a value for `{key}`"),
            };
            self.error(node, message, format!("one of: {}", known.join(", ")));
        }
        found
    }

    fn whole(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<u32> {
        match node.kind {
            NodeKind::Int(number) if (i128::from(least)..=i128::from(most)).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => {
                let label = match node.kind {
                    NodeKind::Int(number) if number < i128::from(least) => "this is too small".to_owned(),
                    NodeKind::Int(_) => "this is too large".to_owned(),
                    _ => format!("this is {}", node.describe()),
                };
                let message = format!("{what} must be a whole number from {least} to {most}");
                self.error(node, message, label);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_name_in_the_table_of_keys() {
        let names: Vec<&str> = WorkloadKind::ALL.iter().map(|(_, name, _)| *name).collect();
        assert_eq!(names, keys::WORKLOAD_KINDS);
        let known = keys::names(keys::WORKLOAD);
        for (kind, _, uses) in WorkloadKind::ALL {
            assert_eq!(kind.uses(), uses);
            assert!(
                uses.iter()
                    .all(|option| known.contains(option) && OF_SOME.contains(option))
            );
        }
    }
}
