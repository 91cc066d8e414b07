//! A database that is wrong is found, and what is wrong has its right name. A right one that loses answers is not blamed.

use std::sync::atomic::Ordering;

use crate::wrong_database::{Fault, wrong};
use crate::{Run, run_between};

const LISTS: &str = "kind: list_append, connections: 6, transactions: 600, keys: 3, txn: optimistic, seed: 1";
const LOCKED: &str =
    "kind: list_append, connections: 6, transactions: 300, keys: 8, ops: 3, read_lock: for_update, seed: 1";

/// Runs a workload on a wrong database; it was wrong at least this often.
fn on_wrong(fault: Fault, workload: &str, expect: &str) -> Run {
    let (between, done) = wrong(fault);
    let run = run_between(workload, expect, Some(between));
    let times = done.load(Ordering::Relaxed);
    assert!(times >= 2, "{fault:?}: wrong only {times} times\n{}", run.told());
    run
}

/// Runs a workload on a wrong database: one of these anomalies is found, and the trial fails for it.
fn finds(fault: Fault, workload: &str, anomalies: &[&str]) -> Run {
    let run = on_wrong(fault, workload, "isolation: promised");
    let found: Vec<&&str> = anomalies.iter().filter(|one| run.has(one)).collect();
    assert_eq!(
        found.len(),
        anomalies.len(),
        "{fault:?}: only {found:?}\n{}",
        run.told()
    );
    let blames = |message: &&str| anomalies.iter().any(|one| message.contains(one));
    assert!(run.messages().iter().any(blames), "{fault:?}\n{}", run.told());
    run
}

#[test]
fn a_stale_read() {
    let run = finds(Fault::StaleRead, LISTS, &["timestamp-mismatch"]);
    // Without timestamps it is a cycle with real time, or one of data alone.
    let cycles = ["G-single-realtime", "G-single", "lost-update", "G-single-process"];
    assert!(cycles.iter().any(|one| run.has(one)), "{}", run.told());
    let registers = "kind: register, connections: 6, transactions: 800, keys: 1, seed: 1";
    finds(Fault::StaleRead, registers, &["timestamp-mismatch"]);
}

#[test]
fn a_dropped_commit() {
    let run = finds(Fault::DroppedCommit, LISTS, &["lost-write"]);
    assert!(run.has("timestamp-mismatch") || run.has("own-write-missed") || run.has("lost-write"));
    finds(Fault::DroppedCommit, LOCKED, &["lost-write"]);
}

#[test]
fn a_dropped_insert_into_a_set() {
    let set = "kind: set, connections: 6, transactions: 400, seed: 1";
    let run = on_wrong(Fault::DroppedCommit, set, "isolation: strong snapshot isolation");
    let invariant = "was acknowledged before, and was not there";
    assert!(run.worked.summary.contains(invariant), "{}", run.told());
    let blames = |message: &&str| message.starts_with("strong snapshot isolation does not hold");
    assert!(run.messages().iter().any(blames), "{}", run.told());
    let disagree = |message: &&str| message.contains("no anomaly that explains it");
    assert!(
        !run.messages().iter().any(disagree),
        "both witnesses agree\n{}",
        run.told()
    );
}

#[test]
fn an_aborted_write_that_is_applied() {
    finds(Fault::AppliedAbort, LISTS, &["G1a"]);
    finds(Fault::AppliedAbort, LOCKED, &["G1a"]);
    let set = "kind: set, connections: 6, transactions: 400, seed: 1";
    let run = on_wrong(Fault::AppliedAbort, set, "isolation: promised");
    let invariant = "was there, and its insert had failed";
    assert!(run.worked.summary.contains(invariant), "{}", run.told());
    assert!(run.has("G1a"), "{}", run.told());
}

#[test]
fn a_write_that_is_skipped() {
    let run = on_wrong(Fault::SkippedWrite, LISTS, "isolation: promised");
    let names = ["own-write-missed", "lost-write"];
    assert!(names.iter().any(|one| run.has(one)), "{}", run.told());
    assert!(!run.messages().is_empty());
}

#[test]
fn a_write_that_is_done_twice() {
    finds(Fault::DoubledWrite, LISTS, &["duplicate"]);
}

#[test]
fn half_of_a_transfer() {
    for mode in ["txn: optimistic", "txn: pessimistic", "read_lock: for_update"] {
        let bank = format!("kind: bank, connections: 6, transactions: 300, {mode}, seed: 1");
        let run = on_wrong(Fault::SkippedWrite, &bank, "isolation: snapshot");
        assert!(run.has("wrong-total"), "{}", run.told());
        assert!(run.worked.ran.broken > 0, "{}", run.told());
        let blames = |message: &&str| message.contains("snapshot isolation does not hold: wrong-total");
        assert!(run.messages().iter().any(blames), "{}", run.told());
    }
}

#[test]
fn a_transaction_that_is_committed_in_two_parts() {
    let run = on_wrong(Fault::TornCommit, LISTS, "isolation: snapshot");
    assert!(!run.messages().is_empty(), "{}", run.told());
    let names = ["fractured-read", "OTV", "G1b", "G-single", "G1a", "lost-update"];
    assert!(names.iter().any(|one| run.has(one)), "{}", run.told());
}

#[test]
fn answers_that_are_lost_are_unknown_and_nobody_is_blamed() {
    for fault in [Fault::LostAnswer, Fault::Interrupted] {
        let expect = "isolation: strong snapshot, anomalies: {allowed: [G2-item]}";
        let run = on_wrong(fault, LISTS, expect);
        assert_eq!(run.messages(), [""; 0], "{fault:?}\n{}", run.told());
        let ran = &run.worked.ran;
        assert!(ran.unknown >= 2, "{fault:?}\n{}", run.told());
        assert!(
            ran.replaced >= ran.unknown,
            "its process does nothing more\n{}",
            run.told()
        );
    }
}

#[test]
fn a_commit_over_its_limit_is_unknown() {
    let text = "scenario: x\nstep_timeout: 300ms\nworkload: {kind: list_append, connections: 4, transactions: 100, keys: 2, \
                seed: 1, txn: optimistic}\nexpect: {isolation: strong snapshot, at_least: {ok: 1}}\n";
    let (between, done) = wrong(Fault::Silence);
    let run = crate::run_file(text, Some(between));
    assert!(done.load(Ordering::Relaxed) >= 1);
    assert_eq!(run.messages(), [""; 0], "{}", run.told());
    assert_eq!(
        run.worked.ran.unknown,
        done.load(Ordering::Relaxed),
        "{}",
        run.told()
    );
}

#[test]
fn an_error_that_no_workload_expects() {
    let run = on_wrong(Fault::StrangeError, LISTS, "isolation: promised");
    let strange = |message: &&str| message.contains("transactions failed with error 1105");
    assert!(run.messages().iter().any(strange), "{}", run.told());
}
