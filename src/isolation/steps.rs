//! The steps of a cycle, and what its shape is called.

use super::anomaly::{Form, Shape};
use super::graph::EdgeKind;

/// How one transaction of a cycle leads to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    Data(EdgeKind),
    Process,
    Realtime,
    Start,
}

impl StepKind {
    pub(super) fn is_anti_dependency(self) -> bool {
        matches!(self, Self::Data(EdgeKind::Rw | EdgeKind::PredicateRw))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) kind: StepKind,
}

/// A cycle: each step begins where the one before it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cycle {
    pub(super) steps: Vec<Step>,
    /// Whether no shorter one of its kind exists; otherwise the search was ended first.
    pub(super) shortest: bool,
}

/// A walk that comes by a transaction twice has a shorter cycle in it, which is what is shown.
pub(super) fn simple(mut steps: Vec<Step>) -> Vec<Step> {
    'again: loop {
        for first in 0..steps.len() {
            for second in first + 1..steps.len() {
                if steps[first].from != steps[second].from {
                    continue;
                }
                let inner = steps[first..second].to_vec();
                let outer = [&steps[..first], &steps[second..]].concat();
                // The part with fewer adjacent anti-dependencies is the graver one.
                steps = if adjacent(&inner) <= adjacent(&outer) {
                    inner
                } else {
                    outer
                };
                continue 'again;
            }
        }
        return steps;
    }
}

fn adjacent(steps: &[Step]) -> usize {
    let both = |(a, b): (&Step, &Step)| a.kind.is_anti_dependency() && b.kind.is_anti_dependency();
    steps
        .iter()
        .zip(steps.iter().cycle().skip(1))
        .filter(|pair| both(*pair))
        .count()
}

/// The shape, whether a predicate is in it, and the form of a cycle.
pub(super) fn classify(steps: &[Step]) -> (Shape, bool, Form) {
    let has = |kind: StepKind| steps.iter().any(|step| step.kind == kind);
    let count = steps.iter().filter(|step| step.kind.is_anti_dependency()).count();
    let shape = match count {
        0 if has(StepKind::Data(EdgeKind::Wr)) => Shape::G1c,
        0 => Shape::G0,
        1 => Shape::GSingle,
        _ if adjacent(steps) == 0 => Shape::GNonadjacent,
        _ => Shape::G2,
    };
    let form = if has(StepKind::Start) {
        Form::Start
    } else if has(StepKind::Realtime) {
        Form::Realtime
    } else if has(StepKind::Process) {
        Form::Process
    } else {
        Form::Plain
    };
    (shape, has(StepKind::Data(EdgeKind::PredicateRw)), form)
}
/// Several steps along a process are one.
pub(super) fn joined(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        match joined.last_mut() {
            Some(last) if last.kind == StepKind::Process && step.kind == StepKind::Process => {
                last.to = step.to
            }
            _ => joined.push(step),
        }
    }
    // The first step goes on where the last one ends.
    if let [first, .., last] = joined.as_mut_slice()
        && first.kind == StepKind::Process
        && last.kind == StepKind::Process
    {
        first.from = last.from;
        joined.pop();
    }
    joined
}
