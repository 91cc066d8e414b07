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

use tidb_scenarios::connection::{Connection, ConnectionOptions};
use tidb_scenarios::explore::{
    Came, ExploreSettings, Explored, Given, LeftOut, order_in_words, sample, table,
};
use tidb_scenarios::history::{Outcome, SqlValue, WaitRule};
use tidb_scenarios::plan::{PlanInput, TrialPlan, plan};
use tidb_scenarios::run::{Ran, RunSettings, Stage};
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
    RUNTIME
        .block_on(explored)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// How many orders come to each outcome.
fn counts(explored: &Explored) -> BTreeMap<Came, u128> {
    let groups = explored.outcomes.iter();
    groups
        .map(|group| (group.came.clone(), group.stands_for))
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
  b: {states: [{sql: update t set n = n * 2}, {sql: \"insert into t values (2, 5)\"}]}
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
        "an optimistic one that waits for older locks and is refused by newer ones",
        "setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
",
    ),
    (
        "two who wait for a third one, of whom the older one goes on",
        "setup: create table t (id int primary key, n int); insert into t values (1, 1)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n * 2}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  c: {txn: pessimistic, vars: {autocommit: 0}, states: [{sql: update t set n = n + 10}, {sql: commit}]}
",
    ),
    (
        "an error that lets go of locks without being asked to",
        "setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: rollback to s}, {sql: update t set n = n + 100}]}
  b: {states: [{sql: update t set n = n + 10}, {sql: update t set n = n * 2}]}
",
    ),
    (
        "what somebody does next who waited, for whom the other one's commit has another table",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 1}, {sql: select n from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: commit}]}
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
        let (mut pruned, mut full) = (with("all"), with("{prune: false}"));
        if counts(&pruned) != counts(&full) {
            // On a machine that is very busy, a statement may be slow enough to look like one that waits.
            println!("{name}: once more");
            (pruned, full) = (with("all"), with("{prune: false}"));
        }
        let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
        let tables = || format!("{}\n\n{}", table(&plan, &pruned), table(&plan, &full));
        assert!(counts(&pruned) == counts(&full), "{name}:\n{}", tables());
        assert_eq!(pruned.orders, full.orders, "{name}");
        assert_eq!(
            full.stands_for, full.distinct as u128,
            "{name}: each stands for itself"
        );
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
    assert!(
        all_run * 3 < all_full * 2,
        "pruning saves a third at least:\n{}",
        factors.join("\n")
    );
}

/// That pruning leaves out no order that differs.
fn pruning_is_sound(text: &str) {
    let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
    let (pruned, full) = (with("all"), with("{prune: false}"));
    let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
    let tables = format!(
        "pruned: {}\n\nfull: {}",
        table(&plan, &pruned),
        table(&plan, &full)
    );
    assert!(counts(&pruned) == counts(&full), "{tables}");
    assert_eq!(
        messages(&pruned).is_empty(),
        messages(&full).is_empty(),
        "{tables}"
    );
}

macro_rules! sound {
    ($($(#[$attribute:meta])* $name:ident: $text:expr;)*) => {
        $(
            $(#[$attribute])*
            #[test]
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
    pruning_and_a_further_database_by_its_connections: "setup: |
  create table ${database.far}.t (id int primary key, n int); insert into ${database.far}.t values (1, 0);
connections:
  a: {database: far, states: [{sql: select n from t}]}
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
    pruning_and_who_is_refused_in_a_deadlock: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: update u set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: update t set n = n + 10}, {sql: commit}]}
";
    pruning_and_a_saved_value_in_the_sql_of_a_transaction: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
vars: {a: 0, b: 0}
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t, save: {a: n}}, {sql: \"update t set n = ${a} + 1\"}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t, save: {b: n}}, {sql: \"update t set n = ${b} + 1\"}, {sql: commit}]}
";
    pruning_and_a_prepared_statement_in_a_transaction: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: prepare s from 'update t set n = n + 1'}, {sql: begin}, {sql: execute s}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t}, {sql: commit}]}
";
    pruning_and_a_select_that_fails: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key); insert into u values (1), (2);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: select (select id from u)}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: update t set n = n + 10}]}
";
    pruning_and_a_table_that_a_step_makes: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: begin}, {sql: create table x (id int primary key)}, {sql: update t set n = n + 1}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_always: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
expect:
  always: select (select n from t) + (select n from u) < 2
connections:
  a: {states: [{sql: update t set n = 1}, {sql: update t set n = 0}]}
  b: {states: [{sql: update u set n = 1}, {sql: update u set n = 0}]}
";
    pruning_and_autocommit_switched_off: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: set autocommit = 0}, {sql: update t set n = 1}, {sql: commit}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_a_variable_in_an_expectation: "vars: {n: 1}
connections:
  a: {states: [{sql: select 0 as n, save: {n: n}}]}
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

#[test]
fn every_real_order_is_run_once() {
    let text = "scenario: x
setup: create table t (id int primary key, n int)
connections:
  a: {states: [{sql: select 1}, {sql: select n from t}]}
  b: {states: [{sql: select 2}, {sql: \"insert into t values (1, 1)\"}]}
  c: {states: [{sql: select 3}]}
permutations: {prune: false}
";
    let all = explored(text);
    assert_eq!(
        (all.orders, all.run, all.distinct, all.stands_for),
        (30, 30, 30, 30)
    );
    assert_eq!(all.outcomes.iter().map(|group| group.run).sum::<usize>(), 30);
    assert_eq!(all.left_out, None);
    assert!(all.puts_back, "only rows are changed");
    // Where somebody waits, fewer orders are real than can be written down.
    let text = withdrawals("  errors: {}").replace("permutations: all", "permutations: {prune: false}");
    let waits = explored(&text);
    assert_eq!(waits.orders, 35);
    assert_eq!(waits.distinct as u128, waits.stands_for);
    assert!(waits.distinct < 35, "{}", waits.distinct);
    assert_eq!(waits.run, waits.distinct, "no order is run in vain");
    assert_eq!(messages(&waits), "");
}

/// The command that a failure names for its order: the arguments after the tool's name.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("this order again: tidb-scenarios "));
    let words = |line: &str| {
        let (words, order) = line.split_once(" --order ").expect("an order");
        let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        words.extend(["--order".to_owned(), order.trim_matches('\'').to_owned()]);
        words
    };
    lines.map(words).collect()
}

#[test]
fn a_failure_names_the_order_and_the_flag_repeats_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!("{LOST_UPDATE}expect:\n  tables: {{t: [[1, 2]]}}\n");
    let path = file(folder.path(), "lost.yaml", &text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    let commands = commands(&out);
    assert!(!commands.is_empty(), "{out}{err}");
    for command in &commands {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let order = words.last().expect("an order");
        assert!(out.contains(&format!("in the order {order}:")), "{out}");
        let (code, again, err) = run(&words);
        assert_eq!(code, Some(101), "{words:?}: {again}{err}");
        assert!(again.contains(&format!("in the order {order}:")), "{again}");
        let finding = |text: &str| {
            let from = text.find("in the order").expect("an order");
            let to = text[from..].find(" │").expect("a timeline");
            // The last line before is the timeline's head.
            let story = text[from..from + to].trim_end();
            story.lines().take(8).collect::<Vec<_>>().join("\n")
        };
        if command == &commands[0] {
            assert_eq!(finding(&again), finding(&out));
        }
        assert!(again.contains("0 passed; 1 failed"), "{again}");
    }
    // One that is right passes.
    let (code, out, err) = run(&["run", &path, "--", "--order", "bob bob alice alice"]);
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
fn an_order_that_does_not_fit_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "lost.yaml", LOST_UPDATE);
    for (order, wanted) in [
        ("alice carol", "has no connection `carol`; it has alice, bob"),
        (
            "alice alice alice bob bob",
            "`alice` has 2 steps, and is named 3 times",
        ),
    ] {
        let (code, out, err) = run(&["run", &path, "--", "--order", order]);
        assert_eq!(code, Some(101), "{out}{err}");
        assert!(out.contains("--order: ") && out.contains(wanted), "{out}{err}");
    }
    // A scenario without orders has none that could be asked for.
    let plain = "scenario: x\nconnections: [a]\nsteps: [{a: select 1}]\n";
    let path = file(folder.path(), "plain.yaml", plain);
    let (code, out, err) = run(&["run", &path, "--", "--order", "a"]);
    assert_eq!(code, Some(0), "it is run as it stands: {out}{err}");
}

#[test]
fn each_order_of_a_list_is_a_trial() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = "permutations: {list: [a b a b, [b.select, a.select, a.update, b.update]]}";
    let text = LOST_UPDATE
        .replace("permutations: all", list)
        .replace("alice", "a")
        .replace("bob", "b");
    let text = format!("{text}expect: {{tables: {{t: [[1, 1]]}}}}\n");
    let path = file(folder.path(), "lost.yaml", &text);
    let (code, out, err) = run(&["run", &path, "--", "--list", "--format", "terse"]);
    assert_eq!(code, Some(0), "{err}");
    let names: Vec<&str> = out.lines().collect();
    assert_eq!(names, ["lost::order=a-b-a-b: test", "lost::order=b-a-a-b: test"]);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("2 passed"), "{out}");
    let (code, out, _) = run(&["run", &path, "--", "order=b-a"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("1 passed") && out.contains("1 filtered out"),
        "{out}"
    );
}

#[test]
fn outcomes_are_each_seen_and_no_other() {
    let late = "    late: {tables: {t: [[1, 40]]}, saw: {alice.select: 40}}";
    let early = "    early: {tables: {t: [[1, 40]]}, saw: {alice.select: 100}}";
    let with = |outcomes: &[&str]| {
        let text = withdrawals(&format!("  outcomes:\n{}", outcomes.join("\n")));
        messages(&explored(&text))
    };
    assert_eq!(with(&[late, early]), "");
    // One that is not named fails with its facts.
    let text = with(&[late]);
    for part in [
        "an outcome that no name fits",
        "table t: (1, 40)",
        "alice.select: (100)",
        "had to wait: nobody",
    ] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    // One that is never seen fails, unless it may be.
    let never = "    never: {tables: {t: [[1, -20]]}}";
    let text = with(&[late, early, never]);
    assert!(text.contains("outcome `never` was never seen"), "{text}");
    assert!(!text.contains("no name fits"), "{text}");
    let may = "    never: {tables: {t: [[1, -20]]}, may: true}";
    assert_eq!(with(&[late, early, may]), "");
    // An order has one outcome.
    let text = with(&[late, early, "    again: {tables: {t: [[1, 40]]}}"]);
    assert!(text.contains("fits two outcomes, `late` and `again`"), "{text}");
    assert!(text.contains("fits two outcomes, `early` and `again`"), "{text}");
    // What one must be holds in one and not in another.
    let text = withdrawals("  tables: {t: [[1, 41]]}\n  outcomes:\n    any: {errors: {}}");
    let text = messages(&explored(&text));
    assert!(text.contains("41"), "what holds of every order: {text}");
}

#[test]
fn outcomes_say_exactly_who_waited() {
    let outcomes = |waits: &[&str]| {
        let lines: Vec<String> = waits
            .iter()
            .enumerate()
            .map(|(number, waits)| format!("    n{number}: {{blocked: [{waits}]}}"))
            .collect();
        messages(&explored(&withdrawals(&format!(
            "  outcomes:\n{}",
            lines.join("\n")
        ))))
    };
    assert_eq!(outcomes(&["", "bob.update", "alice.update"]), "");
    let text = outcomes(&["", "bob.update"]);
    assert!(text.contains("had to wait: alice.update"), "{text}");
    let text = outcomes(&["", "bob.update", "alice.update", "\"alice.update\", bob.update"]);
    assert!(text.contains("`n3` was never seen"), "{text}");
}

#[test]
fn outcomes_say_what_steps_saw() {
    let text = |saw: &str| {
        format!(
            "scenario: x
setup: create table t (id int primary key, name varchar(10))
connections:
  a: {{states: [{{sql: select * from t order by id}}, {{sql: select name from t where id = 1}}]}}
  b: {{states: [{{sql: \"insert into t values (1, 'x'), (2, null)\"}}]}}
permutations: all
expect:
  outcomes:
{saw}
"
        )
    };
    let good = text(
        "    nothing: {saw: {a.select: no rows, a.select.2: no rows}}
    first: {saw: {a.select: [], a.select.2: x}}
    both: {saw: {a.select: [[1, x], [2, null]], a.select.2: [[x]]}}",
    );
    let good = good.replace("no rows", "[]");
    assert_eq!(messages(&explored(&good)), "");
    // Each of them is looked at.
    for (from, to) in [
        ("[2, null]", "[2, 'null']"),
        ("a.select.2: x", "a.select.2: y"),
        ("a.select: []", "a.select: [[]]"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let planned = plan(
            Arc::new(SourceFile::new("t.yaml", bad.clone())),
            &PlanInput::default(),
        );
        let refused = planned
            .problems
            .iter()
            .any(tidb_scenarios::source::Diagnostic::is_error);
        assert!(refused || !messages(&explored(&bad)).is_empty(), "{bad}");
    }
    // A step that was not run saw nothing.
    let text = "scenario: x
setup: create table t (id int primary key)
connections:
  a: {states: [{sql: \"insert into t values (1)\"}, {sql: select 1}]}
  b: {states: [{sql: \"insert into t values (1)\"}, {sql: select 1}]}
permutations: all
expect:
  outcomes:
    a: {saw: {a.select: 1}, errors: {1062: 1}}
    b: {saw: {b.select: 1}, errors: {1062: 1}}
";
    assert_eq!(messages(&explored(text)), "");
}

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
        "4 outcomes of 6 orders",
        "table t",
        "2 orders, such as alice bob bob alice",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
    assert_eq!(
        fs::read_to_string(&path).expect("the file"),
        format!("{LOST_UPDATE}expect: {{tables: {{t: [[9, 9]]}}}}\n")
    );
    // A script of `steps` without `permutations`, with its waits, can be explored as well.
    let text = "scenario: x
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
    let path = file(folder.path(), "steps.yaml", text);
    let (code, out, err) = run(&["explore", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("outcomes of "), "{out}");
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

#[test]
fn an_optimistic_commit_waits_for_a_lock_of_an_older_transaction_only() {
    let all = explored(
        "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
permutations: all
",
    );
    let waits = all.outcomes.iter().filter(|group| !group.came.blocked.is_empty());
    let waits: Vec<_> = waits
        .map(|group| (group.came.blocked.clone(), group.stands_for))
        .collect();
    assert_eq!(waits, [(vec!["a.commit".to_owned()], 3)]);
}

#[test]
fn user_level_locks_of_one_order_are_not_in_the_way_of_another() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: &both {states: [{sql: \"select get_lock('explore_m', 5)\"}, {sql: update t set n = n + 1}, {sql: \"select release_lock('explore_m')\"}]}
  b: *both
permutations: all
";
    let all = explored(text);
    assert_eq!(counts(&all), counts(&explored(text)));
    assert!(
        all.outcomes.iter().all(|group| group.came.errors().is_empty()),
        "{:?}",
        counts(&all)
    );
}

#[test]
fn an_order_of_a_list_comes_to_the_outcome_that_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "scenario: listed
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {states: [{sql: begin}, {sql: update t set n = 1 where id = 1}, {sql: commit}]}
  b: {states: [{sql: update t set n = 2 where id = 1 and n = 0}]}
permutations: {list: [{order: a a b a, outcome: too late}, {order: b a a a, outcome: [first]}]}
expect:
  outcomes:
    too late: {saw: {b.update: {affected: 0}}, blocked: [b.update]}
    first: {saw: {b.update: {affected: 1}}, blocked: []}
";
    let path = file(folder.path(), "listed.yaml", text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(0), "{out}{err}");
    let crossed = text
        .replace("outcome: too late", "outcome: x")
        .replace("outcome: [first]", "outcome: too late")
        .replace("outcome: x", "outcome: first");
    let path = file(folder.path(), "crossed.yaml", &crossed);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    for part in [
        "this order came to `first`, not to `too late`",
        "this order came to `too late`, not to `first`",
        "not `too late`: b.update: expected 0 affected rows, got 1",
        "not `first`: b.update: expected 1 affected row, got 0",
        "2 failed",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
    }
    // Another order than the list's may come to anything.
    let args = ["--", "--exact", "crossed::order=a-a-b-a", "--order", "b a a a"];
    let (code, out, err) = run(&[&["run", &path][..], &args].concat());
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Orders that differ by what was changed and by who was refused, and by nothing that anybody reads.
const KEYS: &str = "scenario: keys
setup: create table t (id int primary key, n int)
connections:
  a: {states: [{sql: \"insert into t values (1, 1)\"}, {sql: delete from t}]}
  b: {states: [{sql: \"insert into t values (1, 1)\"}, {sql: delete from t}]}
permutations: all
";

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
    ] {
        let path = file(folder.path(), &format!("{name}.yaml"), &text);
        let (code, out, err) = run(&["explore", "--bless", &path]);
        assert_eq!(code, Some(0), "{name}: {out}{err}");
        assert!(err.contains(" written\n"), "{name}: {err}");
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
            "left_out",
            LOST_UPDATE.replace("permutations: all", "permutations: {most: 2}"),
            "not all orders were run",
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
            "scenario: x
setup: create table t (id int primary key); insert into t values (1)
connections: [a, b]
steps:
  - a: begin
  - a: update t set id = 2
  - b: update t set id = 3
    blocked_by: a
  - a: rollback
    unblocks: b
"
            .to_owned(),
            "who waits depends on the order",
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
    assert!(out.contains("both come to the same outcomes"), "{out}");
    let optimistic = started(&[("tidb_txn_mode", "optimistic")]);
    let (code, out, err) = run(&["compare", &path, "--with", &url(&optimistic)]);
    assert_eq!(code, Some(1), "{out}{err}");
    for part in [
        "only on the other one (url TiDB",
        "error 9007",
        "outcomes are there on one of them only",
        "had to wait",
    ] {
        assert!(out.contains(part), "`{part}` is missing:\n{out}");
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

/// A stage of its own, run in the orders of `picks`.
fn stage(text: &str, picks: &[&[usize]]) -> (bool, Vec<Came>, Arc<TrialPlan>) {
    let plan = trial(text);
    let settings = settings().run;
    let server: &Server = &SERVER;
    let came = RUNTIME.block_on(async {
        let mut stage = Stage::open(Arc::clone(&plan), server, &[], settings)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let puts_back = stage.puts_back();
        let mut all = Vec::new();
        for order in picks {
            let ran = stage.run(&mut Given::new(order), &[]).await.expect("it runs");
            assert!(ran.complete);
            assert_eq!(ran.history.stopped, None, "{text}");
            let order_taken: Vec<usize> = ran.taken.iter().map(|taken| taken.connection).collect();
            let came = Came::of(&plan, stage.tables(), &ran.history);
            assert_eq!(&order_taken, order, "{text}{:?}", came.facts());
            all.push(came);
        }
        assert_eq!(
            stage.puts_back(),
            puts_back,
            "rows that were put back are the same:\n{text}"
        );
        stage.close().await;
        (puts_back, all)
    });
    (came.0, came.1, plan)
}

/// Runs the same order three times, with another one between: what it comes to must not change. Tells whether
/// rows were put back.
fn comes_back(setup: &str, a: &str, b: &str) -> bool {
    let text = format!(
        "scenario: x\nsetup: |\n{}\nconnections:\n  a: {{states: [{a}]}}\n  b: {{states: [{b}]}}\npermutations: all\n",
        setup
            .lines()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    let plan = trial(&text);
    let order = |first: usize| {
        let steps = plan.steps.iter().map(|step| step.connection);
        let (one, other): (Vec<usize>, Vec<usize>) = steps.partition(|own| *own == first);
        [one, other].concat()
    };
    let (one, other) = (order(0), order(1));
    let (puts_back, came, _) = stage(&text, &[&one, &other, &one, &other, &other, &one]);
    assert_eq!(came[0], came[2], "{text}");
    assert_eq!(came[0], came[5], "{text}");
    assert_eq!(came[1], came[3], "{text}");
    assert_eq!(came[1], came[4], "{text}");
    puts_back
}

#[test]
fn rows_are_put_back_exactly() {
    let look = "{sql: select * from t order by 1}";
    for (what, setup, rows) in [
        (
            "numbers",
            "create table t (id int primary key, a decimal(20, 5), b double, c float, d bigint unsigned, e tinyint(1), f bit(9));",
            "(1, 1.10000, 0.1, 1.5, 18446744073709551615, 1, b'101010101'), (2, -0.00001, 1e300, -0.25, 0, 0, b'0'), (3, null, null, null, null, null, null)",
        ),
        (
            "text",
            "create table t (id int primary key, a varchar(50), b text, c char(5), d enum('x', 'it''s'), e set('p', 'q', 'r'));",
            "(1, 'it''s \"so\" \\\\ `x` ? %', 'line\\nline\\ttab', 'ab ', 'it''s', 'p,r'), (2, '', 'ünïcödé 🎉', '', null, ''), (3, null, null, null, 'x', null)",
        ),
        (
            "bytes",
            "create table t (id int primary key, a blob, b varbinary(20), c binary(4));",
            "(1, x'00ff00', x'deadbeef', x'01'), (2, '', '', x'00000000'), (3, null, null, null)",
        ),
        (
            "times",
            "create table t (id int primary key, a datetime(6), b timestamp(3) null, c date, d time(2), e year);",
            "(1, '2020-02-29 23:59:59.123456', '2021-01-01 00:00:00.500', '1999-12-31', '-12:34:56.78', 2024), (2, null, null, null, null, null), (3, '0001-01-01 00:00:00', '1970-01-02 00:00:01', '9999-12-31', '838:59:59', 1901)",
        ),
        (
            "json",
            "create table t (id int primary key, a json);",
            "(1, '{\"b\": [1, 2.5, null, true, \"x\\\\\"y\"], \"a\": {}}'), (2, 'null'), (3, null), (4, '\"text\"'), (5, '12345678901234567890')",
        ),
    ] {
        let setup = format!("{setup}\ninsert into t values {rows};");
        let a = format!("{look}, {{sql: delete from t where id = 1}}, {look}");
        assert!(
            comes_back(
                &setup,
                &a,
                "{sql: update t set id = id + 100}, {sql: delete from t}"
            ),
            "{what}"
        );
    }
    // Columns that are made of others, tables without a key, with rows twice and without any rows.
    let setup = "create table t (id int primary key, n int, twice int as (n * 2) stored, more int as (n + 1) virtual);
insert into t (id, n) values (1, 5), (2, null);
create table nokey (n int, s varchar(5) default 'x');
insert into nokey values (1, 'a'), (1, 'a'), (2, null);
create table nothing (id int primary key, n int);
create table `odd``name ?` (`a column` int primary key, `order` int);
insert into `odd``name ?` values (1, 2);";
    let a = format!(
        "{look}, {{sql: update t set n = n + 1}}, {{sql: \"insert into nothing values (1, 1)\"}}, {{sql: delete from nokey where n = 1 limit 1}}"
    );
    let b = "{sql: select * from nokey order by n}, {sql: \"insert into nokey (n) values (9)\"}, {sql: delete from `odd``name ?`}, {sql: select count(*) from nothing}";
    assert!(comes_back(setup, &a, b));
    // Foreign keys, in a ring and to itself, and what they take with them.
    let setup = "create table p (id int primary key, up int, foreign key (up) references p (id) on delete set null);
insert into p values (1, null), (2, 1);
create table t (id int primary key, p int, foreign key (p) references p (id) on delete cascade on update cascade);
insert into t values (1, 1), (2, 2);";
    let a = format!(
        "{{sql: delete from p where id = 2}}, {look}, {{sql: \"insert into t values (9, 9)\", error: 1452}}"
    );
    assert!(comes_back(
        setup,
        &a,
        "{sql: update p set id = 7 where id = 1, error: 1451}, {sql: delete from t}, {sql: select * from p order by id}"
    ));
    // More rows than one INSERT takes.
    let setup = "create table t (id int primary key, n int);
insert into t with recursive r as (select 1 as i union all select i + 1 from r where i < 701) select i, i * i from r;";
    assert!(comes_back(
        setup,
        "{sql: delete from t where id % 2 = 0}",
        "{sql: \"select count(*), sum(n) from t\"}"
    ));
}

#[test]
fn what_rows_cannot_put_back_leads_to_new_databases() {
    for (what, setup, a, b) in [
        (
            "auto_increment",
            "create table t (id int auto_increment primary key, n int);\ninsert into t (n) values (1);",
            "{sql: insert into t (n) values (2)}",
            "{sql: insert into t (n) values (3)}, {sql: select * from t order by id}",
        ),
        (
            "a schema change",
            "create table t (id int primary key);\ninsert into t values (1);",
            "{sql: alter table t add column n int default 7}",
            "{sql: select * from t}, {sql: \"create table u (id int)\"}",
        ),
        (
            "truncate",
            "create table t (id int primary key);\ninsert into t values (1);",
            "{sql: truncate table t}",
            "{sql: select * from t}",
        ),
        (
            "a view",
            "create table t (id int primary key);\ninsert into t values (1);\ncreate view v as select id + 1 as n from t;",
            "{sql: update t set id = 5}",
            "{sql: select * from v}",
        ),
    ] {
        assert!(!comes_back(setup, a, b), "{what}");
    }
    // The numbers of AUTO_RANDOM are others each time.
    let text = "scenario: x
setup: create table t (id bigint auto_random primary key)
connections: {a: {states: [{sql: select 1}]}}
permutations: all
";
    assert!(!explored(text).puts_back);
}

#[test]
fn sessions_bring_nothing_into_the_next_order() {
    let setup = "create table t (id int primary key, n int);\ninsert into t values (1, 0);";
    for (a, b) in [
        (
            "{sql: select @x as x}, {sql: \"set @x = 5\"}",
            "{sql: \"select @x := 7 as x\"}, {sql: select @x}",
        ),
        (
            "{sql: select @@sql_mode as m}, {sql: \"set sql_mode = ''\"}",
            "{sql: select @@autocommit}, {sql: set autocommit = 0}, {sql: update t set n = n + 1}",
        ),
        (
            "{sql: \"prepare p from 'select 1'\"}, {sql: execute p}",
            "{sql: \"execute p\", error: any}, {sql: \"prepare p from 'select 2'\"}",
        ),
        (
            "{sql: \"select get_lock('tsc_explore', 0)\"}",
            "{sql: \"select is_free_lock('tsc_explore') in (0, 1)\"}",
        ),
        (
            "{sql: select last_insert_id()}, {sql: \"select last_insert_id(9)\"}",
            "{sql: select last_insert_id()}",
        ),
        (
            "{sql: begin}, {sql: update t set n = 9}",
            "{sql: select n from t}",
        ),
        (
            "{sql: use mysql}, {sql: select database() = 'mysql'}",
            "{sql: select database() = 'mysql'}",
        ),
        (
            "{sql: select * from tmp, error: 1146}, {sql: \"create temporary table tmp (id int)\"}",
            "{sql: select n from t}",
        ),
        (
            "{sql: \"set transaction isolation level read committed\"}",
            "{sql: select @@transaction_isolation}, {sql: \"set session transaction isolation level read committed\"}",
        ),
        (
            "{sql: \"insert into t values (1, 1)\", error: 1062}, {sql: \"insert into t values (2, 1)\"}",
            "{sql: \"insert into t values (1, 1)\"}",
        ),
    ] {
        comes_back(setup, a, b);
    }
}

#[test]
fn a_shorter_story_leaves_out_who_has_nothing_to_do_with_it() {
    let text = "scenario: x
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 0), (2, 0);
connections:
  a: {states: [{sql: select 1}, {sql: select n from t where id = 1, save: {n: n}}, {sql: \"update t set n = ${n} + 1 where id = 1\"}]}
  b: {states: [{sql: update t set n = n + 1 where id = 1}]}
  c: {states: [{sql: update t set n = n + 1 where id = 2}, {sql: select n from t where id = 2}]}
permutations: all
expect:
  queries: [{sql: select n from t where id = 1, value: 2}]
";
    let plan = trial(text);
    let began = Instant::now();
    let explored = explored(text);
    assert!(began.elapsed() < Duration::from_secs(60));
    let failing = explored.failing.first().expect("a failure");
    let shrunk = failing.shrunk.as_ref().expect("a shorter one");
    let order = order_in_words(&plan, &shrunk.order);
    assert_eq!(order, "a b a", "{shrunk:?}");
    let mut without: Vec<String> = shrunk
        .without
        .iter()
        .map(|step| plan.describe(&plan.steps[*step]))
        .collect();
    without.sort();
    assert_eq!(without.len(), 3, "{without:?}");
    // As the report shows it.
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "three.yaml", text);
    let (code, out, err) = run(&["run", &path]);
    assert_eq!(code, Some(101), "{out}{err}");
    let story = out.split("it fails as well").nth(1).expect("a shorter story");
    let story: Vec<&str> = story.lines().skip(1).take(4).collect();
    assert_eq!(story[3], "", "{story:?}");
    assert!(
        story[0].starts_with("  - a: ") && story[1].starts_with("  - b: ") && story[2].starts_with("  - a: "),
        "{story:?}"
    );
    // No time is no search.
    let mut settings = settings();
    settings.shrink_max = Duration::ZERO;
    let none = tidb_scenarios::explore::explore(&plan, &SERVER, &[], &settings);
    let none = RUNTIME.block_on(none).expect("it runs");
    assert!(none.failing[0].shrunk.is_none());
}

#[test]
fn a_sample_is_the_same_for_the_same_seed() {
    let text = |permutations: &str| {
        LOST_UPDATE.replace("permutations: all", &format!("permutations: {permutations}"))
    };
    let orders = |text: &str| {
        let explored = explored(text);
        assert_eq!(explored.left_out, Some(LeftOut::Asked));
        let groups = explored.outcomes.iter();
        let groups: Vec<(Came, u128, Vec<usize>)> = groups
            .map(|group| (group.came.clone(), group.stands_for, group.order.clone()))
            .collect();
        (explored.distinct, groups)
    };
    let one = orders(&text("{sample: 3, seed: 7}"));
    assert_eq!(one.0, 3);
    for _ in 0..3 {
        assert_eq!(orders(&text("{sample: 3, seed: 7}")), one);
    }
    let others = (1..6).map(|seed| orders(&text(&format!("{{sample: 3, seed: {seed}}}"))));
    assert!(
        others.into_iter().any(|other| other != one),
        "another seed is another sample"
    );
    assert_eq!(
        orders(&text("{sample: 100, seed: 1}")).0,
        6,
        "there are no more than six"
    );
    // Every order is as likely as any other.
    let mut counts: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
    for seed in 0..6_000 {
        for order in sample(&[2, 2], 1, seed) {
            *counts.entry(order).or_default() += 1;
        }
    }
    assert!(
        counts.len() == 6 && counts.values().all(|count| (850..1150).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn most_says_what_was_left_out() {
    let text = LOST_UPDATE.replace("permutations: all", "permutations: {most: 4}");
    let explored = explored(&text);
    assert_eq!((explored.run, explored.distinct), (4, 4));
    assert_eq!(explored.left_out, Some(LeftOut::Most(4)));
    let shown = table(&trial(&text), &explored);
    let first = shown.lines().next().expect("a line");
    for part in ["6", "`most` is 4", "left out"] {
        assert!(first.contains(part), "`{part}` is missing: {first}");
    }
    // Exactly as many as there are leave out nothing.
    let exact = LOST_UPDATE.replace("permutations: all", "permutations: {most: 6, prune: false}");
    assert_eq!(self::explored(&exact).left_out, None);
}

#[test]
fn without_outcomes_an_error_fails_its_order_and_with_them_it_does_not() {
    let text = "scenario: x
setup: create table t (id int primary key)
connections:
  a: {states: [{sql: \"insert into t values (1)\"}]}
  b: {states: [{sql: \"insert into t values (1)\"}]}
permutations: all
";
    let without = explored(text);
    assert_eq!(without.failed, 2);
    assert!(messages(&without).contains("1062"), "{}", messages(&without));
    let with = explored(&format!(
        "{text}expect: {{outcomes: {{one: {{errors: {{1062: 1}}}}}}}}\n"
    ));
    assert_eq!(messages(&with), "");
}

#[test]
fn orders_that_come_out_the_same_count_once() {
    // Who waits cannot go on: what an order asks of them comes later, as in another order.
    let text = withdrawals("  errors: {}");
    let all = explored(&text.replace("permutations: all", "permutations: {prune: false}"));
    let sampled = explored(&text.replace("permutations: all", "permutations: {sample: 35, seed: 1}"));
    assert_eq!(sampled.orders, 35);
    assert!(
        sampled.distinct <= all.distinct,
        "{} of {}",
        sampled.distinct,
        all.distinct
    );
    assert!(
        sampled.run > sampled.distinct,
        "{} of {}",
        sampled.distinct,
        sampled.run
    );
    let groups = sampled.outcomes.iter();
    let run: usize = groups.map(|group| group.run).sum();
    assert_eq!(run, sampled.distinct);
}

#[test]
fn whoever_gets_an_error_lets_go_of_its_locks() {
    let text = "scenario: x
setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key); insert into u values (1);
step_timeout: 3s
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: insert into u values (1)}]}
  b: {states: [{sql: update t set n = n + 10}]}
permutations: all
";
    let (_, came, _) = stage(text, &[&[0, 0, 1, 0]]);
    let facts: BTreeMap<String, String> = came[0].facts().into_iter().collect();
    assert_eq!(facts["a.insert"], "error 1062");
    assert_eq!(facts["had to wait"], "b.update");
    assert_eq!(
        facts["b.update"], "1 row changed",
        "it goes on as soon as the lock is free"
    );
    assert_eq!(facts["table t"], "(1, 10)");
}

#[test]
fn whoever_waits_goes_on_before_the_next_step() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}, {sql: select n from t}]}
  b: {states: [{sql: update t set n = n + 10}, {sql: select n from t}]}
permutations: all
";
    // After the commit, the second step of the one who waited is next, as the order says: `stage` looks at it.
    let order: &[usize] = &[0, 0, 1, 0, 1, 0];
    let (_, came, _) = stage(text, &[order, order, order]);
    for came in came {
        let facts: BTreeMap<String, String> = came.facts().into_iter().collect();
        assert_eq!(facts["had to wait"], "b.update");
        assert_eq!(
            (facts["a.select"].as_str(), facts["b.select"].as_str()),
            ("(11)", "(11)")
        );
    }
}

#[test]
fn rows_that_are_put_back_take_no_others_with_them() {
    let setup = "create table p (id int primary key, n int);
insert into p values (1, 0);
create table t (id int primary key, p int, foreign key (p) references p (id) on delete cascade);
insert into t values (1, 1);";
    assert!(comes_back(
        setup,
        "{sql: update p set n = n + 1}",
        "{sql: select * from t}"
    ));
}

/// Locks a row, as nobody of the trial does, while the trial sleeps for the first time, and lets go of it when it
/// sleeps for the second time: to the engine, a statement that waits for it looks like one that is merely slow to
/// get its lock.
async fn stand_in_the_way(database: &str, row: u32) {
    let mut outsider = Connection::open(SERVER.config(), &ConnectionOptions::default())
        .await
        .expect("a connection");
    somebody_sleeps(&mut outsider, database, "select sleep(0.7)").await;
    outsider.execute("begin pessimistic").await;
    let lock = format!("update {database}.t set n = n + 1 where id = {row}");
    let locked = outsider.execute(&lock).await;
    assert!(!locked.is_error(), "{locked:?}");
    somebody_sleeps(&mut outsider, database, "select sleep(1)").await;
    outsider.execute("rollback").await;
    outsider.close().await;
}

async fn somebody_sleeps(outsider: &mut Connection, database: &str, sql: &str) {
    let sleeps = format!(
        "select count(*) from information_schema.processlist where db = '{database}' and info like '{sql}%'"
    );
    let began = Instant::now();
    while matches!(outsider.execute(&sleeps).await, Outcome::Rows(set) if set.rows == [[SqlValue::Int(0)]]) {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody sleeps");
    }
}

/// The time between the first and the last sight of the only wait.
fn apart(ran: &Ran) -> Duration {
    let waits: Vec<_> = ran
        .history
        .steps
        .iter()
        .filter_map(|step| step.wait.as_ref())
        .collect();
    match waits.as_slice() {
        [wait] => match wait.rule {
            WaitRule::SameLockWaitTwice { apart_us } => Duration::from_micros(apart_us),
            other => panic!("{other:?}"),
        },
        other => panic!("{} waits", other.len()),
    }
}

/// How far apart the sights of a wait are of which nothing is known.
const CERTAIN: Duration = Duration::from_millis(24);

const TWO_WRITERS: &str = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0), (2, 0)
connections:
  a: {txn: pessimistic, states: [{sql: select sleep(0.7)}, {sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: select sleep(1)}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = ROW}, {sql: commit}]}
permutations: {list: [a a a b b a a b]}
";

#[test]
fn a_wait_that_was_certain_once_is_believed_sooner() {
    let text = TWO_WRITERS
        .replace("ROW", "1")
        .replace("sleep(0.7)", "0")
        .replace("sleep(1)", "1");
    let plan = trial(&text);
    let server: &Server = &SERVER;
    RUNTIME.block_on(async {
        let mut stage = Stage::open(Arc::clone(&plan), server, &[], settings().run)
            .await
            .expect("a stage");
        let mut times = Vec::new();
        for _ in 0..10 {
            let ran = stage
                .run(&mut Given::new(&[0, 0, 0, 1, 1, 0, 0, 1]), &[])
                .await
                .expect("it runs");
            assert!(!ran.doubtful);
            times.push(apart(&ran));
        }
        stage.close().await;
        assert!(times[0] >= CERTAIN, "nothing is known before: {times:?}");
        assert!(times[1..].iter().any(|time| *time < CERTAIN), "{times:?}");
    });
}

#[test]
fn who_comes_back_though_nobody_let_go_is_not_believed_again() {
    let plan = trial(&TWO_WRITERS.replace("ROW", "2"));
    let settings = settings().run;
    let database = settings.database.clone();
    let server: &Server = &SERVER;
    RUNTIME.block_on(async {
        let mut stage = Stage::open(Arc::clone(&plan), server, &[], settings)
            .await
            .expect("a stage");
        for _ in 0..3 {
            let mut order = Given::new(&[0, 0, 0, 1, 1, 0, 0, 1]);
            let (ran, ()) = tokio::join!(stage.run(&mut order, &[]), stand_in_the_way(&database, 2));
            let ran = ran.expect("it runs");
            assert!(
                ran.doubtful,
                "nobody of the trial let go of anything: {:#?}",
                ran.history.steps
            );
            assert!(apart(&ran) >= CERTAIN, "what is doubtful is never trusted again");
        }
        let ran = stage
            .run(&mut Given::new(&[0, 0, 0, 1, 1, 0, 0, 1]), &[])
            .await
            .expect("it runs");
        assert!(!ran.doubtful);
        assert!(ran.history.steps.iter().all(|step| step.wait.is_none()));
        stage.close().await;
    });
}

#[test]
fn an_order_is_run_again_if_somebody_waited_for_nobody() {
    let plan = trial(&TWO_WRITERS.replace("ROW", "2"));
    let settings = settings();
    let server: &Server = &SERVER;
    let (explored, ()) = RUNTIME.block_on(async {
        tokio::join!(
            tidb_scenarios::explore::explore(&plan, server, &[], &settings),
            stand_in_the_way(&settings.run.database, 2)
        )
    });
    let explored = explored.expect("it runs");
    assert_eq!((explored.run, explored.distinct), (1, 1));
    let facts: BTreeMap<String, String> = explored.outcomes[0].came.facts().into_iter().collect();
    assert_eq!(facts["had to wait"], "nobody");
    assert_eq!(facts["table t"], "(1, 1) (2, 10)");
}

#[test]
fn what_came_to_an_end_before_or_after_makes_it_another_place() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0), (3, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = 1}, {sql: commit}]}
  c: {states: [{sql: update t set n = n + 100 where id = 3}]}
permutations: {list: [c a a b b a b]}
";
    let plan = trial(text);
    let server: &Server = &SERVER;
    RUNTIME.block_on(async {
        let mut stage = Stage::open(Arc::clone(&plan), server, &[], settings().run)
            .await
            .expect("a stage");
        // What `c` has written is there for `a` in one of them, and is not in the other.
        for order in [[2, 0, 0, 1, 1, 0, 1], [0, 0, 2, 1, 1, 0, 1]] {
            let ran = stage.run(&mut Given::new(&order), &[]).await.expect("it runs");
            assert!(apart(&ran) >= CERTAIN, "{order:?}: {:?}", apart(&ran));
        }
        stage.close().await;
    });
}

#[test]
fn the_first_of_two_who_wait_goes_on_before_the_next_step() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}, {sql: select n from t}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
  c: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n * 2}, {sql: commit}]}
permutations: all
";
    // `stage` looks at it that each takes its steps when the order says so.
    let order: &[usize] = &[0, 0, 1, 1, 2, 2, 0, 1, 2, 0];
    let (_, came, _) = stage(text, &[order; 8]);
    for came in came {
        let facts: BTreeMap<String, String> = came.facts().into_iter().collect();
        assert_eq!(facts["had to wait"], "b.update, c.update");
        assert_eq!(facts["a.select"], "(22)");
    }
}
