//! Builds a [`History`] from transactions, one after the other, as a recorder or a reader has them.

use super::branches;
use super::history::{
    Branch, Column, Header, History, KeyKind, Kind, ListRead, NEVER, NONE, RangeRead, Status,
};
use super::transaction::{Action, Operation, Transaction, index};
use super::value::{IntegerMap, Names, Value};

/// At most so many transactions: three bits of an index are needed for other things.
const TRANSACTIONS_MAX: usize = 1 << 28;
/// So many lines of versions of one key are compared with each read; more are only seen where a list is badly broken.
const BRANCHES_COMPARED: usize = 16;

/// Why a history cannot be judged: it contradicts itself, or says too little.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unusable {
    /// What is wrong, and what to do.
    pub message: String,
    /// The line of the file, where it was read from one.
    pub line: Option<u32>,
}

/// Takes transactions in any order and makes a history of them.
#[derive(Debug)]
pub struct HistoryBuilder {
    history: History,
    known_keys: IntegerMap<i64, u32>,
    known_processes: IntegerMap<i64, u32>,
    known_places: IntegerMap<i64, u32>,
    /// The branches of a key beyond its first.
    more_branches: IntegerMap<u32, Vec<u32>>,
    first_branch: Vec<u32>,
}

impl Default for HistoryBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl HistoryBuilder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self {
            history: History {
                header: Header::default(),
                names: Names::default(),
                process: Vec::new(),
                invoke: Vec::new(),
                returned: Vec::new(),
                status: Vec::new(),
                first_operation: vec![0],
                start_ts: Column::new(0),
                for_update_ts: Column::new(0),
                commit_ts: Column::new(0),
                place: Column::new(NONE),
                line: Column::new(0),
                kind: Vec::new(),
                key: Vec::new(),
                value: Vec::new(),
                read_ts: Column::new(0),
                locking: Column::new(false),
                operation_time: Column::new((NEVER, NEVER)),
                operation_place: Column::new(NONE),
                keys: Vec::new(),
                key_kind: Vec::new(),
                main_branch: Vec::new(),
                branches: Vec::new(),
                ranges: Vec::new(),
                rows: Vec::new(),
                processes: Vec::new(),
                places: Vec::new(),
                timed: false,
            },
            known_keys: IntegerMap::default(),
            known_processes: IntegerMap::default(),
            known_places: IntegerMap::default(),
            more_branches: IntegerMap::default(),
            first_branch: Vec::new(),
        }
    }

    /// What is known of the whole history.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.history.header
    }

    /// The texts that keys, values, processes and places may be.
    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.history.names
    }

    /// Adds a transaction.
    ///
    /// # Errors
    /// A key that is a list here and a register elsewhere, times of some transactions only, timestamps of zero, or
    /// too many transactions.
    pub fn add(&mut self, transaction: &Transaction) -> Result<(), Unusable> {
        self.add_what_is_true(transaction).map_err(|message| Unusable {
            message,
            line: transaction.line,
        })
    }

    fn add_what_is_true(&mut self, transaction: &Transaction) -> Result<(), String> {
        let at = self.history.status.len();
        if at >= TRANSACTIONS_MAX {
            return Err(format!("more than {TRANSACTIONS_MAX} transactions"));
        }
        self.note_times(transaction)?;
        for (ts, name) in [
            (transaction.start_ts, "start_ts"),
            (transaction.for_update_ts, "for_update_ts"),
            (transaction.commit_ts, "commit_ts"),
        ] {
            if ts == Some(0) {
                return Err(format!("{name} is 0; leave out what is not known"));
            }
        }
        let process = intern(
            &mut self.known_processes,
            &mut self.history.processes,
            transaction.process,
        );
        let place = transaction.place.map_or(NONE, |place| self.place(place));
        for operation in transaction.operations() {
            self.operation(transaction, operation)?;
        }
        let history = &mut self.history;
        history.process.push(process);
        history.invoke.push(transaction.invoke.unwrap_or(0));
        let known = transaction
            .returned
            .filter(|_| transaction.status != Status::Unknown);
        history.returned.push(known.unwrap_or(NEVER));
        history.status.push(transaction.status);
        history.first_operation.push(index(history.kind.len()));
        history.start_ts.set(at, transaction.start_ts.unwrap_or(0));
        history
            .for_update_ts
            .set(at, transaction.for_update_ts.unwrap_or(0));
        history.commit_ts.set(at, transaction.commit_ts.unwrap_or(0));
        history.place.set(at, place);
        history.line.set(at, transaction.line.unwrap_or(0));
        Ok(())
    }

    fn note_times(&mut self, transaction: &Transaction) -> Result<(), String> {
        let timed = transaction.invoke.is_some();
        if self.history.status.is_empty() {
            self.history.timed = timed;
        }
        if timed != self.history.timed {
            return Err(
                "`invoke` is given for some transactions only; give it for all or for none".to_owned(),
            );
        }
        if timed && transaction.returned.is_none() && transaction.status != Status::Unknown {
            return Err(
                "`return` is missing; only a transaction with an unknown outcome has none".to_owned(),
            );
        }
        match (transaction.invoke, transaction.returned) {
            (Some(invoke), Some(returned)) if returned < invoke => Err(format!(
                "`return` ({returned}) is before `invoke` ({invoke}); both are ns of one monotonic clock"
            )),
            (None, Some(_)) => Err("`return` is given without `invoke`".to_owned()),
            _ => Ok(()),
        }
    }

    fn place(&mut self, place: Value) -> u32 {
        let places = &mut self.history.places;
        let names = &self.history.names;
        *self.known_places.entry(place.bits()).or_insert_with(|| {
            places.push(names.show(place).into());
            index(places.len() - 1)
        })
    }

    fn key(&mut self, key: Value) -> u32 {
        let at = intern(&mut self.known_keys, &mut self.history.keys, key);
        if at as usize == self.history.key_kind.len() {
            self.history.key_kind.push(KeyKind::Open);
            self.first_branch.push(NONE);
        }
        at
    }

    fn key_as(&mut self, key: Value, kind: KeyKind) -> Result<u32, String> {
        let at = self.key(key);
        let found = &mut self.history.key_kind[at as usize];
        if *found == KeyKind::Open {
            *found = kind;
        }
        if *found == kind {
            return Ok(at);
        }
        let key = self.history.names.show(key);
        Err(format!(
            "key {key} is a list in one place and a register in another; use another key"
        ))
    }

    fn operation(&mut self, transaction: &Transaction, operation: &Operation) -> Result<(), String> {
        let (kind, key, value) = match operation.action {
            Action::Append(key, value) => (Kind::Append, self.key_as(key, KeyKind::List)?, value.bits()),
            Action::Write(key, value) => (Kind::Write, self.key_as(key, KeyKind::Register)?, value.bits()),
            Action::Read(key, Value::NULL) => (Kind::Read, self.key(key), Value::NULL.bits()),
            Action::Read(key, value) => (Kind::Read, self.key_as(key, KeyKind::Register)?, value.bits()),
            Action::ReadList(key, at) => {
                let key = self.key_as(key, KeyKind::List)?;
                let read = self.list(key, transaction.values(at), transaction.status == Status::Ok);
                (Kind::ReadList, key, read.to_bits())
            }
            Action::Range(from, to, at) => {
                let first = index(self.history.rows.len());
                for (key, value) in transaction.rows(at) {
                    let inside = key.as_integer().is_some_and(|key| (from..to).contains(&key));
                    let shown = self.history.names.show(*key).into_owned();
                    if !inside {
                        return Err(format!("row {shown} is outside of its range {from} to {to}"));
                    }
                    let key = self.key_as(*key, KeyKind::Register)?;
                    self.history.rows.push((key, *value));
                }
                let rows = (first, index(self.history.rows.len()));
                let seen = &mut self.history.rows[first as usize..];
                seen.sort_unstable();
                if seen.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                    return Err(format!("the range {from} to {to} has a row twice"));
                }
                (Kind::Range, self.range(from, to, rows, 0), 0)
            }
            Action::Count(from, to, count) => (Kind::Count, self.range(from, to, (0, 0), count), 0),
        };
        let history = &mut self.history;
        let at = history.kind.len();
        history.kind.push(kind);
        history.key.push(key);
        history.value.push(value);
        history.read_ts.set(at, operation.read_ts.unwrap_or(0));
        history.locking.set(at, operation.locking);
        history
            .operation_time
            .set(at, operation.time.unwrap_or((NEVER, NEVER)));
        if let Some(place) = operation.place {
            let place = self.place(place);
            self.history.operation_place.set(at, place);
        }
        Ok(())
    }

    fn range(&mut self, from: i64, to: i64, rows: (u32, u32), count: u64) -> u32 {
        self.history.ranges.push(RangeRead {
            from,
            to,
            rows,
            count,
        });
        index(self.history.ranges.len() - 1)
    }

    /// Finds the branch that a read list lies on, and makes the branch longer where the read saw more.
    fn list(&mut self, key: u32, values: &[Value], proven: bool) -> ListRead {
        let length = index(values.len());
        let first = self.first_branch[key as usize];
        if first == NONE {
            let branch = self.branch(key, values, proven);
            self.first_branch[key as usize] = branch;
            return ListRead { branch, length };
        }
        if self.history.branches[first as usize].take(values, proven) {
            return ListRead {
                branch: first,
                length,
            };
        }
        let others = self.more_branches.get(&key).map_or(&[][..], Vec::as_slice);
        for branch in others.iter().take(BRANCHES_COMPARED).copied() {
            if self.history.branches[branch as usize].take(values, proven) {
                return ListRead { branch, length };
            }
        }
        let branch = self.branch(key, values, proven);
        self.more_branches.entry(key).or_default().push(branch);
        ListRead { branch, length }
    }

    fn branch(&mut self, key: u32, values: &[Value], proven: bool) -> u32 {
        self.history.branches.push(Branch {
            key,
            proven,
            values: values.to_vec(),
        });
        index(self.history.branches.len() - 1)
    }

    /// The history.
    #[must_use]
    pub fn finish(mut self) -> History {
        for key in 0..self.history.keys.len() {
            if self.history.key_kind[key] == KeyKind::List && self.first_branch[key] == NONE {
                self.first_branch[key] = self.branch(index(key), &[], true);
            }
        }
        self.history.main_branch = std::mem::take(&mut self.first_branch);
        branches::choose_main(&mut self.history, &self.more_branches);
        let history = &mut self.history;
        for operation in 0..history.kind.len() {
            let key = history.key[operation] as usize;
            if history.kind[operation] == Kind::Read && history.key_kind[key] == KeyKind::List {
                let branch = history.main_branch[key];
                history.kind[operation] = Kind::ReadList;
                history.value[operation] = ListRead { branch, length: 0 }.to_bits();
            }
        }
        self.history
    }
}

fn intern(known: &mut IntegerMap<i64, u32>, all: &mut Vec<Value>, value: Value) -> u32 {
    *known.entry(value.bits()).or_insert_with(|| {
        all.push(value);
        index(all.len() - 1)
    })
}
