//! What the states of a machine do.

use std::time::Duration;

use crate::connection::Connection;
use crate::expect::Seen;
use crate::history::{Done, Outcome, RowSet, SqlError, SqlValue, Status, StepEnd, Vars};
use crate::plan::{Action, LoadContent, SaveSource, Statement, Step, Value};
use crate::sql::redact;

use super::acted::Acted;
use super::csv;
use super::gate::may_write;
use super::vars::vars_of;
use super::worker::Worker;

impl Worker {
    /// The variables that this connection's texts may name.
    pub(super) fn vars(&self) -> Vars {
        let mut vars = vars_of(&self.plan, &self.coordinator, Some(self.number));
        vars.extend(self.locals.clone());
        vars
    }

    fn fill(&self, statement: &Statement) -> Result<String, Outcome> {
        let vars = match statement.text.variables().next() {
            Some(_) => self.vars(),
            None => Vars::new(),
        };
        let alone = self.plan.may_change_server(Some(self.number));
        statement.fill(&vars, alone).map_err(|error| Outcome::Unanswered {
            reason: error.to_string(),
        })
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
            Action::Load { statement, content } => self.load(statement, content).await,
            Action::Sleep(duration) => {
                tokio::time::sleep(*duration).await;
                Acted::single(Outcome::Done(Done::default()))
            }
            Action::Kill { connection, .. } => self.kill(*connection, target).await,
            Action::Disconnect => {
                self.close().await;
                Acted::single(Outcome::Done(Done::default()))
            }
            Action::Reconnect => self.reconnect().await,
            Action::Set | Action::Nothing => Acted::single(Outcome::Done(Done::default())),
            Action::Watch(watch) => self.look_at_job(watch).await,
            Action::Handler(own) => self.handle(own).await,
        }
    }

    /// Runs a statement on the session, if there is one.
    pub(super) async fn run(
        &mut self,
        sql: String,
        run: impl AsyncFnOnce(&mut Connection, &str) -> Outcome,
    ) -> Acted {
        let pass = match self.gate.is_some() && may_write(&sql) {
            true => self.pass().await,
            false => None,
        };
        // Whoever does not listen does not pay.
        let sent = if tracing::enabled!(tracing::Level::DEBUG) {
            sql.clone()
        } else {
            String::new()
        };
        let acted = match self.connection.as_mut().filter(|session| !session.is_lost()) {
            Some(connection) => {
                let outcome = run(connection, &sql).await;
                let flags = connection.flags();
                Acted::ran(sql, outcome, flags)
            }
            None => Acted::ran(sql, closed(), None),
        };
        drop(pass);
        // With the passwords of the trial taken out.
        tracing::debug!(sql = %redact(&sent, &self.plan.secrets), outcome = acted.outcome.word(), "statement ended");
        acted
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
            let one = self.run(sql, Connection::execute).await;
            acted.outcome = one.outcome;
            acted.asked_server = true;
            acted.ran.extend(one.ran);
            // KILL ends a SLEEP with success.
            if acted.outcome.is_error() || self.coordinator.is_over_limit(self.number) {
                break;
            }
            // What the last one has changed is looked at when the step has ended.
            if number + 1 < statements.len() && self.may_show(&acted) {
                self.let_look().await;
            }
        }
        acted
    }

    async fn prepared(&mut self, statement: &Statement, params: &[Value]) -> Acted {
        let values: Result<Vec<SqlValue>, Outcome> = params.iter().map(|param| self.value(param)).collect();
        match (self.fill(statement), values) {
            (Ok(sql), Ok(values)) => {
                let run = async |connection: &mut Connection, sql: &str| {
                    connection.execute_prepared(sql, &values).await
                };
                self.run(sql, run).await
            }
            (Err(outcome), _) | (_, Err(outcome)) => Acted::single(outcome),
        }
    }

    async fn load(&mut self, statement: &Statement, content: &LoadContent) -> Acted {
        match (self.fill(statement), self.content(content)) {
            (Ok(sql), Ok(content)) => {
                let run = async |connection: &mut Connection, sql: &str| connection.load(sql, content).await;
                self.run(sql, run).await
            }
            (Err(outcome), _) | (_, Err(outcome)) => Acted::single(outcome),
        }
    }

    /// Ends another session, or its statement.
    async fn kill(&mut self, whole: bool, target: Option<u64>) -> Acted {
        let Some(target) = target else {
            let reason = "the connection to kill has no session".to_owned();
            return Acted::single(Outcome::Unanswered { reason });
        };
        let sql = match whole {
            true => format!("kill {target}"),
            false => format!("kill query {target}"),
        };
        self.run(sql, Connection::execute).await
    }

    async fn reconnect(&mut self) -> Acted {
        self.close().await;
        match self.open().await {
            Ok(()) => {
                self.coordinator.set_status(self.number, Status::Testing);
                Acted {
                    asked_server: true,
                    ..Acted::single(Outcome::Done(Done::default()))
                }
            }
            Err(error) => Acted::single(Outcome::Lost {
                message: error.to_string(),
                unsent: false,
            }),
        }
    }

    /// The warnings and the plan, where an expectation asks for them. The plan is asked from another session, so that
    /// the next statement of this one sees what it would have seen.
    pub(super) async fn ask_more(
        &mut self,
        step: &Step,
        acted: &Acted,
        vars: &Vars,
    ) -> (Option<Vec<SqlError>>, Option<RowSet>) {
        if acted.outcome.is_error() {
            return (None, None);
        }
        let needs = step.needs();
        let seen = Seen {
            outcome: &acted.outcome,
            took: Duration::ZERO,
            warnings: None,
            plan: None,
            vars,
        };
        // Where their number is not the one that is expected, the trial has failed, and the report says which they were.
        let mut counts = step.expectations.iter().filter(|one| one.key == "warnings");
        let told = needs.warnings || counts.any(|one| one.check.check(&seen).is_err());
        let Some(connection) = self.connection.as_mut() else {
            return (None, None);
        };
        let plan = match needs.plan {
            true => self.observer.plan_of(connection.session_id()).await,
            false => None,
        };
        let warnings = match told {
            true => connection.warnings().await.ok(),
            false => None,
        };
        (warnings, plan)
    }

    /// Carries out `save`, `shared` and `set`; writes down what could not be saved.
    pub(super) fn keep(&self, step: &Step, end: &mut StepEnd) {
        if step.save.is_empty() && step.set.is_empty() {
            return;
        }
        let (mut own, mut shared) = (Vars::new(), Vars::new());
        for (name, value) in &step.set {
            let kept = match self.plan.owners.is_own(self.number, name) {
                true => &mut own,
                false => &mut shared,
            };
            match self.value(value) {
                Ok(value) => drop(kept.insert(name.clone(), value)),
                Err(_) => {
                    end.save_problem = Some(format!("`{name}` is set from a variable without a value"));
                }
            }
        }
        for one in &step.save {
            let name = &one.name;
            let kept = if one.shared { &mut shared } else { &mut own };
            match saved(&one.source, &end.outcome) {
                Ok(value) => drop(kept.insert(name.clone(), value)),
                Err(reason) => {
                    end.save_problem = Some(format!("`{name}` cannot be saved: {reason}"));
                }
            }
        }
        self.coordinator.keep(self.number, own, shared);
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

pub(super) fn unknown_variable(name: String) -> Outcome {
    Outcome::Unanswered {
        reason: format!("`${{{name}}}` has no value (the step that sets it has not run)"),
    }
}

pub(super) fn closed() -> Outcome {
    Outcome::Lost {
        message: "the connection is closed; `reconnect: true` opens it again".to_owned(),
        unsent: true,
    }
}
