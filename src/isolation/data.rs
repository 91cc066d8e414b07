//! Anomalies that need no cycles: what failed and is there, what was acknowledged and is not, lists that contradict
//! each other, totals.

use super::anomaly::Anomaly;
use super::flaw::{Flaw, Flaws};
use super::history::{History, Kind, NEVER, NONE, Status};
use super::reads::Scan;
use super::versions::Versions;

/// Adds what shows once all reads have been gone through.
pub(super) fn after_reads(history: &History, versions: &Versions, scan: &mut Scan<'_>) {
    incompatible_orders(history, scan);
    dirty_updates(history, versions, &mut scan.flaws);
    let seen_later = std::mem::take(&mut scan.seen_later);
    phantom_commits(history, versions, seen_later, &mut scan.flaws);
    lost_writes(history, versions, &mut scan.flaws);
    totals(history, versions, &mut scan.flaws);
}

/// For each branch beside a key's main one, a read of it and one of the main branch that part.
fn incompatible_orders(history: &History, scan: &mut Scan<'_>) {
    let mut strays: Vec<(u32, u32)> = scan
        .strays
        .iter()
        .map(|(branch, read)| (*branch, *read))
        .collect();
    if strays.is_empty() {
        return;
    }
    strays.sort_unstable();
    // The longest committed read of each main branch that is concerned.
    let mut longest: super::value::IntegerMap<u32, u32> = super::value::IntegerMap::default();
    let mains: Vec<u32> = strays
        .iter()
        .map(|(_, read)| history.main_branch[history.key_of(*read) as usize])
        .collect();
    for main in &mains {
        longest.insert(*main, NONE);
    }
    for transaction in (0..history.count_u32()).filter(|at| history.status[*at as usize] == Status::Ok) {
        for operation in history.operations_of(transaction) {
            if history.kind_of(operation) != Kind::ReadList {
                continue;
            }
            let read = history.list_read(operation);
            if let Some(known) = longest.get_mut(&read.branch)
                && (*known == NONE || history.list_read(*known).length < read.length)
            {
                *known = operation;
            }
        }
    }
    for ((_, read), main) in strays.into_iter().zip(mains) {
        let other = longest.get(&main).copied().unwrap_or(NONE);
        if other == NONE {
            continue;
        }
        let transaction = scan.transaction_of(read);
        scan.flaws.add(Flaw {
            anomaly: Anomaly::IncompatibleOrder,
            transaction,
            operation: read,
            other,
        });
    }
}

/// Committed writes that come next behind a failed one.
fn dirty_updates(history: &History, versions: &Versions, flaws: &mut Flaws) {
    if !history.status.contains(&Status::Failed) {
        return;
    }
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        let mut failed = NONE;
        for write in versions.order(history, key) {
            if *write == NONE {
                continue;
            }
            let transaction = versions.transaction_of(*write);
            if history.status[transaction as usize] == Status::Failed {
                failed = *write;
            } else if failed != NONE && versions.is_committed(transaction) {
                flaws.add(Flaw {
                    anomaly: Anomaly::DirtyUpdate,
                    transaction,
                    operation: *write,
                    other: failed,
                });
                failed = NONE;
            }
        }
    }
}

/// Failed transactions all of whose writes were seen by some who began after the failure was reported.
fn phantom_commits(history: &History, versions: &Versions, mut seen: Vec<u32>, flaws: &mut Flaws) {
    seen.sort_unstable();
    seen.dedup();
    for group in seen.chunk_by(|a, b| versions.transaction_of(*a) == versions.transaction_of(*b)) {
        let transaction = versions.transaction_of(group[0]);
        let mut last_writes = history
            .operations_of(transaction)
            .filter(|at| history.kind_of(*at).is_write() && !versions.intermediate[*at as usize]);
        if last_writes.all(|write| group.binary_search(&write).is_ok()) {
            flaws.add(Flaw {
                anomaly: Anomaly::PhantomCommit,
                transaction,
                operation: group[0],
                other: NONE,
            });
        }
    }
}

/// Acknowledged appends that no read has, though a read of that list began later.
fn lost_writes(history: &History, versions: &Versions, flaws: &mut Flaws) {
    if !history.timed {
        return;
    }
    // The first acknowledged append of each list that no read has.
    let keys = u32::try_from(history.keys.len()).expect("fewer than 2^32 keys");
    let mut first = vec![NEVER; keys as usize];
    let unseen = |key: u32| {
        let lost = move |write: &u32| history.returned[versions.transaction_of(*write) as usize] != NEVER;
        versions.unordered(key).filter(lost)
    };
    let returned = |write: u32| history.returned[versions.transaction_of(write) as usize];
    let mut any = false;
    for key in (0..keys).filter(|key| history.is_list(*key)) {
        for write in unseen(key) {
            first[key as usize] = first[key as usize].min(returned(write));
            any = true;
        }
    }
    if !any {
        return;
    }
    let mut last_read: Vec<(u64, u32)> = vec![(0, NONE); keys as usize];
    for transaction in (0..history.count_u32()).filter(|at| versions.is_committed(*at)) {
        let invoke = history.invoke[transaction as usize];
        for operation in history.operations_of(transaction) {
            let key = history.key_of(operation) as usize;
            if history.kind_of(operation) == Kind::ReadList && invoke > first[key] {
                last_read[key] = last_read[key].max((invoke, operation));
            }
        }
    }
    for key in (0..keys).filter(|key| last_read[*key as usize].1 != NONE) {
        let (invoke, read) = last_read[key as usize];
        for write in unseen(key).filter(|write| returned(*write) < invoke) {
            flaws.add(Flaw {
                anomaly: Anomaly::LostWrite,
                transaction: versions.transaction_of(read),
                operation: read,
                other: write,
            });
        }
    }
}

/// The sum of what a transaction read, if it was integers.
pub(super) fn total(history: &History, transaction: u32) -> Option<i64> {
    let mut sum = 0_i64;
    for operation in history.operations_of(transaction) {
        match history.kind_of(operation) {
            Kind::Read => sum = sum.checked_add(history.value_of(operation).as_integer()?)?,
            Kind::Range => {
                for (_, value) in history.rows_of(history.range_of(operation)) {
                    sum = sum.checked_add(value.as_integer()?)?;
                }
            }
            Kind::Append | Kind::Write | Kind::ReadList | Kind::Count => {}
        }
    }
    Some(sum)
}

/// A bank: who reads all accounts and writes none must see the total.
fn totals(history: &History, versions: &Versions, flaws: &mut Flaws) {
    let Some(wanted) = history.header.total else {
        return;
    };
    let accounts = (0_u32..)
        .zip(&history.keys)
        .filter(|(key, _)| !history.is_list(*key))
        .count();
    let mut seen: Vec<u32> = Vec::new();
    for transaction in (0..history.count_u32()).filter(|at| versions.is_committed(*at)) {
        seen.clear();
        let operations = history.operations_of(transaction);
        if operations.clone().any(|at| history.kind_of(at).is_write()) {
            continue;
        }
        for operation in operations.clone() {
            match history.kind_of(operation) {
                Kind::Read => seen.push(history.key_of(operation)),
                Kind::Range => {
                    let rows = history.rows_of(history.range_of(operation)).iter();
                    seen.extend(rows.map(|(key, _)| *key));
                }
                Kind::Append | Kind::Write | Kind::ReadList | Kind::Count => {}
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() == accounts && count == accounts && total(history, transaction) != Some(wanted) {
            flaws.add(Flaw {
                anomaly: Anomaly::WrongTotal,
                transaction,
                operation: operations.start,
                other: NONE,
            });
        }
    }
}
