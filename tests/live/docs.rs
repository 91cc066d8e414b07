//! What the documents say is true: their scenarios run, their commands are run by CI, their failure prints so.

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::expect_file;
use regex::Regex;
use tidb_scenarios::engine::{PlanInput, plan};
use tidb_scenarios::engine::{RenderStyle, SourceFile, render_all};
use tidb_scenarios::testing::keys;

/// A fenced block of a document.
#[derive(Debug)]
struct Block {
    file: PathBuf,
    line: usize,
    /// What stands behind the fence, such as `yaml`.
    info: String,
    text: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// A whole scenario, comments before it or not; parts of one begin otherwise.
    fn is_scenario(&self) -> bool {
        let mut lines = self.text.lines().filter(|line| !line.starts_with('#'));
        self.info.starts_with("yaml") && lines.next().is_some_and(|line| line.starts_with("scenario:"))
    }
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README, its siblings, and the book.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [".", "docs"]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    found.sort();
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn blocks(path: &Path) -> Vec<Block> {
    let text = read(path);
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block {
                    file: path.to_owned(),
                    line: number + 2,
                    info: info.trim().to_owned(),
                    text: String::new(),
                });
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{} has a block without an end", path.display());
    found
}

/// Runs the binary in a folder, with a server of its own.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = support::binary();
    command
        .args(args)
        .current_dir(folder)
        .env("TIDB_PROVIDER", "embedded");
    for name in ["TIDB_URL", "TIDB_SCENARIOS_KEEP_DB", "RUST_LOG"] {
        command.env_remove(name);
    }
    support::told(&mut command)
}

#[test]
fn scenarios_in_the_docs_pass() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut trials, mut count) = (0, 0);
    for block in documents().iter().flat_map(|path| blocks(path)) {
        if !block.is_scenario() {
            continue;
        }
        count += 1;
        let input = PlanInput {
            name: "trial".to_owned(),
            env: BTreeMap::new(),
            ..PlanInput::default()
        };
        let planned = plan(
            Arc::new(SourceFile::new(block.place(), block.text.clone())),
            &input,
        );
        let style = RenderStyle {
            color: false,
            unicode: true,
        };
        assert!(
            planned.problems.is_empty(),
            "{}:\n{}",
            block.place(),
            render_all(&planned.file, &planned.problems, style)
        );
        trials += planned.trials.len();
        let stem = block.file.file_stem().expect("a name").to_string_lossy();
        let path = folder.path().join(format!("{stem}_{}.yaml", block.line));
        fs::write(path, &block.text).expect("a scenario");
    }
    assert!(
        count >= 2,
        "README and the language reference have a scenario each"
    );
    let (code, text) = run(folder.path(), &["run", "."]);
    assert_eq!(code, Some(0), "a name is the document with the line:\n{text}");
    assert!(
        text.contains(&format!("{trials} passed; 0 failed; 0 ignored")),
        "{text}"
    );
}

/// What differs from run to run: times (and with them the width of columns, and where a cell is cut), which of
/// several proofs of the holder was there first, and whether the statement that waited was seen to end.
fn normal(text: &str) -> String {
    let rules = [
        (
            r"(?m)^ *(end|\d+\.\d ms) │( *│)* *(→ \d+: .*|… line \d+ had not returned)$",
            "# │ #",
        ),
        (r"(?m)holder: .*$", "holder: #"),
        (r"\((\d+\.\d|af)[^│\n]*", "(#)"),
        (r"\d+\.\d ms", "# ms"),
        (r" +", " "),
        (r"(?m) +$", ""),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern)
            .expect("a pattern")
            .replace_all(&text, *with)
            .into_owned()
    })
}

#[test]
fn the_failure_in_readme_is_how_it_prints() {
    let readme = Path::new("README.md");
    let blocks = blocks(readme);
    let scenario = blocks
        .iter()
        .find(|block| block.is_scenario())
        .expect("a scenario");
    let shown = blocks
        .iter()
        .find(|block| block.info == "text")
        .expect("a failure");

    let without: String = scenario
        .text
        .lines()
        .filter(|line| !line.contains("blocked_by: alice") && !line.contains("unblocks: bob"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(without.lines().count() + 2, scenario.text.lines().count());
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join("scenarios/locking");
    fs::create_dir_all(&below).expect("a folder");
    fs::write(below.join("second_writer_waits.yaml"), without).expect("a scenario");

    let (code, text) = run(folder.path(), &["run", "scenarios"]);
    assert_eq!(code, Some(101), "{text}");
    let (_, failure) = text
        .split_once("---- locking::second_writer_waits ----\n")
        .expect("a failure");
    let (failure, _) = failure.split_once("\n\n\nfailures:").expect("its end");
    // The binary runs what README says of the harness; only the command is another.
    let command = ["tidb-scenarios run scenarios --", "cargo test --test harness --"];
    assert!(failure.contains(command[0]), "{failure}");
    let failure = failure.replace(command[0], command[1]) + "\n";

    if normal(&failure) != normal(&shown.text) {
        // `UPDATE_EXPECT=1 cargo test --test docs` puts it there, and so does `just bless`.
        let wanted = read(readme).replace(
            &format!("```text\n{}```", shown.text),
            &format!("```text\n{failure}```"),
        );
        expect_file!["../../README.md"].assert_eq(&wanted);
    }
}

#[test]
fn commands_of_readme_are_run_by_ci() {
    let ci = read(".ci/run");
    let run_by_ci: Vec<&str> = ci.lines().map(without_comment).collect();
    let mut count = 0;
    for block in blocks(Path::new("README.md")) {
        for line in block.text.lines().filter(|_| block.info == "sh") {
            let command = without_comment(line);
            count += usize::from(!command.is_empty());
            let runs = |line: &&str| {
                line.strip_suffix(command)
                    // Variables may stand before it.
                    .is_some_and(|before| before.split_whitespace().all(|word| word.contains('=')))
            };
            assert!(
                command.is_empty() || run_by_ci.iter().any(runs),
                "README says `{command}`, and .ci/run has no line with this command"
            );
        }
    }
    assert!(count >= 5, "README has {count} commands");
}

fn without_comment(line: &str) -> &str {
    let code = line.find(" #").map_or(line, |at| &line[..at]);
    if code.trim_start().starts_with('#') {
        ""
    } else {
        code.trim()
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Names that a pattern with one group finds in a text.
fn names(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern)
        .expect("a pattern")
        .captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn readme_and_help_name_every_variable_that_is_read() {
    let code: String = sources(Path::new("src")).iter().map(read).collect();
    let mut variables = names(r#"\b(?:get|var|var_os)\("([A-Z][A-Z_]+)"\)"#, &code);
    assert!(variables.len() >= 8, "{variables:?}");
    // Its name stands in tracing-subscriber.
    variables.insert("RUST_LOG".to_owned());
    let in_readme = names(r"(?m)^\| `([A-Z_]+)` \|", &read("README.md"));
    assert_eq!(in_readme, variables, "the table in README against the code");
    let (_, help) = run(Path::new("."), &["run", ".", "--", "--help"]);
    let in_help = names(r"(?m)^  ([A-Z_]+)=", &help);
    assert_eq!(in_help, variables, "`--help` against the code");
}

#[test]
fn the_language_reference_has_every_key() {
    let reference = read("docs/language.md");
    let tables = [
        keys::TOP,
        keys::CONNECTION,
        keys::ACTION,
        keys::STEP,
        keys::WAITING,
        keys::FINAL,
        keys::REQUIRES,
        keys::SERVER,
        keys::LOAD,
        keys::SHARED,
        keys::KILL,
        keys::STATE_ACTION,
        keys::STATE,
        keys::BARRIER,
        keys::RETRIES,
        keys::WATCH_DDL,
        keys::SERIES,
        keys::PERMUTATIONS,
        keys::OUTCOME,
        tidb_scenarios::testing::MATCHERS,
        tidb_scenarios::testing::ERROR_KEYS,
    ];
    // In code: alone, or as a key of what stands in braces there.
    let prose: String = reference.split("```").step_by(2).collect();
    let code = names(r"`([^`]+)`", &prose)
        .into_iter()
        .collect::<Vec<_>>()
        .join("\n");
    let missing: Vec<&str> = keys::names(&tables.concat())
        .into_iter()
        .chain(keys::EXPECTATIONS.iter().copied())
        .filter(|key| {
            let word = Regex::new(&format!(r"(?m)(^|[^\w$]){key}($|[^\w])")).expect("a pattern");
            !word.is_match(&code)
        })
        .collect();
    assert!(missing.is_empty(), "docs/language.md says nothing of {missing:?}");
}

#[test]
fn names_of_tests_recipes_and_files_in_the_docs_are_there() {
    let manifest = read("Cargo.toml");
    let justfile = read("justfile");
    let recipes = names(r"(?m)^([a-z][a-z-]*)[^:=\n]*:[^=\n]*$", &justfile);
    let mut texts: Vec<(PathBuf, String)> = documents()
        .into_iter()
        .map(|path| (path.clone(), read(&path)))
        .collect();
    texts.push((PathBuf::from("justfile"), justfile.clone()));
    texts.push((PathBuf::from(".ci/run"), read(".ci/run")));
    for (path, text) in texts {
        let path = path.display();
        for test in names(r"--test ([a-z_]+)\b", &text) {
            let own = Path::new("tests").join(&test);
            let there = own.with_extension("rs").exists()
                || own.join("main.rs").exists()
                || manifest.contains(&format!("name = \"{test}\""));
            assert!(there, "{path}: there is no test `{test}`");
        }
        for recipe in names(r"`just ([a-z-]+)", &text) {
            assert!(
                recipes.contains(&recipe),
                "{path}: the justfile has no `{recipe}`"
            );
        }
        for link in names(r"\]\(([^)#:]+)\)", &text) {
            let folder = Path::new(&path.to_string())
                .parent()
                .map(Path::to_owned)
                .unwrap_or_default();
            assert!(folder.join(&link).exists(), "{path}: {link} is not there");
        }
    }
}

/// Where each number of the table of limits stands in the code: in the order of the rows, and of the numbers in a row.
const LIMITS: &[(&str, &[(&str, &str)])] = &[
    ("a trial;", &[("src/plan/mod.rs", "TRIAL_TIMEOUT")]),
    ("a step;", &[("src/plan/mod.rs", "STEP_TIMEOUT")]),
    ("a statement of `setup`", &[("src/run/limits.rs", "CONTROL_MAX")]),
    ("retries of a state", &[("src/plan/machine.rs", "RETRIES_MAX")]),
    ("the pause between", &[("src/plan/machine.rs", "LOOK_EVERY")]),
    ("interleavings |", &[("src/plan/orders.rs", "ORDERS_MAX")]),
    (
        "interleavings at the same",
        &[("src/explore/exploration.rs", "SANDBOXES")],
    ),
    (
        "a failing interleaving is",
        &[("src/harness/runner.rs", "SHRINK_MAX")],
    ),
    (
        "failing interleavings that",
        &[("src/explore/summary.rs", "FAILING_MAX")],
    ),
    (
        "rows that are restored",
        &[("src/explore/sandbox/tables.rs", "ROWS_KEPT_MAX")],
    ),
    ("beginnings of", &[("src/explore/work.rs", "DIVERGED_MAX")]),
    ("a lock of a session", &[("src/run/watch.rs", "HELD_OUTSIDE_MIN")]),
    ("a wait that `unblocks`", &[("src/run/limits.rs", "RELEASE_MAX")]),
    ("a wait that ended", &[("src/run/limits.rs", "RETURN_MAX")]),
    ("a KILL of", &[("src/run/killed.rs", "KILL_SHOWS_MAX")]),
    ("a statement that runs", &[("src/run/limits.rs", "IDLE_MAX")]),
    ("variants of a file", &[("src/plan/mod.rs", "VARIANTS_MAX")]),
    ("steps and connections", &[("src/plan/mod.rs", "PLAN_SIZE_MAX")]),
    ("connections of", &[("src/scenario/keys.rs", "CONNECTIONS_MAX")]),
    ("`repeat`, parties", &[("src/scenario/keys.rs", "TIMES_MAX")]),
    (
        "a file |",
        &[
            ("src/source/file.rs", "FILE_SIZE_MAX"),
            ("src/source/event.rs", "NODES_MAX"),
            ("src/source/event.rs", "DEPTH_MAX"),
        ],
    ),
    ("a file of `load`", &[("src/plan/load.rs", "LOAD_FILE_MAX")]),
    ("a duration", &[("src/source/read.rs", "DURATION_MAX")]),
];

/// The value of a constant, as the documents write it: `5 s`, `8 MiB`, `10,000`.
fn documented(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).expect(file);
    let pattern = Regex::new(&format!(r"const {name}: \w+ = ([^;]+);")).expect("a pattern");
    let value = pattern
        .captures(&text)
        .unwrap_or_else(|| panic!("{file} has no {name}"))[1]
        .to_owned();
    let unit = [
        ("Duration::from_hours(", "h"),
        ("Duration::from_secs(", "s"),
        ("Duration::from_millis(", "ms"),
    ];
    for (call, unit) in unit {
        if let Some(number) = value.strip_prefix(call) {
            return format!("{} {unit}", number.trim_end_matches(')'));
        }
    }
    match value.strip_suffix(" * 1024 * 1024") {
        Some(number) => format!("{number} MiB"),
        None => value.replace('_', ","),
    }
}

#[test]
fn the_table_of_limits_has_the_numbers_of_the_code() {
    let text = fs::read_to_string("docs/language.md").expect("the reference");
    let (_, table) = text.split_once("\n## Limits\n").expect("the limits");
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .collect();
    assert_eq!(
        rows.len(),
        LIMITS.len(),
        "a row without a constant, or one of neither"
    );
    for (row, (begins, constants)) in rows.iter().zip(LIMITS) {
        let row = row.trim_start_matches("| ");
        assert!(row.starts_with(begins), "`{begins}` is not where it was: {row}");
        let value = row.split(" | ").nth(1).expect("a value");
        for (file, name) in *constants {
            let number = documented(file, name);
            let whole =
                Regex::new(&format!(r"(^|[^\d,]){}($|[^\d])", regex::escape(&number))).expect("a pattern");
            assert!(
                whole.is_match(value),
                "{name} is {number}, and the table says `{value}`"
            );
        }
    }
}
