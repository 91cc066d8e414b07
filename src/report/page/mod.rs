//! All trials as one page for a browser, which asks for nothing from the network. What a trial has done stands in it as
//! JSON, and is drawn when the trial is opened.

mod detail;

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use serde_json::json;

use super::trial_report::{TrialOutcome, TrialReport};
use crate::sql::redact;

pub use detail::detail;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    heading: &'a str,
    interrupted: bool,
    whole: String,
    counts: Vec<(TrialOutcome, usize)>,
    rows: Vec<Row<'a>>,
    // All of these can stand in a script element as they are.
    files: Vec<String>,
    details: Vec<String>,
    style: &'static str,
    script: &'static str,
}

/// A trial in the list.
struct Row<'a> {
    trial: &'a TrialReport,
    line: usize,
    took: String,
    headline: String,
}

/// The text of the page; `heading` is the name of the run, `whole` is how long it took.
#[must_use]
pub fn page(heading: &str, trials: &[TrialReport], whole: Duration, interrupted: bool) -> String {
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts = Vec::new();
    for trial in trials {
        if let (Some(source), false) = (&trial.source, files.contains_key(trial.file.as_str())) {
            files.insert(&trial.file, texts.len());
            texts.push((source, trial.secrets.clone()));
        } else if let Some(number) = files.get(trial.file.as_str()) {
            texts[*number].1.extend(trial.secrets.iter().cloned());
        }
    }
    let files_text = texts.iter_mut().map(|(source, secrets)| {
        secrets.sort();
        secrets.dedup();
        safe(&json!(redact(source.text(), secrets)).to_string())
    });
    let files_text = files_text.collect();
    let details = trials.iter().map(|trial| {
        format!(
            "[{},{}]",
            told(trial, &files),
            trial.detail.as_deref().unwrap_or("null")
        )
    });
    let rows = trials.iter().map(|trial| Row {
        trial,
        line: trial.place().0,
        took: seconds(trial.took()),
        headline: if trial.outcome == TrialOutcome::Passed {
            String::new()
        } else {
            trial.headline()
        },
    });
    let count = |outcome| trials.iter().filter(|trial| trial.outcome == outcome).count();
    let page = Page {
        heading,
        interrupted,
        whole: seconds(whole),
        counts: TrialOutcome::ALL
            .into_iter()
            .map(|outcome| (outcome, count(outcome)))
            .filter(|(_, count)| *count > 0)
            .collect(),
        rows: rows.collect(),
        files: files_text,
        details: details.collect(),
        style: include_str!("../../../templates/report.css"),
        script: include_str!("../../../templates/report.js"),
    };
    // It is written into memory, and no part of it can fail.
    page.render().unwrap_or_default()
}

/// What every report tells of a trial.
fn told(trial: &TrialReport, files: &BTreeMap<&str, usize>) -> String {
    let findings = trial.findings.iter().map(|finding| {
        json!({
            "line": finding.line, "column": finding.column, "message": finding.message, "label": finding.label,
            "detail": finding.detail,
        })
    });
    let told = json!({
        "name": trial.name, "title": trial.title, "file": trial.file, "text": files.get(trial.file.as_str()),
        "outcome": trial.outcome.word(), "reason": trial.reason, "failure": trial.failure,
        "findings": findings.collect::<Vec<_>>(), "whole": seconds(trial.whole), "ran": trial.ran.map(seconds),
        "server": trial.server, "seed": trial.seed.map(|seed| seed.to_string()), "repeat": trial.repeat,
    });
    safe(&told.to_string())
}

fn seconds(took: Duration) -> String {
    match took.as_millis() {
        0..1_000 => format!("{} ms", took.as_millis()),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

/// JSON that can stand in a script element: nothing in it can end the element or begin a comment.
fn safe(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // In JSON these stand in strings only.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::trial_report::samples::{NASTY, nasty};
    use super::*;

    fn nasty_page() -> String {
        let mut trials: Vec<TrialReport> = TrialOutcome::ALL.into_iter().map(nasty).collect();
        trials[0].source = Some(std::sync::Arc::new(crate::source::SourceFile::new("a", NASTY)));
        page(NASTY, &trials, Duration::from_secs(2), true)
    }

    /// What is in the elements of a kind.
    fn elements<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
        let (begin, end) = (format!("<{name}"), format!("</{name}>"));
        page.split(begin.as_str())
            .skip(1)
            .map(|rest| {
                let (tag, rest) = rest.split_once('>').expect("the tag ends");
                assert!(!tag.contains('<'), "{tag}");
                rest.split_once(end.as_str()).expect("the element ends").0
            })
            .collect()
    }

    #[test]
    fn no_text_of_a_trial_is_markup() {
        let page = nasty_page();
        assert!(!page.contains("<script>alert"), "a title ran as a script");
        let scripts = elements(&page, "script");
        // The list of files, the trials, and the page's own.
        assert_eq!(scripts.len(), 1 + TrialOutcome::ALL.len() + 1);
        for (number, script) in scripts[..scripts.len() - 1].iter().enumerate() {
            assert!(!script.contains(['<', '>', '&']), "{script}");
            let value: serde_json::Value = serde_json::from_str(script).expect("JSON");
            if number > 0 {
                assert_eq!(value[0]["name"], NASTY);
                assert_eq!(value[0]["findings"][0]["detail"], NASTY);
            } else {
                assert_eq!(value[0], NASTY, "the file");
            }
        }
        let text: String = page.split("<script").next().unwrap_or_default().to_owned();
        assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
        assert!(!text.contains("\"q\" 'a'"), "quotes end no attribute");
    }

    #[test]
    fn it_asks_for_nothing_and_has_what_a_reader_by_ear_needs() {
        let page = nasty_page();
        for part in [
            " src=",
            "@import",
            "url(",
            "fetch(",
            "XMLHttpRequest",
            "import(",
            "innerHTML",
            "href=\"http",
        ] {
            assert!(!page.contains(part), "{part}");
        }
        for part in [
            "<!doctype html>",
            "<html lang=\"en\">",
            "<meta charset=\"utf-8\">",
            "name=\"viewport\"",
            "default-src 'none'",
            "<main",
            "<h1",
            "role=\"status\"",
            "<label",
            "<noscript>",
            "prefers-color-scheme",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert!(page.contains("interrupted"), "the run was");
        assert_eq!(
            page.matches("data-outcome=\"error\"").count(),
            2,
            "a trial and a filter"
        );
    }
}
