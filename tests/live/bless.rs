//! `run --bless` writes what steps came to into their file, and leaves the rest of it as it is.

#[path = "../support/mod.rs"]
mod support;

use std::fs;

/// Runs `run --bless` on a file; returns the exit code, what was said, and the file afterwards.
fn bless(text: &str, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.yaml");
    fs::write(&path, text).expect("a scenario");
    let mut command = support::binary();
    command.args(["run", "--bless"]).arg(&path);
    for name in ["TIDB_URL", "CI"] {
        command.env_remove(name);
    }
    command.env("TIDB_PROVIDER", "embedded").envs(env.iter().copied());
    let (code, said) = support::told(&mut command);
    let names: Vec<_> = fs::read_dir(folder.path()).expect("the folder").collect();
    assert_eq!(names.len(), 1, "no other file is left: {names:?}");
    (code, said, fs::read_to_string(&path).expect("the scenario"))
}

const BARE: &str = "\
# What it shows.
scenario: two writers
setup: |
  create table t (id int primary key, v int, s varchar(9));
  insert into t values (1, 10, 'one'), (2, 20, null)
connections: [alice, bob]
steps:
  - alice: begin pessimistic   # a comment
  - alice: update t set v = v + 1 where id = 1
  # bob is blocked
  - bob: update t set v = v + 2 where id = 1
    as: wait
  - {alice: 'insert into t values (2, 2, null)', as: twice} # flow
  - alice: commit
  - bob:
      sql: select * from t order by id

  - alice: select nope
    rows: [[1]]
  - alice: >-
      select v from t
      where id = 1
    value: 10 # not any more
expect:
  tables:
    t:
      - [1, 10, one]
";

const BLESSED: &str = "\
# What it shows.
scenario: two writers
setup: |
  create table t (id int primary key, v int, s varchar(9));
  insert into t values (1, 10, 'one'), (2, 20, null)
connections: [alice, bob]
steps:
  - alice: begin pessimistic   # a comment
  - alice: update t set v = v + 1 where id = 1
    affected: 1
  # bob is blocked
  - bob: update t set v = v + 2 where id = 1
    as: wait
    blocked_by: alice
    affected: 1
  - {alice: 'insert into t values (2, 2, null)', as: twice, error: 1062} # flow
  - alice: commit
    unblocks: bob
  - bob:
      sql: select * from t order by id
      rows: [[1, 13, \"one\"], [2, 20, null]]

  - alice: select nope
    error: 1054
  - alice: >-
      select v from t
      where id = 1
    value: 13 # not any more
expect:
  tables:
    t:
      - [1, 13, \"one\"]
      - [2, 20, null]
";

#[test]
fn what_happened_is_written_at_its_place_and_holds_then() {
    let (code, said, text) = bless(BARE, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(text, BLESSED, "{said}");
    for line in [
        "-    value: 10 # not any more",
        "+    value: 13 # not any more",
        "one.yaml: written",
    ] {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
    let (code, said, text) = bless(BLESSED, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("it says already what happened"), "{said}");
    assert_eq!(text, BLESSED);
}

#[test]
fn what_was_expected_and_did_not_happen_goes() {
    let text = "\
scenario: s
setup: create table t (id int primary key)
connections: [alice, bob]
steps:
  - alice: insert into t values (1)
    error: 1062
  - bob: select * from t
    blocked_by: alice
    error: 1205
  - alice: select 1
    unblocks: bob
    value: 1
";
    let (code, said, text) = bless(text, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        text.ends_with(
            "  - alice: insert into t values (1)\n    affected: 1\n  - bob: select * from t\n    rows: [[1]]\n  \
             - alice: select 1\n    value: 1\n"
        ),
        "{text}\n{said}"
    );
}

#[test]
fn what_cannot_be_known_is_refused_and_nothing_is_written() {
    let file = |rest: &str| format!("scenario: s\nconnections: [a, b]\n{rest}");
    for (text, wanted) in [
        (
            file("steps:\n  - a: select rand()\n    value: 1\n"),
            "`value` differs between runs",
        ),
        (
            file("steps:\n  - a: select 1\n    contains: [[2]]\n"),
            "`contains` does not hold",
        ),
        (
            file("steps:\n  - a: select 2\n    rows:\n      - [1]\n      # why\n      - [3]\n"),
            "a comment stands inside",
        ),
        (
            file("steps:\n  - a: select 1\n    valu: 1\n"),
            "the file has mistakes",
        ),
        (
            file("steps: [a: select 1, b: select 2]\npermutations: all\n"),
            "explore --bless",
        ),
        (
            file("matrix: {n: [1, 2]}\nsteps:\n  - a: select ${n}\n    value: 3\n"),
            "differs between runs or variants",
        ),
        (
            "scenario: s\nconnections: {a: {states: [{sql: select 1}]}}\n".to_owned(),
            "its connections run concurrently",
        ),
    ] {
        let (code, said, after) = bless(&text, &[]);
        assert_eq!(code, Some(1), "{text}\n{said}");
        assert!(
            said.contains(wanted) && said.contains("nothing was written"),
            "{wanted}:\n{said}"
        );
        assert_eq!(after, text);
    }
    let text = file("steps:\n  - a: select 1\n    value: 2\n");
    let (code, said, after) = bless(&text, &[("CI", "true")]);
    assert_eq!((code, after), (Some(101), text.clone()), "{said}");
    assert!(said.contains("refused where CI is set"), "{said}");
    // What a step without expectations comes to is left out where it differs.
    let text = file("steps:\n  - a: select rand()\n  - a: select 1\n");
    let (code, said, after) = bless(&text, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("line 4: what it came to differs between runs"),
        "{said}"
    );
    assert_eq!(after, format!("{text}    rows: [[1]]\n"));
}

#[test]
fn a_password_is_not_written() {
    let text = "scenario: s\nconnections: [a]\nsteps:\n  - a: select '${env.MY_PASSWORD}'\n";
    let (code, said, after) = bless(text, &[("MY_PASSWORD", "geheim77")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("has a password in it") && !said.contains("geheim77"),
        "{said}"
    );
    assert_eq!(after, text);
}
