//! What TiDB says of import jobs and schema changes. Whoever asks brings the session.

mod ddl;
mod import;
mod table;

use async_trait::async_trait;

use crate::history::{JobSeen, Outcome, RowSet, SqlValue};
use table::Table;

pub use ddl::{ended_schema_change, schema_change, schema_change_after};
pub use import::{import, imports};

/// Somebody who can run a statement.
#[async_trait]
pub trait Ask: Send {
    /// Runs one statement.
    async fn ask(&mut self, sql: &str) -> Outcome;
}

/// What one look showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// The statement that asked for the jobs.
    pub sql: String,
    /// The jobs; none where there is none yet.
    pub jobs: Vec<JobSeen>,
}

/// A look that the server did not answer with rows.
#[derive(Debug, Clone, PartialEq)]
pub struct NotShown {
    /// The statement.
    pub sql: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// How a look ends.
pub type Look = Result<Looked, NotShown>;

/// The columns of [`rows`].
pub const COLUMNS: [&str; 9] = [
    "id", "status", "phase", "rows", "size", "elapsed", "error", "table", "ended",
];

/// Jobs as a result set, one row for each, so that what is expected of rows can be expected of them.
#[must_use]
pub fn rows(jobs: &[JobSeen]) -> RowSet {
    let columns = COLUMNS.iter().map(|name| crate::history::Column {
        name: (*name).to_owned(),
        sql_type: "varchar".to_owned(),
    });
    let rows = jobs.iter().map(|job| {
        let cell = |name: &&str| match *name {
            "id" => SqlValue::Int(job.id),
            "ended" => SqlValue::Int(job.ended.into()),
            field => job.fields.get(field).cloned().unwrap_or(SqlValue::Null),
        };
        COLUMNS.iter().map(cell).collect()
    });
    RowSet {
        columns: columns.collect(),
        rows: rows.collect(),
        warning_count: 0,
    }
}

/// A number that may be missing, or stand there as text.
#[must_use]
pub fn int(value: Option<&SqlValue>) -> Option<i128> {
    match value? {
        SqlValue::Int(number) => Some(*number),
        SqlValue::Decimal(text) | SqlValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

async fn ask(asker: &mut dyn Ask, sql: &str) -> Result<Table, NotShown> {
    match asker.ask(sql).await {
        Outcome::Rows(set) => Ok(Table::of(set)),
        outcome => Err(NotShown {
            sql: sql.to_owned(),
            outcome,
        }),
    }
}

/// Seconds between two times of the server, which alone knows its time zone; up to now without an end.
async fn elapsed(asker: &mut dyn Ask, begun: &str, over: &str) -> SqlValue {
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_digit() || "-: .".contains(c));
    if begun.is_empty() || !plain(begun) || !plain(over) {
        return SqlValue::Null;
    }
    let over = if over.is_empty() {
        "now(6)".to_owned()
    } else {
        format!("'{over}'")
    };
    let sql = format!("select timestampdiff(microsecond, '{begun}', {over}) / 1000000");
    match ask(asker, &sql).await {
        Ok(table) => table.rows.into_iter().flatten().next().unwrap_or(SqlValue::Null),
        Err(_) => SqlValue::Null,
    }
}
