//! What is told of a statement by its text, against what a TiDB says after it: the flags of its answer tell whether a
//! transaction is open.

use std::sync::LazyLock;

use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder};
use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, describe};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tidb_scenarios::testing::{TransactionChange, classify};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Every kind of statement that TiDB's documentation lists and that can succeed on a server of its own.
const STATEMENTS: &[&str] = &[
    "begin",
    "begin pessimistic",
    "begin optimistic",
    "begin /*T! optimistic */",
    "/*!40101 begin */",
    "/*!99999 begin */",
    "/* x */ begin -- x",
    "start transaction",
    "start transaction with consistent snapshot",
    "start transaction with causal consistency only",
    "start transaction read write",
    "start transaction read only as of timestamp now()",
    "commit",
    "commit and chain",
    "commit and no chain release",
    "commit release",
    "rollback",
    "rollback and chain",
    "rollback release",
    "savepoint s",
    "savepoint `a b`",
    "rollback to before_it",
    "rollback to savepoint before_it",
    "release savepoint before_it",
    "set autocommit = 1",
    "set autocommit = 0",
    "set @@autocommit = 'on'",
    "set session autocommit = 1",
    "set local autocommit := 1",
    "set @@session.autocommit = true",
    "set @a = 1, autocommit = 1",
    "set autocommit = 0, autocommit = 1",
    "set autocommit = default",
    "set autocommit = @@global.autocommit",
    "set @autocommit = 1",
    "set global autocommit = 1",
    "set session transaction isolation level read committed",
    "set global transaction isolation level repeatable read",
    "set transaction read only as of timestamp now()",
    "set names utf8mb4",
    "set character set utf8mb4",
    "set @a = 1",
    "set @a = (select count(*) from t)",
    "set @a := (select count(*) from t for update)",
    "set @a = get_lock('of set', 0)",
    "set sql_mode = ''",
    "set role none",
    "set default role none to root",
    "set resource group default",
    "set tidb_snapshot = ''",
    "set tidb_txn_mode = 'optimistic'",
    "set global tidb_txn_mode = 'pessimistic'",
    "set @@global.tidb_txn_mode = 'pessimistic'",
    "/*!40101 set global tidb_txn_mode = 'pessimistic' */",
    "set password for 'somebody' = ''",
    "select 1",
    "(select 1)",
    "select n from t",
    "((select n from t))",
    "(select n from t) union (select 2)",
    "select n from t where id = 1 for update",
    "select n from t where id = 77 for update",
    "select n from t for update nowait",
    "select n from t for update wait 3",
    "select * from t for update skip locked",
    "select n from t as of timestamp '{past}'",
    "select sleep(0)",
    "select get_lock('of select', 0)",
    "select get_lock('of from', 0) from t",
    "select release_all_locks()",
    "select nextval(numbers)",
    "select lastval(numbers)",
    "select setval(numbers, 5)",
    "select benchmark(1, 1)",
    "select found_rows()",
    "select * from information_schema.tables limit 1",
    "table t",
    "(table t)",
    "with x as (select 1) select * from x",
    "with x as (select n from t) select * from x for update",
    "with x as (select 1 as id) update t, x set t.n = 9 where t.id = x.id",
    "with x as (select 1) delete from t",
    "do 1",
    "do sleep(0)",
    "do get_lock('of do', 0)",
    "do (select count(*) from t)",
    "insert into t values (7, 7)",
    "insert ignore into t values (1, 1)",
    "insert into t values (1, 1) on duplicate key update n = 2",
    "insert into t select 8, count(*) from t for update",
    "insert into t values (get_lock('of insert', 0) + 10, 1)",
    "replace into t values (1, 2)",
    "update t set n = 3",
    "update t set n = n where 0",
    "delete from t",
    "batch on id limit 1 delete from t",
    "explain select 1",
    "explain select * from t",
    "explain update t set n = 3",
    "explain analyze select * from t",
    "explain analyze update t set n = 3",
    "desc t",
    "describe t",
    "trace select * from t",
    "plan replayer dump explain select 1",
    "prepare s from 'select 1'",
    "prepare s from 'commit'",
    "execute prepared_select",
    "execute prepared_update",
    "execute prepared_commit",
    "execute prepared_begin",
    "deallocate prepare prepared_select",
    "drop prepare prepared_select",
    "create table v (a int)",
    "create table if not exists t (a int)",
    "create table v like t",
    "create temporary table v (a int)",
    "create global temporary table v (a int) on commit delete rows",
    "drop temporary table if exists v",
    "create index i on t (n)",
    "create unique index i on t (n)",
    "alter table t add column c int",
    "alter table t add index (n), comment 'x'",
    "alter table t rename to v",
    "rename table t to v",
    "drop table if exists nope",
    "drop table t",
    "truncate t",
    "truncate table t",
    "create view v as select 1",
    "create or replace view v as select 1",
    "drop view if exists v",
    "create sequence v",
    "alter sequence numbers maxvalue 100",
    "drop sequence numbers",
    "create database if not exists {database}",
    "alter database {database} character set utf8mb4",
    "drop database if exists nope",
    "create user if not exists 'another'",
    "alter user 'somebody' identified by ''",
    "drop user if exists 'another'",
    "create role if not exists 'a_role'",
    "grant 'a_role' to root",
    "revoke 'a_role' from root",
    "drop role if exists 'a_role'",
    "grant select on {database}.* to 'somebody'",
    "revoke select on {database}.* from 'somebody'",
    "flush privileges",
    "flush tables",
    "flush status",
    "create session binding for select n from t using select n from t",
    "create global binding for select * from t using select * from t",
    "drop global binding for select * from t",
    "drop session binding for select n from t",
    "create resource group if not exists a_group ru_per_sec = 10",
    "alter resource group a_group ru_per_sec = 20",
    "drop resource group if exists a_group",
    "create placement policy if not exists a_policy followers = 1",
    "drop placement policy if exists a_policy",
    "analyze table t",
    "alter table p analyze partition p0",
    "drop stats t",
    "lock stats t",
    "unlock stats t",
    "lock tables t write",
    "unlock tables",
    "use {database}",
    "show tables",
    "show warnings",
    "show create table t",
    "show table t regions",
    "show import jobs",
    "kill query 999999",
    "kill tidb connection 999999",
    "split table t between (0) and (1000000) regions 2",
    "admin show ddl",
    "admin check table t",
    "admin checksum table t",
    "admin cancel ddl jobs 999999",
    "admin flush bindings",
    "admin reload bindings",
    "admin flush session plan_cache",
    "admin set bdr role primary",
    "admin unset bdr role",
    "alter instance reload tls",
    "binlog 'x'",
    "-- nothing",
    ";",
    "select 1; commit",
    "begin; update t set n = 3",
];

/// After these the tables have to be made anew.
const CHANGES_TABLES: &[&str] = &[
    "create table v",
    "create global temporary",
    "create index",
    "create unique",
    "alter table t",
    "rename",
    "drop table t",
    "create view",
    "create or replace",
    "create sequence",
    "drop sequence",
];

/// A session before the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Autocommit,
    Begun,
    NoAutocommit,
    NoAutocommitOpen,
}

impl Before {
    const ALL: [Self; 4] = [
        Self::Autocommit,
        Self::Begun,
        Self::NoAutocommit,
        Self::NoAutocommitOpen,
    ];

    fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Autocommit => &[],
            Self::Begun => &["begin", "savepoint before_it", "update t set n = 5 where id = 1"],
            Self::NoAutocommit => &["set autocommit = 0"],
            Self::NoAutocommitOpen => &[
                "set autocommit = 0",
                "update t set n = 5 where id = 1",
                "savepoint before_it",
            ],
        }
    }

    fn is_open(self) -> bool {
        matches!(self, Self::Begun | Self::NoAutocommitOpen)
    }

    fn autocommit(self) -> bool {
        matches!(self, Self::Autocommit | Self::Begun)
    }
}

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Whether a transaction is open, by the flags of the last answer.
fn is_open(conn: &Conn) -> Option<bool> {
    let flags = conn.last_ok_packet()?.status_flags();
    Some(flags.contains(StatusFlags::SERVER_STATUS_IN_TRANS))
}

async fn make_ready(control: &mut Conn, database: &str) {
    for sql in [
        format!("drop database if exists {database}"),
        format!("create database {database}"),
        format!("use {database}"),
        "create table t (id int primary key, n int)".to_owned(),
        "create table p (id int primary key) partition by hash (id) partitions 2".to_owned(),
        "create sequence numbers".to_owned(),
        "insert into t values (1, 1)".to_owned(),
        "create user if not exists 'somebody'".to_owned(),
        "create role if not exists 'a_role'".to_owned(),
    ] {
        run(control, &sql).await;
    }
}

/// What came of one statement: whether a transaction is open after it, or why it failed.
async fn after(server: &Server, database: &str, before: Before, sql: &str) -> Result<bool, String> {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.config().port)
        .user(Some("root"))
        .prefer_socket(false)
        .db_name(Some(database));
    let mut conn = Conn::new(options).await.expect("a session");
    for sql in [
        "prepare prepared_select from 'select n from t'",
        "prepare prepared_update from 'update t set n = n + 1'",
        "prepare prepared_commit from 'commit'",
        "prepare prepared_begin from 'begin'",
    ]
    .iter()
    .chain(before.statements())
    {
        run(&mut conn, sql).await;
    }
    assert_eq!(is_open(&conn).unwrap_or_default(), before.is_open(), "{before:?}");
    let answer = conn.query_drop(sql).await;
    let open = is_open(&conn);
    drop(conn.disconnect().await);
    match (answer, open) {
        (Ok(()), Some(open)) => Ok(open),
        (Ok(()), None) => Err("no flags".to_owned()),
        (Err(error), _) => Err(error.to_string()),
    }
}

#[test]
fn the_text_tells_of_a_transaction_what_the_server_does() {
    RUNTIME.block_on(compare());
}

/// Whoever sends a text of several statements would be told of one of them.
async fn several_are_not_sent(server: &Server) {
    let opened = Connection::open(server.config(), server.options()).await;
    let mut session = opened.expect("a session");
    for text in ["begin; select 1", "select 1 /*! ; begin */"] {
        let outcome = describe(&session.execute(text).await);
        assert!(
            outcome.contains("this text has 2 statements"),
            "{text}: {outcome}"
        );
    }
    for text in ["select ';'; -- only; one", "/*! select 1; */;"] {
        let outcome = session.execute(text).await;
        assert!(matches!(outcome, Outcome::Rows(_)), "{text}: {outcome:?}");
    }
    // Nothing has begun.
    let open = session.execute("rollback to nothing").await;
    assert!(describe(&open).contains("1305"), "{open:?}");
    session.close().await;
}

async fn compare() {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let spec = ServerSpec::default();
    let server = Server::start(&settings, ProviderKind::Embedded, &spec);
    let server = server.await.expect("a server");
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.config().port)
        .user(Some("root"))
        .prefer_socket(false);
    let mut control = Conn::new(options).await.expect("a session");
    make_ready(&mut control, "of_statements").await;
    // A time at which the tables were there.
    let past: Option<String> = control.query_first("select now(6)").await.expect("the time");
    let (mut wrong, mut untold, mut told) = (Vec::new(), Vec::new(), 0);
    for text in STATEMENTS {
        let sql = text.replace("{database}", "of_statements");
        let sql = sql.replace("{past}", past.as_deref().expect("the time"));
        let change = classify(&sql).change();
        let mut succeeded = 0;
        for before in Before::ALL {
            let open = match after(&server, "of_statements", before, &sql).await {
                Ok(open) => open,
                Err(error) => {
                    println!("{text} ({before:?}) failed: {error}");
                    continue;
                }
            };
            succeeded += 1;
            match change.open_after(before.is_open(), Some(before.autocommit())) {
                Some(said) if said == open => told += 1,
                Some(_) => wrong.push(format!("{text} ({before:?}): {change:?}, and open is {open}")),
                // Without autocommit, what a statement touches decides.
                None if change == TransactionChange::MayBegin => {}
                None => untold.push(*text),
            }
            if CHANGES_TABLES.iter().any(|begins| sql.starts_with(begins)) {
                make_ready(&mut control, "of_statements").await;
            } else {
                run(&mut control, "delete from t where id <> 1").await;
                run(&mut control, "replace into t values (1, 1)").await;
            }
        }
        if succeeded == 0 {
            wrong.push(format!(
                "{text}: it failed in every session, so that nothing is shown"
            ));
        }
    }
    drop(control.disconnect().await);
    several_are_not_sent(&server).await;
    server.stop().await.expect("the server ends");
    untold.dedup();
    assert_eq!(wrong, [""; 0]);
    assert_eq!(
        untold,
        [
            "set autocommit = 0, autocommit = 1",
            "set autocommit = default",
            "set autocommit = @@global.autocommit",
            "execute prepared_select",
            "execute prepared_update",
            "execute prepared_commit",
            "execute prepared_begin",
            "select 1; commit",
            "begin; update t set n = 3",
        ]
    );
    assert!(STATEMENTS.len() > 150 && told > 450, "{told}");
}
