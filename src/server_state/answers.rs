//! Asks a session, and reads what it answers.

use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};

/// A value as text, without quotes.
pub(super) fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) => text.clone(),
        other => crate::history::show(other),
    }
}

/// The rows of a query.
pub(super) async fn ask(session: &mut Connection, sql: &str) -> Result<Vec<Vec<SqlValue>>, String> {
    match session.execute(sql).await {
        Outcome::Rows(set) => Ok(set.rows),
        other => Err(format!("`{sql}` gave {}", crate::history::describe(&other))),
    }
}
