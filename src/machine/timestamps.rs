//! TiDB's timestamps of the transaction that a statement was part of, as its session tells them.

use serde::Deserialize;

use crate::connection::Connection;
use crate::history::{Outcome, SqlValue, Timestamps};

/// Both in one statement: each says what was before it.
const QUESTION: &str = "select @@tidb_last_query_info, @@tidb_last_txn_info";

#[derive(Debug, Deserialize)]
struct QueryInfo {
    start_ts: u64,
    for_update_ts: u64,
}

#[derive(Debug, Deserialize)]
struct TransactionInfo {
    start_ts: u64,
    commit_ts: u64,
}

/// Asks a session of its last statement; nothing, where that had no timestamp (`BEGIN`, `SET`, a read of the newest row by
/// its key).
pub(super) async fn timestamps(connection: &mut Connection) -> Option<Timestamps> {
    let Outcome::Rows(set) = connection.execute(QUESTION).await else {
        return None;
    };
    match set.rows.first().map(Vec::as_slice) {
        Some([SqlValue::Text(query), SqlValue::Text(transaction)]) => read(query, transaction),
        _ => None,
    }
}

fn read(query: &str, transaction: &str) -> Option<Timestamps> {
    let query: QueryInfo = serde_json::from_str(query).ok()?;
    if query.start_ts == 0 || query.start_ts == u64::MAX {
        return None;
    }
    let ended: Option<TransactionInfo> = serde_json::from_str(transaction).ok();
    let own = ended.filter(|ended| ended.start_ts == query.start_ts && ended.commit_ts != 0);
    Some(Timestamps {
        start_ts: query.start_ts,
        for_update_ts: Some(query.for_update_ts).filter(|ts| *ts != 0 && *ts != query.start_ts),
        commit_ts: own.map(|ended| ended.commit_ts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_session_tells_is_of_its_last_statement() {
        let query = |start: u64, own: u64| {
            format!(r#"{{"txn_scope":"global","start_ts":{start},"for_update_ts":{own}}}"#)
        };
        let ended = |start: u64, at: u64| {
            format!(r#"{{"start_ts":{start},"commit_ts":{at},"txn_commit_mode":"2pc"}}"#)
        };
        let of = |start_ts, for_update_ts, commit_ts| {
            Some(Timestamps {
                start_ts,
                for_update_ts,
                commit_ts,
            })
        };
        for (query, ended, wanted) in [
            (query(20, 20), ended(10, 11), of(20, None, None)),
            (query(20, 25), ended(10, 11), of(20, Some(25), None)),
            (query(20, 20), ended(20, 30), of(20, None, Some(30))),
            (query(20, 20), String::new(), of(20, None, None)),
            (query(20, 20), ended(20, 0), of(20, None, None)),
            // BEGIN, and a read of the newest.
            (query(0, 0), ended(10, 11), None),
            (query(u64::MAX, u64::MAX), ended(10, 11), None),
        ] {
            assert_eq!(read(&query, &ended), wanted, "{query} {ended}");
        }
    }
}
