//! Several trials, and several runs, on one server that stays: what changes all of it is set back, whatever ends the
//! run, and what belongs to all of it is used in turn.
//!
//! One embedded server is started for all tests of this folder; the binary reaches it by its URL.

mod killed;
mod locks;
mod state;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, RwLock};
use std::time::{Duration, Instant};

use tidb_scenarios::connection::{Connection, ConnectionConfig};
use tidb_scenarios::history::{Outcome, SqlValue, describe, show};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let spec = ServerSpec::default();
    let server = Server::start(&settings, ProviderKind::Embedded, &spec);
    RUNTIME.block_on(server).expect("a server")
});

/// Held alone by tests that leave the server changed for a while: any run would set it back.
static LEFT: RwLock<()> = RwLock::new(());

/// Nothing here takes longer.
const LONG: Duration = Duration::from_mins(2);

/// One value of the server, as text; every session is a new one.
fn ask(sql: &str) -> String {
    // Started here: within a task of the runtime it cannot be.
    LazyLock::force(&SERVER);
    RUNTIME.block_on(async {
        let config = ConnectionConfig {
            database: None,
            ..SERVER.config().clone()
        };
        let mut session = Connection::open(&config, SERVER.options())
            .await
            .expect("a session");
        let outcome = session.execute(sql).await;
        session.close().await;
        match outcome {
            Outcome::Rows(set) => match set.rows.first().and_then(|row| row.first()) {
                Some(SqlValue::Text(text)) => text.clone(),
                Some(value) => show(value),
                None => String::new(),
            },
            other => describe(&other),
        }
    })
}

fn global(name: &str) -> String {
    ask(&format!("select @@global.{name}"))
}

/// The journal is there only while there is something in it.
fn has_journal_of(trial: &str) -> bool {
    ask(&format!(
        "select count(*) from tidb_scenarios_undo.entry where who like '%`{trial}`%'"
    )) == "1"
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).expect("a file");
    }
    folder
}

fn command(folder: &Path, user: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command
        .arg("run")
        .arg(folder)
        .env(
            "TIDB_URL",
            format!("mysql://{user}@127.0.0.1:{}/", SERVER.config().port),
        )
        .env_remove("TIDB_PROVIDER")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn started(folder: &Path) -> Child {
    command(folder, "root").spawn().expect("a process")
}

/// All that a run says, and the results of its trials by their names: `ok` or `FAILED`.
struct Ran {
    text: String,
    results: Vec<(String, String)>,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let results = text.lines().filter_map(|line| {
            let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
            Some((name.trim().to_owned(), result.trim().to_owned()))
        });
        let mut results: Vec<_> = results.filter(|(name, _)| !name.starts_with("result:")).collect();
        results.sort();
        Self { results, text }
    }

    fn assert_green(&self, trials: usize) {
        let green = self.results.iter().all(|(_, result)| result == "ok");
        assert!(green && self.results.len() == trials, "{}", self.text);
    }
}

fn run(files: &[(&str, &str)]) -> Ran {
    let _among = LEFT.read();
    run_now(files)
}

fn run_now(files: &[(&str, &str)]) -> Ran {
    let folder = folder(files);
    Ran::of(&command(folder.path(), "root").output().expect("a run"))
}

/// Waits until this holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
