//! `import`: other tools' test files become scenario files.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tempfile::TempPath;

use super::collect::plan_file;
use super::environment::no_color;
use super::output::{complain, say};
use crate::handler::Handlers;
use crate::import::{FORMATS, Format, Imported, Input, Results, detect, import as import_file};
use crate::source::{Diagnostic, RenderStyle, SourceFile, nearest, render_all};

/// What `import` is to do.
#[derive(Debug, Clone)]
pub struct ImportArgs {
    /// The files of the other tools.
    pub files: Vec<PathBuf>,
    /// The folder that takes the scenarios; made where it is not there.
    pub to: PathBuf,
    /// The format's name, or `auto`.
    pub format: String,
    /// Whether files that are there are written anew.
    pub force: bool,
}

/// A scenario, and the path that it gets.
struct Written {
    path: PathBuf,
    text: String,
    notes: usize,
}

/// Imports files: all of them, or none where one has a mistake.
#[must_use]
pub fn import(args: &ImportArgs) -> ExitCode {
    let color = std::io::stderr().is_terminal() && !no_color();
    let style = RenderStyle { color, unicode: true };
    let format = match format_of(&args.format) {
        Ok(format) => format,
        Err(message) => {
            say(&format!("error: {message}"));
            return ExitCode::from(2);
        }
    };
    if let Some(missing) = args.files.iter().find(|path| !path.exists()) {
        return complain(&format!("{}: there is no such file", missing.display()));
    }
    let schema = schema_path(&args.to);
    let mut found: Vec<Written> = Vec::new();
    let mut broken = 0;
    for path in &args.files {
        match read(path, format, schema.as_deref()) {
            Ok(imported) => found.extend(imported.into_iter().map(|one| Written {
                path: args.to.join(&one.name).with_extension("yaml"),
                text: one.text,
                notes: one.notes,
            })),
            Err(problems) => {
                broken += 1;
                for (file, problems) in problems {
                    say(&render_all(&file, &problems, style));
                }
            }
        }
    }
    if broken > 0 {
        say(&format!(
            "{} with mistakes; nothing is written",
            count(broken, "file")
        ));
        return ExitCode::from(1);
    }
    if let Err(message) = check_paths(&found, args.force).and_then(|()| write(&found, args)) {
        return complain(&message);
    }
    report(&found, args, schema.is_none(), style)
}

/// The format of this name; none for `auto`.
fn format_of(name: &str) -> Result<Option<&'static dyn Format>, String> {
    if name == "auto" {
        return Ok(None);
    }
    let names = || FORMATS.iter().map(|format| format.name());
    match FORMATS.iter().find(|format| format.name() == name) {
        Some(format) => Ok(Some(*format)),
        None => {
            let near = nearest(name, names()).map(|near| format!("; did you mean `{near}`?"));
            let known: Vec<&str> = names().collect();
            Err(format!(
                "there is no format `{name}`{} (there are {} and auto)",
                near.unwrap_or_default(),
                known.join(", ")
            ))
        }
    }
}

/// Mistakes, by the files that they are in.
type Broken = Vec<(SourceFile, Vec<Diagnostic>)>;

fn read(
    path: &Path,
    format: Option<&'static dyn Format>,
    schema: Option<&str>,
) -> Result<Vec<Imported>, Broken> {
    let file = source(path)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let Some(format) = format.or_else(|| detect(&name, file.text())) else {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
        let problem = Diagnostic::whole_file("this file is in none of the formats that are known").help(
            format!("if it is all the same, say which: --format {}", known.join("|")),
        );
        return Err(vec![(file, vec![problem])]);
    };
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let results = format.results().and_then(|results| results_of(path, results));
    let results = results.as_deref().map(source).transpose()?;
    let not_read = RefCell::new(Broken::new());
    let include = |name: &str| {
        let file = included(&folder, name)?;
        let file = source(&file).map_err(|mut broken| not_read.borrow_mut().append(&mut broken));
        file.ok()
    };
    let input = Input {
        file: &file,
        results: results.as_ref(),
        include: &include,
    };
    let imported = import_file(format, &input, schema);
    let mut files = not_read.take();
    for problem in imported.as_ref().err().into_iter().flatten().cloned() {
        match files
            .iter_mut()
            .find(|(file, _)| file.name() == problem.file.name())
        {
            Some((_, problems)) => problems.push(problem.diagnostic),
            None => files.push((problem.file, vec![problem.diagnostic])),
        }
    }
    match imported {
        Ok(imported) if files.is_empty() => Ok(imported),
        Ok(_) | Err(_) => Err(files),
    }
}

/// A file's text, or why it cannot be read.
fn source(path: &Path) -> Result<SourceFile, Broken> {
    SourceFile::read(path).map_err(|error| vec![(error.file, vec![error.problem])])
}

/// The expected results of a test: beside it, or where its folder has another name, at any depth.
fn results_of(test: &Path, results: Results) -> Option<PathBuf> {
    let beside = test.with_extension(results.extension);
    if beside.is_file() {
        return Some(beside);
    }
    let (tests, expected) = results.folders;
    let beside = std::path::absolute(beside).ok()?;
    let mut below = PathBuf::from(beside.file_name()?);
    for folder in beside.ancestors().skip(1) {
        let name = folder.file_name()?;
        if name == tests {
            let found = folder.with_file_name(expected).join(&below);
            return found.is_file().then_some(found);
        }
        below = Path::new(name).join(below);
    }
    None
}

/// A file that another one includes: beside it, or below the folder that its own is in.
fn included(folder: &Path, name: &str) -> Option<PathBuf> {
    let places = ["", "..", "include", "../include"];
    let mut paths = places.iter().map(|place| folder.join(place).join(name));
    paths.find(|path| path.is_file())
}

/// The path of the schema as files of this folder see it: `schema/scenario.json` in one of the folders above.
pub(super) fn schema_path(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    let mut ups = String::new();
    for above in folder.ancestors() {
        if above.join("schema/scenario.json").is_file() {
            return Some(format!("{ups}schema/scenario.json"));
        }
        ups.push_str("../");
    }
    None
}

/// Files that are there already, and names that two scenarios would have.
fn check_paths(found: &[Written], force: bool) -> Result<(), String> {
    for (number, one) in found.iter().enumerate() {
        if found[..number].iter().any(|other| other.path == one.path) {
            let message =
                "two scenarios would be this file: import them one after the other, each with its own --to";
            return Err(format!("{}: {message}", one.path.display()));
        }
    }
    let there: Vec<String> = found
        .iter()
        .filter(|one| one.path.is_dir() || !force && one.path.exists())
        .map(|one| one.path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}: there already; nothing is written (`--force` writes such files anew, `--to FOLDER` writes elsewhere)",
        there.join(", ")
    ))
}

/// Writes all files, each beside its place first: where one cannot be written, none is there.
fn write(found: &[Written], args: &ImportArgs) -> Result<(), String> {
    let failed = |path: &Path, error: &std::io::Error| format!("{}: {error}", path.display());
    std::fs::create_dir_all(&args.to).map_err(|error| failed(&args.to, &error))?;
    let mut ready = Vec::new();
    for one in found {
        let file = beside(&args.to, &one.text).map_err(|error| failed(&one.path, &error))?;
        ready.push((file, &one.path));
    }
    for (file, path) in ready {
        let kept = if args.force {
            file.persist(path)
        } else {
            file.persist_noclobber(path)
        };
        kept.map_err(|error| failed(path, &error.error))?;
    }
    Ok(())
}

/// A file in this folder that is taken away again unless it gets its name.
fn beside(folder: &Path, text: &str) -> std::io::Result<TempPath> {
    let mut builder = tempfile::Builder::new();
    // As any other file: a temporary one is for its owner alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".import-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    Ok(file.into_temp_path())
}

/// Says what was written, and what `check` finds in it.
fn report(found: &[Written], args: &ImportArgs, without_schema: bool, style: RenderStyle) -> ExitCode {
    let mut mistaken = 0;
    for one in found {
        let notes = match one.notes {
            0 => String::new(),
            notes => format!(" ({} to look at)", count(notes, "place")),
        };
        say(&format!("{}{notes}", one.path.display()));
        let planned = plan_file(&args.to, &one.path, &BTreeMap::new(), &Handlers::new(), false);
        if !planned.problems.is_empty() {
            mistaken += usize::from(planned.is_broken());
            say(&render_all(&planned.file, &planned.problems, style));
        }
    }
    let notes: usize = found.iter().map(|one| one.notes).sum();
    say(&format!(
        "{} written to {}",
        count(found.len(), "scenario"),
        args.to.display()
    ));
    if notes > 0 {
        let places = if notes == 1 {
            "one place says".to_owned()
        } else {
            format!("{notes} places say")
        };
        say(&format!(
            "{places} what was not taken as it stood: grep -rn 'import:' {}",
            args.to.display()
        ));
    }
    if without_schema {
        say(
            "no schema/scenario.json is above them, so that they have no line for editors; `tidb-scenarios schema` \
             prints the schema",
        );
    }
    if mistaken > 0 {
        say(&format!(
            "{} with mistakes: mend them before you run them",
            count(mistaken, "scenario")
        ));
        return ExitCode::from(1);
    }
    ExitCode::SUCCESS
}

fn count(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_looked_for_above() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("schema")).expect("a folder");
        std::fs::write(folder.path().join("schema/scenario.json"), "{}").expect("a file");
        let schema = schema_path(&folder.path().join("scenarios/imported"));
        assert_eq!(schema.as_deref(), Some("../../schema/scenario.json"));
        assert_eq!(
            schema_path(folder.path()).as_deref(),
            Some("schema/scenario.json")
        );
    }

    #[test]
    fn results_stand_beside_a_test_or_in_a_folder_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let results = Results {
            extension: "result",
            folders: ("t", "r"),
        };
        let [test, own] = ["t/ddl/a.b.test", "r/ddl/a.b.result"].map(|path| folder.path().join(path));
        for file in [&test, &own] {
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        }
        assert_eq!(results_of(&test, results), None);
        std::fs::write(&own, "").expect("a file");
        assert_eq!(results_of(&test, results), Some(own));
        let beside = test.with_extension("result");
        std::fs::write(&beside, "").expect("a file");
        assert_eq!(results_of(&test, results), Some(beside));
    }

    #[test]
    fn a_format_is_known_by_its_name() {
        assert!(format_of("auto").expect("auto").is_none());
        assert_eq!(
            format_of("troc").expect("a format").map(Format::name),
            Some("troc")
        );
        let message = format_of("isolations").err().expect("no format");
        assert!(message.contains("did you mean `isolation`?"), "{message}");
    }
}
