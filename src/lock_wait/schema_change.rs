//! Schema changes as TiDB's queue shows them: which one is whose, and what it waits for.

use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};
use crate::sql::Product;

/// `queueing` in the number that the queue has for it.
const QUEUEING: i64 = 8;

/// What a schema change waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SchemaWait {
    /// Sessions whose transactions use the old schema.
    Sessions(Vec<u64>),
    /// Schema changes of these sessions that are before it in the queue, of the same table or database.
    Queue(Vec<u64>),
}

/// A job of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    id: i128,
    session: u64,
    queueing: bool,
    schemas: Vec<String>,
    tables: Vec<String>,
}

impl Job {
    /// Whether the two are not run at the same time.
    fn excludes(&self, other: &Self) -> bool {
        let shares = |own: &[String], theirs: &[String]| own.iter().any(|id| theirs.contains(id));
        // A change of a whole database names no table.
        let whole = |job: &Self| job.tables.iter().all(|id| id == "0" || id.is_empty());
        if whole(self) || whole(other) {
            shares(&self.schemas, &other.schemas)
        } else {
            shares(&self.tables, &other.tables)
        }
    }
}

/// What the schema change that a session runs waits for, if it waits. None where it runs none, where it is only slow,
/// or where the server does not answer, such as to a user without the right.
pub(crate) async fn schema_wait(control: &mut Connection, session: u64) -> Option<SchemaWait> {
    if control.product() != Product::TiDb {
        return None;
    }
    let jobs = jobs(control).await?;
    let own = jobs.iter().find(|job| job.session == session)?;
    if own.queueing {
        return queued_behind(&jobs, own).map(SchemaWait::Queue);
    }
    let sql = format!(
        "select distinct session_id from mysql.tidb_mdl_view where job_id = {}",
        own.id
    );
    let Outcome::Rows(set) = control.execute(&sql).await else {
        return None;
    };
    let sessions = set.rows.iter().filter_map(|row| match row.as_slice() {
        [SqlValue::Int(session)] => u64::try_from(*session).ok(),
        _ => None,
    });
    let sessions: Vec<u64> = sessions.filter(|other| *other != session).collect();
    (!sessions.is_empty()).then_some(SchemaWait::Sessions(sessions))
}

/// The sessions of those before it that it cannot run beside.
fn queued_behind(jobs: &[Job], own: &Job) -> Option<Vec<u64>> {
    let before = jobs.iter().filter(|job| job.id < own.id && job.excludes(own));
    let sessions: Vec<u64> = before.map(|job| job.session).collect();
    (!sessions.is_empty()).then_some(sessions)
}

async fn jobs(control: &mut Connection) -> Option<Vec<Job>> {
    let sql = "select job_id, schema_ids, table_ids, json_extract(convert(job_meta using utf8mb4), \
               '$.trace_info.connection_id', '$.state') from mysql.tidb_ddl_job";
    let Outcome::Rows(set) = control.execute(sql).await else {
        return None;
    };
    let ids = |value: &SqlValue| match value {
        SqlValue::Text(ids) => ids.split(',').map(|id| id.trim().to_owned()).collect(),
        SqlValue::Bytes(ids) => String::from_utf8_lossy(ids)
            .split(',')
            .map(|id| id.trim().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    let jobs = set.rows.iter().filter_map(|row| match row.as_slice() {
        [SqlValue::Int(id), schemas, tables, SqlValue::Json(facts)] => Some(Job {
            id: *id,
            session: facts.value().get(0)?.as_u64()?,
            queueing: facts.value().get(1)?.as_i64()? == QUEUEING,
            schemas: ids(schemas),
            tables: ids(tables),
        }),
        _ => None,
    });
    Some(jobs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: i128, session: u64, queueing: bool, schema: &str, tables: &[&str]) -> Job {
        Job {
            id,
            session,
            queueing,
            schemas: vec![schema.to_owned()],
            tables: tables.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    #[test]
    fn a_change_of_the_same_table_is_waited_for_and_no_other() {
        let jobs = [
            job(1, 10, false, "s", &["t"]),
            job(2, 20, true, "s", &["t"]),
            job(3, 30, true, "s", &["u"]),
            job(4, 40, true, "s", &["u", "t"]),
        ];
        assert_eq!(queued_behind(&jobs, &jobs[1]), Some(vec![10]));
        assert_eq!(queued_behind(&jobs, &jobs[2]), None);
        assert_eq!(queued_behind(&jobs, &jobs[3]), Some(vec![10, 20, 30]));
    }

    #[test]
    fn a_change_of_a_database_is_waited_for_by_all_of_its_tables() {
        let jobs = [
            job(1, 10, false, "s", &["0"]),
            job(2, 20, true, "s", &["t"]),
            job(3, 30, true, "r", &["v"]),
        ];
        assert_eq!(queued_behind(&jobs, &jobs[1]), Some(vec![10]));
        assert_eq!(queued_behind(&jobs, &jobs[2]), None);
    }
}
