//! When the versions of each key were committed.

use super::history::{History, NEVER, Status};
use super::versions::Versions;

/// For each version of each list: the latest commit up to it, the earliest from it on.
pub(super) struct ListTimes {
    pub(super) start: Vec<usize>,
    pub(super) latest_before: Vec<u64>,
    pub(super) earliest_from: Vec<u64>,
    /// Of each list, where the first value stands that no committed transaction wrote.
    pub(super) first_wrong: Vec<usize>,
}

pub(super) fn commit_of(history: &History, versions: &Versions, write: u32) -> u64 {
    history.commit_ts.get(versions.transaction_of(write))
}

pub(super) fn list_times(history: &History, versions: &Versions) -> ListTimes {
    let mut times = ListTimes {
        start: Vec::with_capacity(history.keys.len()),
        latest_before: Vec::new(),
        earliest_from: Vec::new(),
        first_wrong: Vec::new(),
    };
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        let start = times.latest_before.len();
        times.start.push(start);
        let order = versions.order(history, key);
        let wrong = order
            .iter()
            .position(|write| !versions.is_committed_write(*write));
        times.first_wrong.push(wrong.unwrap_or(usize::MAX));
        if !history.is_list(key) {
            continue;
        }
        let mut latest = 0;
        times.latest_before.push(0);
        for write in order {
            if versions.is_committed_write(*write) {
                latest = latest.max(commit_of(history, versions, *write));
            }
            times.latest_before.push(latest);
        }
        let known = |commit: u64| if commit == 0 { NEVER } else { commit };
        let unseen = versions
            .unordered(key)
            .map(|write| known(commit_of(history, versions, write)));
        let mut earliest = unseen.min().unwrap_or(NEVER);
        times.earliest_from.resize(start + order.len() + 1, NEVER);
        times.earliest_from[start + order.len()] = earliest;
        for (at, write) in order.iter().enumerate().rev() {
            if versions.is_committed_write(*write) {
                earliest = earliest.min(known(commit_of(history, versions, *write)));
            }
            times.earliest_from[start + at] = earliest;
        }
    }
    times
}

pub(super) fn registers(history: &History, versions: &Versions) -> Vec<Vec<(u64, u32)>> {
    let mut all = vec![Vec::new(); history.keys.len()];
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        if history.is_list(key) {
            continue;
        }
        let writes = versions.writes.of(key).iter().copied();
        let mut known: Vec<(u64, u32)> = writes
            .filter(|write| versions.is_committed_write(*write) && !versions.intermediate[*write as usize])
            .map(|write| (commit_of(history, versions, write), write))
            .filter(|(commit, _)| *commit != 0)
            .collect();
        known.sort_unstable();
        all[key as usize] = known;
    }
    all
}

/// Of each key, the values of writes of which that isn't known, sorted.
pub(super) fn uncertain(history: &History, versions: &Versions) -> Vec<Vec<i64>> {
    let mut uncertain = vec![Vec::new(); history.keys.len()];
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        let writes = versions.writes.of(key).iter().copied();
        let mut values: Vec<i64> = writes
            .filter(|write| is_uncertain(history, versions, *write))
            .map(|write| history.value[write as usize])
            .collect();
        values.sort_unstable();
        uncertain[key as usize] = values;
    }
    uncertain
}

/// Whether it isn't known at which timestamp, or whether at all, a write was committed.
fn is_uncertain(history: &History, versions: &Versions, write: u32) -> bool {
    let transaction = versions.transaction_of(write);
    history.status[transaction as usize] != Status::Failed && commit_of(history, versions, write) == 0
        || history.status[transaction as usize] == Status::Unknown && !versions.is_committed(transaction)
}
