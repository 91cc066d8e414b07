//! What a handler is given.

use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::error::{StateError, shown};
use super::variable::Variable;
use super::with::With;
use crate::connection::testing::{ScriptedServer, ScriptedSessions};
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::coordinator::CoordinationHandle;
use crate::history::{Done, Outcome, RowSet, SqlValue, show};
use crate::job::Ask;
use crate::sql::QUERY_INTERRUPTED;

/// How long a statement that was killed may take to come back, and a roll-back after it.
const KILL_MAX: Duration = Duration::from_secs(2);

/// What a handler is given: its connection, its parameters, variables, and what connections share.
///
/// Whoever runs handlers lends the connection with [`Self::lend`] and takes it out again with [`Self::take`].
pub struct StateContext {
    id: String,
    config: Option<ConnectionConfig>,
    pub(super) options: ConnectionOptions,
    connection: Option<Connection>,
    /// Where sessions come from in place of a server.
    scripted: Option<ScriptedSessions>,
    pub(super) handle: CoordinationHandle,
    with: With,
    version: Option<String>,
    /// Whether the session's last statement may have been ended by a KILL.
    interrupted: bool,
    /// Whether it is in the middle of the test, not on the way there.
    testing: bool,
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

/// A statement as a handler gives it.
#[derive(Clone, Copy)]
enum Given<'s> {
    Text(&'s str),
    Prepared(&'s str, &'s [SqlValue]),
}

impl StateContext {
    /// A context for the connection named `id`, without a session, without a place to connect to, and without other
    /// connections.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        let handle = CoordinationHandle::alone(&id);
        Self::with_handle(id, handle)
    }

    /// A context with a session of a script in place of TiDB, for tests of handlers:
    /// [`crate::connection::testing`] has an example. [`Self::connect`] opens another one.
    #[must_use]
    pub fn scripted(id: impl Into<String>, server: &ScriptedServer) -> Self {
        let mut context = Self::new(id);
        let sessions = server.sessions();
        context.testing = true;
        context.opened(sessions.open());
        context.scripted = Some(sessions);
        context
    }

    pub(crate) fn with_handle(id: impl Into<String>, handle: CoordinationHandle) -> Self {
        Self {
            id: id.into(),
            config: None,
            options: ConnectionOptions::default(),
            connection: None,
            scripted: None,
            handle,
            with: With::default(),
            version: None,
            interrupted: false,
            testing: false,
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

    /// The connection enters a state.
    pub(crate) fn enter(&mut self, name: &str, testing: bool) {
        self.testing = testing;
        self.handle.enter(name, testing);
    }

    // --- the session

    /// Opens the session, as often as the options' policies allow; one that is open is closed first.
    ///
    /// # Errors
    /// [`StateError::NoTarget`], [`StateError::Connect`].
    pub async fn connect(&mut self) -> Result<(), StateError> {
        if self.scripted.is_none() && self.config.is_none() {
            return Err(StateError::NoTarget);
        }
        self.disconnect().await;
        self.handle.connecting();
        let session = match (&self.scripted, &self.config) {
            (Some(sessions), _) => sessions.open(),
            (None, Some(config)) => {
                let handle = &self.handle;
                Connection::open_retrying(config, &self.options, |error, wait| {
                    tracing::debug!(connection = %config.id, %error, ?wait, "connects again");
                    handle.retried(wait);
                })
                .await?
            }
            (None, None) => return Err(StateError::NoTarget),
        };
        self.opened(session);
        Ok(())
    }

    fn opened(&mut self, session: Connection) {
        let version = session.version().to_owned();
        self.handle
            .connected(session.session_id(), &version, self.testing);
        self.version = Some(version);
        self.lend(session);
    }

    /// Closes the session, if one is open. What its transaction did is rolled back.
    pub async fn disconnect(&mut self) {
        let Some((mut connection, interrupted)) = self.take() else {
            return;
        };
        self.handle.close_session();
        // The server would go on with a statement whose future was dropped, and hold its locks.
        if connection.is_mid_answer()
            && let Some(config) = &self.config
        {
            kill(config, &self.options, "kill", connection.session_id()).await;
        }
        // TiDB 8.5 remembers a KILL until the session's next statement, and the whole server ends with a panic
        // where it meets it while it rolls back for a closed connection.
        if interrupted && !connection.is_lost() && !connection.is_scripted() {
            let rollback = tokio::time::timeout(KILL_MAX, connection.execute("rollback"));
            if rollback.await.is_err() {
                tracing::warn!(connection = %self.id, "no roll-back in time");
            }
        }
        connection.close().await;
    }

    /// Whether a session is open, as far as is known. While connections of a coordinator run no statement, it is
    /// looked several times a second whether their sessions are still there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let open = self.connection.as_ref();
        open.is_some_and(|connection| !connection.is_lost()) && !self.handle.is_gone()
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
        self.recorded(Given::Text(sql)).await
    }

    /// Prepares one statement and runs it with these values; otherwise as [`Self::execute`].
    ///
    /// # Errors
    /// [`StateError::NotConnected`].
    ///
    /// # Cancellation
    /// Dropping the future loses the session.
    pub async fn execute_prepared(&mut self, sql: &str, params: &[SqlValue]) -> Result<Outcome, StateError> {
        self.recorded(Given::Prepared(sql, params)).await
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

    /// Runs a statement, and keeps a record of it.
    async fn recorded(&mut self, given: Given<'_>) -> Result<Outcome, StateError> {
        let (Given::Text(sql) | Given::Prepared(sql, _)) = given;
        let record = self.handle.begin_statement(sql);
        let began = Instant::now();
        let outcome = self.limited(given).await;
        if let Ok(outcome) = &outcome {
            let open = self
                .connection
                .as_ref()
                .filter(|connection| !connection.is_lost());
            let flags = open.and_then(Connection::flags);
            self.handle.end_statement(record, began.elapsed(), outcome, flags);
        }
        outcome
    }

    async fn limited(&mut self, given: Given<'_>) -> Result<Outcome, StateError> {
        let limit = self.options.statement_max;
        let connection = self.connection.as_mut().ok_or(StateError::NotConnected)?;
        let session = connection.session_id();
        let running = async {
            match given {
                Given::Text(sql) => connection.execute(sql).await,
                Given::Prepared(sql, params) => connection.execute_prepared(sql, params).await,
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
            Outcome::Rows(_) | Outcome::Done(_) | Outcome::Lost { .. } | Outcome::Unanswered { .. } => false,
        };
        Ok(outcome)
    }
}

/// For those who look at the server again and again: their statements are not recorded.
#[async_trait]
impl Ask for StateContext {
    async fn ask(&mut self, sql: &str) -> Outcome {
        self.limited(Given::Text(sql))
            .await
            .unwrap_or_else(|error| Outcome::Lost {
                message: error.to_string(),
                unsent: true,
            })
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
