//! Finds in what was printed the answer of each statement.

use super::event::{Event, What};
use super::output::{Output, read};
use super::variables::UNKNOWN;
use crate::import::rows::is_query;
use regex::Regex;

/// So many statements that follow are looked for before one that is far below is taken to be printed there.
const LOOK_AHEAD: usize = 8;

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
    let printed: Vec<(usize, &str)> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| logs_connections || !is_switch(event))
        .filter_map(|(number, event)| Some((number, event.echo.as_deref()?)))
        .filter(|(_, echo)| !echo.trim().is_empty())
        .collect();
    let mut anchors: Vec<Anchor> = Vec::new();
    let mut from = 0;
    for (place, (number, echo)) in printed.iter().enumerate() {
        let next = printed[place + 1..].iter().take(LOOK_AHEAD);
        let next = next.map(|(_, echo)| *echo);
        match find(&plain, from, echo).filter(|(start, _)| !any_between(&plain[..*start], from, next)) {
            Some((start, end)) => {
                from = end;
                anchors.push(Anchor {
                    event: *number,
                    start,
                    end,
                });
            }
            None if is_switch(&events[*number]) => {}
            None => found.missing.push(*number),
        }
    }
    for (place, anchor) in anchors.iter().enumerate() {
        let next = anchors.get(place + 1);
        let region = &lines[anchor.end..next.map_or(lines.len(), |next| next.start)];
        let last = next.map_or(events.len(), |next| next.event);
        let region = without_blank_echoes(region, &events[anchor.event..last]);
        // One that is printed in another form than it is written in stands somewhere in these lines.
        let hidden = |number: &usize| (anchor.event..last).contains(number);
        let up_to = events.len().min(last + 1);
        let unsure = events[anchor.event + 1..up_to].iter().any(|event| event.unsure);
        if region.is_empty() || !unsure && !found.missing.iter().any(hidden) {
            share(events, anchor.event, last, region, &mut found.outputs);
        }
    }
    for number in &found.missing {
        found.outputs[*number] = None;
    }
    found
}

/// Whether opening, choosing or closing a session is what it does.
fn is_switch(event: &Event) -> bool {
    matches!(event.what, What::Switch | What::Connect { .. } | What::Disconnect)
}

/// Without the empty lines at the end that `echo` without a text prints.
fn without_blank_echoes<'l, 't>(mut lines: &'l [&'t str], events: &[Event]) -> &'l [&'t str] {
    let blank = |event: &&Event| event.echo.as_deref().is_some_and(|echo| echo.trim().is_empty());
    for _ in events.iter().filter(blank) {
        match lines.split_last() {
            Some((&"", rest)) => lines = rest,
            _ => break,
        }
    }
    lines
}

/// Whether one of these is printed in the lines from this one on: then what stands below them is not what was looked
/// for, but the same text once more.
fn any_between<'t>(lines: &[String], from: usize, mut echoes: impl Iterator<Item = &'t str>) -> bool {
    echoes.any(|echo| find(lines, from, echo).is_some())
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
        let query = statement_of(events, *number).is_some_and(is_query);
        answer.info || answer.forgiving || !answer.errors.is_empty() || query
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
    let sql = statement_of(events, number).unwrap_or_default();
    outputs[number] = read(&region, sql);
    // The others printed nothing.
    for other in printing.into_iter().filter(|other| *other != number) {
        outputs[other] = Some(Output::default());
    }
}

/// The statement of an event, or the one whose answer it takes.
fn statement_of(events: &[Event], number: usize) -> Option<&str> {
    match &events[number].what {
        What::Statement { sql, .. } => Some(sql),
        What::Reap => events[..number].iter().rev().find_map(|event| match &event.what {
            What::Statement { sql, sent: true, .. } if event.connection == events[number].connection => {
                Some(sql.as_str())
            }
            _ => None,
        }),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::super::event::Answer;
    use super::*;
    use crate::import::origin::Origin;

    fn statements(texts: &[&str]) -> Vec<Event> {
        let event = |text: &&str| Event {
            what: What::Statement {
                sql: (*text).to_owned(),
                sent: false,
                save: Vec::new(),
            },
            connection: "default".to_owned(),
            origin: Origin::default(),
            comments: Vec::new(),
            unsure: false,
            echo: Some(format!("{text};")),
            answer: Some(Answer {
                logged: true,
                ..Answer::default()
            }),
        };
        texts.iter().map(event).collect()
    }

    fn rows(found: &Found, number: usize) -> Option<Vec<Vec<String>>> {
        found.outputs[number].clone()?.rows
    }

    #[test]
    fn a_statement_that_is_not_printed_takes_nothing_from_those_after_it() {
        let events = statements(&[
            "select 1",
            "select a from t",
            "select 3",
            "delete from t",
            "select a from t",
        ]);
        let text = "select 1;\n1\n1\nselect 3;\n3\n3\ndelete from t;\nselect a from t;\na\n7\n";
        let found = outputs(&events, text);
        assert_eq!(found.missing, [1]);
        assert_eq!(rows(&found, 4), Some(vec![vec!["7".to_owned()]]));
        assert_eq!(rows(&found, 2), Some(vec![vec!["3".to_owned()]]));
        // What stands between the first and the third may be of the second.
        assert_eq!((rows(&found, 0), rows(&found, 1)), (None, None));
    }

    #[test]
    fn one_that_is_printed_in_another_form_is_no_row_of_the_one_before() {
        let events = statements(&["select a from t", "insert into t values (1)", "select 2"]);
        let text = "select a from t;\na\nINSERT INTO t VALUES(1);\nselect 2;\n2\n2\n";
        let found = outputs(&events, text);
        assert_eq!(
            (found.missing.as_slice(), rows(&found, 0)),
            ([1].as_slice(), None)
        );
        assert_eq!(rows(&found, 2), Some(vec![vec!["2".to_owned()]]));
    }

    #[test]
    fn what_is_left_out_may_have_printed_what_looks_like_rows() {
        let mut events = statements(&["select a from t", "select 2"]);
        events[1].unsure = true;
        let found = outputs(
            &events,
            "select a from t;\na\n1\ninsert into t values (2);\nselect 2;\n2\n2\n",
        );
        assert_eq!((rows(&found, 0), rows(&found, 1).is_some()), (None, true));
    }

    #[test]
    fn an_echo_of_nothing_is_no_row() {
        let mut events = statements(&["select a from t", "", "select 2"]);
        events[1].what = What::Echo(String::new());
        events[1].echo = Some(String::new());
        events[1].answer = None;
        let found = outputs(&events, "select a from t;\na\n1\n\nselect 2;\n2\n2\n");
        assert_eq!(rows(&found, 0), Some(vec![vec!["1".to_owned()]]));
        assert!(found.missing.is_empty());
    }
}
