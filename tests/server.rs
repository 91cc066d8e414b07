//! Real servers: they come up, they answer, and whatever ends their owner, nothing of them is left.
//!
//! The tests run this executable again as the owner of a server (`CHILD` says what it does), because
//! only another process can be killed. It is also the reaper of its containers, as a harness is.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use testcontainers::bollard::query_parameters::{ListContainersOptionsBuilder, RemoveImageOptions};
use testcontainers::core::client::docker_client_instance;
use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{
    CONTAINER_LABEL, Progress, ProviderKind, Server, ServerSettings, ServerSpec, StartError, Store,
    StoreEngine, build_image, choose, engine_answers, run_reaper_if_asked,
};

const CHILD: &str = "TIDB_SCENARIOS_TEST_CHILD";
const IMAGE: &str = "tidb-scenarios/server-test:local";

fn main() -> ExitCode {
    if let Some(code) = run_reaper_if_asked(std::env::args_os()) {
        return code;
    }
    if let Ok(job) = std::env::var(CHILD) {
        return child(&job);
    }
    let engine = runtime().block_on(engine_answers());
    let trial = |name: &str, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok::<(), Failed>(())
        })
    };
    let with_engine = |name: &str, test: fn()| trial(name, test).with_ignored_flag(!engine);
    let args = Arguments::from_args();
    let listing = args.list;
    let conclusion = libtest_mimic::run(
        &args,
        vec![
            trial(
                "a_provider_that_is_none_is_an_error",
                a_provider_that_is_none_is_an_error,
            ),
            trial("no_server_at_all_is_an_error", no_server_at_all_is_an_error),
            trial("an_unreachable_url_is_an_error", an_unreachable_url_is_an_error),
            trial(
                "an_image_that_is_missing_is_found_out_fast",
                an_image_that_is_missing_is_found_out_fast,
            ),
            trial("a_failing_build_shows_its_end", a_failing_build_shows_its_end),
            trial(
                "a_store_that_cannot_be_had_is_an_error",
                a_store_that_cannot_be_had_is_an_error,
            ),
            trial("two_processes_build_once", two_processes_build_once),
            trial(
                "a_killed_build_leaves_no_process",
                a_killed_build_leaves_no_process,
            ),
            trial(
                "embedded_with_a_bad_flag_shows_its_log",
                embedded_with_a_bad_flag_shows_its_log,
            ),
            trial(
                "embedded_with_a_bad_variable_is_an_error",
                embedded_with_a_bad_variable_is_an_error,
            ),
            trial("embedded_answers_and_goes", embedded_answers_and_goes),
            trial(
                "embedded_on_files_with_variables",
                embedded_on_files_with_variables,
            ),
            trial(
                "embedded_keeps_the_rows_of_old_snapshots",
                embedded_keeps_the_rows_of_old_snapshots,
            ),
            trial(
                "url_reaches_a_server_and_leaves_it",
                url_reaches_a_server_and_leaves_it,
            ),
            trial("embedded_that_dies_is_noticed", embedded_that_dies_is_noticed),
            trial(
                "embedded_goes_when_its_owner_is_killed",
                embedded_goes_when_its_owner_is_killed,
            ),
            trial(
                "embedded_goes_when_its_owner_is_interrupted",
                embedded_goes_when_its_owner_is_interrupted,
            ),
            trial(
                "embedded_goes_when_its_owner_panics",
                embedded_goes_when_its_owner_panics,
            ),
            trial(
                "embedded_goes_when_its_owner_is_killed_early",
                embedded_goes_when_its_owner_is_killed_early,
            ),
            with_engine("container_whole", container_whole),
        ],
    );
    if engine && !listing {
        runtime().block_on(async {
            if let Ok(engine) = docker_client_instance().await {
                // It is not there if its trial did not run.
                let _ = engine.remove_image(IMAGE, None::<RemoveImageOptions>, None).await;
            }
        });
    }
    conclusion.exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// An embedded server whatever the environment says.
fn quiet() -> ServerSettings {
    let cache_dir = std::env::var_os("TIDB_SCENARIOS_CACHE").map(PathBuf::from);
    let reaper = Some(std::env::current_exe().unwrap());
    ServerSettings {
        cache_dir,
        reaper,
        progress: Progress::Silent,
        ..ServerSettings::default()
    }
}

async fn ask(server: &Server, sql: &str) -> String {
    let mut session = Connection::open(server.config(), server.options()).await.unwrap();
    let outcome = session.execute(sql).await;
    session.close().await;
    match outcome {
        Outcome::Rows(rows) => match &rows.rows[0][0] {
            SqlValue::Text(text) => text.clone(),
            SqlValue::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}

// ---- the child --------------------------------------------------------------------------------

/// The owner of a server: starts what `job` says, tells it on standard output, and waits to be ended.
fn child(job: &str) -> ExitCode {
    let report = |error: &dyn std::error::Error| {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        println!("error {text}");
        ExitCode::FAILURE
    };
    let settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => ServerSettings {
            reaper: std::env::current_exe().ok(),
            ..settings
        },
        Err(error) => return report(&error),
    };
    runtime().block_on(async {
        if job == "choose" {
            return match choose(&settings).await {
                Ok(choice) => {
                    println!("{}", choice.line);
                    ExitCode::SUCCESS
                }
                Err(error) => report(&error),
            };
        }
        let kind = job.trim_end_matches("-panic").parse().unwrap();
        let server = match Server::start(&settings, kind, &ServerSpec::default()).await {
            Ok(server) => server,
            Err(error) => return report(&error),
        };
        let id = server.pid().map(|pid| pid.to_string());
        println!("up {}", id.as_deref().or(server.container_id()).unwrap_or("-"));
        assert!(!job.ends_with("-panic"), "as ordered");
        std::future::pending().await
    })
}

/// A process to be killed, with a directory of its own for temporary files: what is left is told by it.
struct Owner {
    process: Child,
    stdout: BufReader<ChildStdout>,
    temp: tempfile::TempDir,
}

impl Owner {
    fn start(job: &str, vars: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let mut process = command(job, temp.path(), vars).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            stdout,
            temp,
        }
    }

    /// Waits for the server, and tells its process or container.
    fn up(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.strip_prefix("up ")
            .unwrap_or_else(|| panic!("not up: {line}"))
            .trim()
            .to_owned()
    }

    fn end(&mut self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        // A shell that starts a job in the background has it ignore SIGINT, and then nothing would ever end here.
        let began = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{signal} did not end it; is it ignored here?"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until no process uses the directory and nothing is in it; tells how long that took.
    fn nothing_is_left(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        let mut clean_since = None;
        loop {
            let processes = processes_of(self.temp.path());
            let files: Vec<_> = fs::read_dir(self.temp.path())
                .unwrap()
                .map(|e| e.unwrap().path())
                .collect();
            if processes.is_empty() && files.is_empty() {
                // A process that is just being started shows no environment, so it must stay clean.
                let since: Duration = *clean_since.get_or_insert_with(|| began.elapsed());
                if began.elapsed() >= since + Duration::from_millis(100) {
                    return since;
                }
            } else {
                clean_since = None;
            }
            assert!(
                began.elapsed() < limit,
                "left after {limit:?}: {processes:?} {files:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command(job: &str, temp: &Path, vars: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["TIDB_URL", "TIDB_URL_CA", "TIDB_PROVIDER", "TIDB_IMAGE"] {
        command.env_remove(name);
    }
    command
        .env(CHILD, job)
        .env("TMPDIR", temp)
        .envs(vars.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(job: &str, vars: &[(&str, &str)]) -> Output {
    let temp = tempfile::tempdir().unwrap();
    let output = command(job, temp.path(), vars).output().unwrap();
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Processes whose environment names the directory, zombies left out.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let names_it =
        |process: &Path| fs::read(process.join("environ")).is_ok_and(|env| text(&env).contains(dir));
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| names_it(path))
        .map(|path| text(&fs::read(path.join("cmdline")).unwrap_or_default()).replace('\0', " "))
        .collect()
}

fn is_running(pid: u32) -> bool {
    // `123 (name) S …`; a zombie is Z.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}

// ---- what must fail ---------------------------------------------------------------------------

fn a_provider_that_is_none_is_an_error() {
    let output = run("choose", &[("TIDB_PROVIDER", "docker")]);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    assert!(
        said.contains("TIDB_PROVIDER is `docker`; it must be `url`"),
        "{said}"
    );
}

fn no_server_at_all_is_an_error() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let vars = [
        ("PATH", path),
        ("DOCKER_HOST", "unix:///nonexistent.sock"),
        ("TIDB_SCENARIOS_CACHE", path),
    ];
    let output = run("choose", &vars);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    let reasons = "(no TIDB_URL; container: no Docker engine answers; embedded: there is no `go` in PATH";
    for part in [
        reasons,
        "three ways",
        "TIDB_URL=mysql://",
        "TIDB_IMAGE",
        "Go in PATH",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

fn an_unreachable_url_is_an_error() {
    // Port 1 is nobody's.
    let output = run("url", &[("TIDB_URL", "mysql://me:s3cret@127.0.0.1:1/")]);
    assert!(!output.status.success());
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("127.0.0.1:1"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

fn an_image_that_is_missing_is_found_out_fast() {
    let began = Instant::now();
    let image = "localhost:1/tidb-scenarios/none:v0";
    let output = run("choose", &[("TIDB_IMAGE", image)]);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let said = text(&output.stdout);
    assert!(said.starts_with("server: embedded TiDB v8.5.4"), "{said}");
    assert!(said.contains("(no TIDB_URL; container: "), "{said}");
}

// ---- building ---------------------------------------------------------------------------------

/// Where `name` is in PATH.
fn tool(name: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|dir| dir.join(name))
        .find(|tool| tool.is_file())
        .unwrap()
}

/// A directory with a `go` that does what `build` (a script) says instead of a build.
fn fake_go(build: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = env ]; then echo go0.0; exit; fi\n\
         if [ \"$1\" = mod ]; then exec '{}' \"$@\"; fi\n\
         while [ \"$1\" != -o ]; do shift; done\nout=$2\n{build}\n",
        tool("go").display()
    );
    let go = dir.path().join("go");
    fs::write(&go, script).unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", dir.path().display());
    (dir, path)
}

fn a_failing_build_shows_its_end() {
    let (dir, path) = fake_go("echo 'undefined: sunshine' >&2; exit 2");
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let output = run("embedded", &vars);
    assert!(!output.status.success());
    let said = text(&output.stdout);
    assert!(
        said.contains("failed with code 2") && said.contains("undefined: sunshine"),
        "{said}"
    );
}

fn a_store_that_cannot_be_had_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (cache, modules) = (path("cache"), path("modules"));
    let vars = [
        ("GOPROXY", "off"),
        ("GOMODCACHE", modules.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.as_str()),
    ];
    let said = text(&run("embedded", &vars).stdout);
    assert!(
        said.contains("cannot get and patch the sources of TiDB: ")
            && said.contains("module lookup disabled by GOPROXY=off"),
        "{said}"
    );
}

fn two_processes_build_once() {
    let (dir, path) = fake_go(
        "echo built >> \"${0%/go}/count\"\nsleep 1.5\nprintf '#!/bin/sh\\necho no TiDB; exit 9\\n' > \"$out\"\nchmod 755 \"$out\"",
    );
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let temp = tempfile::tempdir().unwrap();
    let both = [0, 1].map(|_| command("embedded", temp.path(), &vars).spawn().unwrap());
    let said = both.map(|process| {
        let output = process.wait_with_output().unwrap();
        let said = text(&output.stdout);
        assert!(
            said.contains("ended with code 9") && said.contains("no TiDB"),
            "{said}"
        );
        text(&output.stderr)
    });
    assert_eq!(fs::read_to_string(dir.path().join("count")).unwrap(), "built\n");
    let count = |word: &str| said.iter().filter(|text| text.contains(word)).count();
    assert_eq!(
        (count("building TiDB"), count("waiting for another process")),
        (1, 1),
        "{said:?}"
    );
    // What was built once needs no toolchain.
    let bare = tempfile::tempdir().unwrap();
    for name in ["sh", "mkdir", "rm", "sleep"] {
        std::os::unix::fs::symlink(tool(name), bare.path().join(name)).unwrap();
    }
    let vars = [("PATH", bare.path().to_str().unwrap()), vars[1]];
    let said = text(&run("embedded", &vars).stdout);
    assert!(said.contains("ended with code 9"), "{said}");
}

fn a_killed_build_leaves_no_process() {
    let (dir, path) = fake_go("touch \"${0%/go}/begun\"\nsleep 600 &\nwait");
    let cache = dir.path().join("cache");
    let vars = [
        ("PATH", path.as_str()),
        ("TIDB_SCENARIOS_CACHE", cache.to_str().unwrap()),
    ];
    let mut owner = Owner::start("embedded", &vars);
    while !dir.path().join("begun").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    owner.end("-KILL");
    let began = Instant::now();
    loop {
        let left = processes_of(&cache);
        let built = fs::read_dir(cache.join("embedded"))
            .unwrap()
            .map(|e| e.unwrap().path());
        let dirs: Vec<_> = built
            .filter(|path| path.to_string_lossy().ends_with(".build"))
            .collect();
        if left.is_empty() && dirs.is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{left:?} {dirs:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ---- embedded ---------------------------------------------------------------------------------

fn embedded_with_a_bad_flag_shows_its_log() {
    runtime().block_on(async {
        let flags = vec![("no-such-flag".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            flags,
            ..ServerSpec::default()
        };
        let error = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Ended { code: 2, .. }), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("flag provided but not defined: -no-such-flag"),
            "{said}"
        );
    });
}

fn embedded_with_a_bad_variable_is_an_error() {
    runtime().block_on(async {
        let vars = vec![("no_such_variable".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            vars,
            ..ServerSpec::default()
        };
        let error = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.contains("set global no_such_variable = 1") && cause.contains("1193"),
            "{cause}"
        );
    });
}

fn embedded_answers_and_goes() {
    runtime().block_on(async {
        let began = Instant::now();
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let started = began.elapsed();
        assert!(server.version().contains("v8.5.4"), "{}", server.version());
        assert_eq!(ask(&server, "select version()").await, server.version());
        assert!(
            ask(&server, "select tidb_version()")
                .await
                .contains("e4e814fdc0afe9c3a6e5e96f129d83df802ab820")
        );
        assert_eq!(server.tidb_version(), Some(semver::Version::new(8, 5, 4)));
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert_eq!(server.kind(), ProviderKind::Embedded);
        assert!(
            ask(&server, "select @@tidb_config")
                .await
                .contains(r#""token-limit": 100000"#)
        );
        // What `embedded/unneeded.patch` leaves out is refused as by the whole server.
        let mut session = Connection::open(server.config(), server.options()).await.unwrap();
        let backup = session
            .execute("backup database test to 'local:///nowhere'")
            .await;
        assert_eq!(
            backup.error().map(|error| (error.code, error.message)),
            Some((1105, "BACKUP requires tikv store, not unistore".to_owned()))
        );
        session.close().await;
        assert!(server.is_alive().await);
        assert!(server.log_tail(5).await.unwrap().lines().count() <= 5);

        let pid = server.pid().unwrap();
        let dir = server.run_dir().unwrap().to_path_buf();
        // Files that TiDB opens or is in are all in its own directory.
        let process = PathBuf::from(format!("/proc/{pid}"));
        assert_eq!(fs::read_link(process.join("cwd")).unwrap(), dir);
        for fd in fs::read_dir(process.join("fd")).unwrap() {
            if let Ok(file) = fs::read_link(fd.unwrap().path())
                && let Some(name) = file.to_str()
                && name.starts_with('/')
            {
                let allowed = ["/dev/", "/proc/", "/sys/", dir.to_str().unwrap()];
                assert!(allowed.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            }
        }
        let began = Instant::now();
        server.stop().await.unwrap();
        println!(
            "embedded: started in {started:?}, stopped in {:?}",
            began.elapsed()
        );
        assert!(!is_running(pid) && !dir.exists());
    });
}

fn embedded_on_files_with_variables() {
    runtime().block_on(async {
        let spec = ServerSpec {
            store: Store::Persistent,
            flags: vec![("lease".to_owned(), "7s".to_owned())],
            vars: vec![("max_execution_time".to_owned(), "1234".to_owned())],
        };
        let began = Instant::now();
        let server = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap();
        let started = began.elapsed();
        assert_eq!(ask(&server, "select @@global.max_execution_time").await, "1234");
        assert!(
            ask(&server, "select @@tidb_config")
                .await
                .contains(r#""lease": "7s""#)
        );
        assert!(server.run_dir().unwrap().join("store/kv").is_dir());
        let (pid, dir) = (server.pid().unwrap(), server.run_dir().unwrap().to_path_buf());
        let began = Instant::now();
        server.stop().await.unwrap();
        println!(
            "embedded on files: started in {started:?}, stopped in {:?}",
            began.elapsed()
        );
        assert!(!is_running(pid) && !dir.exists());
    });
}

/// What `embedded/badger.patch` mends: without it this fails within seconds.
fn embedded_keeps_the_rows_of_old_snapshots() {
    const ROWS: usize = 3;
    const READERS: usize = 16;
    const READS: usize = 500;
    runtime().block_on(async {
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let run = async |sqls: &[&str]| {
            let mut session = Connection::open(server.config(), server.options()).await.unwrap();
            for sql in sqls {
                let outcome = session.execute(sql).await;
                assert!(outcome.error().is_none(), "{outcome:?}");
            }
            session
        };
        let setup = run(&[
            "create table test.account (id int primary key, balance int)",
            "insert into test.account values (0, 100), (1, 100), (2, 100)",
        ]);
        setup.await.close().await;
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..READERS {
            let mut session = run(&["start transaction with consistent snapshot"]).await;
            readers.spawn(async move {
                let mut wrong = 0;
                for _ in 0..READS {
                    let outcome = session.execute("select count(*) from test.account").await;
                    let Outcome::Rows(rows) = &outcome else {
                        panic!("{outcome:?}")
                    };
                    wrong += usize::from(rows.rows[0][0] != SqlValue::Int(3));
                }
                wrong
            });
        }
        // They go on until the set is dropped.
        let mut writers = tokio::task::JoinSet::new();
        for id in 0..ROWS {
            let mut session = run(&[]).await;
            writers.spawn(async move {
                let sql = format!("update test.account set balance = balance + 1 where id = {id}");
                while session.execute(&sql).await.error().is_none() {}
            });
        }
        let wrong: usize = readers.join_all().await.into_iter().sum();
        assert!(writers.try_join_next().is_none(), "a writer failed");
        assert_eq!(wrong, 0, "reads of {}", READERS * READS);
        drop(writers);
        server.stop().await.unwrap();
    });
}

fn url_reaches_a_server_and_leaves_it() {
    runtime().block_on(async {
        let owned = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        ask(&owned, "create user me identified by 's3@ret'").await;
        let url = format!("mysql://me:s3%40ret@127.0.0.1:{}/", owned.config().port);
        let settings = ServerSettings {
            url: Some(url),
            ..quiet()
        };
        let choice = choose(&settings).await.unwrap();
        assert!(
            choice.line.starts_with("server: mysql://me@127.0.0.1:"),
            "{}",
            choice.line
        );
        let server = Server::start(&settings, choice.kind, &ServerSpec::default())
            .await
            .unwrap();
        assert_eq!(server.version(), owned.version());
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert!(server.is_alive().await && server.log_tail(5).await.is_none());
        assert!(!format!("{server:?}").contains("s3@ret"));
        let files = ServerSpec {
            store: Store::Persistent,
            ..ServerSpec::default()
        };
        let error = Server::start(&settings, choice.kind, &files).await.unwrap_err();
        assert!(matches!(error, StartError::NotOurs));
        server.stop().await.unwrap();
        assert!(owned.is_alive().await);
        assert_eq!(ask(&owned, "select 7").await, "7");

        let wrong = format!("mysql://me:wr0ng@127.0.0.1:{}/", owned.config().port);
        let settings = ServerSettings {
            url: Some(wrong),
            ..quiet()
        };
        let error = Server::start(&settings, ProviderKind::Url, &ServerSpec::default())
            .await
            .unwrap_err();
        let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(said.contains("1045") && !said.contains("wr0ng"), "{said}");
        owned.stop().await.unwrap();
    });
}

fn embedded_that_dies_is_noticed() {
    runtime().block_on(async {
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let pid = server.pid().unwrap();
        let dir = server.run_dir().unwrap().to_path_buf();
        Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .unwrap();
        let began = Instant::now();
        while server.is_alive().await {
            assert!(began.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(server.log_tail(5).await.is_some_and(|log| !log.is_empty()));
        server.stop().await.unwrap();
        assert!(!dir.exists());
    });
}

fn embedded_goes_when(job: &str, signal: Option<&str>) {
    let mut owner = Owner::start(job, &[]);
    let pid: u32 = owner.up().parse().unwrap();
    match signal {
        Some(signal) => {
            assert!(is_running(pid) && !processes_of(owner.temp.path()).is_empty());
            owner.end(signal);
        }
        None => assert!(!owner.process.wait().unwrap().success()),
    }
    let took = owner.nothing_is_left(Duration::from_secs(5));
    println!("{job} {signal:?}: nothing was left after {took:?}");
    assert!(!is_running(pid));
}

fn embedded_goes_when_its_owner_is_killed() {
    embedded_goes_when("embedded", Some("-KILL"));
}

fn embedded_goes_when_its_owner_is_interrupted() {
    embedded_goes_when("embedded", Some("-INT"));
}

fn embedded_goes_when_its_owner_panics() {
    embedded_goes_when("embedded-panic", None);
}

fn embedded_goes_when_its_owner_is_killed_early() {
    for after_ms in [0, 3, 6, 10, 15, 20, 25, 30, 40, 60, 100, 200, 500, 1000] {
        let mut owner = Owner::start("embedded", &[]);
        std::thread::sleep(Duration::from_millis(after_ms));
        owner.end("-KILL");
        owner.nothing_is_left(Duration::from_secs(5));
    }
}

// ---- container --------------------------------------------------------------------------------

async fn containers_of_ours() -> Vec<String> {
    let filters = std::collections::HashMap::from([("label", vec![CONTAINER_LABEL.to_owned()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let engine = docker_client_instance().await.unwrap();
    let found = engine.list_containers(Some(options)).await.unwrap();
    // Other processes may have theirs.
    let ours = found
        .into_iter()
        .filter(|container| container.image.as_deref() == Some(IMAGE));
    ours.filter_map(|container| container.id).collect()
}

async fn no_container_is_left(limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let left = containers_of_ours().await;
        if left.is_empty() {
            return began.elapsed();
        }
        assert!(began.elapsed() < limit, "left after {limit:?}: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One trial, so that what is left is this trial's.
fn container_whole() {
    let settings = ServerSettings {
        image: IMAGE.to_owned(),
        ..quiet()
    };
    runtime().block_on(async {
        let began = Instant::now();
        assert_eq!(build_image(&settings, IMAGE).await.unwrap(), IMAGE);
        println!("image: built in {:?}", began.elapsed());

        let began = Instant::now();
        let server = Server::start(&settings, ProviderKind::Container, &ServerSpec::default())
            .await
            .unwrap();
        println!("container: started in {:?}", began.elapsed());
        assert_eq!(server.tidb_version(), Some(semver::Version::new(8, 5, 4)));
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert_eq!(ask(&server, "select 7").await, "7");
        assert!(server.is_alive().await && server.log_tail(5).await.is_some());
        assert_eq!(containers_of_ours().await, [server.container_id().unwrap()]);
        let began = Instant::now();
        server.stop().await.unwrap();
        println!("container: stopped in {:?}", began.elapsed());
        assert!(containers_of_ours().await.is_empty());

        let flags = vec![("no-such-flag".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            flags,
            ..ServerSpec::default()
        };
        let error = Server::start(&settings, ProviderKind::Container, &spec)
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Ended { code: 2, .. }), "{error:?}");
        assert!(
            error.to_string().contains("not defined: -no-such-flag"),
            "{error}"
        );
        assert!(containers_of_ours().await.is_empty());

        let server = Server::start(&settings, ProviderKind::Container, &ServerSpec::default())
            .await
            .unwrap();
        drop(server);
        no_container_is_left(Duration::from_secs(20)).await;
    });
    // A server that is dropped where no runtime is.
    let server = runtime()
        .block_on(Server::start(
            &settings,
            ProviderKind::Container,
            &ServerSpec::default(),
        ))
        .unwrap();
    drop(server);
    runtime().block_on(no_container_is_left(Duration::from_secs(20)));

    for signal in ["-KILL", "-INT"] {
        let mut owner = Owner::start("container", &[("TIDB_IMAGE", IMAGE)]);
        owner.up();
        owner.end(signal);
        let took = runtime().block_on(no_container_is_left(Duration::from_secs(20)));
        println!("container {signal}: none was left after {took:?}");
        owner.nothing_is_left(Duration::from_secs(20));
    }
    for after_ms in [20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 600] {
        let mut owner = Owner::start("container", &[("TIDB_IMAGE", IMAGE)]);
        std::thread::sleep(Duration::from_millis(after_ms));
        owner.end("-KILL");
        // The reaper ends when nothing can come any more.
        owner.nothing_is_left(Duration::from_secs(40));
        assert!(
            runtime().block_on(containers_of_ours()).is_empty(),
            "{after_ms} ms"
        );
    }
}
