//! Mends the in-memory store of the TiDB that we build: a copy of its package, changed as
//! `embedded/badger.patch` says, which also says why.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

pub(super) const PATCH: &str = include_str!("../../embedded/badger.patch");
const PACKAGE: &str = "github.com/pingcap/badger";
/// The folder of the copy, in that of the module.
const COPY: &str = "badger";

/// Why there is no patched copy: what Go or the system said, or why the patch does not fit.
#[derive(Debug, thiserror::Error)]
#[error("cannot get and patch the in-memory store of TiDB: {0}")]
pub struct StoreError(String);

/// The line of a go.mod that takes the copy.
pub(super) fn replacement() -> String {
    format!("\nreplace {PACKAGE} => ./{COPY}\n")
}

/// Makes the copy in `module`, whose go.mod names the version of the package and does not have the
/// [`replacement`] yet. `env` is that of the build.
pub(super) async fn copy_patched(module: &Path, env: &[(&str, Option<&str>)]) -> Result<(), StoreError> {
    let original = download(module, env).await?;
    let copy = module.join(COPY);
    copy_folder(&original, &copy).map_err(|source| StoreError(format!("{}: {source}", copy.display())))?;
    apply(&copy)
}

/// Where Go keeps the package, which it gets first if it has to.
async fn download(module: &Path, env: &[(&str, Option<&str>)]) -> Result<PathBuf, StoreError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        dir: Option<PathBuf>,
        error: Option<String>,
    }
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json", PACKAGE])
        .current_dir(module)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, value) in env {
        match value {
            Some(value) => go.env(name, value),
            None => go.env_remove(name),
        };
    }
    let output = go.output().await.map_err(|error| StoreError(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match serde_json::from_slice(&output.stdout) {
        Ok(Download {
            dir: Some(dir),
            error: None,
        }) => Ok(dir),
        Ok(Download {
            error: Some(error), ..
        }) => Err(StoreError(error)),
        Ok(Download {
            dir: None,
            error: None,
        })
        | Err(_) => Err(StoreError(said)),
    }
}

/// Go's files are read-only; the copy's are not, so that it can be changed and removed.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::write(&target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Changes the copy as [`PATCH`] says.
fn apply(copy: &Path) -> Result<(), StoreError> {
    let unfit = |why: String| StoreError(format!("embedded/badger.patch does not fit the package: {why}"));
    let patch = diffy::Patch::from_str(PATCH).map_err(|error| unfit(error.to_string()))?;
    let name = patch.modified().and_then(|name| name.strip_prefix("b/"));
    let path = copy.join(name.ok_or_else(|| unfit("it names no file".to_owned()))?);
    let original = std::fs::read_to_string(&path).map_err(|error| unfit(error.to_string()))?;
    let changed = diffy::apply(&original, &patch).map_err(|error| unfit(error.to_string()))?;
    std::fs::write(&path, changed).map_err(|source| StoreError(format!("{}: {source}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_the_patch_does_not_fit_is_an_error() {
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join("table/merge_iterator.go");
        let said = || apply(copy.path()).unwrap_err().to_string();
        assert!(
            said().contains("does not fit the package: No such file"),
            "{}",
            said()
        );
        std::fs::create_dir(copy.path().join("table")).unwrap();
        std::fs::write(&file, "package table\n").unwrap();
        assert!(said().contains("does not fit the package"), "{}", said());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "package table\n");
    }
}
