//! What is logged: a span for each scenario, one for each connection below it, and no password.

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use tidb_scenarios::engine::SourceFile;
use tidb_scenarios::engine::{PlanInput, plan};
use tidb_scenarios::engine::{RunSettings, run};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tracing_test::traced_test;

const SCENARIO: &str = "scenario: a second writer waits
setup: |
  create table t (id int primary key, v int);
  insert into t values (1, 0);
connections: [alice, bob]
steps:
  - alice: begin pessimistic
  - alice: update t set v = ${env.LOGS_PASSWORD} where id = 1
  - bob: update t set v = 2 where id = 1
    blocked_by: alice
  - alice: commit
    unblocks: bob
  - bob: select * from nowhere
    error: ER_NO_SUCH_TABLE
";

#[traced_test]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_logged_by_scenario_and_connection() {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let server = Server::start(&settings, ProviderKind::Embedded, &ServerSpec::default())
        .await
        .expect("a server");
    let input = PlanInput {
        name: "logs::second".to_owned(),
        env: [("LOGS_PASSWORD".to_owned(), "77123456".to_owned())].into(),
        ..PlanInput::default()
    };
    let planned = plan(Arc::new(SourceFile::new("logs.yaml", SCENARIO)), &input);
    assert!(!planned.is_broken(), "{:?}", planned.problems);
    let trial = Arc::new(planned.trials.into_iter().next().expect("a trial"));
    let settings = RunSettings {
        live: None,
        hold: None,
        timestamps: false,
        database: format!("logs_{}", std::process::id()),
        keep_databases: false,
    };
    let history = run(trial, &server, &[], &settings).await.expect("a history");
    server.stop().await.expect("it stops");
    assert_eq!(history.stopped, None);

    logs_assert(|lines: &[&str]| {
        let has = |parts: &[&str]| {
            lines
                .iter()
                .any(|line| parts.iter().all(|part| line.contains(part)))
        };
        let alice = r#"scenario{trial=logs::second}:connection{connection=alice}"#;
        let bob = r#"scenario{trial=logs::second}:connection{connection=bob}"#;
        for wanted in [
            ["scenario{trial=logs::second}", "begins", "database="].as_slice(),
            &["connected", "connection=alice", "session="],
            &[alice, "step ended", "line=8", "outcome=\"done\""],
            &["scenario{trial=logs::second}", "blocked", "connection=\"bob\""],
            &[bob, "step ended", "outcome=\"error 1146\""],
            &["scenario{trial=logs::second}", "ends", "stopped=None"],
        ] {
            if !has(wanted) {
                return Err(format!("no line has all of {wanted:?}:\n{}", lines.join("\n")));
            }
        }
        let ours = |line: &&&str| line.contains("tidb_scenarios");
        match lines.iter().filter(ours).find(|line| line.contains("77123456")) {
            Some(line) => Err(format!("a secret is logged: {line}")),
            None => Ok(()),
        }
    });
}

#[test]
fn rust_log_asks_for_logs_on_standard_error_and_they_hold_no_password() {
    let output = support::binary()
        .args(["run", "scenarios/locking/second_writer_waits.yaml"])
        .env("TIDB_URL", "mysql://root:geheim77@127.0.0.1:9/")
        .env_remove("TIDB_PROVIDER")
        .env("RUST_LOG", "trace")
        .output()
        .expect("the binary starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(101), "{out}{err}");
    assert!(err.contains("TRACE") || err.contains("DEBUG"), "{err}");
    assert!(
        !out.contains("geheim77") && !err.contains("geheim77"),
        "{out}{err}"
    );
    assert!(!out.contains("DEBUG"), "logs stand on standard error only: {out}");
}

/// Runs a scenario with a log of this format.
fn logged(format: Option<&str>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs.yaml");
    std::fs::write(&path, SCENARIO).expect("a scenario");
    let mut command = support::binary();
    command
        .arg("run")
        .arg(&path)
        .env("TIDB_PROVIDER", "embedded")
        .env_remove("TIDB_URL")
        .env_remove("NO_COLOR")
        .env("LOGS_PASSWORD", "77123456")
        .env("RUST_LOG", "tidb_scenarios=debug");
    if let Some(format) = format {
        command.env("RUST_LOG_FORMAT", format);
    }
    let (code, out, err) = support::answer(&mut command);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!err.contains("77123456"), "{err}");
    err
}

#[test]
fn a_log_that_is_no_terminal_has_no_escapes() {
    let log = logged(None);
    assert!(
        log.contains("statement ended") && !log.contains('\u{1b}'),
        "{log:?}"
    );
}

#[test]
fn a_log_of_json_has_the_statements() {
    let log = logged(Some("json"));
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let with = |sql: &str| {
        let mut lines = lines.iter();
        lines.any(|line| {
            let names = line["spans"].as_array().map_or(&[][..], Vec::as_slice);
            line["fields"]["sql"] == sql && names.iter().any(|span| span["trial"] == "logs")
        })
    };
    assert!(with("update t set v = 2 where id = 1"), "{log}");
    assert!(with("update t set v = <redacted> where id = 1"), "{log}");
}
