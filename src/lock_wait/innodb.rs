//! Asks a server with InnoDB who waits.
//!
//! `SHOW ENGINE INNODB STATUS` is read rather than `information_schema.innodb_trx`: that one is a copy which the
//! server makes anew only if nobody has asked for a tenth of a second, so that whoever asks more often sees the
//! same for ever. Waits for metadata locks and for user-level locks stand in the list of processes. Unlike TiDB,
//! InnoDB shows a wait only where there is one.

use super::trx::{TrxRow, WAITS};
use crate::connection::Connection;
use crate::history::{Outcome, SqlValue};

/// As TiDB calls it in `TIDB_TRX`.
const RUNS: &str = "Running";

/// What InnoDB and the list of processes show of these sessions.
///
/// # Errors
/// What the control connection got in place of an answer.
pub(super) async fn transactions(control: &mut Connection, sessions: &[u64]) -> Result<Vec<TrxRow>, Outcome> {
    let status = match control.execute("show engine innodb status").await {
        Outcome::Rows(set) => set.rows,
        other => return Err(other),
    };
    let text = status.iter().flatten().filter_map(|cell| match cell {
        SqlValue::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let mut rows: Vec<TrxRow> = text.flat_map(in_status).collect();
    rows.retain(|row| sessions.contains(&row.session));
    let ids = sessions.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    let sql = format!("select id, state from information_schema.processlist where id in ({ids})");
    let processes = match control.execute(&sql).await {
        Outcome::Rows(set) => set.rows,
        other => return Err(other),
    };
    for process in processes {
        let [SqlValue::Int(id), SqlValue::Text(state)] = process.as_slice() else {
            continue;
        };
        let Some(session) = u64::try_from(*id).ok().filter(|_| shows_a_wait(state)) else {
            continue;
        };
        match rows.iter_mut().find(|row| row.session == session) {
            Some(row) => WAITS.clone_into(&mut row.state),
            None => rows.push(TrxRow {
                session,
                id: 0,
                state: WAITS.to_owned(),
            }),
        }
    }
    Ok(rows)
}

/// `Waiting for table metadata lock`, `Waiting for table level lock`, …; `User lock` is that of GET_LOCK.
fn shows_a_wait(state: &str) -> bool {
    (state.starts_with("Waiting for ") && state.ends_with(" lock")) || state == "User lock"
}

/// The transactions in the text, each with its session.
fn in_status(text: &str) -> Vec<TrxRow> {
    let parts = text.split("\n---TRANSACTION ").skip(1);
    parts.filter_map(transaction).collect()
}

fn transaction(part: &str) -> Option<TrxRow> {
    // The sections of others follow the last one.
    let part = part.split("\n--------\n").next()?;
    let mut lines = part.lines();
    let first = lines.next()?;
    let (id, what) = first.split_once(", ")?;
    if what.starts_with("not started") {
        return None;
    }
    let mut session = None;
    let mut waits = false;
    for line in lines {
        // What comes after it is the statement, which can say anything.
        if let Some((_, rest)) = line.split_once(" thread id ") {
            session = rest.split(',').next()?.trim().parse().ok();
            break;
        }
        waits |= line.starts_with("LOCK WAIT ");
    }
    Some(TrxRow {
        session: session?,
        // One that only reads has an address in the place of a number.
        id: id.parse().unwrap_or(0),
        state: if waits { WAITS } else { RUNS }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of MariaDB 10.11, shortened.
    const STATUS: &str = "\
------------
TRANSACTIONS
------------
Trx id counter 25
LIST OF TRANSACTIONS FOR EACH SESSION:
---TRANSACTION (0x7f01e01c3c80), not started
0 lock struct(s), heap size 1128, 0 row lock(s)
---TRANSACTION 24, ACTIVE 0 sec starting index read
mysql tables in use 1, locked 1
LOCK WAIT 2 lock struct(s), heap size 1128, 1 row lock(s)
MariaDB thread id 7, OS thread handle 139646014228160, query id 21 localhost root Updating
update t set v = '
LOCK WAIT ', w = ' thread id 99,'
------- TRX HAS BEEN WAITING 616402 us FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 5 page no 3 n bits 320 index PRIMARY of table `x`.`t` trx id 24 lock_mode X waiting
------------------
---TRANSACTION (0x7f01e01c2680), ACTIVE 0 sec
0 lock struct(s), heap size 1128, 0 row lock(s)
MySQL thread id 6, OS thread handle 139646014535360, query id 19 localhost root User sleep
select sleep(5)
---TRANSACTION 23, ACTIVE 1 sec
2 lock struct(s), heap size 1128, 1 row lock(s), undo log entries 1
MariaDB thread id 5, OS thread handle 139646014842560, query id 16 localhost root User sleep
select 'LOCK WAIT '
--------
FILE I/O
--------
";

    #[test]
    fn transactions_are_read_from_the_status() {
        let row = |session, id, state: &str| TrxRow {
            session,
            id,
            state: state.to_owned(),
        };
        let expected = [row(7, 24, WAITS), row(6, 0, RUNS), row(5, 23, RUNS)];
        assert_eq!(in_status(STATUS), expected);
        assert!(in_status("").is_empty());
    }

    #[test]
    fn processes_say_that_they_wait_for_a_lock() {
        assert!(shows_a_wait("Waiting for table metadata lock"));
        assert!(shows_a_wait("User lock"));
        for state in [
            "",
            "Updating",
            "User sleep",
            "Waiting for next activation",
            "Init",
        ] {
            assert!(!shows_a_wait(state), "{state}");
        }
    }
}
