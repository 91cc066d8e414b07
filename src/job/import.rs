//! Import jobs, by SHOW IMPORT JOBS.

use super::table::Table;
use super::{Ask, Look, Looked, ask, elapsed, int};
use crate::history::{JobKind, JobSeen, SqlValue, Vars};

/// The import job of this number.
///
/// # Errors
/// [`super::NotShown`], above all error 8170 where there is no such job, or none any more.
pub async fn import(asker: &mut dyn Ask, id: i128) -> Look {
    let sql = format!("show import job {id}");
    let table = ask(asker, &sql).await?;
    let mut jobs = Vec::new();
    for row in &table.rows {
        jobs.push(seen(asker, &table, row).await);
    }
    Ok(Looked { sql, jobs })
}

/// All import jobs into tables of these databases.
///
/// # Errors
/// [`super::NotShown`].
pub async fn imports(asker: &mut dyn Ask, into: impl Fn(&str) -> bool + Send) -> Look {
    let sql = "show import jobs".to_owned();
    let table = ask(asker, &sql).await?;
    let mut jobs = Vec::new();
    for row in &table.rows {
        if into(&target(&table, row).0) {
            jobs.push(seen(asker, &table, row).await);
        }
    }
    Ok(Looked { sql, jobs })
}

/// The database and the table: `` `shop`.`orders` `` is how the server writes it.
fn target(table: &Table, row: &[SqlValue]) -> (String, String) {
    let target = table.text(row, "target_table").replace('`', "");
    match target.split_once('.') {
        Some((schema, name)) => (schema.to_owned(), name.to_owned()),
        None => (String::new(), target),
    }
}

async fn seen(asker: &mut dyn Ask, table: &Table, row: &[SqlValue]) -> JobSeen {
    let status = table.text(row, "status");
    let phase = table.text(row, "phase");
    let cell = |name: &str| table.cell(row, name).cloned().unwrap_or(SqlValue::Null);
    let (begun, over) = (table.text(row, "start_time"), table.text(row, "end_time"));
    let error = match table.text(row, "result_message") {
        none if none.is_empty() => SqlValue::Null,
        message => SqlValue::Text(message),
    };
    let fields = Vars::from([
        ("status".to_owned(), SqlValue::Text(status.clone())),
        ("phase".to_owned(), SqlValue::Text(phase.clone())),
        ("rows".to_owned(), cell("imported_rows")),
        ("size".to_owned(), cell("source_file_size")),
        ("table".to_owned(), SqlValue::Text(target(table, row).1)),
        ("error".to_owned(), error),
        ("elapsed".to_owned(), elapsed(asker, &begun, &over).await),
    ]);
    JobSeen {
        kind: JobKind::Import,
        id: int(table.cell(row, "job_id")).unwrap_or_default(),
        ended: ["finished", "failed", "cancelled"].contains(&status.as_str()),
        status,
        phase,
        fields,
    }
}
