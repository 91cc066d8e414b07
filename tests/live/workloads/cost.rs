//! What recording costs: `cargo test --test workloads cost -- --ignored --nocapture`.

use std::sync::atomic::Ordering;

use tidb_scenarios::engine::{RunSettings, WorkloadSettings, run_workload};

use crate::{DATABASES, RUNTIME, SERVER, trial};

fn per_second(workload: &str, unrecorded: bool) -> f64 {
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
        unrecorded,
        ..WorkloadSettings::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("history.jsonl");
    let ran = RUNTIME.block_on(run_workload(&plan, (&SERVER, &[]), &settings, &more, &file));
    ran.expect("it runs").per_second()
}

/// Runs with and without recording take turns, so that what else the machine does meets both.
#[test]
#[ignore = "takes minutes, and says something only on a quiet machine"]
fn cost_of_recording() {
    let rounds = std::env::var("TIDB_SCENARIOS_ROUNDS").map_or(9, |rounds| rounds.parse().expect("a number"));
    for workload in [
        "kind: list_append, duration: 2s, connections: 8, keys: 50, txn: optimistic, seed: 1",
        "kind: list_append, duration: 2s, connections: 1, keys: 50, txn: optimistic, seed: 1",
        "kind: rw_register, duration: 2s, connections: 8, keys: 1000, seed: 1",
        "kind: register, duration: 2s, connections: 8, keys: 1000, seed: 1",
        "kind: bank, duration: 2s, connections: 8, keys: 8, txn: optimistic, seed: 1",
    ] {
        per_second(workload, true);
        let mut shares = Vec::new();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let first_is_recorded = round % 2 == 0;
            let one = per_second(workload, !first_is_recorded);
            let other = per_second(workload, first_is_recorded);
            let (recorded, plain) = if first_is_recorded {
                (one, other)
            } else {
                (other, one)
            };
            shares.push(1.0 - recorded / plain);
            with.push(recorded);
            without.push(plain);
        }
        for numbers in [&mut shares, &mut with, &mut without] {
            numbers.sort_by(f64::total_cmp);
        }
        let middle = rounds / 2;
        println!(
            "{workload}\n  {:.0} a second recorded, {:.0} unrecorded; median of the cost {:.1} %, {:.1} % to {:.1} %",
            with[middle],
            without[middle],
            100.0 * shares[middle],
            100.0 * shares[0],
            100.0 * shares[rounds - 1]
        );
    }
}
