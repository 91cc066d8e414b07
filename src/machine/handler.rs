//! Runs handlers that are written in Rust on a machine's connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::acted::Acted;
use super::worker::Worker;
use crate::coordinator::Coordinator;
use crate::coordinator::waits::Wanted;
use crate::handler::{
    Coordination, ImportJob, Next, SharedSnapshot, StateContext, StateError, WaitError, run_handler,
};
use crate::history::{Done, JobKind, JobSeen, Outcome, SqlError, SqlValue, Vars};
use crate::plan::HandlerPlan;

/// The number of an error that no server has: what a handler says by itself.
const UNKNOWN_ERROR: u16 = 1105;

/// The place of one connection among those that share a trial's state.
#[derive(Debug)]
struct CoordinationHandle {
    coordinator: Arc<Coordinator>,
    number: usize,
}

#[async_trait]
impl Coordination for CoordinationHandle {
    fn var(&self, name: &str) -> Option<SqlValue> {
        self.coordinator.look(|shared| shared.vars.get(name).cloned())
    }

    fn set_var(&self, name: &str, value: SqlValue) {
        self.coordinator
            .update_vars(Vars::from([(name.to_owned(), value)]));
    }

    fn add(&self, name: &str, number: i128) -> Result<i128, String> {
        self.coordinator.look_and_change(|shared| {
            let before = match shared.vars.get(name) {
                None => 0,
                Some(SqlValue::Int(before)) => *before,
                Some(other) => return Err(crate::history::show(other)),
            };
            let sum = before.checked_add(number).ok_or_else(|| "too large".to_owned())?;
            shared.vars.insert(name.to_owned(), SqlValue::Int(sum));
            Ok(sum)
        })
    }

    fn signal(&self, event: &str) {
        self.coordinator.signal(self.number, event);
    }

    async fn wait_for(&self, event: &str, limit: Duration) -> Result<(), WaitError> {
        let wanted = Wanted::Event {
            name: event.to_owned(),
            times: 1,
        };
        let waited = self.coordinator.wait_and_go_on(self.number, wanted, limit).await;
        waited.map_err(|why| WaitError::InVain {
            event: event.to_owned(),
            reasons: why.reasons,
        })
    }

    fn record(&self, series: &str, value: SqlValue) {
        self.coordinator.record(series, value);
    }

    fn import_job(&self, job: &ImportJob) {
        self.coordinator.saw_job(self.number, &seen(job));
    }

    fn snapshot(&self) -> SharedSnapshot {
        self.coordinator.look(|shared| SharedSnapshot {
            vars: shared.vars.clone(),
            events: shared.events.iter().map(|event| event.name.clone()).collect(),
            series: shared
                .series
                .iter()
                .map(|(name, values)| {
                    let values = values.iter().map(|(_, value)| value.clone());
                    (name.clone(), values.collect())
                })
                .collect(),
        })
    }
}

/// A look at a job as the machines' own watch has it.
fn seen(job: &ImportJob) -> JobSeen {
    let text = |text: &str| match text {
        "" => SqlValue::Null,
        text => SqlValue::Text(text.to_owned()),
    };
    let table = job.table.replace('`', "");
    let table = table.rsplit('.').next().unwrap_or_default();
    JobSeen {
        kind: JobKind::Import,
        id: job.id.into(),
        status: job.status.clone(),
        phase: job.phase.clone(),
        fields: Vars::from([
            ("status".to_owned(), SqlValue::Text(job.status.clone())),
            ("phase".to_owned(), SqlValue::Text(job.phase.clone())),
            (
                "rows".to_owned(),
                job.imported_rows
                    .map_or(SqlValue::Null, |rows| SqlValue::Int(rows.into())),
            ),
            ("size".to_owned(), text(&job.source_size)),
            ("elapsed".to_owned(), SqlValue::Null),
            ("error".to_owned(), text(&job.message)),
            ("table".to_owned(), SqlValue::Text(table.to_owned())),
        ]),
        ended: job.is_over(),
    }
}

impl Worker {
    /// Lends the connection to a handler; the state that it leads to, where it names one, comes with what it
    /// came to.
    pub(super) async fn handle(&mut self, own: &HandlerPlan) -> Acted {
        let handle = CoordinationHandle {
            coordinator: Arc::clone(&self.coordinator),
            number: self.number,
        };
        let mut context = StateContext::new(self.config.id.clone(), Arc::new(handle))
            .target(self.config.clone(), self.options.clone())
            .with_parameters(own.with.clone());
        let before = self
            .connection
            .as_ref()
            .map(crate::connection::Connection::session_id);
        if let Some(connection) = self.connection.take() {
            context.lend(connection);
        }
        let ended = run_handler(&*own.handler, &mut context).await;
        if let Some((connection, interrupted)) = context.take() {
            self.interrupted |= interrupted;
            if before != Some(connection.session_id()) {
                self.coordinator.add_session(self.number, connection.session_id());
            }
            self.connection = Some(connection);
        }
        let (outcome, next) = match ended {
            Ok(Next::End) => (Outcome::Done(Done::default()), None),
            Ok(Next::State(state)) => (Outcome::Done(Done::default()), Some(state.name().to_owned())),
            Err(error) => (outcome_of(error), None),
        };
        Acted {
            next,
            asked_server: true,
            ..Acted::single(outcome)
        }
    }
}

/// A handler's error as a statement's would be, so that `on` and `error` know it.
fn outcome_of(error: StateError) -> Outcome {
    match error {
        StateError::Refused { error, .. } => Outcome::Refused(error),
        StateError::TimedOut { limit_ms, .. } => Outcome::TimedOut {
            limit_ms,
            starved: false,
        },
        StateError::Lost { message, .. } | StateError::CommitUnknown { message } => Outcome::Lost { message },
        other => match other.sql_error() {
            Some(error) => Outcome::Refused(error.clone()),
            None => Outcome::Refused(SqlError {
                code: UNKNOWN_ERROR,
                sqlstate: "HY000".to_owned(),
                message: other.to_string(),
            }),
        },
    }
}
