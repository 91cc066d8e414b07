//! The timestamp check: each read must be the newest version at its timestamp, and the transaction's own writes.
//!
//! It needs commit_ts of the writes and the timestamp of the read, and is exact in every mode: where a transaction
//! reads at several timestamps (plain reads at start_ts, locking reads and DML at for_update_ts), each read is judged by
//! its own. Reads of transactions that failed are judged, too: they read from a snapshot as all others do.

use super::commit_times::{ListTimes, commit_of, list_times, registers, uncertain};
use super::history::{History, Kind, NEVER, NONE};
use super::value::IntegerMap;
use super::versions::{INITIAL, Versions};

/// What is wrong with a timestamp or a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A version that was committed at or before the read's timestamp was not seen.
    Missed,
    /// A version that was committed after the read's timestamp was seen.
    TooNew,
    /// The read saw another value than that of the newest version.
    Other,
    /// The read is no part of the order in which the list's versions came.
    Stray,
    /// What it read beside its own writes is not what these stand upon.
    OwnWrite,
    /// A version was seen, then another one, then the first again.
    Returned,
    /// Another version was committed between the timestamp of a write and its commit.
    Conflict,
    /// commit_ts is not after start_ts.
    Backwards,
    /// start_ts is before the commit_ts of a transaction that had returned before.
    BehindRealtime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimestampFlaw {
    pub(super) reason: Reason,
    pub(super) transaction: u32,
    /// The operation, or `NONE` where it is the whole transaction.
    pub(super) operation: u32,
    /// The write that was missed or seen; of `BehindRealtime`, the transaction; or `NONE`.
    pub(super) other: u32,
}

/// What the check came to.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Reads that were judged.
    pub(super) reads: usize,
    /// Reads that could not be, since a timestamp is missing.
    pub(super) skipped: usize,
    pub(super) count: usize,
    /// The first few.
    pub(super) flaws: Vec<TimestampFlaw>,
}

/// So many flaws are kept.
const KEPT: usize = 8;

impl Checked {
    fn add(&mut self, reason: Reason, transaction: u32, operation: u32, other: u32) {
        self.count += 1;
        if self.flaws.len() < KEPT {
            self.flaws.push(TimestampFlaw {
                reason,
                transaction,
                operation,
                other,
            });
        }
    }
}

/// A read of a register, to be compared with others of the same gap between known versions.
struct Sighting {
    key: u32,
    gap: u32,
    ts: u64,
    value: i64,
    operation: u32,
}

struct Check<'a> {
    history: &'a History,
    versions: &'a Versions,
    lists: ListTimes,
    /// The committed versions of each register, with their commit_ts, in its order.
    registers: Vec<Vec<(u64, u32)>>,
    /// Registers with writes of which it isn't known when (or whether) they were committed.
    uncertain: Vec<Vec<i64>>,
    /// The last write so far to each key of the transaction at hand.
    own: IntegerMap<u32, u32>,
    sightings: Vec<Sighting>,
    checked: Checked,
}

/// Checks every read that has a timestamp.
pub(super) fn check(history: &History, versions: &Versions) -> Checked {
    if !history.has_timestamps() {
        return Checked::default();
    }
    let mut check = Check {
        history,
        versions,
        lists: list_times(history, versions),
        registers: registers(history, versions),
        uncertain: uncertain(history, versions),
        own: IntegerMap::default(),
        sightings: Vec::new(),
        checked: Checked::default(),
    };
    for transaction in 0..history.count_u32() {
        let commit = history.commit_ts.get(transaction);
        let start = history.start_ts.get(transaction);
        if commit != 0 && commit <= start {
            check.checked.add(Reason::Backwards, transaction, NONE, NONE);
        }
        check.own.clear();
        for operation in history.operations_of(transaction) {
            check.operation(transaction, operation);
            if history.kind_of(operation).is_write() {
                check.own.insert(history.key_of(operation), operation);
            }
        }
    }
    check.sightings();
    check.realtime();
    check.checked
}

impl Check<'_> {
    fn operation(&mut self, transaction: u32, operation: u32) {
        let kind = self.history.kind_of(operation);
        let ts = self.history.read_timestamp(transaction, operation);
        if kind.is_write() {
            let optimistic = self.history.header.mode == Some(super::history::TransactionMode::Optimistic);
            // In a pessimistic transaction, the timestamp of its last statement says nothing of this one.
            let own = self.history.read_ts.given(operation);
            if let Some(ts) = own.or(ts.filter(|_| optimistic)) {
                self.write(transaction, operation, ts);
            }
            return;
        }
        let Some(ts) = ts else {
            self.checked.skipped += 1;
            return;
        };
        self.checked.reads += 1;
        match kind {
            Kind::ReadList => self.list(transaction, operation, ts),
            Kind::Read => {
                let key = self.history.key_of(operation);
                let value = self.history.value[operation as usize];
                self.register(transaction, operation, key, value, ts);
            }
            Kind::Range | Kind::Count => self.range(transaction, operation, ts),
            Kind::Append | Kind::Write => {}
        }
    }

    fn list(&mut self, transaction: u32, operation: u32, ts: u64) {
        let key = self.history.key_of(operation);
        let read = self.history.list_read(operation);
        let length = read.length as usize;
        let order = self.versions.order(self.history, key);
        if self.history.main_branch[key as usize] != read.branch || length > order.len() {
            // What only transactions saw that may not have committed has no place in the order; it says nothing.
            if self.history.branches[read.branch as usize].proven {
                self.checked.add(Reason::Stray, transaction, operation, NONE);
            }
            return;
        }
        if self.own.contains_key(&key) {
            if self.versions.is_committed(transaction) {
                self.list_with_own(transaction, operation, key, &order[..length]);
            }
            return;
        }
        let at = self.lists.start[key as usize] + length;
        let commit = |write: &u32| {
            if self.versions.is_committed_write(*write) {
                commit_of(self.history, self.versions, *write)
            } else {
                0
            }
        };
        if self.lists.first_wrong[key as usize] < length {
            self.checked.add(Reason::Other, transaction, operation, NONE);
        } else if self.lists.latest_before[at] > ts {
            let other = order[..length].iter().find(|write| commit(write) > ts);
            let other = other.copied().unwrap_or(NONE);
            self.checked.add(Reason::TooNew, transaction, operation, other);
        } else if self.lists.earliest_from[at] <= ts {
            let missed = |write: &u32| (1..=ts).contains(&commit(write));
            let other = order[length..].iter().copied().find(missed);
            let other = other.or_else(|| self.versions.unordered(key).find(missed));
            self.checked
                .add(Reason::Missed, transaction, operation, other.unwrap_or(NONE));
        }
    }

    /// A read behind own appends: all that came before the first of these, and these.
    fn list_with_own(&mut self, transaction: u32, operation: u32, key: u32, seen: &[u32]) {
        let before = self.history.operations_of(transaction).start..operation;
        let own = before
            .filter(|at| self.history.kind_of(*at) == Kind::Append && self.history.key_of(*at) == key)
            .collect::<Vec<u32>>();
        let fits = seen.len() >= own.len() && seen[seen.len() - own.len()..] == own;
        if !fits {
            self.checked.add(Reason::OwnWrite, transaction, operation, own[0]);
        }
    }

    /// The newest known version of a register at a timestamp, and its place.
    fn newest(&self, key: u32, ts: u64) -> (u32, usize) {
        let known = &self.registers[key as usize];
        let count = known.partition_point(|(commit, _)| *commit <= ts);
        (count.checked_sub(1).map_or(INITIAL, |at| known[at].1), count)
    }

    fn bits_of(&self, write: u32) -> i64 {
        if write == INITIAL {
            super::value::Value::NULL.bits()
        } else {
            self.history.value[write as usize]
        }
    }

    fn register(&mut self, transaction: u32, operation: u32, key: u32, value: i64, ts: u64) {
        if let Some(own) = self.own.get(&key).copied() {
            if self.history.value[own as usize] != value {
                self.checked.add(Reason::OwnWrite, transaction, operation, own);
            }
            return;
        }
        let (newest, count) = self.newest(key, ts);
        let same = self.bits_of(newest) == value;
        let uncertain = &self.uncertain[key as usize];
        if !uncertain.is_empty() {
            let may_be = uncertain.binary_search(&value).is_ok();
            if same || may_be {
                self.sightings.push(Sighting {
                    key,
                    gap: u32::try_from(count).expect("fewer than 2^32"),
                    ts,
                    value,
                    operation,
                });
                return;
            }
        }
        if !same {
            let known = &self.registers[key as usize];
            let later = known[count..]
                .iter()
                .find(|(_, write)| self.history.value[*write as usize] == value);
            match later {
                Some((_, write)) => self.checked.add(Reason::TooNew, transaction, operation, *write),
                None if newest == INITIAL => self.checked.add(Reason::Other, transaction, operation, NONE),
                None => self.checked.add(Reason::Missed, transaction, operation, newest),
            }
        }
    }

    fn range(&mut self, transaction: u32, operation: u32, ts: u64) {
        let range = *self.history.range_of(operation);
        let counts = self.history.kind_of(operation) == Kind::Count;
        let rows = self.history.rows_of(&range).to_vec();
        let null = super::value::Value::NULL.bits();
        let (mut least, mut most) = (0_u64, 0_u64);
        for key in self.versions.keys_within(range.from, range.to).to_vec() {
            if !counts {
                let row = rows.binary_search_by_key(&key, |(key, _)| *key);
                let value = row.map_or(null, |at| rows[at].1.bits());
                self.register(transaction, operation, key, value, ts);
                continue;
            }
            let own = self.own.get(&key).copied();
            let version = own.unwrap_or_else(|| self.newest(key, ts).0);
            let there = self.bits_of(version) != null;
            let uncertain = own.is_none() && !self.uncertain[key as usize].is_empty();
            least += u64::from(there && !uncertain);
            most += u64::from(there || uncertain);
        }
        if counts && !(least..=most).contains(&range.count) {
            self.checked.add(Reason::Other, transaction, operation, NONE);
        }
    }

    /// No other version may be committed between the timestamp of a write and its own commit.
    fn write(&mut self, transaction: u32, operation: u32, ts: u64) {
        let commit = self.history.commit_ts.get(transaction);
        if commit == 0
            || !self.versions.is_committed(transaction)
            || self.versions.intermediate[operation as usize]
        {
            return;
        }
        let key = self.history.key_of(operation);
        let between = |write: &u32| {
            let other = commit_of(self.history, self.versions, *write);
            other > ts && other < commit && self.versions.transaction_of(*write) != transaction
        };
        let other = if self.history.is_list(key) {
            let order = self.versions.order(self.history, key);
            let position = (self.versions.position[operation as usize] as usize).min(order.len());
            let own = |write: &&u32| self.versions.transaction_of(**write) == transaction;
            let before = order[..position].iter().rev();
            let before = before.filter(|write| self.versions.is_committed_write(**write));
            before.skip_while(own).take(1).copied().find(between)
        } else {
            let known = &self.registers[key as usize];
            let first = known.partition_point(|(commit, _)| *commit <= ts);
            known[first..].first().map(|(_, write)| *write).filter(between)
        };
        if let Some(other) = other {
            self.checked.add(Reason::Conflict, transaction, operation, other);
        }
    }

    /// Between two known versions, one of an unknown time may come in: once, and for good.
    fn sightings(&mut self) {
        let mut all = std::mem::take(&mut self.sightings);
        all.sort_unstable_by_key(|sighting| (sighting.key, sighting.gap, sighting.ts));
        for group in all.chunk_by(|a, b| a.key == b.key) {
            // The values that were left behind: none of them may be seen again. What a gap begins with may.
            let mut past: std::collections::HashSet<i64> = std::collections::HashSet::new();
            let mut last: Option<(u32, i64)> = None;
            for sighting in group {
                let begins = self.newest(sighting.key, sighting.ts).0;
                let known = self.bits_of(begins) == sighting.value;
                if let Some((gap, value)) = last
                    && (gap != sighting.gap || value != sighting.value)
                {
                    past.insert(value);
                }
                let new_gap = last.is_none_or(|(gap, _)| gap != sighting.gap);
                if past.contains(&sighting.value) && !(known && new_gap) {
                    let transaction = self.versions.transaction_of(sighting.operation);
                    self.checked
                        .add(Reason::Returned, transaction, sighting.operation, NONE);
                }
                if known && new_gap {
                    past.remove(&sighting.value);
                }
                last = Some((sighting.gap, sighting.value));
            }
        }
    }

    /// Timestamps come from one oracle: who begins after another one's COMMIT has returned has a later one.
    fn realtime(&mut self) {
        if !self.history.timed {
            return;
        }
        let history = self.history;
        let all = 0..history.count_u32();
        let mut returns: Vec<u32> = all
            .clone()
            .filter(|at| history.commit_ts.get(*at) != 0 && history.returned[*at as usize] != NEVER)
            .collect();
        returns.sort_unstable_by_key(|at| history.returned[*at as usize]);
        let mut begins: Vec<u32> = all.filter(|at| history.start_ts.get(*at) != 0).collect();
        begins.sort_unstable_by_key(|at| history.invoke[*at as usize]);
        let mut returned = returns.into_iter().peekable();
        let mut latest = (0, NONE);
        for transaction in begins {
            let invoke = history.invoke[transaction as usize];
            while let Some(before) = returned.next_if(|at| history.returned[*at as usize] < invoke) {
                latest = latest.max((history.commit_ts.get(before), before));
            }
            if latest.0 > history.start_ts.get(transaction) {
                self.checked
                    .add(Reason::BehindRealtime, transaction, NONE, latest.1);
            }
        }
    }
}
