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

use super::value::IntegerMap;

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
    pub(super) nodes: u32,
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
    pub(super) fn fan(&mut self, sources: &[(u32, EdgeKind)], targets: &[u32]) {
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
