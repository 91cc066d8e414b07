//! Trials as JSON, one line for each; `schema/report.json` says what a line has.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::trial_report::{RunWith, TrialReport};

/// The version of the schema; it is raised where a reader of the one before would misread a line.
pub const REPORT_VERSION: u32 = 1;

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    name: &'a str,
    title: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    variant: BTreeMap<&'a str, &'a str>,
    outcome: &'static str,
    reason: Option<&'a str>,
    failure: Option<&'a str>,
    findings: Vec<Found<'a>>,
    started_unix_ms: Option<u64>,
    whole_us: u64,
    ran_us: Option<u64>,
    server: Option<&'a str>,
    // In digits: a number of JavaScript has 53 bits.
    seed: Option<String>,
    run_with: With<'a>,
}

#[derive(Serialize)]
struct Found<'a> {
    line: usize,
    column: usize,
    message: &'a str,
    label: &'a str,
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct With<'a> {
    version: &'static str,
    repeat: &'a str,
    order: Option<&'a str>,
    without: Option<&'a str>,
    timestamps: bool,
    keep_databases: bool,
}

/// The text of the file.
#[must_use]
pub fn json_lines(trials: &[TrialReport], with: &RunWith) -> String {
    trials.iter().map(|trial| json_line(trial, with) + "\n").collect()
}

fn json_line(trial: &TrialReport, with: &RunWith) -> String {
    let (line, column) = trial.place();
    let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let since = |started: SystemTime| started.duration_since(SystemTime::UNIX_EPOCH).ok();
    let line = Line {
        schema: REPORT_VERSION,
        name: &trial.name,
        title: &trial.title,
        file: &trial.file,
        line,
        column,
        variant: trial
            .variant
            .iter()
            .map(|(axis, value)| (axis.as_str(), value.as_str()))
            .collect(),
        outcome: trial.outcome.word(),
        reason: trial.reason.as_deref(),
        failure: trial.failure.as_deref(),
        findings: trial
            .findings
            .iter()
            .map(|finding| Found {
                line: finding.line,
                column: finding.column,
                message: &finding.message,
                label: &finding.label,
                detail: finding.detail.as_deref(),
            })
            .collect(),
        started_unix_ms: trial
            .started
            .and_then(since)
            .map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        whole_us: micros(trial.whole),
        ran_us: trial.ran.map(micros),
        server: trial.server.as_deref(),
        seed: trial.seed.map(|seed| seed.to_string()),
        run_with: With {
            version: env!("CARGO_PKG_VERSION"),
            repeat: &trial.repeat,
            order: with.order.as_deref(),
            without: with.without.as_deref(),
            timestamps: with.timestamps,
            keep_databases: with.keep_databases,
        },
    };
    // Texts and whole numbers only.
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::trial_report::TrialOutcome;
    use super::super::trial_report::samples::{NASTY, nasty};
    use super::*;
    use serde_json::{Value, json};

    fn validator() -> jsonschema::Validator {
        let schema: Value =
            serde_json::from_str(include_str!("../../schema/report.json")).expect("the schema is JSON");
        jsonschema::draft7::new(&schema).expect("a schema")
    }

    #[test]
    fn each_line_is_what_the_schema_says() {
        let trials: Vec<TrialReport> = TrialOutcome::ALL.into_iter().map(nasty).collect();
        let with = RunWith {
            order: Some("alice bob".to_owned()),
            ..RunWith::default()
        };
        let text = json_lines(&trials, &with);
        assert_eq!(text.lines().count(), TrialOutcome::ALL.len(), "{text}");
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).expect("JSON");
            if let Err(error) = validator().validate(&value) {
                panic!("{error}\n{value:#}");
            }
            assert_eq!(value["name"], NASTY);
            assert_eq!(value["seed"], u64::MAX.to_string());
        }
    }

    #[test]
    fn the_schema_refuses_what_a_line_is_not() {
        let line = json_line(&nasty(TrialOutcome::Failed), &RunWith::default());
        let good: Value = serde_json::from_str(&line).expect("JSON");
        let keys: Vec<String> = good.as_object().expect("an object").keys().cloned().collect();
        for key in keys {
            let mut less = good.clone();
            less.as_object_mut().expect("an object").remove(&key);
            assert!(!validator().is_valid(&less), "a line without `{key}`");
        }
        for (key, value) in [
            ("schema", json!(2)),
            ("outcome", json!("fine")),
            ("line", json!(0)),
            ("whole_us", json!(1.5)),
            ("seed", json!(7)),
            ("findings", json!([{"line": 1}])),
            ("more", json!(1)),
        ] {
            let mut other = good.clone();
            other[key] = value;
            assert!(!validator().is_valid(&other), "a line with another `{key}`");
        }
    }
}
