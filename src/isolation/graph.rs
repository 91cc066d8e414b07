//! The dependencies between committed transactions, as one array.
//!
//! | edge | from | to |
//! |---|---|---|
//! | ww | who wrote a version | who wrote the next one |
//! | wr | who wrote a version | who read it |
//! | rw | who read a version | who wrote the next one |
//! | prw | whose range had no row of a key | who wrote that row |
//!
//! The order of a process stands in an array of its own. Real time and the order by timestamps need no edges at all:
//! see `scc`.

use super::anomaly::Anomaly;
use super::builder::Unusable;
use super::history::{History, NONE, Status};
use super::reads::{Flaw, Observation, Scan};
use super::value::IntegerMap;
use super::versions::{INITIAL, Versions};

/// What an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EdgeKind {
    Ww = 0,
    Wr = 1,
    Rw = 2,
    PredicateRw = 3,
}

impl EdgeKind {
    pub(super) fn of_bits(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Ww,
            1 => Self::Wr,
            2 => Self::Rw,
            _ => Self::PredicateRw,
        }
    }

    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Beyond so many edges, those from many to many go by nodes of their own.
const DIRECT_MAX: usize = 256;

/// The edges between transactions. Nodes behind the transactions stand for groups of them: what leads into such a node
/// leads on to all that it leads to, as an edge of the same kind.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) transactions: u32,
    start: Vec<u32>,
    /// Target and kind.
    edges: Vec<u32>,
    /// The next committed transaction of the same process, or `NONE`.
    pub(super) next_of_process: Vec<u32>,
}

impl Graph {
    /// All nodes: the transactions first.
    pub(super) fn nodes(&self) -> u32 {
        u32::try_from(self.start.len() - 1).expect("held below 2^30")
    }

    pub(super) fn edges(&self, node: u32) -> &[u32] {
        &self.edges[self.start[node as usize] as usize..self.start[node as usize + 1] as usize]
    }

    pub(super) fn edge_range(&self, node: u32) -> (u32, u32) {
        (self.start[node as usize], self.start[node as usize + 1])
    }

    pub(super) fn edge(&self, at: u32) -> (u32, EdgeKind) {
        let edge = self.edges[at as usize];
        (edge >> 2, EdgeKind::of_bits(edge))
    }

    pub(super) fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Whether any edge is of this kind.
    pub(super) fn has(&self, kind: EdgeKind) -> bool {
        self.edges.iter().any(|edge| EdgeKind::of_bits(*edge) == kind)
    }

    /// A graph of edges that are given.
    pub(super) fn of_edges(
        transactions: u32,
        nodes: u32,
        edges: &[(u32, u32)],
        next_of_process: Vec<u32>,
    ) -> Self {
        let mut start = vec![0_u32; nodes as usize + 1];
        for (from, _) in edges {
            start[*from as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            start[node + 1] += start[node];
        }
        let mut next = start.clone();
        let mut sorted = vec![0; edges.len()];
        for (from, edge) in edges {
            let at = &mut next[*from as usize];
            sorted[*at as usize] = *edge;
            *at += 1;
        }
        Self {
            transactions,
            start,
            edges: sorted,
            next_of_process,
        }
    }
}

/// Edges on their way into a [`Graph`].
#[derive(Debug)]
pub(super) struct Edges {
    nodes: u32,
    edges: Vec<(u32, u32)>,
}

impl Edges {
    pub(super) fn new(transactions: u32, room: usize) -> Self {
        Self {
            nodes: transactions,
            edges: Vec::with_capacity(room),
        }
    }

    pub(super) fn add(&mut self, from: u32, to: u32, kind: EdgeKind) {
        if from != to {
            self.edges.push((from, (to << 2) | kind as u32));
        }
    }

    pub(super) fn all(&self) -> &[(u32, u32)] {
        &self.edges
    }

    fn node(&mut self) -> u32 {
        self.nodes += 1;
        assert!(self.nodes < 1 << 30, "at most 2^30 nodes");
        self.nodes - 1
    }

    /// Edges from each source to each target but itself, in number linear in both.
    fn fan(&mut self, sources: &[(u32, EdgeKind)], targets: &[u32]) {
        if sources.len() * targets.len() <= DIRECT_MAX || targets.len() == 1 {
            for (source, kind) in sources {
                for target in targets {
                    self.add(*source, *target, *kind);
                }
            }
            return;
        }
        // Node i of `before` leads to the targets up to i, node i of `behind` to those from i on.
        let before: Vec<u32> = targets.iter().map(|_| self.node()).collect();
        let behind: Vec<u32> = targets.iter().map(|_| self.node()).collect();
        for (at, target) in targets.iter().enumerate() {
            self.add(before[at], *target, EdgeKind::Ww);
            self.add(behind[at], *target, EdgeKind::Ww);
            if at > 0 {
                self.add(before[at], before[at - 1], EdgeKind::Ww);
                self.add(behind[at - 1], behind[at], EdgeKind::Ww);
            }
        }
        let place: IntegerMap<u32, usize> = targets.iter().copied().zip(0..).collect();
        for (source, kind) in sources {
            match place.get(source) {
                None => self.add(*source, behind[0], *kind),
                Some(at) => {
                    if *at > 0 {
                        self.add(*source, before[at - 1], *kind);
                    }
                    if at + 1 < targets.len() {
                        self.add(*source, behind[at + 1], *kind);
                    }
                }
            }
        }
    }
}

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
        &edges.edges,
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
            super::history::Kind::Range => {
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
