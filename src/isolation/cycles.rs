//! The shortest cycle of each shape and form, by breadth-first search with a limit that grows.

use std::collections::VecDeque;

use super::anomaly::{Form, Shape};
use super::graph::{EdgeKind, Graph};
use super::history::NONE;
use super::scc::{Components, Times, View};
use super::steps::{Cycle, Step, StepKind, joined, simple};
use super::value::IntegerMap;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) shape: Shape,
    /// An anti-dependency of a predicate has to be in it; otherwise there must be none.
    pub(super) predicate: bool,
    pub(super) form: Form,
}

impl Wanted {
    /// The edges that such a cycle may have, beside those of its form.
    pub(super) fn view(self) -> View {
        let kinds = match self.shape {
            Shape::G0 => EdgeKind::Ww.bit(),
            Shape::G1c => EdgeKind::Ww.bit() | EdgeKind::Wr.bit(),
            Shape::GSingle | Shape::GNonadjacent | Shape::G2 => {
                let items = EdgeKind::Ww.bit() | EdgeKind::Wr.bit() | EdgeKind::Rw.bit();
                if self.predicate {
                    items | EdgeKind::PredicateRw.bit()
                } else {
                    items
                }
            }
        };
        View {
            kinds,
            layered: matches!(self.shape, Shape::GSingle | Shape::GNonadjacent),
            session: self.form == Form::Process,
        }
    }
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    Found(Cycle),
    /// There is none.
    Absent,
    /// The search was ended before it was over.
    Undecided,
}

/// What a walk has had so far, in bits.
const LAST_RW: u8 = 1;
const ADJACENT: u8 = 2;
const WR: u8 = 4;
const PROCESS: u8 = 8;
const PREDICATE: u8 = 16;
const ONE_RW: u8 = 32;
const TWO_RW: u8 = 64;
/// The last edge was one of a process: further ones along it cost nothing, since they are one in the end.
const LAST_PROCESS: u8 = 128;

/// So many nodes are visited for one kind of cycle.
const VISITS_MAX: usize = 6_000_000;
/// From so many transactions a cycle of any length is looked for where short ones are too many to try.
const LONG_SOURCES: usize = 64;

struct Visit {
    node: u32,
    state: u8,
    kind: StepKind,
    parent: u32,
    depth: u32,
}

/// Looks for cycles in one view of a graph.
pub(super) struct Search<'a> {
    graph: &'a Graph,
    times: &'a Times<'a>,
    components: &'a Components,
    wanted: Wanted,
    visits: Vec<Visit>,
    /// The least depth of each node and state.
    seen: IntegerMap<u64, u32>,
    queue: VecDeque<u32>,
    passed: Vec<u32>,
    left: usize,
}

impl<'a> Search<'a> {
    /// `components` are those of the view that `wanted` asks for.
    pub(super) fn new(
        graph: &'a Graph,
        times: &'a Times<'a>,
        components: &'a Components,
        wanted: Wanted,
    ) -> Self {
        Self {
            graph,
            times,
            components,
            wanted,
            visits: Vec::new(),
            seen: IntegerMap::default(),
            queue: VecDeque::new(),
            passed: Vec::new(),
            left: VISITS_MAX,
        }
    }

    /// The shortest cycle of what is wanted, from the sources that are given (or from all that may be on one).
    pub(super) fn shortest(&mut self, late: &[u32]) -> Sought {
        let sources: Vec<u32> = match self.wanted.form {
            Form::Realtime | Form::Start => late.to_vec(),
            Form::Plain | Form::Process => (0..self.graph.transactions)
                .filter(|source| self.may_begin(*source))
                .collect(),
        };
        if sources.is_empty() {
            return Sought::Absent;
        }
        let mut limit = 2;
        let mut is_over = false;
        while !is_over {
            is_over = true;
            for source in &sources {
                match self.from(*source, limit) {
                    Ok(Some(steps)) => {
                        return Sought::Found(Cycle {
                            steps,
                            shortest: true,
                        });
                    }
                    Ok(None) => {}
                    Err(Cut::ByLimit) => is_over = false,
                    Err(Cut::ByVisits) => return self.any(&sources),
                }
            }
            limit = if limit < 8 { limit + 1 } else { limit * 2 };
        }
        Sought::Absent
    }

    /// Some cycle, long or short, where there was too much to try.
    fn any(&mut self, sources: &[u32]) -> Sought {
        let step = (sources.len() / LONG_SOURCES).max(1);
        for limit in [3, 4, 6, 10, u32::MAX] {
            for source in sources.iter().step_by(step) {
                self.left = VISITS_MAX / LONG_SOURCES / 4;
                if let Ok(Some(steps)) = self.from(*source, limit) {
                    return Sought::Found(Cycle {
                        steps,
                        shortest: false,
                    });
                }
            }
        }
        Sought::Undecided
    }

    fn node_in_view(&self, node: u32, state: u8) -> usize {
        if self.wanted.view().layered {
            node as usize * 2 + usize::from(state & LAST_RW != 0)
        } else {
            node as usize
        }
    }

    fn component(&self, node: u32, state: u8) -> u32 {
        self.components.component[self.node_in_view(node, state)]
    }

    fn may_begin(&self, source: u32) -> bool {
        self.component(source, 0) != 0
    }

    /// Whether an edge may be the first of a cycle of data (and the order of a process).
    fn is_first(&self, kind: StepKind) -> bool {
        match (self.wanted.shape, kind) {
            (Shape::G0, StepKind::Data(EdgeKind::Ww)) => self.wanted.form == Form::Plain,
            (Shape::G0, StepKind::Process) => true,
            (Shape::G1c, kind) => kind == StepKind::Data(EdgeKind::Wr),
            (_, StepKind::Data(EdgeKind::Rw)) => !self.wanted.predicate,
            (_, StepKind::Data(EdgeKind::PredicateRw)) => self.wanted.predicate,
            _ => false,
        }
    }

    /// What a walk has had after one more edge, or nothing where that edge has no place in it.
    fn after(&self, state: u8, kind: StepKind) -> Option<u8> {
        let is_rw = kind.is_anti_dependency();
        let mut after = state & !LAST_PROCESS;
        match kind {
            StepKind::Data(EdgeKind::Ww) => {}
            StepKind::Data(EdgeKind::Wr) => match self.wanted.shape {
                Shape::G0 => return None,
                Shape::G1c => after |= WR,
                Shape::GSingle | Shape::GNonadjacent | Shape::G2 => {}
            },
            StepKind::Data(EdgeKind::Rw) => {}
            StepKind::Data(EdgeKind::PredicateRw) if self.wanted.predicate => after |= PREDICATE,
            StepKind::Process if self.wanted.form == Form::Process => after |= PROCESS | LAST_PROCESS,
            StepKind::Data(EdgeKind::PredicateRw)
            | StepKind::Process
            | StepKind::Realtime
            | StepKind::Start => {
                return None;
            }
        }
        match self.wanted.shape {
            Shape::G0 | Shape::G1c if is_rw => return None,
            Shape::G0 | Shape::G1c => {}
            Shape::GSingle if is_rw && state & ONE_RW != 0 => return None,
            Shape::GSingle | Shape::GNonadjacent => {
                if is_rw && state & LAST_RW != 0 {
                    return None;
                }
                if is_rw {
                    after |= if state & ONE_RW == 0 { ONE_RW } else { TWO_RW };
                }
                after = if is_rw { after | LAST_RW } else { after & !LAST_RW };
            }
            Shape::G2 => {
                if is_rw && state & LAST_RW != 0 {
                    after |= ADJACENT;
                }
                // Once two were adjacent, the last one doesn't matter any more.
                let last = is_rw && after & ADJACENT == 0;
                after = if last { after | LAST_RW } else { after & !LAST_RW };
            }
        }
        Some(after)
    }

    /// Whether a walk that has had this may be closed; `by_rw`: its first edge is an anti-dependency.
    fn may_close(&self, state: u8, by_rw: bool) -> bool {
        let Wanted {
            shape,
            predicate,
            form,
        } = self.wanted;
        let adjacent = by_rw && state & LAST_RW != 0;
        let shaped = match shape {
            Shape::G0 => true,
            Shape::G1c => state & WR != 0,
            Shape::GSingle => state & ONE_RW != 0,
            Shape::GNonadjacent => state & TWO_RW != 0 && !adjacent,
            Shape::G2 => state & ADJACENT != 0 || adjacent,
        };
        shaped && (!predicate || state & PREDICATE != 0) && (form != Form::Process || state & PROCESS != 0)
    }

    /// Whether the cycle is closed at this node.
    fn closes(&self, source: u32, node: u32) -> bool {
        match self.wanted.form {
            Form::Plain | Form::Process => node == source,
            Form::Realtime => self.times.returned[node as usize] < self.times.invoke[source as usize],
            Form::Start => self.times.commit[node as usize] < self.times.start[source as usize],
        }
    }

    /// Whether a node may lead to where the cycle is closed.
    fn may_lead(&self, source: u32, node: u32, state: u8) -> bool {
        let at = self.node_in_view(node, state);
        match self.wanted.form {
            Form::Plain | Form::Process => {
                self.components.component[at] != 0
                    && self.components.component[at] == self.component(source, 0)
            }
            Form::Realtime => self.components.returned[at] < self.times.invoke[source as usize],
            Form::Start => self.components.commit[at] < self.times.start[source as usize],
        }
    }

    /// The shortest cycle through a source with at most so many steps.
    fn from(&mut self, source: u32, limit: u32) -> Result<Option<Vec<Step>>, Cut> {
        self.visits.clear();
        self.seen.clear();
        self.queue.clear();
        let by_time = matches!(self.wanted.form, Form::Realtime | Form::Start);
        let mut cut = false;
        self.expand(source, 0, NONE, 0, source, by_time);
        while let Some(at) = self.queue.pop_front() {
            let Visit {
                node, state, depth, ..
            } = self.visits[at as usize];
            // The step that closes a cycle in time is one more.
            let steps = depth + u32::from(by_time);
            if node != source || !by_time {
                let closed = self.closes(source, node) && self.may_close(state, self.begins_with_rw());
                if closed && steps <= limit {
                    return Ok(Some(self.steps(source, at)));
                }
            }
            if node == source && !by_time {
                continue;
            }
            if steps >= limit {
                cut = true;
                let next = self.graph.next_of_process[node as usize];
                if state & LAST_PROCESS != 0 && next != NONE {
                    self.visit(next, state, StepKind::Process, at, depth, source);
                }
                continue;
            }
            if self.left == 0 {
                return Err(Cut::ByVisits);
            }
            self.expand(node, state, at, depth, source, true);
        }
        if cut { Err(Cut::ByLimit) } else { Ok(None) }
    }

    fn begins_with_rw(&self) -> bool {
        let by_data = matches!(self.wanted.form, Form::Plain | Form::Process);
        by_data && !matches!(self.wanted.shape, Shape::G0 | Shape::G1c)
    }

    fn expand(&mut self, node: u32, state: u8, parent: u32, depth: u32, source: u32, any: bool) {
        let graph = self.graph;
        for edge in graph.edges(node) {
            let kind = StepKind::Data(EdgeKind::of_bits(*edge));
            if any || self.is_first(kind) {
                self.visit(edge >> 2, state, kind, parent, depth, source);
            }
        }
        let next = graph.next_of_process[node as usize];
        if next != NONE && (any || self.is_first(StepKind::Process)) {
            self.visit(next, state, StepKind::Process, parent, depth, source);
        }
    }

    fn visit(&mut self, target: u32, state: u8, kind: StepKind, parent: u32, depth: u32, source: u32) {
        let Some(next_state) = self.after(state, kind) else {
            return;
        };
        let is_free = kind == StepKind::Process && state & LAST_PROCESS != 0;
        let depth = depth + u32::from(!is_free);
        let state = next_state;
        let mut node = target;
        loop {
            self.left = self.left.saturating_sub(1);
            let key = (u64::from(node) << 8) | u64::from(state);
            if self.may_lead(source, node, state) && self.is_nearer(key, depth) {
                if node < self.graph.transactions {
                    let at = u32::try_from(self.visits.len()).expect("limited");
                    self.visits.push(Visit {
                        node,
                        state,
                        kind,
                        parent,
                        depth,
                    });
                    if is_free {
                        self.queue.push_front(at);
                    } else {
                        self.queue.push_back(at);
                    }
                } else {
                    // Nodes that stand for groups are passed at no cost.
                    self.passed
                        .extend(self.graph.edges(node).iter().map(|edge| edge >> 2));
                }
            }
            let Some(next) = self.passed.pop() else { return };
            node = next;
        }
    }

    fn is_nearer(&mut self, key: u64, depth: u32) -> bool {
        let known = self.seen.entry(key).or_insert(u32::MAX);
        let nearer = depth < *known;
        if nearer {
            *known = depth;
        }
        nearer
    }

    fn steps(&self, source: u32, last: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = last;
        while at != NONE {
            let Visit {
                node, kind, parent, ..
            } = self.visits[at as usize];
            let from = if parent == NONE {
                source
            } else {
                self.visits[parent as usize].node
            };
            steps.push(Step { from, to: node, kind });
            at = parent;
        }
        steps.reverse();
        let from = self.visits[last as usize].node;
        let closing = match self.wanted.form {
            Form::Plain | Form::Process => None,
            Form::Realtime => Some(StepKind::Realtime),
            Form::Start => Some(StepKind::Start),
        };
        steps.extend(closing.map(|kind| Step {
            from,
            to: source,
            kind,
        }));
        simple(joined(steps))
    }
}

/// Why a search from one source was not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    ByLimit,
    ByVisits,
}
