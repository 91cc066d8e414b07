//! What led to what causally: processes as chains of transactions, reads between them.

use super::graph::{EdgeKind, Graph};
use super::history::{History, NONE};
use super::lists::Lists;
use super::versions::Versions;

/// What a transaction leads to causally: its readers and the next one of its process.
pub(super) fn causes(graph: &Graph, transaction: u32) -> impl Iterator<Item = u32> + '_ {
    let reads = graph.edges(transaction).iter();
    let readers = reads
        .filter(|edge| EdgeKind::of_bits(**edge) == EdgeKind::Wr)
        .map(|edge| edge >> 2);
    let next = graph.next_of_process[transaction as usize];
    readers.chain((next != NONE).then_some(next))
}

/// Transactions after all that lead to them; `None` where that is a cycle.
pub(super) fn causal_order(
    graph: &Graph,
    versions: &Versions,
    inside: &dyn Fn(u32) -> bool,
) -> Option<Vec<u32>> {
    let mut before = vec![0_u32; graph.transactions as usize];
    let all: Vec<u32> = (0..graph.transactions)
        .filter(|at| versions.is_committed(*at) && inside(*at))
        .collect();
    for transaction in &all {
        for next in causes(graph, *transaction).filter(|next| inside(*next)) {
            before[next as usize] += 1;
        }
    }
    let mut order: Vec<u32> = all
        .iter()
        .copied()
        .filter(|at| before[*at as usize] == 0)
        .collect();
    let mut at = 0;
    while let Some(transaction) = order.get(at).copied() {
        at += 1;
        for next in causes(graph, transaction).filter(|next| inside(*next)) {
            before[next as usize] -= 1;
            if before[next as usize] == 0 {
                order.push(next);
            }
        }
    }
    (order.len() == all.len()).then_some(order)
}

/// Each process as a chain of transactions.
pub(super) struct Chains {
    pub(super) chain: Vec<u32>,
    pub(super) rank: Vec<u32>,
    pub(super) count: usize,
}

impl Chains {
    pub(super) fn new(graph: &Graph, versions: &Versions, inside: &dyn Fn(u32) -> bool) -> Self {
        let count = graph.transactions as usize;
        let (mut chain, mut rank) = (vec![NONE; count], vec![0; count]);
        let mut is_next = vec![false; count];
        for next in graph.next_of_process.iter().filter(|next| **next != NONE) {
            is_next[*next as usize] = true;
        }
        let mut chains = 0;
        let heads = (0..graph.transactions).filter(|at| versions.is_committed(*at) && !is_next[*at as usize]);
        for head in heads {
            let (mut at, mut place) = (head, 0);
            let mut used = false;
            while at != NONE {
                if inside(at) {
                    chain[at as usize] = chains;
                    rank[at as usize] = place;
                    place += 1;
                    used = true;
                }
                at = graph.next_of_process[at as usize];
            }
            chains += u32::from(used);
        }
        Self {
            chain,
            rank,
            count: chains as usize,
        }
    }

    pub(super) fn rank_of(&self, versions: &Versions, write: u32) -> u32 {
        self.rank[versions.transaction_of(write) as usize]
    }
}

/// The writes of each key, by chain and rank.
pub(super) struct WriteIndex {
    by_key: Lists,
    chain: Vec<u32>,
}

impl WriteIndex {
    pub(super) fn new(history: &History, versions: &Versions, chains: &Chains) -> Self {
        let mut writes: Vec<(u32, u32, u32, u32)> = Vec::new();
        for key in 0..u32::try_from(history.keys.len()).expect("fewer than 2^32 keys") {
            for write in versions.writes.of(key) {
                let transaction = versions.transaction_of(*write) as usize;
                let chain = chains.chain[transaction];
                if chain != NONE
                    && !versions.intermediate[*write as usize]
                    && versions.is_committed_write(*write)
                {
                    writes.push((key, chain, chains.rank[transaction], *write));
                }
            }
        }
        writes.sort_unstable();
        let by_key = Lists::group(
            history.keys.len(),
            writes.iter().map(|(key, _, _, write)| (*key, *write)),
        );
        Self {
            by_key,
            chain: writes.iter().map(|(_, chain, ..)| *chain).collect(),
        }
    }

    /// Each chain with writes of a key, and these.
    pub(super) fn of_key(&self, key: u32) -> impl Iterator<Item = (u32, &[u32])> {
        let range = self.by_key.range(key);
        let chains = &self.chain[range];
        let mut rest = self.by_key.of(key);
        chains.chunk_by(|a, b| a == b).map(move |group| {
            let (own, others) = rest.split_at(group.len());
            rest = others;
            (group[0], own)
        })
    }
}
