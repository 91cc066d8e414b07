//! A session: opened, used by one task at a time, closed.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, Params};

use super::config::{ConnectionConfig, ConnectionOptions};
use super::driver::{driver_options, outcome_of_error, set_session_vars};
use super::error::ConnectError;
use super::gate::Gate;
use super::script::{Script, Sent};
use super::value;
use crate::history::{Column, Done, Outcome, RowSet, SqlError, SqlValue};
use crate::policy::{CircuitBreaker, RetryClass};
use crate::sql::{Product, statement_count};

/// What is at the other end.
#[derive(Debug)]
enum Wire {
    Server(Conn),
    Script(Arc<Mutex<Script>>),
}

/// One session with TiDB.
///
/// # Cancellation
/// A future of this type that is dropped before it is done leaves the session in the middle of an
/// answer; the connection notices and refuses all further statements with [`Outcome::Lost`]. To cancel
/// a statement, end it with `KILL QUERY` from another connection and await its answer.
#[derive(Debug)]
pub struct Connection {
    wire: Option<Wire>,
    session_id: u64,
    version: String,
    product: Product,
    // Set while a statement is under way: still set at the next call if its future was dropped.
    mid_answer: bool,
    gate: Gate,
}

impl Connection {
    /// Opens a session, sets its variables, and learns its id.
    ///
    /// # Errors
    /// [`ConnectError`], within [`ConnectionOptions::connect_max`].
    pub async fn open(config: &ConnectionConfig, options: &ConnectionOptions) -> Result<Self, ConnectError> {
        let (host, port) = (config.host.clone(), config.port);
        let Ok(result) =
            tokio::time::timeout(options.connect_max, Self::open_unbounded(config, options)).await
        else {
            let limit_ms = options.connect_max.as_millis();
            return Err(ConnectError::NoAnswer { host, port, limit_ms });
        };
        result.map_err(|outcome| ConnectError::of(config, outcome))
    }

    /// Opens a session as often as [`ConnectionOptions::retry`] and [`ConnectionOptions::breaker`] allow.
    /// `waits` is told of each try that failed and will be followed by another, with the wait before it.
    ///
    /// # Errors
    /// The last try's [`ConnectError`].
    pub async fn open_retrying(
        config: &ConnectionConfig,
        options: &ConnectionOptions,
        mut waits: impl FnMut(&ConnectError, Duration),
    ) -> Result<Self, ConnectError> {
        let mut backoff = options.retry.backoff(&config.id);
        loop {
            let pass = match options.breaker.as_ref().map(CircuitBreaker::pass).transpose() {
                Ok(pass) => pass,
                Err(open) => {
                    return Err(ConnectError::LeftAlone {
                        host: config.host.clone(),
                        port: config.port,
                        open,
                    });
                }
            };
            let error = match Self::open(config, options).await {
                Ok(connection) => {
                    if let Some(pass) = pass {
                        pass.succeeded();
                    }
                    return Ok(connection);
                }
                Err(error) => error,
            };
            // A server that refuses has answered.
            match pass {
                Some(pass) if error.may_pass() => pass.failed(),
                Some(pass) => pass.succeeded(),
                None => {}
            }
            let class = if error.may_pass() {
                RetryClass::Reconnect
            } else {
                RetryClass::Never
            };
            let Some(wait) = backoff.after(class) else {
                return Err(error);
            };
            waits(&error, wait);
            tokio::time::sleep(wait).await;
        }
    }

    async fn open_unbounded(config: &ConnectionConfig, options: &ConnectionOptions) -> Result<Self, Outcome> {
        let conn = Conn::new(Opts::from(driver_options(config, options)))
            .await
            .map_err(|error| outcome_of_error(&error))?;
        let mut connection = Self {
            gate: options.gate.clone(),
            ..Self::over(Wire::Server(conn))
        };
        if let Some(set) = set_session_vars(options) {
            match connection.execute(&set).await {
                Outcome::Done(_) => {}
                refused => return Err(refused),
            }
        }
        connection.learn_id().await?;
        Ok(connection)
    }

    /// The id of the handshake has 32 bits, TiDB's may have 64; a proxy's greeting has its own.
    async fn learn_id(&mut self) -> Result<(), Outcome> {
        match self.execute("select connection_id(), version()").await {
            Outcome::Rows(rows) => match rows.rows.first().map(Vec::as_slice) {
                Some([SqlValue::Int(id), SqlValue::Text(version)]) => {
                    self.session_id = u64::try_from(*id).unwrap_or_default();
                    self.learn_version(version.clone());
                    Ok(())
                }
                _ => Err(Outcome::Done(Done::default())),
            },
            other => Err(other),
        }
    }

    /// A session that a pool has lent.
    pub(super) async fn lent(conn: Conn) -> Result<Self, Outcome> {
        let mut connection = Self::over(Wire::Server(conn));
        connection.learn_id().await?;
        Ok(connection)
    }

    /// A session of a script.
    pub(super) fn scripted(script: &Arc<Mutex<Script>>) -> Self {
        let mut connection = Self::over(Wire::Script(Arc::clone(script)));
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        connection.session_id = script.next_session();
        connection.learn_version(script.version.clone());
        connection
    }

    fn over(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            session_id: 0,
            version: String::new(),
            product: Product::default(),
            mid_answer: false,
            gate: Gate::default(),
        }
    }

    fn learn_version(&mut self, version: String) {
        self.product = Product::of_version(&version);
        self.version = version;
    }

    /// The server's `CONNECTION_ID()`, which `KILL` and `TIDB_TRX.SESSION_ID` use.
    #[must_use]
    pub fn session_id(&self) -> u64 {
        self.session_id
    }

    /// Which server it is a session of.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// What the server said of its version: `select version()`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The driver's connection; none where the session is lost, or a script is at the other end.
    pub(super) fn driver(&self) -> Option<&Conn> {
        match &self.wire {
            Some(Wire::Server(conn)) => Some(conn),
            Some(Wire::Script(_)) | None => None,
        }
    }

    /// Whether a script is at the other end.
    pub(crate) fn is_scripted(&self) -> bool {
        matches!(self.wire, Some(Wire::Script(_)))
    }

    /// Whether the session is known to be gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.wire.is_none() || self.mid_answer
    }

    /// Whether a statement's future was dropped before its answer came: the server may still run it.
    #[must_use]
    pub fn is_mid_answer(&self) -> bool {
        self.wire.is_some() && self.mid_answer
    }

    /// Runs one statement as text. A text of several is not sent: there would be several answers, and only one
    /// outcome.
    ///
    /// # Cancellation
    /// Dropping the future loses the session, see [`Connection`].
    pub async fn execute(&mut self, sql: &str) -> Outcome {
        let count = statement_count(sql);
        if count > 1 {
            return Outcome::Unanswered {
                reason: format!("this text has {count} statements, and was not sent: run them one by one"),
            };
        }
        if let Some(outcome) = self.by_script(|| Sent::Text(sql.to_owned())) {
            return outcome;
        }
        self.guarded(async |conn| {
            let result = conn.query_iter(sql).await?;
            read_result(result).await
        })
        .await
    }

    /// Prepares one statement and runs it with the values given, over the binary protocol.
    ///
    /// # Cancellation
    /// Dropping the future loses the session, see [`Connection`].
    pub async fn execute_prepared(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        if let Some(outcome) = self.by_script(|| Sent::Prepared(sql.to_owned(), params.to_vec())) {
            return outcome;
        }
        let values = params.iter().map(value::to_driver).collect::<Vec<_>>();
        let params = if values.is_empty() {
            Params::Empty
        } else {
            Params::Positional(values)
        };
        self.guarded(async |conn| {
            // mysql_async panics on a count that differs.
            let statement = conn.prep(sql).await?;
            let (wanted, given) = (usize::from(statement.num_params()), params_len(&params));
            if wanted != given {
                return Ok(Outcome::Unanswered {
                    reason: format!("the statement has {wanted} `?`, and {given} params are given"),
                });
            }
            let result = conn.exec_iter(&statement, params).await?;
            read_result(result).await
        })
        .await
    }

    /// Runs `LOAD DATA LOCAL INFILE`; whatever file the statement names, the server is given `content`.
    ///
    /// # Cancellation
    /// Dropping the future loses the session, see [`Connection`].
    pub async fn load(&mut self, sql: &str, content: Vec<u8>) -> Outcome {
        if let Some(outcome) = self.by_script(|| Sent::Load(sql.to_owned(), content.clone())) {
            return outcome;
        }
        self.guarded(async |conn| {
            // The OK of a ping has no text, so a text afterwards is the load's.
            conn.ping().await?;
            let body: io::Result<_> = Ok(content.into());
            conn.set_infile_handler(async move { Ok(stream::iter([body]).boxed()) });
            let result = conn.query_iter(sql).await?;
            let outcome = read_result(result).await?;
            // In a pessimistic transaction TiDB runs a load that met a newer row once more, and asks for
            // the file again where the protocol has its last packet. mysql_async takes that for an OK.
            if matches!(outcome, Outcome::Done(_)) && !conn.info().starts_with("Records") {
                let message = "the server asked for the file a second time, which the driver cannot answer: \
                               TiDB does so when a load in a pessimistic transaction met a newer row and runs again";
                return Ok(Outcome::Lost {
                    message: message.to_owned(),
                    unsent: false,
                });
            }
            Ok(outcome)
        })
        .await
    }

    /// The warnings of the statement before, by `SHOW WARNINGS` in the same session.
    ///
    /// # Errors
    /// The outcome of `SHOW WARNINGS` where it was not a result set.
    pub async fn warnings(&mut self) -> Result<Vec<SqlError>, Outcome> {
        let rows = match self.execute("show warnings").await {
            Outcome::Rows(rows) => rows.rows,
            other => return Err(other),
        };
        Ok(rows
            .into_iter()
            .filter_map(|row| match <[SqlValue; 3]>::try_from(row) {
                Ok([_, SqlValue::Int(code), SqlValue::Text(message)]) => Some(SqlError {
                    code: u16::try_from(code).unwrap_or_default(),
                    sqlstate: String::new(),
                    message,
                }),
                _ => None,
            })
            .collect())
    }

    /// Says goodbye and closes. A lost session is only dropped.
    pub async fn close(mut self) {
        if self.mid_answer {
            return;
        }
        if let Some(Wire::Server(conn)) = self.wire.take() {
            // The other side may be gone already; there is nothing left to lose.
            drop(conn.disconnect().await);
        }
    }

    /// The answer of a script, if one is at the other end.
    fn by_script(&mut self, sent: impl FnOnce() -> Sent) -> Option<Outcome> {
        let Some(Wire::Script(script)) = &self.wire else {
            return None;
        };
        let answer = script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(sent());
        if matches!(answer, Outcome::Lost { .. }) {
            self.wire = None;
        }
        Some(answer)
    }

    pub(super) async fn guarded(
        &mut self,
        run: impl AsyncFnOnce(&mut Conn) -> Result<Outcome, mysql_async::Error>,
    ) -> Outcome {
        if self.mid_answer {
            self.wire = None;
        }
        let Some(Wire::Server(conn)) = self.wire.as_mut() else {
            return Outcome::Lost {
                message: "the connection was lost before this statement".to_owned(),
                unsent: true,
            };
        };
        let Some(pass) = self.gate.enter() else {
            return Outcome::Lost {
                message: "the run is being ended".to_owned(),
                unsent: true,
            };
        };
        self.mid_answer = true;
        let result = run(conn).await;
        self.mid_answer = false;
        pass.done();
        let outcome = result.unwrap_or_else(|error| outcome_of_error(&error));
        match &outcome {
            Outcome::Lost { .. } => self.wire = None,
            Outcome::Refused(_)
            | Outcome::Rows(_)
            | Outcome::Done(_)
            | Outcome::TimedOut { .. }
            | Outcome::Unanswered { .. } => {}
        }
        outcome
    }
}

fn params_len(params: &Params) -> usize {
    match params {
        Params::Empty => 0,
        Params::Named(values) => values.len(),
        Params::Positional(values) => values.len(),
    }
}

async fn read_result<P>(
    mut result: mysql_async::QueryResult<'_, '_, P>,
) -> Result<Outcome, mysql_async::Error>
where
    P: mysql_async::prelude::Protocol,
{
    let Some(columns) = result.columns().filter(|columns| !columns.is_empty()) else {
        let done = Done {
            affected: result.affected_rows(),
            last_insert_id: result.last_insert_id().unwrap_or(0),
            warning_count: result.warnings(),
        };
        result.drop_result().await?;
        return Ok(Outcome::Done(done));
    };
    let mut rows = Vec::new();
    while let Some(row) = result.next().await? {
        let cells = row.unwrap();
        let row = cells.into_iter().zip(columns.iter());
        rows.push(
            row.map(|(cell, column)| value::from_driver(cell, column))
                .collect(),
        );
    }
    let warning_count = result.warnings();
    result.drop_result().await?;
    let columns = columns
        .iter()
        .map(|column| Column {
            name: column.name_str().into_owned(),
            sql_type: value::sql_type(column),
        })
        .collect();
    Ok(Outcome::Rows(RowSet {
        columns,
        rows,
        warning_count,
    }))
}
