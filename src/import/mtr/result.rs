//! Finds in what was printed the answer of each statement.

use super::event::{Event, What};
use super::output::{Output, read};
use super::variables::UNKNOWN;
use crate::import::rows::is_query;
use regex::Regex;

/// The answer of each event, where the expected output has one that can be told from the others.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By the numbers of the events; of a statement that was sent, at its `reap`.
    pub outputs: Vec<Option<Output>>,
    /// The statements that are not printed where they should be, by the numbers of their events.
    pub missing: Vec<usize>,
}

/// Where an event is printed: its number, the first of its lines, and the first line behind them.
struct Anchor {
    event: usize,
    start: usize,
    end: usize,
}

/// Reads the expected output of a file's events.
pub(crate) fn outputs(events: &[Event], text: &str) -> Found {
    let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
    let plain: Vec<String> = lines.iter().map(|line| words(line)).collect();
    let logs_connections = lines.iter().any(|line| is_connection_line(line));
    let mut found = Found {
        outputs: vec![None; events.len()],
        missing: Vec::new(),
    };
    let mut anchors: Vec<Anchor> = Vec::new();
    let mut from = 0;
    for (number, event) in events.iter().enumerate() {
        let switch = matches!(event.what, What::Switch | What::Connect { .. } | What::Disconnect);
        let echo = match &event.echo {
            Some(_) if switch && !logs_connections => continue,
            Some(echo) => echo,
            None => continue,
        };
        match find(&plain, from, echo) {
            Some((start, end)) => {
                from = end;
                anchors.push(Anchor {
                    event: number,
                    start,
                    end,
                });
            }
            None if switch => {}
            None => found.missing.push(number),
        }
    }
    for (place, anchor) in anchors.iter().enumerate() {
        let next = anchors.get(place + 1);
        let region = &lines[anchor.end..next.map_or(lines.len(), |next| next.start)];
        let last = next.map_or(events.len(), |next| next.event);
        share(events, anchor.event, last, region, &mut found.outputs);
    }
    found
}

/// Gives what stands behind one event to the one that printed it, if it is clear who did.
fn share(events: &[Event], first: usize, last: usize, region: &[&str], outputs: &mut [Option<Output>]) {
    let region: Vec<&str> = region
        .iter()
        .copied()
        .filter(|line| !is_connection_line(line))
        .collect();
    let mut printing: Vec<usize> = Vec::new();
    for number in first..last {
        let Some(event) = events.get(number) else { continue };
        if event.answer.as_ref().is_some_and(|answer| answer.logged) {
            printing.push(number);
        }
    }
    let may_print = |number: &usize| {
        let event = &events[*number];
        let Some(answer) = &event.answer else { return false };
        answer.info || answer.forgiving || !answer.errors.is_empty() || gives_rows(events, *number)
    };
    let candidates: Vec<usize> = printing
        .iter()
        .copied()
        .filter(|number| may_print(number))
        .collect();
    let number = match (candidates.as_slice(), printing.as_slice()) {
        ([one], _) | ([], [one]) => *one,
        // Nothing was printed, by none of them.
        (several, _) if region.is_empty() => {
            for number in several {
                outputs[*number] = Some(Output::default());
            }
            return;
        }
        _ => return,
    };
    outputs[number] = read(&region, gives_rows(events, number));
    // The others printed nothing.
    for other in printing.into_iter().filter(|other| *other != number) {
        outputs[other] = Some(Output::default());
    }
}

/// Whether the statement of an event, or the one whose answer it takes, gives rows.
fn gives_rows(events: &[Event], number: usize) -> bool {
    let sql = match &events[number].what {
        What::Statement { sql, .. } => Some(sql),
        What::Reap => events[..number].iter().rev().find_map(|event| match &event.what {
            What::Statement { sql, sent: true, .. } if event.connection == events[number].connection => {
                Some(sql)
            }
            _ => None,
        }),
        _ => None,
    };
    sql.is_some_and(|sql| is_query(sql))
}

/// Where a text is printed, from a line on: white space aside, which the lines have lost already.
fn find(lines: &[String], from: usize, echo: &str) -> Option<(usize, usize)> {
    let wanted = words(echo);
    if wanted.is_empty() {
        return None;
    }
    if wanted.contains(UNKNOWN) {
        // Any value may stand where one is not known.
        let parts: Vec<String> = wanted.split(UNKNOWN).map(regex::escape).collect();
        let pattern = Regex::new(&format!(r"(?s)^{}\W{{0,4}}$", parts.join(".*"))).ok()?;
        let count = echo.lines().count();
        let last = lines.len().checked_sub(count)?;
        let fits = |start: &usize| pattern.is_match(&words(&lines[*start..start + count].join(" ")));
        return (from..=last).find(fits).map(|start| (start, start + count));
    }
    (from..lines.len()).find_map(|start| {
        let mut rest = wanted.as_str();
        for (offset, line) in lines[start..].iter().enumerate() {
            // The delimiter stands behind the last line.
            let delimiter = line
                .strip_prefix(rest)
                .is_some_and(|left| left.len() <= 4 && !left.chars().any(char::is_alphanumeric));
            rest = if delimiter {
                ""
            } else {
                rest.strip_prefix(line.as_str())?.trim_start()
            };
            if rest.is_empty() {
                return Some((start, start + offset + 1));
            }
            // A line without anything is no part of a text that begins with it.
            if line.is_empty() && offset == 0 {
                return None;
            }
        }
        None
    })
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `connection con1;`, as mysqltest writes where it tells of them.
fn is_connection_line(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    ["connection", "connect", "disconnect"].contains(&word) && line.trim_end().ends_with(';')
}
