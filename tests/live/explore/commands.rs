//! The commands `explore`, with `--bless`, and `compare`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::{LOST_UPDATE, RUNTIME, SERVER, command, file, run, run_on, started, url, withdrawals};

/// A script with its waits.
const STEPS: &str = "scenario: x
setup: create table t (id int primary key); insert into t values (1)
connections: [a, b]
steps:
  - a: begin
  - a: update t set id = 2
  - b: update t set id = 3
    blocked_by: a
  - a: rollback
    unblocks: b
";

#[test]
fn explore_prints_a_table_and_judges_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(
        folder.path(),
        "lost.yaml",
        &format!("{LOST_UPDATE}expect: {{tables: {{t: [[9, 9]]}}}}\n"),
    );
    let (code, out, err) = run(&["explore", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    for part in [
        "lost (an increment is lost)",
        "4 outcomes in 6 interleavings",
        "table t",
        "2 interleavings, such as alice bob bob alice",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
    assert_eq!(
        fs::read_to_string(&path).expect("the file"),
        format!("{LOST_UPDATE}expect: {{tables: {{t: [[9, 9]]}}}}\n")
    );
    // A script of `steps` without `permutations`, with its waits, can be explored as well.
    let path = file(folder.path(), "steps.yaml", STEPS);
    let (code, out, err) = run(&["explore", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("outcomes in "), "{out}");
    // Several variants are shown beside each other.
    let text = withdrawals("  errors: {}").replace("setup:", "matrix: {size: [1, 2]}\nsetup:");
    let path = file(folder.path(), "variants.yaml", &text);
    let (code, out, err) = run(&["explore", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("size=1") && out.contains("size=2"), "{out}");
    // A file with mistakes has none.
    let path = file(folder.path(), "bad.yaml", "scenario: x\nnonsense: 1\n");
    let (code, out, err) = run(&["explore", &path]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("unknown key"), "{err}");
}

/// Orders that differ by what was changed and by who was refused, and by nothing that anybody reads.
const KEYS: &str = "scenario: keys
setup: create table t (id int primary key, n int)
connections:
  a: {states: [{sql: \"insert into t values (1, 1)\"}, {sql: delete from t}]}
  b: {states: [{sql: \"insert into t values (1, 1)\"}, {sql: delete from t}]}
permutations: all
";

/// What only a variable tells apart.
const VARIABLES: &str = "scenario: variables
connections:
  a: {states: [{set: {who: a}}]}
  b: {states: [{set: {who: b}}]}
permutations: {prune: false}
";

/// Text that would begin a variable, in cells and in what was seen.
const BRACES: &str = "scenario: braces
setup: create table t (id int primary key, s varchar(20), j json); insert into t values (1, '', '{}')
connections:
  a: {states: [{sql: \"update t set s = '$${x} $1', j = '{\\\"$${y}\\\": \\\"$${z}\\\"}'\"}]}
  b: {states: [{sql: \"select s, j from t\"}]}
permutations: all
";

const NO_TABLES: &str = "scenario: no tables
connections:
  a: {states: [{sql: \"select get_lock('l', 0)\"}]}
  b: {states: [{sql: \"select get_lock('l', 0)\"}]}
permutations: {prune: false}
";

/// One order leaves a table that another does not.
const COME_AND_GO: &str = "scenario: tables
setup: create table old (id int primary key); insert into old values (1)
connections:
  a: {states: [{sql: create table if not exists fresh (id int primary key)}]}
  b: {states: [{sql: drop table if exists fresh}]}
permutations: all
";

/// What is done in another database of the trial.
const FURTHER: &str = "scenario: further
setup: |
  create table ${database.far}.t (id int primary key, n int);
  insert into ${database.far}.t values (1, 0);
connections:
  a: {database: far, states: [{sql: update t set n = n + 1}]}
  b: {database: far, states: [{sql: update t set n = n * 2 + 3}]}
permutations: all
";

/// A view whose table may be gone, which is an error with the database's name in it.
const VIEW: &str = "scenario: view
setup: |
  create table t (id int primary key); insert into t values (1);
  create view v as select id from t;
connections:
  a: {states: [{sql: drop table t}]}
  b: {states: [{sql: select count(*) from t}]}
permutations: all
";

/// One who waits for a lock that nobody frees is over its limit, which is an outcome as well.
const OVER_ITS_LIMIT: &str = "scenario: never
step_timeout: 4s
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 2}, {sql: commit}]}
permutations: all
";

#[test]
fn what_bless_writes_tells_all_outcomes_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, outcomes, parts) in [
        (
            "variables",
            VARIABLES,
            "2 outcomes",
            vec!["shared: {vars: {who: \"a\"}}", "shared: {vars: {who: \"b\"}}"],
        ),
        (
            "no_tables",
            NO_TABLES,
            "2 outcomes",
            vec!["saw: {a.select: 1, b.select: 0}"],
        ),
        (
            "tables",
            COME_AND_GO,
            "2 outcomes",
            vec![
                "tables: {fresh: {error: 1146}, old: [[1]]}",
                "tables: {fresh: [], old: [[1]]}",
            ],
        ),
        (
            "further",
            FURTHER,
            "2 outcomes",
            vec![
                "\"${database.far}.t\": [[1, 4]]",
                "\"${database.far}.t\": [[1, 5]]",
            ],
        ),
        (
            "braces",
            BRACES,
            "2 outcomes",
            vec!["\"$${x} $1\"", "{json: {\"$${y}\":\"$${z}\"}}"],
        ),
        (
            "over_its_limit",
            OVER_ITS_LIMIT,
            "3 outcomes",
            vec!["saw: {b.update: {error: timed_out}}"],
        ),
        (
            "one",
            "scenario: x\nconnections:\n  a: {states: [{sql: select 1}]}\n",
            "1 outcome written",
            vec!["errors: {}"],
        ),
    ] {
        let path = file(folder.path(), &format!("{name}.yaml"), text);
        let (code, out, err) = run(&["explore", "--bless", &path]);
        assert_eq!(code, Some(0), "{name}: {out}{err}");
        assert!(err.contains(outcomes), "{name}: {err}");
        let after = fs::read_to_string(&path).expect("the file");
        for part in parts {
            assert!(after.contains(part), "{name}: `{part}` is missing:\n{after}");
        }
    }
    // A table that is not there is shown so.
    let path = file(folder.path(), "shown.yaml", COME_AND_GO);
    let (_, out, _) = run(&["explore", &path]);
    for part in ["   table fresh  does not exist", "   table fresh  empty"] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
}

#[test]
fn bless_writes_outcomes_that_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let types = "scenario: types
setup: |
  create table `odd name` (id int primary key, d decimal(10, 3), f double, s varchar(20), b varbinary(9), j json, w datetime);
  insert into `odd name` values (1, 1.50, 0.1, 'it''s \"quoted\": {x}', 0x00ff, '{\"a\": [1, null]}', '2020-01-02 03:04:05'), (2, null, null, null, null, null, null);
connections:
  a: {states: [{sql: \"select d, s, b, j, w from `odd name` order by id\"}]}
  b: {states: [{sql: \"update `odd name` set d = d + 1\"}]}
permutations: all
";
    let apart = LOST_UPDATE
        .replace("setup:", "matrix: {by: [1, 10], how: [a b, c]}\nsetup:")
        .replace("+ 1", "+ ${by}");
    for (name, text) in [
        ("without", LOST_UPDATE.to_owned()),
        ("no_permutations", LOST_UPDATE.replace("permutations: all\n", "")),
        (
            "block",
            format!("{LOST_UPDATE}expect:\n  shared: {{status: {{alice: completed}}}}\n"),
        ),
        (
            "block_with_a_comment",
            format!("{LOST_UPDATE}expect: # of all\n  errors: {{}}\n"),
        ),
        (
            "block_in_the_middle",
            LOST_UPDATE.replace(
                "connections:",
                "expect:\n  always: select count(*) = 1 from t\nconnections:",
            ),
        ),
        (
            "block_further_right",
            format!("{LOST_UPDATE}expect:\n\n    # yes\n    errors: {{}}\n"),
        ),
        ("carriage_returns", LOST_UPDATE.replace('\n', "\r\n")),
        ("waits", withdrawals("  errors: {}")),
        ("types", types.to_owned()),
        (
            "variants_alike",
            LOST_UPDATE.replace("setup:", "matrix: {size: [1, 2]}\nsetup:"),
        ),
        ("variants_apart", apart.clone()),
        (
            "variants_apart_and_a_block",
            format!(
                "{apart}expect:\n  # of all\n  errors: {{}}\n  queries:\n    - sql: select 1\n      rows: [[1]]\n"
            ),
        ),
        (
            "variants_apart_and_a_list",
            format!(
                "{apart}expect:\n    - errors: {{}}\n    - when: {{by: 10}}\n      queries: {{sql: select 1, rows: [[1]]}}\n"
            ),
        ),
        (
            "variants_apart_in_the_middle",
            format!("expect:\n- errors: {{}}\n# What is done:\n{apart}"),
        ),
        (
            "one_order",
            LOST_UPDATE.replace("permutations: all", "permutations: {list: [alice bob alice bob]}"),
        ),
        ("a_list", format!("{LOST_UPDATE}expect:\n  - errors: {{}}\n")),
        ("changed_rows_and_errors", KEYS.to_owned()),
        (
            "some_of_them",
            LOST_UPDATE.replace("permutations: all", "permutations: {most: 3}"),
        ),
        (
            "a_sample",
            LOST_UPDATE.replace("permutations: all", "permutations: {sample: 3}"),
        ),
        (
            "no_bytes",
            LOST_UPDATE.replace(
                "insert into t",
                "create table b (b blob); insert into b values (''), (null); insert into t",
            ),
        ),
        ("over_its_limit", OVER_ITS_LIMIT.to_owned()),
        (
            "always_over_its_limit",
            "scenario: x\nstep_timeout: 500ms\nconnections:\n  a: {states: [{sql: select sleep(9)}]}\n  b: {states: [{sql: select 1}]}\n"
                .to_owned(),
        ),
        ("a_view_without_its_table", VIEW.to_owned()),
        ("variables", VARIABLES.to_owned()),
        ("braces", BRACES.to_owned()),
        ("no_tables", NO_TABLES.to_owned()),
        ("tables_that_come_and_go", COME_AND_GO.to_owned()),
        ("further_databases", FURTHER.to_owned()),
    ] {
        let path = file(folder.path(), &format!("{name}.yaml"), &text);
        let (code, out, err) = run(&["explore", "--bless", &path]);
        assert_eq!(code, Some(0), "{name}: {out}{err}");
        assert!(err.contains(" written"), "{name}: {err}");
        let after = fs::read_to_string(&path).expect("the file");
        assert!(after.contains(" outcomes:"), "{name}:\n{after}");
        assert_eq!(after.contains("\r\n"), text.contains("\r\n"), "{name}");
        assert_eq!(
            after.matches("\r\n").count(),
            after.matches('\r').count(),
            "{name}"
        );
        for line in text.lines() {
            assert!(after.contains(line.trim()), "{name}: `{line}` is gone:\n{after}");
        }
        let (code, out, err) = run(&["run", &path]);
        assert_eq!(code, Some(0), "{name}:\n{after}\n{out}{err}");
        // The orders of a sample do not depend on where the file is.
        let other = tempfile::tempdir().expect("a folder");
        fs::create_dir(other.path().join("below")).expect("a folder");
        file(&other.path().join("below"), "another.yaml", &after);
        let (code, out, err) = run(&["run", &other.path().display().to_string()]);
        assert_eq!(code, Some(0), "{name}:\n{after}\n{out}{err}");
        // Twice is refused, and nothing is written.
        let (code, out, err) = run(&["explore", "--bless", &path]);
        assert_eq!(code, Some(1), "{name}: {out}{err}");
        assert!(err.contains("`outcomes` is there already"), "{name}: {err}");
        assert_eq!(fs::read_to_string(&path).expect("the file"), after, "{name}");
    }
}

#[test]
fn bless_refuses_what_it_cannot_write_and_leaves_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text, wanted) in [
        (
            "flow",
            format!("{LOST_UPDATE}expect: {{errors: {{}}}}\n"),
            "  outcomes:\n    # ",
        ),
        (
            "contradicts",
            format!("{KEYS}expect:\n  errors: {{}}\n"),
            "`expect` does not hold in every interleaving, so the file was not changed:\n  expected no errors, got 1",
        ),
        (
            "listed",
            LOST_UPDATE.replace(
                "permutations: all",
                "permutations: {list: [alice bob alice bob, alice alice bob bob]}",
            ),
            "several orders are listed",
        ),
        (
            "there",
            format!("{LOST_UPDATE}expect:\n  outcomes:\n    x: {{tables: {{t: [[1, 7]]}}}}\n"),
            "`outcomes` is there already",
        ),
        (
            "list_of_lists",
            format!("{LOST_UPDATE}expect:\n  -\n    errors: {{}}\n"),
            "  outcomes:\n    # ",
        ),
        (
            "steps_that_say_who_waits",
            STEPS.to_owned(),
            "which step is blocked depends on the interleaving",
        ),
        (
            "a_dot",
            "scenario: x
setup: create table `a.b` (id int primary key); insert into `a.b` values (1)
connections:
  a: {states: [{sql: \"delete from `a.b`\"}]}
  b: {states: [{sql: \"select * from `a.b`\"}]}
"
            .to_owned(),
            "the table `a.b` has a dot in its name",
        ),
        (
            "over_its_time",
            "scenario: x
timeout: 4s
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {states: [{sql: select sleep(n) from t}]}
  b: {states: [{sql: update t set n = 9}]}
"
            .to_owned(),
            "an interleaving was not run to its end (the trial's limit of 4000 ms was reached)",
        ),
        (
            "braces_below",
            format!("{LOST_UPDATE}expect:\n  {{errors: {{}}}}\n"),
            "",
        ),
    ] {
        let path = file(folder.path(), &format!("{name}.yaml"), &text);
        let (code, out, err) = run(&["explore", "--bless", &path]);
        assert_eq!(code, Some(1), "{name}: {out}{err}");
        assert!(err.contains(wanted), "{name}: {err}");
        assert_eq!(fs::read_to_string(&path).expect("the file"), text, "{name}");
    }
}

#[test]
fn bless_is_refused_where_ci_is_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "flow.yaml", LOST_UPDATE);
    let out = command(&url(&SERVER), &["explore", "--bless", &path])
        .env("CI", "true")
        .output()
        .expect("the binary starts");
    assert_ne!(out.status.code(), Some(0));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("refused where CI is set"), "{said}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), LOST_UPDATE);
}

#[test]
fn bless_does_not_write_one_order_of_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "lost.yaml", LOST_UPDATE);
    let (code, out, err) = run(&["explore", "--bless", &path, "--order", "alice bob alice bob"]);
    assert_eq!(code, Some(2), "{out}{err}");
    assert!(err.contains("cannot be used with"), "{err}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), LOST_UPDATE);
}

#[test]
fn no_table_shows_a_password_and_bless_writes_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "scenario: secret
serial: true
teardown: drop user explorer
matrix: {isolation: [repeatable read, read committed]}
setup: |
  create table t (id int primary key, s varchar(30)); insert into t values (1, 'x');
  create user if not exists explorer identified by 'hunter2secret';
  grant all on *.* to explorer;
connections:
  a:
    user: explorer
    password: ${env.EXPLORE_PW}
    states: [{sql: \"update t set s = 'hunter2secret'\"}]
  b: {states: [{sql: begin}, {sql: select s from t}, {sql: select s from t}]}
";
    let path = file(folder.path(), "secret.yaml", text);
    let mut command = command(&url(&SERVER), &["explore", "--bless", &path]);
    let output = command
        .env("EXPLORE_PW", "hunter2secret")
        .output()
        .expect("the binary starts");
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(
        out.contains("outcomes by variant") && out.contains("<redacted>"),
        "{out}{err}"
    );
    assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
    assert!(err.contains("an outcome has a password in it"), "{err}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), text);
}

#[test]
fn compare_shows_where_two_servers_differ() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "scenario: two count
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  b: {states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
";
    let path = file(folder.path(), "count.yaml", text);
    let same = url(&SERVER);
    let (code, out, err) = run(&["compare", &path, "--with", &same]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("both have the same outcomes"), "{out}");
    let optimistic = started(&[("tidb_txn_mode", "optimistic")]);
    let (code, out, err) = run(&["compare", &path, "--with", &url(&optimistic)]);
    assert_eq!(code, Some(1), "{out}{err}");
    for part in [
        "only on the other one (url TiDB",
        "error 9007",
        "outcomes occur on one of them only",
        "blocked",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
    for (url, wanted) in [("", "--with: it is no URL"), ("postgres://x", "--with: ")] {
        let (code, out, err) = run(&["compare", &path, "--with", url]);
        assert_eq!(code, Some(101), "{out}{err}");
        assert!(err.contains(wanted) && !err.contains("TIDB_URL cannot"), "{err}");
    }
    // The other way round it differs as well.
    let (code, out, err) = run_on(&url(&optimistic), &["compare", &path, "--with", &same]);
    assert_eq!(code, Some(1), "{out}{err}");
    RUNTIME.block_on(optimistic.stop()).expect("it ends");
    // Nobody is there.
    let (code, out, err) = run(&["compare", &path, "--with", "mysql://root:geheim@127.0.0.1:9/"]);
    assert_eq!(code, Some(101), "{out}{err}");
    assert!(
        err.contains("127.0.0.1:9") && !format!("{out}{err}").contains("geheim"),
        "{out}{err}"
    );
}

/// What was found until somebody has had enough is told, and the process says that it was ended.
#[test]
fn ctrl_c_ends_explore_with_what_it_has_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let states = |row: u32| {
        let state = format!("{{sql: update t set n = n + 1 where id = {row}}}");
        vec![state; 4].join(", ")
    };
    let text = format!(
        "scenario: many
timeout: 600s
setup: create table t (id int primary key, n int); insert into t values (1, 0), (2, 0), (3, 0)
connections:
  a: {{states: [{}]}}
  b: {{states: [{}]}}
  c: {{states: [{}]}}
permutations: {{prune: false, most: 100000}}
",
        states(1),
        states(2),
        states(3)
    );
    let path = file(folder.path(), "many.yaml", &text);
    let mut child = command(&url(&SERVER), &["explore", "--bless", &path])
        .env("RUST_LOG", "tidb_scenarios::machine=debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut err = BufReader::new(child.stderr.take().expect("its errors")).lines();
    // Twelve steps are one order; after so many one is over, whichever stage runs it.
    let steps = err
        .by_ref()
        .map_while(Result::ok)
        .filter(|line| line.contains("step ended"));
    assert_eq!(steps.take(200).count(), 200);
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.expect("kill").success());
    let err: Vec<String> = err.map_while(Result::ok).collect();
    let mut out = String::new();
    let pipe = child.stdout.as_mut().expect("its output");
    pipe.read_to_string(&mut out).expect("text");
    assert_eq!(child.wait().expect("its end").code(), Some(130), "{out}");
    let first = out.lines().nth(1).expect("a line");
    assert!(
        first.starts_with("1 outcome in ") && first.ends_with("were left out: you stopped it"),
        "{out}"
    );
    let said = |part: &str| err.iter().any(|line| line.contains(part));
    assert!(said("interrupted: no more orders are begun"), "{err:?}");
    assert!(
        said("not all interleavings were run"),
        "nothing is written: {err:?}"
    );
    assert_eq!(fs::read_to_string(&path).expect("the file"), text);
}
