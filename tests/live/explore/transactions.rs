//! What the server says of each session's transaction is what stands in the history.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect;
use tidb_scenarios::engine::run as run_trial;
use tidb_scenarios::engine::{ReplayScheduler, Sandbox};
use tidb_scenarios::history::History;

use super::{RUNTIME, SERVER, settings, trial};

const SETUP: &str = "scenario: x
setup: |
  create table t (id int primary key, n int);
  insert into t values (1, 0), (2, 0);
";

/// For each step the number of its transaction, whether one is open then, and whether autocommit is on.
fn shown(history: &History) -> String {
    let mut lines = String::new();
    for step in &history.steps {
        let txn = step.txn.map_or("-".to_owned(), |txn| txn.to_string());
        let flags = step.end.as_ref().and_then(|end| end.flags);
        let said = flags.map_or("nothing".to_owned(), |flags| {
            let open = if flags.in_transaction { "open" } else { "closed" };
            format!("{open}{}", if flags.autocommit { "" } else { ", no autocommit" })
        });
        let _ = writeln!(lines, "{} {txn} {said}: {}", step.connection, step.text);
    }
    lines
}

fn scripted(steps: &str) -> String {
    let plan = trial(&format!("{SETUP}connections: [a, b]\nsteps:\n{steps}"));
    let settings = settings().run;
    let history = RUNTIME.block_on(run_trial(plan, &SERVER, &[], &settings));
    shown(&history.expect("it runs"))
}

#[test]
fn each_answer_says_whether_a_transaction_is_open() {
    let shown = scripted(
        "  - a: select n from t where id = 1
  - a: \"prepare b from 'begin'\"
  - a: execute b
  - a: {sql: \"insert into t values (2, 0)\", error: 1062}
  - a: {sql: selec, error: 1064}
  - a: create table u (id int)
  - a: set autocommit = 0
  - a: select n from t
  - a: commit
  - a: set autocommit = 1
  - a: {sleep: 1ms}
  - b: select 1
",
    );
    expect![[r#"
        0 1 closed: select n from t where id = 1
        0 2 closed: prepare b from 'begin'
        0 3 open: execute b
        0 3 open: insert into t values (2, 0)
        0 3 open: selec
        0 - closed: create table u (id int)
        0 - closed, no autocommit: set autocommit = 0
        0 4 open, no autocommit: select n from t
        0 4 closed, no autocommit: commit
        0 - closed: set autocommit = 1
        0 - nothing: sleep 1ms
        1 1 closed: select 1
    "#]]
    .assert_eq(&shown);
}

#[test]
fn an_error_that_ends_the_transaction_is_told_from_one_that_does_not() {
    let shown = scripted(
        "  - a: begin pessimistic
  - b: begin pessimistic
  - a: update t set n = 1 where id = 1
  - b: update t set n = 1 where id = 2
  - a: {sql: update t set n = 1 where id = 2, blocked: true}
  - b: {sql: update t set n = 1 where id = 1, error: 1213, unblocks: a}
  - b: {sql: select n from t where id = 1 for update nowait, error: 3572}
  - a: commit
  - a: begin optimistic
  - a: update t set n = 2 where id = 1
  - b: update t set n = 3 where id = 1
  - a: {sql: commit, error: 9007}
",
    );
    expect![[r#"
        0 1 open: begin pessimistic
        1 1 open: begin pessimistic
        0 1 open: update t set n = 1 where id = 1
        1 1 open: update t set n = 1 where id = 2
        0 1 open: update t set n = 1 where id = 2
        1 1 closed: update t set n = 1 where id = 1
        1 2 closed: select n from t where id = 1 for update nowait
        0 1 closed: commit
        0 2 open: begin optimistic
        0 2 open: update t set n = 2 where id = 1
        1 3 closed: update t set n = 3 where id = 1
        0 2 closed: commit
    "#]]
    .assert_eq(&shown);
}

#[test]
fn transactions_are_counted_anew_in_each_schedule() {
    let own = "{states: [{sql: begin}, {sql: update t set n = n + 1 where id = ID}, {sql: commit}]}";
    let plan = trial(&format!(
        "{SETUP}connections:\n  a: {}\n  b: {}\npermutations: all\n",
        own.replace("ID", "1"),
        own.replace("ID", "2")
    ));
    let settings = settings().run;
    RUNTIME.block_on(async {
        let mut sandbox = Sandbox::open(Arc::clone(&plan), &SERVER, &[], settings)
            .await
            .expect("a sandbox");
        for _ in 0..2 {
            let schedule = &[0, 1, 0, 1, 0, 1];
            let execution = sandbox.run(&mut ReplayScheduler::new(schedule), &[]).await;
            let history = execution.expect("it runs").history;
            assert!(
                history.steps.iter().all(|step| step.txn == Some(1)),
                "{}",
                shown(&history)
            );
        }
        sandbox.close().await;
    });
}
