//! The fast checker against the slow one, on thousands of small random histories.

use std::collections::BTreeMap;

use tidb_scenarios::isolation::{Analysis, Format, History, Model, analyze, read_history, render_finding};

use super::brute::{Op, Order, Txn, Weak, json_lines, serializable, snapshot, weak};

/// splitmix64: the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Transactions with their writes; who reads what comes later.
fn skeleton(random: &mut Random, lists: bool) -> Vec<Txn> {
    let count = 2 + random.below(4) as usize;
    let processes = 1 + random.below(3);
    let keys = 1 + random.below(3);
    let mut free_at = vec![1_u64; processes as usize];
    let mut next_value = 0;
    let mut txns = Vec::new();
    for _ in 0..count {
        let process = random.below(processes) as usize;
        let invoke = free_at[process] + random.below(4);
        let returned = invoke + 1 + random.below(6);
        free_at[process] = returned + 1;
        let ops = (0..1 + random.below(4))
            .map(|_| {
                let key = random.below(keys) as u32;
                match (random.below(2), lists) {
                    (0, true) => Op::ReadList(key, Vec::new()),
                    (0, false) => Op::Read(key, None),
                    (_, lists) => {
                        next_value += 1;
                        if lists {
                            Op::Append(key, next_value)
                        } else {
                            Op::Write(key, next_value)
                        }
                    }
                }
            })
            .collect();
        txns.push(Txn {
            process: process as u32,
            invoke,
            returned,
            ok: !random.one_in(10),
            ops,
        });
    }
    txns
}

/// Fills in what was read: each transaction from a snapshot of an order of all, now and then from another one.
fn fill(random: &mut Random, txns: &mut [Txn]) {
    let mut order: Vec<usize> = (0..txns.len()).collect();
    for at in (1..order.len()).rev() {
        // Mostly in the order of time.
        if random.one_in(3) {
            order.swap(at, random.below(at as u64 + 1) as usize);
        }
    }
    let dirty = random.one_in(6);
    // States after each transaction of the order.
    let mut states: Vec<BTreeMap<u32, Vec<i64>>> = vec![BTreeMap::new()];
    for at in &order {
        let mut state = states.last().expect("one").clone();
        if txns[*at].ok || dirty {
            for op in &txns[*at].ops {
                if let Op::Append(key, value) | Op::Write(key, value) = op {
                    state.entry(*key).or_default().push(*value);
                }
            }
        }
        states.push(state);
    }
    let looseness = random.below(5);
    for (place, at) in order.iter().enumerate() {
        let far = |random: &mut Random| random.below(states.len() as u64) as usize;
        let mut snapshot = if random.below(6) < looseness {
            far(random)
        } else {
            place
        };
        let mut own: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        let mut ops = txns[*at].ops.clone();
        for op in &mut ops {
            if random.below(12) < looseness {
                snapshot = far(random);
            }
            let mine = |own: &BTreeMap<u32, Vec<i64>>, key: u32| own.get(&key).cloned().unwrap_or_default();
            match op {
                Op::Append(key, value) | Op::Write(key, value) => own.entry(*key).or_default().push(*value),
                Op::ReadList(key, seen) => {
                    *seen = states[snapshot].get(key).cloned().unwrap_or_default();
                    let mine = mine(&own, *key);
                    if !random.one_in(20) {
                        seen.retain(|value| !mine.contains(value));
                        seen.extend(mine);
                    }
                    if random.one_in(25) {
                        seen.pop();
                    }
                }
                Op::Read(key, seen) => {
                    let other = states[snapshot]
                        .get(key)
                        .and_then(|values| values.last().copied());
                    let mine = mine(&own, *key).last().copied();
                    *seen = if random.one_in(20) { other } else { mine.or(other) };
                }
            }
        }
        txns[*at].ops = ops;
    }
}

/// One more transaction that reads the whole of each list, so that the order of all versions is known.
fn read_all(txns: &mut Vec<Txn>) {
    let mut lists: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    // The longest that was read, and what it lacks.
    for op in txns.iter().flat_map(|txn| &txn.ops) {
        if let Op::ReadList(key, seen) = op {
            let known = lists.entry(*key).or_default();
            if seen.len() > known.len() {
                known.clone_from(seen);
            }
        }
    }
    for txn in txns.iter().filter(|txn| txn.ok) {
        for op in &txn.ops {
            if let Op::Append(key, value) = op {
                let list = lists.entry(*key).or_default();
                if !list.contains(value) {
                    list.push(*value);
                }
            }
        }
    }
    let end = txns.iter().map(|txn| txn.returned).max().unwrap_or(0);
    txns.push(Txn {
        process: 99,
        invoke: end + 1,
        returned: end + 2,
        ok: true,
        ops: lists
            .into_iter()
            .map(|(key, list)| Op::ReadList(key, list))
            .collect(),
    });
}

/// A history of lists whose whole order is known.
pub fn listed(random: &mut Random) -> Vec<Txn> {
    let mut txns = skeleton(random, true);
    fill(random, &mut txns);
    read_all(&mut txns);
    txns
}

pub fn parsed(text: &str) -> History {
    read_history(text.as_bytes(), Some(Format::JsonLines)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn analyzed(text: &str) -> Analysis {
    analyze(&parsed(text)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn slow(txns: &[Txn], model: Model) -> bool {
    match model {
        Model::ReadCommitted => weak(txns, Weak::ReadCommitted),
        Model::MonotonicAtomicView => weak(txns, Weak::MonotonicAtomicView),
        Model::ReadAtomic => weak(txns, Weak::ReadAtomic),
        Model::Causal => weak(txns, Weak::Causal),
        Model::SnapshotIsolation => snapshot(txns, Order::Any),
        Model::StrongSessionSnapshotIsolation => snapshot(txns, Order::Session),
        Model::StrongSnapshotIsolation => snapshot(txns, Order::Realtime),
        Model::Serializable | Model::RepeatableRead => serializable(txns, Order::Any),
        Model::StrongSessionSerializable => serializable(txns, Order::Session),
        Model::StrictSerializable => serializable(txns, Order::Realtime),
        Model::ReadUncommitted => true,
    }
}

/// The seeds to try: `TIDB_SCENARIOS_SEEDS=0..100000` tries others.
fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(given) = std::env::var("TIDB_SCENARIOS_SEEDS") else {
        return usual;
    };
    let parts = given
        .split_once("..")
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to) = parts.unwrap_or_else(|| panic!("`{given}` is no range such as 0..100000"));
    from..to
}

/// Models that the slow checker knows.
const MODELS: [Model; 10] = [
    Model::ReadCommitted,
    Model::MonotonicAtomicView,
    Model::ReadAtomic,
    Model::Causal,
    Model::SnapshotIsolation,
    Model::StrongSessionSnapshotIsolation,
    Model::StrongSnapshotIsolation,
    Model::Serializable,
    Model::StrongSessionSerializable,
    Model::StrictSerializable,
];

/// Compares; `exact` are the models on which both must agree, on the others the fast one must not refute too much.
fn compare(
    seeds: std::ops::Range<u64>,
    lists: bool,
    whole: bool,
    exact: &[Model],
) -> BTreeMap<String, [usize; 3]> {
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for seed in seeds {
        let mut random = Random(seed);
        let mut txns = skeleton(&mut random, lists);
        fill(&mut random, &mut txns);
        if whole {
            read_all(&mut txns);
        }
        let text = json_lines(&txns);
        let analysis = analyzed(&text);
        for model in MODELS {
            let (fast, slow) = (analysis.holds(model), slow(&txns, model));
            let count = counts.entry(model.to_string()).or_default();
            count[0] += usize::from(fast && slow);
            count[1] += usize::from(!fast && !slow);
            count[2] += usize::from(fast && !slow);
            let wrong = if exact.contains(&model) {
                fast != slow
            } else {
                !fast && slow
            };
            assert!(
                !wrong,
                "seed {seed}: {model}: the fast checker says {fast}, the slow one {slow}\n{text}\n{}",
                analysis.findings.iter().map(render_finding).collect::<String>()
            );
        }
    }
    counts
}

/// Both answers must come often enough to mean something.
fn assert_varied(counts: &BTreeMap<String, [usize; 3]>, least: usize) {
    for (model, [hold, refuted, _]) in counts {
        assert!(
            *hold > least && *refuted > least,
            "{model}: {hold} hold, {refuted} are refuted"
        );
    }
}

#[test]
fn both_checkers_agree_on_lists_whose_order_is_known() {
    let counts = compare(seeds(0..2_500), true, true, &MODELS);
    assert_varied(&counts, 60);
}

/// Where versions were never read, only their order is unknown: snapshot isolation may be refuted by all of the orders
/// for different reasons, and the fast checker does not try them.
#[test]
fn both_checkers_agree_on_lists() {
    let exact = [
        Model::ReadCommitted,
        Model::MonotonicAtomicView,
        Model::ReadAtomic,
        Model::Causal,
        Model::Serializable,
        Model::StrongSessionSerializable,
        Model::StrictSerializable,
    ];
    let counts = compare(seeds(10_000..12_500), true, false, &exact);
    assert_varied(&counts, 60);
    for (model, [hold, refuted, missed]) in &counts {
        assert!(*missed * 20 < hold + refuted, "{model}: {missed} missed");
    }
}

/// The order of a register's versions is known in part only, so that models which need all of it may be refuted by
/// the slow checker alone; the weaker ones are decided.
#[test]
fn both_checkers_agree_on_registers() {
    let exact = [
        Model::ReadCommitted,
        Model::MonotonicAtomicView,
        Model::ReadAtomic,
        Model::Causal,
    ];
    let counts = compare(seeds(20_000..22_500), false, false, &exact);
    assert_varied(&counts, 60);
    for (model, [hold, refuted, missed]) in &counts {
        assert!(
            *missed * 3 < hold + refuted,
            "{model}: {missed} missed of {refuted}"
        );
    }
}
