//! The language, by a corpus of files: `valid` must pass, `invalid` must be refused, `fails` must fail. Each
//! line `#! text` at the head of a file is text that its answer must have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn corpus(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/language").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files
}

fn wanted(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#! "))
        .map(str::to_owned)
        .collect();
    assert!(!lines.is_empty(), "{} says no `#! text`", file.display());
    lines
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"))
        .args(args)
        .env_remove("TIDB_SCENARIOS")
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary starts")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn invalid_files_are_refused_with_their_mistakes() {
    for file in corpus("invalid") {
        let output = run(&["check", &file.display().to_string()]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{}:\n{text}", file.display());
        for line in wanted(&file) {
            assert!(
                text.contains(&line),
                "{} must say `{line}`, and says:\n{text}",
                file.display()
            );
        }
    }
}

#[test]
fn failing_files_fail_each_with_its_failure() {
    let files = corpus("fails");
    let output = run(&["run", "tests/language/fails"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(101), "{text}");
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let own = text
            .split("\n---- ")
            .find(|part| part.starts_with(&format!("{name} ----")));
        let own = own.unwrap_or_else(|| panic!("{name} must fail:\n{text}"));
        for line in wanted(&file) {
            assert!(own.contains(&line), "{name} must say `{line}`, and says:\n{own}");
        }
        assert!(
            own.contains(&format!("--exact {name}")),
            "{name} must say how to repeat it:\n{own}"
        );
    }
}

#[test]
fn valid_files_pass() {
    let output = run(&["run", "tests/language/valid"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains(&format!("{} passed", corpus("valid").len())),
        "{text}"
    );
}
