//! The flags of a run: those of libtest, and `--keep-db`.

#[path = "../support/mod.rs"]
mod support;

use std::fs;

use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};

const PASSES: &str = "scenario: passes
setup: create table t (id int primary key)
connections: [alice]
steps:
  - alice: insert into t values (1)
";

const FAILS: &str = "scenario: fails
setup: create table t (id int primary key)
connections:
  alice: {}
  bob: {database: shop}
steps:
  - alice: insert into t values (1)
    affected: 2
  - bob: select 1
";

/// Runs the two scenarios above.
fn run(env: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [("passes.yaml", PASSES), ("fails.yaml", FAILS)] {
        fs::write(folder.path().join(name), text).expect("a scenario");
    }
    let mut command = support::binary();
    command.arg("run").arg(folder.path()).args(args);
    for name in ["TIDB_URL", "TIDB_SCENARIOS_KEEP_DB", "TIDB_SCENARIOS_HISTORY"] {
        command.env_remove(name);
    }
    command.env("TIDB_PROVIDER", "embedded").envs(env.iter().copied());
    support::told(&mut command)
}

#[test]
fn help_has_the_flags_of_libtest_and_ours() {
    let (code, text) = run(&[], &["--", "--help"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "-- [OPTIONS] [FILTER]...",
        "--keep-db",
        "--history",
        "--timestamps",
        "--include-ignored",
        "--ignored",
        "--list",
        "--nocapture",
        "--no-capture",
        "--show-output",
        "--exact",
        "--quiet",
        "--test-threads",
        "--logfile",
        "--skip",
        "--color",
        "--format",
        "TIDB_URL",
        "101 ",
    ] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
}

#[test]
fn an_unknown_flag_is_refused() {
    let (code, text) = run(&[], &["--", "--keep-bd"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--keep-db"), "the nearest one is named:\n{text}");
}

#[test]
fn the_history_of_each_trial_is_written_where_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/histories");
    let path = path.to_str().expect("a path");
    for (env, args) in [
        (&[][..], &["--", "--history", path][..]),
        (&[("TIDB_SCENARIOS_HISTORY", path)], &[]),
    ] {
        let (code, text) = run(env, args);
        assert_eq!(code, Some(101), "{text}");
        assert!(
            text.contains(&format!("the whole history: {path}/fails.json")),
            "{text}"
        );
        let read = |name: &str| -> serde_json::Value {
            let text = fs::read_to_string(format!("{path}/{name}.json")).expect("a history");
            serde_json::from_str(&text).expect("JSON")
        };
        let failed = read("fails");
        assert_eq!(failed["verdict"], "failed");
        assert_eq!(failed["findings"][0]["line"], 8, "{failed:#}");
        let first = &failed["history"]["steps"][0];
        assert_eq!(first["end"]["outcome"]["Done"]["affected"], 1, "{failed:#}");
        assert_eq!(read("passes")["verdict"], "passed");
        fs::remove_dir_all(path).expect("both were written");
    }
    // A folder that cannot be is a failure of each trial, not a silent loss.
    let (code, text) = run(&[], &["--", "--history", "/proc/none"]);
    assert_eq!(code, Some(101));
    assert!(text.contains("cannot write the history to /proc/none/"), "{text}");
}

#[test]
fn keep_db_says_that_a_server_of_ours_ends_with_the_run() {
    let (code, text) = run(&[], &["--keep-db"]);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("(embedded) ends with the run"), "{text}");
    assert!(
        text.contains("TIDB_URL=mysql://root@127.0.0.1:4000/ tidb-scenarios run"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_db_keeps_the_databases_of_trials_that_fail() {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let server = Server::start(&settings, ProviderKind::Embedded, &ServerSpec::default())
        .await
        .expect("a server");
    let url = format!("mysql://root@127.0.0.1:{}/", server.config().port);
    let url = [("TIDB_URL", url.as_str()), ("TIDB_PROVIDER", "url")];
    let kept = [&url[..], &[("TIDB_SCENARIOS_KEEP_DB", "1")]].concat();
    let not_kept = [&url[..], &[("TIDB_SCENARIOS_KEEP_DB", "0")]].concat();

    for (env, args, keeps) in [
        (&url[..], &[][..], false),
        (&not_kept, &[], false),
        (&url, &["--keep-db"], true),
        (&url, &["--", "--keep-db"], true),
        (&kept, &[], true),
    ] {
        let (code, text) = run(env, args);
        assert_eq!(code, Some(101), "{text}");
        let found = databases(&server).await;
        let wanted = if keeps { 2 } else { 0 };
        assert_eq!(found.len(), wanted, "{args:?} left {found:?}:\n{text}");
        assert_eq!(
            text.matches("kept: database").count(),
            usize::from(keeps),
            "{text}"
        );
        if let [own, further] = found.as_slice() {
            assert_eq!(*further, format!("{own}_shop"));
            let port = server.config().port;
            let look = format!("mysql --host=127.0.0.1 --port={port} --user=root {own}\n");
            assert!(
                text.contains(&format!("kept: database {own}, {further}\n")),
                "{text}"
            );
            assert!(text.contains(&look), "{text}");
            let rows = query(&server, &format!("select id from {own}.t")).await;
            assert_eq!(rows, [[SqlValue::Int(1)]]);
            // The command that the failure names for it.
            let drop = format!("drop database {own}; drop database {further}");
            assert!(text.contains(&format!("-e '{drop}'")), "{text}");
            for statement in drop.split("; ") {
                query(&server, statement).await;
            }
        }
    }
    server.stop().await.expect("it ends");
}

async fn query(server: &Server, sql: &str) -> Vec<Vec<SqlValue>> {
    let mut connection = Connection::open(server.config(), server.options())
        .await
        .expect("a connection");
    let outcome = connection.execute(sql).await;
    connection.close().await;
    match outcome {
        Outcome::Rows(set) => set.rows,
        Outcome::Done(_) => Vec::new(),
        other => panic!("{sql}: {other:?}"),
    }
}

/// The databases that trials left.
async fn databases(server: &Server) -> Vec<String> {
    let sql =
        r"select schema_name from information_schema.schemata where schema_name like 'tsc\_%' order by 1";
    let rows = query(server, sql).await;
    rows.into_iter()
        .flatten()
        .map(|value| match value {
            SqlValue::Text(name) => name,
            other => panic!("{other:?} is no name"),
        })
        .collect()
}

#[test]
fn timestamps_of_each_step_are_written_where_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    let of = |flags: &[&str]| -> Vec<serde_json::Value> {
        let flags: Vec<&str> = ["--", "--exact", "passes", "--history", path]
            .into_iter()
            .chain(flags.iter().copied())
            .collect();
        let (code, text) = run(&[], &flags);
        assert_eq!(code, Some(0), "{text}");
        let written = fs::read_to_string(folder.path().join("passes.json")).expect("a history");
        let written: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        let steps = written["history"]["steps"].as_array().expect("steps").clone();
        steps.into_iter().map(|step| step["timestamps"].clone()).collect()
    };
    assert_eq!(of(&[]), [serde_json::Value::Null], "nobody asked");
    let [one] = of(&["--timestamps"]).try_into().expect("one step");
    let (start, commit) = (one["start_ts"].as_u64(), one["commit_ts"].as_u64());
    assert!(start.is_some() && start < commit, "{one}");

    let (code, text) = run(&[], &["--", "--timestamps"]);
    assert_eq!(code, Some(2), "without a history they would be lost:\n{text}");
    assert!(text.contains("TIDB_SCENARIOS_HISTORY"), "{text}");

    // The environment says where the history goes as well as the flag does.
    fs::remove_file(folder.path().join("passes.json")).expect("the history");
    let env = [("TIDB_SCENARIOS_HISTORY", path)];
    let (code, text) = run(&env, &["--", "--exact", "passes", "--timestamps"]);
    assert_eq!(code, Some(0), "{text}");
    let written = fs::read_to_string(folder.path().join("passes.json")).expect("a history");
    assert!(written.contains("\"start_ts\""), "{written}");
}
