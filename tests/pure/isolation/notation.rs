//! Histories in a short notation, for tests: one transaction a line.
//!
//! ```text
//! alice 1-5: append x 1, read x [1 2]
//! bob 2-9 failed: write y 3, read y nil
//! carol 3- unknown: append x 4
//! ```
//! Times may be left out in all lines, and so may `ok`. `ts=4/6` gives start_ts and commit_ts, `ts=4` start_ts alone;
//! `read x [1] @5` gives a read its own timestamp.

use std::fmt::Write as _;

use tidb_scenarios::isolation::{Analysis, Format, History, analyze, read_history};

/// The text as JSON lines.
pub fn json_lines(text: &str) -> String {
    let mut lines = String::from("{\"history\":1}\n");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('{') {
            // A header of its own.
            lines = format!("{line}\n");
            continue;
        }
        let (head, ops) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("`{line}` has no colon"));
        let mut words = head.split_whitespace();
        let mut json = format!("{{\"process\":\"{}\"", words.next().expect("a process"));
        let mut status = "ok";
        for word in words {
            if let Some(ts) = word.strip_prefix("ts=") {
                let mut parts = ts.split('/');
                let _ = write!(json, ",\"start_ts\":{}", parts.next().expect("start_ts"));
                if let Some(commit) = parts.next() {
                    let _ = write!(json, ",\"commit_ts\":{commit}");
                }
            } else if let Some((invoke, returned)) = word.split_once('-') {
                let _ = write!(json, ",\"invoke\":{invoke}");
                if !returned.is_empty() {
                    let _ = write!(json, ",\"return\":{returned}");
                }
            } else {
                status = word;
            }
        }
        let ops: Vec<String> = ops
            .split(',')
            .filter(|op| !op.trim().is_empty())
            .map(operation)
            .collect();
        let _ = writeln!(
            lines,
            "{json},\"status\":\"{status}\",\"ops\":[{}]}}",
            ops.join(",")
        );
    }
    lines
}

fn operation(text: &str) -> String {
    let (text, ts) = match text.trim().split_once(" @") {
        Some((text, ts)) => (text, format!(",{{\"ts\":{ts}}}")),
        None => (text.trim(), String::new()),
    };
    let mut parts = text.splitn(3, ' ');
    let (verb, key) = (parts.next().expect("a verb"), parts.next().expect("a key"));
    let value = parts.next().unwrap_or("nil").trim();
    if verb == "range" || verb == "count" {
        // `range 0 10 {3=7 4=8}`, `count 0 10 2`
        let (to, rest) = value.split_once(' ').expect("where the range ends");
        let seen = match rest.trim_matches(['{', '}']) {
            rows if verb == "range" => {
                let rows: Vec<String> = rows
                    .split_whitespace()
                    .map(|row| row.split_once('=').expect("key=value"))
                    .map(|(key, value)| format!("[{key},{value}]"))
                    .collect();
                format!("[{}]", rows.join(","))
            }
            count => count.to_owned(),
        };
        return format!("[\"{verb}\",{key},{to},{seen}{ts}]");
    }
    let value = match value {
        "nil" => "null".to_owned(),
        list if list.starts_with('[') => list.split_whitespace().collect::<Vec<_>>().join(","),
        value => value.to_owned(),
    };
    let key = if key.parse::<i64>().is_ok() {
        key.to_owned()
    } else {
        format!("\"{key}\"")
    };
    format!("[\"{verb}\",{key},{value}{ts}]")
}

pub fn history(text: &str) -> History {
    let lines = json_lines(text);
    read_history(lines.as_bytes(), Some(Format::JsonLines)).unwrap_or_else(|error| panic!("{error}\n{lines}"))
}

pub fn analysis(text: &str) -> Analysis {
    analyze(&history(text)).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The names of all anomalies of a history, sorted.
pub fn anomalies(text: &str) -> Vec<String> {
    let mut names: Vec<String> = analysis(text)
        .anomalies()
        .iter()
        .map(|anomaly| anomaly.to_string())
        .collect();
    names.sort();
    names
}
