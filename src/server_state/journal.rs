//! What a run writes down on a server that stays, before it changes it: the next one sets back what a run that was
//! killed has left.
//!
//! Whether a run still lives, the server tells: its session holds a user-level lock, which goes with the session. No
//! clock is compared, and it does not matter on which machine the next run starts.

use super::answers::{ask, text};
use super::left::Left;
use super::state::ServerState;
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};

/// The database of the journal. It is there only while there is something in it.
const DATABASE: &str = "tidb_scenarios_undo";
/// What a run that lives holds begins with it.
const LIVES: &str = "tidb_scenarios.lives.";
/// `ER_BAD_DB_ERROR` and `ER_NO_SUCH_TABLE`: there is no journal.
const NOT_THERE: [u16; 2] = [1049, 1146];

/// An entry of the journal, and the session whose end tells that nobody will take it out any more.
#[derive(Debug)]
pub struct Journal {
    session: Connection,
    id: String,
}

impl Journal {
    /// Writes down the state to which a trial's server is to be set back. Nobody else may write at the same time.
    ///
    /// # Errors
    /// What the server said.
    pub async fn write(mut session: Connection, state: &ServerState, who: &str) -> Result<Self, String> {
        let id = format!("{:016x}", rand::random::<u64>());
        let lives = ask(&mut session, &format!("select get_lock('{LIVES}{id}', 10)")).await?;
        if lives != [[SqlValue::Int(1)]] {
            return Err("the server gives no user-level lock".to_owned());
        }
        let state = serde_json::to_string(state).map_err(|error| error.to_string())?;
        for sql in [
            format!("create database if not exists `{DATABASE}`"),
            format!(
                "create table if not exists `{DATABASE}`.entry \
                 (id varchar(20) primary key, who varchar(500) not null, begun datetime not null default now(), \
                 state longtext not null)"
            ),
            format!(
                "insert into `{DATABASE}`.entry (id, who, state) values ('{id}', concat('{}', ' of ', user()), '{}')",
                escaped(who),
                escaped(&state)
            ),
        ] {
            run(&mut session, &sql).await?;
        }
        Ok(Self { session, id })
    }

    /// Takes the entry out again: all is as it was.
    ///
    /// # Errors
    /// What the server said.
    pub async fn remove(mut self) -> Result<(), String> {
        let removed = remove(&mut self.session, &self.id).await;
        self.session.close().await;
        removed
    }
}

async fn remove(session: &mut Connection, id: &str) -> Result<(), String> {
    run(
        session,
        &format!("delete from `{DATABASE}`.entry where id = '{id}'"),
    )
    .await?;
    let others = ask(session, &format!("select count(*) from `{DATABASE}`.entry")).await?;
    if others == [[SqlValue::Int(0)]] {
        run(session, &format!("drop database `{DATABASE}`")).await?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "''")
}

async fn run(session: &mut Connection, sql: &str) -> Result<(), String> {
    match session.execute(sql).await {
        Outcome::Done(_) | Outcome::Rows(_) => Ok(()),
        other => {
            let start: String = sql.chars().take(80).collect();
            Err(format!("`{start}` gave {}", crate::history::describe(&other)))
        }
    }
}

/// Sets back what runs that were killed have left on a server; returns what is to be said of it, a line each.
///
/// # Errors
/// What the server said.
pub async fn mend(config: &ConnectionConfig, options: &ConnectionOptions) -> Result<Vec<String>, String> {
    let config = ConnectionConfig {
        database: None,
        ..config.clone()
    };
    let opened = Connection::open(&config, options).await;
    let mut session = opened.map_err(|error| error.to_string())?;
    let lines = mend_all(&mut session).await;
    session.close().await;
    lines
}

async fn mend_all(session: &mut Connection) -> Result<Vec<String>, String> {
    let entries = match session
        .execute(&format!("select id, who, begun from `{DATABASE}`.entry"))
        .await
    {
        Outcome::Rows(set) => set.rows,
        Outcome::Refused(error) if NOT_THERE.contains(&error.code) => return Ok(Vec::new()),
        other => return Err(crate::history::describe(&other)),
    };
    let mut lines = Vec::new();
    for entry in entries {
        let [SqlValue::Text(id), who, begun] = entry.as_slice() else {
            continue;
        };
        let lives = format!("{LIVES}{}", escaped(id));
        if ask(session, &format!("select get_lock('{lives}', 0)")).await? != [[SqlValue::Int(1)]] {
            // Its run is at work.
            continue;
        }
        let mended = mend_one(session, id).await;
        ask(session, &format!("select release_lock('{lives}')")).await?;
        let run = format!("{}, begun {}", text(who), text(begun));
        match mended? {
            // Another one was faster, or nothing was changed.
            None => {}
            Some((back, left)) => {
                if !back.is_empty() {
                    lines.push(format!(
                        "set back what a run that was killed has left ({run}): {}",
                        back.join(", ")
                    ));
                }
                for Left { message, reason, .. } in left {
                    lines.push(format!(
                        "warning: a run that was killed ({run}) has left this: {message}: {reason}"
                    ));
                }
            }
        }
    }
    Ok(lines)
}

async fn mend_one(session: &mut Connection, id: &str) -> Result<Option<(Vec<String>, Vec<Left>)>, String> {
    let sql = format!(
        "select state from `{DATABASE}`.entry where id = '{}'",
        escaped(id)
    );
    let rows = match session.execute(&sql).await {
        Outcome::Rows(set) => set.rows,
        Outcome::Refused(error) if NOT_THERE.contains(&error.code) => return Ok(None),
        other => return Err(crate::history::describe(&other)),
    };
    let Some([SqlValue::Text(state)]) = rows.first().map(Vec::as_slice) else {
        return Ok(None);
    };
    let state: ServerState = serde_json::from_str(state)
        .map_err(|error| format!("the journal's entry {id} cannot be read: {error}"))?;
    let (back, left) = state.set_back(session).await;
    // What cannot be set back now may be by another account, or after a look at why.
    if left.is_empty() {
        remove(session, id).await?;
    }
    Ok(Some((back, left)))
}
