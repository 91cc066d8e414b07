//! A look at a session from outside: what is asked here changes nothing of what the session's next statement sees.

use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, RowSet};

/// What is kept of a plan; the others are counts and times, which differ from run to run.
const COLUMNS: [&str; 5] = ["id", "estrows", "task", "access object", "operator info"];

/// A session of its own, opened when it is first needed, that asks about other sessions of its server.
#[derive(Debug)]
pub(crate) struct Observer {
    config: ConnectionConfig,
    options: ConnectionOptions,
    connection: Option<Connection>,
}

impl Observer {
    /// On this server, as the user that may see all sessions.
    pub fn new(config: ConnectionConfig, options: ConnectionOptions) -> Self {
        Self {
            config,
            options,
            connection: None,
        }
    }

    /// The plan of the statement that a session ran last; nothing where the server tells none.
    pub async fn plan_of(&mut self, session: u64) -> Option<RowSet> {
        if self.connection.as_ref().is_none_or(Connection::is_lost) {
            self.connection = Connection::open(&self.config, &self.options).await.ok();
        }
        let connection = self.connection.as_mut()?;
        let sql = format!("explain for connection {session}");
        match connection.execute(&sql).await {
            Outcome::Rows(set) => Some(told(set)),
            other => {
                tracing::debug!(outcome = crate::history::describe(&other), "no plan is told");
                None
            }
        }
    }

    /// Closes the session, if there is one.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }
}

/// The columns of a plan that say what it is.
fn told(set: RowSet) -> RowSet {
    let kept: Vec<usize> = (0..set.columns.len())
        .filter(|at| COLUMNS.contains(&set.columns[*at].name.to_ascii_lowercase().as_str()))
        .collect();
    let pick = |row: Vec<_>| kept.iter().filter_map(|at| row.get(*at).cloned()).collect();
    RowSet {
        columns: kept.iter().map(|at| set.columns[*at].clone()).collect(),
        rows: set.rows.into_iter().map(pick).collect(),
        warning_count: set.warning_count,
    }
}
