//! A process that owns a server, to be ended in any way; and what is left behind then.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use tidb_scenarios::server::{Server, ServerSettings, ServerSpec, choose};

use crate::common::*;

/// The owner of a server: starts what `job` says, tells it on standard output, and waits to be ended.
pub fn child(job: &str) -> ExitCode {
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
pub struct Owner {
    pub process: Child,
    pub stdout: BufReader<ChildStdout>,
    pub temp: tempfile::TempDir,
}

impl Owner {
    pub fn start(job: &str, vars: &[(&str, &str)]) -> Self {
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
    pub fn up(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.strip_prefix("up ")
            .unwrap_or_else(|| panic!("not up: {line}"))
            .trim()
            .to_owned()
    }

    pub fn end(&mut self, signal: &str) {
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
    pub fn nothing_is_left(&self, limit: Duration) -> Duration {
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

pub fn command(job: &str, temp: &Path, vars: &[(&str, &str)]) -> Command {
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

pub fn run(job: &str, vars: &[(&str, &str)]) -> Output {
    let temp = tempfile::tempdir().unwrap();
    let output = command(job, temp.path(), vars).output().unwrap();
    let left: Vec<_> = fs::read_dir(temp.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    output
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Processes whose environment names the directory, zombies left out.
pub fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let names_it =
        |process: &Path| fs::read(process.join("environ")).is_ok_and(|env| text(&env).contains(dir));
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| names_it(path))
        .map(|path| text(&fs::read(path.join("cmdline")).unwrap_or_default()).replace('\0', " "))
        .collect()
}

pub fn is_running(pid: u32) -> bool {
    // `123 (name) S …`; a zombie is Z.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, state)| !state.starts_with('Z'))
}
