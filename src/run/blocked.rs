//! Whether a step is blocked, and by whom: as the server shows it, with the trial's own names.

use std::sync::Arc;

use super::driver::Driver;
use crate::history::{SqlValue, Stopped, Wait, WaitRule};
use crate::lock_wait::{self, LockView, SchemaWait};
use crate::machine::vars_of;
use crate::plan::ControlId;
use crate::sql::{Kind, Product, Statement, UserLockFunction, classified, user_lock_in};

/// What holds a step back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub rule: WaitRule,
    /// The connections that hold it back; none where that is a session outside of the trial.
    pub holders: Vec<usize>,
    pub key: Option<String>,
}

impl Blocked {
    /// Whether it is a connection of the trial that holds the step back. (InnoDB does not say who it is.)
    pub fn is_by_trial(&self) -> bool {
        !self.holders.is_empty() || self.rule == WaitRule::InnoDb
    }
}

/// Which user-level locks a statement asks for.
enum Asked {
    /// These, as its text has them.
    These(Vec<String>),
    /// Its text does not tell.
    Unknown,
}

impl Driver<'_> {
    /// What a server shows now of who is blocked.
    pub async fn view(&mut self, control: ControlId) -> Result<LockView, Stopped> {
        let sessions: Vec<u64> = (0..self.sessions.len())
            .filter_map(|number| self.coordinator.session(number))
            .collect();
        match LockView::ask(&mut self.controls[control].connection, &sessions).await {
            Ok(view) => Ok(view),
            Err(outcome) => Err(Stopped::ServerLost {
                reason: format!(
                    "asking who is blocked gave {}",
                    crate::history::describe(&outcome)
                ),
            }),
        }
    }

    /// Whether the server shows that a step is blocked.
    pub async fn is_blocked(&mut self, record: usize) -> Result<Option<Blocked>, Stopped> {
        let blocked = self.are_blocked(&[record]).await?;
        Ok(blocked.into_iter().find_map(|(_, blocked)| blocked))
    }

    /// The same of several steps, by one look at each server.
    pub async fn are_blocked(&mut self, records: &[usize]) -> Result<Vec<(usize, Option<Blocked>)>, Stopped> {
        let mut views: Vec<(ControlId, LockView)> = Vec::new();
        let mut all = Vec::with_capacity(records.len());
        for record in records.iter().copied() {
            let control = self.sessions[self.connection_of(record)].control;
            if !views.iter().any(|(asked, _)| *asked == control) {
                views.push((control, self.view(control).await?));
            }
            let view = views.iter().find(|(asked, _)| *asked == control);
            let blocked = match view.and_then(|(_, view)| self.in_view(view, record)) {
                None if self.may_change_schema(record) => self.schema_wait(record).await,
                blocked => blocked,
            };
            all.push((record, blocked));
        }
        Ok(all)
    }

    /// Whether a view shows that a step is blocked by locks of rows, or by a user-level lock.
    pub(super) fn in_view(&self, view: &LockView, record: usize) -> Option<Blocked> {
        let connection = self.connection_of(record);
        let session = self.session_of(record)?;
        if let Some(holder) = view.holder_of(session) {
            let rule = match self.product(connection) {
                Product::TiDb => WaitRule::RowLock,
                Product::MariaDb | Product::MySql => WaitRule::InnoDb,
            };
            let holder_number = holder.session.and_then(|session| self.connection_with(session));
            // Whoever runs a statement, and is not blocked itself, may let go of its locks in a moment.
            if holder_number.is_some_and(|number| !self.is_at_rest(view, number)) {
                return None;
            }
            return Some(Blocked {
                rule,
                holders: holder_number.into_iter().collect(),
                key: Some(holder.key).filter(|key| !key.is_empty()),
            });
        }
        self.user_lock_wait(view, connection, record)
    }

    /// Which server a connection is on.
    fn product(&self, connection: usize) -> Product {
        self.controls[self.sessions[connection].control]
            .connection
            .product()
    }

    fn connection_with(&self, session: u64) -> Option<usize> {
        (0..self.sessions.len()).find(|number| self.coordinator.session(*number) == Some(session))
    }

    /// Whether a connection runs nothing, or is itself blocked.
    fn is_at_rest(&self, view: &LockView, connection: usize) -> bool {
        let Some(record) = self.sessions[connection].running else {
            return true;
        };
        let session = self.coordinator.session(connection);
        // Other waits than those for rows are not in the view.
        let otherwise = |wait: Wait| wait.rule != WaitRule::RowLock && wait.released_by.is_none();
        session.is_some_and(|session| view.holder_of(session).is_some())
            || self.wait_of(record).is_some_and(otherwise)
    }

    /// A wait for a user-level lock. The server shows which lock is waited for, not which session waits, nor which one has
    /// it; but only those of this trial use the lock now. So it is known where all that may ask for the lock are among the
    /// waiters, and where one alone can have it; otherwise it is not known, and no wait.
    fn user_lock_wait(&self, view: &LockView, connection: usize, record: usize) -> Option<Blocked> {
        let Asked::These(own) = self.asked_user_locks(record) else {
            return None;
        };
        let awaited = |name: &str| {
            let waiters = view.awaited_user_locks();
            waiters.filter(|other| other.eq_ignore_ascii_case(name)).count()
        };
        let name = own.into_iter().find(|name| awaited(name) > 0)?;
        let running = self.sessions.iter().filter_map(|slot| slot.running);
        let may_wait = |record: &usize| match self.asked_user_locks(*record) {
            Asked::These(names) => names.contains(&name),
            Asked::Unknown => true,
        };
        if running.filter(may_wait).count() > awaited(&name) {
            return None;
        }
        let others = || (0..self.sessions.len()).filter(|number| *number != connection);
        let has = |number: &usize, certain: bool| {
            let database = self.database_of(*number);
            let is = |told: &str| user_lock_in(told, &database).is_none_or(|held| held == name);
            let transaction = &self.sessions[*number].transaction;
            match certain {
                true => transaction.has_user_lock(is),
                false => transaction.may_hold_user_lock(is),
            }
        };
        let mut holders: Vec<usize> = others().filter(|number| has(number, true)).collect();
        if holders.is_empty() {
            holders = others().filter(|number| has(number, false)).collect();
        }
        (holders.len() == 1).then(|| Blocked {
            rule: WaitRule::UserLock,
            holders,
            key: Some(format!("user-level lock {name}")),
        })
    }

    /// The database that a connection begins in.
    fn database_of(&self, connection: usize) -> String {
        let vars = vars_of(&self.plan, &self.coordinator, Some(connection));
        let name = match &self.plan.connections[connection].database {
            Some(own) => format!("database.{own}"),
            None => "database".to_owned(),
        };
        match vars.get(&name) {
            Some(SqlValue::Text(real)) => real.clone(),
            _ => String::new(),
        }
    }

    /// The user-level locks that a running step's statement asks for, in lower case.
    fn asked_user_locks(&self, record: usize) -> Asked {
        let text = self.statement_text(record);
        let connection = self.connection_of(record);
        let executed = self.sessions[connection].transaction.executed(&text);
        let statement = classified(executed.unwrap_or(&text));
        let mut names = Vec::new();
        for call in statement.user_locks() {
            if call.function != UserLockFunction::Get {
                continue;
            }
            let name = call
                .name
                .told()
                .map(|told| user_lock_in(told, &self.database_of(connection)));
            match name.flatten() {
                Some(name) => names.push(name),
                None => return Asked::Unknown,
            }
        }
        match executed {
            None if statement.is_execute() => Asked::Unknown,
            _ => Asked::These(names),
        }
    }

    /// Whether a step's statement may be a schema change.
    pub(super) fn may_change_schema(&self, record: usize) -> bool {
        matches!(
            self.statement(record).kind,
            Kind::Ddl | Kind::Execute | Kind::Other
        )
    }

    /// What a schema change waits for, if the step is one and waits.
    pub(super) async fn schema_wait(&mut self, record: usize) -> Option<Blocked> {
        let connection = self.connection_of(record);
        let session = self.session_of(record)?;
        let control = self.sessions[connection].control;
        let wait = lock_wait::schema_wait(&mut self.controls[control].connection, session).await?;
        let (rule, sessions) = match wait {
            SchemaWait::Sessions(sessions) => (WaitRule::MetadataLock, sessions),
            SchemaWait::Queue(sessions) => (WaitRule::SchemaChange, sessions),
        };
        let holders = (0..self.sessions.len()).filter(|number| {
            let own = self.coordinator.session(*number);
            *number != connection && own.is_some_and(|own| sessions.contains(&own))
        });
        Some(Blocked {
            rule,
            holders: holders.collect(),
            key: None,
        })
    }

    /// The statement that a step runs, as far as it is known before it returns.
    fn statement(&self, record: usize) -> Arc<Statement> {
        classified(&self.statement_text(record))
    }

    fn statement_text(&self, record: usize) -> String {
        let step = self.step_of(record);
        let Some(statement) = step.action.statements().last() else {
            return String::new();
        };
        let vars = vars_of(&self.plan, &self.coordinator, Some(step.connection));
        statement.text.fill(&vars).unwrap_or_default()
    }

    /// Writes down that a step is blocked.
    pub(super) fn note_blocked(&self, record: usize, blocked: Blocked) {
        let connection = self.connection_of(record);
        tracing::debug!(
            connection = self.plan.connections[connection].name,
            ?blocked,
            "blocked"
        );
        self.coordinator.enter(connection, crate::plan::BLOCKED);
        let wait = Wait {
            seen_us: self.coordinator.now_us(),
            rule: blocked.rule,
            holders: blocked.holders,
            key: blocked.key,
            released_by: None,
            not_waiting_before: Vec::new(),
        };
        self.coordinator
            .change_step(record, |record| record.wait = Some(wait));
    }

    /// Writes down who holds back a step now that was blocked before.
    pub fn note_held(&self, record: usize, blocked: &Blocked) {
        self.coordinator.change_step(record, |record| {
            if let Some(wait) = &mut record.wait {
                wait.released_by = None;
                for holder in &blocked.holders {
                    if !wait.holders.contains(holder) {
                        wait.holders.push(*holder);
                    }
                }
            }
        });
    }
}
