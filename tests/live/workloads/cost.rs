//! What recording costs: `cargo test --test workloads cost -- --ignored --nocapture`.
//!
//! It is measured in processor time per transaction, of this process and of its server together. Where all processors are
//! busy, as with a workload at full speed, throughput is the inverse of it; and what else the machine does hardly changes
//! it.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use tidb_scenarios::engine::{RunSettings, WorkloadSettings, run_workload};

use crate::{DATABASES, RUNTIME, SERVER, trial};

/// The processor time of this process and its server so far, in ticks of 10 ms.
fn ticks() -> f64 {
    let port = format!("-P={}", SERVER.config().port);
    let of = |folder: &Path| {
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // After the name, which may hold spaces: state, parent, …, utime, stime.
        let rest: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| rest.get(at)?.parse::<f64>().ok();
        Some(number(11)? + number(12)?)
    };
    let is_server = |folder: &Path| {
        let words = fs::read(folder.join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.next().is_some_and(|name| name.ends_with(b"tidb-server"))
            && words.any(|word| word == port.as_bytes())
    };
    let entries = fs::read_dir("/proc").expect("/proc");
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let servers: Vec<f64> = folders
        .filter(|folder| is_server(folder))
        .filter_map(|folder| of(&folder))
        .collect();
    assert_eq!(servers.len(), 1, "the server is found");
    servers[0] + of(Path::new("/proc/self")).expect("our own")
}

/// Milliseconds of processor time per transaction, and transactions in a second.
fn cost(workload: &str, unrecorded: bool) -> (f64, f64) {
    let plan = trial(workload, "isolation: read committed");
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let settings = RunSettings {
        database: format!("cost_{}_{number}", std::process::id()),
        keep_databases: false,
        hold: None,
        live: None,
        timestamps: false,
    };
    let more = WorkloadSettings {
        between: None,
        unrecorded,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("history.jsonl");
    let before = ticks();
    let ran = RUNTIME.block_on(run_workload(&plan, (&SERVER, &[]), &settings, &more, &file));
    let ran = ran.expect("it runs");
    let all = (ran.ok + ran.failed + ran.unknown) as f64;
    ((ticks() - before) * 10.0 / all, ran.per_second())
}

/// Runs with and without recording take turns.
#[test]
#[ignore = "takes a minute"]
fn cost_of_recording() {
    let number =
        |name: &str, usual: usize| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let rounds = number("TIDB_SCENARIOS_ROUNDS", 5);
    let only = std::env::var("TIDB_SCENARIOS_WORKLOAD").unwrap_or_default();
    for workload in [
        "kind: list_append, duration: 2s, connections: 8, keys: 50, txn: optimistic, timestamps: false, seed: 1",
        "kind: list_append, duration: 2s, connections: 8, keys: 50, txn: optimistic, seed: 1",
        "kind: rw_register, duration: 2s, connections: 8, keys: 1000, timestamps: false, seed: 1",
        "kind: rw_register, duration: 2s, connections: 8, keys: 1000, seed: 1",
        "kind: bank, duration: 2s, connections: 8, keys: 8, txn: optimistic, timestamps: false, seed: 1",
        "kind: bank, duration: 2s, connections: 8, keys: 8, txn: optimistic, seed: 1",
        "kind: register, duration: 2s, connections: 8, keys: 1000, timestamps: false, seed: 1",
        "kind: register, duration: 2s, connections: 8, keys: 1000, seed: 1",
    ] {
        if !workload.contains(&only) {
            continue;
        }
        cost(workload, true);
        let (mut with, mut without, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fast, mut faster) = (0.0, 0.0);
        for _ in 0..rounds {
            let (plain, per_second) = cost(workload, true);
            faster += per_second;
            let (recorded, per_second) = cost(workload, false);
            fast += per_second;
            shares.push(1.0 - plain / recorded);
            with.push(recorded);
            without.push(plain);
        }
        for numbers in [&mut shares, &mut with, &mut without] {
            numbers.sort_by(f64::total_cmp);
        }
        let (middle, last) = (rounds / 2, rounds - 1);
        println!(
            "{workload}\n  {:.3} ms of processor time recorded, {:.3} ms not: {:.1} % of throughput ({:.1} to {:.1}); \
             {:.0} and {:.0} a second",
            with[middle],
            without[middle],
            100.0 * shares[middle],
            100.0 * shares[0],
            100.0 * shares[last],
            fast / rounds as f64,
            faster / rounds as f64,
        );
    }
}
