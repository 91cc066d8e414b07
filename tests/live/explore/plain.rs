//! The orders of random scenarios, and of files, by a program that shares no code with the crate.
//!
//! `just plain 0..50` makes the Python that it needs and runs these; `just plain-files FOLDER` takes scenario files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidb_scenarios::engine::TrialPlan;
use tidb_scenarios::engine::table;
use tidb_scenarios::engine::{Explored, OrderOutcome};

use crate::random::generate::scenario;
use crate::random::{seeds, timeless, without_times};
use crate::{SERVER, explored, file, trial, url};

/// How many orders come to what, in the words of the plain program.
type Outcomes = BTreeMap<String, u128>;

fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/plain/bin/python");
    std::env::var_os("TIDB_SCENARIOS_PYTHON").map_or(own, PathBuf::from)
}

/// What the plain program says of a file.
fn plain(path: &str) -> Outcomes {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plain_orders/plain.py");
    let output = Command::new(python())
        .arg(program)
        .args(["--url", &url(&SERVER), path])
        .output()
        .expect("a Python, which `just plain` makes");
    let [text, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{path}: {errors}");
    let mut outcomes = Outcomes::new();
    for block in text.split("\n\n") {
        let Some((count, outcome)) = block
            .trim_start()
            .strip_prefix("outcome of ")
            .and_then(|rest| rest.split_once('\n'))
        else {
            continue;
        };
        let count: u128 = count
            .split(' ')
            .next()
            .and_then(|count| count.parse().ok())
            .expect("a number");
        *outcomes.entry(without_times(outcome)).or_default() += count;
    }
    outcomes
}

/// What an order came to, in the words of the plain program.
fn words(plan: &TrialPlan, outcome: &OrderOutcome) -> String {
    let names: Vec<String> = plan
        .connections
        .iter()
        .flat_map(|own| (1..=own.states.len()).map(|number| format!("{}.{number}", own.name)))
        .collect();
    let rows = |rows: &Vec<String>| match rows.is_empty() {
        true => "empty".to_owned(),
        false => rows.join(" "),
    };
    let answer = |text: &str| match text.split_once(" row") {
        Some((count, rest)) if rest.ends_with(" changed") => format!("{count} changed"),
        _ if text == "done" => "0 changed".to_owned(),
        _ => text.to_owned(),
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(
        outcome
            .tables
            .iter()
            .map(|(name, all)| format!("table {name}: {}", rows(all))),
    );
    let answers = names.iter().zip(&outcome.answers);
    lines.extend(answers.map(|(name, (_, text))| format!("{name}: {}", answer(text))));
    let waited = outcome.answers.iter().zip(&names);
    let waited: Vec<&str> = waited
        .filter(|((step, _), _)| outcome.blocked.contains(step))
        .map(|(_, name)| name.as_str())
        .collect();
    lines.push(format!(
        "had to wait: {}",
        if waited.is_empty() {
            "nobody".to_owned()
        } else {
            waited.join(", ")
        }
    ));
    lines.extend(outcome.stopped.iter().map(|why| format!("ended early: {why}")));
    lines.extend(
        outcome
            .vars
            .iter()
            .map(|(name, value)| format!("var {name}: {value}")),
    );
    lines.join("\n")
}

fn outcomes(plan: &TrialPlan, explored: &Explored) -> Outcomes {
    let counts = timeless(explored);
    counts
        .iter()
        .map(|(outcome, count)| (words(plan, outcome), *count))
        .collect()
}

/// Where two differ, or nothing.
fn difference(names: [&str; 2], one: &Outcomes, other: &Outcomes) -> String {
    let mut text = String::new();
    for outcome in one
        .keys()
        .chain(other.keys().filter(|key| !one.contains_key(*key)))
    {
        let [left, right] = [one, other].map(|all| all.get(outcome).copied().unwrap_or_default());
        if left != right {
            text.push_str(&format!(
                "{} orders {}, {right} orders {}:\n{outcome}\n\n",
                left, names[0], names[1]
            ));
        }
    }
    text
}

/// Explored in full, and by the plain program; how they differ, if they do twice: on a machine that is very busy, a
/// statement may be slow enough to look like one that waits.
fn compared(what: &str, text: &str) -> String {
    let first = compared_once(what, text);
    if first.is_empty() {
        return first;
    }
    println!("{what}: once more");
    compared_once(what, text)
}

fn compared_once(what: &str, text: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = format!("scenario: x\n{text}permutations: {{prune: false}}\n");
    let path = file(folder.path(), "scenario.yaml", &whole);
    let plan = trial(&whole);
    let full = explored(&whole);
    let (full_outcomes, plain_outcomes) = (outcomes(&plan, &full), plain(&path));
    println!(
        "{what}: {} orders, {} outcomes in full; {} orders, {} outcomes by the plain program",
        full.executed,
        full_outcomes.len(),
        plain_outcomes.values().sum::<u128>(),
        plain_outcomes.len()
    );
    let difference = difference(
        ["in full", "by the plain program"],
        &full_outcomes,
        &plain_outcomes,
    );
    if !difference.is_empty() {
        println!("{what} differs:\n{text}\n{difference}");
    }
    difference
}

#[test]
#[ignore = "needs Python with PyMySQL and PyYAML; `just plain 0..50` has them"]
fn random_scenarios_come_to_the_same_by_a_plain_program() {
    let mut differing = Vec::new();
    for seed in seeds(0..10) {
        let scenario = scenario(seed);
        let what = format!("seed {seed} ({})", scenario.has());
        if !compared(&what, &scenario.yaml()).is_empty() {
            differing.push(seed);
        }
    }
    assert_eq!(differing, [0; 0], "these seeds differ; how stands above");
}

#[test]
#[ignore = "needs Python with PyMySQL and PyYAML, and files; `just plain-files FOLDER` has them"]
fn files_come_to_the_same_pruned_in_full_and_by_a_plain_program() {
    let folder = std::env::var("TIDB_SCENARIOS_FILES").expect("a folder in TIDB_SCENARIOS_FILES");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "yaml"))
        .collect();
    paths.sort();
    let mut differing = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a file");
        let what = path.display().to_string();
        let pruned = explored(&text);
        let full = explored(&text.replace("permutations: all", "permutations: {prune: false}"));
        let plan = trial(&text);
        let [pruned_outcomes, full_outcomes] = [&pruned, &full].map(|one| outcomes(&plan, one));
        let plain = plain(&what);
        let mut text = difference(["pruned", "in full"], &pruned_outcomes, &full_outcomes);
        text.push_str(&difference(
            ["in full", "by the plain program"],
            &full_outcomes,
            &plain,
        ));
        println!(
            "{what}: {} pruned, {} in full, {} plain",
            pruned.executed,
            full.executed,
            plain.values().sum::<u128>()
        );
        if !text.is_empty() {
            println!(
                "{text}\npruned: {}\nfull: {}",
                table(&plan, &pruned),
                table(&plan, &full)
            );
            differing.push(what);
        }
    }
    assert_eq!(differing, [""; 0], "these files differ; how stands above");
}
