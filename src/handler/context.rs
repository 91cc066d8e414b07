//! What a handler is given.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::shown;
use super::{Coordination, StateError, Variable, With};
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::show;
use crate::history::{Done, Outcome, RowSet, SqlValue};
use crate::sql::QUERY_INTERRUPTED;

/// How long a statement that was killed may take to come back, and a roll-back after it.
const KILL_MAX: Duration = Duration::from_secs(2);

/// What happens to a connection while its handlers work, for whoever runs them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextEvent {
    /// A session is being opened.
    Connecting,
    /// A session is open.
    Connected {
        /// The server's `CONNECTION_ID()`.
        session: u64,
        /// What `select version()` answers.
        version: String,
    },
    /// Something is tried again.
    Retried {
        /// Why it has to be.
        reason: String,
        /// The wait before it.
        wait: Duration,
    },
}

type Listener = Arc<dyn Fn(&ContextEvent) + Send + Sync>;

/// What a handler is given: its connection, its parameters, variables, and what connections share.
///
/// Whoever runs handlers lends the connection with [`Self::lend`] and takes it out again with [`Self::take`].
pub struct StateContext {
    id: String,
    config: Option<ConnectionConfig>,
    pub(super) options: ConnectionOptions,
    pub(super) connection: Option<Connection>,
    coordination: Arc<dyn Coordination>,
    with: With,
    version: Option<String>,
    // Whether the session's last statement may have been ended by a KILL.
    interrupted: bool,
    listener: Option<Listener>,
}

impl fmt::Debug for StateContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateContext")
            .field("id", &self.id)
            .field("config", &self.config)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// A statement as it is sent.
#[derive(Clone, Copy)]
enum Sent<'s> {
    Text(&'s str),
    Prepared(&'s str, &'s [SqlValue]),
}

impl StateContext {
    /// A context for the connection named `id`, without a session and without a place to connect to.
    #[must_use]
    pub fn new(id: impl Into<String>, coordination: Arc<dyn Coordination>) -> Self {
        Self {
            id: id.into(),
            config: None,
            options: ConnectionOptions::default(),
            connection: None,
            coordination,
            with: With::default(),
            version: None,
            interrupted: false,
            listener: None,
        }
    }

    /// Says where [`Self::connect`] connects, and with which limits and policies.
    #[must_use]
    pub fn target(mut self, config: ConnectionConfig, options: ConnectionOptions) -> Self {
        self.config = Some(config);
        self.options = options;
        self
    }

    /// Gives the handler its parameters.
    #[must_use]
    pub fn with_parameters(mut self, with: serde_json::Value) -> Self {
        self.with = With::new(with);
        self
    }

    /// Tells `listener` what happens to the connection.
    #[must_use]
    pub fn listener(mut self, listener: impl Fn(&ContextEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Lends a session.
    pub fn lend(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.interrupted = false;
    }

    /// Takes the session out again, and whether its last statement may have been ended by a KILL: then it must
    /// roll back before it is closed.
    pub fn take(&mut self) -> Option<(Connection, bool)> {
        let interrupted = std::mem::take(&mut self.interrupted);
        self.connection.take().map(|connection| (connection, interrupted))
    }

    /// The connection's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where [`Self::connect`] connects.
    #[must_use]
    pub fn config(&self) -> Option<&ConnectionConfig> {
        self.config.as_ref()
    }

    /// Limits and policies.
    #[must_use]
    pub fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// The handler's parameters: what stands below `with` in a scenario file.
    #[must_use]
    pub fn with(&self) -> &With {
        &self.with
    }

    /// What the server said of its version when the session was opened.
    #[must_use]
    pub fn server_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(super) fn set_server_version(&mut self, version: String) {
        self.version = Some(version);
    }

    pub(super) fn tell(&self, event: &ContextEvent) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    // --- the session

    /// Opens the session, as often as the options' policies allow; one that is open is closed first.
    ///
    /// # Errors
    /// [`StateError::NoTarget`], [`StateError::Connect`].
    pub async fn connect(&mut self) -> Result<(), StateError> {
        let config = self.config.clone().ok_or(StateError::NoTarget)?;
        self.disconnect().await;
        self.tell(&ContextEvent::Connecting);
        let listener = self.listener.clone();
        let retried = |error: &dyn fmt::Display, wait: Duration| {
            tracing::debug!(connection = %config.id, %error, ?wait, "connects again");
            if let Some(listener) = &listener {
                let reason = error.to_string();
                listener(&ContextEvent::Retried { reason, wait });
            }
        };
        let options = self.options.clone();
        let opened = Connection::open_retrying(&config, &options, |error, wait| retried(error, wait)).await?;
        let session = opened.session_id();
        self.lend(opened);
        if let SqlValue::Text(version) = self.value("select version()").await? {
            self.version = Some(version.clone());
            self.tell(&ContextEvent::Connected { session, version });
        }
        Ok(())
    }

    /// Closes the session, if one is open. What its transaction did is rolled back.
    pub async fn disconnect(&mut self) {
        let Some((mut connection, interrupted)) = self.take() else {
            return;
        };
        // The server would go on with a statement whose future was dropped, and hold its locks.
        if connection.is_mid_answer()
            && let Some(config) = &self.config
        {
            kill(config, &self.options, "kill", connection.session_id()).await;
        }
        // TiDB 8.5 remembers a KILL until the session's next statement, and the whole server ends with a panic
        // where it meets it while it rolls back for a closed connection.
        if interrupted && !connection.is_lost() {
            let rollback = tokio::time::timeout(KILL_MAX, connection.execute("rollback"));
            if rollback.await.is_err() {
                tracing::warn!(connection = %self.id, "no roll-back in time");
            }
        }
        connection.close().await;
    }

    /// Whether a session is open, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| !connection.is_lost())
    }

    /// The session itself, for what has no method here. Its limits are then yours to keep.
    ///
    /// # Errors
    /// [`StateError::NotConnected`].
    pub fn connection(&mut self) -> Result<&mut Connection, StateError> {
        self.connection.as_mut().ok_or(StateError::NotConnected)
    }

    /// Runs one statement. What the server refuses is an outcome here, not an error.
    ///
    /// A statement over [`ConnectionOptions::statement_max`] is ended by KILL QUERY from another session;
    /// where that does not help, the session is given up.
    ///
    /// # Errors
    /// [`StateError::NotConnected`].
    ///
    /// # Cancellation
    /// Dropping the future loses the session.
    pub async fn execute(&mut self, sql: &str) -> Result<Outcome, StateError> {
        self.send(Sent::Text(sql)).await
    }

    /// Prepares one statement and runs it with these values; otherwise as [`Self::execute`].
    ///
    /// # Errors
    /// [`StateError::NotConnected`].
    ///
    /// # Cancellation
    /// Dropping the future loses the session.
    pub async fn execute_prepared(&mut self, sql: &str, params: &[SqlValue]) -> Result<Outcome, StateError> {
        self.send(Sent::Prepared(sql, params)).await
    }

    /// Runs one statement that has no result set.
    ///
    /// # Errors
    /// Whatever else comes of it.
    pub async fn run(&mut self, sql: &str) -> Result<Done, StateError> {
        match StateError::of_outcome(sql, self.execute(sql).await?)? {
            Outcome::Done(done) => Ok(done),
            other => Err(unexpected(sql, "no result set", &other)),
        }
    }

    /// Runs one statement that has a result set.
    ///
    /// # Errors
    /// Whatever else comes of it.
    pub async fn rows(&mut self, sql: &str) -> Result<RowSet, StateError> {
        match StateError::of_outcome(sql, self.execute(sql).await?)? {
            Outcome::Rows(set) => Ok(set),
            other => Err(unexpected(sql, "a result set", &other)),
        }
    }

    /// Runs one statement that gives one row of one column.
    ///
    /// # Errors
    /// Whatever else comes of it.
    pub async fn value(&mut self, sql: &str) -> Result<SqlValue, StateError> {
        let mut set = self.rows(sql).await?;
        match set.rows.as_mut_slice() {
            [row] if row.len() == 1 => Ok(row.remove(0)),
            rows => Err(StateError::Result {
                sql: shown(sql),
                wanted: "one row of one column",
                got: format!("{} rows of {} columns", rows.len(), set.columns.len()),
            }),
        }
    }

    /// [`Self::value`], as a Rust type.
    ///
    /// # Errors
    /// Whatever else comes of it.
    pub async fn value_as<T: Variable>(&mut self, sql: &str) -> Result<T, StateError> {
        let value = self.value(sql).await?;
        T::from_value(&value).ok_or_else(|| StateError::Result {
            sql: shown(sql),
            wanted: T::WHAT,
            got: show(&value),
        })
    }

    async fn send(&mut self, sent: Sent<'_>) -> Result<Outcome, StateError> {
        let limit = self.options.statement_max;
        let connection = self.connection.as_mut().ok_or(StateError::NotConnected)?;
        let session = connection.session_id();
        let running = async {
            match sent {
                Sent::Text(sql) => connection.execute(sql).await,
                Sent::Prepared(sql, params) => connection.execute_prepared(sql, params).await,
            }
        };
        tokio::pin!(running);
        let outcome = match tokio::time::timeout(limit, &mut running).await {
            Ok(outcome) => outcome,
            Err(_) => {
                if let Some(config) = &self.config {
                    kill(config, &self.options, "kill query", session).await;
                }
                let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                match tokio::time::timeout(KILL_MAX, &mut running).await {
                    Ok(lost @ Outcome::Lost { .. }) => lost,
                    // Whatever came of it in the end came too late. Dropping it loses the session.
                    Ok(_) | Err(_) => Outcome::TimedOut {
                        limit_ms,
                        starved: false,
                    },
                }
            }
        };
        self.interrupted = match &outcome {
            Outcome::TimedOut { .. } => true,
            Outcome::Refused(error) => error.code == QUERY_INTERRUPTED,
            Outcome::Rows(_) | Outcome::Done(_) | Outcome::Lost { .. } => false,
        };
        Ok(outcome)
    }

    // --- what connections share

    /// What connections share.
    #[must_use]
    pub fn coordination(&self) -> &Arc<dyn Coordination> {
        &self.coordination
    }

    /// A variable that connections share.
    ///
    /// # Errors
    /// [`StateError::Variable`] where it is not set or of another type.
    pub fn get<T: Variable>(&self, name: &str) -> Result<T, StateError> {
        let wrong = |reason: String| StateError::Variable {
            name: name.to_owned(),
            reason,
        };
        let value = self
            .coordination
            .var(name)
            .ok_or_else(|| wrong("it is not set".to_owned()))?;
        T::from_value(&value).ok_or_else(|| wrong(format!("it is {}, not {}", show(&value), T::WHAT)))
    }

    /// Sets a variable that connections share.
    pub fn set(&self, name: &str, value: impl Variable) {
        self.coordination.set_var(name, value.into_value());
    }

    /// Adds to a whole number that connections share, in one go, and gives the sum.
    ///
    /// # Errors
    /// [`StateError::Variable`] where it is no whole number.
    pub fn add(&self, name: &str, number: i128) -> Result<i128, StateError> {
        self.coordination
            .add(name, number)
            .map_err(|reason| StateError::Variable {
                name: name.to_owned(),
                reason,
            })
    }

    /// An event has come; those who wait for it go on.
    pub fn signal(&self, event: &str) {
        self.coordination.signal(event);
    }

    /// Waits for an event, at most so long.
    ///
    /// # Errors
    /// [`StateError::Wait`]: over the limit, or at once when it can no longer come.
    pub async fn wait_for(&self, event: &str, limit: Duration) -> Result<(), StateError> {
        Ok(self.coordination.wait_for(event, limit).await?)
    }

    /// Appends to a series.
    pub fn record(&self, series: &str, value: impl Variable) {
        self.coordination.record(series, value.into_value());
    }
}

fn unexpected(sql: &str, wanted: &'static str, got: &Outcome) -> StateError {
    StateError::Result {
        sql: shown(sql),
        wanted,
        got: got.word(),
    }
}

/// Ends a session or its statement from another session. That it may fail is as good as its not helping.
async fn kill(config: &ConnectionConfig, options: &ConnectionOptions, verb: &str, session: u64) {
    let options = ConnectionOptions {
        connect_max: KILL_MAX.min(options.connect_max),
        ..options.clone()
    };
    let killed = async {
        let mut control = Connection::open(config, &options).await.ok()?;
        let outcome = control.execute(&format!("{verb} {session}")).await;
        control.close().await;
        Some(outcome)
    };
    match tokio::time::timeout(2 * KILL_MAX, killed).await {
        Ok(Some(Outcome::Done(_))) => {}
        other => tracing::warn!(connection = %config.id, session, ?other, verb, "KILL failed"),
    }
}
