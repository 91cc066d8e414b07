//! Histories of list appends, as a database would have made them.

use std::collections::HashMap;

use tidb_scenarios::isolation::{Action, HistoryBuilder, Transaction, TransactionMode, Value};

/// How the database that is played isolates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Played {
    /// Each transaction at one moment between its begin and its end.
    StrictSerializable,
    /// Reads from the snapshot of the begin; of two that write the same key at the same time, one fails.
    SnapshotIsolation,
    /// Plain reads from the snapshot of the begin, appends to the newest version: TiDB's pessimistic mode.
    Pessimistic,
}

/// A generator of numbers that is the same everywhere (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What is generated.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub transactions: usize,
    pub processes: usize,
    /// Keys in use at a time; one that has been appended to `appends` times is replaced by a new one.
    pub keys: usize,
    pub appends: usize,
    pub played: Played,
    pub timestamps: bool,
}

struct Running {
    process: usize,
    invoke: u64,
    start: u64,
    ops: Vec<(u64, Option<i64>)>,
}

/// Calls `each` with each transaction, in the order in which they end.
pub fn generate(shape: &Shape, seed: u64, mut each: impl FnMut(&Transaction)) {
    let mut random = Random(seed);
    let mut next_key = shape.keys as u64;
    let mut active: Vec<(u64, i64)> = (0..shape.keys as u64).map(|key| (key, 0)).collect();
    // Of each key, the values with the time of their commit.
    let mut lists: HashMap<u64, Vec<(u64, i64)>> = HashMap::new();
    let mut clock = 1_000_u64;
    let mut running: Vec<Option<Running>> = (0..shape.processes).map(|_| None).collect();
    let mut transaction = Transaction::default();
    let mut ended = 0;
    while ended < shape.transactions {
        clock += 1 + random.below(1_000);
        let process = random.below(shape.processes as u64) as usize;
        let Some(current) = running[process].take() else {
            let count = 1 + random.below(5);
            let ops = (0..count)
                .map(|_| {
                    let slot = random.below(shape.keys as u64) as usize;
                    if random.below(2) == 0 {
                        return (active[slot].0, None);
                    }
                    active[slot].1 += 1;
                    let op = (active[slot].0, Some(active[slot].1));
                    if active[slot].1 as usize >= shape.appends {
                        active[slot] = (next_key, 0);
                        next_key += 1;
                    }
                    op
                })
                .collect();
            running[process] = Some(Running {
                process,
                invoke: clock,
                start: clock,
                ops,
            });
            continue;
        };
        finish(shape, &current, clock, &mut lists, &mut transaction);
        each(&transaction);
        ended += 1;
    }
}

fn finish(
    shape: &Shape,
    current: &Running,
    clock: u64,
    lists: &mut HashMap<u64, Vec<(u64, i64)>>,
    transaction: &mut Transaction,
) {
    let integer = |value: i64| Value::integer(value).expect("small");
    transaction.clear();
    transaction.process = integer(current.process as i64);
    transaction.invoke = Some(current.invoke);
    transaction.returned = Some(clock + 1);
    let snapshot = match shape.played {
        Played::StrictSerializable => clock,
        Played::SnapshotIsolation | Played::Pessimistic => current.start,
    };
    let may_conflict = shape.played != Played::Pessimistic;
    let conflicts = may_conflict
        && current.ops.iter().any(|(key, value)| {
            let last = lists.get(key).and_then(|list| list.last());
            value.is_some() && last.is_some_and(|(commit, _)| *commit > snapshot)
        });
    if conflicts {
        transaction.status = tidb_scenarios::isolation::Status::Failed;
    }
    if shape.timestamps {
        transaction.start_ts = Some(snapshot.min(clock - 1).max(1));
        transaction.commit_ts = (!conflicts).then_some(clock);
        if shape.played == Played::StrictSerializable {
            transaction.start_ts = Some(clock - 1);
        }
    }
    let mut own: Vec<(u64, i64)> = Vec::new();
    for (key, value) in &current.ops {
        let name = integer(*key as i64);
        match value {
            Some(value) => {
                own.push((*key, *value));
                transaction.push(Action::Append(name, integer(*value)));
            }
            None => {
                let list = lists.get(key).map_or(&[][..], Vec::as_slice);
                // Below own appends stands all that was there when they were made.
                let has_own = own.iter().any(|(other, _)| other == key);
                let ts = if has_own { clock } else { snapshot };
                let seen = list.partition_point(|(commit, _)| *commit <= ts);
                let mine = own
                    .iter()
                    .filter(|(other, _)| other == key)
                    .map(|(_, value)| *value);
                let values = list[..seen].iter().map(|(_, value)| *value).chain(mine);
                transaction.read_list(name, values.map(integer));
            }
        }
    }
    if !conflicts {
        for (key, value) in own {
            lists.entry(key).or_default().push((clock, value));
        }
    }
}

/// The history, in memory.
pub fn builder(shape: &Shape, seed: u64) -> HistoryBuilder {
    let mut builder = HistoryBuilder::new();
    if shape.played == Played::SnapshotIsolation {
        builder.header_mut().mode = Some(TransactionMode::Optimistic);
    }
    generate(shape, seed, |transaction| {
        builder.add(transaction).expect("a history")
    });
    builder
}
