//! Timelines in a terminal: rows, width, folded repetitions, chosen connections, and no password anywhere.

#[path = "../support/mod.rs"]
mod support;

use std::fs;

use regex::Regex;

const ROWS: &str = "scenario: rows
setup: |
  create table account (id int primary key, balance int not null, owner varchar(99));
  insert into account values (1, 90, 'a'), (2, 80, 'a name that is long enough to be cut where there is no room'),
    (3, 70, null), (4, 1, ''), (5, 1, ''), (6, 1, ''), (7, 1, '');
connections: [alice, bob]
steps:
  - alice: select id, balance from account where id = 1
  - bob: select * from account order by id
  - bob: select * from account where id = 0
  - alice: update account set balance = 1 where id = 2
    affected: 2
";

const LOOP: &str = "scenario: the same again and again
connections:
  alice: {repeat: 40, states: [{sql: select 7 as seven}]}
";

const SECRET: &str = "scenario: a secret
vars: {word: \"${env.TIMELINE_PASSWORD}\"}
connections: [alice]
steps:
  - alice: select '${word}' as word, concat('${word}', ' and more') as more
    rows: [[other, other]]
";

/// Runs a scenario with these arguments and this width.
fn run(text: &str, args: &[&str], columns: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("one.yaml"), text).expect("a scenario");
    let mut command = support::binary();
    command.arg("run").arg(folder.path()).args(args);
    command
        .env("TIDB_PROVIDER", "embedded")
        .env_remove("TIDB_URL")
        .env("TIMELINE_PASSWORD", "geheim77geheim77geheim77");
    if !columns.is_empty() {
        command.env("COLUMNS", columns);
    }
    support::told(&mut command)
}

/// The lines of the timeline: those with a time, and the head above them.
fn timeline(text: &str) -> Vec<&str> {
    let row = Regex::new(r"^( *\d+\.\d ms| {10}|       end) │").expect("a pattern");
    text.lines().filter(|line| row.is_match(line)).collect()
}

#[test]
fn rows_are_shown_in_the_width_that_there_is() {
    for (columns, width) in [("", 100), ("70", 70), ("160", 160), ("nonsense", 100)] {
        let (code, text) = run(ROWS, &[], columns);
        assert_eq!(code, Some(101), "{text}");
        let lines = timeline(&text);
        assert!(lines.len() > 10, "{text}");
        for line in &lines {
            assert!(line.chars().count() <= width, "{columns}: {line}");
        }
        let all = lines.join("\n");
        for part in [
            "→ id=1 balance=90 (",
            "→ 7 rows (",
            "    id=3 balance=70 owner=NULL",
            "    … 2 more rows",
            "→ no rows (",
        ] {
            assert!(all.contains(part), "{columns}: {part} is missing:\n{all}");
        }
        let long = "owner='a name that is long enough to be cut where there is no room'";
        assert_eq!(all.contains(long), width == 160, "{all}");
    }
}

#[test]
fn colours_change_no_place() {
    let escapes = Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    let times = Regex::new(r" *\d+\.\d ms|\(\d+\.\d ms\)").expect("a pattern");
    let places = |args: &[&str]| -> Vec<String> {
        let (_, text) = run(ROWS, args, "90");
        assert_eq!(text.contains('\u{1b}'), args.contains(&"always"), "{text:?}");
        let text = escapes.replace_all(&text, "").into_owned();
        let rows = timeline(&text).into_iter();
        let spaces = Regex::new(" +").expect("a pattern");
        rows.map(|line| {
            spaces
                .replace_all(&times.replace_all(line, "T"), " ")
                .into_owned()
        })
        .collect()
    };
    let plain = places(&["--", "--color", "never"]);
    assert!(!plain.is_empty());
    assert_eq!(places(&["--", "--color", "always"]), plain);
}

#[test]
fn repetitions_are_folded() {
    let (code, text) = run(LOOP, &["--slow", "--", "--show-output"], "");
    let slow =
        Regex::new(r"slowest of 1 trials that ran:\n +\d+\.\d{3} s  passed  one\n").expect("a pattern");
    assert!(slow.is_match(&text), "{text}");
    assert_eq!(code, Some(0), "{text}");
    let all = timeline(&text).join("\n");
    assert_eq!(
        all.matches("select 7 as seven").count(),
        2,
        "the first and the last: {all}"
    );
    assert!(all.contains("… 38 more like this"), "{all}");
}

#[test]
fn a_timeline_shows_the_connections_that_are_named() {
    for args in [&["--timeline", "bob"][..], &["--", "--timeline=bob"]] {
        let (code, text) = run(ROWS, args, "");
        assert_eq!(code, Some(101), "{text}");
        let all = timeline(&text).join("\n");
        assert!(all.contains("│ bob") && all.contains("→ 7 rows"), "{all}");
        assert!(!all.contains("alice") && !all.contains("update account"), "{all}");
    }
    let (_, text) = run(ROWS, &["--timeline", "bob,alice"], "");
    assert!(timeline(&text).join("\n").contains("│ alice"), "{text}");
    let (code, text) = run(ROWS, &["--timeline", "bobb"], "");
    assert_eq!(code, Some(101), "{text}");
    assert!(
        text.contains("--timeline: no trial has a connection `bobb`; did you mean `bob`?"),
        "{text}"
    );
}

/// A password is taken out before a cell is cut: half of one would not be found any more.
#[test]
fn no_report_and_no_timeline_shows_a_part_of_a_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (xml, json, html) = (file("a.xml"), file("a.jsonl"), file("a.html"));
    let args = [
        "--report-junit",
        &xml,
        "--report-json",
        &json,
        "--report-html",
        &html,
    ];
    for columns in ["60", "64", "70", "100"] {
        let (code, text) = run(SECRET, &args, columns);
        assert_eq!(code, Some(101), "{text}");
        assert!(!text.contains("geheim"), "{columns}: {text}");
        assert!(timeline(&text).join("\n").contains("word='<redacted>'"), "{text}");
        for path in [&xml, &json, &html] {
            let report = fs::read_to_string(path).expect("the report");
            assert!(
                report.contains("redacted") && !report.contains("geheim"),
                "{path}: {report}"
            );
        }
    }
}
