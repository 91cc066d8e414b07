//! What is expected of a workload, the red side first.

use std::fs;
use std::process::Command;

use tidb_scenarios::isolation::{Status, read_history};

use crate::run;

const SKEW: &str = "kind: write_skew, connections: 8, transactions: 400, keys: 2, txn: optimistic, seed: 7";

#[test]
fn write_skew_is_not_serializable() {
    let red = run(SKEW, "isolation: serializable");
    assert_eq!(
        red.messages(),
        ["serializable does not hold: G2-item (write skew)"],
        "{}",
        red.told()
    );
    let told = red.told();
    for text in [
        "a cycle; there is no shorter one of its kind",
        "─rw→",
        "check it again: tidb-scenarios check-history ",
        "--isolation serializable",
        "seed: 7",
        "the invariant \"one of each pair is on\" was broken",
    ] {
        assert!(told.contains(text), "{text}\n{told}");
    }
    // The same history by other expectations.
    let judged = |expect: &str| red.judged_by(SKEW, expect);
    assert_eq!(
        judged("isolation: snapshot, anomalies: {allowed: [G2-item]}"),
        [""; 0]
    );
    assert_eq!(
        judged("isolation: snapshot, anomalies: {allowed: [write-skew]}"),
        [""; 0]
    );
    assert_eq!(judged("anomalies: {present: [write-skew]}"), [""; 0]);
    assert_eq!(judged("anomalies: {allowed: [], present: [G2-item]}"), [""; 0]);
    assert_eq!(
        judged("anomalies: {allowed: []}"),
        ["an anomaly that is not allowed: G2-item (write skew)"]
    );
    assert_eq!(
        judged("isolation: read committed, anomalies: {present: [G-single]}"),
        ["expected to find G-single (read skew), and did not"]
    );
    assert_eq!(
        judged("isolation: snapshot, at_least: {ok: 400, conflicts: 1000000, reads: 1000000}"),
        [
            format!(
                "expected at least 400 transactions that commit, got {}",
                red.worked.ran.ok
            ),
            format!(
                "expected at least 1000000 transactions that meet another one at a key, got {}",
                red.worked.ran.conflicts
            ),
            format!(
                "expected at least 1000000 reads in transactions that commit, got {}",
                red.worked.ran.reads
            ),
        ]
    );
}

#[test]
fn nothing_that_happened_is_not_green() {
    let workload = "kind: list_append, connections: 2, transactions: 20, reads: 0, keys: 2, seed: 1";
    let red = run(workload, "at_least: {reads: 1}");
    assert_eq!(
        red.messages(),
        ["expected at least 1 reads in transactions that commit, got 0"],
        "{}",
        red.told()
    );
    // Two connections and thousands of keys: that they meet would be chance.
    let workload = "kind: rw_register, connections: 2, transactions: 4, keys: 10000, ops: 1, seed: 1";
    let red = run(workload, "isolation: read committed, at_least: {reads: 0}");
    assert_eq!(
        red.messages(),
        ["expected at least 1 transactions that meet another one at a key, got 0"],
        "{}",
        red.told()
    );
}

#[test]
fn check_history_says_the_same() {
    let own = run(SKEW, "isolation: snapshot");
    let file = own.folder.path().join("history.jsonl");
    for (level, code, text) in [
        ("snapshot", 0, "snapshot isolation holds"),
        ("serializable", 1, "serializable does not hold"),
        ("promised", 0, "what TiDB promises holds"),
        ("timestamps", 0, "the timestamp check holds"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
        command.args(["check-history", "--isolation", level]).arg(&file);
        let output = command.output().expect("it starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.starts_with(text), "{told}");
    }
}

#[test]
fn the_history_has_what_its_page_says() {
    let own = run(
        "kind: list_append, connections: 4, transactions: 200, txn: optimistic, retries: 2, seed: 3",
        "isolation: snapshot",
    );
    let file = own.folder.path().join("history.jsonl");
    let text = fs::read_to_string(&file).expect("the history");
    let head = text.lines().next().unwrap_or_default();
    assert_eq!(
        head,
        "{\"history\":1,\"workload\":\"list_append\",\"mode\":\"optimistic\",\"isolation\":\"repeatable read\",\
         \"read_lock\":\"plain\",\"seed\":3}"
    );
    let history = read_history(text.as_bytes(), None).expect("a history");
    let ran = &own.worked.ran;
    // The last look is of the history, too.
    assert!(history.count(Status::Ok) as u64 > ran.ok);
    assert_eq!(ran.ok + ran.failed + ran.unknown, 200 + ran.retried);
    let committed = text.lines().filter(|line| line.contains("\"status\":\"ok\""));
    let writers: Vec<&str> = committed.filter(|line| line.contains("[\"append\"")).collect();
    let known = writers
        .iter()
        .filter(|line| line.contains("\"commit_ts\":"))
        .count();
    assert_eq!(known, writers.len(), "each commit has its timestamp");
    let reads = text.lines().filter(|line| line.contains("[\"read\""));
    let judged = reads
        .clone()
        .filter(|line| line.contains("\"start_ts\":"))
        .count();
    let failed = reads
        .clone()
        .filter(|line| !line.contains("\"status\":\"ok\""))
        .count();
    assert!(
        judged + failed >= reads.count(),
        "each read of a commit has its timestamp"
    );
    assert!(
        !own.worked.summary.contains("not decided"),
        "{}",
        own.worked.summary
    );
}

#[test]
fn a_workload_that_has_no_time_is_told() {
    let text = "scenario: x\ntimeout: 1s\nworkload: {kind: rw_register, transactions: 1000000, seed: 1}\n";
    let red = crate::run_file(text, None);
    let over =
        |message: &&str| message.starts_with("the workload was over the limit of the trial, 1s, after");
    assert!(red.messages().iter().any(over), "{}", red.told());
    let text = "scenario: x\nworkload: {kind: rw_register, duration: 500ms, seed: 1}\nexpect: {isolation: read committed}\n";
    let green = crate::run_file(text, None);
    assert_eq!(green.messages(), [""; 0], "{}", green.told());
    let took = green.worked.ran.took.as_millis();
    assert!((500..3_000).contains(&took), "{took}");
}

#[test]
fn a_failure_is_printed_with_its_cycle_and_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("skew.yaml");
    let text =
        format!("scenario: two leave at once\nworkload: {{{SKEW}}}\nexpect:\n  isolation: serializable\n");
    fs::write(&file, text).expect("a file");
    let histories = folder.path().join("histories");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command.env("NO_COLOR", "1").env_remove("TIDB_SCENARIOS");
    command.env(
        "TIDB_URL",
        format!("mysql://root@127.0.0.1:{}/", crate::SERVER.config().port),
    );
    command.env_remove("TIDB_PROVIDER");
    command
        .arg("run")
        .arg(&file)
        .args(["--", "--history"])
        .arg(&histories);
    let output = command.output().expect("it starts");
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(101), "{told}");
    let path = histories.join("skew.jsonl");
    for text in [
        "skew.yaml:4:14: error: serializable does not hold: G2-item (write skew)",
        "this level does not hold",
        "─rw→",
        &format!("history: {}", path.display()),
        "write_skew: 8 connections, 400 transactions",
        "1 expectation does not hold in `skew` (two leave at once)",
        "run it again: tidb-scenarios run",
    ] {
        assert!(told.contains(text), "{text}\n{told}");
    }
    assert!(path.is_file());
    let record = fs::read_to_string(histories.join("skew.json")).expect("the record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    assert_eq!(record["verdict"], "failed");
    assert_eq!(record["workload"]["history"], path.display().to_string());
    assert!(record["workload"]["ok"].as_u64() > Some(10), "{record}");
}
