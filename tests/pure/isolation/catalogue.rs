//! Each anomaly with a history that shows it and one that nearly does: `tests/histories/NAME.shows.jsonl` and
//! `NAME.near.jsonl`, and what is said of each of them, in `NAME.shows.txt` and `NAME.near.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use tidb_scenarios::isolation::{Anomaly, Form, Level, Model, Shape, analyze, read_history, render_text};

/// Beside this test, wherever it is run from.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories")
}

/// What has no pair of its own: the name is a case of another one's, or hard to have without a graver one.
const WITHOUT_PAIR: &[&str] = &[
    "G0-start",
    "G1c-start",
    "G-nonadjacent-start",
    "G2-item-start",
    "G-single-predicate-process",
    "G-single-predicate-realtime",
    "G-single-predicate-start",
    "G-nonadjacent-predicate-process",
    "G-nonadjacent-predicate-realtime",
    "G-nonadjacent-predicate-start",
    "G2-process",
    "G2-realtime",
    "G2-start",
];

#[test]
fn each_anomaly_is_shown_and_nearly_shown() {
    let mut seen = BTreeSet::new();
    let mut names: Vec<PathBuf> = fs::read_dir(folder())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl" || extension == "edn")
        })
        .collect();
    names.sort();
    for path in names {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut parts = file.split('.');
        let (name, part) = (
            parts.next().expect("an anomaly"),
            parts.next().expect("shows or near"),
        );
        let anomaly =
            Anomaly::by_name(name).unwrap_or_else(|| panic!("{file}: there is no anomaly `{name}`"));
        let text = fs::read(&path).expect("a file");
        let history = read_history(text.as_slice(), None).unwrap_or_else(|error| panic!("{file}:{error}"));
        let analysis = analyze(&history).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(
            analysis.anomalies().contains(anomaly),
            part == "shows",
            "{file}: {:?}",
            analysis
                .anomalies()
                .iter()
                .map(|anomaly| anomaly.to_string())
                .collect::<Vec<_>>()
        );
        let level = if anomaly == Anomaly::Timestamp {
            Level::Timestamps
        } else {
            Level::Model(Model::StrictSerializable)
        };
        let report = analysis.report(&history, level).expect("a report");
        assert!(part == "near" || !report.holds(), "{file}");
        expect_file![path.with_extension("txt")].assert_eq(&render_text(&history, &report));
        seen.insert((name.to_owned(), part.to_owned()));
    }
    for anomaly in Anomaly::all().map(|anomaly| anomaly.to_string()) {
        let pair = |part: &str| seen.contains(&(anomaly.clone(), part.to_owned()));
        if !WITHOUT_PAIR.contains(&anomaly.as_str()) {
            assert!(
                pair("shows") && pair("near"),
                "tests/histories has no pair for {anomaly}"
            );
        }
    }
}

#[test]
fn every_shape_has_all_of_its_forms() {
    for shape in [
        Shape::G0,
        Shape::G1c,
        Shape::GSingle,
        Shape::GNonadjacent,
        Shape::G2,
    ] {
        for form in [Form::Plain, Form::Process, Form::Realtime, Form::Start] {
            assert!(Anomaly::all().any(|anomaly| anomaly == Anomaly::Cycle(shape, false, form)));
        }
    }
}
