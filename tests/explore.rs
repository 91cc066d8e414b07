//! Every order, on a real server: which orders are run, what they come to, and what is left out of them.
//!
//! One embedded server is started for all tests of this file; the binary reaches it by its URL.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tidb_scenarios::explore::{
    Came, ExploreSettings, Explored, Given, LeftOut, order_in_words, sample, table,
};
use tidb_scenarios::plan::{PlanInput, TrialPlan, plan};
use tidb_scenarios::run::{RunSettings, Stage};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tidb_scenarios::source::SourceFile;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SERVER: LazyLock<Server> = LazyLock::new(|| started(&[]));
static DATABASES: AtomicUsize = AtomicUsize::new(0);

fn started(vars: &[(&str, &str)]) -> Server {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
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
    let problems: Vec<&str> = planned.problems.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(problems, [""; 0], "{text}");
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
        },
        stages: 4,
        shrink_max: Duration::from_secs(5),
    }
}

fn explored(text: &str) -> Explored {
    let plan = trial(text);
    let settings = settings();
    let explored = tidb_scenarios::explore::explore(&plan, &SERVER, &[], &settings);
    RUNTIME.block_on(explored).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// How many orders come to each outcome.
fn counts(explored: &Explored) -> BTreeMap<Came, u128> {
    let groups = explored.outcomes.iter();
    groups.map(|group| (group.came.clone(), group.stands_for)).collect()
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

fn run_on(url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("TIDB_SCENARIOS")
        .env("TIDB_PROVIDER", "url")
        .env("TIDB_URL", url);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the binary starts");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (status.code(), stdout, stderr)
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("a scenario");
    path.display().to_string()
}

/// Setups and connections, for which pruning must not change what is found.
const PRUNED: &[(&str, &str)] = &[
    (
        "plain reads",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {states: [{sql: select n from t where id = 1}, {sql: select n from t where id = 2}]}
  b: {states: [{sql: select sum(n) from t}, {sql: select count(*) from t}]}
  c: {states: [{sql: update t set n = 1 where id = 1}]}
",
    ),
    (
        "autocommit writes",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: update t set n = n + 1}, {sql: select n from t}]}
  b: {states: [{sql: update t set n = n * 2}, {sql: insert into t values (2, 5)}]}
",
    ),
    (
        "pessimistic transactions",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: select sum(n) from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = 1}, {sql: commit}]}
",
    ),
    (
        "optimistic transactions",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: commit}]}
  b: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = 1}, {sql: commit}]}
  c: {states: [{sql: select n from t where id = 1}]}
",
    ),
    (
        "read committed",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {isolation: read committed, states: [{sql: begin}, {sql: select n from t}, {sql: select n from t}, {sql: commit}]}
  b: {states: [{sql: begin}, {sql: update t set n = 7}, {sql: commit}]}
",
    ),
    (
        "a deadlock",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: update t set n = n + 1 where id = 2}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 2}, {sql: update t set n = n + 1 where id = 1}, {sql: rollback}]}
",
    ),
    (
        "foreign keys",
        "setup: |
  create table p (id int primary key); insert into p values (1), (2);
  create table k (id int primary key, p int, foreign key (p) references p (id) on delete cascade); insert into k values (1, 1);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: \"insert into k values (2, 2)\"}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: delete from p where id = 2}, {sql: rollback}]}
",
    ),
    (
        "variables by save",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 1);
vars: {seen: 0}
connections:
  a: {states: [{sql: select n from t, save: {seen: n}}, {sql: \"update t set n = ${seen} + 1\"}]}
  b: {states: [{sql: select n from t, save: {seen: n}}, {sql: \"update t set n = ${seen} * 3\"}]}
",
    ),
    (
        "two tables with nothing in common",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: select n from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 1}, {sql: select n from u}, {sql: commit}]}
",
    ),
    (
        "two tables, and one who reads both",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {states: [{sql: update t set n = 1}, {sql: update t set n = 2}]}
  b: {states: [{sql: update u set n = 1}, {sql: update u set n = 2}]}
  c: {states: [{sql: begin}, {sql: \"select t.n, u.n from t, u\"}, {sql: commit}]}
",
    ),
    (
        "session variables, which depend on everything",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: \"set @x = 1\"}, {sql: \"update t set n = n + @x\"}]}
  b: {states: [{sql: \"set @x = 2\"}, {sql: \"update t set n = n * 2 + @x\"}]}
",
    ),
    (
        "savepoints and a rollback",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: savepoint s}, {sql: update t set n = 1}, {sql: rollback to s}, {sql: commit}]}
  b: {states: [{sql: update t set n = n + 10}]}
",
    ),
];

#[test]
fn pruning_finds_the_same_outcomes_of_the_same_numbers_of_orders() {
    let mut factors = Vec::new();
    let (mut all_run, mut all_full) = (0, 0);
    for (name, text) in PRUNED {
        let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
        let (pruned, full) = (with("all"), with("{prune: false}"));
        let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
        let tables = || format!("{}\n\n{}", table(&plan, &pruned), table(&plan, &full));
        assert_eq!(counts(&pruned), counts(&full), "{name}:\n{}", tables());
        assert_eq!(pruned.orders, full.orders, "{name}");
        assert_eq!(full.stands_for, full.distinct as u128, "{name}: each stands for itself");
        assert!(pruned.distinct <= full.distinct, "{name}:\n{}", tables());
        (all_run, all_full) = (all_run + pruned.distinct, all_full + full.distinct);
        factors.push(format!(
            "{name}: {} of {} orders run, {:.1} times fewer; {} outcomes",
            pruned.distinct,
            full.distinct,
            full.distinct as f64 / pruned.distinct as f64,
            full.outcomes.len()
        ));
    }
    println!("{}", factors.join("\n"));
    println!("in all {all_run} of {all_full}");
    assert!(all_run * 3 < all_full * 2, "pruning saves a third at least:\n{}", factors.join("\n"));
}

/// Known to be wrong: pruning leaves out orders that do differ.
fn pruning_is_sound(text: &str) {
    let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
    let (pruned, full) = (with("all"), with("{prune: false}"));
    let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
    let tables = format!("pruned: {}\n\nfull: {}", table(&plan, &pruned), table(&plan, &full));
    assert_eq!(counts(&pruned), counts(&full), "{tables}");
    assert_eq!(messages(&pruned).is_empty(), messages(&full).is_empty(), "{tables}");
}

macro_rules! sound {
    ($($(#[$attribute:meta])* $name:ident: $text:expr;)*) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $name() {
                pruning_is_sound($text);
            }
        )*
    };
}

sound! {
    pruning_and_a_view: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create view v as select n from t;
connections:
  a: {states: [{sql: select n from v}]}
  b: {states: [{sql: update t set n = 1}]}
";
    pruning_and_a_further_database: "setup: |
  create table ${database.far}.t (id int primary key, n int); insert into ${database.far}.t values (1, 0);
connections:
  a: {states: [{sql: \"select n from ${database.far}.t\"}]}
  b: {database: far, states: [{sql: update t set n = 1}]}
";
    pruning_and_a_sequence: "setup: |
  create sequence s;
connections:
  a: {states: [{sql: select nextval(s)}]}
  b: {states: [{sql: select nextval(s)}]}
";
    pruning_and_an_error_that_gives_up_a_transaction: "setup: |
  create table t (id int primary key); insert into t values (1);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {states: [{sql: update u set n = n + 1}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: insert into t values (1)}]}
";
    pruning_and_a_deadlock_over_two_tables: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: update u set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: update t set n = n + 10}, {sql: commit}]}
  c: {states: [{sql: update t set n = n * 2}]}
";
    pruning_and_autocommit_switched_off: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: set autocommit = 0}, {sql: update t set n = 1}, {sql: commit}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_a_variable_in_an_expectation: "vars: {n: 0}
connections:
  a: {states: [{sql: select 1 as n, save: {n: n}}]}
  b: {states: [{sql: select 0, value: \"${n}\"}]}
";
    pruning_and_a_variable_with_the_name_of_a_table: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
vars: {which: u}
connections:
  a: {states: [{sql: select 't' as name, save: {which: name}}, {sql: \"update ${which} set n = 1\"}]}
  b: {states: [{sql: select n from t}]}
";
}
