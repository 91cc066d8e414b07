//! Who depends on whom: makes the graph of what each transaction read and wrote.

use super::anomaly::Anomaly;
use super::builder::Unusable;
use super::flaw::Flaw;
use super::graph::{EdgeKind, Edges, Graph};
use super::history::{History, Kind, NONE, Status};
use super::reads::{Observation, Scan};
use super::value::IntegerMap;
use super::versions::{INITIAL, Versions};

/// What is noted on the way, to be joined at the end.
#[derive(Debug, Default)]
struct Pending {
    /// Who has seen all of a key's order, by key.
    tails: Vec<(u32, u32, EdgeKind)>,
    /// Who has read a version of a register whose order is known in part.
    partial_reads: Vec<(u32, u32)>,
    /// Who has read a version and replaced it where the order doesn't tell: by source (or key), with the operation.
    replaced: Vec<(u64, u32, u32)>,
}

/// Builds the graph; `scan` notes the flaws that it finds on the way.
///
/// # Errors
/// Two transactions of one process at the same time.
pub(super) fn build(history: &History, versions: &Versions, scan: &mut Scan<'_>) -> Result<Graph, Unusable> {
    let transactions = history.count_u32();
    let mut edges = Edges::new(transactions, history.operations() * 3 / 2);
    let unordered = unordered(history, versions);
    let mut pending = Pending::default();
    let mut lost = Vec::new();
    for transaction in (0..transactions).filter(|at| versions.is_committed(*at)) {
        scan.transaction(transaction, &mut |seen| {
            observed(
                history,
                versions,
                &unordered,
                seen,
                &mut edges,
                &mut pending,
                &mut lost,
            );
        });
    }
    lost_updates(history, versions, &mut pending.replaced, &mut lost);
    for flaw in lost {
        scan.flaws.add(flaw);
    }
    version_orders(history, versions, &mut edges);
    unordered_versions(history, versions, &unordered, &mut pending.tails, &mut edges);
    replacements(versions, pending.partial_reads, &pending.replaced, &mut edges);
    let next_of_process = sessions(history, versions)?;
    Ok(Graph::of_edges(
        transactions,
        edges.nodes,
        edges.all(),
        next_of_process,
    ))
}

/// By key: the transactions whose versions have no place in its order. Those with a commit_ts come in its order.
fn unordered(history: &History, versions: &Versions) -> IntegerMap<u32, Vec<u32>> {
    let mut found: IntegerMap<u32, Vec<u32>> = IntegerMap::default();
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        let mut writers: Vec<u32> = versions
            .unordered(key)
            .map(|write| versions.transaction_of(write))
            .collect();
        if !writers.is_empty() {
            writers.sort_by_key(|writer| history.commit_ts.get(*writer));
            found.insert(key, writers);
        }
    }
    found
}

/// Whether transactions are all ordered by their commit_ts.
fn by_commit_ts(history: &History, writers: &[u32]) -> bool {
    writers.iter().all(|writer| history.commit_ts.get(*writer) != 0)
}

fn observed(
    history: &History,
    versions: &Versions,
    unordered: &IntegerMap<u32, Vec<u32>>,
    seen: Observation,
    edges: &mut Edges,
    pending: &mut Pending,
    lost: &mut Vec<Flaw>,
) {
    let Observation {
        transaction,
        key,
        source,
        ..
    } = seen;
    let group = || match source {
        INITIAL => (1 << 63) | u64::from(key),
        write => u64::from(write),
    };
    let next = match seen.seen {
        NONE => None,
        position => versions.next(history, key, position),
    };
    if seen.writes_later {
        match next {
            Some(next) if versions.transaction_of(next) != transaction => lost.push(Flaw {
                anomaly: Anomaly::LostUpdate,
                transaction,
                operation: seen.operation,
                other: next,
            }),
            None if versions.is_committed_write(source) || source == INITIAL => {
                pending.replaced.push((group(), transaction, seen.operation));
            }
            _ => {}
        }
        return;
    }
    if versions.is_committed_write(source) {
        edges.add(versions.transaction_of(source), transaction, EdgeKind::Wr);
    }
    let kind = if seen.predicate {
        EdgeKind::PredicateRw
    } else {
        EdgeKind::Rw
    };
    match next {
        Some(next) => edges.add(transaction, versions.transaction_of(next), kind),
        None if seen.seen != NONE || source == INITIAL => {
            if unordered.contains_key(&key) {
                pending.tails.push((key, transaction, kind));
            }
        }
        None => {
            if !versions.is_total(key) && versions.is_committed_write(source) {
                pending.partial_reads.push((source, transaction));
            }
        }
    }
}

/// Transactions that read the same version and both replaced it.
fn lost_updates(
    history: &History,
    versions: &Versions,
    replaced: &mut [(u64, u32, u32)],
    lost: &mut Vec<Flaw>,
) {
    replaced.sort_unstable();
    for pair in replaced.windows(2) {
        let [(group, _, _), (other_group, transaction, operation)] = pair else {
            continue;
        };
        if group != other_group || pair[0].1 == *transaction {
            continue;
        }
        // The other one's write of the same key.
        let key = match history.kind_of(*operation) {
            Kind::Range => {
                let Ok(write) = u32::try_from(*group) else {
                    continue;
                };
                history.key_of(write)
            }
            _ => history.key_of(*operation),
        };
        let writes = versions.writes.of(key).iter().copied();
        let write = writes
            .rev()
            .find(|write| versions.transaction_of(*write) == pair[0].1);
        lost.push(Flaw {
            anomaly: Anomaly::LostUpdate,
            transaction: *transaction,
            operation: *operation,
            other: write.unwrap_or(NONE),
        });
    }
}

fn version_orders(history: &History, versions: &Versions, edges: &mut Edges) {
    for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
        let mut last = NONE;
        for write in versions.order(history, key) {
            if !versions.is_committed_write(*write) {
                continue;
            }
            let transaction = versions.transaction_of(*write);
            if last != NONE {
                edges.add(last, transaction, EdgeKind::Ww);
            }
            last = transaction;
        }
    }
}

/// Whoever has seen all of a key's order, and who wrote its last version, come before those whose versions have no
/// place in it: had they come earlier, they would have been seen.
fn unordered_versions(
    history: &History,
    versions: &Versions,
    unordered: &IntegerMap<u32, Vec<u32>>,
    tails: &mut Vec<(u32, u32, EdgeKind)>,
    edges: &mut Edges,
) {
    for key in unordered.keys() {
        let order = versions.order(history, *key);
        let last = order
            .iter()
            .rev()
            .find(|write| versions.is_committed_write(**write));
        if let Some(last) = last {
            tails.push((*key, versions.transaction_of(*last), EdgeKind::Ww));
        }
    }
    tails.sort_unstable_by_key(|(key, transaction, kind)| (*key, *transaction, *kind as u8));
    tails.dedup();
    for group in tails.chunk_by(|a, b| a.0 == b.0) {
        let targets = &unordered[&group[0].0];
        let sources: Vec<(u32, EdgeKind)> = group.iter().map(|(_, source, kind)| (*source, *kind)).collect();
        let ordered = history.is_list(group[0].0) && by_commit_ts(history, targets);
        let first = if ordered { &targets[..1] } else { targets };
        edges.fan(&sources, first);
    }
    for (key, writers) in unordered {
        if history.is_list(*key) && by_commit_ts(history, writers) {
            for pair in writers.windows(2) {
                edges.add(pair[0], pair[1], EdgeKind::Ww);
            }
        }
    }
}

/// Of registers whose order is known in part: who replaced the version that it had read comes behind its writer and
/// its other readers.
fn replacements(
    versions: &Versions,
    mut reads: Vec<(u32, u32)>,
    replaced: &[(u64, u32, u32)],
    edges: &mut Edges,
) {
    reads.sort_unstable();
    reads.dedup();
    for group in replaced.chunk_by(|a, b| a.0 == b.0) {
        let Ok(source) = u32::try_from(group[0].0) else {
            continue;
        };
        let mut targets: Vec<u32> = group.iter().map(|(_, transaction, _)| *transaction).collect();
        targets.dedup();
        let first = reads.partition_point(|(read, _)| *read < source);
        let readers = reads[first..].iter().take_while(|(read, _)| *read == source);
        let mut sources: Vec<(u32, EdgeKind)> = readers.map(|(_, reader)| (*reader, EdgeKind::Rw)).collect();
        sources.push((versions.transaction_of(source), EdgeKind::Ww));
        edges.fan(&sources, &targets);
    }
}

/// The order of each process.
fn sessions(history: &History, versions: &Versions) -> Result<Vec<u32>, Unusable> {
    let mut order: Vec<u32> = (0..history.count_u32()).collect();
    // Files are in the order of time, or nearly so.
    if !history.invoke.is_sorted() {
        order.sort_by_key(|at| history.invoke[*at as usize]);
    }
    let mut next = vec![NONE; order.len()];
    let mut last = vec![NONE; history.processes.len()];
    let mut last_committed = vec![NONE; history.processes.len()];
    for transaction in order {
        let process = history.process[transaction as usize] as usize;
        let before = last[process];
        if history.timed && before != NONE {
            let returned = history.returned[before as usize];
            let known = history.status[before as usize] != Status::Unknown;
            if known && returned > history.invoke[transaction as usize] {
                let line = Some(history.line.get(transaction)).filter(|line| *line > 0);
                return Err(Unusable {
                    message: format!(
                        "process {} begins a transaction before its last one has returned; give each connection a \
                         process of its own",
                        history.process_name(transaction)
                    ),
                    line,
                });
            }
        }
        last[process] = transaction;
        if versions.is_committed(transaction) {
            let before = &mut last_committed[process];
            if *before != NONE {
                next[*before as usize] = transaction;
            }
            // What had an unknown outcome may have committed later than what came after it.
            if history.status[transaction as usize] != Status::Unknown {
                *before = transaction;
            }
        }
    }
    Ok(next)
}
