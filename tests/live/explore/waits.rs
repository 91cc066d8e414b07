//! Who waits in an order, and who goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidb_scenarios::connection::{Connection, ConnectionOptions};
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::Server;

use crate::messages;
use crate::stage::stage;
use crate::{RUNTIME, SERVER, counts, explored, settings, trial};

#[test]
fn an_optimistic_commit_waits_for_a_lock_of_an_older_transaction_only() {
    let all = explored(
        "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
permutations: all
",
    );
    let waits = all
        .outcomes
        .iter()
        .filter(|class| !class.outcome.blocked.is_empty());
    let waits: Vec<_> = waits
        .map(|class| (class.outcome.blocked.clone(), class.trace_size))
        .collect();
    assert_eq!(waits, [(vec!["a.commit".to_owned()], 3)]);
}

#[test]
fn user_level_locks_of_one_order_are_not_in_the_way_of_another() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: &both {states: [{sql: \"select get_lock('explore_m', 5)\"}, {sql: update t set n = n + 1}, {sql: \"select release_lock('explore_m')\"}]}
  b: *both
permutations: all
";
    let all = explored(text);
    assert_eq!(counts(&all), counts(&explored(text)));
    assert!(
        all.outcomes.iter().all(|class| class.outcome.errors().is_empty()),
        "{:?}",
        counts(&all)
    );
}

#[test]
fn whoever_gets_an_error_lets_go_of_its_locks() {
    let text = "scenario: x
setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key); insert into u values (1);
step_timeout: 3s
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: insert into u values (1)}]}
  b: {states: [{sql: update t set n = n + 10}]}
permutations: all
";
    let (_, came, _) = stage(text, &[&[0, 0, 1, 0]]);
    let facts: BTreeMap<String, String> = came[0].facts().into_iter().collect();
    assert_eq!(facts["a.insert"], "error 1062");
    assert_eq!(facts["blocked"], "b.update");
    assert_eq!(
        facts["b.update"], "1 row changed",
        "it goes on as soon as the lock is free"
    );
    assert_eq!(facts["table t"], "(1, 10)");
}

#[test]
fn whoever_waits_goes_on_before_the_next_step() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}, {sql: select n from t}]}
  b: {states: [{sql: update t set n = n + 10}, {sql: select n from t}]}
permutations: all
";
    // After the commit, the second step of the one who waited is next, as the order says: `stage` looks at it.
    let order: &[usize] = &[0, 0, 1, 0, 1, 0];
    let (_, came, _) = stage(text, &[order, order, order]);
    for came in came {
        let facts: BTreeMap<String, String> = came.facts().into_iter().collect();
        assert_eq!(facts["blocked"], "b.update");
        assert_eq!(
            (facts["a.select"].as_str(), facts["b.select"].as_str()),
            ("(11)", "(11)")
        );
    }
}

/// Locks a row, as nobody of the trial does, while the trial sleeps for the first time, and lets go of it when somebody
/// of the trial waits for it.
async fn stand_in_the_way(database: &str, row: u32) {
    let mut outsider = Connection::open(SERVER.config(), &ConnectionOptions::default())
        .await
        .expect("a connection");
    until(&mut outsider, &format!("select count(*) from information_schema.processlist where db = '{database}' and info like 'select sleep(0.7)%'")).await;
    outsider.execute("begin pessimistic").await;
    let lock = format!("update {database}.t set n = n + 1 where id = {row}");
    let locked = outsider.execute(&lock).await;
    assert!(!locked.is_error(), "{locked:?}");
    until(&mut outsider, "select count(*) from information_schema.data_lock_waits where current_holding_trx_id = @@tidb_current_ts").await;
    outsider.execute("rollback").await;
    outsider.close().await;
}

/// Waits until a query counts something.
async fn until(outsider: &mut Connection, sql: &str) {
    let began = Instant::now();
    while matches!(outsider.execute(sql).await, Outcome::Rows(set) if set.rows == [[SqlValue::Int(0)]]) {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "nothing is counted by {sql}"
        );
    }
}

const TWO_WRITERS: &str = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0), (2, 0)
connections:
  a: {txn: pessimistic, states: [{sql: select sleep(0.7)}, {sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = ROW}, {sql: commit}]}
permutations: {list: [a a a b b a b]}
";

#[test]
fn who_waits_for_a_session_outside_of_the_trial_is_slow_and_not_blocked() {
    let plan = trial(&TWO_WRITERS.replace("ROW", "2"));
    let settings = settings();
    let server: &Server = &SERVER;
    let (explored, ()) = RUNTIME.block_on(async {
        tokio::join!(
            tidb_scenarios::engine::explore(&plan, server, &[], &settings),
            stand_in_the_way(&settings.run.database, 2)
        )
    });
    let explored = explored.expect("it runs");
    assert_eq!((explored.executed, explored.distinct), (1, 1));
    let facts: BTreeMap<String, String> = explored.outcomes[0].outcome.facts().into_iter().collect();
    assert_eq!(facts["blocked"], "none");
    assert_eq!(facts["table t"], "(1, 1) (2, 10)");
}

#[test]
fn the_first_of_two_who_wait_goes_on_before_the_next_step() {
    let text = "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: commit}, {sql: select n from t}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
  c: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n * 2}, {sql: commit}]}
permutations: all
";
    // `stage` looks at it that each takes its steps when the order says so.
    let order: &[usize] = &[0, 0, 1, 1, 2, 2, 0, 1, 2, 0];
    let (_, came, _) = stage(text, &[order; 8]);
    for came in came {
        let facts: BTreeMap<String, String> = came.facts().into_iter().collect();
        assert_eq!(facts["blocked"], "b.update, c.update");
        assert_eq!(facts["a.select"], "(22)");
    }
}

/// Who never commits, and whoever waits for it.
const NEVER: &str = "scenario: never
step_timeout: 20s
setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}]}
  b: {VARS txn: pessimistic, states: [{sql: begin}, {sql: LOCKS}, {sql: commit}]}
permutations: all
expect:
  outcomes:
    any: {queries: {sql: select n from t, value: {one_of: [0, 1, 2]}}}
";

#[test]
fn a_wait_that_nobody_ends_is_not_waited_for_to_its_limit() {
    let with = |vars: &str, locks: &str| NEVER.replace("VARS", vars).replace("LOCKS", locks);
    let update = "update t set n = 2";
    let began = Instant::now();
    let (bare, _) = NEVER.split_once("expect:").expect("what is expected");
    let bare = bare.replace("VARS", "").replace("LOCKS", update);
    let text = messages(&explored(&bare));
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?} for orders of which each would take 20 s",
        began.elapsed()
    );
    for part in [
        "got starvation: the wait would have lasted to the limit of 20000 ms",
        "the connection that holds the lock takes no more steps",
    ] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    // The server's own limit is waited for, since what comes then is the server's to say.
    for (vars, locks) in [
        ("vars: {innodb_lock_wait_timeout: 3},", update),
        ("", "\"select n from t for update of t wait 3\""),
        ("", "\"select n from t for update /* not long */ wait 3\""),
    ] {
        let refused = explored(&with(vars, locks));
        assert_eq!(messages(&refused), "", "{vars} {locks}");
        let errors: Vec<_> = refused
            .outcomes
            .iter()
            .map(|class| class.outcome.errors())
            .collect();
        assert!(errors.contains(&vec![(1205, 1)]), "{vars} {locks}: {errors:?}");
    }
    let variable = with("", "\"select n from t for update ${how}\"");
    let variable = explored(&variable.replace("setup:", "vars: {how: wait 3}\nsetup:"));
    assert_eq!(messages(&variable), "");
}

/// Whoever waits for the longest time is over its limit first, wherever it stands in the file.
#[test]
fn of_two_who_wait_in_vain_the_first_is_ended() {
    let a = "  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 4 where id = 1}, {sql: commit}]}\n";
    let b = "  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 3 where id = 1}, \
             {sql: update t set n = 3 where id = 2}, {sql: commit}]}\n";
    let c = "  c: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 2 where id = 2}]}\n";
    for names in ["abc", "cba", "bca"] {
        let number = |name: char| names.find(name).expect("a name");
        let own = names.chars().map(|name| match name {
            'a' => a,
            'b' => b,
            _ => c,
        });
        let text = format!(
            "scenario: x
step_timeout: 20s
setup: create table t (id int primary key, n int); insert into t values (1, 1), (2, 1)
connections:
{}permutations: all
",
            own.collect::<String>()
        );
        // The second step of `b` waits for `c`, that of `a` for `b`; then nobody can do anything.
        let order: Vec<usize> = "bbccbaaa".chars().map(number).collect();
        let (_, came, _) = stage(&text, &[&order]);
        assert_eq!(
            came[0].tables,
            [("t".to_owned(), vec!["(1, 4)".to_owned(), "(2, 1)".to_owned()])],
            "{names}"
        );
    }
}
