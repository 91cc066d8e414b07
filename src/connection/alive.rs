//! Which sessions a server still has.

use std::collections::BTreeSet;

use super::session::Connection;
use crate::history::{Outcome, SqlValue};

/// Which of these sessions the server still has, as another session of it sees them; none where it did not say. A
/// user without the privilege PROCESS sees the sessions of the same user alone.
pub(crate) async fn sessions_there(control: &mut Connection, sessions: &[u64]) -> Option<BTreeSet<u64>> {
    let ids: Vec<String> = sessions.iter().map(u64::to_string).collect();
    let sql = format!(
        "select id from information_schema.processlist where id in ({})",
        ids.join(",")
    );
    let Outcome::Rows(set) = control.execute(&sql).await else {
        return None;
    };
    let cells = set.rows.iter().flatten();
    let ids = cells.filter_map(|cell| match cell {
        SqlValue::Int(id) => u64::try_from(*id).ok(),
        _ => None,
    });
    Some(ids.collect())
}
