//! A second checker: slow, and as plain as the definitions are. It shares nothing with the first one.
//!
//! It tries every order of the transactions (and for snapshot isolation, every order of their begins and commits), so
//! that it is good for six transactions or so.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Append(u32, i64),
    ReadList(u32, Vec<i64>),
    Write(u32, i64),
    Read(u32, Option<i64>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    pub process: u32,
    pub invoke: u64,
    pub returned: u64,
    pub ok: bool,
    pub ops: Vec<Op>,
}

/// How long ago the snapshot may be, or how an order may differ from what was seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Any,
    Session,
    Realtime,
}

fn precedes(txns: &[Txn], before: usize, after: usize, order: Order) -> bool {
    let (a, b) = (&txns[before], &txns[after]);
    match order {
        Order::Any => false,
        Order::Session => a.process == b.process && a.invoke < b.invoke,
        Order::Realtime => a.returned < b.invoke,
    }
}

type State = BTreeMap<u32, Vec<i64>>;

/// Runs a transaction on a state; `None` if it would have read otherwise. A register is a list of its values, of which
/// the last one counts.
fn run(txn: &Txn, snapshot: &State) -> Option<State> {
    let mut state = snapshot.clone();
    for op in &txn.ops {
        match op {
            Op::Append(key, value) | Op::Write(key, value) => state.entry(*key).or_default().push(*value),
            Op::ReadList(key, seen) => {
                if state.get(key).map_or(&[][..], Vec::as_slice) != seen.as_slice() {
                    return None;
                }
            }
            Op::Read(key, seen) => {
                if state.get(key).and_then(|values| values.last()) != seen.as_ref() {
                    return None;
                }
            }
        }
    }
    Some(state)
}

fn committed(txns: &[Txn]) -> Vec<usize> {
    (0..txns.len()).filter(|at| txns[*at].ok).collect()
}

/// Whether some order of the transactions, one after the other, gives what they read.
pub fn serializable(txns: &[Txn], order: Order) -> bool {
    fn next(txns: &[Txn], left: &BTreeSet<usize>, state: &State, order: Order) -> bool {
        left.is_empty()
            || left.iter().any(|at| {
                let free = left.iter().all(|other| !precedes(txns, *other, *at, order));
                let Some(state) = free.then(|| run(&txns[*at], state)).flatten() else {
                    return false;
                };
                let mut rest = left.clone();
                rest.remove(at);
                next(txns, &rest, &state, order)
            })
    }
    next(txns, &committed(txns).into_iter().collect(), &State::new(), order)
}

fn written(txn: &Txn) -> BTreeSet<u32> {
    let writes = txn.ops.iter().filter_map(|op| match op {
        Op::Append(key, _) | Op::Write(key, _) => Some(*key),
        _ => None,
    });
    writes.collect()
}

/// Whether some order of begins and commits gives what they read, from snapshots at the begins, where no two that
/// write the same key are open at the same time.
pub fn snapshot(txns: &[Txn], order: Order) -> bool {
    #[derive(Clone)]
    struct At {
        fresh: BTreeSet<usize>,
        open: BTreeMap<usize, State>,
        state: State,
    }
    fn next(txns: &[Txn], at: &At, order: Order) -> bool {
        if at.fresh.is_empty() && at.open.is_empty() {
            return true;
        }
        let begins = at.fresh.iter().any(|txn| {
            let before = |other: &usize| precedes(txns, *other, *txn, order);
            if at.fresh.iter().any(before) || at.open.keys().any(before) {
                return false;
            }
            let writes = written(&txns[*txn]);
            if at
                .open
                .keys()
                .any(|other| !written(&txns[*other]).is_disjoint(&writes))
            {
                return false;
            }
            if run(&txns[*txn], &at.state).is_none() {
                return false;
            }
            let mut then = at.clone();
            then.fresh.remove(txn);
            then.open.insert(*txn, State::new());
            next(txns, &then, order)
        });
        begins
            || at.open.keys().any(|txn| {
                let mut then = at.clone();
                then.open.remove(txn);
                // No other one has written its keys since it began.
                then.state = {
                    let mut state = at.state.clone();
                    for op in &txns[*txn].ops {
                        if let Op::Append(key, value) | Op::Write(key, value) = op {
                            state.entry(*key).or_default().push(*value);
                        }
                    }
                    state
                };
                next(txns, &then, order)
            })
    }
    let fresh = committed(txns).into_iter().collect();
    next(
        txns,
        &At {
            fresh,
            open: BTreeMap::new(),
            state: State::new(),
        },
        order,
    )
}

/// The levels that ask for an order of commits in which what was visible came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weak {
    ReadCommitted,
    MonotonicAtomicView,
    ReadAtomic,
    Causal,
}

/// A read from outside: the place in the transaction, the key, and who wrote what was seen last (`None`: nobody).
#[derive(Debug, Clone, Copy)]
struct Outside {
    place: usize,
    key: u32,
    from: Option<usize>,
}

/// Whether an order of commits exists that fits (after Biswas and Enea).
pub fn weak(txns: &[Txn], level: Weak) -> bool {
    let Some(outside) = outside(txns, level) else {
        return false;
    };
    let all = committed(txns);
    let reads = |at: usize| outside.get(&at).map_or(&[][..], Vec::as_slice);
    let session = |a: usize, b: usize| precedes(txns, a, b, Order::Session);
    // What leads to what, causally.
    let mut causes = vec![vec![false; txns.len()]; txns.len()];
    for at in &all {
        for read in reads(*at) {
            if let Some(from) = read.from {
                causes[from][*at] = true;
            }
        }
        for other in &all {
            if session(*other, *at) {
                causes[*other][*at] = true;
            }
        }
    }
    for via in &all {
        for a in &all {
            for b in &all {
                causes[*a][*b] |= causes[*a][*via] && causes[*via][*b];
            }
        }
    }
    let fits = |order: &[usize]| {
        let place: BTreeMap<usize, usize> =
            order.iter().enumerate().map(|(place, at)| (*at, place)).collect();
        let before = |a: usize, b: usize| place[&a] < place[&b];
        for at in &all {
            for read in reads(*at) {
                if read.from.is_some_and(|from| !before(from, *at)) {
                    return false;
                }
                for other in all
                    .iter()
                    .filter(|other| *other != at && Some(**other) != read.from)
                {
                    if !written(&txns[*other]).contains(&read.key) {
                        continue;
                    }
                    let seen = |earlier: bool| {
                        reads(*at)
                            .iter()
                            .any(|first| first.from == Some(*other) && (!earlier || first.place < read.place))
                    };
                    let visible = match level {
                        Weak::ReadCommitted => false,
                        Weak::MonotonicAtomicView => seen(true),
                        Weak::ReadAtomic => seen(false),
                        Weak::Causal => causes[*other][*at],
                    };
                    if visible && read.from.is_none_or(|from| !before(*other, from)) {
                        return false;
                    }
                }
            }
            if level == Weak::Causal
                && all
                    .iter()
                    .any(|other| session(*other, *at) && !before(*other, *at))
            {
                return false;
            }
        }
        lists_fit(txns, order)
    };
    permutations(&all, &mut Vec::new(), &fits)
}

fn permutations(left: &[usize], order: &mut Vec<usize>, fits: &dyn Fn(&[usize]) -> bool) -> bool {
    if left.is_empty() {
        return fits(order);
    }
    (0..left.len()).any(|at| {
        let mut rest = left.to_vec();
        order.push(rest.remove(at));
        let found = permutations(&rest, order, fits);
        order.pop();
        found
    })
}

/// Each list that was read must be the beginning of what the commits come to in their order.
fn lists_fit(txns: &[Txn], order: &[usize]) -> bool {
    let mut lists: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for op in order.iter().flat_map(|at| &txns[*at].ops) {
        if let Op::Append(key, value) = op {
            lists.entry(*key).or_default().push(*value);
        }
    }
    order.iter().flat_map(|at| &txns[*at].ops).all(|op| match op {
        Op::ReadList(key, seen) => lists.get(key).map_or(&[][..], Vec::as_slice).starts_with(seen),
        _ => true,
    })
}

/// All reads from outside; `None` if one of them is wrong at any level.
fn outside(txns: &[Txn], level: Weak) -> Option<BTreeMap<usize, Vec<Outside>>> {
    let writer = |key: u32, value: i64| {
        txns.iter().position(|txn| {
            txn.ops.contains(&Op::Append(key, value)) || txn.ops.contains(&Op::Write(key, value))
        })
    };
    let last_of = |at: usize, key: u32| {
        txns[at].ops.iter().rev().find_map(|op| match op {
            Op::Append(found, value) | Op::Write(found, value) if *found == key => Some(*value),
            _ => None,
        })
    };
    let mut all = BTreeMap::new();
    for at in committed(txns) {
        let mut own: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        let mut base: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        let mut reads = Vec::new();
        for (place, op) in txns[at].ops.iter().enumerate() {
            let (key, seen, is_list) = match op {
                Op::Append(key, value) | Op::Write(key, value) => {
                    own.entry(*key).or_default().push(*value);
                    continue;
                }
                Op::ReadList(key, seen) => (*key, seen.clone(), true),
                Op::Read(key, seen) => (*key, seen.iter().copied().collect(), false),
            };
            let mine = own.get(&key).map_or(&[][..], Vec::as_slice);
            let mut rest = seen.as_slice();
            if is_list {
                rest = seen.strip_suffix(mine)?;
            } else if let Some(last) = mine.last() {
                // A register shows its own write, and nothing else.
                if seen != [*last] {
                    return None;
                }
                continue;
            }
            for value in rest {
                let from = writer(key, *value)?;
                if !txns[from].ok || from == at {
                    return None;
                }
            }
            if level >= Weak::ReadAtomic
                && base
                    .insert(key, rest.to_vec())
                    .is_some_and(|before| before != rest)
            {
                return None;
            }
            let from = rest.last().map(|value| writer(key, *value).expect("found above"));
            if let (Some(from), Some(value)) = (from, rest.last())
                && last_of(from, key) != Some(*value)
            {
                return None;
            }
            reads.push(Outside { place, key, from });
        }
        all.insert(at, reads);
    }
    Some(all)
}

/// The same history as JSON lines.
pub fn json_lines(txns: &[Txn]) -> String {
    let mut text = String::from("{\"history\":1}\n");
    for txn in txns {
        let ops: Vec<String> = txn
            .ops
            .iter()
            .map(|op| match op {
                Op::Append(key, value) => format!("[\"append\",{key},{value}]"),
                Op::ReadList(key, seen) => format!("[\"read\",{key},{seen:?}]"),
                Op::Write(key, value) => format!("[\"write\",{key},{value}]"),
                Op::Read(key, None) => format!("[\"read\",{key},null]"),
                Op::Read(key, Some(value)) => format!("[\"read\",{key},{value}]"),
            })
            .collect();
        text.push_str(&format!(
            "{{\"process\":{},\"invoke\":{},\"return\":{},\"status\":\"{}\",\"ops\":[{}]}}\n",
            txn.process,
            txn.invoke,
            txn.returned,
            if txn.ok { "ok" } else { "failed" },
            ops.join(",")
        ));
    }
    text
}
