//! Each order begins with what the setup left, and brings nothing into the next.

use std::sync::Arc;

use tidb_scenarios::engine::TrialPlan;
use tidb_scenarios::engine::{OrderOutcome, ReplayScheduler, Sandbox};
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::Server;

use crate::{RUNTIME, SERVER, explored, settings, trial};

/// A stage of its own, run in the orders of `picks`.
pub fn stage(text: &str, picks: &[&[usize]]) -> (bool, Vec<OrderOutcome>, Arc<TrialPlan>) {
    let plan = trial(text);
    let settings = settings().run;
    let server: &Server = &SERVER;
    let came = RUNTIME.block_on(async {
        let mut stage = Sandbox::open(Arc::clone(&plan), server, &[], settings)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let puts_back = stage.restores();
        let mut all = Vec::new();
        for order in picks {
            let ran = stage
                .run(&mut ReplayScheduler::new(order), &[])
                .await
                .expect("it runs");
            assert!(ran.complete);
            assert_eq!(ran.history.stopped, None, "{text}");
            let order_taken: Vec<usize> = ran.scheduled.iter().map(|one| one.connection).collect();
            let came = OrderOutcome::of(&plan, &ran.history);
            assert_eq!(&order_taken, order, "{text}{:?}", came.facts());
            all.push(came);
        }
        assert_eq!(
            stage.restores(),
            puts_back,
            "rows that were put back are the same:\n{text}"
        );
        stage.close().await;
        (puts_back, all)
    });
    (came.0, came.1, plan)
}

/// Runs the same order three times, with another one between: what it comes to must not change. Tells whether
/// rows were put back.
fn comes_back(setup: &str, a: &str, b: &str) -> bool {
    let text = format!(
        "scenario: x\nsetup: |\n{}\nconnections:\n  a: {{states: [{a}]}}\n  b: {{states: [{b}]}}\npermutations: all\n",
        setup
            .lines()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    let plan = trial(&text);
    let order = |first: usize| {
        let steps = plan.steps.iter().map(|step| step.connection);
        let (one, other): (Vec<usize>, Vec<usize>) = steps.partition(|own| *own == first);
        [one, other].concat()
    };
    let (one, other) = (order(0), order(1));
    let (puts_back, came, _) = stage(&text, &[&one, &other, &one, &other, &other, &one]);
    assert_eq!(came[0], came[2], "{text}");
    assert_eq!(came[0], came[5], "{text}");
    assert_eq!(came[1], came[3], "{text}");
    assert_eq!(came[1], came[4], "{text}");
    puts_back
}

#[test]
fn rows_are_put_back_exactly() {
    let look = "{sql: select * from t order by 1}";
    for (what, setup, rows) in [
        (
            "numbers",
            "create table t (id int primary key, a decimal(20, 5), b double, c float, d bigint unsigned, e tinyint(1), f bit(9));",
            "(1, 1.10000, 0.1, 1.5, 18446744073709551615, 1, b'101010101'), (2, -0.00001, 1e300, -0.25, 0, 0, b'0'), (3, null, null, null, null, null, null)",
        ),
        (
            "text",
            "create table t (id int primary key, a varchar(50), b text, c char(5), d enum('x', 'it''s'), e set('p', 'q', 'r'));",
            "(1, 'it''s \"so\" \\\\ `x` ? %', 'line\\nline\\ttab', 'ab ', 'it''s', 'p,r'), (2, '', 'ünïcödé 🎉', '', null, ''), (3, null, null, null, 'x', null)",
        ),
        (
            "bytes",
            "create table t (id int primary key, a blob, b varbinary(20), c binary(4));",
            "(1, x'00ff00', x'deadbeef', x'01'), (2, '', '', x'00000000'), (3, null, null, null)",
        ),
        (
            "times",
            "create table t (id int primary key, a datetime(6), b timestamp(3) null, c date, d time(2), e year);",
            "(1, '2020-02-29 23:59:59.123456', '2021-01-01 00:00:00.500', '1999-12-31', '-12:34:56.78', 2024), (2, null, null, null, null, null), (3, '0001-01-01 00:00:00', '1970-01-02 00:00:01', '9999-12-31', '838:59:59', 1901)",
        ),
        (
            "json",
            "create table t (id int primary key, a json);",
            "(1, '{\"b\": [1, 2.5, null, true, \"x\\\\\"y\"], \"a\": {}}'), (2, 'null'), (3, null), (4, '\"text\"'), (5, '12345678901234567890')",
        ),
    ] {
        let setup = format!("{setup}\ninsert into t values {rows};");
        let a = format!("{look}, {{sql: delete from t where id = 1}}, {look}");
        assert!(
            comes_back(
                &setup,
                &a,
                "{sql: update t set id = id + 100}, {sql: delete from t}"
            ),
            "{what}"
        );
    }
    // Columns that are made of others, tables without a key, with rows twice and without any rows.
    let setup = "create table t (id int primary key, n int, twice int as (n * 2) stored, more int as (n + 1) virtual);
insert into t (id, n) values (1, 5), (2, null);
create table nokey (n int, s varchar(5) default 'x');
insert into nokey values (1, 'a'), (1, 'a'), (2, null);
create table nothing (id int primary key, n int);
create table `odd``name ?` (`a column` int primary key, `order` int);
insert into `odd``name ?` values (1, 2);";
    let a = format!(
        "{look}, {{sql: update t set n = n + 1}}, {{sql: \"insert into nothing values (1, 1)\"}}, {{sql: delete from nokey where n = 1 limit 1}}"
    );
    let b = "{sql: select * from nokey order by n}, {sql: \"insert into nokey (n) values (9)\"}, {sql: delete from `odd``name ?`}, {sql: select count(*) from nothing}";
    assert!(comes_back(setup, &a, b));
    // Foreign keys, in a ring and to itself, and what they take with them.
    let setup = "create table p (id int primary key, up int, foreign key (up) references p (id) on delete set null);
insert into p values (1, null), (2, 1);
create table t (id int primary key, p int, foreign key (p) references p (id) on delete cascade on update cascade);
insert into t values (1, 1), (2, 2);";
    let a = format!(
        "{{sql: delete from p where id = 2}}, {look}, {{sql: \"insert into t values (9, 9)\", error: 1452}}"
    );
    assert!(comes_back(
        setup,
        &a,
        "{sql: update p set id = 7 where id = 1, error: 1451}, {sql: delete from t}, {sql: select * from p order by id}"
    ));
    // More rows than one INSERT takes.
    let setup = "create table t (id int primary key, n int);
insert into t with recursive r as (select 1 as i union all select i + 1 from r where i < 701) select i, i * i from r;";
    assert!(comes_back(
        setup,
        "{sql: delete from t where id % 2 = 0}",
        "{sql: \"select count(*), sum(n) from t\"}"
    ));
}

#[test]
fn what_rows_cannot_put_back_leads_to_new_databases() {
    for (what, setup, a, b) in [
        (
            "auto_increment",
            "create table t (id int auto_increment primary key, n int);\ninsert into t (n) values (1);",
            "{sql: insert into t (n) values (2)}",
            "{sql: insert into t (n) values (3)}, {sql: select * from t order by id}",
        ),
        (
            "a schema change",
            "create table t (id int primary key);\ninsert into t values (1);",
            "{sql: alter table t add column n int default 7}",
            "{sql: select * from t}, {sql: \"create table u (id int)\"}",
        ),
        (
            "truncate",
            "create table t (id int primary key);\ninsert into t values (1);",
            "{sql: truncate table t}",
            "{sql: select * from t}",
        ),
        (
            "a view",
            "create table t (id int primary key);\ninsert into t values (1);\ncreate view v as select id + 1 as n from t;",
            "{sql: update t set id = 5}",
            "{sql: select * from v}",
        ),
    ] {
        assert!(!comes_back(setup, a, b), "{what}");
    }
    // The numbers of AUTO_RANDOM are others each time.
    let text = "scenario: x
setup: create table t (id bigint auto_random primary key)
connections: {a: {states: [{sql: select 1}]}}
permutations: all
";
    assert!(!explored(text).restores);
}

#[test]
fn a_read_of_the_past_sees_no_row_of_the_order_before() {
    for past in [
        "{sql: set tidb_read_staleness = -3}, {sql: select n from t where id = 1}",
        "{sql: select n from t as of timestamp now(6) - interval 3 second where id = 1}",
    ] {
        let text = format!(
            "scenario: x
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 0);
  do sleep(4);
connections:
  a: {{states: [{past}]}}
  b: {{states: [{{sql: update t set n = 1 where id = 1}}]}}
permutations: {{prune: false}}
"
        );
        let explored = explored(&text);
        assert!(!explored.restores, "{text}");
        assert!(explored.histories.len() > 1, "{text}");
        for history in &explored.histories {
            let read = history.steps.iter().rfind(|step| step.connection == 0);
            let end = read.and_then(|step| step.end.as_ref()).expect("it has ended");
            match &end.outcome {
                Outcome::Rows(set) => assert_eq!(set.rows, [[SqlValue::Int(0)]], "{text}"),
                other => panic!("{other:?}\n{text}"),
            }
        }
    }
}

#[test]
fn sessions_bring_nothing_into_the_next_order() {
    let setup = "create table t (id int primary key, n int);\ninsert into t values (1, 0);";
    for (a, b) in [
        (
            "{sql: select @x as x}, {sql: \"set @x = 5\"}",
            "{sql: \"select @x := 7 as x\"}, {sql: select @x}",
        ),
        (
            "{sql: select @@sql_mode as m}, {sql: \"set sql_mode = ''\"}",
            "{sql: select @@autocommit}, {sql: set autocommit = 0}, {sql: update t set n = n + 1}",
        ),
        (
            "{sql: \"prepare p from 'select 1'\"}, {sql: execute p}",
            "{sql: \"execute p\", error: any}, {sql: \"prepare p from 'select 2'\"}",
        ),
        (
            "{sql: \"select get_lock('tsc_explore', 0)\"}",
            "{sql: \"select is_free_lock('tsc_explore') in (0, 1)\"}",
        ),
        (
            "{sql: select last_insert_id()}, {sql: \"select last_insert_id(9)\"}",
            "{sql: select last_insert_id()}",
        ),
        (
            "{sql: begin}, {sql: update t set n = 9}",
            "{sql: select n from t}",
        ),
        (
            "{sql: use mysql}, {sql: select database() = 'mysql'}",
            "{sql: select database() = 'mysql'}",
        ),
        (
            "{sql: select * from tmp, error: 1146}, {sql: \"create temporary table tmp (id int)\"}",
            "{sql: select n from t}",
        ),
        (
            "{sql: \"set transaction isolation level read committed\"}",
            "{sql: select @@transaction_isolation}, {sql: \"set session transaction isolation level read committed\"}",
        ),
        (
            "{sql: \"insert into t values (1, 1)\", error: 1062}, {sql: \"insert into t values (2, 1)\"}",
            "{sql: \"insert into t values (1, 1)\"}",
        ),
    ] {
        comes_back(setup, a, b);
    }
}

#[test]
fn rows_that_are_put_back_take_no_others_with_them() {
    let setup = "create table p (id int primary key, n int);
insert into p values (1, 0);
create table t (id int primary key, p int, foreign key (p) references p (id) on delete cascade);
insert into t values (1, 1);";
    assert!(comes_back(
        setup,
        "{sql: update p set n = n + 1}",
        "{sql: select * from t}"
    ));
}
