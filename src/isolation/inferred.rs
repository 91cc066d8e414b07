//! Cycles of what must have come before what, where the order of versions is not known.

use std::collections::VecDeque;

use super::graph::{EdgeKind, Edges, Graph};
use super::history::NONE;
use super::scc::Components;
use super::steps::{Step, StepKind};
use super::value::IntegerMap;
use super::visibility::Inferred;

/// The graph in which a level's inferred order must have no cycle: its kinds are ww for the known orders, wr for reads,
/// rw for what was inferred.
pub(super) fn inferred_graph(graph: &Graph, inferred: &[&Inferred], session: bool) -> Graph {
    let mut edges = Edges::new(graph.nodes(), graph.edge_count());
    for node in 0..graph.nodes() {
        for edge in graph.edges(node) {
            let kind = EdgeKind::of_bits(*edge);
            if matches!(kind, EdgeKind::Ww | EdgeKind::Wr) {
                edges.add(node, edge >> 2, kind);
            }
        }
    }
    for (before, after) in inferred.iter().flat_map(|inferred| &inferred.edges) {
        edges.add(*before, *after, EdgeKind::Rw);
    }
    let next = if session {
        graph.next_of_process.clone()
    } else {
        vec![NONE; graph.transactions as usize]
    };
    Graph::of_edges(graph.transactions, graph.nodes(), edges.all(), next)
}
/// The shortest cycle through an inferred edge of a few that are tried.
pub(super) fn through_inferred(graph: &Graph, components: &Components) -> Option<Vec<Step>> {
    let component = |at: u32| components.component[at as usize];
    let mut best: Option<Vec<Step>> = None;
    let mut tried = 0;
    for from in (0..graph.transactions).filter(|at| component(*at) != 0) {
        for edge in graph.edges(from) {
            let (to, kind) = (edge >> 2, EdgeKind::of_bits(*edge));
            if kind != EdgeKind::Rw || component(to) != component(from) || tried > 1_000 {
                continue;
            }
            tried += 1;
            let first = Step {
                from,
                to,
                kind: StepKind::Data(kind),
            };
            if let Some(rest) = path(graph, components, to, from) {
                let steps: Vec<Step> = std::iter::once(first).chain(rest).collect();
                if best.as_ref().is_none_or(|best| steps.len() < best.len()) {
                    best = Some(steps);
                }
            }
        }
    }
    best
}

fn path(graph: &Graph, components: &Components, from: u32, to: u32) -> Option<Vec<Step>> {
    let mut came: IntegerMap<u32, Step> = IntegerMap::default();
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut steps = Vec::new();
            let mut at = to;
            while at != from {
                let step = came[&at];
                steps.push(step);
                at = step.from;
            }
            steps.reverse();
            return Some(passed(graph, steps));
        }
        let data = graph
            .edges(node)
            .iter()
            .map(|edge| (edge >> 2, StepKind::Data(EdgeKind::of_bits(*edge))));
        let is_transaction = node < graph.transactions;
        let next = if is_transaction {
            graph.next_of_process[node as usize]
        } else {
            NONE
        };
        let process = (next != NONE).then_some((next, StepKind::Process));
        for (target, kind) in data.chain(process) {
            let same = components.component[target as usize] == components.component[from as usize];
            if same && target != from && !came.contains_key(&target) {
                came.insert(
                    target,
                    Step {
                        from: node,
                        to: target,
                        kind,
                    },
                );
                queue.push_back(target);
            }
        }
    }
    None
}

/// Steps over nodes that stand for groups become one.
fn passed(graph: &Graph, steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match joined.last_mut() {
            Some(last) if last.to >= graph.transactions => last.to = step.to,
            _ => joined.push(step),
        }
    }
    joined
}
