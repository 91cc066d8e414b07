//! The command `check-history`: its exit codes, what it prints and draws.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = support::binary();
    command.arg("check-history").args(args).current_dir(folder);
    support::answer(&mut command)
}

fn histories() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories"))
}

#[test]
fn ends_with_1_when_the_level_does_not_hold() {
    let (code, out, err) = run(
        histories(),
        &["write-skew.shows.jsonl", "--isolation", "serializable"],
    );
    assert_eq!(code, Some(1), "{err}");
    assert!(
        out.starts_with("serializable does not hold\n") && out.contains("write-skew"),
        "{out}"
    );
    assert_eq!(err, "");
}

#[test]
fn ends_with_0_when_it_holds() {
    let (code, out, err) = run(
        histories(),
        &["write-skew.shows.jsonl", "--isolation", "snapshot"],
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("snapshot isolation holds\n"), "{out}");
    assert!(
        out.contains("found as well, and allowed by snapshot isolation"),
        "{out}"
    );
}

#[test]
fn ends_with_2_on_arguments_that_are_not_known() {
    let (code, _, err) = run(histories(), &["G0.shows.jsonl", "--isolation", "snapshotty"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there is no isolation level `snapshotty`"), "{err}");
    let (code, _, err) = run(histories(), &["G0.shows.jsonl"]);
    assert_eq!(code, Some(2), "{err}");
}

#[test]
fn ends_with_101_when_that_cannot_be_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, err) = run(folder.path(), &["none.jsonl", "--isolation", "snapshot"]);
    assert_eq!((code, out.as_str()), (Some(101), ""), "{err}");
    assert!(err.starts_with("error: none.jsonl: "), "{err}");

    let header = "{\"history\": 1}\n";
    let line = "{\"process\": 0, \"status\": \"ok\", \"ops\": [[\"append\", 5, 1]]}\n";
    fs::write(
        folder.path().join("bad.jsonl"),
        format!("{header}{line}{{\"process\": 0}}\n"),
    )
    .expect("a file");
    let (code, _, err) = run(folder.path(), &["bad.jsonl", "--isolation", "snapshot"]);
    assert_eq!(code, Some(101));
    assert!(
        err.starts_with("bad.jsonl:3:14: error: missing field `status`"),
        "{err}"
    );

    fs::write(folder.path().join("twice.jsonl"), format!("{header}{line}{line}")).expect("a file");
    let (code, _, err) = run(folder.path(), &["twice.jsonl", "--isolation", "snapshot"]);
    assert_eq!(code, Some(101));
    assert!(
        err.starts_with("twice.jsonl:3: error: value 1 is written to key 5 twice (first in line 2)"),
        "{err}"
    );

    fs::write(folder.path().join("mode.jsonl"), format!("{header}{line}")).expect("a file");
    let (code, _, err) = run(folder.path(), &["mode.jsonl", "--isolation", "promised"]);
    assert_eq!(code, Some(101));
    assert!(
        err.starts_with("mode.jsonl: error: `promised` needs to know"),
        "{err}"
    );

    let (code, _, err) = run(
        folder.path(),
        &["mode.jsonl", "--isolation", "snapshot", "--format", "edn"],
    );
    assert_eq!(code, Some(101), "{err}");
}

#[test]
fn draws_what_refutes_the_level() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = histories().join("long-fork.shows.jsonl");
    let svg = folder.path().join("fork.svg");
    let [file, drawing] = [&file, &svg].map(|path| path.to_str().expect("UTF-8"));
    let (code, out, err) = run(folder.path(), &[file, "--isolation", "si", "--svg", drawing]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("drawn: "), "{err}");
    assert!(out.contains("long-fork"), "{out}");
    let drawn = fs::read_to_string(&svg).expect("the drawing");
    assert!(
        drawn.starts_with("<svg ") && drawn.contains("long-fork") && drawn.contains("T1"),
        "{drawn}"
    );
    // Where nothing was found there is nothing to draw.
    let near = histories().join("G0.near.jsonl");
    let none = folder.path().join("none.svg");
    let [near, drawing] = [&near, &none].map(|path| path.to_str().expect("UTF-8"));
    let (code, _, err) = run(folder.path(), &[near, "--isolation", "si", "--svg", drawing]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("not drawn") && !none.exists(), "{err}");
}

/// `{:f :txn}` of Jepsen, without a flag that says so.
#[test]
fn reads_jepsen_histories() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[{:type :invoke, :process 0, :f :txn, :value [[:append 1 1] [:r 2 nil]], :time 1}
                 {:type :invoke, :process 1, :f :txn, :value [[:append 2 1] [:r 1 nil]], :time 2}
                 {:type :ok, :process 0, :f :txn, :value [[:append 1 1] [:r 2 [1]]], :time 3}
                 {:type :ok, :process 1, :f :txn, :value [[:append 2 1] [:r 1 [1]]], :time 4}]";
    fs::write(folder.path().join("history.edn"), text).expect("a file");
    let (code, out, err) = run(folder.path(), &["history.edn", "--isolation", "read committed"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(
        out.contains("G1c (circular information flow) refutes read committed"),
        "{out}"
    );
}
