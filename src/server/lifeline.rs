//! Runs a program that dies with this process, however this process ends, and whose directory goes
//! with it.
//!
//! A small `sh` in a process group of its own stands between us and the program. Its standard input
//! is a pipe of which only we hold the other end, so the kernel closes it whatever ends us.
//!
//! ```text
//! us ──pipe──▶ sh ──▶ program        end of the pipe: program killed, directory removed
//!              └────▶ reader         end of the program: told to us, directory kept until we are done
//! ```

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

/// How long the end may take: a kill, and the removal of the directory.
const END_MAX: Duration = Duration::from_secs(30);

// The directory is made here and not by us: if we die before this script runs there is nothing to
// remove, and from its first line on the script removes what it made.
//
// The script ignores the signals of a terminal, and so does the reader: only the pipe ends them.
// The reader is killed as soon as the program is over, so that it can't kill a later process that
// got the same id. The last TERM is for what the program started itself (the compilers of a `go build`);
// the script ignores it, and what it runs does not.
const SCRIPT: &str = r#"
trap '' INT HUP TERM QUIT PIPE
exec 3<&0 </dev/null 2>/dev/null
dir=$1
shift
mkdir -m 700 -- "$dir" 2>&1 || exit 1
cd -- "$dir" || exit 1
( trap - INT HUP TERM QUIT PIPE; exec "$@" ) >"$dir/log" 2>&1 3<&- &
program=$!
( read -r _ <&3; kill -KILL "$program" ) >/dev/null &
reader=$!
echo "started $program"
wait "$program"
code=$?
kill -KILL "$reader"
wait "$reader"
echo "ended $code"
read -r _ <&3
kill -TERM 0
cd /
tries=0
until rm -rf -- "$dir" || [ "$tries" -ge 50 ]; do
  tries=$((tries + 1))
  sleep 0.1
done
"#;

/// A program on a lifeline. Dropping it ends the program and removes its directory in the background;
/// [`Lifeline::end`] waits for that.
#[derive(Debug)]
pub(super) struct Lifeline {
    dir: PathBuf,
    pid: u32,
    pipe: ChildStdin,
    shell: Child,
    ended: watch::Receiver<Option<i32>>,
}

impl Lifeline {
    /// Starts `program` in `dir`, which must not exist yet. The program's output goes to the file
    /// `log` there, and its `TMPDIR` is `dir`.
    pub(super) async fn start(
        dir: &Path,
        program: &OsStr,
        args: &[OsString],
        env: &[(&str, Option<&str>)],
    ) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(SCRIPT)
            .arg("tidb-scenarios")
            .arg(dir)
            .arg(program)
            .args(args);
        for (name, value) in env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut shell = command
            .env("TMPDIR", dir)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(pipe), Some(stdout)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(io::Error::other("the pipes of a child are missing"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await?.unwrap_or_default();
        let Some(pid) = first.strip_prefix("started ").and_then(|pid| pid.parse().ok()) else {
            return Err(io::Error::other(first));
        };
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            let line = lines.next_line().await.ok().flatten().unwrap_or_default();
            let code = line.strip_prefix("ended ").and_then(|code| code.parse().ok());
            // The end of the shell without a word is the end of the program, too.
            tell.send_replace(Some(code.unwrap_or(-1)));
        });
        Ok(Self {
            dir: dir.to_path_buf(),
            pid,
            pipe,
            shell,
            ended,
        })
    }

    /// The program's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The program's directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The exit code as the shell tells it (128 and the number of the signal), if the program is over.
    pub(super) fn exit_code(&self) -> Option<i32> {
        *self.ended.borrow()
    }

    /// Waits until the program is over; its directory is still there.
    pub(super) async fn ended(&self) -> i32 {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(code) => code.unwrap_or(-1),
            Err(_) => -1,
        }
    }

    /// What the program wrote, at most its last 64 KiB.
    pub(super) async fn log(&self) -> String {
        log_end(&self.dir.join("log")).await
    }

    /// How many lines the program wrote.
    pub(super) async fn lines(&self) -> usize {
        let log = tokio::fs::read(self.dir.join("log")).await.unwrap_or_default();
        log.split(|byte| *byte == b'\n').count() - 1
    }

    /// Kills the program if it runs, and waits until it and its directory are gone.
    pub(super) async fn end(self) -> io::Result<()> {
        let Self {
            pipe, mut shell, dir, ..
        } = self;
        drop(pipe);
        let Ok(status) = tokio::time::timeout(END_MAX, shell.wait()).await else {
            return Err(io::Error::other(format!(
                "not over after {} s",
                END_MAX.as_secs()
            )));
        };
        status?;
        if tokio::fs::try_exists(&dir).await? {
            return Err(io::Error::other(format!(
                "{} could not be removed",
                dir.display()
            )));
        }
        Ok(())
    }
}

async fn log_end(path: &Path) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
    const MAX: u64 = 64 * 1024;
    let read = async {
        let mut file = tokio::fs::File::open(path).await?;
        let len = file.metadata().await?.len();
        file.seek(io::SeekFrom::Start(len.saturating_sub(MAX))).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await?;
        io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read.await.unwrap_or_default()
}

/// The last lines of a log, each cut to a readable length.
pub(super) fn tail(log: &str, lines: usize) -> String {
    const WIDTH: usize = 400;
    // TiDB answers a wrong flag with one line and then a hundred lines of usage.
    let log = log.find("\nUsage of ").map_or(log, |usage| &log[..usage]);
    let all: Vec<&str> = log.lines().collect();
    let mut text = String::new();
    for line in &all[all.len().saturating_sub(lines)..] {
        match line.char_indices().nth(WIDTH) {
            Some((cut, _)) => text.extend([&line[..cut], "…\n"]),
            None => text.extend([*line, "\n"]),
        }
    }
    text
}

/// A directory name that is not taken, below the system's directory for temporary files.
pub(super) fn new_run_dir() -> PathBuf {
    std::env::temp_dir().join(format!("tidb-scenarios-{:016x}", rand::random::<u64>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(script: &str) -> Lifeline {
        let args = ["-c".into(), script.into()];
        Lifeline::start(&new_run_dir(), "sh".as_ref(), &args, &[])
            .await
            .unwrap()
    }

    fn is_running(pid: u32) -> bool {
        // `123 (name) S …`; a zombie is Z.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    #[tokio::test]
    async fn a_directory_that_exists_is_refused() {
        let taken = tempfile::tempdir().unwrap();
        let error = Lifeline::start(taken.path(), "true".as_ref(), &[], &[])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("exists"), "{error}");
        assert!(taken.path().exists());
    }

    #[tokio::test]
    async fn the_end_of_the_program_is_told_and_its_log_is_kept_until_the_end() {
        let line = start("echo out; echo err >&2; exit 3").await;
        assert_eq!(line.ended().await, 3);
        assert_eq!(line.exit_code(), Some(3));
        assert_eq!(line.log().await, "out\nerr\n");
        let dir = line.dir().to_path_buf();
        line.end().await.unwrap();
        assert!(!dir.exists());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_says_so() {
        let line = Lifeline::start(&new_run_dir(), "/no/such".as_ref(), &[], &[])
            .await
            .unwrap();
        assert_eq!(line.ended().await, 127);
        assert!(line.log().await.contains("/no/such"), "{}", line.log().await);
        line.end().await.unwrap();
    }

    #[tokio::test]
    async fn end_kills_a_program_that_ignores_signals() {
        let line = start("trap '' TERM INT; touch made; exec sleep 1000").await;
        let (pid, dir) = (line.pid(), line.dir().to_path_buf());
        assert!(is_running(pid));
        assert_eq!(line.exit_code(), None);
        line.end().await.unwrap();
        assert!(!is_running(pid) && !dir.exists());
    }

    #[tokio::test]
    async fn a_drop_ends_the_program_too() {
        let line = start("exec sleep 1000").await;
        let (pid, dir) = (line.pid(), line.dir().to_path_buf());
        drop(line);
        for _ in 0..500 {
            if !is_running(pid) && !dir.exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "{pid} runs: {}, {} exists: {}",
            is_running(pid),
            dir.display(),
            dir.exists()
        );
    }

    #[test]
    fn tail_cuts_usage_and_long_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(
            tail("flag provided but not defined: -x\nUsage of y:\n  -z\n", 5),
            "flag provided but not defined: -x\n"
        );
        assert_eq!(tail(&"x".repeat(500), 1).chars().count(), 402);
    }
}
