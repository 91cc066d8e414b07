//! Schema changes, by ADMIN SHOW DDL JOBS.

use super::table::Table;
use super::{Ask, Look, Looked, NotShown, ask, elapsed, int};
use crate::history::{JobKind, JobSeen, SqlValue, Vars};

/// How many of the newest schema changes are asked for, beside those that run.
const HISTORY: usize = 50;

/// How schema changes end. Only the first is what was asked for.
const ENDS: [&str; 3] = ["synced", "cancelled", "rollback done"];

/// The schema change of this number.
///
/// # Errors
/// [`NotShown`].
pub async fn schema_change(asker: &mut dyn Ask, id: i128) -> Look {
    let sql = format!("admin show ddl jobs {HISTORY} where job_id = {id}");
    let table = ask(asker, &sql).await?;
    let jobs = seen(asker, &table, table.rows.first()).await;
    Ok(Looked { sql, jobs })
}

/// The first schema change of a table after the one of this number.
///
/// # Errors
/// [`NotShown`].
pub async fn schema_change_after(asker: &mut dyn Ask, schema: &str, name: &str, after: i128) -> Look {
    let (sql, table) = of_table(asker, schema, name).await?;
    let first = table.rows.iter().map(|row| number(&table, row));
    let first = first.filter(|id| *id > after).min();
    // A change that has parts stands above them, with the same number.
    let row = table.rows.iter().find(|row| Some(number(&table, row)) == first);
    let jobs = seen(asker, &table, row).await;
    Ok(Looked { sql, jobs })
}

/// The number and the state of a table's newest schema change that has ended.
///
/// # Errors
/// [`NotShown`].
pub async fn ended_schema_change(
    asker: &mut dyn Ask,
    schema: &str,
    name: &str,
) -> Result<Option<(i128, String)>, NotShown> {
    let (_, table) = of_table(asker, schema, name).await?;
    let rows = table.rows.iter();
    let all = rows.map(|row| (number(&table, row), table.text(row, "state")));
    let ended = all.filter(|(_, state)| ENDS.contains(&state.as_str()));
    Ok(ended.max_by_key(|(id, _)| *id))
}

async fn of_table(asker: &mut dyn Ask, schema: &str, name: &str) -> Result<(String, Table), NotShown> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "''");
    let sql = format!(
        "admin show ddl jobs {HISTORY} where db_name = '{}' and table_name = '{}'",
        quoted(schema),
        quoted(name)
    );
    let table = ask(asker, &sql).await?;
    Ok((sql, table))
}

fn number(table: &Table, row: &[SqlValue]) -> i128 {
    int(table.cell(row, "job_id")).unwrap_or_default()
}

async fn seen(asker: &mut dyn Ask, table: &Table, row: Option<&Vec<SqlValue>>) -> Vec<JobSeen> {
    let Some(row) = row else {
        return Vec::new();
    };
    let id = number(table, row);
    let status = table.text(row, "state");
    let ended = ENDS.contains(&status.as_str());
    let phase = table.text(row, "schema_state");
    let (begun, over) = (table.text(row, "start_time"), table.text(row, "end_time"));
    let rows = table.cell(row, "row_count").cloned().unwrap_or(SqlValue::Null);
    let name = table.text(row, "table_name");
    let elapsed = elapsed(asker, &begun, &over).await;
    let mut error = SqlValue::Null;
    if ended && status != "synced" {
        match error_of(asker, id).await {
            Some(found) => error = found,
            // It is on its way to the finished ones, which alone tell why: the next look has the whole of it.
            None => return Vec::new(),
        }
    }
    let fields = Vars::from([
        ("status".to_owned(), SqlValue::Text(status.clone())),
        ("phase".to_owned(), SqlValue::Text(phase.clone())),
        ("rows".to_owned(), rows),
        ("size".to_owned(), SqlValue::Null),
        ("elapsed".to_owned(), elapsed),
        ("error".to_owned(), error),
        ("table".to_owned(), SqlValue::Text(name)),
    ]);
    vec![JobSeen {
        kind: JobKind::Ddl,
        id,
        status,
        phase,
        fields,
        ended,
    }]
}

/// Why a schema change ended otherwise than it should: its record among the finished ones has it. `None` where it is
/// not among them yet.
async fn error_of(asker: &mut dyn Ask, id: i128) -> Option<SqlValue> {
    let sql = format!("select cast(job_meta as char) from mysql.tidb_ddl_history where job_id = {id}");
    let Ok(table) = ask(asker, &sql).await else {
        // A user without the right to look there never sees it.
        return Some(SqlValue::Null);
    };
    let SqlValue::Text(meta) = table.rows.into_iter().flatten().next()? else {
        return Some(SqlValue::Null);
    };
    let meta: serde_json::Value = serde_json::from_str(&meta).unwrap_or_default();
    let message = meta.pointer("/err/message").and_then(serde_json::Value::as_str);
    Some(message.map_or(SqlValue::Null, |message| SqlValue::Text(message.to_owned())))
}
