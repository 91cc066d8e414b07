//! The levels below snapshot isolation that ask what a transaction must have seen: monotonic atomic view, read atomic,
//! and causal.
//!
//! All three follow one axiom (Biswas and Enea, OOPSLA 2019): if a transaction reads x from t1, and t2, which wrote x,
//! too, is visible to it, then t2 comes before t1. Visible is, for a monotonic atomic view, what it had read from
//! before; for read atomic, what it reads from at all; for causal, what leads to it by reads and the order of
//! processes. Where the order of versions is known, t2 is compared with t1 at once; where it isn't, 't2 before t1' is an
//! edge, and a cycle of such edges, reads, and known orders refutes the level.

use super::anomaly::Anomaly;
use super::chains::{Chains, WriteIndex, causal_order, causes};
use super::flaw::{Flaw, Flaws};
use super::graph::Graph;
use super::history::{History, NONE};
use super::reads::{Observation, Scan};
use super::value::IntegerMap;
use super::versions::{GARBAGE, INITIAL, Versions};

/// What transactions saw from outside, one after the other.
pub(super) struct Observations {
    all: Vec<Observation>,
    start: Vec<u32>,
}

impl Observations {
    /// Those of the transactions that are asked for; of others there are none.
    pub(super) fn new(history: &History, versions: &Versions, wanted: impl Fn(u32) -> bool) -> Self {
        let mut scan = Scan::new(history, versions);
        scan.repeats = true;
        let mut all = Vec::new();
        let mut start = vec![0];
        for transaction in 0..history.count_u32() {
            if versions.is_committed(transaction) && wanted(transaction) {
                scan.transaction(transaction, &mut |seen| {
                    if !seen.writes_later && seen.source != GARBAGE {
                        all.push(seen);
                    }
                });
            }
            start.push(u32::try_from(all.len()).expect("fewer than 2^32"));
        }
        Self { all, start }
    }

    fn of(&self, transaction: u32) -> &[Observation] {
        let at = transaction as usize;
        &self.all[self.start[at] as usize..self.start[at + 1] as usize]
    }
}

/// What must come before what, where the version order didn't say so itself.
#[derive(Debug, Default)]
pub(super) struct Inferred {
    pub(super) edges: Vec<(u32, u32)>,
}

/// Judges what transactions saw.
pub(super) struct Visibility<'a> {
    history: &'a History,
    versions: &'a Versions,
    observations: &'a Observations,
    pub(super) flaws: Flaws,
    /// For a monotonic atomic view, for read atomic (beyond the former), for causal (beyond both).
    pub(super) monotonic: Inferred,
    pub(super) atomic: Inferred,
    pub(super) causal: Inferred,
}

/// How a version stands to what was read.
enum Compared {
    /// It had been seen, or came before.
    Older,
    /// It came later, and was not seen.
    Newer,
    /// It is of another transaction, which must come before this one.
    Before(u32),
}

impl<'a> Visibility<'a> {
    pub(super) fn new(history: &'a History, versions: &'a Versions, observations: &'a Observations) -> Self {
        Self {
            history,
            versions,
            observations,
            flaws: Flaws::default(),
            monotonic: Inferred::default(),
            atomic: Inferred::default(),
            causal: Inferred::default(),
        }
    }

    /// Compares a write that was visible with the version of the same key that was read.
    fn compare(&self, write: u32, read: &Observation) -> Compared {
        if read.seen != NONE {
            // What has no place in the order comes behind all that has.
            return if self.versions.position[write as usize] >= read.seen {
                Compared::Newer
            } else {
                Compared::Older
            };
        }
        if self.versions.is_total(read.key) {
            return Compared::Older;
        }
        match read.source {
            INITIAL => Compared::Newer,
            NONE | GARBAGE => Compared::Older,
            source => {
                let writer = self.versions.transaction_of(source);
                if writer == self.versions.transaction_of(write) || !self.versions.is_committed(writer) {
                    Compared::Older
                } else {
                    Compared::Before(writer)
                }
            }
        }
    }

    /// The last write of a transaction to a key.
    fn last_write(&self, transaction: u32, key: u32) -> Option<u32> {
        let range = self.history.operations_of(transaction);
        let writes = self.versions.writes.of(key);
        let behind = writes.partition_point(|write| *write < range.end);
        let last = writes[..behind].last()?;
        (*last >= range.start).then_some(*last)
    }

    /// Monotonic atomic view and read atomic.
    pub(super) fn atomic(&mut self) {
        let mut of_key: IntegerMap<u32, Vec<usize>> = IntegerMap::default();
        for transaction in 0..self.history.count_u32() {
            let seen = self.observations.of(transaction);
            if seen.len() < 2 {
                continue;
            }
            of_key.clear();
            for (at, read) in seen.iter().enumerate() {
                of_key.entry(read.key).or_default().push(at);
            }
            let mut writers: Vec<(u32, usize)> = Vec::new();
            for (at, read) in seen.iter().enumerate() {
                if self.versions.is_committed_write(read.source) {
                    let writer = self.versions.transaction_of(read.source);
                    if !writers.iter().any(|(known, _)| *known == writer) || seen.len() > 64 {
                        writers.push((writer, at));
                    }
                }
            }
            writers.sort_unstable();
            writers.dedup_by_key(|(writer, _)| *writer);
            for (writer, first) in writers {
                self.seen_of(transaction, writer, first, seen, &of_key);
            }
        }
    }

    /// Of a writer that was observed (first by `seen[first]`), all must have been seen.
    fn seen_of(
        &mut self,
        transaction: u32,
        writer: u32,
        first: usize,
        seen: &[Observation],
        of_key: &IntegerMap<u32, Vec<usize>>,
    ) {
        let range = self.history.operations_of(writer);
        let pairs: Vec<(u32, usize)> = if range.len() <= seen.len() {
            range
                .filter(|write| {
                    self.history.kind_of(*write).is_write() && !self.versions.intermediate[*write as usize]
                })
                .flat_map(|write| {
                    let reads = of_key
                        .get(&self.history.key_of(write))
                        .map_or(&[][..], Vec::as_slice);
                    reads.iter().map(move |read| (write, *read))
                })
                .collect()
        } else {
            let reads = seen.iter().enumerate();
            reads
                .filter_map(|(at, read)| Some((self.last_write(writer, read.key)?, at)))
                .collect()
        };
        for (write, at) in pairs {
            let read = &seen[at];
            // The initial state of a row that a range didn't show is compared as any other.
            match self.compare(write, read) {
                Compared::Older => {}
                Compared::Newer => {
                    let flaw = |anomaly| Flaw {
                        anomaly,
                        transaction,
                        operation: read.operation,
                        other: write,
                    };
                    self.flaws.add(flaw(Anomaly::FracturedRead));
                    if at > first {
                        self.flaws.add(flaw(Anomaly::ObservedTransactionVanishes));
                    }
                }
                Compared::Before(other) => {
                    let level = if at > first {
                        &mut self.monotonic
                    } else {
                        &mut self.atomic
                    };
                    level.edges.push((writer, other));
                }
            }
        }
    }

    /// Causal: what leads to a transaction by reads and by the order of processes. Only edges between transactions
    /// that are `inside` count. Nothing where these edges have a cycle, which is an anomaly of its own.
    pub(super) fn causally(&mut self, graph: &Graph, inside: &dyn Fn(u32) -> bool) {
        let chains = Chains::new(graph, self.versions, inside);
        let Some(order) = causal_order(graph, self.versions, inside) else {
            return;
        };
        let index = WriteIndex::new(self.history, self.versions, &chains);
        let mut left: Vec<u32> = vec![0; graph.transactions as usize];
        let hands_on = |transaction: u32| causes(graph, transaction).filter(|next| inside(*next));
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut row_of = vec![NONE; graph.transactions as usize];
        let mut free: Vec<u32> = Vec::new();
        for transaction in &order {
            left[*transaction as usize] = u32::try_from(hands_on(*transaction).count()).expect("few");
        }
        for transaction in order {
            let at = transaction as usize;
            let row = match row_of[at] {
                NONE => take_row(&mut rows, &mut free, chains.count),
                known => known,
            };
            let mut known = std::mem::take(&mut rows[row as usize]);
            self.caused(transaction, &known, &chains, &index);
            let own = chains.chain[at] as usize;
            known[own] = known[own].max(chains.rank[at] + 1);
            for next in hands_on(transaction) {
                let next_row = &mut row_of[next as usize];
                if *next_row == NONE {
                    *next_row = take_row(&mut rows, &mut free, chains.count);
                }
                for (theirs, ours) in rows[*next_row as usize].iter_mut().zip(&known) {
                    *theirs = (*theirs).max(*ours);
                }
            }
            known.fill(0);
            rows[row as usize] = known;
            free.push(row);
        }
    }

    /// `known`: of each chain, how many of its transactions lead to this one.
    fn caused(&mut self, transaction: u32, known: &[u32], chains: &Chains, index: &WriteIndex) {
        for read in self.observations.of(transaction) {
            for (chain, writes) in index.of_key(read.key) {
                let count = known[chain as usize];
                let behind = writes.partition_point(|write| chains.rank_of(self.versions, *write) < count);
                // Where the order is known, any of them may be the newest; otherwise the last one has the others
                // before it.
                let (last, total) = (behind.checked_sub(1), self.versions.is_total(read.key));
                let Some(last) = last else { continue };
                let candidates = if total {
                    &writes[..=last]
                } else {
                    &writes[last..=last]
                };
                let newest = candidates.iter().rev().take(LOOK_BACK);
                for write in newest {
                    if self.versions.transaction_of(*write) == transaction {
                        continue;
                    }
                    match self.compare(*write, read) {
                        Compared::Older => {}
                        Compared::Newer => {
                            self.flaws.add(Flaw {
                                anomaly: Anomaly::CausalityViolation,
                                transaction,
                                operation: read.operation,
                                other: *write,
                            });
                            break;
                        }
                        Compared::Before(other) => {
                            self.causal
                                .edges
                                .push((self.versions.transaction_of(*write), other));
                        }
                    }
                }
            }
        }
    }
}

/// In one process, versions of a key come in the order of their transactions unless something is badly wrong (which is
/// an anomaly of its own), so that the newest one is among the last few.
const LOOK_BACK: usize = 4;

fn take_row(rows: &mut Vec<Vec<u32>>, free: &mut Vec<u32>, width: usize) -> u32 {
    free.pop().unwrap_or_else(|| {
        rows.push(vec![0; width]);
        u32::try_from(rows.len() - 1).expect("fewer rows than transactions")
    })
}
