//! The floor: the same statements by mysql_async alone, as one would write them by hand.
//!
//! Everything here runs in tasks of the runtime, as the engine does: a future that the main thread
//! blocks on would pay for the way between two threads at each answer.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use tidb_scenarios::connection::ConnectionConfig;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Between two looks at `TIDB_TRX`.
pub const POLL: Duration = Duration::from_millis(1);

pub async fn connect(server: &ConnectionConfig, database: Option<&str>) -> Result<Conn, Trouble> {
    let options = OptsBuilder::default()
        .ip_or_hostname(server.host.clone())
        .tcp_port(server.port)
        .user(Some(server.username.clone()))
        .db_name(database)
        .prefer_socket(false);
    Ok(Conn::new(options).await?)
}

/// A fresh table `t` with the rows 1 and 2 in a fresh database.
pub async fn fresh_table(conn: &mut Conn, database: &str) -> Result<(), Trouble> {
    conn.query_drop(format!("create database {database}")).await?;
    conn.query_drop(format!("use {database}")).await?;
    conn.query_drop("create table t (id int primary key, v int not null)")
        .await?;
    conn.query_drop("insert into t values (1, 0), (2, 0)").await?;
    Ok(())
}

async fn must_affect_one(conn: &mut Conn, sql: &str) -> Result<(), Trouble> {
    conn.query_drop(sql).await?;
    if conn.affected_rows() == 1 {
        Ok(())
    } else {
        Err(format!("`{sql}` affected {} rows", conn.affected_rows()).into())
    }
}

/// What a plain step does.
#[derive(Debug, Clone, Copy)]
pub enum Statement {
    Select,
    Update,
}

/// The same statement many times on a fresh table; the time of each.
pub async fn statements(
    server: ConnectionConfig,
    database: String,
    statement: Statement,
    count: usize,
) -> Result<Vec<Duration>, Trouble> {
    let mut conn = connect(&server, None).await?;
    fresh_table(&mut conn, &database).await?;
    conn.query_drop("begin pessimistic").await?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let sent = Instant::now();
        match statement {
            Statement::Select => {
                let value: Option<i64> = conn.query_first("select v from t where id = 1").await?;
                if value != Some(0) {
                    return Err(format!("expected 0, got {value:?}").into());
                }
            }
            Statement::Update => must_affect_one(&mut conn, "update t set v = v + 1 where id = 1").await?,
        }
        times.push(sent.elapsed());
    }
    conn.query_drop("commit").await?;
    conn.query_drop(format!("drop database {database}")).await?;
    conn.disconnect().await?;
    Ok(times)
}

/// Alice holds a row, bob's update waits for it, alice commits: the time from sending bob's update to its
/// answer, many times. The waiter is looked for each millisecond and believed when two looks have shown it: one shows a
/// statement that merely tries to get a lock, too.
pub async fn waits(
    server: ConnectionConfig,
    database: String,
    count: usize,
) -> Result<Vec<Duration>, Trouble> {
    let mut control = connect(&server, None).await?;
    fresh_table(&mut control, &database).await?;
    let mut alice = connect(&server, Some(&database)).await?;
    let mut bob = connect(&server, Some(&database)).await?;
    let session: u64 = bob.query_first("select connection_id()").await?.ok_or("no id")?;
    let look = format!("select state from information_schema.tidb_trx where session_id = {session}");
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        alice.query_drop("begin pessimistic").await?;
        bob.query_drop("begin pessimistic").await?;
        must_affect_one(&mut alice, "update t set v = v + 1 where id = 1").await?;
        let sent = Instant::now();
        let waiter = tokio::spawn(async move {
            must_affect_one(&mut bob, "update t set v = v + 1 where id = 1").await?;
            Ok::<Conn, Trouble>(bob)
        });
        let mut shown = 0;
        loop {
            let state: Option<String> = control.query_first(&look).await?;
            shown = if state.as_deref() == Some("LockWaiting") {
                shown + 1
            } else {
                0
            };
            if shown == 2 {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        alice.query_drop("commit").await?;
        bob = waiter.await??;
        times.push(sent.elapsed());
        bob.query_drop("commit").await?;
    }
    control.query_drop(format!("drop database {database}")).await?;
    for conn in [alice, bob, control] {
        conn.disconnect().await?;
    }
    Ok(times)
}

/// What `engine::TRIAL` does, by hand: from nothing to the dropped database.
pub async fn trial(server: ConnectionConfig, database: String) -> Result<(), Trouble> {
    let mut control = connect(&server, None).await?;
    fresh_table(&mut control, &database).await?;
    let (alice, bob) = tokio::join!(
        connect(&server, Some(&database)),
        connect(&server, Some(&database))
    );
    let (mut alice, mut bob) = (alice?, bob?);
    alice.query_drop("begin pessimistic").await?;
    must_affect_one(&mut alice, "update t set v = 10 where id = 1").await?;
    let value: Option<i64> = bob.query_first("select v from t where id = 1").await?;
    if value != Some(0) {
        return Err(format!("expected 0, got {value:?}").into());
    }
    must_affect_one(&mut bob, "update t set v = 20 where id = 2").await?;
    alice.query_drop("commit").await?;
    let value: Option<i64> = bob.query_first("select v from t where id = 1").await?;
    if value != Some(10) {
        return Err(format!("expected 10, got {value:?}").into());
    }
    alice.disconnect().await?;
    bob.disconnect().await?;
    let rows: Vec<(i64, i64)> = control.query("select * from t order by id").await?;
    if rows != [(1, 10), (2, 20)] {
        return Err(format!("expected other rows than {rows:?}").into());
    }
    control.query_drop(format!("drop database {database}")).await?;
    control.disconnect().await?;
    Ok(())
}
