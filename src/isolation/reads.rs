//! Goes through each committed transaction's operations: which versions it saw from outside, and whether its reads
//! agree with each other, with its own writes, and with what may be read at all.

use super::anomaly::Anomaly;
use super::flaw::{Flaw, Flaws};
use super::history::{History, Kind, ListRead, NEVER, NONE, Status};
use super::value::IntegerMap;
use super::versions::{GARBAGE, INITIAL, Versions};

/// A version that a transaction saw of another one (or the initial one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) transaction: u32,
    pub(super) operation: u32,
    pub(super) key: u32,
    /// The write, `INITIAL`, or `GARBAGE`.
    pub(super) source: u32,
    /// How many versions of the key's order it has seen, or `NONE` where that is not known.
    pub(super) seen: u32,
    /// Whether it is the absence of a row in a range.
    pub(super) predicate: bool,
    /// Whether the same transaction writes the key later, having read it before.
    pub(super) writes_later: bool,
}

/// What is known of a key within a transaction.
#[derive(Debug, Clone, Copy)]
struct KeyState {
    transaction: u32,
    /// What was read of it from outside: a list's branch and length, or a register's source.
    base: Option<(u32, u32)>,
    base_operation: u32,
    /// Its own writes so far.
    writes: u32,
    last_write: u32,
}

const FRESH: KeyState = KeyState {
    transaction: NONE,
    base: None,
    base_operation: NONE,
    writes: 0,
    last_write: NONE,
};

/// The place of a register in `KeyState::base`.
const REGISTER: u32 = NONE;

/// Goes through the operations of transactions.
pub(super) struct Scan<'a> {
    history: &'a History,
    versions: &'a Versions,
    states: Vec<KeyState>,
    pub(super) flaws: Flaws,
    /// The first element of each branch that must not be read, or `NONE`.
    first_bad: Vec<u32>,
    /// For each branch beside a key's main one, its longest committed read.
    pub(super) strays: IntegerMap<u32, u32>,
    /// Writes of failed transactions that were seen by one who began after the failure was reported.
    pub(super) seen_later: Vec<u32>,
    reported: IntegerMap<u64, ()>,
    /// Hand on also what was seen before by the same transaction.
    pub(super) repeats: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(history: &'a History, versions: &'a Versions) -> Self {
        let mut scan = Self {
            history,
            versions,
            states: vec![FRESH; history.keys.len()],
            flaws: Flaws::default(),
            first_bad: Vec::new(),
            strays: IntegerMap::default(),
            seen_later: Vec::new(),
            reported: IntegerMap::default(),
            repeats: false,
        };
        let branches = u32::try_from(history.branches.len()).expect("fewer than 2^32");
        scan.first_bad = (0..branches).map(|branch| scan.first_bad_of(branch)).collect();
        scan
    }

    pub(super) fn transaction_of(&self, operation: u32) -> u32 {
        self.versions.transaction_of(operation)
    }

    fn is_failed(&self, write: u32) -> bool {
        self.history.status[self.versions.transaction_of(write) as usize] == Status::Failed
    }

    fn is_bad(&self, branch: u32, position: u32, write: u32) -> bool {
        if write == NONE || self.is_failed(write) {
            return true;
        }
        // A value that stands twice is known by the second place.
        let known = self.versions.position[write as usize];
        let key = self.history.branches[branch as usize].key;
        self.history.main_branch[key as usize] == branch && known != NONE && known < position
    }

    fn first_bad_of(&self, branch: u32) -> u32 {
        let order = self.versions.branch(branch);
        let bad = (0_u32..)
            .zip(order)
            .find(|(at, write)| self.is_bad(branch, *at, **write));
        bad.map_or(NONE, |(at, _)| at)
    }

    fn flaw(&mut self, anomaly: Anomaly, operation: u32, other: u32) {
        let transaction = self.versions.transaction_of(operation);
        self.flaws.add(Flaw {
            anomaly,
            transaction,
            operation,
            other,
        });
    }

    fn state(&mut self, transaction: u32, key: u32) -> &mut KeyState {
        let state = &mut self.states[key as usize];
        if state.transaction != transaction {
            *state = KeyState { transaction, ..FRESH };
        }
        state
    }

    /// Goes through a transaction, and hands on what it saw from outside.
    pub(super) fn transaction(&mut self, transaction: u32, sink: &mut impl FnMut(Observation)) {
        for operation in self.history.operations_of(transaction) {
            let key = self.history.key_of(operation);
            match self.history.kind_of(operation) {
                Kind::Append | Kind::Write => self.write(transaction, operation, key, sink),
                Kind::ReadList => self.list(transaction, operation, key, sink),
                Kind::Read => {
                    let source = self.versions.source[operation as usize];
                    self.register(transaction, operation, key, source, false, sink);
                }
                Kind::Range => self.range(transaction, operation, sink),
                // A count tells nothing of single rows; the timestamp check judges it.
                Kind::Count => {}
            }
        }
    }

    fn write(&mut self, transaction: u32, operation: u32, key: u32, sink: &mut impl FnMut(Observation)) {
        let state = self.state(transaction, key);
        state.writes += 1;
        state.last_write = operation;
        let KeyState {
            base,
            base_operation,
            writes,
            ..
        } = *state;
        let Some((branch, length)) = base else { return };
        if branch != REGISTER {
            let position = self.versions.position[operation as usize];
            if position < length && self.history.main_branch[key as usize] == branch {
                self.flaw(Anomaly::FutureRead, base_operation, operation);
            }
        }
        if writes == 1 {
            // The same observation once more, now known as the one that was replaced.
            let (source, seen) = self.base_version(key, branch, length);
            sink(Observation {
                transaction,
                operation: base_operation,
                key,
                source,
                seen,
                predicate: false,
                writes_later: true,
            });
        }
    }

    /// The version that a base stands for, and how many versions it has seen.
    fn base_version(&self, key: u32, branch: u32, length: u32) -> (u32, u32) {
        if branch == REGISTER {
            let seen = if self.versions.is_total(key) {
                self.seen_of_register(length)
            } else {
                NONE
            };
            return (length, seen);
        }
        let source = self.versions.list_source(ListRead { branch, length });
        let main = self.history.main_branch[key as usize] == branch;
        (source, if main { length } else { NONE })
    }

    fn seen_of_register(&self, source: u32) -> u32 {
        if source >= GARBAGE {
            return self.versions.seen(source);
        }
        // Whoever saw a version that its writer replaced has seen none of those behind that writer's last one.
        self.versions
            .seen(self.versions.last_of_transaction(self.history, source))
    }

    fn list(&mut self, transaction: u32, operation: u32, key: u32, sink: &mut impl FnMut(Observation)) {
        let read = self.history.list_read(operation);
        self.note_bad_elements(operation, read);
        let state = *self.state(transaction, key);
        let order = &self.versions.branch(read.branch)[..read.length as usize];
        let own = state.writes as usize;
        let is_own = |write: u32| write != NONE && self.versions.transaction_of(write) == transaction;
        let mut outside = read.length;
        if own > 0 {
            // Its own values must be the last ones, in their order.
            let mut writes = self.history.operations_of(transaction).start..operation;
            let mut at = order.len();
            let mut matched = 0;
            while let Some(write) = writes.next_back() {
                if self.history.kind_of(write) != Kind::Append || self.history.key_of(write) != key {
                    continue;
                }
                if at == 0 || order[at - 1] != write {
                    break;
                }
                at -= 1;
                matched += 1;
            }
            if matched < own {
                let missed = !order.contains(&state.last_write);
                let anomaly = if missed {
                    Anomaly::OwnWriteMissed
                } else {
                    Anomaly::Internal
                };
                self.flaw(anomaly, operation, state.last_write);
                if missed {
                    self.flaw(Anomaly::Internal, operation, state.last_write);
                }
            }
            outside -= u32::try_from(matched).expect("fewer than 2^32");
        }
        let source = self.versions.list_source(ListRead {
            length: outside,
            ..read
        });
        if source < GARBAGE && is_own(source) {
            if source > operation {
                self.flaw(Anomaly::FutureRead, operation, source);
            }
            return;
        }
        // What only transactions saw whose outcome is unknown has no place in any order.
        if self.history.branches[read.branch as usize].proven {
            self.outside(transaction, operation, key, (read.branch, outside), sink);
        }
    }

    /// A version from outside: it must be the one that was seen before; if it is new, it is handed on.
    fn outside(
        &mut self,
        transaction: u32,
        operation: u32,
        key: u32,
        base: (u32, u32),
        sink: &mut impl FnMut(Observation),
    ) {
        let repeats = self.repeats;
        let state = self.state(transaction, key);
        let before = state.base.map(|known| (known, state.base_operation));
        let is_new = before.is_none_or(|(known, _)| known != base);
        if !is_new && !repeats {
            return;
        }
        if is_new {
            state.base = Some(base);
            state.base_operation = operation;
        }
        let (source, seen) = self.base_version(key, base.0, base.1);
        if let Some((_, before)) = before.filter(|_| is_new) {
            self.flaw(Anomaly::Internal, operation, before);
        }
        if is_new && source < GARBAGE && self.versions.intermediate[source as usize] {
            self.flaw(Anomaly::IntermediateRead, operation, source);
        }
        sink(Observation {
            transaction,
            operation,
            key,
            source,
            seen,
            predicate: false,
            writes_later: false,
        });
    }

    fn register(
        &mut self,
        transaction: u32,
        operation: u32,
        key: u32,
        source: u32,
        predicate: bool,
        sink: &mut impl FnMut(Observation),
    ) {
        let state = *self.state(transaction, key);
        if state.writes > 0 {
            let own = state.last_write;
            let absent = self.history.value_of(own).is_null() && (source == INITIAL || source == NONE);
            if source == own || absent {
                return;
            }
            self.flaw(Anomaly::OwnWriteMissed, operation, own);
            self.flaw(Anomaly::Internal, operation, own);
        }
        match source {
            NONE => return,
            GARBAGE => {
                self.flaw(Anomaly::GarbageRead, operation, NONE);
                return;
            }
            INITIAL => {}
            write if self.versions.transaction_of(write) == transaction => {
                if write > operation {
                    self.flaw(Anomaly::FutureRead, operation, write);
                }
                return;
            }
            write if self.is_failed(write) => {
                self.flaw(Anomaly::AbortedRead, operation, write);
                self.note_seen_later(operation, write);
                return;
            }
            _ => {}
        }
        if predicate {
            let seen = if self.versions.is_total(key) {
                self.seen_of_register(source)
            } else {
                NONE
            };
            sink(Observation {
                transaction,
                operation,
                key,
                source,
                seen,
                predicate,
                writes_later: false,
            });
        } else {
            self.outside(transaction, operation, key, (REGISTER, source), sink);
        }
    }

    fn range(&mut self, transaction: u32, operation: u32, sink: &mut impl FnMut(Observation)) {
        let range = *self.history.range_of(operation);
        let ts = self.history.read_timestamp(transaction, operation);
        let history = self.history;
        let rows = history.rows_of(&range);
        for (at, (key, _)) in (range.rows.0..).zip(rows) {
            let source = self.versions.row_source[at as usize];
            self.register(transaction, operation, *key, source, false, sink);
        }
        for key in self.versions.keys_within(range.from, range.to) {
            if rows.binary_search_by_key(key, |(key, _)| *key).is_ok() {
                continue;
            }
            let source = self.versions.absent(history, *key, ts);
            self.register(transaction, operation, *key, source, true, sink);
        }
    }

    /// Elements that nobody wrote, that a failed transaction wrote, or that stand twice.
    fn note_bad_elements(&mut self, operation: u32, read: ListRead) {
        let key = self.history.key_of(operation);
        let proven = self.history.branches[read.branch as usize].proven;
        if proven && self.history.main_branch[key as usize] != read.branch {
            let longest = self.strays.entry(read.branch).or_insert(operation);
            if self.history.list_read(*longest).length < read.length {
                *longest = operation;
            }
        }
        let first = self.first_bad[read.branch as usize];
        if first >= read.length {
            return;
        }
        let versions = self.versions;
        for position in first..read.length {
            let write = versions.branch(read.branch)[position as usize];
            if !self.is_bad(read.branch, position, write) {
                continue;
            }
            let failed = write != NONE && self.is_failed(write);
            if failed {
                self.note_seen_later(operation, write);
            }
            // Each element is told once, by its first reader.
            let element = (u64::from(read.branch) << 32) | u64::from(position);
            if self.reported.insert(element, ()).is_some() {
                continue;
            }
            let anomaly = match write {
                NONE => Anomaly::GarbageRead,
                _ if failed => Anomaly::AbortedRead,
                _ => Anomaly::Duplicate,
            };
            self.flaw(anomaly, operation, write);
        }
    }

    fn note_seen_later(&mut self, operation: u32, write: u32) {
        let reader = self.versions.transaction_of(operation) as usize;
        let writer = self.versions.transaction_of(write) as usize;
        let returned = self.history.returned[writer];
        let later = self.history.timed && returned != NEVER && returned < self.history.invoke[reader];
        if later && self.seen_later.last() != Some(&write) && self.seen_later.len() < 100_000 {
            self.seen_later.push(write);
        }
    }
}
