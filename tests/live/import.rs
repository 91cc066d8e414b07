//! Files of other tools as scenarios, by a corpus for each format: each file becomes the scenarios in the folder
//! of its name, those in `invalid` are refused with what stands beside them, and what comes out is run on TiDB.
//! Where TiDB does otherwise than the other tool's database, `differs.txt` says so, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

/// Set, the answers are written down anew instead of compared.
const BLESS: &str = "TIDB_SCENARIOS_BLESS";

/// The formats, with the extensions of their files.
const FORMATS: [(&str, &[&str]); 5] = [
    ("isolation", &["spec"]),
    ("mysqltest", &["test"]),
    ("sqllogictest", &["slt", "test"]),
    ("hermitage", &["md"]),
    ("troc", &["txt"]),
];

/// Fewer files than these would show too little of a format.
const FILES_MIN: usize = 6;

fn is_blessing() -> bool {
    std::env::var_os(BLESS).is_some_and(|value| !value.is_empty())
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension()
        .is_some_and(|extension| extensions.contains(&&*extension.to_string_lossy()))
}

/// The files of a format, in this folder of its corpus.
fn inputs(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = sorted(folder);
    files.retain(|path| path.is_file() && has_extension(path, extensions));
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files
}

fn corpus(format: &str) -> PathBuf {
    Path::new("tests/import").join(format)
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"))
        .args(args)
        .env_remove("TIDB_SCENARIOS")
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary starts")
}

fn both(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn text_of(path: &Path) -> String {
    path.display().to_string()
}

fn diff(before: &str, now: &str, name: &str) -> String {
    let diff = similar::TextDiff::from_lines(before, now);
    let diff = diff.unified_diff().header(name, "now").to_string();
    format!("{name}: another answer than the one that was blessed\n{diff}")
}

fn report(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{} problems (if they are right, write them down: {BLESS}=1 cargo test --test import)\n\n{}",
        problems.len(),
        problems.join("\n\n")
    );
}

/// The texts of a folder's files, by their names.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    if !folder.is_dir() {
        return BTreeMap::new();
    }
    let files = sorted(folder).into_iter();
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text"))
        })
        .collect()
}

/// A folder that has the schema above it as this repository has.
fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("schema")).expect("a folder");
    fs::write(folder.path().join("schema/scenario.json"), "{}").expect("a file");
    folder
}

#[test]
fn each_file_becomes_the_scenarios_in_the_folder_of_its_name() {
    let workspace = workspace();
    let mut problems = Vec::new();
    for (format, extensions) in FORMATS {
        let files = inputs(&corpus(format), extensions);
        assert!(files.len() >= FILES_MIN, "{format} has {} files", files.len());
        for file in files {
            let to = workspace.path().join(file.with_extension(""));
            let output = run(&["import", "--to", &text_of(&to), &text_of(&file)]);
            // All are sound: what `check` would find is found here.
            let answer = both(&output);
            if output.status.code() != Some(0) || answer.contains("warning") {
                problems.push(format!("{}: {}\n{answer}", file.display(), output.status));
                continue;
            }
            let golden = file.with_extension("");
            let now = texts(&to);
            if is_blessing() {
                if golden.is_dir() {
                    fs::remove_dir_all(&golden).expect("the old answers");
                }
                fs::create_dir(&golden).expect("a folder");
                for (name, text) in &now {
                    fs::write(golden.join(name), text).expect("an answer");
                }
                continue;
            }
            let before = texts(&golden);
            for name in before.keys().filter(|name| !now.contains_key(*name)) {
                problems.push(format!("{}/{name}: not imported any more", golden.display()));
            }
            for (name, text) in &now {
                let before = before.get(name).map(String::as_str).unwrap_or_default();
                if before != text {
                    problems.push(diff(before, text, &format!("{}/{name}", golden.display())));
                }
            }
        }
    }
    report(&problems);
}

/// A format that is named is taken, whatever the file is called.
#[test]
fn a_format_that_is_named_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    for (format, extensions) in FORMATS {
        let file = &inputs(&corpus(format), extensions)[0];
        let copy = folder.path().join(format);
        fs::copy(file, &copy).expect("a copy");
        let to = folder.path().join(format!("to-{format}"));
        let output = run(&[
            "import",
            "--format",
            format,
            "--to",
            &text_of(&to),
            &text_of(&copy),
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        assert!(!texts(&to).is_empty(), "{format}");
    }
}

#[test]
fn invalid_files_are_refused_with_all_their_mistakes() {
    let mut problems = Vec::new();
    for (format, extensions) in FORMATS {
        for file in inputs(&corpus(format).join("invalid"), extensions) {
            let to = tempfile::tempdir().expect("a folder");
            let path = text_of(&file);
            let output = run(&["import", "--format", format, "--to", &text_of(to.path()), &path]);
            assert!(texts(to.path()).is_empty(), "{path}: something is written");
            if output.status.code() != Some(1) || !output.stdout.is_empty() {
                problems.push(format!(
                    "{path} is not refused: {}\n{}",
                    output.status,
                    both(&output)
                ));
                continue;
            }
            let golden = file.with_extension("err");
            let answer = format!("{}\n", both(&output).trim_end());
            if is_blessing() {
                fs::write(&golden, answer).expect("an answer");
                continue;
            }
            let before = fs::read_to_string(&golden).unwrap_or_default();
            if before != answer {
                problems.push(diff(&before, &answer, &text_of(&golden)));
            }
        }
    }
    report(&problems);
}

/// A file that belongs to nothing would look like a test and be none.
#[test]
fn every_file_of_the_corpus_is_used() {
    for (format, extensions) in FORMATS {
        for folder in [corpus(format), corpus(format).join("invalid")] {
            let files = inputs(&folder, extensions);
            let names: Vec<String> = files.iter().map(|file| name(file)).collect();
            for path in sorted(&folder).iter().filter(|path| !files.contains(path)) {
                let own = path.file_name().expect("a name").to_string_lossy().into_owned();
                let belongs = names.contains(&name(path))
                    && (path.is_dir() || has_extension(path, &["out", "result", "err"]));
                let named = files.iter().any(|file| {
                    let text = fs::read_to_string(file).unwrap_or_default();
                    text.contains(&own)
                });
                assert!(
                    belongs || named || own == "invalid",
                    "{} belongs to no file beside it",
                    path.display()
                );
            }
        }
    }
}

/// Scenarios that fail on TiDB, by their paths, each with the reason.
fn differences() -> BTreeMap<String, String> {
    let text = fs::read_to_string("tests/import/differs.txt").expect("the list of differences");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, reason) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("differs.txt: `{line}` gives no reason"));
            (name.to_owned(), reason.to_owned())
        })
        .collect()
}

/// What was imported passes on TiDB, but for what is listed: each of that fails.
#[test]
fn what_was_imported_passes_on_tidb_or_is_listed_with_the_reason() {
    if is_blessing() {
        // The scenarios are being written anew.
        return;
    }
    let output = run(&["run", "tests/import"]);
    let text = both(&output);
    let counts = Regex::new(r"(\d+) passed; (\d+) failed; (\d+) ignored").expect("a pattern");
    let counts = counts.captures(&text).unwrap_or_else(|| panic!("{text}"));
    let number = |at: usize| counts[at].parse::<usize>().expect("a number");
    let head = Regex::new(r"(?m)^---- (\S+) ----$").expect("a pattern");
    let names = head.captures_iter(&text).map(|found| found[1].to_owned());
    let mut failed: Vec<String> = names.collect();
    failed.sort();
    assert_eq!((failed.len(), 0), (number(2), number(3)), "{text}");
    let listed: Vec<String> = differences().into_keys().collect();
    assert_eq!(failed, listed, "what fails, and what differs.txt lists\n{text}");
    assert!(number(1) > 50, "{text}");
}

/// The fenced blocks of the document, with what stands behind the fence. A block ends with as many backticks as it
/// begins with, so that a page with blocks of its own can be one.
fn blocks() -> Vec<(String, String)> {
    let text = fs::read_to_string("docs/import.md").expect("the document");
    let mut found: Vec<(String, String)> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() >= 3 => {
                found.push((line[ticks.len()..].to_owned(), String::new()));
                fence = Some(ticks);
            }
            None => {}
            Some(begin) if line == begin => fence = None,
            Some(_) => {
                let (_, text) = found.last_mut().expect("the block");
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a block of docs/import.md does not end");
    found
}

/// The document's files, by their names.
fn files_of_the_document() -> Vec<(String, String)> {
    let blocks = blocks().into_iter();
    let files = blocks.filter_map(|(info, text)| {
        let name = info.strip_prefix("text ")?;
        (!name.contains(' ')).then(|| (name.to_owned(), text))
    });
    files.collect()
}

#[test]
fn the_document_has_what_comes_of_its_tests() {
    let workspace = tempfile::tempdir().expect("a folder");
    let files = files_of_the_document();
    for (name, text) in &files {
        fs::write(workspace.path().join(name), text).expect("a file");
    }
    let mut problems = Vec::new();
    for (format, extensions) in FORMATS {
        // `.test` is mysqltest's here.
        let tests = files
            .iter()
            .filter(|(name, _)| has_extension(Path::new(name), &extensions[..1]));
        let names: Vec<&String> = tests.map(|(name, _)| name).collect();
        assert!(!names.is_empty(), "docs/import.md has no test of {format}");
        for name in names {
            let file = workspace.path().join(name);
            let to = workspace.path().join(format!("to_{format}"));
            let output = run(&["import", "--to", &text_of(&to), &text_of(&file)]);
            assert_eq!(output.status.code(), Some(0), "{}", both(&output));
            let now = fs::read_to_string(to.join("second_writer.yaml")).expect("the scenario");
            let info = format!("yaml {name}");
            let before = blocks().into_iter().find(|(own, _)| *own == info);
            let before = before.map(|(_, text)| text).unwrap_or_default();
            if before != now {
                problems.push(diff(&before, &now, &format!("docs/import.md: {info}")));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// With 80 in the place of 70, each fails as the document says.
#[test]
fn the_failures_in_the_document_are_how_they_print() {
    let workspace = tempfile::tempdir().expect("a folder");
    let blocks = blocks();
    let mut shown = Vec::new();
    for (info, lines) in &blocks {
        let Some(name) = info.strip_prefix("text fails ") else {
            continue;
        };
        let info = format!("yaml {name}");
        let (_, scenario) = blocks
            .iter()
            .find(|(own, _)| *own == info)
            .unwrap_or_else(|| panic!("there is no block {info}"));
        let wrong = scenario.replace("70]]", "80]]");
        assert_ne!(wrong, *scenario, "{info}");
        let trial = name.replace('.', "_");
        fs::write(workspace.path().join(&trial).with_extension("yaml"), wrong).expect("a file");
        shown.push((trial, lines));
    }
    assert!(shown.len() > 3, "{shown:?}");
    let output = run(&["run", &text_of(workspace.path())]);
    let text = both(&output);
    assert_eq!(output.status.code(), Some(101), "{text}");
    for (trial, lines) in shown {
        let begin = text.find(&format!("---- {trial}"));
        let begin = begin.unwrap_or_else(|| panic!("{trial} must fail:\n{text}"));
        let own = &text[begin..];
        let end = own[1..].find("\n---- ").unwrap_or(own.len() - 1);
        assert!(
            own[..end].contains(lines.as_str()),
            "{trial} says\n{}",
            &own[..end]
        );
    }
}

/// mysql-tester gives each test below a folder a database of that name, and keeps the results in another folder.
#[test]
fn a_test_of_mysql_tester_is_in_the_trial_s_own_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        path
    };
    let test = file("t/ddl/own.test");
    fs::write(
        &test,
        "create table t (a int);\ninsert into ddl__own.t values (1);\nselect database(), a from ddl__own.t;\n",
    )
    .expect("a file");
    fs::write(
        file("r/ddl/own.result"),
        "create table t (a int);\ninsert into ddl__own.t values (1);\n\
         select database(), a from ddl__own.t;\ndatabase()\ta\nddl__own\t1\n",
    )
    .expect("a file");
    let to = folder.path().join("new");
    let output = run(&["import", "--to", &text_of(&to), &text_of(&test)]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let scenario = fs::read_to_string(to.join("own.yaml")).expect("the scenario");
    assert!(!scenario.contains("ddl__own"), "{scenario}");
    assert!(!scenario.contains("serial"), "{scenario}");
    let output = run(&["run", &text_of(&to)]);
    assert_eq!(output.status.code(), Some(0), "{scenario}{}", both(&output));
    // The red side: with another name in the results it fails.
    fs::write(
        to.join("own.yaml"),
        scenario.replace("[[\"${database}\", 1]]", "[[ddl__own, 1]]"),
    )
    .expect("a file");
    let output = run(&["run", &text_of(&to)]);
    assert_eq!(output.status.code(), Some(101), "{}", both(&output));
}

mod command {
    use super::*;

    const SMALL: &str = "tests/import/troc/second_writer.txt";

    fn import(args: &[&str], to: &Path) -> (Option<i32>, String) {
        let to = text_of(to);
        let args = [&["import", "--to", &to], args].concat();
        let output = run(&args);
        (output.status.code(), both(&output))
    }

    #[test]
    fn a_file_that_is_there_is_left_alone_unless_forced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, text) = import(&[SMALL], folder.path());
        assert_eq!(code, Some(0), "{text}");
        let written = folder.path().join("second_writer.yaml");
        let first = fs::read_to_string(&written).expect("the scenario");
        fs::write(&written, "my own").expect("a file");
        let (code, text) = import(&[SMALL, "tests/import/troc/deadlock.txt"], folder.path());
        assert_eq!(code, Some(101), "{text}");
        assert!(text.contains("second_writer.yaml: there already"), "{text}");
        assert!(text.contains("--force"), "{text}");
        assert_eq!(fs::read_to_string(&written).expect("the file"), "my own");
        assert_eq!(texts(folder.path()).len(), 1, "nothing else is written");
        let (code, text) = import(&["--force", SMALL], folder.path());
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(fs::read_to_string(&written).expect("the scenario"), first);
    }

    #[test]
    fn nothing_is_written_where_one_file_has_a_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("new");
        let (code, text) = import(&[SMALL, "tests/import/troc/invalid/no_case.txt"], &to);
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("1 file with mistakes; nothing is written"),
            "{text}"
        );
        assert!(!to.exists());
    }

    #[test]
    fn two_scenarios_of_one_name_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            "tests/import/troc/second_writer.txt",
            "tests/import/mysqltest/second_writer.test",
        ];
        let (code, text) = import(&files, &folder.path().join("new"));
        assert_eq!(code, Some(101), "{text}");
        assert!(text.contains("two scenarios would be this file"), "{text}");
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn an_unknown_format_is_wrong_usage() {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, text) = import(&["--format", "mysqltests", SMALL], folder.path());
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("did you mean `mysqltest`?"), "{text}");
        let (code, text) = import(&[], folder.path());
        assert_eq!(code, Some(2), "{text}");
    }

    #[test]
    fn a_missing_file_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, text) = import(&[SMALL, "no/such.spec"], &folder.path().join("new"));
        assert_eq!(code, Some(101), "{text}");
        assert!(text.contains("no/such.spec: there is no such file"), "{text}");
        assert!(!folder.path().join("new").exists());
    }

    #[test]
    fn a_file_of_no_known_format_is_a_mistake() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notes.rst");
        fs::write(&file, "Notes\n").expect("a file");
        let (code, text) = import(&[&text_of(&file)], &folder.path().join("new"));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("--format isolation|"), "{text}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        let (code, text) = import(&[SMALL], &file.join("below"));
        assert_eq!(code, Some(101), "{text}");
        assert!(text.contains("below"), "{text}");
    }

    #[test]
    fn without_a_schema_above_there_is_no_line_for_editors() {
        let folder = tempfile::tempdir().expect("a folder");
        let (code, text) = import(&[SMALL], folder.path());
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("tidb-scenarios schema"), "{text}");
        let scenario = fs::read_to_string(folder.path().join("second_writer.yaml")).expect("the scenario");
        assert!(
            scenario.starts_with("# Imported from second_writer.txt"),
            "{scenario}"
        );
    }

    #[test]
    fn results_and_included_files_that_cannot_be_read_are_mistakes() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        fs::write(file("a.test"), "--source b.inc\nselect 1;\n").expect("a file");
        fs::write(file("a.result"), [0xff]).expect("a file");
        let (code, text) = import(&[&text_of(&file("a.test"))], &file("new"));
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("a.result:1:1: error: this file is not UTF-8"),
            "{text}"
        );
        fs::remove_file(file("a.result")).expect("the file");
        fs::write(file("b.inc"), [0xff]).expect("a file");
        let (code, text) = import(&[&text_of(&file("a.test"))], &file("new"));
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("b.inc:1:1: error: this file is not UTF-8"),
            "{text}"
        );
        assert!(!file("new").exists());
    }
}
