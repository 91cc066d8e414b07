//! Reads a file's records.

use super::reader::{Reader, WORDS};
use super::record::{Record, Sort, What};
use super::statements::sort;
use crate::import::format::Mistakes;
use crate::import::lines::{Line, lines};
use crate::source::{Span, nearest};

/// Reads a file; mistakes are added to the list.
pub(crate) fn parse(mistakes: &mut Mistakes<'_>) -> Vec<Record> {
    let text = mistakes.file.text().to_owned();
    let mut reader = Reader {
        lines: lines(&text),
        at: 0,
        comments: Vec::new(),
        conditions: Vec::new(),
        mistakes,
    };
    let records = reader.records(None);
    let labels = labels(&records);
    let mut records = records;
    connection_labels(&mut records, &labels);
    records
}

impl<'t> Reader<'t, '_, '_> {
    /// All up to the `endloop` of the loop that begins there.
    fn records(&mut self, opened: Option<Span>) -> Vec<Record> {
        let mut found = Vec::new();
        loop {
            let Some(line) = self.lines.get(self.at).copied() else {
                if let Some(span) = opened {
                    self.mistakes.error(
                        span,
                        "this loop is never closed",
                        "write `endloop` behind its last record",
                    );
                }
                if !self.comments.is_empty() {
                    let span = Span::at(self.mistakes.file.text().len());
                    found.push(self.record(What::Nothing, span));
                }
                return found;
            };
            self.at += 1;
            if let Some(comment) = line.text.strip_prefix('#') {
                self.comments.push(comment.trim().to_owned());
                continue;
            }
            let words: Vec<&str> = line.text.split_whitespace().collect();
            match words.as_slice() {
                [] => {
                    // A comment of a part of its own is not of the next record alone, but nothing tells.
                }
                ["endloop"] => {
                    if opened.is_some() {
                        return found;
                    }
                    self.mistakes
                        .error(line.span(), "no loop is open here", "take this `endloop` away");
                }
                [word @ ("skipif" | "onlyif"), name, ..] => {
                    self.conditions.push((*word == "onlyif", (*name).to_owned()));
                }
                _ => found.extend(self.one(line, &words)),
            }
        }
    }

    fn record(&mut self, what: What, span: Span) -> Record {
        Record {
            what,
            span,
            comments: std::mem::take(&mut self.comments),
            conditions: std::mem::take(&mut self.conditions),
        }
    }

    fn one(&mut self, line: Line<'t>, words: &[&str]) -> Option<Record> {
        let span = line.span();
        let what = match words {
            ["statement", rest @ ..] => What::Statement(self.statement(line, rest)?),
            ["query", rest @ ..] => What::Query(self.query(line, rest)?),
            ["connection", name] => What::Connection((*name).to_owned()),
            ["user", name, ..] => What::User((*name).to_owned()),
            ["awaitstatement" | "awaitquery", name] => What::Await((*name).to_owned()),
            ["halt"] => What::Halt,
            ["sleep", time @ ..] => What::Sleep(self.time(line, time)?),
            ["include", name] => What::Include((*name).to_owned()),
            ["subtest", name] => What::Subtest((*name).to_owned()),
            ["let", names @ ..] => self.variables(line, names)?,
            ["loop" | "concurrentloop", name, from, to] => self.numbered(line, words, name, from, to)?,
            ["foreach" | "concurrentforeach", name, values @ ..] => {
                let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
                self.repeated(span, name, values, words[0].starts_with("concurrent"))
            }
            ["repeat", count] => {
                let Ok(count) = count.parse::<usize>() else {
                    self.mistakes
                        .error(line.span_of(count), "this is no number", "such as `repeat 3`");
                    return None;
                };
                let next = self.next_record();
                What::Loop {
                    name: String::new(),
                    values: vec![String::new(); count.min(LOOP_MAX)],
                    concurrent: false,
                    body: next.into_iter().collect(),
                }
            }
            ["control", "resultmode", mode] => What::ValueWise(*mode == "valuewise"),
            ["control", "sortmode", mode] => What::SortMode(sort(mode).unwrap_or(Sort::None)),
            ["control", "substitution", state] => What::Substitution(*state == "on"),
            ["mode", "skip"] => What::Skip(true),
            ["mode", "unskip"] => What::Skip(false),
            ["system", ..] => {
                if let Some((_, true)) = self.body(line) {
                    drop(self.message());
                }
                What::NotTaken {
                    line: line.trimmed().to_owned(),
                    why: "nothing is run beside the server",
                }
            }
            ["require" | "require-env", ..] => What::NotTaken {
                line: line.trimmed().to_owned(),
                why: "see `requires`",
            },
            [
                "load" | "restart" | "reconnect" | "unzip" | "test-env" | "set" | "reset",
                ..,
            ] => What::NotTaken {
                line: line.trimmed().to_owned(),
                why: "it is of the database that the file is for",
            },
            [
                "hash-threshold" | "control" | "mode" | "kv-batch-size" | "traceon" | "traceoff" | "tags"
                | "continue",
                ..,
            ] => What::Dropped,
            [word, ..] => {
                self.unknown(line, word);
                return None;
            }
            [] => return None,
        };
        Some(self.record(what, span))
    }

    /// A line that begins no record.
    fn unknown(&mut self, line: Line<'t>, word: &str) {
        let known = WORDS.contains(&word);
        let near = nearest(word, WORDS.iter().copied()).filter(|_| !known);
        let (message, label) = match near {
            Some(near) => (
                format!("there is no record `{word}`"),
                format!("did you mean `{near}`?"),
            ),
            None if known => (
                format!("`{word}` is not written like this"),
                match word {
                    "connection" | "user" => "write the name of one connection behind it",
                    "loop" | "concurrentloop" => "write `loop i 0 10`",
                    "include" => "write the name of one file behind it",
                    _ => "see the documentation of sqllogictest",
                }
                .to_owned(),
            ),
            None => (
                format!("`{word}` begins no record"),
                "a record begins with `statement` or `query`, and ends with an empty line".to_owned(),
            ),
        };
        self.mistakes.error(line.span_of(word), message, label);
        // What belongs to it would be a mistake, too.
        while self.lines.get(self.at).is_some_and(|line| !line.is_blank()) {
            self.at += 1;
        }
        self.comments.clear();
    }

    fn next_record(&mut self) -> Option<Record> {
        while let Some(line) = self.lines.get(self.at).copied() {
            self.at += 1;
            let words: Vec<&str> = line.text.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                _ if line.text.starts_with('#') => self.comments.push(line.text[1..].trim().to_owned()),
                _ => return self.one(line, &words),
            }
        }
        None
    }

    fn time(&mut self, line: Line<'t>, words: &[&str]) -> Option<u64> {
        let text = words.join("");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: Option<u64> = text[..digits].parse().ok();
        let unit = match &text[digits..] {
            "ms" | "milliseconds" | "millisecond" => 1,
            "s" | "seconds" | "second" => 1000,
            "m" | "minutes" | "minute" => 60_000,
            _ => 0,
        };
        match number.and_then(|number| number.checked_mul(unit)) {
            Some(ms) if unit > 0 => Some(ms),
            _ => {
                self.mistakes.error(
                    line.span(),
                    format!("`{text}` is no duration"),
                    "such as `sleep 1s` or `sleep 100ms`",
                );
                None
            }
        }
    }

    fn variables(&mut self, line: Line<'t>, names: &[&str]) -> Option<What> {
        let names: Vec<String> = names
            .join(" ")
            .split(',')
            .map(|name| name.trim().trim_start_matches('$').to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        if names.is_empty() {
            self.mistakes.error(
                line.span(),
                "`let` names no variable",
                "write `let name`, and a query below it",
            );
        }
        let (sql, _) = self.body(line)?;
        Some(What::Let { names, sql })
    }

    fn numbered(&mut self, line: Line<'t>, words: &[&str], name: &str, from: &str, to: &str) -> Option<What> {
        let bound = |text: &str| text.parse::<i64>().ok();
        let (Some(from), Some(to)) = (bound(from), bound(to)) else {
            self.mistakes.error(
                line.span(),
                "a loop goes from one number to another",
                "write `loop i 0 10`",
            );
            return None;
        };
        let count = usize::try_from(to.saturating_sub(from)).unwrap_or_default();
        if count > LOOP_MAX {
            let message = format!("this loop has more than {LOOP_MAX} rounds");
            self.mistakes.error(
                line.span(),
                message,
                "a loop of such a length is better written with `repeat`, in `states`",
            );
        }
        let values = (from..to)
            .take(LOOP_MAX)
            .map(|number| number.to_string())
            .collect();
        Some(self.repeated(line.span(), name, values, words[0].starts_with("concurrent")))
    }

    fn repeated(&mut self, span: Span, name: &str, values: Vec<String>, concurrent: bool) -> What {
        let outer = std::mem::take(&mut self.comments);
        let body = self.records(Some(span));
        self.comments = outer;
        What::Loop {
            name: name.to_owned(),
            values,
            concurrent,
            body,
        }
    }
}

/// A loop has at most so many rounds.
const LOOP_MAX: usize = 1_000;

/// Words behind `statement ok`: DuckDB's names of connections.
fn labels(records: &[Record]) -> Vec<String> {
    let mut found = Vec::new();
    for record in records {
        match &record.what {
            What::Statement(statement) => found.extend(statement.connection.clone()),
            What::Loop { body, .. } => found.extend(labels(body)),
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where `statement ok con1` names a connection, `statement error con1` and `query I con1` do, too.
fn connection_labels(records: &mut [Record], labels: &[String]) {
    let is_label = |text: &String| {
        // One that only queries name is called like the others.
        labels.contains(text) || !labels.is_empty() && text.starts_with("con") && !text.contains(' ')
    };
    for record in records {
        match &mut record.what {
            What::Statement(statement) => {
                if let Some(error) = &mut statement.error
                    && is_label(&error.text)
                {
                    statement.connection = Some(std::mem::take(&mut error.text));
                }
            }
            What::Query(query) => {
                let label = query.label.take_if(|label| is_label(label));
                query.statement.connection = label.or(query.statement.connection.take());
            }
            What::Loop { body, .. } => connection_labels(body, labels),
            _ => {}
        }
    }
}
