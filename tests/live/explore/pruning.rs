//! What is left out by pruning changes nothing of what is found.

use tidb_scenarios::engine::table;

use crate::{counts, explored, messages, trial, withdrawals};

/// Setups and connections, for which pruning must not change what is found.
const PRUNED: &[(&str, &str)] = &[
    (
        "plain reads",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {states: [{sql: select n from t where id = 1}, {sql: select n from t where id = 2}]}
  b: {states: [{sql: select sum(n) from t}, {sql: select count(*) from t}]}
  c: {states: [{sql: update t set n = 1 where id = 1}]}
",
    ),
    (
        "autocommit writes",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: update t set n = n + 1}, {sql: select n from t}]}
  b: {states: [{sql: update t set n = n * 2}, {sql: \"insert into t values (2, 5)\"}]}
",
    ),
    (
        "pessimistic transactions",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: select sum(n) from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = 1}, {sql: commit}]}
",
    ),
    (
        "optimistic transactions",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: commit}]}
  b: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 10 where id = 1}, {sql: commit}]}
  c: {states: [{sql: select n from t where id = 1}]}
",
    ),
    (
        "read committed",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {isolation: read committed, states: [{sql: begin}, {sql: select n from t}, {sql: select n from t}, {sql: commit}]}
  b: {states: [{sql: begin}, {sql: update t set n = 7}, {sql: commit}]}
",
    ),
    (
        "a deadlock",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0), (2, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 1}, {sql: update t set n = n + 1 where id = 2}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1 where id = 2}, {sql: update t set n = n + 1 where id = 1}, {sql: rollback}]}
",
    ),
    (
        "foreign keys",
        "setup: |
  create table p (id int primary key); insert into p values (1), (2);
  create table k (id int primary key, p int, foreign key (p) references p (id) on delete cascade); insert into k values (1, 1);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: \"insert into k values (2, 2)\"}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: delete from p where id = 2}, {sql: rollback}]}
",
    ),
    (
        "variables by save",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 1);
vars: {seen: 0}
connections:
  a: {states: [{sql: select n from t, save: {seen: n}}, {sql: \"update t set n = ${seen} + 1\"}]}
  b: {states: [{sql: select n from t, save: {seen: n}}, {sql: \"update t set n = ${seen} * 3\"}]}
",
    ),
    (
        "two tables with nothing in common",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: select n from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 1}, {sql: select n from u}, {sql: commit}]}
",
    ),
    (
        "two tables, and one who reads both",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {states: [{sql: update t set n = 1}, {sql: update t set n = 2}]}
  b: {states: [{sql: update u set n = 1}, {sql: update u set n = 2}]}
  c: {states: [{sql: begin}, {sql: \"select t.n, u.n from t, u\"}, {sql: commit}]}
",
    ),
    (
        "session variables, which depend on everything",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: \"set @x = 1\"}, {sql: \"update t set n = n + @x\"}]}
  b: {states: [{sql: \"set @x = 2\"}, {sql: \"update t set n = n * 2 + @x\"}]}
",
    ),
    (
        "an optimistic one that waits for older locks and is refused by newer ones",
        "setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: optimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 10}, {sql: commit}]}
",
    ),
    (
        "two who wait for a third one, of whom the older one goes on",
        "setup: create table t (id int primary key, n int); insert into t values (1, 1)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n * 2}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: commit}]}
  c: {txn: pessimistic, vars: {autocommit: 0}, states: [{sql: update t set n = n + 10}, {sql: commit}]}
",
    ),
    (
        "an error that lets go of locks without being asked to",
        "setup: create table t (id int primary key, n int); insert into t values (1, 0)
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: rollback to s}, {sql: update t set n = n + 100}]}
  b: {states: [{sql: update t set n = n + 10}, {sql: update t set n = n * 2}]}
",
    ),
    (
        "what somebody does next who waited, for whom the other one's commit has another table",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 1}, {sql: select n from t}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: commit}]}
",
    ),
    (
        "savepoints and a rollback",
        "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: savepoint s}, {sql: update t set n = 1}, {sql: rollback to s}, {sql: commit}]}
  b: {states: [{sql: update t set n = n + 10}]}
",
    ),
];

#[test]
fn pruning_finds_the_same_outcomes_of_the_same_numbers_of_orders() {
    let mut factors = Vec::new();
    let (mut all_run, mut all_full) = (0, 0);
    for (name, text) in PRUNED {
        let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
        let (pruned, full) = (with("all"), with("{prune: false}"));
        let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
        let tables = || format!("{}\n\n{}", table(&plan, &pruned), table(&plan, &full));
        assert!(counts(&pruned) == counts(&full), "{name}:\n{}", tables());
        assert_eq!(pruned.schedules, full.schedules, "{name}");
        assert_eq!(
            full.trace_size, full.distinct as u128,
            "{name}: each stands for itself"
        );
        assert!(pruned.distinct <= full.distinct, "{name}:\n{}", tables());
        (all_run, all_full) = (all_run + pruned.distinct, all_full + full.distinct);
        factors.push(format!(
            "{name}: {} of {} orders run, {:.1} times fewer; {} outcomes",
            pruned.distinct,
            full.distinct,
            full.distinct as f64 / pruned.distinct as f64,
            full.outcomes.len()
        ));
    }
    println!("{}", factors.join("\n"));
    println!("in all {all_run} of {all_full}");
    assert!(
        all_run * 3 < all_full * 2,
        "pruning saves a third at least:\n{}",
        factors.join("\n")
    );
}

/// That pruning leaves out no order that differs.
fn pruning_is_sound(text: &str) {
    let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
    let (pruned, full) = (with("all"), with("{prune: false}"));
    let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
    let tables = format!(
        "pruned: {}\n\nfull: {}",
        table(&plan, &pruned),
        table(&plan, &full)
    );
    assert!(counts(&pruned) == counts(&full), "{tables}");
    assert_eq!(
        messages(&pruned).is_empty(),
        messages(&full).is_empty(),
        "{tables}"
    );
}

macro_rules! sound {
    ($($(#[$attribute:meta])* $name:ident: $text:expr;)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                pruning_is_sound($text);
            }
        )*
    };
}

sound! {
    pruning_and_a_view: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create view v as select n from t;
connections:
  a: {states: [{sql: select n from v}]}
  b: {states: [{sql: update t set n = 1}]}
";
    pruning_and_unlock_tables: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: unlock tables}, {sql: update t set n = 1}, {sql: update t set n = 2}, {sql: commit}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_statements_that_were_prepared: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: [prepare b from 'begin', prepare c from 'commit', execute b]}, {sql: update t set n = 1}, {sql: execute c}, {sql: update t set n = 2}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_statements_that_were_prepared_from_what_is_known_later: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: [\"set @c = concat('com', 'mit')\", prepare c from @c, execute c]}, {sql: update t set n = 1}, {sql: update t set n = 2}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_texts_of_several_statements: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 1);
connections:
  a: {txn: pessimistic, states: [{state: both, sql: begin; update t set n = n + 1}, {sql: commit}]}
  b: {states: [{sql: update t set n = n * 10}]}
";
    pruning_and_names_in_quotes: "setup: |
  create table `a``b` (id int primary key, n int); insert into `a``b` values (1, 1);
  create table t (id int primary key, n int); insert into t values (1, 1);
connections:
  a: {states: [{sql: \"update `a``b` set n = n + 1\"}]}
  b: {states: [{sql: \"select n from `a``b`\"}]}
";
    pruning_and_a_read_that_sleeps: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: \"select sleep(0), n from t where id = 1\"}]}
  b: {states: [{sql: update t set n = 1}]}
";
    pruning_and_a_further_database: "setup: |
  create table ${database.far}.t (id int primary key, n int); insert into ${database.far}.t values (1, 0);
connections:
  a: {states: [{sql: \"select n from ${database.far}.t\"}]}
  b: {database: far, states: [{sql: update t set n = 1}]}
";
    pruning_and_a_further_database_by_its_connections: "setup: |
  create table ${database.far}.t (id int primary key, n int); insert into ${database.far}.t values (1, 0);
connections:
  a: {database: far, states: [{sql: select n from t}]}
  b: {database: far, states: [{sql: update t set n = 1}]}
";
    pruning_and_a_sequence: "setup: |
  create sequence s;
connections:
  a: {states: [{sql: select nextval(s)}]}
  b: {states: [{sql: select nextval(s)}]}
";
    pruning_and_an_error_that_gives_up_a_transaction: "setup: |
  create table t (id int primary key); insert into t values (1);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {states: [{sql: update u set n = n + 1}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: insert into t values (1)}]}
";
    pruning_and_a_deadlock_over_two_tables: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: update u set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: update t set n = n + 10}, {sql: commit}]}
  c: {states: [{sql: update t set n = n * 2}]}
";
    pruning_and_who_is_refused_in_a_deadlock: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = n + 1}, {sql: update u set n = n + 1}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: update u set n = n + 10}, {sql: update t set n = n + 10}, {sql: commit}]}
";
    pruning_and_a_saved_value_in_the_sql_of_a_transaction: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
vars: {a: 0, b: 0}
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t, save: {a: n}}, {sql: \"update t set n = ${a} + 1\"}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t, save: {b: n}}, {sql: \"update t set n = ${b} + 1\"}, {sql: commit}]}
";
    pruning_and_a_prepared_statement_in_a_transaction: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {txn: pessimistic, states: [{sql: prepare s from 'update t set n = n + 1'}, {sql: begin}, {sql: execute s}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: begin}, {sql: select n from t}, {sql: commit}]}
";
    pruning_and_a_select_that_fails: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key); insert into u values (1), (2);
connections:
  a: {txn: pessimistic, states: [{sql: begin}, {sql: update t set n = 1}, {sql: select (select id from u)}, {sql: commit}]}
  b: {txn: pessimistic, states: [{sql: update t set n = n + 10}]}
";
    pruning_and_a_table_that_a_step_makes: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: begin}, {sql: create table x (id int primary key)}, {sql: update t set n = n + 1}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_always: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
expect:
  always: select (select n from t) + (select n from u) < 2
connections:
  a: {states: [{sql: update t set n = 1}, {sql: update t set n = 0}]}
  b: {states: [{sql: update u set n = 1}, {sql: update u set n = 0}]}
";
    pruning_and_autocommit_switched_off: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
connections:
  a: {states: [{sql: set autocommit = 0}, {sql: update t set n = 1}, {sql: commit}]}
  b: {states: [{sql: select n from t}]}
";
    pruning_and_a_variable_in_an_expectation: "vars: {n: 1}
connections:
  a: {states: [{sql: select 0 as n, save: {n: n}}]}
  b: {states: [{sql: select 0, value: \"${a.n}\"}]}
";
    pruning_and_a_variable_with_the_name_of_a_table: "setup: |
  create table t (id int primary key, n int); insert into t values (1, 0);
  create table u (id int primary key, n int); insert into u values (1, 0);
vars: {which: u}
connections:
  a: {states: [{sql: select 't' as name, save: {which: name}}, {sql: \"update ${which} set n = 1\"}]}
  b: {states: [{sql: select n from t}]}
";
}

#[test]
fn orders_that_come_out_the_same_count_once() {
    // Who waits cannot go on: what an order asks of them comes later, as in another order.
    let text = withdrawals("  errors: {}");
    let all = explored(&text.replace("permutations: all", "permutations: {prune: false}"));
    let sampled = explored(&text.replace("permutations: all", "permutations: {sample: 35, seed: 1}"));
    assert_eq!(sampled.schedules, 35);
    assert!(
        sampled.distinct <= all.distinct,
        "{} of {}",
        sampled.distinct,
        all.distinct
    );
    assert!(
        sampled.executed > sampled.distinct,
        "{} of {}",
        sampled.distinct,
        sampled.executed
    );
    let groups = sampled.outcomes.iter();
    let run: usize = groups.map(|class| class.executed).sum();
    assert_eq!(run, sampled.distinct);
}
