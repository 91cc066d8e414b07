//! Makes steps of the records that send a statement.

use std::collections::{BTreeMap, BTreeSet};

use super::expected::expected;
use super::record::{ExpectedError, Query, Sort, Statement};
use crate::import::dialect::{code_of_message, code_of_sqlstate, note_on_error, portable};
use crate::import::draft::{Action, Connection, Step, Value};
use crate::import::format::{Input, Mistakes, Problem};
use crate::import::names::{Names, Use};
use crate::import::origin::Origin;
use crate::import::own_database::replace_word;
use crate::import::rows::is_query;
use crate::import::sql_text::literal;
use crate::import::waits::Waiter;
use crate::source::{SourceFile, Span, nearest};
use crate::sql::split;

pub(crate) struct Writer<'w> {
    pub(crate) input: &'w Input<'w>,
    /// The file that is read: the first one, or one that it includes.
    pub(crate) file: SourceFile,
    /// What is being read.
    pub(crate) at: Span,
    pub(crate) problems: &'w mut Vec<Problem>,
    pub(crate) names: Names,
    pub(crate) variables: Names,
    /// Variables that a query has filled, and the names under which they are kept.
    pub(crate) saved: BTreeMap<String, String>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) steps: Vec<Step>,
    pub(crate) waiters: Vec<Waiter>,
    /// What was sent, by the names under which its answers are taken.
    pub(crate) sent: Vec<(String, usize)>,
    pub(crate) comments: Vec<String>,
    pub(crate) labels: BTreeSet<String>,
    /// The connection of the next record.
    pub(crate) one_time: Option<String>,
    pub(crate) user: Option<String>,
    /// Those that were told of.
    pub(crate) users: BTreeSet<String>,
    pub(crate) value_wise: Option<bool>,
    pub(crate) sort: Sort,
    pub(crate) substitution: bool,
    pub(crate) skipping: bool,
    pub(crate) halted: bool,
    pub(crate) depth: usize,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(input: &'w Input<'w>, problems: &'w mut Vec<Problem>) -> Self {
        Self {
            input,
            file: input.file.clone(),
            at: Span::at(0),
            problems,
            names: Names::new(Use::Connection),
            variables: Names::new(Use::Variable),
            saved: BTreeMap::new(),
            connections: Vec::new(),
            steps: Vec::new(),
            waiters: Vec::new(),
            sent: Vec::new(),
            comments: Vec::new(),
            labels: BTreeSet::new(),
            one_time: None,
            user: None,
            users: BTreeSet::new(),
            value_wise: None,
            sort: Sort::None,
            substitution: false,
            skipping: false,
            halted: false,
            depth: 0,
        }
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        Mistakes {
            file: &self.file,
            problems: self.problems,
        }
        .error(span, message, label);
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::of(&self.file, self.at)
    }

    /// A comment for the next step: what is not taken, or not as it stood.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        let told = self.origin().note(text);
        self.comments.push(told);
    }

    fn connection(&mut self, named: Option<&String>) -> String {
        let one_time = self.one_time.take();
        let theirs = named
            .cloned()
            .or(one_time)
            .or(self.user.clone())
            .unwrap_or_else(|| "default".to_owned());
        let name = self.names.get(&theirs);
        if !self.connections.iter().any(|own| own.name == name) {
            self.connections.push(Connection {
                name: name.clone(),
                ..Connection::default()
            });
        }
        name
    }

    /// SQL with the values of loops, and with variables where they are on.
    fn filled(&mut self, sql: &str, variables: &[(String, String)]) -> String {
        let mut text = literal(&with_values(sql, variables));
        if self.substitution {
            for (name, ours) in &self.saved {
                let ours = format!("${{{ours}}}");
                text = text.replace(&format!("$${{{name}}}"), &ours);
                text = replace_word(&text, &format!("${name}"), &ours);
            }
        }
        text
    }

    /// The step of a statement, by its number; none where nothing of it can be taken.
    pub(crate) fn step(
        &mut self,
        statement: &Statement,
        variables: &[(String, String)],
        span: Span,
    ) -> Option<usize> {
        let named = statement
            .connection
            .clone()
            .map(|name| with_values(&name, variables));
        let name = self.connection(named.as_ref());
        let sql = self.filled(&statement.sql, variables);
        let pieces: Vec<String> = match split(&sql) {
            Ok(pieces) => pieces.iter().map(|piece| piece.text.to_owned()).collect(),
            // An error of the server's own to tell.
            Err(_) if statement.error.is_some() => vec![sql.clone()],
            Err(error) => {
                self.error(span, error.to_string(), "in the SQL of this record");
                return None;
            }
        };
        let mut statements = Vec::new();
        for piece in pieces {
            let found = portable(&piece);
            found.notes.iter().for_each(|told| self.note(told));
            match (found.level, found.text) {
                (Some(level), Some(text)) => {
                    statements.push(format!("set transaction isolation level {}", level.on_tidb()));
                    statements.push(text);
                }
                (Some(level), None) => {
                    let session = piece.to_ascii_lowercase().contains("session");
                    let session = if session { "session " } else { "" };
                    statements.push(format!(
                        "set {session}transaction isolation level {}",
                        level.on_tidb()
                    ));
                }
                (None, text) => statements.extend(text),
            }
        }
        if statement.retried {
            self.note("it is tried again there; see `until`, in `states`");
        }
        if statements.is_empty() {
            return None;
        }
        let mut step = Step::sql(name, statements);
        step.comments = std::mem::take(&mut self.comments);
        self.steps.push(step);
        let number = self.steps.len() - 1;
        if let Some(sent) = &statement.sent {
            self.sent.push((sent.clone(), number));
            self.waiters.push(Waiter {
                step: number,
                end: usize::MAX,
                ender: None,
                sure: false,
                origin: self.origin(),
            });
        }
        Some(number)
    }

    /// The error that is expected of a step.
    pub(crate) fn outcome(&mut self, step: usize, statement: &Statement) {
        let Some(error) = &statement.error else { return };
        let (value, told) = error_value(error);
        let origin = self.origin();
        let own = &mut self.steps[step];
        own.comments.extend(origin.notes(told));
        own.expect.push(("error", value));
    }

    pub(crate) fn query(&mut self, query: &Query, variables: &[(String, String)], span: Span) {
        let Some(step) = self.step(&query.statement, variables, span) else {
            return;
        };
        self.outcome(step, &query.statement);
        if query.statement.error.is_some() {
            return;
        }
        let sort = query.sort.unwrap_or(self.sort);
        let mut filled = query.clone();
        for (line, _) in filled.results.iter_mut().flatten() {
            *line = with_values(line, variables);
        }
        let found = expected(&filled, sort, self.value_wise);
        if let Some((span, message)) = found.mistake {
            self.error(span, message, "count the types behind `query`");
            return;
        }
        let mut notes = found.notes;
        if let Some(label) = &query.label
            && !self.labels.insert(label.clone())
        {
            notes.push(format!(
                "it must give what the other query of the label {label} gave: not compared"
            ));
        }
        let origin = self.origin();
        let own = &mut self.steps[step];
        own.comments.extend(origin.notes(notes));
        let entries = found.entries.into_iter();
        if own.statements().last().is_some_and(|sql| is_query(sql)) {
            own.expect.extend(entries);
            return;
        }
        // RETURNING showed the rows that were written.
        let written = entries.filter_map(|(_, value)| match value {
            Value::List(rows) => Some(("affected", Value::Number(rows.len().to_string()))),
            _ => None,
        });
        own.expect.extend(written.take(1));
    }

    pub(crate) fn awaited(&mut self, name: &str, span: Span) {
        let Some(at) = self.sent.iter().position(|(sent, _)| sent == name) else {
            let near = nearest(name, self.sent.iter().map(|(sent, _)| sent.as_str()));
            let label = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write `statement async {name} ok` before"),
            };
            self.error(span, format!("nothing was sent under the name `{name}`"), label);
            return;
        };
        let (_, step) = self.sent.remove(at);
        let end = self.steps.len();
        let waiter = self.waiters.iter_mut().find(|waiter| waiter.step == step);
        waiter.into_iter().for_each(|waiter| waiter.end = end);
    }

    pub(crate) fn sleep(&mut self, ms: u64) {
        if self.waiters.iter().any(|waiter| waiter.end == usize::MAX) {
            self.note(format!("sleep {ms}ms is left out: the server is asked who waits"));
            return;
        }
        let connection = self.connection(None);
        let comments = std::mem::take(&mut self.comments);
        self.steps.push(Step {
            comments,
            connection,
            action: Action::Sleep(ms),
            ..Step::default()
        });
    }

    pub(crate) fn keep(&mut self, names: &[String], sql: &str, variables: &[(String, String)], span: Span) {
        let statement = Statement {
            sql: sql.to_owned(),
            connection: None,
            sent: None,
            error: None,
            count: None,
            maybe: false,
            retried: false,
        };
        let Some(step) = self.step(&statement, variables, span) else {
            return;
        };
        for (column, name) in names.iter().enumerate() {
            let ours = self.variables.of(name, &self.steps[step].connection);
            let from = format!("row.0.{column}");
            self.steps[step].save.push((ours.clone(), from));
            self.saved.insert(name.clone(), ours);
        }
        // Where it is not asked for, CockroachDB has it on.
        self.substitution = true;
    }
}

/// A text with the values of loops.
fn with_values(text: &str, variables: &[(String, String)]) -> String {
    let named = variables.iter().filter(|(name, _)| !name.is_empty());
    named.fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("${{{name}}}"), value)
    })
}

/// An error, and what is to be told of it.
fn error_value(error: &ExpectedError) -> (Value, Option<String>) {
    let any = |told: Option<String>| (Value::text("any"), told);
    let known = |code: u16| {
        let told = note_on_error(code).map(str::to_owned);
        (Value::Number(code.to_string()), told)
    };
    if let Some(state) = &error.state {
        let told = || {
            any(Some(format!(
                "SQLSTATE {state} is PostgreSQL's: any error will do"
            )))
        };
        return code_of_sqlstate(state).map_or_else(told, known);
    }
    if error.text.is_empty() {
        return any(None);
    }
    let told = || {
        let text = error.text.split_whitespace().collect::<Vec<_>>().join(" ");
        any(Some(format!("the text is another database's: {text}")))
    };
    code_of_message(&error.text).map_or_else(told, known)
}
