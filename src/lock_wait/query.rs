//! Asks the server who waits, for whom, and for what.

use std::time::Duration;

use super::innodb;
use super::trx::TrxRow;
use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};
use crate::sql::Product;

/// What `TIDB_TRX` shows of these sessions, or InnoDB.
///
/// # Errors
/// What the control connection got in place of an answer.
pub(crate) async fn transactions(control: &mut Connection, sessions: &[u64]) -> Result<Vec<TrxRow>, Outcome> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    if control.product() != Product::TiDb {
        return innodb::transactions(control, sessions).await;
    }
    let ids = sessions.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let sql = format!(
        "select session_id, id, state, waiting_start_time, \
         timestampdiff(microsecond, waiting_start_time, now(6)), mem_buffer_keys \
         from information_schema.tidb_trx where session_id in ({ids})"
    );
    let rows = match control.execute(&sql).await {
        Outcome::Rows(set) => set.rows,
        other => return Err(other),
    };
    Ok(rows
        .into_iter()
        .filter_map(|row| match <[SqlValue; 6]>::try_from(row) {
            Ok(
                [
                    SqlValue::Int(session),
                    SqlValue::Int(id),
                    SqlValue::Text(state),
                    since,
                    waited,
                    keys,
                ],
            ) => Some(TrxRow {
                session: u64::try_from(session).ok()?,
                id,
                state,
                waiting_since: match since {
                    SqlValue::Time(at) | SqlValue::Text(at) => Some(at),
                    _ => None,
                },
                waited: match waited {
                    SqlValue::Int(micros) => u64::try_from(micros).ok().map(Duration::from_micros),
                    _ => None,
                },
                keys: if let SqlValue::Int(keys) = keys { keys } else { 0 },
            }),
            _ => None,
        })
        .collect())
}

/// The holder's transaction and the key that a transaction waits for, where the server tells. (The store
/// inside tidb-server tells it after a second.)
pub(crate) async fn lock_wait(control: &mut Connection, waiter: i128) -> Option<(i128, String)> {
    if control.product() != Product::TiDb {
        return None;
    }
    let sql = format!(
        "select current_holding_trx_id, key_info from information_schema.data_lock_waits where trx_id = {waiter}"
    );
    let Outcome::Rows(set) = control.execute(&sql).await else {
        return None;
    };
    match set.rows.into_iter().next()?.as_slice() {
        [SqlValue::Int(holder), SqlValue::Text(key)] => Some((*holder, describe_key(key))),
        [SqlValue::Int(holder), _] => Some((*holder, String::new())),
        _ => None,
    }
}

/// `{"table_name":"a","handle_value":"1",…}` in words.
fn describe_key(json: &str) -> String {
    let Ok(key) = serde_json::from_str::<serde_json::Value>(json) else {
        return json.to_owned();
    };
    let text = |name: &str| key.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let table = text("table_name").unwrap_or_else(|| "a table".to_owned());
    match (text("handle_value"), text("index_name"), key.get("index_values")) {
        (_, Some(index), Some(values)) => format!("table {table}, index {index} {values}"),
        (Some(handle), _, _) => format!("table {table}, row {handle}"),
        _ => format!("table {table}"),
    }
}

/// What `mysql.tidb_mdl_view` shows: each session that a schema change waits for, with that change's text.
/// `None` where the server does not answer, such as to a user without the right, or has no such view.
pub(crate) async fn metadata_lock_waits(control: &mut Connection) -> Option<Vec<(u64, String)>> {
    if control.product() != Product::TiDb {
        return None;
    }
    // 13 ms a query, so it is asked outside of the fast loop only.
    let Outcome::Rows(set) = control
        .execute("select session_id, query from mysql.tidb_mdl_view")
        .await
    else {
        return None;
    };
    let waits = set.rows.iter().filter_map(|row| match row.as_slice() {
        [SqlValue::Int(session), SqlValue::Text(query)] => {
            Some((u64::try_from(*session).ok()?, query.clone()))
        }
        _ => None,
    });
    Some(waits.collect())
}

/// Whether two texts are the same statement but for case and spaces.
pub(crate) fn same_statement(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_end_matches(';');
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
    };
    plain(one) == plain(other)
}

/// Whether the server still runs a statement of this session.
pub(crate) async fn is_running(control: &mut Connection, session: u64) -> bool {
    let sql = format!("select command from information_schema.processlist where id = {session}");
    match control.execute(&sql).await {
        Outcome::Rows(set) => set.rows.iter().flatten().any(
            |cell| matches!(cell, SqlValue::Text(command) if command == "Query" || command == "Execute"),
        ),
        Outcome::Done(_) | Outcome::Refused(_) | Outcome::TimedOut { .. } | Outcome::Lost { .. } => false,
    }
}
