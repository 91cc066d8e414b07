//! A run that did not do what was asked must not exit with 0.

use std::process::{Command, Output};

fn run(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("TIDB_SCENARIOS");
    for (name, value) in env {
        command.env(name, value);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    (
        status.code(),
        format!(
            "{}{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        ),
    )
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
