//! A TiDB and Debian's MariaDB: the same orders on both, and where they differ.
//!
//! MariaDB has to be installed (`apt-get install mariadb-server`), so the test is asked for by name, as CI does:
//! `cargo test --test mariadb -- --ignored`. It starts a server of its own on data of its own.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long the server may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

const STARTS_MAX: usize = 5;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A MariaDB of ours, gone with its data when this is dropped.
struct MariaDb {
    process: Child,
    port: u16,
    _data: TempDir,
}

impl MariaDb {
    fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let own = |name: &str| data.path().join(name).display().to_string();
        // Whoever is root has to say so, or the server refuses.
        let user = "--user=root";
        let installed = Command::new("mariadb-install-db")
            .args(["--no-defaults", user, "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", &format!("--datadir={}", own("data"))])
            // Two that install at once would take each other's files.
            .arg(format!("--tmpdir={}", data.path().display()))
            .output()
            .expect("mariadb-install-db: apt-get install mariadb-server");
        assert!(
            installed.status.success(),
            "{}",
            String::from_utf8_lossy(&[installed.stdout, installed.stderr].concat())
        );
        // A port that is free now may be another's when the server asks for it; then the server ends.
        for _ in 0..STARTS_MAX {
            let port = free_port();
            let log = fs::File::create(own("log")).expect("a log");
            // It ends with this test, however the test ends.
            let mut process = Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "mariadbd", "--no-defaults", user])
                .args(["--skip-name-resolve", "--bind-address=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--datadir={}", own("data")))
                .arg(format!("--tmpdir={}", data.path().display()))
                .arg(format!("--socket={}", own("socket")))
                .arg(format!("--pid-file={}", own("pid")))
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("setpriv, of util-linux");
            let began = Instant::now();
            // It writes this when it has its port.
            while !Path::new(&own("pid")).exists() {
                if process.try_wait().expect("its state").is_some() {
                    break;
                }
                if began.elapsed() > START_MAX {
                    drop(process.kill());
                    panic!("mariadbd does not answer: {}", text(&own("log")));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            if process.try_wait().expect("its state").is_none() {
                return Self {
                    process,
                    port,
                    _data: data,
                };
            }
        }
        panic!("mariadbd ends: {}", text(&own("log")));
    }

    fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/", self.port)
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs the binary, on an embedded TiDB or on the server behind a URL.
fn run(args: &[&str], url: Option<&str>) -> (Option<i32>, String, String) {
    let mut command = support::binary();
    command
        .args(args)
        .env_remove("TIDB_PROVIDER")
        .env_remove("TIDB_URL");
    match url {
        Some(url) => command.env("TIDB_URL", url),
        None => command.env("TIDB_PROVIDER", "embedded"),
    };
    support::answer(&mut command)
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("it can be written");
    path.display().to_string()
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
}

/// Both make the second one wait, in rows and behind what an open transaction has read.
const WAITS: &str = "scenario: waits
setup: create table t (id int primary key, n int); insert into t values (1, 0), (2, 0)
connections:
  a: {states: [{sql: begin}, {state: adds, sql: update t set n = n + 1 where id = 1}, {state: ends, sql: commit}]}
  b: {states: [{state: waits, sql: update t set n = n + 2 where id = 1}]}
permutations: {list: [a a b a, a b a a, b a a a]}
";

/// A schema change waits for who has read the table, and a lock by name for who has it.
const OTHER_WAITS: &str = "scenario: waits that are not for rows
setup: create table t (id int primary key, n int)
connections:
  reader: {states: [{sql: begin}, {sql: select * from t}, {sql: commit}]}
  change: {states: [{state: alters, sql: alter table t add column m int}]}
  one: {states: [{sql: \"select get_lock('gate', 5)\"}, {sql: \"select release_lock('gate')\"}]}
  two: {states: [{state: locks, sql: \"select get_lock('gate', 5)\"}, {sql: \"select release_lock('gate')\"}]}
permutations: {list: [reader reader change reader one two one two]}
";

/// TiDB locks rows that are there; InnoDB locks the gap, too, in which they could be.
const GAP: &str = "scenario: nobody is there yet
setup: create table t (id int primary key, n int); insert into t values (1, 0), (9, 0)
connections:
  a:
    states:
      - sql: begin
      - {state: looks, sql: select count(*) from t where id between 3 and 6 for update}
      - sql: commit
  b: {states: [{state: comes, sql: 'insert into t values (5, 5)'}]}
permutations: all
";

const SCRIPT: &str = "scenario: a script
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections: [alice, bob]
steps:
  - alice: begin
  - alice: update t set n = 1 where id = 1
  - bob: update t set n = n + 1 where id = 1
    blocked: true
  - alice: commit
    unblocks: bob
expect: {tables: {t: [[1, 2]]}}
";

#[test]
#[ignore = "needs MariaDB on this machine; CI runs it"]
fn the_same_orders_on_tidb_and_mariadb() {
    let maria = MariaDb::start();
    let folder = tempfile::tempdir().expect("a folder");
    let compare = |path: &str| run(&["compare", path, "--with", &maria.url()], None);

    let waits = file(folder.path(), "waits.yaml", WAITS);
    let (code, out, err) = compare(&waits);
    assert_eq!(code, Some(0), "{out}{err}");
    has(&out, &["url MariaDB", "of 3 trials: 3 have the same outcomes"]);
    for name in [
        "write_skew",
        "lost_update",
        "deadlock_of_three",
        "withdrawals_with_a_lock",
    ] {
        let (code, out, err) = compare(&format!("scenarios/orders/{name}.yaml"));
        assert_eq!(code, Some(0), "{out}{err}");
        has(&out, &["both have the same outcomes"]);
    }

    // Waits for other things than rows are seen as well: what differs is only what ALTER TABLE is answered.
    let other = file(folder.path(), "other.yaml", OTHER_WAITS);
    for url in [None, Some(maria.url())] {
        let (code, out, err) = run(&["explore", &other], url.as_deref());
        assert_eq!(code, Some(0), "{out}{err}");
        has(&out, &["blocked", "change.alters, two.locks"]);
    }

    let gap = file(folder.path(), "gap.yaml", GAP);
    let (code, out, err) = compare(&gap);
    assert_eq!(code, Some(1), "{out}{err}");
    has(
        &out,
        &[
            "this server (embedded TiDB 8.0.11-TiDB-v8.5.4",
            "only on the other one (url MariaDB",
            "blocked  b.comes",
        ],
    );
    // The other way round.
    let (code, tidb_out, _) = run(&["explore", &gap], None);
    assert_eq!(code, Some(0));
    has(&tidb_out, &["blocked", "none"]);
    assert!(!tidb_out.contains("b.comes, "), "{tidb_out}");

    // A script runs there as well, and says how its waits are known.
    let script = file(folder.path(), "script.yaml", SCRIPT);
    let (code, out, err) = run(&["run", &script, "--", "--show-output"], Some(&maria.url()));
    assert_eq!(code, Some(0), "{out}{err}");
    has(
        &format!("{out}{err}"),
        &["InnoDB's status or the list of processes shows"],
    );
    // InnoDB's status names no holder, so that nothing can show this.
    let by = SCRIPT.replace("blocked: true", "blocked_by: alice");
    let by = file(folder.path(), "by.yaml", &by);
    let (code, out, err) = run(&["run", &by], Some(&maria.url()));
    assert_eq!(code, Some(101), "{out}{err}");
    has(
        &format!("{out}{err}"),
        &["it is blocked, and by whom is not shown"],
    );
    let wrong = file(
        folder.path(),
        "wrong.yaml",
        &SCRIPT
            .replace("    blocked: true\n", "")
            .replace("    unblocks: bob\n", ""),
    );
    let (code, out, err) = run(&["run", &wrong], Some(&maria.url()));
    assert_eq!(code, Some(101), "{out}{err}");
    has(
        &format!("{out}{err}"),
        &["this step must return, but it is blocked"],
    );

    // Nothing of all that is left.
    let (code, out, err) = run(&["run", ".ci/nothing_left.yaml"], Some(&maria.url()));
    assert_eq!(code, Some(0), "{out}{err}");
}

#[test]
#[ignore = "needs MariaDB on this machine; CI runs it"]
fn what_only_tidb_has_is_said_and_is_no_success() {
    let maria = MariaDb::start();
    let folder = tempfile::tempdir().expect("a folder");
    let optimistic = file(
        folder.path(),
        "optimistic.yaml",
        &WAITS.replace("connections:\n  a: {", "connections:\n  a: {txn: optimistic, "),
    );
    let (code, out, err) = run(&["compare", &optimistic, "--with", &maria.url()], None);
    assert_eq!(code, Some(101), "{out}{err}");
    has(
        &format!("{out}{err}"),
        &[
            "ignored: needs TiDB, since `a` sets tidb_txn_mode = 'optimistic'",
            "nothing was compared",
        ],
    );
    // What cannot be run there does not keep the others from being compared.
    let clustered = file(
        folder.path(),
        "clustered.yaml",
        &WAITS.replace("id int primary key", "id int primary key nonclustered"),
    );
    let plain = file(folder.path(), "plain.yaml", WAITS);
    let (code, out, err) = run(&["compare", &clustered, &plain, "--with", &maria.url()], None);
    assert_eq!(code, Some(101), "{out}{err}");
    has(
        &format!("{out}{err}"),
        &[
            "the other server, of --with: clustered",
            "error 1064",
            "of 6 trials: 3 have the same outcomes, 3 could not be run",
        ],
    );
}
