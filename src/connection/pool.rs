//! mysql_async's own pool, for handlers whose work is no session.

use std::ops::{Deref, DerefMut};

use mysql_async::{PoolConstraints, PoolOpts};

use super::config::{ConnectionConfig, ConnectionOptions};
use super::driver::{driver_options, outcome_of_error, set_session_vars};
use super::error::ConnectError;
use super::session::Connection;

/// Sessions that are lent and given back, for the work that a handler does beside its own connection: filling
/// tables, looking at the server.
///
/// A connection that a scenario names is never lent by a pool: a transaction, a lock, a session variable and a
/// `CONNECTION_ID()` belong to one session, and a pool gives another one with each loan.
#[derive(Debug, Clone)]
pub struct Pool {
    pool: mysql_async::Pool,
    config: ConnectionConfig,
    options: ConnectionOptions,
}

impl Pool {
    /// A pool of at most `size` sessions (at least one). Nothing is opened before the first loan.
    #[must_use]
    pub fn new(config: ConnectionConfig, options: ConnectionOptions, size: usize) -> Self {
        let size = size.max(1);
        // With a lower bound below it, what comes back would be closed rather than kept.
        let constraints = PoolConstraints::new(size, size).unwrap_or_default();
        let builder = driver_options(&config, &options)
            .pool_opts(PoolOpts::default().with_constraints(constraints))
            .setup(set_session_vars(&options).into_iter().collect::<Vec<_>>());
        Self {
            pool: mysql_async::Pool::new(builder),
            config,
            options,
        }
    }

    /// Lends a session. It goes back when it is dropped, where the driver resets it: its transaction is rolled
    /// back, its variables are as at first.
    ///
    /// # Errors
    /// [`ConnectError`], within [`ConnectionOptions::connect_max`], waiting for a free session included.
    pub async fn lend(&self) -> Result<Lent, ConnectError> {
        let lent = async {
            let conn = self
                .pool
                .get_conn()
                .await
                .map_err(|error| outcome_of_error(&error))?;
            Connection::lent(conn).await
        };
        match tokio::time::timeout(self.options.connect_max, lent).await {
            Ok(Ok(connection)) => Ok(Lent(connection)),
            Ok(Err(outcome)) => Err(ConnectError::of(&self.config, outcome)),
            Err(_) => Err(ConnectError::NoAnswer {
                host: self.config.host.clone(),
                port: self.config.port,
                limit_ms: self.options.connect_max.as_millis(),
            }),
        }
    }

    /// Waits for what is lent, and closes all sessions.
    pub async fn close(self) {
        // The other side may be gone already; there is nothing left to lose.
        drop(self.pool.disconnect().await);
    }
}

/// A session that a [`Pool`] has lent. One that is dropped in the middle of an answer is closed: the answer's stream
/// goes with the statement's future, and the driver's pool keeps no connection without one.
#[derive(Debug)]
pub struct Lent(Connection);

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
