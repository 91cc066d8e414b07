//! Reads the records that send a statement.

use super::reader::Reader;
use super::record::{ExpectedError, Query, Sort, Statement};
use crate::import::lines::Line;
use crate::source::nearest;

impl<'t> Reader<'t, '_, '_> {
    pub(super) fn statement(&mut self, line: Line<'t>, words: &[&str]) -> Option<Statement> {
        let mut statement = Statement {
            sql: String::new(),
            connection: None,
            sent: None,
            error: None,
            count: None,
            maybe: false,
            retried: false,
        };
        let mut words = words;
        if let ["async", name, rest @ ..] = words {
            statement.sent = Some((*name).to_owned());
            words = rest;
        }
        match words {
            ["ok" | "notice" | "debug", rest @ ..] => rest_of_line(&mut statement, rest),
            ["maybe", rest @ ..] => {
                statement.maybe = true;
                rest_of_line(&mut statement, rest);
            }
            ["count", count, rest @ ..] => {
                rest_of_line(&mut statement, rest);
                let Ok(count) = count.parse() else {
                    self.mistakes.error(
                        line.span_of(count),
                        "this is no number of rows",
                        "such as `statement count 2`",
                    );
                    return None;
                };
                statement.count = Some(count);
            }
            ["error", rest @ ..] => {
                statement.error = Some(expected_error(line, rest, &mut statement.retried))
            }
            _ => {
                let word = words.first().copied().unwrap_or_default();
                let near = nearest(word, ["ok", "error", "count", "maybe"]);
                let label = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write `statement ok`, `statement error` or `statement count 1`".to_owned(),
                };
                self.mistakes.error(
                    line.span(),
                    "this statement says nothing of what must come of it",
                    label,
                );
                drop(self.body(line));
                return None;
            }
        }
        let (sql, results) = self.body(line)?;
        statement.sql = sql;
        if results {
            let text = self.message();
            match &mut statement.error {
                Some(error) if error.text.is_empty() => error.text = text,
                Some(_) => {
                    self.mistakes.error(
                        line.span(),
                        "this error has two texts",
                        "keep that behind `error`, or that under `----`",
                    );
                }
                None if statement.maybe => {}
                None => {
                    self.mistakes.error(
                        line.span(),
                        "a statement has no results",
                        "write `query` and the types of the columns",
                    );
                }
            }
        }
        Some(statement)
    }

    pub(super) fn query(&mut self, line: Line<'t>, words: &[&str]) -> Option<Query> {
        let mut statement = Statement {
            sql: String::new(),
            connection: None,
            sent: None,
            error: None,
            count: None,
            maybe: false,
            retried: false,
        };
        let mut words = words;
        if let ["async", name, rest @ ..] = words {
            statement.sent = Some((*name).to_owned());
            words = rest;
        }
        let mut query = Query {
            statement,
            types: String::new(),
            sort: None,
            label: None,
            names: false,
            results: None,
        };
        if let ["error", rest @ ..] = words {
            query.statement.error = Some(expected_error(line, rest, &mut query.statement.retried));
        } else {
            let (types, rest) = words
                .split_first()
                .map_or(("", words), |(types, rest)| (*types, rest));
            if let Some(wrong) = types.chars().find(|c| !c.is_ascii_alphabetic() && *c != '?') {
                let message = format!("`{wrong}` is no type of a column");
                self.mistakes.error(
                    line.span_of(types),
                    message,
                    "T for text, I for integers, R for other numbers, B for yes and no",
                );
            }
            types.clone_into(&mut query.types);
            self.options(&mut query, rest);
        }
        let (sql, results) = self.body(line)?;
        query.statement.sql = sql;
        if results {
            match &mut query.statement.error {
                Some(error) if error.text.is_empty() => error.text = self.message(),
                _ => query.results = Some(self.results()),
            }
        }
        Some(query)
    }

    /// How a query's results are sorted, its label, and whether it is tried again.
    fn options(&mut self, query: &mut Query, words: &[&str]) {
        let mut words = words;
        if let Some((options, rest)) = words.split_first() {
            let all: Vec<&str> = options.split(',').collect();
            let known =
                |option: &&str| sort(option).is_some() || *option == "colnames" || *option == "noticetrace";
            if all.iter().all(known) || options.starts_with("partialsort") {
                query.names = all.contains(&"colnames");
                query.sort = all.iter().find_map(|option| sort(option));
                if options.starts_with("partialsort") {
                    query.sort = Some(Sort::Rows);
                }
                words = rest;
            }
        }
        if let Some(at) = words.iter().position(|word| *word == "retry") {
            query.statement.retried = true;
            words = &words[..at];
        }
        query.label = words.first().map(|label| (*label).to_owned());
    }
}

pub(super) fn sort(word: &str) -> Option<Sort> {
    Some(match word {
        "nosort" => Sort::None,
        "rowsort" => Sort::Rows,
        "valuesort" => Sort::Values,
        _ => return None,
    })
}

/// `con1`, or `retry 3 backoff 1s`.
fn rest_of_line(statement: &mut Statement, words: &[&str]) {
    match words {
        ["retry", ..] => statement.retried = true,
        [name, ..] => statement.connection = Some((*name).to_owned()),
        [] => {}
    }
}

/// What stands behind `error`.
fn expected_error(line: Line<'_>, words: &[&str], retried: &mut bool) -> ExpectedError {
    let mut error = ExpectedError::default();
    match words {
        ["retry", _, "backoff", _] => *retried = true,
        ["pgcode", state, ..] => error.state = Some((*state).to_owned()),
        [one] if one.len() == 7 && one.starts_with('(') && one.ends_with(')') => {
            error.state = Some(one[1..6].to_owned());
        }
        [first, ..] => {
            let at = line.text.find(first).unwrap_or_default();
            line.text[at..].trim().clone_into(&mut error.text);
        }
        [] => {}
    }
    error
}
