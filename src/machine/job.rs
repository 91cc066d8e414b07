//! Looks at import jobs and schema changes that another connection, or anybody, has started.

use super::acted::Acted;
use super::worker::Worker;
use crate::connection::Connection;
use crate::coordinator::JobSeen;
use crate::history::{Column, JobKind, Outcome, RowSet, SqlValue, Vars};
use crate::plan::Watch;

/// How many of the newest schema changes are asked for, beside those that run.
const DDL_HISTORY: usize = 50;

/// A watched job's columns as a result, so that what is expected of rows can be expected of it.
const JOB_COLUMNS: [&str; 9] = [
    "id", "status", "phase", "rows", "size", "elapsed", "error", "table", "ended",
];

/// A number that may be missing.
fn int(value: Option<&SqlValue>) -> Option<i128> {
    match value? {
        SqlValue::Int(number) => Some(*number),
        SqlValue::Decimal(text) | SqlValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A table of the server by its columns' names.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<SqlValue>>,
}

impl Table {
    fn of(set: RowSet) -> Self {
        Self {
            columns: set
                .columns
                .iter()
                .map(|column| column.name.to_ascii_lowercase())
                .collect(),
            rows: set.rows,
        }
    }

    fn cell<'r>(&self, row: &'r [SqlValue], name: &str) -> Option<&'r SqlValue> {
        let column = self.columns.iter().position(|column| column == name)?;
        row.get(column).filter(|value| **value != SqlValue::Null)
    }

    fn text(&self, row: &[SqlValue], name: &str) -> String {
        match self.cell(row, name) {
            Some(SqlValue::Text(text) | SqlValue::Time(text) | SqlValue::Decimal(text)) => text.clone(),
            Some(other) => crate::history::show(other),
            None => String::new(),
        }
    }
}

impl Worker {
    /// One look. The outcome has a row for each job that is watched; whether all of them have ended comes
    /// with it.
    pub(super) async fn look_at_job(&mut self, watch: &Watch) -> Acted {
        let found = match watch {
            Watch::Import(id) => match self.value(id) {
                Ok(id) => self.imports(int(Some(&id))).await,
                Err(outcome) => Err(Acted::single(outcome)),
            },
            Watch::AllImports => self.imports(None).await,
            Watch::Ddl(id) => match self.value(id) {
                Ok(id) => self.schema_changes(int(Some(&id)), None).await,
                Err(outcome) => Err(Acted::single(outcome)),
            },
            Watch::DdlOf(table) => match table.fill(&self.vars()) {
                Ok(table) => self.schema_changes(self.followed_ddl, Some(&table)).await,
                Err(name) => Err(Acted::single(super::action::unknown_variable(name))),
            },
        };
        let (sql, jobs) = match found {
            Ok(found) => found,
            Err(acted) => return acted,
        };
        for job in &jobs {
            self.coordinator.saw_job(self.number, job);
        }
        let ended = !jobs.is_empty() && jobs.iter().all(|job| job.ended);
        let flags = self.connection.as_ref().and_then(Connection::flags);
        Acted {
            job_ended: ended,
            ..Acted::ran(sql, Outcome::Rows(rows_of(&jobs)), flags)
        }
    }

    async fn ask(&mut self, sql: &str) -> Result<Table, Acted> {
        let mut acted = self.run(sql.to_owned(), Connection::execute).await;
        match acted.outcome {
            Outcome::Rows(set) => Ok(Table::of(set)),
            outcome => {
                acted.outcome = outcome;
                Err(acted)
            }
        }
    }

    /// The job of this number, or all into the trial's databases.
    async fn imports(&mut self, id: Option<i128>) -> Result<(String, Vec<JobSeen>), Acted> {
        let sql = match id {
            Some(id) => format!("show import job {id}"),
            None => "show import jobs".to_owned(),
        };
        let table = self.ask(&sql).await?;
        let mut jobs = Vec::new();
        let own = self.config.database.clone().unwrap_or_default();
        for row in &table.rows {
            // `db`.`table`
            let target = table.text(row, "target_table").replace('`', "");
            let (schema, name) = target.split_once('.').unwrap_or(("", &target));
            // Further databases of the trial begin with the name of its first one.
            let ours = schema == own || schema.starts_with(&format!("{own}_"));
            if id.is_none() && !ours {
                continue;
            }
            let status = table.text(row, "status");
            let ended = ["finished", "failed", "cancelled"].contains(&status.as_str());
            let begun = table.text(row, "start_time");
            let over = table.text(row, "end_time");
            let result = table.text(row, "result_message");
            let rows = table.cell(row, "imported_rows").cloned();
            let size = table.cell(row, "source_file_size").cloned();
            let mut fields = Vars::from([
                ("status".to_owned(), SqlValue::Text(status.clone())),
                ("rows".to_owned(), rows.unwrap_or(SqlValue::Null)),
                ("size".to_owned(), size.unwrap_or(SqlValue::Null)),
                ("table".to_owned(), SqlValue::Text(name.to_owned())),
                ("error".to_owned(), text_or_null(&result)),
            ]);
            let phase = table.text(row, "phase");
            fields.insert("phase".to_owned(), SqlValue::Text(phase.clone()));
            let elapsed = self.elapsed(&begun, &over).await;
            fields.insert("elapsed".to_owned(), elapsed);
            jobs.push(JobSeen {
                kind: JobKind::Import,
                id: int(table.cell(row, "job_id")).unwrap_or_default(),
                status,
                phase,
                fields,
                ended,
            });
        }
        Ok((sql, jobs))
    }

    /// The schema change of this number, or the first one of a table after this number.
    async fn schema_changes(
        &mut self,
        id: Option<i128>,
        of_table: Option<&str>,
    ) -> Result<(String, Vec<JobSeen>), Acted> {
        let sql = match of_table {
            Some(name) => {
                let own = self.config.database.clone().unwrap_or_default();
                let (schema, name) = name.split_once('.').unwrap_or((&own, name));
                let quoted = |text: &str| text.replace('\\', "\\\\").replace('\'', "''");
                format!(
                    "admin show ddl jobs {DDL_HISTORY} where db_name = '{}' and table_name = '{}'",
                    quoted(schema),
                    quoted(name)
                )
            }
            None => {
                let id = id.unwrap_or_default();
                format!("admin show ddl jobs {DDL_HISTORY} where job_id = {id}")
            }
        };
        let table = self.ask(&sql).await?;
        let number = |row: &Vec<SqlValue>| int(table.cell(row, "job_id")).unwrap_or_default();
        // Newest first; a change that has parts stands above them, with the same number.
        let row = match of_table {
            Some(_) => {
                let after = id.unwrap_or_default();
                let first = table.rows.iter().map(number).filter(|id| *id > after).min();
                table.rows.iter().find(|row| Some(number(row)) == first)
            }
            None => table.rows.first(),
        };
        let Some(row) = row else {
            return Ok((sql, Vec::new()));
        };
        let id = number(row);
        let status = table.text(row, "state");
        let ended = ["synced", "cancelled", "rollback done"].contains(&status.as_str());
        let phase = table.text(row, "schema_state");
        let (begun, over) = (table.text(row, "start_time"), table.text(row, "end_time"));
        let rows = table.cell(row, "row_count").cloned().unwrap_or(SqlValue::Null);
        let name = table.text(row, "table_name");
        let elapsed = self.elapsed(&begun, &over).await;
        let mut error = SqlValue::Null;
        if ended && status != "synced" {
            match self.error_of_ddl(id).await {
                Some(found) => error = found,
                // It is on its way to the finished ones, which alone tell why: the next look has the whole of it.
                None => return Ok((sql, Vec::new())),
            }
        }
        if ended && of_table.is_some() {
            self.followed_ddl = Some(id);
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
        let job = JobSeen {
            kind: JobKind::Ddl,
            id,
            status,
            phase,
            fields,
            ended,
        };
        Ok((sql, vec![job]))
    }

    /// Seconds between two times of the server, which alone knows its time zone; up to now without an end.
    async fn elapsed(&mut self, begun: &str, over: &str) -> SqlValue {
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
        match self.ask(&sql).await {
            Ok(table) => table.rows.into_iter().flatten().next().unwrap_or(SqlValue::Null),
            Err(_) => SqlValue::Null,
        }
    }

    /// Why a schema change ended otherwise than it should: its record among the finished ones has it.
    /// `None` where it is not among them yet.
    async fn error_of_ddl(&mut self, id: i128) -> Option<SqlValue> {
        let sql = format!("select cast(job_meta as char) from mysql.tidb_ddl_history where job_id = {id}");
        let Ok(table) = self.ask(&sql).await else {
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
}

fn text_or_null(text: &str) -> SqlValue {
    if text.is_empty() {
        SqlValue::Null
    } else {
        SqlValue::Text(text.to_owned())
    }
}

fn rows_of(jobs: &[JobSeen]) -> RowSet {
    let columns = JOB_COLUMNS.iter().map(|name| Column {
        name: (*name).to_owned(),
        sql_type: "varchar".to_owned(),
    });
    let rows = jobs.iter().map(|job| {
        let cell = |name: &&str| match *name {
            "id" => SqlValue::Int(job.id),
            "ended" => SqlValue::Int(job.ended.into()),
            field => job.fields.get(field).cloned().unwrap_or(SqlValue::Null),
        };
        JOB_COLUMNS.iter().map(cell).collect()
    });
    RowSet {
        columns: columns.collect(),
        rows: rows.collect(),
        warning_count: 0,
    }
}
