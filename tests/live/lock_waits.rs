//! What `embedded/lock_waits.patch` is for: each kind of wait for a row lock, as our TiDB shows it in
//! `information_schema.DATA_LOCK_WAITS`, from its beginning to its end.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{ProviderKind, Server, ServerSettings, ServerSpec};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

/// How soon a wait has to be seen. Without the patch a pessimistic one is seen after a second.
const AT_ONCE: Duration = Duration::from_millis(900);
/// How long a wait is looked at. The store gives up after a second of it, and is asked anew.
const A_WHILE: Duration = Duration::from_millis(2_400);
/// No test waits longer for what has to come.
const LIMIT: Duration = Duration::from_secs(20);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
/// All tests use this one. It ends with this process.
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let settings = ServerSettings {
        cache_dir: std::env::var_os("TIDB_SCENARIOS_CACHE").map(Into::into),
        ..ServerSettings::default()
    };
    RUNTIME
        .block_on(Server::start(
            &settings,
            ProviderKind::Embedded,
            &ServerSpec::default(),
        ))
        .unwrap()
});

/// Runs a test when the server is there.
fn live(test: impl Future<Output = ()>) {
    LazyLock::force(&SERVER);
    RUNTIME.block_on(test);
}

/// A database, and a session that looks at the waits in it.
struct Database {
    name: String,
    control: Connection,
}

/// A row of the table. The ids are those of `TIDB_TRX`.
#[derive(Debug, Clone, PartialEq)]
struct Wait {
    key_info: String,
    waiter: i128,
    holder: i128,
    digest: SqlValue,
}

fn id(value: &SqlValue) -> i128 {
    let SqlValue::Int(id) = value else {
        panic!("no id: {value:?}")
    };
    *id
}

async fn rows(session: &mut Connection, sql: &str) -> Vec<Vec<SqlValue>> {
    match session.execute(sql).await {
        Outcome::Rows(rows) => rows.rows,
        other => panic!("{sql}: {other:?}"),
    }
}

async fn run(session: &mut Connection, sqls: &[&str]) {
    for sql in sqls {
        let outcome = session.execute(sql).await;
        assert!(outcome.error().is_none(), "{sql}: {outcome:?}");
    }
}

/// Sends a statement, and does not wait for its answer.
fn send(mut session: Connection, sql: &str) -> JoinHandle<(Connection, Outcome)> {
    let sql = sql.to_owned();
    tokio::spawn(async move {
        let outcome = session.execute(&sql).await;
        (session, outcome)
    })
}

/// The answer to a statement that was sent.
async fn answer(sent: JoinHandle<(Connection, Outcome)>) -> (Connection, Outcome) {
    tokio::time::timeout(LIMIT, sent)
        .await
        .expect("an answer")
        .unwrap()
}

impl Database {
    async fn create() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("waits_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut control = Connection::open(SERVER.config(), SERVER.options()).await.unwrap();
        let sqls = [
            &format!("create database {name}"),
            &format!("use {name}"),
            "create table account (id int primary key, balance int, code int unique)",
            "insert into account values (1, 100, 11), (2, 100, 12), (101, 100, 13)",
            "create table owner (id int primary key, account int, foreign key (account) references account (id))",
        ];
        run(&mut control, &sqls).await;
        Self { name, control }
    }

    async fn session(&self) -> Connection {
        let mut session = Connection::open(SERVER.config(), SERVER.options()).await.unwrap();
        run(&mut session, &[&format!("use {}", self.name)]).await;
        session
    }

    /// The waits for keys of this database.
    async fn waits(&mut self) -> Vec<Wait> {
        let sql = "select key_info, trx_id, current_holding_trx_id, sql_digest \
                   from information_schema.data_lock_waits";
        let ours = format!(r#""db_name":"{}""#, self.name);
        let mut waits = Vec::new();
        for row in rows(&mut self.control, sql).await {
            let key_info = match &row[0] {
                SqlValue::Text(text) => text.clone(),
                // A key of a table that is gone.
                _ => continue,
            };
            if key_info.contains(&ours) {
                let (waiter, holder) = (id(&row[1]), id(&row[2]));
                let digest = row[3].clone();
                waits.push(Wait {
                    key_info,
                    waiter,
                    holder,
                    digest,
                });
            }
        }
        waits
    }

    /// The first look that `found` likes, and how long it took to come.
    async fn waits_until(&mut self, found: impl Fn(&[Wait]) -> bool) -> (Vec<Wait>, Duration) {
        let begun = Instant::now();
        loop {
            let waits = self.waits().await;
            if found(&waits) {
                return (waits, begun.elapsed());
            }
            assert!(begun.elapsed() < LIMIT, "{waits:?}");
        }
    }

    /// The transaction of a session, and the digest of what it executes.
    async fn transaction(&mut self, session_id: u64) -> (i128, SqlValue) {
        let sql = format!(
            "select id, current_sql_digest from information_schema.tidb_trx where session_id = {session_id}"
        );
        let rows = rows(&mut self.control, &sql).await;
        assert_eq!(rows.len(), 1, "transactions of session {session_id}");
        (id(&rows[0][0]), rows[0][1].clone())
    }
}

/// A wait: what one session does to have the lock, and another one to wait for it.
struct Kind {
    held: &'static [&'static str],
    before: &'static [&'static str],
    waits: &'static str,
    /// What KEY_INFO says of the key.
    key: [&'static str; 2],
}

const ROW: [&str; 2] = [r#""table_name":"account""#, r#""handle_value":"1""#];
const UNIQUE: [&str; 2] = [
    r#""table_name":"account""#,
    r#""index_name":"code","index_values":["77"]"#,
];
const UPDATE: &str = "update account set balance = balance - 10 where id = 1";
const INSERT: &str = "insert into account values (7, 100, 77)";
const KINDS: [Kind; 12] = [
    // Pessimistic, by point, by scan, by a locking read, and without fair locking.
    Kind {
        held: &["begin", UPDATE],
        before: &["begin"],
        waits: UPDATE,
        key: ROW,
    },
    Kind {
        held: &["begin", UPDATE],
        before: &["begin"],
        waits: "delete from account where balance > 0",
        key: ROW,
    },
    Kind {
        held: &["begin", "select * from account where id = 1 for update"],
        before: &["begin"],
        waits: "select * from account where id = 1 for update",
        key: ROW,
    },
    Kind {
        held: &["begin", UPDATE],
        before: &["set tidb_pessimistic_txn_fair_locking = 0", "begin"],
        waits: UPDATE,
        key: ROW,
    },
    Kind {
        held: &["begin", UPDATE],
        before: &["set autocommit = 0"],
        waits: UPDATE,
        key: ROW,
    },
    // A unique key that another transaction has inserted.
    Kind {
        held: &["begin", "insert into account values (8, 100, 77)"],
        before: &["begin"],
        waits: INSERT,
        key: UNIQUE,
    },
    // The row that a foreign key refers to, from both sides.
    Kind {
        held: &["begin", UPDATE],
        before: &["begin"],
        waits: "insert into owner values (1, 1)",
        key: ROW,
    },
    Kind {
        held: &["begin", "insert into owner values (1, 1)"],
        before: &["begin"],
        waits: "update account set id = 9 where id = 1",
        key: ROW,
    },
    // Autocommit commits optimistically, and meets the lock then.
    Kind {
        held: &["begin", UPDATE],
        before: &[],
        waits: UPDATE,
        key: ROW,
    },
    Kind {
        held: &["begin", "insert into account values (8, 100, 77)"],
        before: &[],
        waits: INSERT,
        key: UNIQUE,
    },
    Kind {
        held: &["begin", UPDATE],
        before: &[],
        waits: "insert into owner values (1, 1)",
        key: ROW,
    },
    Kind {
        held: &["begin", UPDATE],
        before: &["begin optimistic", UPDATE],
        waits: "commit",
        key: ROW,
    },
];

async fn is_shown(kind: &Kind) {
    let what = format!("{:?}, {}", kind.before, kind.waits);
    let mut database = Database::create().await;
    let (mut holder, mut waiter) = (database.session().await, database.session().await);
    run(&mut holder, kind.held).await;
    run(&mut waiter, kind.before).await;
    let session = waiter.session_id();
    let waiting = send(waiter, kind.waits);
    let (waits, after) = database.waits_until(|waits| !waits.is_empty()).await;
    assert!(after < AT_ONCE, "{what}: seen only after {after:?}");
    let (waiter_id, digest) = database.transaction(session).await;
    let (holder_id, _) = database.transaction(holder.session_id()).await;
    let [wait] = waits.as_slice() else {
        panic!("{what}: {waits:?}")
    };
    assert_eq!((wait.waiter, wait.holder), (waiter_id, holder_id), "{what}");
    assert_eq!(wait.digest, digest, "{what}");
    assert!(
        kind.key.iter().all(|part| wait.key_info.contains(part)),
        "{what}: {wait:?}"
    );
    let begun = Instant::now();
    while begun.elapsed() < A_WHILE {
        assert_eq!(
            database.waits().await,
            waits,
            "{what}: after {:?}",
            begun.elapsed()
        );
    }
    run(&mut holder, &["rollback"]).await;
    // Autocommit and COMMIT go on later, when their back-off is over.
    assert_eq!(database.waits().await, [], "{what}: the lock is gone");
    let (_, outcome) = answer(waiting).await;
    assert!(outcome.error().is_none(), "{what}: {outcome:?}");
    assert_eq!(database.waits().await, [], "{what}: it waits no more");
}

#[test]
fn each_kind_of_wait_is_shown_from_its_beginning_to_its_end() {
    live(async {
        let kinds: JoinSet<()> = KINDS.iter().map(is_shown).collect();
        kinds.join_all().await;
    });
}

/// Twenty sessions wait for three seconds: each asks the store anew three times.
#[test]
fn no_look_misses_a_wait() {
    const WAITERS: usize = 20;
    live(async {
        let mut database = Database::create().await;
        let mut holder = database.session().await;
        let ids = 1_000..1_000 + WAITERS;
        let values: Vec<String> = ids.clone().map(|id| format!("({id}, 100, {id})")).collect();
        let insert = format!("insert into account values {}", values.join(", "));
        run(&mut holder, &[&insert, "begin", "update account set balance = 0"]).await;
        let mut waiting = Vec::new();
        for id in ids {
            let mut waiter = database.session().await;
            run(&mut waiter, &["begin"]).await;
            let sql = format!("update account set balance = 1 where id = {id}");
            waiting.push(send(waiter, &sql));
        }
        let (_, after) = database.waits_until(|waits| waits.len() == WAITERS).await;
        assert!(after < AT_ONCE, "{after:?}");
        let (begun, mut looks) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_millis(3_300) {
            let waits = database.waits().await;
            assert_eq!(waits.len(), WAITERS, "after {:?}, look {looks}", begun.elapsed());
            looks += 1;
        }
        println!("{looks} looks at {WAITERS} waits, none is missing");
        run(&mut holder, &["commit"]).await;
        for sent in waiting {
            let (_, outcome) = answer(sent).await;
            assert!(outcome.error().is_none(), "{outcome:?}");
        }
    });
}

/// The lock passes to one of two: the other one waits for that one from then on.
#[test]
fn the_holder_is_who_has_the_lock_now() {
    live(async {
        let mut database = Database::create().await;
        let mut holder = database.session().await;
        run(&mut holder, &["begin", UPDATE]).await;
        let (holder_id, _) = database.transaction(holder.session_id()).await;
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut waiter = database.session().await;
            run(&mut waiter, &["begin"]).await;
            waiting.push(send(waiter, UPDATE));
        }
        let (waits, _) = database.waits_until(|waits| waits.len() == 2).await;
        let [one, other] = [waits[0].waiter, waits[1].waiter];
        assert!(waits.iter().all(|wait| wait.holder == holder_id), "{waits:?}");
        run(&mut holder, &["commit"]).await;
        let (waits, _) = database
            .waits_until(|waits| {
                assert!(waits.iter().all(|wait| wait.holder != holder_id), "{waits:?}");
                !waits.is_empty()
            })
            .await;
        let pairs: Vec<_> = waits.iter().map(|wait| (wait.waiter, wait.holder)).collect();
        assert!(
            pairs == [(one, other)] || pairs == [(other, one)],
            "{pairs:?} of {one} and {other}"
        );
    });
}

/// A wait that ends without the lock: by its limit, by KILL, by the end of its connection.
#[test]
fn a_wait_that_is_given_up_is_not_shown_any_more() {
    live(async {
        let mut database = Database::create().await;
        let mut holder = database.session().await;
        run(&mut holder, &["begin", UPDATE]).await;
        for (before, waits, kill, code) in [
            (
                "begin",
                "select * from account where id = 1 for update wait 1",
                "",
                1205,
            ),
            ("begin", UPDATE, "kill query", 1317),
            ("do 0", UPDATE, "kill query", 1317),
            ("begin", UPDATE, "kill", 2013),
        ] {
            let what = format!("{before}; {waits}; {kill}");
            let mut waiter = database.session().await;
            run(&mut waiter, &[before]).await;
            let session = waiter.session_id();
            let waiting = send(waiter, waits);
            database.waits_until(|waits| waits.len() == 1).await;
            if !kill.is_empty() {
                let mut killer = database.session().await;
                run(&mut killer, &[&format!("{kill} {session}")]).await;
            }
            let (_, outcome) = answer(waiting).await;
            assert_eq!(outcome.error().map(|error| error.code), Some(code), "{what}");
            // The server closes the connection before the session has noticed that it was killed.
            if code != 2013 {
                assert_eq!(database.waits().await, [], "{what}");
            }
            database.waits_until(<[Wait]>::is_empty).await;
        }
        run(&mut holder, &["rollback"]).await;
    });
}

#[test]
fn nowait_does_not_wait() {
    live(async {
        let mut database = Database::create().await;
        let mut holder = database.session().await;
        run(&mut holder, &["begin", UPDATE]).await;
        let mut session = database.session().await;
        run(&mut session, &["begin"]).await;
        let asking = tokio::spawn(async move {
            for _ in 0..500 {
                let sql = "select * from account where id = 1 for update nowait";
                let outcome = session.execute(sql).await;
                assert_eq!(outcome.error().map(|error| error.code), Some(3572));
            }
        });
        while !asking.is_finished() {
            assert_eq!(database.waits().await, []);
        }
        asking.await.unwrap();
    });
}

/// With async commit a read waits for a transaction that has begun to commit and waits itself: the rows lie in
/// two regions, and the lock is on that of the second.
#[test]
fn a_read_that_meets_a_committing_transaction_is_shown() {
    live(async {
        for read in [
            "select * from account where id in (1, 2)",
            "select sum(balance) from account",
        ] {
            let mut database = Database::create().await;
            run(&mut database.control, &["split table account by (100)"]).await;
            let mut holder = database.session().await;
            run(
                &mut holder,
                &["begin", "update account set balance = 0 where id = 101"],
            )
            .await;
            let mut writer = database.session().await;
            let sqls = [
                "set tidb_enable_async_commit = 1",
                "begin optimistic",
                "update account set balance = 1 where id in (1, 101)",
            ];
            run(&mut writer, &sqls).await;
            let session = writer.session_id();
            let writing = send(writer, "commit");
            database.waits_until(|waits| waits.len() == 1).await;
            let (writer_id, _) = database.transaction(session).await;
            let mut reader = database.session().await;
            run(&mut reader, &["begin"]).await;
            let reader_session = reader.session_id();
            let reading = send(reader, read);
            let by_writer = |wait: &Wait| wait.holder == writer_id;
            let (waits, _) = database.waits_until(|waits| waits.iter().any(by_writer)).await;
            let (reader_id, _) = database.transaction(reader_session).await;
            let waits: Vec<_> = waits.iter().filter(|wait| by_writer(wait)).collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| wait.waiter == reader_id
                        && ROW.iter().all(|part| wait.key_info.contains(part))),
                "{read}: {waits:?} of {reader_id}"
            );
            run(&mut holder, &["rollback"]).await;
            answer(writing).await;
            let (_, outcome) = answer(reading).await;
            assert!(matches!(outcome, Outcome::Rows(_)), "{read}: {outcome:?}");
            assert_eq!(database.waits().await, [], "{read}");
        }
    });
}

#[test]
fn many_open_transactions_do_not_hide_a_wait() {
    const OPEN: usize = 300;
    live(async {
        let mut database = Database::create().await;
        let mut holder = database.session().await;
        let mut open = Vec::new();
        for id in 1_000..1_000 + OPEN {
            let mut session = database.session().await;
            let insert = format!("insert into account values ({id}, 1, {id})");
            run(&mut session, &["begin", &insert]).await;
            open.push(session);
        }
        run(&mut holder, &["begin", UPDATE]).await;
        let mut waiter = database.session().await;
        run(&mut waiter, &["begin"]).await;
        let waiting = send(waiter, UPDATE);
        let (_, after) = database.waits_until(|waits| waits.len() == 1).await;
        assert!(after < AT_ONCE, "{after:?}");
        run(&mut holder, &["rollback"]).await;
        answer(waiting).await;
    });
}
