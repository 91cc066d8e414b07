//! Reports for machines and browsers: what is in them, whatever becomes of the run.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// One of each: passed, failed, two errors, ignored.
const SCENARIOS: &[(&str, &str)] = &[
    (
        "passes.yaml",
        "scenario: passes\nconnections: [alice]\nsteps:\n  - alice: select 1\n    value: 1\n",
    ),
    (
        "fails.yaml",
        "scenario: fails with ]]> and </script>\nconnections: [alice]\nsteps:\n  \
         - alice: select ']]></script><b>', x'1b5b33316d'\n    rows: [[other, other]]\n",
    ),
    (
        "broken.yaml",
        "scenario: broken\nconections: [alice]\nsteps:\n  - alice: select 1\n",
    ),
    (
        "setup_fails.yaml",
        "scenario: cannot be set up\nsetup: insert into nowhere values (1)\nconnections: [alice]\nsteps:\n  \
         - alice: select 1\n",
    ),
    (
        "ignored.yaml",
        "scenario: needs a server that does not exist\nrequires: {tidb: '>= 99.0.0'}\nconnections: [alice]\n\
         steps:\n  - alice: select 1\n",
    ),
];

fn write_scenarios(folder: &Path) {
    for (name, text) in SCENARIOS {
        fs::write(folder.join(name), text).expect("a scenario");
    }
}

fn run(folder: &Path) -> Command {
    let mut command = support::binary();
    command
        .arg("run")
        .arg(folder)
        .env("TIDB_PROVIDER", "embedded")
        .env_remove("TIDB_URL");
    command
}

fn lines(path: &Path) -> Vec<Value> {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string("schema/report.json").expect("the schema")).expect("JSON");
    let schema = jsonschema::draft7::new(&schema).expect("a schema");
    let text = fs::read_to_string(path).expect("the report");
    let lines = text.lines().map(|line| {
        let value: Value = serde_json::from_str(line).expect("JSON");
        if let Err(error) = schema.validate(&value) {
            panic!("{error}\n{value:#}");
        }
        value
    });
    lines.collect()
}

fn outcomes(lines: &[Value]) -> Vec<(&str, &str)> {
    let outcomes = lines.iter().map(|line| {
        (
            line["name"].as_str().unwrap_or_default(),
            line["outcome"].as_str().unwrap_or_default(),
        )
    });
    outcomes.collect()
}

#[test]
fn every_report_tells_of_every_trial_after_a_run_that_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    fs::create_dir(&scenarios).expect("a folder");
    write_scenarios(&scenarios);
    let file = |name: &str| folder.path().join("new/reports").join(name);
    let (xml, json) = (file("junit.xml"), file("report.jsonl"));
    let (code, text) = support::told(
        run(&scenarios)
            .arg("--report-junit")
            .arg(&xml)
            .args(["--", "--report-json"])
            .arg(&json)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_WORKSPACE", folder.path()),
    );
    assert_eq!(code, Some(101), "{text}");

    let lines = lines(&json);
    assert_eq!(
        outcomes(&lines),
        [
            ("broken", "error"),
            ("fails", "failed"),
            ("ignored", "ignored"),
            ("passes", "passed"),
            ("setup_fails", "error"),
        ],
        "{text}"
    );
    let [broken, fails, ignored, passes, setup_fails] = lines.as_slice() else {
        panic!("five lines");
    };
    assert_eq!((&broken["line"], &broken["column"]), (&2.into(), &1.into()));
    assert_eq!((&fails["line"], &fails["seed"].is_string()), (&5.into(), &true));
    let failure = fails["failure"].as_str().expect("a failure");
    assert!(failure.contains("run it again: tidb-scenarios run"), "{failure}");
    assert!(!failure.contains('\u{1b}'), "{failure:?}");
    assert!(
        ignored["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("99.0.0")),
        "{ignored:#}"
    );
    assert!(
        passes["server"]
            .as_str()
            .is_some_and(|server| server.contains("embedded TiDB")),
        "{passes:#}"
    );
    let whole = passes["whole_us"].as_u64().expect("a time");
    assert!(
        passes["ran_us"]
            .as_u64()
            .is_some_and(|ran| ran > 0 && ran <= whole),
        "{passes:#}"
    );
    assert_eq!(setup_fails["line"], 2, "{setup_fails:#}");

    let text_of_xml = fs::read_to_string(&xml).expect("the report");
    let report = quick_junit::Report::deserialize_from_str(&text_of_xml);
    let report = report.unwrap_or_else(|error| panic!("{error}\n{text_of_xml}"));
    assert_eq!(
        (report.tests, report.failures, report.errors),
        (5, 1, 2),
        "{text_of_xml}"
    );
    assert_eq!(text_of_xml.matches("<skipped").count(), 1, "{text_of_xml}");
    let path = scenarios.join("fails.yaml").display().to_string();
    assert!(
        text_of_xml.contains(&format!("file=\"{path}\" line=\"5\"")),
        "{text_of_xml}"
    );

    // One command for each trial that did not pass, at its place below the root of the repository.
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("::")).collect();
    let [one, two, three] = commands.as_slice() else {
        panic!("{commands:#?}\n{text}");
    };
    assert!(
        one.starts_with("::error file=scenarios/broken.yaml,line=2,col=1,title=broken::"),
        "{one}"
    );
    assert!(
        two.starts_with("::error file=scenarios/fails.yaml,line=5,col="),
        "{two}"
    );
    assert!(
        three.starts_with("::error file=scenarios/setup_fails.yaml,line=2,col="),
        "{three}"
    );
    let left: Vec<_> = fs::read_dir(file("")).expect("the folder").flatten().collect();
    assert_eq!(left.len(), 2, "nothing else is left there: {left:?}");
}

#[test]
fn the_environment_asks_for_reports_and_an_old_one_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    fs::create_dir(&scenarios).expect("a folder");
    write_scenarios(&scenarios);
    let json = folder.path().join("report.jsonl");
    fs::write(&json, "old\n").expect("a file");
    let env = ("TIDB_SCENARIOS_REPORT_JSON", &json);
    let (code, text) = support::told(run(&scenarios).args(["--", "--list"]).env(env.0, env.1));
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        fs::read_to_string(&json).expect("it"),
        "old\n",
        "a list is no run"
    );
    // Nor is a trial under cargo-nextest all of it.
    let (code, text) = support::told(
        run(&scenarios)
            .args(["--", "--exact", "broken"])
            .env(env.0, env.1)
            .env("NEXTEST", "1"),
    );
    assert_eq!(code, Some(101), "{text}");
    assert!(
        text.contains("no report is written under cargo-nextest"),
        "{text}"
    );
    assert_eq!(fs::read_to_string(&json).expect("it"), "old\n");
    let (code, text) = support::told(
        run(&scenarios)
            .args(["--", "--exact", "broken"])
            .env(env.0, env.1),
    );
    assert_eq!(code, Some(101), "{text}");
    assert!(!text.contains("::error"), "only GitHub is told: {text}");
    assert_eq!(outcomes(&lines(&json)), [("broken", "error")]);
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    write_scenarios(folder.path());
    let directory = folder.path().display().to_string();
    for file in ["/proc/none/report.xml", directory.as_str()] {
        let (code, text) = support::told(run(folder.path()).args(["--report-junit", file]));
        assert_eq!(code, Some(101), "{text}");
        assert!(
            text.contains(&format!("cannot write the report {file}: ")),
            "{text}"
        );
        assert!(!text.contains("running"), "{text}");
    }
}

#[test]
fn a_run_that_is_interrupted_reports_how_far_it_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenarios = folder.path().join("scenarios");
    fs::create_dir(&scenarios).expect("a folder");
    let write = |name: &str, text: &str| fs::write(scenarios.join(name), text).expect("a scenario");
    write("a_passes.yaml", SCENARIOS[0].1);
    write(
        "b_runs.yaml",
        "scenario: sleeps\nconnections: [alice]\nsteps:\n  - alice: select 1\n  - alice: {sleep: 9s}\n",
    );
    write("c_waits.yaml", SCENARIOS[0].1);
    let (xml, json) = (
        folder.path().join("junit.xml"),
        folder.path().join("report.jsonl"),
    );
    let mut process = run(&scenarios)
        .arg("--report-junit")
        .arg(&xml)
        .arg("--report-json")
        .arg(&json)
        .args(["--", "--test-threads", "1"])
        .env("RUST_LOG", "tidb_scenarios=debug")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines_of_log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
    let sleeps = lines_of_log.by_ref().map_while(Result::ok);
    let mut sleeps = sleeps.filter(|line| line.contains("b_runs") && line.contains("step ended"));
    assert!(sleeps.next().is_some(), "the second trial runs");
    let id = process.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().expect("kill");
    assert!(killed.success());
    lines_of_log.by_ref().map_while(Result::ok).for_each(drop);
    assert_eq!(process.wait().expect("it ends").code(), Some(130));
    let told = lines(&json);
    assert_eq!(
        outcomes(&told),
        [
            ("a_passes", "passed"),
            ("b_runs", "error"),
            ("c_waits", "not_run")
        ]
    );
    assert!(
        told[1]["failure"]
            .as_str()
            .is_some_and(|text| text.contains("interrupted")),
        "{told:#?}"
    );
    let text = fs::read_to_string(&xml).expect("the report");
    let report = quick_junit::Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((report.tests, report.errors), (3, 1), "{text}");
    assert_eq!(text.matches("<skipped").count(), 1, "{text}");
}

fn check(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = support::binary();
    command
        .arg("check")
        .arg(folder)
        .args(args)
        .env("GITHUB_WORKSPACE", folder);
    support::answer(&mut command)
}

#[test]
fn check_has_formats_for_machines_and_denies_warnings() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    // `# x` is a comment of YAML, which the server would not get.
    write(
        "warns.yaml",
        "scenario: warns\nconnections: [alice]\nsteps:\n  - alice: select 1 # x\n",
    );
    let (code, out, err) = check(folder.path(), &[]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("warning"), "{err}");
    let (code, _, err) = check(folder.path(), &["--deny", "warnings"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("1 file with warnings, which are denied"), "{err}");

    write(
        "wrong.yaml",
        "scenario: wrong\nconections: [alice]\nsteps:\n  - alice: select 1\n",
    );
    let (code, out, err) = check(folder.path(), &["--format", "github"]);
    assert_eq!(code, Some(1), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[0].starts_with("::warning file=warns.yaml,line=4,col="),
        "{out}"
    );
    let wrong = lines
        .iter()
        .find(|line| line.starts_with("::error file=wrong.yaml,line=2,col=1,"));
    assert!(wrong.is_some_and(|line| line.contains("connections")), "{out}");
    assert!(lines.iter().all(|line| line.starts_with("::")), "{out}");

    let (code, out, err) = check(folder.path(), &["--format", "json"]);
    assert_eq!(code, Some(1), "{out}{err}");
    let checked: Value = serde_json::from_str(&out).expect("JSON");
    let problems = checked["problems"].as_array().expect("a list");
    assert_eq!(problems[0]["severity"], "warning", "{checked:#}");
    assert_eq!(problems[1]["line"], 2, "{checked:#}");
    let (code, ..) = check(folder.path(), &["--format", "yaml"]);
    assert_eq!(code, Some(2));
}
