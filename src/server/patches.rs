//! Patches the sources of the TiDB that we build. The files `embedded/*.patch` say what is changed, and why.
//!
//! `go build -overlay` replaces single files, but none below Go's module cache. So a module that is patched
//! is replaced by a folder with no files but those of the overlay: they are those of the cache, but for the
//! patched ones, and nothing is copied.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};
use tokio::process::Command;

/// Each file of `embedded/` that is a patch, and its text. A path in it begins with that of the module.
pub(super) const PATCHES: &[(&str, &str)] = &[
    (
        "embedded/badger.patch",
        include_str!("../../embedded/badger.patch"),
    ),
    (
        "embedded/lock_waits.patch",
        include_str!("../../embedded/lock_waits.patch"),
    ),
    (
        "embedded/unneeded.patch",
        include_str!("../../embedded/unneeded.patch"),
    ),
];
/// The modules that have patched files.
const MODULES: &[&str] = &[
    "github.com/pingcap/badger",
    "github.com/pingcap/tidb",
    "github.com/tikv/client-go/v2",
];
/// The folder of the replaced modules, which has no files but those of the overlay.
const REPLACED: &str = "replaced";
/// The folder of the patched files.
const PATCHED: &str = "patched";
const OVERLAY: &str = "overlay.json";

/// Why the sources are not patched: what Go or the system said, or why a patch does not fit.
#[derive(Debug, thiserror::Error)]
#[error("cannot get and patch the sources of TiDB: {0}")]
pub struct PatchError(String);

/// The lines of a go.mod that replace the patched modules.
pub(super) fn replacements() -> String {
    let line = |module| format!("\nreplace {module} => ./{REPLACED}/{module}\n");
    MODULES.iter().map(line).collect()
}

/// Writes the patched files and the overlay into `dir`, the absolute path of the folder of a go.mod that names
/// the versions of the modules and does not have the [`replacements`] yet. `env` is that of the build.
/// Returns the path of the overlay.
pub(super) async fn write_overlay(dir: &Path, env: &[(&str, Option<&str>)]) -> Result<PathBuf, PatchError> {
    let sources = download(dir, env).await?;
    let patched = apply(PATCHES, &sources)?;
    let file_error =
        |path: &Path, source: &dyn std::fmt::Display| PatchError(format!("{}: {source}", path.display()));
    let mut replace = BTreeMap::new();
    for (module, source) in &sources {
        let target = dir.join(REPLACED).join(module);
        list_folder(source, &target, &mut replace).map_err(|error| file_error(source, &error))?;
    }
    for (name, text) in patched {
        let path = dir.join(PATCHED).join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(dir))
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| file_error(&path, &error))?;
        replace.insert(dir.join(REPLACED).join(&name), path);
    }
    let overlay = dir.join(OVERLAY);
    let json = serde_json::to_vec(&serde_json::json!({ "Replace": replace }))
        .map_err(|error| file_error(&overlay, &error))?;
    std::fs::write(&overlay, json).map_err(|error| file_error(&overlay, &error))?;
    Ok(overlay)
}

/// Where Go keeps the sources of each module, which it gets first if it has to.
async fn download(dir: &Path, env: &[(&str, Option<&str>)]) -> Result<HashMap<String, PathBuf>, PatchError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        path: String,
        dir: Option<PathBuf>,
        error: Option<String>,
    }
    let mut go = Command::new("go");
    go.args(["mod", "download", "-json"])
        .args(MODULES)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, value) in env {
        match value {
            Some(value) => go.env(name, value),
            None => go.env_remove(name),
        };
    }
    let output = go.output().await.map_err(|error| PatchError(error.to_string()))?;
    let mut sources = HashMap::new();
    for download in serde_json::Deserializer::from_slice(&output.stdout).into_iter() {
        let Download { path, dir, error } = download
            .map_err(|error| PatchError(format!("the output of `go mod download -json`: {error}")))?;
        match (dir, error) {
            (Some(dir), None) => drop(sources.insert(path, dir)),
            (_, Some(error)) => return Err(PatchError(error)),
            (None, None) => {}
        }
    }
    if MODULES.iter().any(|module| !sources.contains_key(*module)) {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(PatchError(said));
    }
    Ok(sources)
}

/// Takes down what each file that is to be there below `target` is: the one below `source`. The folders
/// have to be there, since the assembler works in them.
fn list_folder(source: &Path, target: &Path, replace: &mut BTreeMap<PathBuf, PathBuf>) -> io::Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if entry.file_type()?.is_dir() {
            list_folder(&path, &target.join(name), replace)?;
        } else if !name.to_string_lossy().ends_with("_test.go") {
            replace.insert(target.join(name), path);
        }
    }
    Ok(())
}

/// The text of each file that the patches change, by the path that they give it. `sources` has the folder
/// of each module.
fn apply(
    patches: &[(&str, &str)],
    sources: &HashMap<String, PathBuf>,
) -> Result<BTreeMap<String, String>, PatchError> {
    let mut patched: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in patches {
        let unfit = |why: String| PatchError(format!("{file} does not fit: {why}"));
        for part in PatchSet::parse(text, ParseOptions::unidiff()) {
            let part = part.map_err(|error| unfit(error.to_string()))?;
            let operation = part.operation().strip_prefix(1);
            let name = match &operation {
                FileOperation::Modify { original, modified } if original == modified => original,
                FileOperation::Modify { .. }
                | FileOperation::Delete(_)
                | FileOperation::Create(_)
                | FileOperation::Rename { .. }
                | FileOperation::Copy { .. } => {
                    return Err(unfit(format!("{operation:?}, and only changes are understood")));
                }
            };
            let original = match patched.get(name.as_ref()) {
                Some(changed) => changed.clone(),
                None => {
                    let path = sources.iter().find_map(|(module, source)| {
                        let inner = name.strip_prefix(module.as_str())?.strip_prefix('/')?;
                        Some(source.join(inner))
                    });
                    let path = path.ok_or_else(|| unfit(format!("no module that is patched has {name}")))?;
                    std::fs::read_to_string(&path).map_err(|error| unfit(format!("{name}: {error}")))?
                }
            };
            let patch = part
                .patch()
                .as_text()
                .ok_or_else(|| unfit(format!("{name}: it is not text")))?;
            let changed =
                diffy::apply(&original, patch).map_err(|error| unfit(format!("{name}: {error}")))?;
            patched.insert(name.to_string(), changed);
        }
    }
    Ok(patched)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: &str = "Why.\n\n--- a/example.org/store/get.go\n+++ b/example.org/store/get.go\n\
                          @@ -1,3 +1,3 @@\n package store\n \n-const A = 1\n+const A = 2\n";

    fn patched(text: Option<&str>, patch: &str) -> Result<BTreeMap<String, String>, String> {
        let source = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            std::fs::write(source.path().join("get.go"), text).unwrap();
        }
        let sources = HashMap::from([("example.org/store".to_owned(), source.path().to_path_buf())]);
        apply(&[("embedded/some.patch", patch)], &sources).map_err(|error| error.to_string())
    }

    #[test]
    fn a_patch_changes_the_text() {
        let changed = patched(Some("package store\n\nconst A = 1\n"), CHANGE).unwrap();
        assert_eq!(
            changed["example.org/store/get.go"],
            "package store\n\nconst A = 2\n"
        );
    }

    #[test]
    fn a_patch_that_does_not_fit_is_an_error() {
        for (text, patch, why) in [
            (
                Some("package store\n\nconst A = 3\n"),
                CHANGE.to_owned(),
                "embedded/some.patch does not fit: example.org/store/get.go: ",
            ),
            (None, CHANGE.to_owned(), "get.go: No such file"),
            (
                None,
                CHANGE.replace("example.org/store", "example.org/stores"),
                "no module that is patched has example.org/stores/get.go",
            ),
            (
                None,
                CHANGE.replace("a/example.org/store/get.go", "/dev/null"),
                "only changes are understood",
            ),
            (None, "Why.\n".to_owned(), "embedded/some.patch does not fit: "),
        ] {
            let said = patched(text, &patch).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn every_patch_is_applied_and_every_module_has_one() {
        let mut files: Vec<String> = std::fs::read_dir("embedded")
            .unwrap()
            .map(|entry| format!("embedded/{}", entry.unwrap().file_name().to_string_lossy()))
            .filter(|name| name.ends_with(".patch"))
            .collect();
        files.sort();
        assert_eq!(files, PATCHES.iter().map(|(file, _)| *file).collect::<Vec<_>>());
        for module in MODULES {
            let header = format!("\n--- a/{module}/");
            assert!(PATCHES.iter().any(|(_, text)| text.contains(&header)), "{module}");
        }
    }
}
