//! User-level locks are the whole server's: trials that name the same one take turns, others do not.

use crate::{LEFT, Ran, folder, run, started};

fn holds(name: &str) -> String {
    format!(
        "scenario: a user-level lock that others name, too
connections: [a, b]
steps:
  - a: select get_lock({name}, 1)
    value: 1
  - b: select get_lock({name}, 0)
    value: 0
  - a: {{sleep: 200ms}}
  - a: select release_lock({name})
    value: 1
  - b: select get_lock({name}, 0)
    value: 1
  - b: select release_lock({name})
    value: 1
"
    )
}

#[test]
fn trials_that_name_the_same_lock_take_turns() {
    let one = holds("'leader'");
    // The server takes both for the same lock; and a name that only it knows may be this one.
    let (other, unknown) = (holds("'LEADER'"), holds("concat('lead', 'er')"));
    run(&[
        ("g1", &one),
        ("g2", &other),
        ("g3", &unknown),
        ("g4", &one),
        ("g5", &unknown),
    ])
    .assert_green(5);
}

#[test]
fn runs_that_name_the_same_lock_take_turns() {
    let _among = LEFT.read();
    let text = holds("'of several runs'");
    let files = [("g1", text.as_str()), ("g2", text.as_str())];
    let folders = [folder(&files), folder(&files), folder(&files)];
    let children: Vec<_> = folders.iter().map(|folder| started(folder.path())).collect();
    for child in children {
        Ran::of(&child.wait_with_output().expect("an end")).assert_green(2);
    }
}

/// Each waits until it sees the other at work: only if both run at once they come to an end.
#[test]
fn trials_that_name_different_locks_run_at_once() {
    // In states, since both have to be at work at the same time.
    let text = |own: &str, other: &str| {
        format!(
            "scenario: x
connections:
  stays:
    states:
      - sql: select get_lock('{own}', 0)
        value: 1
      - {{state: stay, sql: select sleep(20) /* here is {own} */, on: {{any: end}}, timeout: 30s}}
  looks:
    states:
      - sql: select count(*) > 0 as seen from information_schema.processlist where info like 'select sleep(20) /* here is {other} */'
        until: {{seen: 1}}
        within: 15s
"
        )
    };
    run(&[
        ("one", &text("one_name", "other_name")),
        ("two", &text("other_name", "one_name")),
    ])
    .assert_green(2);
}
