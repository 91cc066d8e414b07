//! What orders come to, and what the file says of it.

use std::sync::Arc;

use tidb_scenarios::engine::SourceFile;
use tidb_scenarios::engine::{PlanInput, plan};

use crate::{explored, messages, withdrawals};

#[test]
fn outcomes_are_each_seen_and_no_other() {
    let late = "    late: {tables: {t: [[1, 40]]}, saw: {alice.select: 40}}";
    let early = "    early: {tables: {t: [[1, 40]]}, saw: {alice.select: 100}}";
    let with = |outcomes: &[&str]| {
        let text = withdrawals(&format!("  outcomes:\n{}", outcomes.join("\n")));
        messages(&explored(&text))
    };
    assert_eq!(with(&[late, early]), "");
    // One that is not named fails with its facts.
    let text = with(&[late]);
    for part in [
        "this interleaving matches none of the outcomes",
        "table t: (1, 40)",
        "alice.select: (100)",
        "blocked: none",
    ] {
        assert!(text.contains(part), "`{part}` is missing:\n{text}");
    }
    // One that is never seen fails, unless it may be.
    let never = "    never: {tables: {t: [[1, -20]]}}";
    let text = with(&[late, early, never]);
    assert!(text.contains("outcome `never` did not occur"), "{text}");
    assert!(!text.contains("matches none of the outcomes"), "{text}");
    let may = "    never: {tables: {t: [[1, -20]]}, may: true}";
    assert_eq!(with(&[late, early, may]), "");
    // An order has one outcome.
    let text = with(&[late, early, "    again: {tables: {t: [[1, 40]]}}"]);
    assert!(
        text.contains("matches two outcomes, `late` and `again`"),
        "{text}"
    );
    assert!(
        text.contains("matches two outcomes, `early` and `again`"),
        "{text}"
    );
    // What one must be holds in one and not in another.
    let text = withdrawals("  tables: {t: [[1, 41]]}\n  outcomes:\n    any: {errors: {}}");
    let text = messages(&explored(&text));
    assert!(text.contains("41"), "what holds of every order: {text}");
}

/// It is no error that `errors` counts.
#[test]
fn a_step_over_its_limit_is_part_of_an_outcome_that_names_it() {
    let with = |saw: &str| {
        let text = format!(
            "scenario: x
setup: create table t (id int primary key, n int); insert into t values (1, 1)
connections:
  a: {{txn: pessimistic, states: [{{sql: begin}}, {{sql: update t set n = 2}}]}}
  b: {{txn: pessimistic, states: [{{sql: update t set n = 3}}, {{sql: select 1}}]}}
step_timeout: 2s
permutations: all
expect:
  outcomes:
    late: {{tables: {{t: [[1, 1]]}}, errors: {{}}{saw}}}
    first: {{tables: {{t: [[1, 3]]}}, errors: {{}}}}
"
        );
        messages(&explored(&text))
    };
    assert_eq!(with(", saw: {b.update: {error: timed_out}}"), "");
    let text = with("");
    assert!(
        text.contains("not `late`: b.update: starvation: the wait would have lasted to the limit of 2000 ms"),
        "{text}"
    );
}

#[test]
fn outcomes_say_exactly_who_waited() {
    let outcomes = |waits: &[&str]| {
        let lines: Vec<String> = waits
            .iter()
            .enumerate()
            .map(|(number, waits)| format!("    n{number}: {{blocked: [{waits}]}}"))
            .collect();
        messages(&explored(&withdrawals(&format!(
            "  outcomes:\n{}",
            lines.join("\n")
        ))))
    };
    assert_eq!(outcomes(&["", "bob.update", "alice.update"]), "");
    let text = outcomes(&["", "bob.update"]);
    assert!(text.contains("blocked: alice.update"), "{text}");
    let text = outcomes(&["", "bob.update", "alice.update", "\"alice.update\", bob.update"]);
    assert!(text.contains("`n3` did not occur"), "{text}");
}

#[test]
fn outcomes_say_what_steps_saw() {
    let text = |saw: &str| {
        format!(
            "scenario: x
setup: create table t (id int primary key, name varchar(10))
connections:
  a: {{states: [{{sql: select * from t order by id}}, {{sql: select name from t where id = 1}}]}}
  b: {{states: [{{sql: \"insert into t values (1, 'x'), (2, null)\"}}]}}
permutations: all
expect:
  outcomes:
{saw}
"
        )
    };
    let good = text(
        "    nothing: {saw: {a.select: no rows, a.select.2: no rows}}
    first: {saw: {a.select: [], a.select.2: x}}
    both: {saw: {a.select: [[1, x], [2, null]], a.select.2: [[x]]}}",
    );
    let good = good.replace("no rows", "[]");
    assert_eq!(messages(&explored(&good)), "");
    // Each of them is looked at.
    for (from, to) in [
        ("[2, null]", "[2, 'null']"),
        ("a.select.2: x", "a.select.2: y"),
        ("a.select: []", "a.select: [[]]"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let planned = plan(
            Arc::new(SourceFile::new("t.yaml", bad.clone())),
            &PlanInput::default(),
        );
        let refused = planned
            .problems
            .iter()
            .any(tidb_scenarios::engine::Diagnostic::is_error);
        assert!(refused || !messages(&explored(&bad)).is_empty(), "{bad}");
    }
    // A step that was not run saw nothing.
    let text = "scenario: x
setup: create table t (id int primary key)
connections:
  a: {states: [{sql: \"insert into t values (1)\"}, {sql: select 1}]}
  b: {states: [{sql: \"insert into t values (1)\"}, {sql: select 1}]}
permutations: all
expect:
  outcomes:
    a: {saw: {a.select: 1}, errors: {1062: 1}}
    b: {saw: {b.select: 1}, errors: {1062: 1}}
";
    assert_eq!(messages(&explored(text)), "");
}

#[test]
fn without_outcomes_an_error_fails_its_order_and_with_them_it_does_not() {
    let text = "scenario: x
setup: create table t (id int primary key)
connections:
  a: {states: [{sql: \"insert into t values (1)\"}]}
  b: {states: [{sql: \"insert into t values (1)\"}]}
permutations: all
";
    let without = explored(text);
    assert_eq!(without.failed, 2);
    assert!(messages(&without).contains("1062"), "{}", messages(&without));
    let with = explored(&format!(
        "{text}expect: {{outcomes: {{one: {{errors: {{1062: 1}}}}}}}}\n"
    ));
    assert_eq!(messages(&with), "");
}
