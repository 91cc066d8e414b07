//! A run that is interrupted sets the server back; what one that is killed leaves, the next one sets back.

use std::process::Child;

use crate::{LEFT, Ran, folder, global, has_journal_of, run_now, started, until};

/// A trial that sets a variable and then takes its time.
fn slow(variable: &str, value: &str) -> String {
    format!(
        "scenario: one that takes its time
serial: true
setup: set global {variable} = {value}
connections: [a]
steps:
  - a: select sleep(30)
    timeout: 40s
"
    )
}

fn signal(child: &Child, name: &str) {
    let status = std::process::Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

#[test]
fn an_interrupted_run_sets_back_what_it_has_changed() {
    let _among = LEFT.read();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder(&[("interrupted", &slow("tidb_build_stats_concurrency", "3"))]);
        let child = started(folder.path());
        until("the variable is set", || {
            global("tidb_build_stats_concurrency") == "3"
        });
        until("the entry is there", || has_journal_of("interrupted"));
        signal(&child, name);
        let output = child.wait_with_output().expect("an end");
        let ran = Ran::of(&output);
        assert_eq!(output.status.code(), Some(code), "{}", ran.text);
        assert_eq!(global("tidb_build_stats_concurrency"), "2", "{}", ran.text);
        assert!(
            ran.text
                .contains("set back: `tidb_build_stats_concurrency` from '3' to '2'"),
            "{}",
            ran.text
        );
    }
}

#[test]
fn what_a_killed_run_left_the_next_one_sets_back() {
    let _alone = LEFT.write();
    let first = folder(&[("killed", &slow("tidb_distsql_scan_concurrency", "9"))]);
    let mut child = started(first.path());
    until("the variable is set", || {
        global("tidb_distsql_scan_concurrency") == "9"
    });
    signal(&child, "KILL");
    child.wait().expect("an end");
    assert_eq!(global("tidb_distsql_scan_concurrency"), "9");
    assert!(has_journal_of("killed"));
    let looks = "scenario: x\nconnections: [a]\nsteps: [{a: select @@global.tidb_distsql_scan_concurrency, value: 15}]\n";
    let ran = run_now(&[("next", looks)]);
    ran.assert_green(1);
    assert!(
        ran.text
            .contains("set back what a run that was killed has left (`killed`, process"),
        "{}",
        ran.text
    );
    assert!(!has_journal_of("killed"));
    // And it says so once.
    assert!(!run_now(&[("next", looks)]).text.contains("set back"));
}

#[test]
fn what_a_run_at_work_has_changed_the_next_one_leaves_alone() {
    let _among = LEFT.read();
    let text = slow("tidb_index_lookup_size", "1234")
        .replace("sleep(30)", "sleep(3), @@global.tidb_index_lookup_size");
    let text = format!("{text}    row: [0, 1234]\n");
    let first = folder(&[("at_work", &text)]);
    let child = started(first.path());
    until("the variable is set", || {
        global("tidb_index_lookup_size") == "1234"
    });
    // It waits for its turn, and then sees what the server had.
    let looks =
        "scenario: x\nconnections: [a]\nsteps: [{a: select @@global.tidb_index_lookup_size, value: 20000}]\n";
    let second = run_now(&[("beside", looks)]);
    second.assert_green(1);
    assert!(
        second
            .text
            .contains("beside: another run is at work on this server"),
        "{}",
        second.text
    );
    assert!(!second.text.contains("set back what"), "{}", second.text);
    Ran::of(&child.wait_with_output().expect("an end")).assert_green(1);
}
