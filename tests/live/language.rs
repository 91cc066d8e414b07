//! The language, by a corpus of files: `valid` must pass, `invalid` must be refused, `fails` must fail. What
//! the tool prints of each file that it complains about stands beside it and must be exactly that; what
//! varies from run to run (times, names of databases, the server) is put out of it first.
//!
//! Each line `#! text` at the head of a file is text that the answer must have, so that an answer cannot be
//! blessed that misses the point.
//!
//! Where connections run freely, which of them comes first is chance. A file that says so at its head, by
//! `#~ each connection by itself`, is compared by what each connection did: the timeline's lines stand one
//! connection after another, and the failures in the order of their texts. With `#~ whichever worker`, the
//! numbers of its `worker.N` are left out, too.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use regex::{Captures, Regex};

/// Set, the answers are written down anew instead of compared.
const BLESS: &str = "TIDB_SCENARIOS_BLESS";

fn corpus(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/language").join(kind);
    let mut files = all_files(&folder);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "{} has no files", folder.display());
    files
}

/// All files of a folder and of those in it.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the corpus");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            all_files(&path)
        } else {
            vec![path]
        }
    };
    paths.flat_map(below).collect()
}

/// The name of a file's trial in a run of its kind: `steps::kill_itself` of `tests/language/invalid/steps/kill_itself.yaml`.
fn name(file: &Path) -> String {
    let below = file
        .strip_prefix("tests/language")
        .unwrap_or(file)
        .with_extension("");
    let parts = below
        .iter()
        .skip(1)
        .map(|part| part.to_string_lossy().into_owned());
    parts.collect::<Vec<_>>().join("::")
}

/// The texts that the answer to a file must have.
fn wanted(file: &Path) -> Vec<String> {
    let text = fs::read(file).expect("a file of the corpus");
    let text = String::from_utf8_lossy(&text).into_owned();
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().filter_map(|line| line.strip_prefix("#! "));
    lines.map(|line| line.trim_end().to_owned()).collect()
}

/// Whether the file says at its head that this is chance.
fn is_chance(file: &Path, what: &str) -> bool {
    let text = fs::read_to_string(file).expect("a file of the corpus");
    let mut marks = text.lines().filter_map(|line| line.strip_prefix("#~ "));
    marks.any(|mark| mark == what)
}

/// A failure of connections that ran freely, in an order that is the same in each run.
fn ordered(file: &Path, text: &str) -> String {
    let mut text = text.to_owned();
    if is_chance(file, "whichever worker") {
        let worker = Regex::new(r"\bworker\.\d+\b").expect("a pattern");
        text = worker.replace_all(&text, "worker.N").into_owned();
    }
    if !is_chance(file, "each connection by itself") {
        return text;
    }
    let row = Regex::new(r"^ *(end)? │").expect("a pattern");
    let is_row = |line: &&str| row.is_match(line);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(is_row).unwrap_or(lines.len());
    let rows = lines[first..].iter().take_while(|line| is_row(line)).count();
    let failures = lines[..first].join("\n");
    // Each begins with its place; what stands below it belongs to it.
    let begins = format!("\n\n{}:", file.display());
    let mut failures: Vec<String> = format!("\n\n{}", failures.trim_end())
        .split(&begins)
        .skip(1)
        .map(|failure| format!("{}:{failure}", file.display()))
        .collect();
    failures.sort();
    let mut timeline: Vec<&str> = lines[first..first + rows].to_vec();
    let cells = |line: &str| {
        line.split('│')
            .skip(1)
            .filter(|cell| !cell.trim().is_empty())
            .count()
    };
    if text.contains(" │ worker.N │") {
        timeline.sort_unstable();
    } else if timeline.iter().all(|line| cells(line) > 1) {
        // A list: the names come first.
        timeline.sort_by_key(|line| line.split('│').nth(1));
    } else {
        // Each line has one cell that is not empty; the head stays above them.
        let head = usize::from(!timeline.is_empty());
        timeline[head..].sort_by_key(|line| {
            let cells = line.split('│').skip(1);
            cells.take_while(|cell| cell.trim().is_empty()).count()
        });
    }
    let rest = lines[first + rows..].join("\n");
    format!("{}\n\n{}\n{rest}", failures.join("\n\n"), timeline.join("\n"))
}

fn run(args: &[&str]) -> Output {
    // So wide that nothing is cut: where it would be depends on what differs from run to run.
    let mut command = support::binary();
    command.args(args).env("COLUMNS", "500");
    command.output().expect("the binary starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn both(output: &Output) -> String {
    format!("{}{}", stdout(output), stderr(output))
}

/// Compares an answer with the one that stands beside the file, or writes it there. Returns what is wrong.
fn compare(file: &Path, extension: &str, answer: &str) -> Option<String> {
    let golden = file.with_extension(extension);
    let answer = format!("{}\n", answer.trim_end());
    let wanted = wanted(file);
    if let Some(missing) = wanted.iter().find(|text| !answer.contains(text.as_str())) {
        return Some(format!(
            "{} must say `{missing}`, and says:\n{answer}",
            file.display()
        ));
    }
    if std::env::var_os(BLESS).is_some_and(|value| !value.is_empty()) {
        fs::write(&golden, answer).expect("the answer can be written");
        return None;
    }
    let before = fs::read_to_string(&golden).unwrap_or_default();
    if before == answer {
        return None;
    }
    let diff = similar::TextDiff::from_lines(before.as_str(), answer.as_str());
    let diff = diff
        .unified_diff()
        .header(&golden.display().to_string(), "now")
        .to_string();
    Some(format!(
        "{}: another answer than the one that was blessed\n{diff}",
        file.display()
    ))
}

fn report(problems: Vec<String>, what: &str) {
    assert!(
        problems.is_empty(),
        "{} of the corpus:\n\n{}\n\nif the new answers are right: {BLESS}=1 cargo test --test language {what}",
        problems.len(),
        problems.join("\n\n")
    );
}

/// Answers that belong to no file any more would never be looked at.
fn leftovers(kind: &str, files: &[PathBuf]) -> Vec<String> {
    let paths = all_files(&Path::new("tests/language").join(kind));
    let answers = paths.into_iter().filter(|path| {
        let extension = path.extension().unwrap_or_default();
        extension == "stderr" || extension == "stdout"
    });
    answers
        .filter(|path| !files.contains(&path.with_extension("yaml")))
        .map(|path| format!("{} belongs to no file", path.display()))
        .collect()
}

/// A failure without what differs from run to run: times and widths that come from them, how a wait is
/// known, databases, the server and its log.
fn stable(text: &str) -> String {
    let regex = |pattern: &str| Regex::new(pattern).expect("a pattern");
    let moment = regex(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}");
    let timeline = regex(r"^ *(\d+\.\d ms|end)? +│ ");
    let took = regex(r"\((after )?\d[\d.]*( m?s?)?(\)|…)");
    let spaces = regex(r" +│");
    // The system says it in one of several ways.
    let lost = regex(r"a lost connection: Input/output error[^│(]*(\(os error \d+\) )?");
    let job_row = regex(r"\bid=\d+ status='[^│]*'[^│(]*");
    let more = regex(r"… \d+ more like this");
    let rule = regex(r"^(DATA_LOCK_WAITS (names|shows)|mysql\.tidb_(mdl_view|ddl_job) |InnoDB's status).*");
    let blocked = regex(r"^(blocked at line \d+): .*");
    let key = regex(r" \(table [^)]*\)");
    let milliseconds = regex(r"\b\d+\.\d ms\b");
    let duration = regex(r"it took [\d.]+(ns|µs|ms|s)\b");
    let waited = regex(r" \(wa[^)│]*(\)|…)");
    let lasted = regex(r"the wait lasted \d+ ms");
    let gone = regex(r"found gone at \d+ ms");
    let on_the_way = regex(
        r"\b(ddl|import)\.(queueing|running|done|none|delete_only|write_only|write_reorganization|public|pending|importing|validating|global_sorting), ",
    );
    let looks = regex(r"\b\d+ (looks|polls)\b");
    let not_there = regex(r", not the[^│]*$");
    let job = regex(r"\b(ddl|import) job \d+\b|the jobs seen are \d+(, \d+)*");
    let server = regex(r" on \w+ TiDB \S+$");
    let database = regex(r"\btsc_[0-9a-f]+_[0-9a-f]{8}_\d+");
    let port = regex(r"127\.0\.0\.1:\d+");
    let log = regex(r"(?s)(the end of (the server's|its) log:\n).*?\n\n(\d+ expectation|run it again)");
    let text = log.replace_all(text, |found: &Captures<'_>| {
        format!("{}LOG\n\n{}", &found[1], &found[3])
    });
    let line = |line: &str| {
        let line = key.replace_all(line, "");
        let line = database.replace_all(&line, "DATABASE");
        let line = port.replace_all(&line, "127.0.0.1:PORT");
        let line = if timeline.is_match(&line) {
            let time = if line.trim_start().starts_with("end") {
                "end"
            } else {
                ""
            };
            let line = timeline.replace(&line, format!("  {time:>4} │ "));
            let line = waited.replace_all(&line, "");
            let line = took.replace_all(&line, "($1T)");
            let line = lost.replace(&line, "a lost connection: WHY ");
            let line = job_row.replace(&line, "JOB ");
            let line = more.replace(&line, "… N more like this");
            let line = not_there.replace(&line, ", not there");
            spaces.replace_all(&line, " │").into_owned()
        } else {
            line.into_owned()
        };
        let line = rule.replace(&line, "HOW IT IS KNOWN");
        let line = blocked.replace(&line, "$1: HOW IT IS KNOWN");
        let line = milliseconds.replace_all(&line, "T ms");
        let line = duration.replace_all(&line, "it took T");
        let line = lasted.replace(&line, "the wait lasted T ms");
        let line = gone.replace(&line, "found gone at T ms");
        // Which steps of a job are seen is chance, but for its end.
        let line = if line.starts_with("  events: ") {
            on_the_way.replace_all(&line, "").into_owned()
        } else {
            line.to_string()
        };
        let line = moment.replace_all(&line, "A MOMENT");
        let line = looks.replace(&line, "N $1");
        let line = job.replace(&line, |found: &Captures<'_>| match found.get(1) {
            Some(kind) => format!("{} job N", kind.as_str()),
            None => "the jobs seen are N".to_owned(),
        });
        server.replace(&line, " on SERVER").trim_end().to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The text of each failed trial, by its name, and the numbers of those that passed and failed.
fn failures(output: &Output) -> (Vec<(String, String)>, usize, usize) {
    let text = stdout(output);
    let head = Regex::new(r"(?m)^---- (\S+) ----$").expect("a pattern");
    let list = text.rfind("\nfailures:\n").unwrap_or(text.len());
    let heads: Vec<(usize, usize, String)> = head
        .captures_iter(&text)
        .filter_map(|found| {
            let whole = found.get(0)?;
            Some((whole.start(), whole.end(), found[1].to_owned()))
        })
        .collect();
    let parts = heads.iter().enumerate().map(|(number, (_, from, name))| {
        let to = heads.get(number + 1).map_or(list, |(start, ..)| *start);
        (name.clone(), text[*from..to].trim().to_owned())
    });
    let counts = Regex::new(r"(\d+) passed; (\d+) failed").expect("a pattern");
    let counts = counts
        .captures(&text)
        .unwrap_or_else(|| panic!("{}", both(output)));
    let number = |at: usize| counts[at].parse().expect("a number");
    (parts.collect(), number(1), number(2))
}

#[test]
fn invalid_files_are_refused_with_their_mistakes() {
    let files = corpus("invalid");
    let mut problems = leftovers("invalid", &files);
    for file in &files {
        let output = run(&["check", &file.display().to_string()]);
        let answer = stderr(&output);
        if output.status.code() != Some(1) || !stdout(&output).is_empty() {
            problems.push(format!(
                "{} is not refused: {}\n{}",
                file.display(),
                output.status,
                both(&output)
            ));
            continue;
        }
        if wanted(file).is_empty() && fs::read_to_string(file).is_ok_and(|text| text.contains("scenario")) {
            problems.push(format!("{} says no `#! text`", file.display()));
        }
        problems.extend(compare(file, "stderr", &answer));
    }
    report(problems, "invalid");
}

/// A bad file is one failing trial of its name, with the same answer; no server is started for it.
#[test]
fn invalid_files_are_failing_trials() {
    let files = corpus("invalid");
    let output = run(&["run", "tests/language/invalid"]);
    assert_eq!(output.status.code(), Some(101), "{}", both(&output));
    let (failures, passed, failed) = failures(&output);
    assert_eq!((passed, failed), (0, files.len()), "{}", both(&output));
    assert!(!both(&output).contains("\nserver: "), "{}", both(&output));
    for file in files {
        let name = name(&file);
        let own = failures.iter().find(|(other, _)| *other == name);
        let (_, answer) = own.unwrap_or_else(|| panic!("{name} must fail:\n{}", both(&output)));
        let golden = fs::read_to_string(file.with_extension("stderr")).unwrap_or_default();
        let (golden, _) = golden.trim_end().rsplit_once('\n').unwrap_or_default();
        // What runs the trials leaves out NUL bytes.
        assert_eq!(
            answer.replace('\0', "").trim_end(),
            golden.replace('\0', "").trim_end()
        );
    }
}

#[test]
fn failing_files_fail_each_with_its_failure() {
    let files = corpus("fails");
    let checked = run(&["check", "tests/language/fails"]);
    let trials = format!("{0} files, {0} trials, 0 files with mistakes\n", files.len());
    assert_eq!(stderr(&checked), trials, "a failing file has no mistakes");
    let output = run(&["run", "tests/language/fails"]);
    assert_eq!(output.status.code(), Some(101), "{}", both(&output));
    let (failures, passed, failed) = failures(&output);
    assert_eq!((passed, failed), (0, files.len()), "{}", both(&output));
    let mut problems = leftovers("fails", &files);
    for file in &files {
        let name = name(file);
        let own = failures.iter().find(|(other, _)| *other == name);
        let (_, failure) = own.unwrap_or_else(|| panic!("{name} must fail:\n{}", both(&output)));
        let last = failure.lines().next_back().unwrap_or_default();
        let repeat = format!("run it again: tidb-scenarios run tests/language/fails -- --exact {name}");
        if last != repeat {
            problems.push(format!("{name} must say at its end how to repeat it:\n{failure}"));
        }
        if wanted(file).is_empty() {
            problems.push(format!("{} says no `#! text`", file.display()));
        }
        problems.extend(compare(file, "stdout", &ordered(file, &stable(failure))));
    }
    report(problems, "failing");
}

#[test]
fn valid_files_pass() {
    let files = corpus("valid");
    let mut problems = leftovers("valid", &files);
    let mut warned = Vec::new();
    let mut trials = 0;
    let clean = Regex::new(r"^1 file, (\d+) trials?, 0 files with mistakes$").expect("a pattern");
    for file in &files {
        let checked = run(&["check", &file.display().to_string()]);
        let answer = stderr(&checked);
        let last = answer.lines().next_back().unwrap_or_default();
        match clean.captures(last) {
            Some(found) if checked.status.success() => trials += found[1].parse::<usize>().expect("a number"),
            _ => problems.push(format!("{} has mistakes:\n{answer}", file.display())),
        }
        if answer.lines().count() > 1 || !wanted(file).is_empty() {
            problems.extend(compare(file, "stderr", &answer));
            let (warnings, _) = answer.trim_end().rsplit_once('\n').unwrap_or_default();
            warned.push((file, warnings.trim_end().to_owned()));
        }
    }
    let output = run(&["run", "tests/language/valid"]);
    assert!(output.status.success(), "{}", both(&output));
    let (_, passed, failed) = failures(&output);
    let ignored = Regex::new(r"(\d+) ignored").expect("a pattern");
    let ignored = ignored
        .captures(&both(&output))
        .map_or(0, |found| found[1].parse().expect("a number"));
    assert_eq!((passed + ignored, failed), (trials, 0), "{}", both(&output));
    // A run shows the warnings of what it runs.
    for (file, warnings) in warned {
        if !stderr(&output).contains(&warnings) {
            problems.push(format!("a run does not warn of {}", file.display()));
        }
    }
    report(problems, "valid");
}
