//! Builds TiDB from the pinned Go module, once for each machine, and keeps the binary.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::lifeline::{self, Lifeline};
use super::patches::{self, PATCHES, PatchError};
use super::progress::{Progress, Task};

const GO_MOD: &str = include_str!("../../embedded/go.mod");
const GO_SUM: &str = include_str!("../../embedded/go.sum");
const PACKAGE: &str = "github.com/pingcap/tidb/cmd/tidb-server";

/// The release that the pinned commit belongs to, and the commit: it is of the day before v8.5.4.
pub(super) const RELEASE: &str = "v8.5.4-e4e814f";
/// The release without its suffix.
pub(super) const RELEASE_VERSION: semver::Version = semver::Version::new(8, 5, 4);
const COMMIT: &str = "e4e814fdc0afe9c3a6e5e96f129d83df802ab820";
const BRANCH: &str = "release-8.5";

/// How often a running build or a lock is looked at.
const TICK: Duration = Duration::from_millis(200);

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No Go toolchain.
    #[error(
        "there is no `go` in PATH to build TiDB {RELEASE} with (Go 1.25 or newer, see https://go.dev/dl)"
    )]
    NoGo,
    /// The toolchain does not work.
    #[error("`go env` failed: {output}")]
    Go {
        /// What it wrote.
        output: String,
    },
    /// No cache directory is known.
    #[error("this user has no home for a cache directory; set TIDB_SCENARIOS_CACHE")]
    NoCache(#[source] etcetera::HomeDirError),
    /// A file operation in the cache failed.
    #[error("cannot {action} {path}")]
    Cache {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The sources could not be patched.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// `go build` failed.
    #[error("`go build` of TiDB {RELEASE} failed with code {code}; the end of its output:\n{output}")]
    Failed {
        /// Its exit code.
        code: i32,
        /// The end of its output.
        output: String,
    },
}

/// What a binary is built for, in Go's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) os: &'a str,
    pub(super) arch: &'a str,
}

impl Target<'static> {
    /// The machine that this code runs on.
    pub(super) const HOST: Self = Self {
        os: if cfg!(target_os = "macos") {
            "darwin"
        } else {
            std::env::consts::OS
        },
        arch: go_arch(std::env::consts::ARCH.as_bytes()),
    };
}

/// Rust's names of processors in Go's words.
const fn go_arch(rust: &'static [u8]) -> &'static str {
    match rust {
        b"x86_64" => "amd64",
        b"aarch64" => "arm64",
        _ => std::env::consts::ARCH,
    }
}

/// Where binaries are kept, and for what they are.
#[derive(Debug)]
pub(super) struct Cache<'a> {
    dir: PathBuf,
    target: Target<'a>,
}

impl<'a> Cache<'a> {
    /// The cache below `dir`, or below the user's cache directory.
    pub(super) fn open(dir: Option<&Path>, target: Target<'a>) -> Result<Self, BuildError> {
        let base = match dir {
            // `go build` runs elsewhere, so the path must not depend on where we are.
            Some(dir) => std::path::absolute(dir).map_err(|source| BuildError::Cache {
                action: "find",
                path: dir.to_path_buf(),
                source,
            })?,
            None => etcetera::choose_base_strategy()
                .map_err(BuildError::NoCache)?
                .cache_dir()
                .join("tidb-scenarios"),
        };
        Ok(Self {
            dir: base.join("embedded"),
            target,
        })
    }

    /// Where they are kept.
    pub(super) fn folder(&self) -> &Path {
        &self.dir
    }

    /// Whether [`Self::binary`] can succeed: there is a binary, or a toolchain to build one.
    pub(super) async fn check(&self) -> Result<(), BuildError> {
        match go_version().await {
            Ok(_) => Ok(()),
            Err(error) => self.any_binary().map(drop).ok_or(error),
        }
    }

    /// The binary; built if it is not there yet, by one process at a time.
    pub(super) async fn binary(&self, progress: Progress) -> Result<PathBuf, BuildError> {
        let go = match go_version().await {
            Ok(go) => go,
            // Built by a toolchain that has gone since.
            Err(error) => return self.any_binary().ok_or(error),
        };
        let key = format!("{}-{go}", self.sources_key());
        let binary = self.dir.join(&key).join("tidb-server");
        if binary.is_file() {
            return Ok(binary);
        }
        let _lock = self.lock(&key, progress).await?;
        if !binary.is_file() {
            self.build(&key, &go, &binary, progress).await?;
        }
        Ok(binary)
    }

    /// A hash of everything that makes the binary, but for the toolchain.
    fn sources_key(&self) -> String {
        let mut hash = Sha256::new();
        let flags = flags().join(" ");
        let sources = [GO_MOD, GO_SUM, &flags, self.target.os, self.target.arch];
        for part in sources.into_iter().chain(PATCHES.iter().map(|(_, text)| *text)) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..10])
    }

    /// A binary of the same sources, whatever toolchain built it.
    pub(super) fn any_binary(&self) -> Option<PathBuf> {
        let prefix = format!("{}-", self.sources_key());
        let mut found: Vec<PathBuf> = std::fs::read_dir(&self.dir)
            .ok()?
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path().join("tidb-server"))
            .filter(|binary| binary.is_file())
            .collect();
        found.sort();
        found.pop()
    }

    /// Waits for the lock that the kernel frees when its holder ends, however that ends.
    async fn lock(&self, key: &str, progress: Progress) -> Result<std::fs::File, BuildError> {
        let path = self.dir.join(format!("{key}.lock"));
        let failed = |action, source| BuildError::Cache {
            action,
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&self.dir).map_err(|source| failed("create", source))?;
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed("open", source))?;
        let mut waiting = None;
        loop {
            // Not the blocking call: its thread could not be ended.
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => {
                    let begin =
                        || progress.begin(format!("waiting for another process that builds TiDB {RELEASE}"));
                    waiting.get_or_insert_with(begin).update("still building");
                    tokio::time::sleep(TICK).await;
                }
                Err(std::fs::TryLockError::Error(source)) => return Err(failed("lock", source)),
            }
        }
    }

    async fn build(&self, key: &str, go: &str, binary: &Path, progress: Progress) -> Result<(), BuildError> {
        // Only the holder of the lock builds, so what is there is left of a build that was killed.
        let dir = self.dir.join(format!("{key}.build"));
        match tokio::fs::remove_dir_all(&dir).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &dir, error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut task = progress.begin(format!(
            "building TiDB {RELEASE} for {}/{} with {go} (once; takes minutes)",
            self.target.os, self.target.arch
        ));
        let env = [
            ("CGO_ENABLED", Some("0")),
            ("GOOS", Some(self.target.os)),
            ("GOARCH", Some(self.target.arch)),
            ("GOFLAGS", Some("-mod=readonly")),
            ("GOWORK", Some("off")),
            ("GOEXPERIMENT", None),
            // The compilers take a quarter less time, and hardly more memory than the largest package takes anyway.
            ("GOGC", Some("400")),
        ];
        let module = self.dir.join(format!("{key}.module"));
        let overlay = write_module(&module, &env).await?;
        let fresh = dir.join("tidb-server");
        let mut args: Vec<OsString> = vec!["build".into(), "-C".into(), module.clone().into(), "-v".into()];
        args.extend(flags().map(OsString::from));
        args.extend(["-overlay".into(), overlay.into()]);
        args.extend(["-o".into(), fresh.clone().into(), PACKAGE.into()]);
        let line = Lifeline::start(&dir, "go".as_ref(), &args, &env)
            .await
            .map_err(|source| failed("build in", &dir, source))?;
        let code = watch(&line, &mut task).await;
        let result = if code == 0 {
            let place = || {
                let target = binary.parent().unwrap_or(&self.dir);
                std::fs::create_dir_all(target)?;
                std::fs::rename(&fresh, binary)
            };
            place().map_err(|source| failed("write", binary, source))
        } else {
            Err(BuildError::Failed {
                code,
                output: lifeline::tail(&line.log().await, 30),
            })
        };
        line.end()
            .await
            .map_err(|source| failed("remove", &dir, source))?;
        result?;
        task.done();
        // A build that fails leaves its module behind, to be tried by hand.
        std::fs::remove_dir_all(&module).map_err(|source| failed("remove", &module, source))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> BuildError {
    BuildError::Cache {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// Writes the module that names what is built, and the overlay with what is patched of it. Returns the
/// overlay's path.
async fn write_module(module: &Path, env: &[(&str, Option<&str>)]) -> Result<PathBuf, BuildError> {
    let write = |name: &str, text: &str| {
        let path = module.join(name);
        std::fs::write(&path, text).map_err(|source| failed("write", &path, source))
    };
    std::fs::create_dir_all(module).map_err(|source| failed("create", module, source))?;
    write("go.mod", GO_MOD)?;
    write("go.sum", GO_SUM)?;
    // Go names files as the system does: without symbolic links.
    let real = std::fs::canonicalize(module).map_err(|source| failed("find", module, source))?;
    let overlay = patches::write_overlay(&real, env).await?;
    write("go.mod", &format!("{GO_MOD}{}", patches::replacements()))?;
    Ok(overlay)
}

async fn watch(line: &Lifeline, task: &mut Task) -> i32 {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            code = line.ended() => return code,
            _ = tick.tick() => {
                let packages = line.lines().await;
                task.update(&format!("{packages} packages"));
            }
        }
    }
}

/// The version of the toolchain in PATH, such as `go1.26.8`.
pub(super) async fn go_version() -> Result<String, BuildError> {
    let run = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match run.await {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BuildError::NoGo),
        Err(error) => {
            return Err(BuildError::Go {
                output: error.to_string(),
            });
        }
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && version.starts_with("go") {
        // It becomes part of a path, and a development version has blanks and more in it.
        Ok(version
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '_'
                }
            })
            .collect())
    } else {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(BuildError::Go { output })
    }
}

/// The flags of the build that make the binary what it is.
fn flags() -> [String; 5] {
    [
        // Without this the binary would be stamped with a repository that the cache lies in.
        "-buildvcs=false".to_owned(),
        "-trimpath".to_owned(),
        // The linker would leave it out.
        "-gcflags=all=-dwarf=false".to_owned(),
        "-ldflags".to_owned(),
        ldflags(),
    ]
}

/// Stamps the binary with what it is. The branch and the release come from where the commit lies.
fn ldflags() -> String {
    let info = "github.com/pingcap/tidb/pkg/util/versioninfo";
    format!(
        "-s -w -X github.com/pingcap/tidb/pkg/parser/mysql.TiDBReleaseVersion={RELEASE} \
         -X {info}.TiDBGitHash={COMMIT} -X {info}.TiDBGitBranch={BRANCH}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_names_the_pinned_commit() {
        let pinned = format!(
            "github.com/pingcap/tidb v1.1.0-beta.0.20251126154744-{}",
            &COMMIT[..12]
        );
        assert!(GO_MOD.contains(&pinned));
        assert_eq!(RELEASE, format!("v{RELEASE_VERSION}-{}", &COMMIT[..7]));
    }

    #[test]
    fn the_key_depends_on_the_target() {
        let key = |os, arch| {
            let cache = Cache {
                dir: PathBuf::new(),
                target: Target { os, arch },
            };
            cache.sources_key()
        };
        assert_ne!(key("linux", "amd64"), key("linux", "arm64"));
        assert_ne!(key("linux", "amd64"), key("darwin", "amd64"));
        assert_eq!(key("linux", "amd64"), key("linux", "amd64"));
    }

    #[tokio::test]
    async fn a_lock_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(dir.path()), Target::HOST).unwrap();
        let held = cache.lock("key", Progress::Silent).await.unwrap();
        let other = Cache::open(Some(dir.path()), Target::HOST).unwrap();
        let mut second = std::pin::pin!(other.lock("key", Progress::Silent));
        assert!(
            tokio::time::timeout(TICK * 3, &mut second).await.is_err(),
            "two hold the lock"
        );
        drop(held);
        tokio::time::timeout(TICK * 20, second).await.unwrap().unwrap();
    }
}
