//! Transactions as arrays: some 60 bytes each, and some 13 for each of their operations.

use super::value::{Names, Value};

/// What became of a transaction, as its client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It committed: COMMIT was acknowledged.
    Ok,
    /// It is known not to have committed.
    Failed,
    /// It may have committed or not, now or later: the connection was lost at COMMIT, or a limit passed.
    Unknown,
}

/// How TiDB runs a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionMode {
    /// `begin pessimistic`, the default.
    Pessimistic,
    /// `begin optimistic`.
    Optimistic,
}

/// The isolation level that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsolationSetting {
    /// REPEATABLE READ, the default.
    RepeatableRead,
    /// READ COMMITTED.
    ReadCommitted,
}

/// How a workload reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadLock {
    /// Plain SELECT.
    Plain,
    /// Every read is SELECT … FOR UPDATE.
    ForUpdate,
}

/// What is known of the whole history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// What was run, such as `list_append`.
    pub workload: Option<String>,
    /// The transactions' mode.
    pub mode: Option<TransactionMode>,
    /// The isolation level that was set.
    pub isolation: Option<IsolationSetting>,
    /// How reads were done.
    pub read_lock: Option<ReadLock>,
    /// The seed of the run.
    pub seed: Option<u64>,
    /// The command that repeats the run.
    pub repeat: Option<String>,
    /// The sum over all registers that each transaction which reads all of them must see: a bank.
    pub total: Option<i64>,
}

/// No such transaction, operation, version or time.
pub(super) const NONE: u32 = u32::MAX;
/// A transaction that isn't known to have returned.
pub(super) const NEVER: u64 = u64::MAX;

/// A column that takes no room until something stands in it.
#[derive(Debug, Clone)]
pub(super) struct Column<T> {
    values: Vec<T>,
    default: T,
}

impl<T: Copy + PartialEq> Column<T> {
    pub(super) fn new(default: T) -> Self {
        Self {
            values: Vec::new(),
            default,
        }
    }

    /// Sets the value of row `at`, which is beyond all that were set.
    pub(super) fn set(&mut self, at: usize, value: T) {
        if value != self.default {
            self.values.resize(at, self.default);
            self.values.push(value);
        }
    }

    pub(super) fn get(&self, at: u32) -> T {
        self.values.get(at as usize).copied().unwrap_or(self.default)
    }

    /// The value, unless it is the default.
    pub(super) fn given(&self, at: u32) -> Option<T> {
        Some(self.get(at)).filter(|value| *value != self.default)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Appends a value to a list.
    Append,
    /// Sets a register; null deletes the row.
    Write,
    /// Reads a list: a branch of its key and a length.
    ReadList,
    /// Reads a register.
    Read,
    /// Reads all rows of a range of keys.
    Range,
    /// Counts the rows of a range of keys.
    Count,
}

impl Kind {
    pub(super) fn is_write(self) -> bool {
        matches!(self, Self::Append | Self::Write)
    }
}

/// Whether a key holds a list or a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// Only nil was read of it.
    Open,
    List,
    Register,
}

/// One line of versions that reads of a list have shown: each of its reads saw the first so many of these.
///
/// A correct database has one branch for each key.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) key: u32,
    /// Whether committed transactions have read all of it.
    pub(super) proven: bool,
    pub(super) values: Vec<Value>,
}

/// A range of integer keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RangeRead {
    pub(super) from: i64,
    /// The first key behind it.
    pub(super) to: i64,
    /// Where its rows begin and end.
    pub(super) rows: (u32, u32),
    /// How many rows were counted, where only that was asked.
    pub(super) count: u64,
}

/// A history: what each transaction did and saw.
#[derive(Debug, Clone)]
pub struct History {
    pub(super) header: Header,
    pub(super) names: Names,

    pub(super) process: Vec<u32>,
    pub(super) invoke: Vec<u64>,
    pub(super) returned: Vec<u64>,
    pub(super) status: Vec<Status>,
    pub(super) first_operation: Vec<u32>,
    pub(super) start_ts: Column<u64>,
    pub(super) for_update_ts: Column<u64>,
    pub(super) commit_ts: Column<u64>,
    pub(super) place: Column<u32>,
    pub(super) line: Column<u32>,

    pub(super) kind: Vec<Kind>,
    pub(super) key: Vec<u32>,
    /// What was written or read; of a list's read, see [`ListRead`].
    pub(super) value: Vec<i64>,
    pub(super) read_ts: Column<u64>,
    pub(super) locking: Column<bool>,
    pub(super) operation_time: Column<(u64, u64)>,
    pub(super) operation_place: Column<u32>,

    pub(super) keys: Vec<Value>,
    pub(super) key_kind: Vec<KeyKind>,
    /// The branch of each list that is its version order, or `NONE`.
    pub(super) main_branch: Vec<u32>,
    pub(super) branches: Vec<Branch>,
    pub(super) ranges: Vec<RangeRead>,
    pub(super) rows: Vec<(u32, Value)>,
    pub(super) processes: Vec<Value>,
    pub(super) places: Vec<Box<str>>,
    /// Whether transactions have times.
    pub(super) timed: bool,
}

/// What a read of a list saw: so many values of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListRead {
    pub(super) branch: u32,
    pub(super) length: u32,
}

impl ListRead {
    pub(super) fn to_bits(self) -> i64 {
        (i64::from(self.branch) << 32) | i64::from(self.length)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the two halves"
    )]
    pub(super) fn from_bits(bits: i64) -> Self {
        Self {
            branch: (bits >> 32) as u32,
            length: bits as u32,
        }
    }
}

impl History {
    /// How many transactions there are.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.status.len()
    }

    /// How many operations they have.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.kind.len()
    }

    /// How many transactions ended this way.
    #[must_use]
    pub fn count(&self, status: Status) -> usize {
        self.status.iter().filter(|found| **found == status).count()
    }

    /// What is known of the whole.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether any transaction has a start_ts or a read has a timestamp of its own.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        !self.start_ts.is_empty() || !self.read_ts.is_empty() || !self.commit_ts.is_empty()
    }

    #[expect(clippy::cast_possible_truncation, reason = "the builder holds it below 2^30")]
    pub(super) fn count_u32(&self) -> u32 {
        self.status.len() as u32
    }

    pub(super) fn operations_of(&self, transaction: u32) -> std::ops::Range<u32> {
        let at = transaction as usize;
        self.first_operation[at]..self.first_operation[at + 1]
    }

    pub(super) fn kind_of(&self, operation: u32) -> Kind {
        self.kind[operation as usize]
    }

    pub(super) fn key_of(&self, operation: u32) -> u32 {
        self.key[operation as usize]
    }

    pub(super) fn value_of(&self, operation: u32) -> Value {
        Value::from_bits(self.value[operation as usize])
    }

    pub(super) fn list_read(&self, operation: u32) -> ListRead {
        ListRead::from_bits(self.value[operation as usize])
    }

    pub(super) fn range_of(&self, operation: u32) -> &RangeRead {
        &self.ranges[self.key_of(operation) as usize]
    }

    pub(super) fn rows_of(&self, range: &RangeRead) -> &[(u32, Value)] {
        &self.rows[range.rows.0 as usize..range.rows.1 as usize]
    }

    pub(super) fn is_list(&self, key: u32) -> bool {
        self.key_kind[key as usize] == KeyKind::List
    }

    /// Whether each statement has a snapshot of its own.
    pub(super) fn is_read_committed(&self) -> bool {
        self.header.isolation == Some(IsolationSetting::ReadCommitted)
            && self.header.mode != Some(TransactionMode::Optimistic)
    }

    /// The timestamp that an operation read at: its own, or the one that its transaction reads at.
    pub(super) fn read_timestamp(&self, transaction: u32, operation: u32) -> Option<u64> {
        if let Some(own) = self.read_ts.given(operation) {
            return Some(own);
        }
        let optimistic = self.header.mode == Some(TransactionMode::Optimistic);
        if optimistic {
            return self.start_ts.given(transaction);
        }
        if self.locking.get(operation) || self.kind_of(operation).is_write() {
            return self.for_update_ts.given(transaction);
        }
        if self.is_read_committed() {
            return None;
        }
        self.start_ts.given(transaction)
    }

    pub(super) fn key_name(&self, key: u32) -> String {
        self.names.show(self.keys[key as usize]).into_owned()
    }

    pub(super) fn process_name(&self, transaction: u32) -> String {
        let process = self.process[transaction as usize];
        self.names.show(self.processes[process as usize]).into_owned()
    }
}
