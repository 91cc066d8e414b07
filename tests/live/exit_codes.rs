//! A run that did not do what was asked must not exit with 0.

#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

fn run(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = support::binary();
    command.args(args);
    for (name, value) in env {
        command.env(name, value);
    }
    support::told(&mut command)
}

const GOOD: &str = "scenarios/locking/second_writer_waits.yaml";

#[test]
fn an_empty_folder_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = run(&["run", &folder.path().display().to_string()], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("no scenario is in"), "{text}");
}

#[test]
fn a_missing_path_is_a_failure() {
    let (code, text) = run(&["run", "no/such/folder"], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("no/such/folder"), "{text}");
}

#[test]
fn an_unknown_exact_name_is_a_failure_and_names_the_nearest() {
    let (code, text) = run(&["run", GOOD, "--", "--exact", "second_writer_wait"], &[]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("did you mean `second_writer_waits`?"), "{text}");
}

#[test]
fn an_unreachable_server_is_a_failure_without_the_password() {
    let url = "mysql://root:geheim77@127.0.0.1:9/";
    let (code, text) = run(&["run", GOOD], &[("TIDB_URL", url), ("TIDB_PROVIDER", "")]);
    assert_eq!(code, Some(101), "{text}");
    assert!(
        text.contains("127.0.0.1:9") && !text.contains("geheim77"),
        "{text}"
    );
}

#[test]
fn a_provider_that_does_not_exist_is_a_failure() {
    let (code, text) = run(&["run", GOOD], &[("TIDB_PROVIDER", "nonsense")]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("nonsense"), "{text}");
}

#[test]
fn listing_starts_nothing_and_prints_names_only() {
    let (code, text) = run(&["run", GOOD, "--", "--list", "--format", "terse"], &[]);
    assert_eq!((code, text.trim()), (Some(0), "second_writer_waits: test"));
}

#[test]
fn several_filters_and_what_cargo_passes_are_taken() {
    let args = [
        "run",
        "scenarios/hermitage",
        "--",
        "--list",
        "g0",
        "otv",
        "--no-capture",
    ];
    let (code, text) = run(&args, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("g0") && text.contains("otv") && !text.contains("g2"),
        "{text}"
    );
}

#[test]
fn a_file_of_too_many_bytes_and_one_that_is_no_text_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let big = folder.path().join("big.yaml");
    std::fs::File::create(&big)
        .and_then(|file| file.set_len(100 << 20))
        .expect("a file");
    let (code, text) = run(&["check", &big.display().to_string()], &[]);
    assert_eq!(code, Some(1), "{text}");
    let binary = folder.path().join("binary.yaml");
    std::fs::write(&binary, b"scenario: \xff\xfe").expect("a file");
    let (code, text) = run(&["check", &binary.display().to_string()], &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("UTF-8"), "{text}");
}

#[test]
fn a_server_that_dies_fails_its_trial_with_its_log_and_the_next_trial_gets_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    std::fs::create_dir(&scenarios).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(scenarios.join(name), text).expect("a file");
    write(
        "a_dies.yaml",
        "scenario: the server ends\nsetup: create table t (id int)\nconnections: [alice]\nsteps:\n  \
         - alice: insert into t values (1)\n  - alice: {sleep: 4s}\n  - alice: select 1\n",
    );
    write(
        "b_lives.yaml",
        "scenario: another server answers\nconnections: [alice]\nsteps:\n  - alice: select 1\n    value: 1\n",
    );
    let mut process = support::binary()
        .args([
            "run",
            &scenarios.display().to_string(),
            "--",
            "--test-threads",
            "1",
        ])
        .env("TIDB_PROVIDER", "embedded")
        .env("TMPDIR", folder.path())
        .env("RUST_LOG", "tidb_scenarios=debug")
        .env_remove("TIDB_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let at_insert = |line: &std::io::Result<String>| {
        line.as_ref()
            .is_ok_and(|line| line.contains("step ended") && line.contains("line=5"))
    };
    assert!(
        lines.by_ref().any(|line| at_insert(&line)),
        "the insert is logged"
    );
    let pid = support::server_of(folder.path()).expect("a server");
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.expect("kill").success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let output = process.wait_with_output().expect("it ends");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), rest.join("\n"));
    assert_eq!(output.status.code(), Some(101), "{text}");
    for part in [
        "1 passed; 1 failed",
        "a_dies.yaml:7:",
        "the end of the server's log",
        "the server is gone; the next trial starts another one",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(support::server_of(folder.path()), None, "no server is left");
}

#[test]
fn what_the_server_cannot_have_is_listed_as_ignored_and_a_run_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tikv.yaml");
    let text = "scenario: s\nrequires: {store: tikv}\nconnections: [a]\nsteps: [a: select 1]\n";
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let own = [("TIDB_PROVIDER", "embedded"), ("TIDB_URL", "")];
    let list = ["run", &file, "--", "--list", "--format", "terse", "--ignored"];
    assert_eq!(run(&list, &own), (Some(0), "tikv: test\n".to_owned()));
    let (code, text) = run(&["run", &file], &own);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("needs the store tikv, this is unistore"), "{text}");
    assert!(text.contains("0 passed; 0 failed; 1 ignored"), "{text}");
    // A URL tells only when it is asked.
    let (code, text) = run(
        &list,
        &[("TIDB_URL", "mysql://127.0.0.1:9/"), ("TIDB_PROVIDER", "")],
    );
    assert_eq!((code, text.as_str()), (Some(0), ""));
}
