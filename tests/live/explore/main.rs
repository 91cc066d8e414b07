//! Every order, on a real server: which orders are run, what they come to, and what is left out of them.
//!
//! One embedded server is started for all tests of this folder; the binary reaches it by its URL.

mod commands;
mod orders;
mod outcomes;
mod plain;
mod pruned;
mod pruning;
mod random;
mod stage;
mod transactions;
mod waits;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tidb_scenarios::engine::RunSettings;
use tidb_scenarios::engine::{ExploreSettings, Explored, OrderOutcome};
use tidb_scenarios::engine::{PlanInput, TrialPlan, plan};
use tidb_scenarios::engine::{Severity, SourceFile};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SERVER: LazyLock<Server> = LazyLock::new(|| started(&[]));
static DATABASES: AtomicUsize = AtomicUsize::new(0);

fn started(vars: &[(&str, &str)]) -> Server {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let vars = vars
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let spec = ServerSpec {
        vars: vars.collect(),
        ..ServerSpec::default()
    };
    let server = Server::start(&settings, ProviderKind::Embedded, &spec);
    RUNTIME.block_on(server).expect("a server")
}

fn url(server: &Server) -> String {
    format!("mysql://root@127.0.0.1:{}/", server.config().port)
}

/// The only trial of a file.
fn trial(text: &str) -> Arc<TrialPlan> {
    let planned = plan(Arc::new(SourceFile::new("t.yaml", text)), &PlanInput::default());
    let mistakes = planned.problems.iter();
    let mistakes = mistakes.filter(|one| one.severity == Severity::Error);
    let mistakes: Vec<&str> = mistakes.map(|one| one.message.as_str()).collect();
    assert_eq!(mistakes, [""; 0], "{text}");
    let mut trials = planned.trials;
    assert_eq!(trials.len(), 1, "{text}");
    Arc::new(trials.remove(0))
}

fn settings() -> ExploreSettings {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    ExploreSettings {
        run: RunSettings {
            database: format!("explore_{}_{number}", std::process::id()),
            keep_databases: false,
            live: None,
            hold: None,
            timestamps: false,
        },
        sandboxes: 4,
        shrink_max: Duration::from_secs(5),
        stop: Arc::default(),
    }
}

fn explored(text: &str) -> Explored {
    let plan = trial(text);
    let settings = settings();
    let explored = tidb_scenarios::engine::explore(&plan, &SERVER, &[], &settings);
    RUNTIME
        .block_on(explored)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// How many orders come to each outcome.
fn counts(explored: &Explored) -> BTreeMap<OrderOutcome, u128> {
    let groups = explored.outcomes.iter();
    groups
        .map(|class| (class.outcome.clone(), class.trace_size))
        .collect()
}

/// All that failed, in one text.
fn messages(explored: &Explored) -> String {
    let failing = explored.failing.iter().flat_map(|failing| &failing.findings);
    let lines = explored.findings.iter().chain(failing).map(|finding| {
        let detail = finding.detail.as_deref().unwrap_or_default();
        format!("{}\n{}\n{detail}", finding.message, finding.label)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs the binary on the server of all tests.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    run_on(&url(&SERVER), args)
}

/// The binary on this server.
fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("TIDB_SCENARIOS")
        .env_remove("CI")
        .env("TIDB_PROVIDER", "url")
        .env("TIDB_URL", url);
    command
}

fn run_on(url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(url, args).output().expect("the binary starts");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (status.code(), stdout, stderr)
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a scenario");
    path.display().to_string()
}

const LOST_UPDATE: &str = "scenario: an increment is lost
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 0);
connections:
  alice: &both
    states:
      - {sql: select n from t, save: {n: n}}
      - {sql: \"update t set n = ${n} + 1\"}
  bob: *both
permutations: all
";

/// Rows that were counted down from what was seen before, with what is expected of them.
fn withdrawals(expect: &str) -> String {
    format!(
        "scenario: two take from one account
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 100);
connections:
  alice:
    txn: pessimistic
    states: [{{sql: begin}}, {{sql: select n from t}}, {{sql: update t set n = n - 60 where n >= 60}}, {{sql: commit}}]
  bob:
    txn: pessimistic
    states: [{{sql: begin}}, {{sql: update t set n = n - 60 where n >= 60}}, {{sql: commit}}]
permutations: all
expect:
{expect}
"
    )
}
