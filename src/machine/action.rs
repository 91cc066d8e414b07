//! What the states of a machine do.

use crate::connection::Connection;
use crate::history::{Done, Outcome, SqlError, SqlValue, Status, Vars};
use crate::plan::{Action, LoadContent, SaveSource, Statement, Step, Value};

use super::{Machine, csv};

/// What a step came to.
pub(super) struct Acted {
    pub outcome: Outcome,
    /// The number of the statement that gave the outcome.
    pub statement: usize,
    pub ran: Vec<(String, Outcome)>,
    /// The state that a handler leads to.
    pub next: Option<String>,
}

impl Acted {
    pub(super) fn single(outcome: Outcome) -> Self {
        Self {
            outcome,
            statement: 0,
            ran: Vec::new(),
            next: None,
        }
    }
}

impl Machine {
    /// The variables that this connection's texts may name.
    pub(super) fn vars(&self) -> Vars {
        let mut vars = self.coordinator.vars();
        if let Some(own) = self.plan.connections.get(self.number) {
            vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
            vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
        }
        if matches!(self.plan.mode, crate::plan::Mode::Concurrent(_)) {
            vars.insert("round".to_owned(), SqlValue::Int(self.round.into()));
            vars.insert("iteration".to_owned(), SqlValue::Int(self.iteration.into()));
        }
        vars
    }

    fn fill(&self, statement: &Statement) -> Result<String, Outcome> {
        if statement.text.variables().next().is_none() {
            return statement.text.fill(&Vars::new()).map_err(unknown_variable);
        }
        statement.text.fill(&self.vars()).map_err(unknown_variable)
    }

    pub(super) fn value(&self, value: &Value) -> Result<SqlValue, Outcome> {
        match value {
            Value::Plain(value) => Ok(value.clone()),
            Value::Template(template) => template.value(&self.vars()).map_err(unknown_variable),
        }
    }

    /// What LOAD DATA reads.
    fn content(&self, content: &LoadContent) -> Result<Vec<u8>, Outcome> {
        match content {
            LoadContent::File(content) => Ok(content.as_ref().clone()),
            LoadContent::Rows(rows) => {
                let row = |row: &Vec<Value>| row.iter().map(|cell| self.value(cell)).collect();
                let rows: Vec<Vec<SqlValue>> = rows.iter().map(row).collect::<Result<_, _>>()?;
                Ok(csv::lines(&rows))
            }
        }
    }

    pub(super) async fn act(&mut self, step: &Step, target: Option<u64>) -> Acted {
        match &step.action {
            Action::Sql(statements) => self.sql(statements).await,
            Action::Prepared(statement, params) => self.prepared(statement, params).await,
            Action::Load { statement, content } => {
                let (sql, content) = match (self.fill(statement), self.content(content)) {
                    (Ok(sql), Ok(content)) => (sql, content),
                    (Err(outcome), _) | (_, Err(outcome)) => return Acted::single(outcome),
                };
                let outcome = match self.connection.as_mut() {
                    Some(connection) => connection.load(&sql, content).await,
                    None => closed(),
                };
                Acted {
                    ran: vec![(sql, outcome.clone())],
                    outcome,
                    statement: 0,
                    next: None,
                }
            }
            Action::Sleep(duration) => {
                tokio::time::sleep(*duration).await;
                Acted::single(Outcome::Done(Done::default()))
            }
            Action::Kill { connection, .. } => {
                let Some(target) = target else {
                    return Acted::single(refused("the connection to kill has no session"));
                };
                let sql = if *connection {
                    format!("kill {target}")
                } else {
                    format!("kill query {target}")
                };
                let outcome = match self.connection.as_mut() {
                    Some(own) => own.execute(&sql).await,
                    None => closed(),
                };
                Acted {
                    ran: vec![(sql, outcome.clone())],
                    outcome,
                    statement: 0,
                    next: None,
                }
            }
            Action::Disconnect => {
                self.close().await;
                Acted::single(Outcome::Done(Done::default()))
            }
            Action::Reconnect => Acted::single(self.reconnect().await),
            Action::Set | Action::Nothing => Acted::single(Outcome::Done(Done::default())),
            Action::Watch(watch) => self.look_at_job(watch).await.0,
            Action::Handler(own) => self.handle(own).await,
        }
    }

    async fn sql(&mut self, statements: &[Statement]) -> Acted {
        let mut acted = Acted::single(Outcome::Done(Done::default()));
        self.coordinator.set_over_limit(self.number, false);
        for (number, statement) in statements.iter().enumerate() {
            acted.statement = number;
            let sql = match self.fill(statement) {
                Ok(sql) => sql,
                Err(outcome) => return Acted { outcome, ..acted },
            };
            acted.outcome = match self.connection.as_mut() {
                Some(connection) => connection.execute(&sql).await,
                None => closed(),
            };
            acted.ran.push((sql, without_rows(&acted.outcome)));
            // KILL ends a SLEEP with success.
            if acted.outcome.is_error() || self.coordinator.is_over_limit(self.number) {
                break;
            }
        }
        acted
    }

    async fn prepared(&mut self, statement: &Statement, params: &[Value]) -> Acted {
        let values: Result<Vec<SqlValue>, Outcome> = params.iter().map(|param| self.value(param)).collect();
        let (sql, values) = match (self.fill(statement), values) {
            (Ok(sql), Ok(values)) => (sql, values),
            (Err(outcome), _) | (_, Err(outcome)) => return Acted::single(outcome),
        };
        let outcome = match self.connection.as_mut() {
            Some(connection) => connection.execute_prepared(&sql, &values).await,
            None => closed(),
        };
        Acted {
            ran: vec![(sql, without_rows(&outcome))],
            outcome,
            statement: 0,
            next: None,
        }
    }

    async fn reconnect(&mut self) -> Outcome {
        self.close().await;
        match Connection::open(&self.config, &self.options).await {
            Ok(connection) => {
                self.coordinator.add_session(self.number, connection.session_id());
                self.connection = Some(connection);
                self.coordinator.set_status(self.number, Status::Testing);
                Outcome::Done(Done::default())
            }
            Err(error) => Outcome::Lost {
                message: error.to_string(),
            },
        }
    }

    /// `SHOW WARNINGS` and `EXPLAIN`, where an expectation asks for them.
    pub(super) async fn ask_more(
        &mut self,
        step: &Step,
        acted: &Acted,
    ) -> (Option<Vec<SqlError>>, Option<String>) {
        let needs = step.needs();
        let mut warnings = None;
        let mut plan = None;
        let Some(connection) = self.connection.as_mut().filter(|_| !acted.outcome.is_error()) else {
            return (None, None);
        };
        if needs.warnings {
            warnings = connection.warnings().await.ok();
        }
        if needs.plan
            && let Some((sql, _)) = acted.ran.last()
        {
            plan = explain(connection, sql).await;
        }
        (warnings, plan)
    }

    /// Carries out `save` and `set`; returns all variables and what could not be saved.
    pub(super) fn keep(&self, step: &Step, outcome: &Outcome) -> (Vars, Option<String>) {
        if step.save.is_empty() && step.set.is_empty() {
            return (self.vars(), None);
        }
        let mut new = Vars::new();
        let mut problem = None;
        for (name, value) in &step.set {
            match self.value(value) {
                Ok(value) => drop(new.insert(name.clone(), value)),
                Err(_) => problem = Some(format!("`{name}` is set from a variable without a value")),
            }
        }
        for (name, source, _) in &step.save {
            match saved(source, outcome) {
                Ok(value) => drop(new.insert(name.clone(), value)),
                Err(reason) => problem = Some(format!("`{name}` cannot be saved: {reason}")),
            }
        }
        self.coordinator.update_vars(new);
        (self.vars(), problem)
    }
}

/// `EXPLAIN` of a statement as text.
pub(crate) async fn explain(connection: &mut Connection, sql: &str) -> Option<String> {
    let Outcome::Rows(set) = connection
        .execute(&format!("explain format = 'brief' {sql}"))
        .await
    else {
        return None;
    };
    let line = |row: &Vec<SqlValue>| {
        row.iter()
            .map(crate::history::show)
            .collect::<Vec<_>>()
            .join(" ")
            .replace('\'', "")
    };
    Some(set.rows.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// The transaction's state needs the outcome, not thousands of rows.
fn without_rows(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Rows(set) if set.rows.len() > 1 => Outcome::Rows(crate::history::RowSet::default()),
        other => other.clone(),
    }
}

pub(super) fn saved(source: &SaveSource, outcome: &Outcome) -> Result<SqlValue, String> {
    match (source, outcome) {
        (SaveSource::Affected, Outcome::Done(done)) => Ok(SqlValue::Int(done.affected.into())),
        (SaveSource::LastInsertId, Outcome::Done(done)) => Ok(SqlValue::Int(done.last_insert_id.into())),
        (SaveSource::Cell(row, column), Outcome::Rows(set)) => {
            let cell = set.rows.get(*row).and_then(|row| row.get(*column));
            cell.cloned()
                .ok_or_else(|| format!("the result has no cell {row}.{column}"))
        }
        (SaveSource::Column(name), Outcome::Rows(set)) => {
            let Some(column) = set
                .columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(name))
            else {
                return Err(format!("the result has no column `{name}`"));
            };
            let cell = set.rows.first().and_then(|row| row.get(column));
            cell.cloned().ok_or_else(|| "the result has no rows".to_owned())
        }
        (_, other) => Err(format!("the statement gave {}", crate::history::describe(other))),
    }
}

fn refused(message: &str) -> Outcome {
    Outcome::Refused(SqlError {
        code: 1105,
        sqlstate: "HY000".to_owned(),
        message: message.to_owned(),
    })
}

pub(super) fn unknown_variable(name: String) -> Outcome {
    refused(&format!(
        "`${{{name}}}` has no value (the step that sets it has not run)"
    ))
}

pub(super) fn closed() -> Outcome {
    Outcome::Lost {
        message: "the connection is closed; `reconnect: true` opens it again".to_owned(),
    }
}
