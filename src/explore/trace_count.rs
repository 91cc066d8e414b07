//! The size of a Mazurkiewicz trace: how many schedules differ only in the order of independent steps.

use std::collections::HashMap;

use super::independence::DependencyRelation;

/// How many schedules are equivalent to this one, itself included: those in which every two steps that depend on each
/// other come as they do here. `after` are further pairs of which the second comes after the first: what a blocked
/// connection does next, after the step that unblocked it.
#[must_use]
pub fn trace_size(
    relation: &DependencyRelation,
    schedule: &[usize],
    after: &[(usize, usize)],
    connection_of: impl Fn(usize) -> usize,
) -> u128 {
    if relation.is_everything() {
        return 1;
    }
    // By how far each connection has come; what is counted for one such point is kept.
    let mut connections: Vec<usize> = schedule.iter().map(|step| connection_of(*step)).collect();
    connections.sort_unstable();
    connections.dedup();
    let sequences: Vec<Vec<usize>> = connections
        .iter()
        .map(|own| {
            let mine = schedule
                .iter()
                .copied()
                .filter(|step| connection_of(*step) == *own);
            mine.collect()
        })
        .collect();
    let position = |step: usize| {
        schedule
            .iter()
            .position(|other| *other == step)
            .unwrap_or(usize::MAX)
    };
    let comes_first = |one: usize, other: usize| {
        after.contains(&(one, other)) || relation.depends(one, other) && position(one) < position(other)
    };
    let mut known = HashMap::new();
    let mut at = vec![0; sequences.len()];
    count(&sequences, &mut at, &comes_first, &mut known)
}

/// In how many ways the rest of the sequences can be merged, where `comes_first` tells which steps of different ones
/// must come before which.
fn count(
    sequences: &[Vec<usize>],
    at: &mut Vec<usize>,
    comes_first: &dyn Fn(usize, usize) -> bool,
    known: &mut HashMap<Vec<usize>, u128>,
) -> u128 {
    if let Some(count) = known.get(at) {
        return *count;
    }
    let mut sum: u128 = 0;
    let mut done = true;
    for own in 0..sequences.len() {
        let Some(step) = sequences[own].get(at[own]).copied() else {
            continue;
        };
        done = false;
        let free = (0..sequences.len()).filter(|other| *other != own).all(|other| {
            let mut left = sequences[other][at[other]..].iter();
            !left.any(|later| comes_first(*later, step))
        });
        if free {
            at[own] += 1;
            sum = sum.saturating_add(count(sequences, at, comes_first, known));
            at[own] -= 1;
        }
    }
    let sum = if done { 1 } else { sum };
    known.insert(at.clone(), sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_equivalent_to_those_that_cannot_differ() {
        let free = DependencyRelation::of_pairs(4, |one, other| one / 2 == other / 2);
        let size = |relation, schedule: &[usize], after: &[_]| {
            trace_size(relation, schedule, after, |step| step / 2)
        };
        // Two connections of two steps that have nothing in common: all six schedules are one.
        assert_eq!(size(&free, &[0, 1, 2, 3], &[]), 6);
        // The first one's second step waits for the second one's first: not in 0 1 2 3.
        assert_eq!(size(&free, &[0, 2, 1, 3], &[(2, 1)]), 5);
        let everything = DependencyRelation::everything(4);
        assert_eq!(size(&everything, &[0, 2, 1, 3], &[]), 1);
    }
}
