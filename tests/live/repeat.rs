//! Several tries of a trial: how often it fails, whether it is flaky, which seed it had.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

const PASSES: &str = "scenario: passes\nsetup: create table t (id int primary key)\nconnections: [alice]\n\
                      steps:\n  - alice: insert into t values (1)\n    affected: 1\n";

const FAILS: &str = "scenario: fails\nconnections: [alice]\nsteps:\n  - alice: select 1\n    value: 2\n";

/// Each try that fails leaves its database on a server that ends with the run, so that the third one passes.
const FLAKY: &str = "scenario: flaky
connections: [alice]
steps:
  - alice: select count(*) >= 3 from information_schema.schemata where schema_name like 'tsc\\_%'
    value: 1
";

/// One of the two orders fails, and the seed decides which one it is.
const SAMPLED: &str = "scenario: sampled
setup: create table t (id int primary key)
connections: [alice, bob]
steps:
  - alice: insert into t values (1)
  - bob: select count(*) from t
permutations: {sample: 1}
expect:
  outcomes:
    seen: {saw: {bob.select: 1}}
";

fn command(text: &str, args: &[&str], env: &[(&str, &str)]) -> (Command, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("one.yaml"), text).expect("a scenario");
    let mut command = support::binary();
    command.arg("run").arg(folder.path()).args(args);
    for name in ["TIDB_URL", "TIDB_SCENARIOS_KEEP_DB", "TIDB_SCENARIOS_HISTORY"] {
        command.env_remove(name);
    }
    command.env("TIDB_PROVIDER", "embedded").envs(env.iter().copied());
    (command, folder)
}

fn run(text: &str, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let (mut command, _folder) = command(text, args, env);
    support::told(&mut command)
}

#[test]
fn a_failing_trial_tells_its_rate_and_its_first_failure() {
    for (args, env) in [
        (&["--repeat", "3"][..], &[][..]),
        (&["--", "--repeat", "3"], &[]),
        (&[], &[("TIDB_SCENARIOS_REPEAT", "3")]),
    ] {
        let (code, text) = run(FAILS, args, env);
        assert_eq!(code, Some(101), "{text}");
        for part in [
            "the failure of try 1:",
            "expected 2, got 1",
            "one: 3 of 3 tries failed, first at try 1; failed: 1, 2, 3",
        ] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
        assert!(!text.contains("--seed"), "nothing is left to chance:\n{text}");
    }
    let (code, text) = run(FAILS, &["--until-fail"], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("1 of 1 try failed, first at try 1"), "{text}");
}

#[test]
fn a_passing_trial_tells_how_often_it_has_passed() {
    let (code, text) = run(PASSES, &["--repeat", "5", "--until-fail"], &[]);
    assert_eq!(code, Some(0), "each try has tables of its own:\n{text}");
    assert!(text.contains("one: 0 of 5 tries failed"), "{text}");
    let (code, text) = run(PASSES, &["--duration", "1500ms"], &[]);
    assert_eq!(code, Some(0), "{text}");
    let said = text.lines().find_map(|line| line.strip_prefix("one: 0 of "));
    let tries: String = said
        .expect("a rate")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    assert!(tries.parse::<u32>().expect("a number") > 1, "{text}");
}

#[test]
fn a_failing_try_has_its_seed_and_fails_again_with_it() {
    let (code, text) = run(SAMPLED, &["--repeat", "20", "--seed", "5"], &[]);
    assert_eq!(code, Some(101), "{text}");
    let line = text
        .lines()
        .find(|line| line.starts_with("one: try "))
        .expect("a failing try");
    let (number, seed) = line["one: try ".len()..]
        .split_once(" failed (--seed ")
        .expect("a seed");
    let seed: u64 = seed.trim_end_matches(')').parse().expect("a number");
    assert_eq!(seed, 5 + number.parse::<u64>().expect("a number") - 1, "{text}");
    assert!(
        !text.contains("20 of 20 tries"),
        "other seeds have the other order:\n{text}"
    );
    let repeat = text
        .lines()
        .find_map(|line| line.strip_prefix("run it again: "))
        .expect("the command");
    assert!(
        repeat.ends_with(&format!("--exact one --seed {seed}")),
        "{repeat}"
    );
    let seed = seed.to_string();
    let (code, text) = run(SAMPLED, &["--", "--seed", &seed, "--repeat", "1"], &[]);
    assert_eq!(code, Some(101), "{text}");
    let env = [("TIDB_SCENARIOS_SEED", seed.as_str())];
    assert_eq!(run(SAMPLED, &[], &env).0, Some(101));

    let (code, text) = run(PASSES, &["--seed", "1"], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(
        text.contains("--seed: no trial here leaves anything to chance"),
        "{text}"
    );
}

#[test]
fn each_try_of_a_workload_has_its_seed_and_its_files() {
    let text = "scenario: x
workload: {kind: list_append, connections: 2, transactions: 20, keys: 2, seed: 7}
expect: {isolation: read uncommitted, anomalies: {present: [G1a]}}
";
    let folder = tempfile::tempdir().expect("a folder");
    let histories = folder.path().to_str().expect("a path");
    let (code, said) = run(text, &["--repeat", "2", "--", "--history", histories], &[]);
    assert_eq!(code, Some(101), "{said}");
    assert!(
        said.contains("2 of 2 tries failed, first at try 1; failed: 1 (--seed 7), 2 (--seed 8)"),
        "{said}"
    );
    for (name, seed) in [("one", 7), ("one.try-2", 8)] {
        let lines = std::fs::read_to_string(folder.path().join(format!("{name}.jsonl"))).expect("a history");
        assert!(
            lines
                .lines()
                .next()
                .expect("a line")
                .contains(&format!("\"seed\":{seed}")),
            "{lines}"
        );
        assert!(folder.path().join(format!("{name}.json")).is_file(), "{name}");
    }
}

#[test]
fn a_trial_has_one_entry_in_a_report_however_often_it_is_tried() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("report.jsonl");
    let report = |text: &str, args: &[&str]| {
        let args = [args, &["--report-json", path.to_str().expect("a path")]].concat();
        run(text, &args, &[]);
        let lines = std::fs::read_to_string(&path).expect("a report");
        assert_eq!(lines.lines().count(), 1, "{lines}");
        serde_json::from_str::<serde_json::Value>(&lines).expect("JSON")
    };
    let flaky = report(FLAKY, &["--retries", "2"]);
    assert_eq!(flaky["outcome"], "passed");
    assert_eq!(flaky["reason"], "flaky: passed at try 3 of 3");
    let failed = report(FLAKY, &["--repeat", "3"]);
    assert_eq!(failed["outcome"], "failed");
    let text = failed["failure"].as_str().expect("a text");
    assert!(
        text.contains("expected 1, got 0") && text.contains("3 of 3 tries failed"),
        "{text}"
    );
}

#[test]
fn a_trial_that_passes_when_it_is_tried_again_is_told_as_flaky() {
    let (code, text) = run(FLAKY, &["--retries", "2"], &[]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "one: try 1 of 3 failed",
        "one: try 2 of 3 failed",
        "the failure of try 1:",
        "expected 1, got 0",
        "flaky: one (passed at try 3 of 3)",
        "1 passed; 0 failed",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let (code, text) = run(FLAKY, &["--retries", "1"], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("failed in each of its tries (2 of 2)"), "{text}");
    assert!(!text.contains("flaky: one"), "{text}");
    let env = [
        ("TIDB_SCENARIOS_RETRIES", "2"),
        ("TIDB_SCENARIOS_FAIL_FLAKY", "1"),
    ];
    let (code, text) = run(FLAKY, &[], &env);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("flaky: one (passed at try 3 of 3)"), "{text}");
    let (code, text) = run(PASSES, &["--retries", "1"], &[]);
    assert_eq!((code, text.contains("flaky")), (Some(0), false), "{text}");
}

#[test]
fn each_try_has_a_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    let (code, text) = run(PASSES, &["--repeat", "2", "--", "--history", path], &[]);
    assert_eq!(code, Some(0), "{text}");
    for name in ["one.json", "one.try-2.json"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn ctrl_c_ends_it_with_the_rate_so_far() {
    let (mut command, _folder) = command(FAILS, &["--repeat", "100000"], &[]);
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe"))
        .lines()
        .map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.contains("one: try 3 failed")));
    let pid = process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .expect("kill")
            .success()
    );
    let rest: Vec<String> = lines.collect();
    assert_eq!(process.wait().expect("it ends").code(), Some(130), "{rest:?}");
    let rate = rest
        .iter()
        .find(|line| line.contains("tries failed, first at try 1"));
    assert!(rate.is_some_and(|line| !line.contains("of 100000")), "{rest:#?}");
    assert!(
        rest.iter().any(|line| line.contains("no more tries are begun")),
        "{rest:#?}"
    );
}
