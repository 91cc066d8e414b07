//! Who wrote what was read, which transactions committed, and in which order the versions of a key came.
//!
//! The order of a list is what the longest committed read of it shows. The order of a register is known where each of
//! its committed writes has a commit_ts; otherwise only in part (see [`Versions::is_total`]).

use super::builder::Unusable;
use super::history::{History, KeyKind, Kind, ListRead, NONE, Status};
use super::lists::Lists;
use super::value::{Value, ValueIndex};

/// The version of a key before any write.
pub(super) const INITIAL: u32 = NONE - 1;
/// A version that nobody wrote.
pub(super) const GARBAGE: u32 = NONE - 2;

/// What [`History`] says, with each read traced to its write.
#[derive(Debug)]
pub(super) struct Versions {
    /// The transaction of each operation.
    pub(super) transaction: Vec<u32>,
    /// Whether each transaction is known to have committed: acknowledged, or proven by a read of its writes.
    pub(super) committed: Vec<bool>,
    /// The writes of each key.
    pub(super) writes: Lists,
    /// The write of each value of each branch, or `NONE`.
    order: Lists,
    /// The versions of each register with a total order; of others nothing.
    pub(super) register_order: Lists,
    /// Where a write stands in its key's order, or `NONE`.
    pub(super) position: Vec<u32>,
    /// Of each read of a register: its write, `INITIAL`, `GARBAGE`, or `NONE` where that is not decided.
    pub(super) source: Vec<u32>,
    /// The same of each row of a range.
    pub(super) row_source: Vec<u32>,
    /// Whether a write is followed by another one of the same transaction and key.
    pub(super) intermediate: Vec<bool>,
    total: Vec<bool>,
    /// Keys whose rows are deleted, so that null may be one of several versions.
    pub(super) deleted: Vec<bool>,
    /// The registers with integer keys, by key, where ranges are read.
    integer_keys: (Vec<i64>, Vec<u32>),
    /// Reads whose version could not be told.
    pub(super) untraced: usize,
    /// Registers with at least two writes whose order is known in part only.
    pub(super) partial: usize,
}

impl Versions {
    /// Traces each read.
    ///
    /// # Errors
    /// A value that was written twice, so that a read of it doesn't tell by whom.
    pub(super) fn new(history: &History) -> Result<Self, Unusable> {
        let mut transaction = vec![0; history.operations()];
        for at in 0..history.count_u32() {
            let range = history.operations_of(at);
            transaction[range.start as usize..range.end as usize].fill(at);
        }
        let operations = u32::try_from(history.operations()).expect("fewer than 2^32 operations");
        let writes = (0..operations)
            .filter(|at| history.kind_of(*at).is_write())
            .map(|at| (history.key_of(at), at));
        let writes = Lists::group(history.keys.len(), writes);
        let mut versions = Self {
            committed: history
                .status
                .iter()
                .map(|status| *status == Status::Ok)
                .collect(),
            position: vec![NONE; history.operations()],
            source: Vec::new(),
            row_source: Vec::new(),
            intermediate: intermediate(history, &writes, &transaction),
            total: vec![false; history.keys.len()],
            deleted: vec![false; history.keys.len()],
            order: Lists::default(),
            register_order: Lists::with_lengths(std::iter::empty(), NONE),
            transaction,
            writes,
            integer_keys: integer_keys(history),
            untraced: 0,
            partial: 0,
        };
        versions.trace(history)?;
        versions.prove(history);
        versions.order_registers(history);
        versions.trace_repeated(history)?;
        Ok(versions)
    }

    /// The writes in the order that reads of this branch show; `NONE` stands for a value that nobody wrote.
    pub(super) fn branch(&self, branch: u32) -> &[u32] {
        self.order.of(branch)
    }

    /// The known order of a key's versions: all of them, or the first ones, which are those that were ever read.
    pub(super) fn order<'a>(&'a self, history: &History, key: u32) -> &'a [u32] {
        if !history.is_list(key) {
            return self.register_order.of(key);
        }
        let branch = history.main_branch[key as usize];
        if history.branches[branch as usize].proven {
            self.order.of(branch)
        } else {
            &[]
        }
    }

    /// Whether [`Self::order`] has every committed version of the key that was ever read, in its place.
    pub(super) fn is_total(&self, key: u32) -> bool {
        self.total[key as usize]
    }

    pub(super) fn is_committed(&self, transaction: u32) -> bool {
        self.committed[transaction as usize]
    }

    pub(super) fn transaction_of(&self, operation: u32) -> u32 {
        self.transaction[operation as usize]
    }

    /// Whether this is a write of a committed transaction.
    pub(super) fn is_committed_write(&self, operation: u32) -> bool {
        operation < GARBAGE && self.is_committed(self.transaction_of(operation))
    }

    /// The first committed version at or behind a position.
    pub(super) fn next(&self, history: &History, key: u32, position: u32) -> Option<u32> {
        let order = self.order(history, key);
        let rest = order.get(position as usize..)?;
        rest.iter().copied().find(|write| self.is_committed_write(*write))
    }

    /// How many versions of a key a read of this write (or of the initial version) has seen, by a total order.
    pub(super) fn seen(&self, source: u32) -> u32 {
        match source {
            INITIAL => 0,
            GARBAGE | NONE => NONE,
            write => self.position[write as usize].saturating_add(1),
        }
    }

    /// The last write of a transaction to the key of this one.
    pub(super) fn last_of_transaction(&self, history: &History, write: u32) -> u32 {
        if !self.intermediate[write as usize] {
            return write;
        }
        let range = history.operations_of(self.transaction_of(write));
        let same = |at: &u32| history.kind_of(*at).is_write() && history.key_of(*at) == history.key_of(write);
        (write..range.end).rev().find(same).unwrap_or(write)
    }

    /// The registers that are known whose keys lie in a range.
    pub(super) fn keys_within(&self, from: i64, to: i64) -> &[u32] {
        let (integers, keys) = &self.integer_keys;
        let first = integers.partition_point(|key| *key < from);
        let last = integers.partition_point(|key| *key < to);
        &keys[first..last.max(first)]
    }

    /// Committed writes that have no place in the key's order, each transaction's last one only.
    pub(super) fn unordered(&self, key: u32) -> impl Iterator<Item = u32> + '_ {
        let writes = self.writes.of(key).iter().copied();
        writes.filter(|write| {
            let at = *write as usize;
            self.position[at] == NONE && !self.intermediate[at] && self.is_committed_write(*write)
        })
    }

    fn trace(&mut self, history: &History) -> Result<(), Unusable> {
        let branches_of = (0_u32..)
            .zip(&history.branches)
            .map(|(at, branch)| (branch.key, at));
        let branches_of = Lists::group(history.keys.len(), branches_of);
        let lengths = history.branches.iter().map(|branch| branch.values.len());
        self.order = Lists::with_lengths(lengths, NONE);
        let has_registers =
            history.key_kind.iter().any(|kind| *kind != KeyKind::List) || !history.ranges.is_empty();
        let mut index = ValueIndex::default();
        for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
            if !history.is_list(key) {
                continue;
            }
            index.start(self.writes.of(key).len());
            for write in self.writes.of(key) {
                if let Some(first) = index.insert(history.value_of(*write), *write) {
                    return Err(self.written_twice(history, first, *write));
                }
            }
            for branch in branches_of.of(key) {
                let is_main = history.main_branch[key as usize] == *branch;
                let known = &history.branches[*branch as usize];
                let order = self.order.range(*branch);
                for ((position, value), at) in (0_u32..).zip(&known.values).zip(order) {
                    let Some(write) = index.get(*value) else { continue };
                    self.order.items[at] = write;
                    if is_main && known.proven && self.position[write as usize] == NONE {
                        self.position[write as usize] = position;
                    }
                }
            }
            self.total[key as usize] = true;
        }
        if has_registers {
            self.trace_registers(history, &mut index);
        }
        Ok(())
    }

    fn trace_registers(&mut self, history: &History, index: &mut ValueIndex) {
        self.source = vec![NONE; history.operations()];
        self.row_source = vec![NONE; history.rows.len()];
        // By key: reads, then rows.
        let keys = history.keys.len();
        let operations = u32::try_from(history.operations()).expect("fewer than 2^32");
        let reads = (0..operations)
            .filter(|at| history.kind_of(*at) == Kind::Read)
            .map(|at| (history.key_of(at), at));
        let reads = Lists::group(keys, reads);
        let rows = (0_u32..).zip(&history.rows).map(|(at, (key, _))| (*key, at));
        let rows = Lists::group(keys, rows);
        for key in 0..u32::try_from(keys).expect("fewer than 2^32 keys") {
            if history.is_list(key) {
                continue;
            }
            let mut repeated: Vec<Value> = Vec::new();
            index.start(self.writes.of(key).len());
            for write in self.writes.of(key) {
                let value = history.value_of(*write);
                if value.is_null() {
                    self.deleted[key as usize] = true;
                } else if index.insert(value, *write).is_some() {
                    repeated.push(value);
                }
            }
            repeated.sort_unstable();
            let deleted = self.deleted[key as usize];
            let source = |value: Value| match index.get(value) {
                _ if value.is_null() => {
                    if deleted {
                        NONE
                    } else {
                        INITIAL
                    }
                }
                Some(_) if repeated.binary_search(&value).is_ok() => NONE,
                Some(write) => write,
                None => GARBAGE,
            };
            for read in reads.of(key) {
                self.source[*read as usize] = source(history.value_of(*read));
            }
            for row in rows.of(key) {
                self.row_source[*row as usize] = source(history.rows[*row as usize].1);
            }
        }
    }

    pub(super) fn written_twice(&self, history: &History, first: u32, second: u32) -> Unusable {
        let lines = [first, second].map(|write| history.line.get(self.transaction_of(write)));
        let value = history.names.show(history.value_of(second)).into_owned();
        let key = history.key_name(history.key_of(second));
        let first = if lines[0] == 0 {
            String::new()
        } else {
            format!(" (first in line {})", lines[0])
        };
        Unusable {
            message: format!(
                "value {value} is written to key {key} twice{first}, so a read of it doesn't tell by whom; write each \
                 value of a key once, also when a transaction is tried again{}",
                if history.is_list(history.key_of(second)) {
                    ""
                } else {
                    ", or give commit_ts and read timestamps"
                }
            ),
            line: Some(lines[1]).filter(|line| *line > 0),
        }
    }

    /// A transaction with an unknown outcome has committed if a committed one has read of it.
    fn prove(&mut self, history: &History) {
        if !history.status.contains(&Status::Unknown) {
            return;
        }
        let mut found: Vec<u32> = Vec::new();
        for (at, branch) in (0_u32..).zip(&history.branches) {
            if branch.proven {
                found.extend(self.order.of(at));
            }
        }
        for transaction in (0..history.count_u32()).filter(|at| history.status[*at as usize] == Status::Ok) {
            self.sources_of(history, transaction, &mut found);
        }
        while let Some(write) = found.pop() {
            if write >= GARBAGE {
                continue;
            }
            let transaction = self.transaction_of(write);
            if history.status[transaction as usize] == Status::Unknown && !self.is_committed(transaction) {
                self.committed[transaction as usize] = true;
                self.sources_of(history, transaction, &mut found);
            }
        }
    }

    fn sources_of(&self, history: &History, transaction: u32, found: &mut Vec<u32>) {
        for operation in history.operations_of(transaction) {
            match history.kind_of(operation) {
                Kind::Read => found.push(self.source[operation as usize]),
                Kind::Range => {
                    let (from, to) = history.range_of(operation).rows;
                    found.extend(&self.row_source[from as usize..to as usize]);
                }
                // All that committed transactions have read of lists is found already.
                Kind::Append | Kind::Write | Kind::ReadList | Kind::Count => {}
            }
        }
    }

    fn order_registers(&mut self, history: &History) {
        let keys = u32::try_from(history.keys.len()).expect("fewer than 2^32 keys");
        let mut order: Vec<u32> = Vec::new();
        for key in 0..keys {
            order.clear();
            if !history.is_list(key) {
                order.extend(self.unordered(key));
                let ts = |write: &u32| history.commit_ts.get(self.transaction_of(*write));
                let total = order.iter().all(|write| ts(write) != 0) || order.len() < 2;
                if total {
                    order.sort_by_key(ts);
                    for (position, write) in (0..).zip(&order) {
                        self.position[*write as usize] = position;
                    }
                } else {
                    order.clear();
                    self.partial += 1;
                }
                self.total[key as usize] = total;
            }
            self.register_order.push_all(order.iter().copied());
        }
    }

    /// What a read of a list saw last: a write, `INITIAL` or `GARBAGE`.
    pub(super) fn list_source(&self, read: ListRead) -> u32 {
        match (read.length as usize).checked_sub(1) {
            None => INITIAL,
            Some(last) => match self.order.of(read.branch)[last] {
                NONE => GARBAGE,
                write => write,
            },
        }
    }
}

/// Which writes are followed by another one of the same transaction to the same key.
fn intermediate(history: &History, writes: &Lists, transaction: &[u32]) -> Vec<bool> {
    let mut found = vec![false; history.operations()];
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        for pair in writes.of(key).windows(2) {
            if transaction[pair[0] as usize] == transaction[pair[1] as usize] {
                found[pair[0] as usize] = true;
            }
        }
    }
    found
}

fn integer_keys(history: &History) -> (Vec<i64>, Vec<u32>) {
    if history.ranges.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let registers = (0_u32..)
        .zip(&history.keys)
        .filter(|(at, _)| !history.is_list(*at));
    let mut keys: Vec<(i64, u32)> = registers
        .filter_map(|(at, key)| Some((key.as_integer()?, at)))
        .collect();
    keys.sort_unstable();
    keys.into_iter().unzip()
}
