//! What the server shows at one moment of who is blocked by whom.

use super::innodb;
use super::trx::TrxRow;
use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};
use crate::sql::Product;

/// The id of a read without a transaction: it reads the newest there is. Several sessions may have it.
const NEWEST: i128 = u64::MAX as i128;

/// A wait for a key's lock, as `DATA_LOCK_WAITS` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyWait {
    /// The transaction that waits: its start timestamp, which `TIDB_TRX` calls ID.
    waiter: i128,
    /// The transaction that has locked the key.
    holder: i128,
    key: LockedKey,
}

/// What is locked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LockedKey {
    /// A row or an index entry, in words; empty where the server does not say.
    Row(String),
    /// The user-level lock of this name: TiDB keeps it as a row of `mysql.advisory_locks`.
    UserLock(String),
}

/// Who is blocked by whom at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LockView {
    product: Product,
    transactions: Vec<TrxRow>,
    waits: Vec<KeyWait>,
}

/// By whom a session is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The holder's session, where the server says so.
    pub session: Option<u64>,
    /// What it has locked, in words; empty where the server does not say.
    pub key: String,
}

impl LockView {
    /// Asks the server of these sessions.
    ///
    /// # Errors
    /// What the control connection got in place of an answer.
    pub async fn ask(control: &mut Connection, sessions: &[u64]) -> Result<Self, Outcome> {
        let product = control.product();
        if sessions.is_empty() {
            return Ok(Self::default());
        }
        if product != Product::TiDb {
            return Ok(Self {
                product,
                transactions: innodb::transactions(control, sessions).await?,
                waits: Vec::new(),
            });
        }
        let waits = waits(control).await?;
        // The transactions are asked for after the waits: a holder that is there then had not ended when the wait was
        // seen. Without a wait nobody needs them.
        let transactions = if waits.iter().any(|wait| matches!(wait.key, LockedKey::Row(_))) {
            transactions(control, sessions, &waits).await?
        } else {
            Vec::new()
        };
        Ok(Self {
            product,
            transactions,
            waits,
        })
    }

    /// By whom a session's transaction is blocked: by one whose transaction is open, and which does not wait for the
    /// session itself. (Whoever closes a circle is shown for the milliseconds until the server ends one of them.)
    pub fn holder_of(&self, session: u64) -> Option<Holder> {
        let own = self.transactions.iter().find(|row| row.session == session)?;
        if self.product != Product::TiDb {
            return own.waits().then(|| Holder {
                session: None,
                key: String::new(),
            });
        }
        let (wait, key) = self.wait_of(own.id)?;
        // The holder of a lock that its transaction has left behind is gone; whoever meets it resolves it.
        let holder = self.transactions.iter().find(|row| row.id == wait.holder)?;
        (!self.is_in_circle(own.id)).then(|| Holder {
            session: Some(holder.session),
            key: key.to_owned(),
        })
    }

    /// The names of user-level locks that somebody waits for.
    pub fn awaited_user_locks(&self) -> impl Iterator<Item = &str> {
        self.waits.iter().filter_map(|wait| match &wait.key {
            LockedKey::UserLock(name) => Some(name.as_str()),
            LockedKey::Row(_) => None,
        })
    }

    fn wait_of(&self, transaction: i128) -> Option<(&KeyWait, &str)> {
        if transaction == NEWEST {
            return None;
        }
        self.waits.iter().find_map(|wait| match &wait.key {
            LockedKey::Row(key) if wait.waiter == transaction && wait.holder != transaction => {
                Some((wait, key.as_str()))
            }
            LockedKey::Row(_) | LockedKey::UserLock(_) => None,
        })
    }

    fn is_in_circle(&self, transaction: i128) -> bool {
        let mut next = transaction;
        for _ in 0..=self.waits.len() {
            match self.wait_of(next) {
                Some((wait, _)) if wait.holder == transaction => return true,
                Some((wait, _)) => next = wait.holder,
                None => return false,
            }
        }
        false
    }
}

/// The transactions of these sessions that are open.
///
/// # Errors
/// What the control connection got in place of an answer.
pub(crate) async fn open_transactions(
    control: &mut Connection,
    sessions: &[u64],
) -> Result<Vec<TrxRow>, Outcome> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    match control.product() {
        Product::TiDb => transactions(control, sessions, &[]).await,
        Product::MariaDb | Product::MySql => innodb::transactions(control, sessions).await,
    }
}

async fn waits(control: &mut Connection) -> Result<Vec<KeyWait>, Outcome> {
    let sql = "select trx_id, current_holding_trx_id, key_info from information_schema.data_lock_waits";
    let rows = match control.execute(sql).await {
        Outcome::Rows(set) => set.rows,
        other => return Err(other),
    };
    let waits = rows.into_iter().filter_map(|row| match row.as_slice() {
        [SqlValue::Int(waiter), SqlValue::Int(holder), key] => Some(KeyWait {
            waiter: *waiter,
            holder: *holder,
            key: match key {
                SqlValue::Text(key) => locked_key(key),
                _ => LockedKey::Row(String::new()),
            },
        }),
        _ => None,
    });
    Ok(waits.collect())
}

/// The transactions of these sessions, and those that hold what is waited for, whosever they are.
async fn transactions(
    control: &mut Connection,
    sessions: &[u64],
    waits: &[KeyWait],
) -> Result<Vec<TrxRow>, Outcome> {
    let sessions: Vec<String> = sessions.iter().map(u64::to_string).collect();
    let holders: Vec<String> = waits.iter().map(|wait| wait.holder.to_string()).collect();
    let mut sql = format!(
        "select session_id, id, state from information_schema.tidb_trx where session_id in ({})",
        sessions.join(",")
    );
    if !holders.is_empty() {
        sql.push_str(&format!(" or id in ({})", holders.join(",")));
    }
    let rows = match control.execute(&sql).await {
        Outcome::Rows(set) => set.rows,
        other => return Err(other),
    };
    let rows = rows.into_iter().filter_map(|row| match row.as_slice() {
        [SqlValue::Int(session), SqlValue::Int(id), SqlValue::Text(state)] => Some(TrxRow {
            session: u64::try_from(*session).ok()?,
            id: *id,
            state: state.clone(),
        }),
        _ => None,
    });
    Ok(rows.collect())
}

/// `{"table_name":"a","handle_value":"1",…}` in words, or the user-level lock that the row stands for.
fn locked_key(json: &str) -> LockedKey {
    let Ok(key) = serde_json::from_str::<serde_json::Value>(json) else {
        return LockedKey::Row(json.to_owned());
    };
    let text = |name: &str| key.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let table = text("table_name").unwrap_or_else(|| "a table".to_owned());
    if text("db_name").as_deref() == Some("mysql") && table == "advisory_locks" {
        let values = key.get("index_values").and_then(|values| values.as_array());
        let name = values.and_then(|values| values.first()?.as_str());
        return LockedKey::UserLock(name.unwrap_or_default().to_owned());
    }
    LockedKey::Row(
        match (text("handle_value"), text("index_name"), key.get("index_values")) {
            (_, Some(index), Some(values)) => format!("table {table}, index {index} {values}"),
            (Some(handle), _, _) => format!("table {table}, row {handle}"),
            _ => format!("table {table}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(transactions: &[(u64, i128)], waits: &[(i128, i128)]) -> LockView {
        LockView {
            product: Product::TiDb,
            transactions: transactions
                .iter()
                .map(|(session, id)| TrxRow {
                    session: *session,
                    id: *id,
                    state: "Running".to_owned(),
                })
                .collect(),
            waits: waits
                .iter()
                .map(|(waiter, holder)| KeyWait {
                    waiter: *waiter,
                    holder: *holder,
                    key: LockedKey::Row("table t, row 1".to_owned()),
                })
                .collect(),
        }
    }

    fn holder(view: &LockView, session: u64) -> Option<u64> {
        view.holder_of(session).and_then(|holder| holder.session)
    }

    #[test]
    fn a_session_is_blocked_by_a_transaction_that_is_open() {
        let all = [(1, 10), (2, 20), (3, 30)];
        assert_eq!(holder(&view(&all, &[(20, 10)]), 2), Some(1));
        assert_eq!(holder(&view(&all, &[(20, 10)]), 1), None, "it holds the lock");
        assert_eq!(
            holder(&view(&all, &[(20, 10)]), 3),
            None,
            "it has nothing to do with it"
        );
        let chain = view(&all, &[(20, 10), (30, 20)]);
        assert_eq!((holder(&chain, 2), holder(&chain, 3)), (Some(1), Some(2)));
    }

    #[test]
    fn a_lock_that_an_ended_transaction_left_blocks_nobody() {
        assert_eq!(holder(&view(&[(2, 20)], &[(20, 10)]), 2), None);
    }

    #[test]
    fn whoever_is_in_a_circle_is_not_blocked_but_about_to_be_ended() {
        let all = [(1, 10), (2, 20), (3, 30)];
        let circle = view(&all, &[(10, 20), (20, 10), (30, 10)]);
        assert_eq!((holder(&circle, 1), holder(&circle, 2)), (None, None));
        assert_eq!(holder(&circle, 3), Some(1), "it is in none");
    }

    #[test]
    fn reads_of_the_newest_cannot_be_told_apart() {
        assert_eq!(holder(&view(&[(1, 10), (2, NEWEST)], &[(NEWEST, 10)]), 2), None);
    }

    #[test]
    fn keys_in_words() {
        let row = |json| match locked_key(json) {
            LockedKey::Row(key) => key,
            LockedKey::UserLock(name) => format!("lock {name}"),
        };
        assert_eq!(
            row(r#"{"db_name":"d","table_name":"t","handle_value":"1"}"#),
            "table t, row 1"
        );
        assert_eq!(
            row(r#"{"db_name":"d","table_name":"t","index_name":"k","index_values":["7"]}"#),
            "table t, index k [\"7\"]"
        );
        assert_eq!(
            row(
                r#"{"db_name":"mysql","table_name":"advisory_locks","index_name":"PRIMARY","index_values":["x"]}"#
            ),
            "lock x"
        );
        assert_eq!(row("no json"), "no json");
    }
}
