//! Makes steps of what the comments on a page say.

use super::read::Test;
use crate::import::dialect::{Level, note_on_error, portable};
use crate::import::draft::{Connection, Draft, Step, Value};
use crate::import::origin::Origin;
use crate::import::remark::{Remark, Shown};
use crate::import::rows::cell;
use crate::import::sql_text::literal;
use crate::import::waits::{Waiter, resolve};
use crate::sql::verb;

/// Writes a test's steps, and the connections that take them, into a draft.
pub(crate) fn steps(test: &Test, draft: &mut Draft) {
    let mut writer = Writer {
        initial_rows: test.setup.iter().map(|(sql, _)| rows_of_insert(sql)).sum(),
        connections: Vec::new(),
        steps: Vec::new(),
        waiters: Vec::new(),
        comments: Vec::new(),
    };
    for line in &test.lines {
        writer.comments.extend(line.comments.iter().cloned());
        writer.line(&line.statements, &line.origin, &line.remark);
    }
    writer.finish(draft);
}

struct Writer {
    /// How many rows the setup inserts.
    initial_rows: usize,
    connections: Vec<(Connection, Option<Level>)>,
    steps: Vec<Step>,
    waiters: Vec<Waiter>,
    /// Comments for the next step.
    comments: Vec<String>,
}

impl Writer {
    fn connection(&mut self, number: usize) -> String {
        let name = format!("t{number}");
        if !self.connections.iter().any(|(own, _)| own.name == name) {
            let connection = Connection {
                name: name.clone(),
                ..Connection::default()
            };
            self.connections.push((connection, None));
        }
        name
    }

    /// The last step of a transaction that waits, and has not been answered.
    fn waiting(&self, name: &str) -> Option<usize> {
        let waiter = self
            .waiters
            .iter()
            .rev()
            .find(|waiter| self.steps[waiter.step].connection == name)?;
        (waiter.end == usize::MAX).then_some(waiter.step)
    }

    fn line(&mut self, statements: &[String], origin: &Origin, remark: &Remark) {
        // Either will do: one that is there, and does not wait.
        let number = remark.transaction.unwrap_or(1);
        let name = self.connection(number);
        if let Some(waiting) = self.waiting(&name) {
            let at = self.steps.len();
            let waiter = self.waiters.iter_mut().find(|waiter| waiter.step == waiting);
            waiter.into_iter().for_each(|waiter| waiter.end = at);
        }
        let mut taken = Vec::new();
        for sql in statements {
            let found = portable(sql);
            let mut notes = found.notes;
            if let Some(level) = found.level {
                let own = self.connections.iter_mut().find(|(own, _)| own.name == name);
                if let Some((connection, known)) = own {
                    *known = Some(level);
                    // What is to be known of a level stands at its connection, once.
                    for told in notes.drain(..) {
                        if !connection.comments.iter().any(|known| known.ends_with(&told)) {
                            connection.comments.push(origin.note(told));
                        }
                    }
                }
            }
            self.comments.extend(origin.notes(notes));
            taken.extend(found.text);
        }
        let count = taken.len();
        for (at, sql) in taken.into_iter().enumerate() {
            let mut step = Step::sql(name.clone(), vec![literal(&sql)]);
            step.comments = std::mem::take(&mut self.comments);
            if at + 1 == count {
                if let Some(shown) = &remark.own {
                    expect(&mut step, &sql, shown, origin, self.initial_rows);
                }
                if !remark.text.is_empty() {
                    step.comments.push(remark.text.clone());
                }
                if remark.blocks {
                    self.waiters.push(Waiter {
                        step: self.steps.len(),
                        end: usize::MAX,
                        ender: None,
                        sure: true,
                        origin: origin.clone(),
                    });
                }
            }
            self.steps.push(step);
        }
        let Some(ender) = self.steps.len().checked_sub(1) else {
            return;
        };
        // What the others come to that have waited so far.
        let others = remark
            .unblocks
            .iter()
            .copied()
            .chain(remark.other.iter().map(|(number, _)| *number));
        for other in others {
            let Some(waiting) = self.waiting(&format!("t{other}")) else {
                continue;
            };
            let waiter = self.waiters.iter_mut().find(|waiter| waiter.step == waiting);
            waiter.into_iter().for_each(|waiter| waiter.ender = Some(ender));
        }
        if let Some((other, shown)) = &remark.other
            && let Some(waiting) = self.waiting(&format!("t{other}"))
        {
            let sql = self.steps[waiting]
                .statements()
                .first()
                .cloned()
                .unwrap_or_default();
            let rows = self.initial_rows;
            expect(&mut self.steps[waiting], &sql, shown, origin, rows);
        }
    }

    fn finish(mut self, draft: &mut Draft) {
        resolve(&mut self.steps, &self.waiters);
        draft.steps = self.steps;
        draft.connections = self
            .connections
            .into_iter()
            .map(|(own, level)| Connection {
                isolation: level.map(Level::on_tidb),
                ..own
            })
            .collect();
        draft.connections.sort_by(|one, other| one.name.cmp(&other.name));
        draft.trailer = self.comments;
    }
}

/// What a statement must show.
fn expect(step: &mut Step, sql: &str, shown: &Shown, origin: &Origin, initial_rows: usize) {
    let query = matches!(verb(sql).as_deref(), Some("select" | "with" | "table" | "values"));
    match shown {
        Shown::Error(code) => {
            let told = code.and_then(note_on_error);
            let code = code.map_or(Value::text("any"), |code| Value::Number(code.to_string()));
            step.expect.push(("error", code));
            step.comments.extend(origin.notes(told));
        }
        Shown::Nothing if query => step.expect.push(("rows", Value::List(Vec::new()))),
        Shown::Nothing => step.expect.push(("affected", Value::Number("0".to_owned()))),
        Shown::Pairs(pairs) if query => {
            let columns = columns(sql);
            let rows: Vec<Value> = pairs
                .iter()
                .map(|(key, value)| match columns {
                    1 => Value::List(vec![cell(value)]),
                    _ => Value::List(vec![cell(key), cell(value)]),
                })
                .collect();
            // Of a whole table, a comment may name only the row that it is about.
            let whole = sql.to_ascii_lowercase().contains(" where ") || rows.len() >= initial_rows;
            let key = match (whole, rows.len()) {
                (false, _) => "contains",
                (true, 0 | 1) => "rows",
                (true, _) => "unordered",
            };
            step.expect.push((key, Value::List(rows)));
        }
        Shown::Pairs(_) => {}
    }
}

/// How many columns a query has: two, where it takes all of a table with a key and a value.
fn columns(sql: &str) -> usize {
    let lower = sql.to_ascii_lowercase();
    let list = lower
        .strip_prefix("select ")
        .and_then(|rest| rest.split(" from ").next());
    match list {
        Some(list) if !list.contains(['*', '(', ',']) => 1,
        _ => 2,
    }
}

/// How many rows an INSERT has.
fn rows_of_insert(sql: &str) -> usize {
    let lower = sql.to_ascii_lowercase();
    match lower.split_once("values") {
        Some((_, rows)) if lower.starts_with("insert") => rows.matches('(').count(),
        _ => 0,
    }
}
