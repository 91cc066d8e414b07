//! The timestamp check against its definition: for each read, all versions are looked at.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use tidb_scenarios::isolation::{Action, Anomaly, Level, Status, Transaction, analyze, check};

use super::database::{Fault, MODES, Mode, Play, play};
use super::notation::history;

/// The values of a key at a timestamp: by the writes with the latest commit_ts at or below it.
fn at(writes: &[(u64, i64, i64)], key: i64, ts: u64) -> Vec<i64> {
    let mut seen: Vec<(u64, i64)> = writes
        .iter()
        .filter(|(commit, found, _)| *found == key && *commit <= ts)
        .map(|(commit, _, value)| (*commit, *value))
        .collect();
    seen.sort_by_key(|(commit, _)| *commit);
    seen.into_iter().map(|(_, value)| value).collect()
}

/// How many reads are not what they must be.
fn wrong_reads(transactions: &[Transaction], registers: bool) -> usize {
    let integer = |value: tidb_scenarios::isolation::Value| value.as_integer().expect("integers only");
    let mut writes = Vec::new();
    for transaction in transactions
        .iter()
        .filter(|transaction| transaction.status == Status::Ok)
    {
        for operation in transaction.operations() {
            if let Action::Append(key, value) | Action::Write(key, value) = operation.action {
                writes.push((
                    transaction.commit_ts.expect("it wrote"),
                    integer(key),
                    integer(value),
                ));
            }
        }
    }
    let mut wrong = 0;
    for transaction in transactions {
        let mut own: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for operation in transaction.operations() {
            let (key, seen): (i64, Vec<i64>) = match operation.action {
                Action::Append(key, value) | Action::Write(key, value) => {
                    own.entry(integer(key)).or_default().push(integer(value));
                    continue;
                }
                Action::ReadList(key, at) => (
                    integer(key),
                    transaction
                        .values(at)
                        .iter()
                        .map(|value| integer(*value))
                        .collect(),
                ),
                Action::Read(key, value) => (integer(key), value.as_integer().into_iter().collect()),
                Action::Range(..) | Action::Count(..) => unreachable!("not played"),
            };
            let mine = own.get(&key).cloned().unwrap_or_default();
            // What stands below own writes is what their own statement saw: all that was committed before.
            let ts = match transaction.commit_ts {
                _ if mine.is_empty() => operation.read_ts.expect("timestamps are played"),
                Some(commit) => commit - 1,
                // Of a transaction that failed, that is not known.
                None if registers => 0,
                None => continue,
            };
            let mut expected = at(&writes, key, ts);
            expected.extend(mine);
            if registers {
                expected = expected.last().copied().into_iter().collect();
            }
            wrong += usize::from(expected != seen);
        }
    }
    wrong
}

#[test]
fn it_agrees_with_its_definition() {
    let (mut clean, mut dirty) = (0, 0);
    for fault in [
        Fault::None,
        Fault::StaleRead,
        Fault::DirtyRead,
        Fault::LateCommit,
        Fault::TornCommit,
        Fault::DroppedCommit,
    ] {
        for mode in MODES {
            for registers in [false, true] {
                for seed in 0..8 {
                    let played = Play {
                        mode,
                        fault,
                        registers,
                        seed,
                        transactions: 60,
                        ..Play::default()
                    };
                    let (history, transactions) = play(played);
                    let wrong = wrong_reads(&transactions, registers);
                    let analysis = analyze(&history).expect("a history");
                    let found = analysis.anomalies().contains(Anomaly::Timestamp);
                    assert_eq!(
                        found,
                        wrong > 0,
                        "{played:?}: {wrong} wrong\n{:#?}",
                        analysis.findings
                    );
                    if found { dirty += 1 } else { clean += 1 }
                }
            }
        }
    }
    assert!(clean > 50 && dirty > 50, "{clean} clean, {dirty} dirty");
}

fn told(text: &str, expected: Expect) {
    let history = history(text);
    let report = check(&history, Level::Timestamps).expect("timestamps");
    let stories: Vec<&str> = report
        .refutes
        .iter()
        .map(|finding| finding.story.as_str())
        .collect();
    expected.assert_eq(&stories.join("\n"));
}

#[test]
fn each_kind_of_mismatch_is_told() {
    told(
        "a ts=1/4: append x 1\nb ts=5: read x [1]\nc ts=3: read x []",
        expect![""],
    );
    told(
        "a ts=1/4: append x 1\nb ts=5: read x []",
        expect![
            "T2 has `read key x: []` at ts 5 and missed T1, which appended 1 to key x and committed at ts 4"
        ],
    );
    told(
        "a ts=1/4: append x 1\nb ts=3: read x [1]",
        expect![
            "T2 has `read key x: [1]` at ts 3 and saw T1, which appended 1 to key x and committed at ts 4"
        ],
    );
    told(
        "a ts=1/4: write x 1\nb ts=3: read x 1",
        expect!["T2 has `read key x: 1` at ts 3 and saw T1, which wrote 1 to key x and committed at ts 4"],
    );
    told(
        "a ts=1/4: write x 1\nb ts=5: read x nil",
        expect![
            "T2 has `read key x: nil` at ts 5 and missed T1, which wrote 1 to key x and committed at ts 4"
        ],
    );
    told(
        "a ts=1/4: write x 1\nb ts=2: read x 7",
        expect!["T2 has `read key x: 7` at ts 2, which is not what was there at that timestamp"],
    );
    // A failed transaction reads from a snapshot, too.
    told(
        "a ts=1/4: append x 1\nb ts=5 failed: read x []\nc ts=6: read x [1]",
        expect![
            "T2 has `read key x: []` at ts 5 and missed T1, which appended 1 to key x and committed at ts 4"
        ],
    );
    // An operation's own timestamp goes before the transaction's.
    told(
        "a ts=1/4: append x 1\nb ts=3: read x [], read x [1] @5",
        expect![""],
    );
    told(
        "a ts=1/4: append x 1\nb ts=3: read x [], read x [] @5",
        expect![
            "T2 has `read key x: []` at ts 5 and missed T1, which appended 1 to key x and committed at ts 4"
        ],
    );
    told(
        "a ts=5/4: append x 1\nb ts=6: read x [1]",
        expect!["T1 committed at ts 4, which is not after its start_ts 5"],
    );
    told(
        "a 1-2 ts=1/9: append x 1\nb 3-4 ts=5: read x []",
        expect!["T2 began at 3 ns with start_ts 5; T1 had committed at ts 9 and returned at 2 ns"],
    );
    told("a 1-9 ts=1/9: append x 1\nb 3-4 ts=5: read x []", expect![""]);
    told(
        "{\"history\": 1, \"mode\": \"optimistic\"}\na ts=1/4: write x 1\nb ts=2/6: write x 2\nc ts=7: read x 2",
        expect![
            "T2 has `write 2 to key x` at ts 2 and committed at ts 6; between the two comes T1, which wrote 1 to key x and committed at ts 4"
        ],
    );
    told(
        "{\"history\": 1, \"mode\": \"optimistic\"}\na ts=1/4: append x 1\nb ts=2/6: append x 2\nc ts=7: read x [1 2]",
        expect![
            "T2 has `append 2 to key x` at ts 2 and committed at ts 6; between the two comes T1, which appended 1 to key x and committed at ts 4"
        ],
    );
    told(
        "a ts=1/4: write 1 5, write 2 6\nb ts=5: range 0 9 {1=5 2=6}, count 0 9 2, count 2 9 1",
        expect![""],
    );
    told(
        "a ts=1/4: write 1 5, write 2 6\nb ts=5: range 0 9 {1=5}",
        expect![
            "T2 has `read range 0 to 9: {1: 5}` at ts 5 and missed T1, which wrote 6 to key 2 and committed at ts 4"
        ],
    );
    told(
        "a ts=1/4: write 1 5, write 2 6\nb ts=5: range 5 6 {}, count 0 9 1",
        expect!["T2 has `count range 0 to 9: 1` at ts 5, which is not what was there at that timestamp"],
    );
    told(
        "a ts=1/4: write 1 5\na ts=5/8: write 1 nil\nb ts=9: range 0 9 {}, count 0 9 0\nc ts=6: range 0 9 {1=5}",
        expect![""],
    );
    // Values may repeat where timestamps tell them apart.
    told(
        "a ts=1/4: write x 5\na ts=5/8: write x 6\na ts=9/12: write x 5\nb ts=6: read x 5\nb ts=10: read x 6\nb ts=13: read x 5",
        expect![""],
    );
    // What has an unknown outcome comes in once, and for good.
    told(
        "a ts=1/4: write x 1\nu ts=5 unknown: write x 2\nb ts=6: read x 1\nc ts=7: read x 2\nd ts=8: read x 2",
        expect![""],
    );
    told(
        "a ts=1/4: write x 1\nu ts=5 unknown: write x 2\nb ts=6: read x 1\nc ts=7: read x 2\nd ts=8: read x 1",
        expect!["T5 has `read key x: 1` at ts 8, but another version had replaced this one by then"],
    );
    told(
        "a ts=1/4: append x 1\nu ts=5 unknown: append x 2\nb ts=6: read x [1]\nc ts=7: read x [1 2]\nd ts=8: read x [1 2]",
        expect![""],
    );
}

#[test]
fn repeatable_read_pessimistic_is_judged_by_the_timestamp_of_each_read() {
    // Plain reads at start_ts, DML at for_update_ts: no snapshot, and no mistake.
    let text = "{\"history\": 1, \"mode\": \"pessimistic\", \"isolation\": \"repeatable read\", \"read_lock\": \"plain\"}
        alice 1-9 ts=1/8: read x [], append x 2, read x [1 2]
        bob 2-3 ts=3/5: append x 1";
    let history = history(text);
    let report = check(&history, Level::Timestamps).expect("timestamps");
    assert!(report.holds(), "{:#?}", report.refutes);
    let report = check(&history, Level::Promised).expect("a mode");
    assert!(report.holds(), "{:#?}", report.refutes);
    assert!(
        report
            .allowed
            .iter()
            .any(|finding| finding.anomaly.to_string() == "G-single")
    );
    let _ = Mode::PessimisticPlain;
}
