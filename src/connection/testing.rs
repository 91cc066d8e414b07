//! A scripted server in place of a real one, so that a handler can be tested without TiDB.
//!
//! ```
//! use tidb_scenarios::connection::testing::{ScriptedServer, affected, rows};
//! use tidb_scenarios::handler::{Next, StateContext, StateError, StateHandler, run_handler};
//!
//! struct Deposit {
//!     amount: i64,
//! }
//!
//! #[tidb_scenarios::async_trait]
//! impl StateHandler for Deposit {
//!     async fn execute(&self, context: &mut StateContext) -> Result<Next, StateError> {
//!         let balance: i64 = context.value_as("select balance from account where id = 1").await?;
//!         let balance = balance + self.amount;
//!         context.run(&format!("update account set balance = {balance} where id = 1")).await?;
//!         context.signal("deposited");
//!         Ok(Next::End)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ScriptedServer::new()
//!     .expect("select balance from account where id = 1", rows(["balance"], [[70.into()]]))
//!     .expect("update account set balance = 75 where id = 1", affected(1));
//! let mut context = StateContext::scripted("alice", &server);
//! let next = run_handler(&Deposit { amount: 5 }, &mut context).await?;
//! assert_eq!(next, Next::End);
//! assert!(context.shared_state().has_event("deposited"));
//! server.verify()?;
//! # Ok(())
//! # }
//! ```

use std::sync::{Arc, Mutex, PoisonError};

use super::script::{Script, Sent};
use super::session::Connection;
use crate::history::{Column, Done, Outcome, RowSet, SqlError, SqlValue};

pub use super::script::ScriptError;

/// The version that a scripted server has, unless it is told another.
const VERSION: &str = "8.0.11-TiDB-v8.5.4";

/// Sessions of a scripted server.
#[derive(Debug, Clone)]
pub(crate) struct ScriptedSessions(Arc<Mutex<Script>>);

impl ScriptedSessions {
    pub fn open(&self) -> Connection {
        Connection::scripted(&self.0)
    }
}

/// A server that expects statements in an order, and has an answer for each.
///
/// A statement that is not expected is refused (error 1105, which says what was expected), also where the handler
/// takes errors for data: [`Self::verify`] has it. All sessions of a server go through the one script.
///
/// A server that is dropped unverified verifies itself, and panics where that fails: what was expected and never ran
/// would otherwise be overlooked.
#[derive(Debug)]
pub struct ScriptedServer {
    script: Arc<Mutex<Script>>,
    verified: bool,
}

impl Default for ScriptedServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ScriptedServer {
    /// A server that expects nothing.
    #[must_use]
    pub fn new() -> Self {
        let new = Self {
            script: Arc::default(),
            verified: false,
        };
        new.version(VERSION)
    }

    fn change(self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner));
        self
    }

    /// Says what the server tells of its version; `8.0.11-TiDB-v8.5.4` otherwise.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        self.change(|script| version.clone_into(&mut script.version))
    }

    /// Expects this statement next; white space between its words and a semicolon at its end don't count. [`rows`],
    /// [`affected`], [`error`], [`lost`] and [`timed_out`] make answers.
    #[must_use]
    pub fn expect(self, sql: &str, answer: Outcome) -> Self {
        self.change(|script| script.expect(Sent::Text(sql.to_owned()), answer))
    }

    /// Expects this prepared statement with these values next.
    #[must_use]
    pub fn expect_prepared(
        self,
        sql: &str,
        params: impl IntoIterator<Item = SqlValue>,
        answer: Outcome,
    ) -> Self {
        let params = params.into_iter().collect();
        self.change(|script| script.expect(Sent::Prepared(sql.to_owned(), params), answer))
    }

    /// Expects this LOAD DATA LOCAL with this content next.
    #[must_use]
    pub fn expect_load(self, sql: &str, content: impl Into<Vec<u8>>, answer: Outcome) -> Self {
        self.change(|script| script.expect(Sent::Load(sql.to_owned(), content.into()), answer))
    }

    /// Answers this statement whenever it comes, however often, also never.
    #[must_use]
    pub fn always(self, sql: &str, answer: Outcome) -> Self {
        self.change(|script| script.always(Sent::Text(sql.to_owned()), answer))
    }

    /// Opens a session.
    #[must_use]
    pub fn connect(&self) -> Connection {
        self.sessions().open()
    }

    pub(crate) fn sessions(&self) -> ScriptedSessions {
        ScriptedSessions(Arc::clone(&self.script))
    }

    /// Whether all that was expected has come, and nothing else.
    ///
    /// # Errors
    /// [`ScriptError`] names each statement that was not expected, and each that was expected and never came.
    pub fn verify(mut self) -> Result<(), ScriptError> {
        self.verified = true;
        self.problems()
    }

    fn problems(&self) -> Result<(), ScriptError> {
        self.script
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .verify()
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if self.verified || std::thread::panicking() {
            return;
        }
        if let Err(error) = self.problems() {
            panic!("{error}");
        }
    }
}

/// An answer with rows. Columns are of the types of the first row's values.
#[must_use]
pub fn rows<const COLUMNS: usize>(
    columns: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [SqlValue; COLUMNS]>,
) -> Outcome {
    let rows: Vec<Vec<SqlValue>> = rows.into_iter().map(Vec::from).collect();
    let sql_type = |at: usize| match rows.first().and_then(|row| row.get(at)) {
        None | Some(SqlValue::Null | SqlValue::Text(_)) => "varchar",
        Some(SqlValue::Int(_)) => "bigint",
        Some(SqlValue::Decimal(_)) => "decimal",
        Some(SqlValue::Float(_)) => "double",
        Some(SqlValue::Bytes(_)) => "blob",
        Some(SqlValue::Time(_)) => "datetime",
        Some(SqlValue::Json(_)) => "json",
    };
    let columns = columns.iter().enumerate().map(|(at, name)| Column {
        name: (*name).to_owned(),
        sql_type: sql_type(at).to_owned(),
    });
    Outcome::Rows(RowSet {
        columns: columns.collect(),
        rows,
        warning_count: 0,
    })
}

/// The answer to a statement without a result set that changed so many rows.
#[must_use]
pub fn affected(rows: u64) -> Outcome {
    Outcome::Done(Done {
        affected: rows,
        ..Done::default()
    })
}

/// An error of the server, with the SQLSTATE that TiDB sends with this number (`HY000` where the number is not known).
#[must_use]
pub fn error(code: u16, message: &str) -> Outcome {
    let sqlstate = crate::sql::by_code(code).map_or("HY000", |entry| entry.sqlstate);
    Outcome::Refused(SqlError {
        code,
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
    })
}

/// The session is lost before the answer comes: what follows needs another one.
#[must_use]
pub fn lost(message: &str) -> Outcome {
    Outcome::Lost {
        message: message.to_owned(),
        unsent: false,
    }
}

/// The statement was over its limit, and was ended.
#[must_use]
pub fn timed_out(limit_ms: u64) -> Outcome {
    Outcome::TimedOut {
        limit_ms,
        starved: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_expected_is_refused_and_told() {
        let server = ScriptedServer::new()
            .always("select 1", rows(["1"], [[1.into()]]))
            .expect("begin", affected(0))
            .expect_prepared("insert into t values (?)", [7.into()], affected(1))
            .expect("commit", affected(0));
        let mut session = server.connect();
        assert_eq!(session.session_id(), 1);
        assert_eq!(session.execute(" begin ;").await, affected(0));
        assert!(!session.execute("select\n1").await.is_error());
        let Outcome::Refused(error) = session
            .execute_prepared("insert into t values (?)", &[8.into()])
            .await
        else {
            panic!("it is not expected");
        };
        assert_eq!(
            error.message,
            "unexpected statement `insert into t values (?)`, prepared, with 8; statement 2 of 3 is expected here: \
             `insert into t values (?)`, prepared, with 7"
        );
        let error = server.verify().unwrap_err();
        assert_eq!(error.problems.len(), 3, "{error}");
        assert_eq!(
            error.problems[2],
            "expected statement that was never run: `commit`"
        );
    }

    #[tokio::test]
    async fn a_session_that_is_lost_stays_lost_and_another_goes_on() {
        let server = ScriptedServer::new()
            .expect("commit", lost("reset by peer"))
            .expect("select 1", rows(["1"], [[1.into()]]));
        let mut session = server.connect();
        assert_eq!(session.execute("commit").await, lost("reset by peer"));
        assert!(session.is_lost());
        assert!(matches!(session.execute("select 1").await, Outcome::Lost { .. }));
        assert!(!server.connect().execute("select 1").await.is_error());
        let more = server.connect().execute("select 1").await;
        let Outcome::Refused(error) = more else {
            panic!("nothing more is expected");
        };
        assert_eq!(
            error.message,
            "unexpected statement `select 1`; all 2 expected statements were run before"
        );
        server.verify().unwrap_err();
    }

    #[test]
    #[should_panic(expected = "expected statement that was never run: `select 1`")]
    fn a_server_that_nobody_verifies_verifies_itself() {
        drop(ScriptedServer::new().expect("select 1", affected(0)));
    }
}
