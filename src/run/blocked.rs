//! Whether a step is blocked, and by whom: as the server shows it, with the trial's own names.

use super::driver::Driver;
use crate::history::{Stopped, Wait, WaitRule};
use crate::lock_wait::{self, LockView, SchemaWait};
use crate::machine::vars_of;
use crate::plan::ControlId;
use crate::sql::{Kind, Product, Statement, classify};

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
        let control = self.sessions[self.connection_of(record)].control;
        let view = self.view(control).await?;
        match self.in_view(&view, record) {
            None if self.may_change_schema(record) => Ok(self.schema_wait(record).await),
            blocked => Ok(blocked),
        }
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

    /// A wait for a user-level lock. The server shows which lock is waited for, not which session does; but only those
    /// of this trial use the lock now, and they know who took it.
    fn user_lock_wait(&self, view: &LockView, connection: usize, record: usize) -> Option<Blocked> {
        let statement = self.statement(record);
        let unknown = matches!(statement.kind, Kind::Execute | Kind::Other);
        if !unknown && !statement.takes_user_lock() {
            return None;
        }
        let may_wait_for = |name: &str| match &statement.kind {
            Kind::GetLock { name: Some(own) } => own.eq_ignore_ascii_case(name),
            _ => true,
        };
        view.awaited_user_locks()
            .filter(|name| may_wait_for(name))
            .find_map(|name| {
                let holders = (0..self.sessions.len()).filter(|number| *number != connection);
                let holders: Vec<usize> = holders
                    .filter(|number| self.sessions[*number].transaction.holds_user_lock(Some(name)))
                    .collect();
                (!holders.is_empty()).then(|| Blocked {
                    rule: WaitRule::UserLock,
                    holders,
                    key: Some(format!("user-level lock {name}")),
                })
            })
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
    pub fn statement(&self, record: usize) -> Statement {
        classify(&self.statement_text(record))
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
