//! Files of sqllogictest, as scripts.

use super::draft::{Draft, Value};
use super::format::{Format, Input, Mistakes, Problem, stem};
use super::script::{into_setup, without_cleanup};
use super::slt::{Record, What, Writer, parse};
use super::title::title_of;
use super::waits::resolve;
use crate::source::Span;

/// The format.
pub(super) struct Sqllogictest;

/// The databases whose records are for TiDB, too.
const OURS: [&str; 2] = ["mysql", "tidb"];

impl Format for Sqllogictest {
    fn name(&self) -> &'static str {
        "sqllogictest"
    }

    fn tool(&self) -> &'static str {
        "sqllogictest"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        let begins = |line: &str| {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("statement") => words
                    .next()
                    .is_some_and(|word| ["ok", "error", "count", "maybe", "async"].contains(&word)),
                Some("query") => words
                    .next()
                    .is_some_and(|word| word.chars().all(|c| c.is_ascii_alphabetic())),
                _ => false,
            }
        };
        let ends = [".slt", ".slt.part", ".test_slow"]
            .iter()
            .any(|end| name.ends_with(end));
        ends || name.ends_with(".test") && text.lines().any(begins)
    }

    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft> {
        let before = problems.len();
        let mut mistakes = Mistakes {
            file: input.file,
            problems,
        };
        let records = parse(&mut mistakes);
        let nothing = records.iter().all(|record| matches!(record.what, What::Nothing));
        if nothing && mistakes.problems.len() == before {
            mistakes.whole(
                "there is no record in this file",
                "a record begins with `statement ok` or `query I`",
            );
        }
        let mut writer = Writer::new(input, mistakes.problems);
        let draft = writer.draft(&records, &stem(input.file));
        if problems.len() == before && draft.steps.is_empty() {
            Mistakes {
                file: input.file,
                problems,
            }
            .whole(
                "nothing is left of this file: no record is for TiDB",
                "`onlyif` and `skipif` say for whom one is",
            );
        }
        if problems.len() > before {
            Vec::new()
        } else {
            vec![draft]
        }
    }
}

impl Writer<'_> {
    fn draft(&mut self, records: &[Record], stem: &str) -> Draft {
        let header = records
            .first()
            .map(|first| first.comments.clone())
            .unwrap_or_default();
        let header = described(header);
        self.records(records, &[], true);
        resolve(&mut self.steps, &self.waiters);
        let (title, comments) = title_of(&header, stem);
        let mut draft = Draft {
            name: stem.to_owned(),
            title,
            comments,
            steps: std::mem::take(&mut self.steps),
            connections: std::mem::take(&mut self.connections),
            trailer: std::mem::take(&mut self.comments),
            ..Draft::default()
        };
        without_cleanup(&mut draft);
        into_setup(&mut draft);
        draft
    }

    fn records(&mut self, records: &[Record], variables: &[(String, String)], all: bool) {
        for (number, record) in records.iter().enumerate() {
            if self.halted {
                return;
            }
            self.at = record.span;
            if !(all && number == 0) {
                self.comments.extend(record.comments.iter().cloned());
            }
            if self.skipping && !matches!(record.what, What::Skip(false)) {
                continue;
            }
            let skipped = record.conditions.iter().find(|(only, name)| {
                let ours = OURS.contains(&name.to_ascii_lowercase().as_str());
                *only != ours
            });
            if let Some((only, name)) = skipped {
                let word = if *only { "onlyif" } else { "skipif" };
                let sql = sql_of(record).split_whitespace().collect::<Vec<_>>().join(" ");
                self.note(format!("left out, {word} {name}: {sql}"));
                self.one_time = None;
                continue;
            }
            self.record(record, variables);
        }
    }

    fn record(&mut self, record: &Record, variables: &[(String, String)]) {
        match &record.what {
            What::Statement(statement) => {
                let step = self.step(statement, variables, record.span);
                if let Some(step) = step {
                    self.outcome(step, statement);
                    if let Some(count) = statement.count {
                        self.steps[step]
                            .expect
                            .push(("affected", Value::Number(count.to_string())));
                    }
                    if statement.maybe {
                        let any = Value::one("ge", Value::Number("0".to_owned()));
                        let choices = vec![
                            Value::one("affected", any),
                            Value::one("error", Value::text("any")),
                        ];
                        self.steps[step].expect.push(("one_of", Value::List(choices)));
                    }
                }
            }
            What::Query(query) => self.query(query, variables, record.span),
            What::Connection(name) => self.one_time = Some(name.clone()),
            What::User(name) => {
                // The one that CockroachDB begins with.
                self.user = (name != "root").then(|| name.clone());
                if name != "root" && self.users.insert(name.clone()) {
                    self.note(format!(
                        "user {name}: a session of its own, with the server's own user"
                    ));
                }
            }
            What::Await(name) => self.awaited(name, record.span),
            What::Sleep(ms) => self.sleep(*ms),
            What::Include(name) => self.include(name, variables, record.span),
            What::Let { names, sql } => self.keep(names, sql, variables, record.span),
            What::Loop {
                name,
                values,
                concurrent,
                body,
            } => {
                if *concurrent {
                    self.note(
                        "the rounds of this loop run at the same time there, and one after another here: see `states`",
                    );
                }
                for value in values {
                    let mut inner = variables.to_vec();
                    inner.push((name.clone(), value.clone()));
                    self.records(body, &inner, false);
                }
            }
            What::Halt => {
                self.note("halt: the rest of the file is left out");
                self.halted = true;
            }
            What::ValueWise(each) => self.value_wise = Some(*each),
            What::SortMode(sort) => self.sort = *sort,
            What::Substitution(on) => self.substitution = *on,
            What::Skip(on) => self.skipping = *on,
            What::Subtest(name) => self.comments.push(name.clone()),
            What::NotTaken { line, why } => self.note(format!("not taken: {line} ({why})")),
            What::Dropped | What::Nothing => {}
        }
    }

    fn include(&mut self, name: &str, variables: &[(String, String)], span: Span) {
        const DEPTH_MAX: usize = 16;
        if self.depth == DEPTH_MAX {
            self.error(
                span,
                "files include each other too deep",
                "one of them includes itself",
            );
            return;
        }
        let Some(file) = (self.input.include)(name) else {
            self.note(format!(
                "not taken: include {name}: there is no such file beside this one"
            ));
            return;
        };
        let before = self.problems.len();
        let records = parse(&mut Mistakes {
            file: &file,
            problems: self.problems,
        });
        if self.problems.len() == before {
            let outer = std::mem::replace(&mut self.file, file);
            self.depth += 1;
            self.records(&records, variables, false);
            self.depth -= 1;
            self.file = outer;
        }
    }
}

/// The comment at the top, with what says what the file is about first: DuckDB and CockroachDB have lines for tools.
fn described(header: Vec<String>) -> Vec<String> {
    let (tools, mut lines): (Vec<String>, Vec<String>) = header.into_iter().partition(|line| {
        ["name:", "group:", "LogicTest:"]
            .iter()
            .any(|begin| line.starts_with(begin))
    });
    for line in &mut lines {
        if let Some(text) = line.strip_prefix("description:") {
            *line = text.trim().to_owned();
        }
    }
    if !tools.is_empty() {
        lines.push(String::new());
        lines.extend(tools);
    }
    lines
}

/// The SQL of a record, for a comment.
fn sql_of(record: &Record) -> &str {
    match &record.what {
        What::Statement(statement) => &statement.sql,
        What::Query(query) => &query.statement.sql,
        What::Let { sql, .. } => sql,
        _ => "",
    }
}
