//! `init` makes a package run scenarios; `new` writes the skeleton of one.

mod manifest;
mod skeletons;

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use skeletons::Skeleton;

use super::import::schema_path;
use super::output::{complain, say};
use super::replace::replace;
use crate::schema::schema_text;

/// What `init` is to do.
#[derive(Debug, Clone)]
pub struct InitArgs {
    /// The package's folder.
    pub folder: PathBuf,
    /// Where tidb-scenarios comes from: the URL of a git repository.
    pub git: Option<String>,
    /// Or a folder.
    pub path: Option<PathBuf>,
}

/// Makes a package run scenarios. Nothing that is there is overwritten.
#[must_use]
pub fn init(args: &InitArgs) -> ExitCode {
    match initialised(args) {
        Ok(problems) if problems.is_empty() => {
            say("now: cargo test --test harness");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            for problem in problems {
                say(&format!("to do: {problem}"));
            }
            ExitCode::from(1)
        }
        Err(message) => complain(&message),
    }
}

/// What is left to do.
fn initialised(args: &InitArgs) -> Result<Vec<String>, String> {
    let folder = &args.folder;
    let path = folder.join("Cargo.toml");
    let before = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "{}: there is no Cargo.toml: `cargo init --lib` makes a package",
            folder.display()
        ),
        _ => format!("{}: {error}", path.display()),
    })?;
    // JSON's strings are TOML's, too.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let dependency = match (&args.git, &args.path) {
        (Some(url), _) => Some(format!("{{ git = {} }}", quoted(url))),
        (None, Some(path)) => Some(format!("{{ path = {} }}", quoted(&path.to_string_lossy()))),
        (None, None) => None,
    };
    let edited = manifest::with_harness(&before, dependency.as_deref())?;
    if edited.text == before {
        say("Cargo.toml: left as it is");
    } else {
        replace(&path, &before, &edited.text)?;
        say(&format!("Cargo.toml: added {}", edited.added.join("; ")));
    }
    write_new(folder, "tests/harness.rs", skeletons::HARNESS)?;
    write_new(folder, "schema/scenario.json", &schema_text())?;
    let first = skeletons::scenario(
        Skeleton::Steps,
        "a second writer waits for the first",
        Some("../schema/scenario.json"),
    );
    write_new(folder, "scenarios/first.yaml", &first)?;
    let absolute = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // GitHub looks for workflows at the top of the repository only.
    let top = absolute.ancestors().find(|above| above.join(".git").exists());
    let top = top.unwrap_or(&absolute);
    let below = absolute.strip_prefix(top).unwrap_or(Path::new(""));
    let workflow = skeletons::workflow(&below.to_string_lossy());
    write_new(top, ".github/workflows/scenarios.yml", &workflow)?;
    Ok(edited.problems)
}

/// Writes a file that is not there, and says what was done.
fn write_new(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    if create(&path, text)? {
        say(&format!("{}: written", path.display()));
    } else {
        say(&format!("{}: there already, left as it is", path.display()));
    }
    Ok(())
}

/// Whether the file was written; not where there is one.
fn create(path: &Path, text: &str) -> Result<bool, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    match File::create_new(path) {
        Ok(mut file) => {
            file.write_all(text.as_bytes()).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// What `new` is to do.
#[derive(Debug, Clone)]
pub struct NewArgs {
    /// The scenario's name: `a/b` and `a::b` are the file `b` in the folder `a`.
    pub name: String,
    /// The folder of scenarios.
    pub to: PathBuf,
    /// What it begins with.
    pub skeleton: Skeleton,
}

/// Writes the skeleton of a scenario; a file that is there is not overwritten.
#[must_use]
pub fn new_scenario(args: &NewArgs) -> ExitCode {
    let name = args.name.replace("::", "/");
    let name = name.strip_suffix(".yaml").unwrap_or(&name);
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '\n']);
    if !name.split('/').all(plain) {
        return complain(&format!(
            "`{}` is no name for a scenario: such as `second_writer_waits` or `locking::second_writer_waits`",
            args.name
        ));
    }
    let path = args.to.join(format!("{name}.yaml"));
    let title = name.rsplit('/').next().unwrap_or(name).replace(['_', '-'], " ");
    let title = match serde_json::to_string(&title) {
        // A title that YAML would read as something else is quoted; JSON's strings are YAML's, too.
        Ok(quoted) if !title.chars().all(|c| c.is_alphabetic() || c == ' ') => quoted,
        _ => title,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let text = skeletons::scenario(args.skeleton, &title, schema_path(folder).as_deref());
    match create(&path, &text) {
        Ok(true) => {
            say(&format!("{}: written", path.display()));
            say(&format!("run it: tidb-scenarios run {}", path.display()));
            ExitCode::SUCCESS
        }
        Ok(false) => complain(&format!("{}: there already, and not overwritten", path.display())),
        Err(message) => complain(&message),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{PlanInput, plan};
    use crate::source::SourceFile;

    #[test]
    fn the_skeletons_have_no_mistakes_and_no_warnings() {
        for skeleton in [Skeleton::Steps, Skeleton::States, Skeleton::Permutations] {
            let text = skeletons::scenario(skeleton, "a title", Some("../schema/scenario.json"));
            assert!(text.starts_with("# yaml-language-server: $schema=../schema/scenario.json\n"));
            let planned = plan(Arc::new(SourceFile::new("s.yaml", text)), &PlanInput::default());
            assert!(
                planned.problems.is_empty(),
                "{skeleton:?}: {:?}",
                planned.problems
            );
        }
    }
}
