//! The names of cycles, and that the shortest is shown, against an enumeration of all simple cycles of small histories.

use std::collections::{BTreeMap, BTreeSet};

use tidb_scenarios::isolation::{Anomaly, Form, Shape, analyze};

use super::agree::{Random, listed, parsed};
use super::brute::{Op, Txn, json_lines};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Edge {
    Ww,
    Wr,
    Rw,
    Process,
    Realtime,
}

/// All edges by their definitions. Every value of every list must have been read.
fn edges(txns: &[Txn]) -> BTreeSet<(usize, usize, Edge)> {
    let mut order: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for op in txns.iter().filter(|txn| txn.ok).flat_map(|txn| &txn.ops) {
        if let Op::ReadList(key, seen) = op {
            let known = order.entry(*key).or_default();
            if seen.len() > known.len() {
                known.clone_from(seen);
            }
        }
    }
    let writer = |key: u32, value: i64| {
        txns.iter()
            .position(|txn| txn.ok && txn.ops.contains(&Op::Append(key, value)))
    };
    let mut edges = BTreeSet::new();
    for (key, list) in &order {
        for pair in list.windows(2) {
            if let (Some(a), Some(b)) = (writer(*key, pair[0]), writer(*key, pair[1])) {
                edges.insert((a, b, Edge::Ww));
            }
        }
    }
    for (at, txn) in txns.iter().enumerate().filter(|(_, txn)| txn.ok) {
        let mut own: Vec<(u32, i64)> = Vec::new();
        for op in &txn.ops {
            match op {
                Op::Append(key, value) => own.push((*key, *value)),
                Op::ReadList(key, seen) => {
                    let mine: Vec<i64> = own
                        .iter()
                        .filter(|(found, _)| found == key)
                        .map(|(_, value)| *value)
                        .collect();
                    let rest = seen.strip_suffix(mine.as_slice()).expect("own writes are seen");
                    if let Some(from) = rest.last().and_then(|value| writer(*key, *value)) {
                        edges.insert((from, at, Edge::Wr));
                    }
                    let next = order[key].get(rest.len()).and_then(|value| writer(*key, *value));
                    if let Some(next) = next {
                        edges.insert((at, next, Edge::Rw));
                    }
                }
                Op::Write(..) | Op::Read(..) => {}
            }
        }
        for (other, later) in txns.iter().enumerate().filter(|(_, txn)| txn.ok) {
            if txn.process == later.process && txn.invoke < later.invoke {
                edges.insert((at, other, Edge::Process));
            }
            if txn.returned < later.invoke {
                edges.insert((at, other, Edge::Realtime));
            }
        }
    }
    edges.retain(|(from, to, _)| from != to);
    edges
}

/// The least length of a simple cycle of each shape and form.
fn shortest(txns: &[Txn]) -> BTreeMap<(Shape, Form), usize> {
    let edges = edges(txns);
    let mut found = BTreeMap::new();
    for start in 0..txns.len() {
        walk(&edges, start, &mut vec![start], &mut Vec::new(), &mut found);
    }
    found
}

fn walk(
    edges: &BTreeSet<(usize, usize, Edge)>,
    start: usize,
    path: &mut Vec<usize>,
    kinds: &mut Vec<Edge>,
    found: &mut BTreeMap<(Shape, Form), usize>,
) {
    let last = *path.last().expect("the start");
    for (_, to, kind) in edges.iter().filter(|(from, to, _)| *from == last && *to >= start) {
        // One step of real time is enough, and it needs no order of processes.
        let order = |edge: &Edge| matches!(edge, Edge::Process | Edge::Realtime);
        if *kind == Edge::Realtime && kinds.iter().any(order)
            || order(kind) && kinds.contains(&Edge::Realtime)
        {
            continue;
        }
        kinds.push(*kind);
        if *to == start {
            let least = found.entry(named(kinds)).or_insert(kinds.len());
            *least = (*least).min(kinds.len());
        } else if !path.contains(to) {
            path.push(*to);
            walk(edges, start, path, kinds, found);
            path.pop();
        }
        kinds.pop();
    }
}

fn named(kinds: &[Edge]) -> (Shape, Form) {
    let count = kinds.iter().filter(|kind| **kind == Edge::Rw).count();
    let adjacent =
        (0..kinds.len()).any(|at| kinds[at] == Edge::Rw && kinds[(at + 1) % kinds.len()] == Edge::Rw);
    let shape = match count {
        0 if kinds.contains(&Edge::Wr) => Shape::G1c,
        0 => Shape::G0,
        1 => Shape::GSingle,
        _ if adjacent => Shape::G2,
        _ => Shape::GNonadjacent,
    };
    let form = if kinds.contains(&Edge::Realtime) {
        Form::Realtime
    } else if kinds.contains(&Edge::Process) {
        Form::Process
    } else {
        Form::Plain
    };
    (shape, form)
}

#[test]
fn cycles_have_their_names_and_are_the_shortest() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut looked = 0;
    for seed in 40_000..52_000 {
        let txns = listed(&mut Random(seed));
        let text = json_lines(&txns);
        let analysis = analyze(&parsed(&text)).expect("a history");
        // Edges are defined where reads are right in themselves.
        let broken = analysis.findings.iter().any(|finding| {
            matches!(
                finding.anomaly,
                Anomaly::OwnWriteMissed
                    | Anomaly::IncompatibleOrder
                    | Anomaly::FutureRead
                    | Anomaly::AbortedRead
                    | Anomaly::GarbageRead
                    | Anomaly::Duplicate
                    | Anomaly::Internal
            )
        });
        if broken {
            continue;
        }
        looked += 1;
        let shortest = shortest(&txns);
        for finding in &analysis.findings {
            let Anomaly::Cycle(shape, false, form) = finding.anomaly else {
                continue;
            };
            *counts.entry(finding.anomaly.to_string()).or_default() += 1;
            assert_eq!(
                shortest.get(&(shape, form)),
                Some(&finding.edges.len()),
                "seed {seed}: {}\n{text}\n{finding:#?}",
                finding.anomaly
            );
            assert_eq!(finding.shortest, Some(true));
        }
        for (shape, form) in shortest.keys() {
            let name = Anomaly::Cycle(*shape, false, *form);
            // With order from outside, a cycle is looked for where none of data is (and of the same gravity).
            let group = |shape: Shape| match shape {
                Shape::GNonadjacent => Shape::GSingle,
                shape => shape,
            };
            let other = analysis.findings.iter().any(|finding| match finding.anomaly {
                Anomaly::Cycle(found, false, by) => {
                    by < *form && group(found) == group(*shape)
                        || group(found) < group(*shape) && *form != Form::Plain
                }
                _ => false,
            });
            let has = analysis.anomalies().contains(name);
            // The shortest walk of such a kind may be two cycles with one anti-dependency each, which is told instead.
            let single = *shape == Shape::GNonadjacent
                && analysis
                    .anomalies()
                    .contains(Anomaly::Cycle(Shape::GSingle, false, *form));
            assert!(
                has || other || single,
                "seed {seed}: {name} is not named\n{text}\n{:#?}",
                analysis.anomalies()
            );
        }
    }
    assert!(looked > 5_000, "{looked}");
    for name in [
        "G0",
        "G1c",
        "G-single",
        "G2-item",
        "G0-process",
        "G1c-process",
        "G-single-process",
        "G2-item-process",
        "G0-realtime",
        "G1c-realtime",
        "G-single-realtime",
        "G2-item-realtime",
        "G-nonadjacent",
    ] {
        assert!(
            counts.get(name).is_some_and(|count| *count >= 1),
            "{name} was hardly seen: {counts:?}"
        );
    }
}
