//! `--pause` holds a trial where it has failed: locks and sessions are there to look at.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use tidb_scenarios::connection::{Connection, ConnectionConfig, ConnectionOptions};
use tidb_scenarios::history::{Outcome, SqlValue};

/// bob must not be blocked, and is.
const BLOCKED: &str = "scenario: blocked
setup: |
  create table t (id int primary key, v int)
  ; insert into t values (1, 1), (2, 2)
connections: [alice, bob]
steps:
  - alice: begin pessimistic
  - alice: update t set v = 5 where id = 1
  - bob: update t set v = 6 where id = 1
  - alice: commit
";

/// alice gets an error that nobody expects, in a transaction that has a lock.
const REFUSED: &str = "scenario: refused
setup: |
  create table t (id int primary key, v int);
  insert into t values (1, 1), (2, 2)
connections: [alice, bob]
steps:
  - alice: begin pessimistic
  - alice: select get_lock('the_lock', 1)
  - alice: update t set v = 5 where id = 1
  - alice: insert into t values (2, 2)
  - bob: update t set v = 6 where id = 2
";

/// What fails is seen at the end only.
const AT_THE_END: &str = "scenario: at the end
setup: create table t (id int primary key)
connections: [alice]
steps:
  - alice: insert into t values (1)
expect:
  tables:
    t: [[2]]
";

const CONCURRENT: &str = "scenario: concurrent
setup: create table t (id int primary key)
connections:
  alice: {states: [{sql: insert into t values (1)}, {sql: insert into t values (1)}]}
";

const PASSES: &str = "scenario: passes
connections: [alice]
steps:
  - alice: select nope
    error: 1054
  - alice: select 1
    value: 1
";

struct Run {
    process: Child,
    input: Option<ChildStdin>,
    lines: Box<dyn Iterator<Item = String>>,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start(text: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("one.yaml"), text).expect("a scenario");
        let mut command = support::binary();
        command.arg("run").args(args).arg(folder.path());
        for name in ["TIDB_URL", "TIDB_SCENARIOS_KEEP_DB", "TIDB_SCENARIOS_HISTORY"] {
            command.env_remove(name);
        }
        let mut process = command
            .env("TIDB_PROVIDER", "embedded")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        Self {
            input: process.stdin.take(),
            process,
            lines: Box::new(lines.map_while(Result::ok)),
            _folder: folder,
        }
    }

    /// What is said until somebody is asked.
    fn held(&mut self) -> String {
        let mut said = Vec::new();
        for line in self.lines.by_ref() {
            let asks = line.contains("Ctrl-C goes on");
            said.push(line);
            if asks {
                return said.join("\n");
            }
        }
        panic!("it was not held:\n{}", said.join("\n"));
    }

    /// The exit code, and the rest of what is said.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.by_ref().collect();
        (self.process.wait().expect("it ends").code(), rest.join("\n"))
    }

    /// As Ctrl-C.
    fn interrupt(&self) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.expect("kill").success());
    }

    fn enter(&mut self) {
        let input = self.input.as_mut().expect("a pipe");
        input
            .write_all(b"\n")
            .and_then(|()| input.flush())
            .expect("a line");
    }
}

/// A session on the server that is named, in the database that is named.
async fn look(said: &str) -> Connection {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("look at it: "))
        .expect("how to look");
    let (_, port) = line.split_once("--port=").expect("a port");
    let mut words = port.split_whitespace();
    let config = ConnectionConfig {
        id: "look".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: words.next().and_then(|port| port.parse().ok()).expect("a port"),
        username: "root".to_owned(),
        password: String::new(),
        database: words.last().map(str::to_owned),
    };
    let options = ConnectionOptions::default();
    Connection::open(&config, &options).await.expect("a session")
}

async fn one(connection: &mut Connection, sql: &str) -> SqlValue {
    match connection.execute(sql).await {
        Outcome::Rows(set) => set.rows[0][0].clone(),
        other => panic!("{sql}: {other:?}"),
    }
}

fn session_of(said: &str, name: &str) -> i128 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: connection id ")));
    let id = line.and_then(|line| line.split(';').next()).expect("an id");
    id.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_blocked_unexpectedly_stays_so_while_somebody_looks() {
    let mut run = Run::start(BLOCKED, &["--pause"], &[]);
    let said = run.held();
    for part in [
        "bob: this step must return, but it is blocked by alice",
        "idle after line 8",
        "runs line 9: update t set v = 6 where id = 1",
        "  blocked by alice (table t, row 1)",
        "  holds an open transaction: 1 key changed or locked",
        "innodb_lock_wait_timeout (",
    ] {
        assert!(said.contains(part), "{part} is missing:\n{said}");
    }
    let mut session = look(&said).await;
    let waits = "select count(*) from information_schema.data_lock_waits";
    assert_eq!(one(&mut session, waits).await, SqlValue::Int(1));
    for name in ["alice", "bob"] {
        let id = session_of(&said, name);
        let there = format!("select count(*) from information_schema.processlist where id = {id}");
        assert_eq!(one(&mut session, &there).await, SqlValue::Int(1), "{name}");
    }
    run.enter();
    let (code, rest) = run.end();
    assert_eq!(code, Some(101), "{rest}");
    assert!(rest.contains("one: goes on"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_got_an_error_keeps_its_locks_until_the_trial_goes_on() {
    let mut run = Run::start(REFUSED, &[], &[("TIDB_SCENARIOS_PAUSE", "1")]);
    let said = run.held();
    assert!(said.contains("expected success, got error 1062"), "{said}");
    assert!(
        said.contains("bob: connection id ") && said.contains("; idle\n"),
        "bob has not begun:\n{said}"
    );
    assert!(said.contains("  holds the user-level lock 'the_lock'"), "{said}");
    let mut session = look(&said).await;
    // Without a transaction of its own it would lock nothing.
    session.execute("begin pessimistic").await;
    let locked = session
        .execute("select * from t where id = 1 for update nowait")
        .await;
    assert_eq!(locked.error().map(|error| error.code), Some(3572), "{locked:?}");
    run.interrupt();
    let (code, rest) = run.end();
    assert_eq!(code, Some(101), "Ctrl-C ends the pause, not the run:\n{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_at_the_end_only_leaves_its_tables() {
    for (text, why, rows) in [
        (AT_THE_END, "sessions: none any more: its steps have ended", 1),
        (
            CONCURRENT,
            "sessions: none any more: its connections run by themselves",
            1,
        ),
    ] {
        let mut run = Run::start(text, &["--pause"], &[]);
        let said = run.held();
        assert!(said.contains(why), "{said}");
        let mut session = look(&said).await;
        assert_eq!(
            one(&mut session, "select count(*) from t").await,
            SqlValue::Int(rows)
        );
        run.enter();
        assert_eq!(run.end().0, Some(101));
    }
}

#[test]
fn a_trial_that_passes_is_not_held_and_standard_input_may_be_closed() {
    let (code, rest) = Run::start(PASSES, &["--pause"], &[]).end();
    assert_eq!(code, Some(0), "{rest}");
    let mut run = Run::start(AT_THE_END, &["--pause"], &[]);
    run.input = None;
    let said = run.held();
    run.interrupt();
    let (code, rest) = run.end();
    assert_eq!(code, Some(101), "{said}\n{rest}");
}

/// On a terminal (`script` of util-linux makes one), the run's own server stays for a look at what a trial has left.
#[tokio::test(flavor = "multi_thread")]
async fn keep_db_keeps_the_runs_own_server_until_enter_where_there_is_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("one.yaml"), AT_THE_END).expect("a scenario");
    let run = format!(
        "{} run --keep-db {}",
        env!("CARGO_BIN_EXE_tidb-scenarios"),
        folder.path().display()
    );
    let mut process = Command::new("script")
        .args(["-qec", &run, "/dev/null"])
        .env("TIDB_PROVIDER", "embedded")
        .env("NO_COLOR", "1")
        .env_remove("TIDB_URL")
        .env_remove("TIDB_SCENARIOS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script of util-linux");
    let mut input = process.stdin.take().expect("a pipe");
    let output = BufReader::new(process.stdout.take().expect("a pipe"));
    let mut lines = output
        .lines()
        .map_while(Result::ok)
        .map(|line| line.trim().to_owned());
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let asks = line.contains("Enter or Ctrl-C ends it");
        said.push(line);
        if asks {
            break;
        }
    }
    let database = said
        .iter()
        .find_map(|line| line.strip_prefix("one: "))
        .expect("a database");
    let client = said
        .iter()
        .find(|line| line.starts_with("mysql --host="))
        .expect("a command");
    let mut session = look(&format!("look at it: {client} {database}")).await;
    assert_eq!(
        one(&mut session, "select count(*) from t").await,
        SqlValue::Int(1)
    );
    session.close().await;
    input.write_all(b"\n").expect("a line");
    let rest: Vec<String> = lines.collect();
    assert_eq!(
        process.wait().expect("it ends").code(),
        Some(101),
        "{said:#?}\n{rest:#?}"
    );
}
