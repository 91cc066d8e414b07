//! Files of mysqltest, and of TiDB's mysql-tester, as scripts.

use super::dialect::{code_of_message, notes_on_mysql};
use super::draft::{Action, Connection, Draft, Step, Value};
use super::format::{Format, Input, Mistakes, Problem, Results, stem};
use super::mtr::{Answer, Event, Found, Output, What, outputs, parse, run};
use super::names::{Names, Use};
use super::origin::Origin;
use super::own_database::{name_own_database, own_database};
use super::rows::{cell, is_query, rows};
use super::script::{into_setup, without_cleanup};
use super::title::title_of;
use super::waits::{Waiter, resolve};
use crate::sql::{LOCK_WAIT_TIMEOUT, by_name, verb};

/// The format.
pub(super) struct Mysqltest;

impl Format for Mysqltest {
    fn name(&self) -> &'static str {
        "mysqltest"
    }

    fn tool(&self) -> &'static str {
        "mysqltest"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        let ends = |line: &str| line.trim_end().ends_with(';') || line.trim_start().starts_with("--");
        (name.ends_with(".test") || name.ends_with(".inc")) && text.lines().any(ends)
    }

    fn results(&self) -> Option<Results> {
        Some(Results {
            extension: "result",
            folders: ("t", "r"),
        })
    }

    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft> {
        let before = problems.len();
        let commands = parse(&mut Mistakes {
            file: input.file,
            problems,
        });
        if problems.len() > before {
            return Vec::new();
        }
        let (header, events) = run(&commands, input, problems);
        if problems.len() > before {
            return Vec::new();
        }
        let found = input.results.map(|file| outputs(&events, file.text()));
        let mut writer = Writer {
            found: found.as_ref(),
            names: Names::new(Use::Connection),
            connections: Vec::new(),
            steps: Vec::new(),
            waiters: Vec::new(),
            comments: Vec::new(),
            has_limit: input.file.text().contains("innodb_lock_wait_timeout"),
        };
        let mut draft = writer.draft(&header, &events, &stem(input.file));
        if let Some(name) = own_database(input.file.name()) {
            name_own_database(&mut draft, &name);
        }
        if draft.steps.is_empty() {
            Mistakes {
                file: input.file,
                problems,
            }
            .whole("this file runs no statement", "a test has SQL that ends with `;`");
            return Vec::new();
        }
        vec![draft]
    }
}

struct Writer<'f> {
    found: Option<&'f Found>,
    names: Names,
    connections: Vec<Connection>,
    steps: Vec<Step>,
    waiters: Vec<Waiter>,
    /// Comments for the next step.
    comments: Vec<String>,
    /// Whether the file says how long a statement waits for a lock.
    has_limit: bool,
}

impl Writer<'_> {
    fn draft(&mut self, header: &[String], events: &[Event], stem: &str) -> Draft {
        for (number, event) in events.iter().enumerate() {
            self.comments.extend(event.comments.iter().cloned());
            self.event(number, event);
        }
        resolve(&mut self.steps, &self.waiters);
        let (title, comments) = title_of(header, stem);
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

    fn connection(&mut self, theirs: &str) -> String {
        let name = self.names.get(theirs);
        if !self.connections.iter().any(|own| own.name == name) {
            self.connections.push(Connection {
                name: name.clone(),
                ..Connection::default()
            });
        }
        name
    }

    fn push(&mut self, mut step: Step) {
        let mut comments = std::mem::take(&mut self.comments);
        comments.append(&mut step.comments);
        step.comments = comments;
        self.steps.push(step);
    }

    fn act(&mut self, connection: String, action: Action) {
        self.push(Step {
            connection,
            action,
            ..Step::default()
        });
    }

    /// The step whose answer this connection has not taken yet.
    fn outstanding(&self, connection: &str) -> Option<usize> {
        let own = self
            .waiters
            .iter()
            .rev()
            .find(|waiter| self.steps[waiter.step].connection == connection)?;
        (own.end == usize::MAX).then_some(own.step)
    }

    fn event(&mut self, number: usize, event: &Event) {
        let name = self.connection(&event.connection);
        match &event.what {
            What::Statement { sql, sent, save } => self.statement(number, event, name, sql, *sent, save),
            What::Reap => {
                let Some(step) = self.outstanding(&name) else {
                    return;
                };
                let at = self.steps.len();
                let waiter = self.waiters.iter_mut().find(|waiter| waiter.step == step);
                waiter.into_iter().for_each(|waiter| waiter.end = at);
                self.answer(step, number, event);
            }
            What::Connect {
                user,
                password,
                again,
                database,
            } => self.connect(&event.origin, &name, user, password, *again, database),
            What::Switch | What::Nothing => {}
            What::Disconnect => {
                let end = self.steps.len();
                let steps = &mut self.steps;
                let left = self.waiters.iter_mut().rev();
                let mut left = left.filter(|waiter| waiter.end == usize::MAX);
                if let Some(waiter) = left.find(|waiter| steps[waiter.step].connection == name) {
                    waiter.end = end;
                    let told = event
                        .origin
                        .note("its answer is never taken there; here it is waited for");
                    steps[waiter.step].comments.push(told);
                }
                self.act(name, Action::Disconnect);
            }
            What::Reset => {
                self.comments
                    .push(event.origin.note("reset_connection: a session anew"));
                self.act(name, Action::Reconnect);
            }
            What::Kill { target, whole } => {
                let target = self.connection(target);
                let whole = *whole;
                self.act(name, Action::Kill { target, whole });
            }
            What::Sleep(ms) => {
                let waits = self.waiters.iter().any(|waiter| waiter.end == usize::MAX);
                if waits {
                    self.comments.push(
                        event
                            .origin
                            .note(format!("sleep {ms}ms is left out: the server is asked who waits")),
                    );
                } else if *ms > 0 {
                    self.act(name, Action::Sleep(*ms));
                }
            }
            What::Echo(text) => {
                let text = text.trim().trim_start_matches('#').trim();
                if !text.is_empty() {
                    self.comments.push(text.to_owned());
                }
            }
        }
    }

    fn connect(
        &mut self,
        origin: &Origin,
        name: &str,
        user: &str,
        password: &str,
        again: bool,
        database: &str,
    ) {
        if again {
            self.act(name.to_owned(), Action::Reconnect);
        }
        if !["", "root"].contains(&user) {
            self.comments.push(origin.note(format!(
                "{name} connects as {user} before the first step: the account has to be made in `setup`"
            )));
            if let Some(own) = self.connections.iter_mut().find(|own| own.name == name) {
                own.user = Some(user.to_owned());
                own.password = (!password.is_empty()).then(|| password.to_owned());
            }
        }
        if !["", "test", "*NO-ONE*", "mysql"].contains(&database) && !database.starts_with('$') {
            self.push(Step::sql(name, vec![format!("use {database}")]));
        }
    }

    fn statement(
        &mut self,
        number: usize,
        event: &Event,
        name: String,
        sql: &str,
        sent: bool,
        save: &[(String, String)],
    ) {
        let words: Vec<String> = sql.split_whitespace().map(str::to_ascii_lowercase).collect();
        if let ["use", database] = words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
            && database.trim_matches('`') == "test"
        {
            // Each trial is in a database of its own.
            return;
        }
        let mut step = Step::sql(name, vec![sql.to_owned()]);
        step.comments = event.origin.notes(notes_on_mysql(sql)).collect();
        step.save = save.to_vec();
        self.push(step);
        let step = self.steps.len() - 1;
        if sent {
            self.waiters.push(Waiter {
                step,
                end: usize::MAX,
                ender: None,
                sure: false,
                origin: event.origin.clone(),
            });
            return;
        }
        self.answer(step, number, event);
        let nowait = words.iter().any(|word| word == "nowait");
        let waits = self.expects_error(step, LOCK_WAIT_TIMEOUT);
        if waits && nowait {
            // MariaDB has one error for both.
            let code = Value::Number("3572".to_owned());
            self.steps[step]
                .expect
                .iter_mut()
                .filter(|(key, _)| *key == "error")
                .for_each(|entry| {
                    entry.1.clone_from(&code);
                });
            self.steps[step]
                .comments
                .push(event.origin.note("NOWAIT gives 3572 on TiDB"));
        } else if waits {
            if !self.has_limit {
                self.steps[step].timeout = Some("60s".to_owned());
            }
            self.waiters.push(Waiter {
                step,
                end: step + 1,
                ender: None,
                sure: true,
                origin: event.origin.clone(),
            });
        }
    }

    fn expects_error(&self, step: usize, code: u16) -> bool {
        match self.steps[step].expected("error") {
            Some(Value::Number(number)) => *number == code.to_string(),
            Some(Value::Text(name)) => by_name(name).is_some_and(|entry| entry.code == code),
            _ => false,
        }
    }

    /// What is expected of a step's answer, which an event takes.
    fn answer(&mut self, step: usize, number: usize, event: &Event) {
        let Some(answer) = &event.answer else { return };
        let output = self
            .found
            .and_then(|found| found.outputs.get(number))
            .and_then(Option::as_ref);
        let sql = self.steps[step].statements().first().cloned().unwrap_or_default();
        let query = is_query(&sql);
        let (succeeds, errors): (Vec<&String>, Vec<&String>) = answer
            .errors
            .iter()
            .partition(|error| ["0", "S00000"].contains(&error.as_str()));
        let mut expect = Vec::new();
        let mut notes = Vec::new();
        let mut choices: Vec<Value> = errors
            .iter()
            .map(|error| Value::one("error", error_value(error, &mut notes)))
            .collect();
        // mysqltest means this only where it stands first; mysql-tester anywhere.
        if !succeeds.is_empty() && !errors.is_empty() {
            let any = Value::one("ge", Value::Number("0".to_owned()));
            choices.insert(0, Value::one(if query { "count" } else { "affected" }, any));
        }
        let failed = output.and_then(|output| output.error.as_ref());
        match (choices.as_slice(), failed) {
            ([Value::Map(one)], _) => expect.extend(one.iter().map(|(_, value)| ("error", value.clone()))),
            ([], Some(error)) => expect.push(("error", printed_error(error))),
            ([], _) => {
                match self.found {
                    Some(found) if query && found.missing.contains(&number) => notes
                        .push("its result is not compared: it is not printed where it should be".to_owned()),
                    Some(_) => shown(&sql, query, answer, output, &mut expect, &mut notes),
                    None => {}
                }
                if answer.forgiving && self.found.is_none() {
                    notes.push("an error of this statement would be forgiven there".to_owned());
                }
            }
            _ => expect.push(("one_of", Value::List(choices))),
        }
        let own = &mut self.steps[step];
        own.comments.extend(event.origin.notes(notes));
        own.expect.extend(expect);
    }
}

/// The rows that a statement gave, or how many it changed.
fn shown(
    sql: &str,
    query: bool,
    answer: &Answer,
    output: Option<&Output>,
    expect: &mut Vec<(&'static str, Value)>,
    notes: &mut Vec<String>,
) {
    if !query {
        if let (true, Some(affected)) = (answer.info, output.and_then(|output| output.affected)) {
            expect.push(("affected", Value::Number(affected.to_string())));
        }
        return;
    }
    if !answer.logged {
        return;
    }
    if let Some(why) = answer.changed {
        notes.push(format!("its result is not compared: {why}"));
        return;
    }
    if ["explain", "desc", "describe", "analyze", "trace"].contains(&verb(sql).unwrap_or_default().as_str()) {
        notes.push("its result is not compared: for a plan there is `plan: {uses: …}`".to_owned());
        return;
    }
    let found = match output {
        // Nothing was printed, not even the names of columns: it gave no result.
        Some(output) if output.rows.is_none() => return,
        Some(output) => output.rows.iter().flatten(),
        None => {
            notes.push(
                "its result is not compared: it cannot be told from what else is printed there".to_owned(),
            );
            return;
        }
    };
    let value = |(column, text): (usize, &String)| {
        if answer.replaced.contains(&(column + 1)) {
            Value::any()
        } else {
            cell(text)
        }
    };
    let found: Vec<Vec<Value>> = found
        .map(|row| row.iter().enumerate().map(value).collect())
        .collect();
    let sorted = answer.sorted && found.len() > 1;
    let (key, value) = rows(sql, found);
    expect.push((if sorted { "unordered" } else { key }, value));
}

/// An error as `--error` names it.
fn error_value(error: &str, notes: &mut Vec<String>) -> Value {
    if error.bytes().all(|byte| byte.is_ascii_digit()) {
        let known = error.parse::<u16>().is_ok_and(|code| code >= 1000);
        if known {
            return Value::Number(error.to_owned());
        }
    }
    let state = error.strip_prefix('S').filter(|state| state.len() == 5);
    if let Some(state) = state {
        return Value::one("sqlstate", Value::text(state));
    }
    if by_name(error).is_some() {
        return Value::text(error);
    }
    notes.push(format!("TiDB has no error {error}: any will do"));
    Value::text("any")
}

/// An error as it was printed.
fn printed_error(error: &(Option<u16>, Option<String>, String)) -> Value {
    let (code, state, message) = error;
    match (code.or_else(|| code_of_message(message)), state) {
        (Some(code), _) => Value::Number(code.to_string()),
        (None, Some(state)) if state.len() == 5 => Value::one("sqlstate", Value::text(state.clone())),
        (None, _) => Value::text("any"),
    }
}
