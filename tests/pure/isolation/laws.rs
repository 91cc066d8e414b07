//! Laws that hold of all histories.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidb_scenarios::isolation::{Analysis, Model, analyze};

use super::agree::parsed;
use super::brute::{Op, Txn, json_lines};

fn analyzed(txns: &[Txn]) -> Analysis {
    let text = json_lines(txns);
    analyze(&parsed(&text)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a transaction does, its reads not yet filled in: (reads?, key).
type Plan = Vec<(bool, u32)>;

/// Runs plans one after the other.
fn serial(plans: &[(u32, Plan)], lists: bool) -> Vec<Txn> {
    let mut state: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    let mut next = 0;
    let mut txns = Vec::new();
    for (at, (process, plan)) in plans.iter().enumerate() {
        let ops = plan
            .iter()
            .map(|(reads, key)| {
                let values = state.entry(*key).or_default();
                if *reads {
                    return if lists {
                        Op::ReadList(*key, values.clone())
                    } else {
                        Op::Read(*key, values.last().copied())
                    };
                }
                next += 1;
                values.push(next);
                if lists {
                    Op::Append(*key, next)
                } else {
                    Op::Write(*key, next)
                }
            })
            .collect();
        let begin = at as u64 * 10 + 1;
        txns.push(Txn {
            process: *process,
            invoke: begin,
            returned: begin + 5,
            ok: true,
            ops,
        });
    }
    txns
}

fn plans() -> impl Strategy<Value = Vec<(u32, Plan)>> {
    let plan = prop::collection::vec((any::<bool>(), 0_u32..5), 1..6);
    prop::collection::vec((0_u32..4, plan), 1..60)
}

/// Holds a model that the first history held.
fn assert_no_less(before: &Analysis, after: &Analysis, what: &str) {
    for model in Model::all().filter(|model| before.holds(*model)) {
        assert!(
            after.holds(model),
            "{what}: {model} held before: {:#?}",
            after.findings
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_serial_execution_passes_every_level(plans in plans(), lists in any::<bool>()) {
        let analysis = analyzed(&serial(&plans, lists));
        prop_assert_eq!(&analysis.findings, &Vec::new());
        prop_assert_eq!(analysis.strongest(), vec![Model::StrictSerializable]);
    }

    #[test]
    fn weakening_a_history_adds_no_anomaly(seed in any::<u64>(), drop in any::<prop::sample::Index>()) {
        let mut txns = super::agree::listed(&mut super::agree::Random(seed));
        let before = analyzed(&txns);
        // Processes that have nothing to do with each other.
        let mut apart = txns.clone();
        for (at, txn) in apart.iter_mut().enumerate() {
            txn.process = 1_000 + at as u32;
        }
        let after = analyzed(&apart);
        for model in Model::all().filter(|model| before.holds(*model)) {
            prop_assert!(after.holds(model), "{} without processes", model);
        }
        // One that took longer.
        let mut longer = txns.clone();
        for txn in &mut longer {
            txn.returned += 1_000_000;
        }
        for (at, txn) in longer.iter_mut().enumerate() {
            txn.process = 1_000 + at as u32;
        }
        assert_no_less(&before, &analyzed(&longer), "without real time");
        // One read less. Where reads are dirty or contradict each other, another order may be believed then.
        let at = drop.index(txns.len());
        if before.holds(Model::ReadCommitted)
            && let Some(read) = txns[at].ops.iter().position(|op| matches!(op, Op::ReadList(..))) {
            txns[at].ops.remove(read);
            assert_no_less(&before, &analyzed(&txns), "with a read less");
        }
    }

    #[test]
    fn an_injected_cycle_is_found(plans in plans(), at in any::<prop::sample::Index>(), which in 0_usize..5) {
        let mut txns = serial(&plans, true);
        let place = at.index(txns.len());
        let (name, ops): (&str, Vec<Vec<Op>>) = match which {
            0 => ("G0", vec![
                vec![Op::Append(100, 1), Op::Append(101, 1)],
                vec![Op::Append(100, 2), Op::Append(101, 2)],
                vec![Op::ReadList(100, vec![1, 2]), Op::ReadList(101, vec![2, 1])],
            ]),
            1 => ("G1c", vec![
                vec![Op::Append(100, 1), Op::ReadList(101, vec![1])],
                vec![Op::Append(101, 1), Op::ReadList(100, vec![1])],
            ]),
            2 => ("G-single", vec![
                vec![Op::ReadList(100, vec![]), Op::ReadList(101, vec![1])],
                vec![Op::Append(100, 1)],
                vec![Op::ReadList(100, vec![1]), Op::Append(101, 1)],
            ]),
            3 => ("long-fork", vec![
                vec![Op::Append(100, 1)],
                vec![Op::Append(101, 1)],
                vec![Op::ReadList(100, vec![1]), Op::ReadList(101, vec![])],
                vec![Op::ReadList(100, vec![]), Op::ReadList(101, vec![1])],
            ]),
            _ => ("write-skew", vec![
                vec![Op::ReadList(100, vec![]), Op::Append(101, 1)],
                vec![Op::ReadList(101, vec![]), Op::Append(100, 1)],
            ]),
        };
        // All at the same time, from a moment in the middle to the end.
        let invoke = txns[place].invoke;
        let count = ops.len();
        for (at, ops) in ops.into_iter().enumerate() {
            txns.push(Txn { process: 50 + at as u32, invoke, returned: 1_000_000, ok: true, ops });
        }
        let analysis = analyzed(&txns);
        let finding = analysis.findings.iter().find(|finding| {
            finding.anomaly.to_string() == name || finding.also.iter().any(|also| also.to_string() == name)
        });
        let finding = finding.unwrap_or_else(|| panic!("no {name}: {:#?}", analysis.findings));
        prop_assert!(finding.transactions.len() <= count);
        prop_assert_eq!(finding.shortest, Some(true));
        for transaction in &finding.transactions {
            prop_assert!(transaction.process.parse::<u32>().is_ok_and(|process| process >= 50), "{:?}", transaction);
        }
    }
}
