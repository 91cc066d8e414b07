//! Strongly connected components, in one walk (Tarjan's), without recursion.
//!
//! **Two layers.** Snapshot isolation forbids cycles without two adjacent anti-dependencies. They are the cycles of a
//! graph with two nodes for each transaction, one for each answer to 'was the last edge an anti-dependency': the node
//! where it was has no anti-dependencies that leave it.
//!
//! **Real time without edges.** Where a cycle has several edges of real time, a shorter one has one: of two such edges
//! a → b and c → d, either a returned before d began, or c before b (were neither so, d began before b and b before d).
//! So it is enough to know, for each transaction, the earliest return among all that it leads to: if that is before it
//! began, there is a cycle. Tarjan's walk completes what a node leads to before the node, so the least value comes
//! along. The same holds of the order by timestamps, with commit_ts and start_ts.

use super::graph::{EdgeKind, Graph};
use super::history::{History, NEVER, NONE};
use super::versions::Versions;

/// Which edges a walk takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// The bits of the kinds.
    pub(super) kinds: u8,
    /// No two anti-dependencies one after the other.
    pub(super) layered: bool,
    /// The order of each process, too.
    pub(super) session: bool,
}

/// When each transaction began and ended.
#[derive(Debug)]
pub(super) struct Times<'a> {
    pub(super) invoke: &'a [u64],
    pub(super) returned: &'a [u64],
    /// Empty where there are no timestamps; 0 where one is not known.
    pub(super) start: Vec<u64>,
    /// `NEVER` where one is not known.
    pub(super) commit: Vec<u64>,
}

impl<'a> Times<'a> {
    pub(super) fn new(history: &'a History, versions: &Versions) -> Self {
        let count = if history.start_ts.is_empty() {
            0
        } else {
            history.count_u32()
        };
        let start = (0..count).map(|at| history.start_ts.get(at)).collect();
        let commit = (0..count).map(|at| commit_point(history, versions, at)).collect();
        Self {
            invoke: &history.invoke,
            returned: &history.returned,
            start,
            commit,
        }
    }
}

/// From which timestamp on a transaction is over.
fn commit_point(history: &History, versions: &Versions, transaction: u32) -> u64 {
    if !versions.is_committed(transaction) {
        return NEVER;
    }
    if let Some(commit) = history.commit_ts.given(transaction) {
        return commit;
    }
    let mut latest = history
        .start_ts
        .get(transaction)
        .max(history.for_update_ts.get(transaction));
    for operation in history.operations_of(transaction) {
        if history.kind_of(operation).is_write() {
            return NEVER;
        }
        // A locking read, or any at READ COMMITTED, is newer than start_ts; nobody knows by how much.
        match history.read_timestamp(transaction, operation) {
            Some(ts) => latest = latest.max(ts),
            None => return NEVER,
        }
    }
    if latest == 0 { NEVER } else { latest }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Components {
    /// The component of each node (in the layered graph twice its number, one more in the second layer); 0 if it is
    /// alone in it.
    pub(super) component: Vec<u32>,
    /// How many components have several nodes.
    pub(super) count: u32,
    /// Transactions that lead to one that had returned before they began.
    pub(super) late: Vec<u32>,
    /// Transactions that lead to one that had committed, by timestamps, before they began.
    pub(super) late_by_timestamp: Vec<u32>,
    /// The earliest return of what each node leads to, itself included.
    pub(super) returned: Vec<u64>,
    /// The same of commit timestamps, where there are any.
    pub(super) commit: Vec<u64>,
}

impl Components {
    pub(super) fn is_clean(&self) -> bool {
        self.count == 0 && self.late.is_empty() && self.late_by_timestamp.is_empty()
    }
}

/// Finds the components of a view of the graph.
pub(super) fn components(graph: &Graph, times: &Times<'_>, view: View) -> Components {
    match (view.layered, view.session) {
        (false, false) => Walk::<false, false>::run(graph, times, view.kinds),
        (false, true) => Walk::<false, true>::run(graph, times, view.kinds),
        (true, false) => Walk::<true, false>::run(graph, times, view.kinds),
        (true, true) => Walk::<true, true>::run(graph, times, view.kinds),
    }
}

/// Not met yet.
const FRESH: u32 = 0;
/// In a component that is complete.
const DONE: u32 = u32::MAX;

struct Walk<'a, const LAYERED: bool, const SESSION: bool> {
    graph: &'a Graph,
    kinds: u8,
    number: Vec<u32>,
    low: Vec<u32>,
    returned: Vec<u64>,
    commit: Vec<u64>,
    /// Nodes on the way, each with where its edges go on.
    path: Vec<(u32, u32, u32)>,
    /// Nodes whose component is not complete.
    open: Vec<u32>,
    counter: u32,
    found: Components,
}

impl<'a, const LAYERED: bool, const SESSION: bool> Walk<'a, LAYERED, SESSION> {
    fn run(graph: &'a Graph, times: &Times<'_>, kinds: u8) -> Components {
        let layers = if LAYERED { 2 } else { 1 };
        let nodes = graph.nodes() as usize * layers;
        let spread = |own: &[u64]| {
            let mut spread = Vec::with_capacity(nodes);
            for time in own {
                spread.extend(std::iter::repeat_n(*time, layers));
            }
            spread.resize(nodes, NEVER);
            spread
        };
        let mut walk = Self {
            graph,
            kinds,
            number: vec![FRESH; nodes],
            low: vec![0; nodes],
            returned: spread(times.returned),
            commit: if times.start.is_empty() {
                Vec::new()
            } else {
                spread(&times.commit)
            },
            path: Vec::new(),
            open: Vec::new(),
            counter: 0,
            found: Components {
                component: vec![0; nodes],
                ..Components::default()
            },
        };
        for root in 0..u32::try_from(nodes).expect("held below 2^31") {
            if walk.number[root as usize] == FRESH {
                walk.from(root);
            }
        }
        walk.note_late(times);
        Components {
            returned: walk.returned,
            commit: walk.commit,
            ..walk.found
        }
    }

    fn note_late(&mut self, times: &Times<'_>) {
        let layers = if LAYERED { 2 } else { 1 };
        for transaction in 0..self.graph.transactions {
            let (at, node) = (transaction as usize, transaction as usize * layers);
            if self.returned[node] < times.invoke[at] {
                self.found.late.push(transaction);
            }
            if !self.commit.is_empty() && self.commit[node] < times.start[at] {
                self.found.late_by_timestamp.push(transaction);
            }
        }
    }

    fn enter(&mut self, node: u32) {
        self.counter += 1;
        self.number[node as usize] = self.counter;
        self.low[node as usize] = self.counter;
        self.open.push(node);
        let own = if LAYERED { node / 2 } else { node };
        let (from, to) = self.graph.edge_range(own);
        self.path.push((node, from, to));
    }

    /// The next node that a node leads to.
    fn next(&mut self) -> Option<u32> {
        let (node, at, end) = self.path.last_mut()?;
        let (own, layer) = if LAYERED {
            (*node / 2, *node % 2)
        } else {
            (*node, 0)
        };
        while *at < *end {
            let (target, kind) = self.graph.edge(*at);
            *at += 1;
            // Out of a node that stands for a group, any edge goes on as what led into it.
            if own >= self.graph.transactions {
                return Some(if LAYERED { target * 2 + layer } else { target });
            }
            if kind.bit() & self.kinds == 0 {
                continue;
            }
            if !LAYERED {
                return Some(target);
            }
            match kind {
                EdgeKind::Ww | EdgeKind::Wr => return Some(target * 2),
                EdgeKind::Rw | EdgeKind::PredicateRw if layer == 0 => return Some(target * 2 + 1),
                EdgeKind::Rw | EdgeKind::PredicateRw => {}
            }
        }
        if SESSION && *at == *end && own < self.graph.transactions {
            *at += 1;
            let target = self.graph.next_of_process[own as usize];
            if target != NONE {
                return Some(if LAYERED { target * 2 } else { target });
            }
        }
        None
    }

    fn from(&mut self, root: u32) {
        self.enter(root);
        while let Some((node, ..)) = self.path.last().copied() {
            let Some(target) = self.next() else {
                self.leave(node);
                continue;
            };
            match self.number[target as usize] {
                FRESH => self.enter(target),
                DONE => self.fold_times(node, target),
                number => {
                    let low = &mut self.low[node as usize];
                    *low = (*low).min(number);
                }
            }
        }
    }

    fn fold_times(&mut self, node: u32, target: u32) {
        let (node, target) = (node as usize, target as usize);
        self.returned[node] = self.returned[node].min(self.returned[target]);
        if !self.commit.is_empty() {
            self.commit[node] = self.commit[node].min(self.commit[target]);
        }
    }

    fn leave(&mut self, node: u32) {
        self.path.pop();
        if self.low[node as usize] == self.number[node as usize] {
            self.complete(node);
        }
        if let Some((parent, ..)) = self.path.last().copied() {
            let low = self.low[node as usize];
            let own = &mut self.low[parent as usize];
            *own = (*own).min(low);
            self.fold_times(parent, node);
        }
    }

    /// All open nodes down to this one are a component.
    fn complete(&mut self, root: u32) {
        if self.open.last() == Some(&root) {
            self.open.pop();
            self.number[root as usize] = DONE;
            return;
        }
        self.found.count += 1;
        let at = self
            .open
            .iter()
            .rposition(|node| *node == root)
            .expect("it is open");
        let members = self.open.split_off(at);
        for member in &members {
            self.fold_times(root, *member);
        }
        for member in members {
            self.number[member as usize] = DONE;
            self.found.component[member as usize] = self.found.count;
            self.fold_times(member, root);
        }
    }
}
