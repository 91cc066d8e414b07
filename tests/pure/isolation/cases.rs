//! Single cases, after Elle's and AWDIT's tests and what is special here.

use std::fmt::Write as _;

use tidb_scenarios::isolation::{Model, Status, analyze};

use super::notation::{analysis, anomalies, history};

#[test]
fn an_append_that_nobody_read_comes_behind_all_that_was_read() {
    // With one append, and with several.
    assert_eq!(anomalies("a: read x []\nb: append x 1"), Vec::<String>::new());
    assert_eq!(
        anomalies("a: read x [], append y 1\nb: append x 1, append x 2, read y []"),
        ["G2-item", "write-skew"]
    );
    assert_eq!(
        anomalies("a: read x [], append x 1\nb: read x [], append x 2"),
        ["G2-item", "lost-update"]
    );
    // A transaction's own append comes behind what it read, too; that is no cycle.
    assert_eq!(anomalies("a: read x [], append x 1"), Vec::<String>::new());
}

/// As many readers and writers of one list as make edges from each to each too many.
#[test]
fn many_unread_appends_cost_no_more_than_their_number() {
    let mut text = String::from("first 1-2: append x 0\n");
    for at in 0..2_000 {
        // All at the same time; each has read the first version, and appends one that nobody reads.
        let _ = writeln!(text, "r{at} 3-9: read x [0], append y{at} 1");
        let _ = writeln!(text, "w{at} 3-9: append x {}", at + 1);
    }
    let clean = analysis(&text);
    assert!(clean.holds(Model::StrictSerializable), "{:?}", clean.findings);
    assert!(clean.edges < 30_000, "{} edges", clean.edges);
    // One of the writers is seen through another key by one who did not see its append.
    text.push_str("late 3-9: read x [0], read z [1]\nseen 3-9: append z 1, append x 5000\n");
    assert_eq!(
        anomalies(&text),
        ["G-single", "causality-violation", "fractured-read"]
    );
    // Two that replaced what both had read, among all the others.
    let mut text = String::new();
    for at in 0..400 {
        let _ = writeln!(text, "w{at} 3-9: append x {at}");
    }
    text.push_str("p 3-9: read x [], append x 1000\nq 3-9: read x [], append x 1001\n");
    assert_eq!(anomalies(&text), ["G2-item", "lost-update"]);
}

#[test]
fn unknown_outcomes_are_proven_by_reads_only() {
    let told = |text: &str| {
        let history = history(text);
        let analysis = analyze(&history).expect("a history");
        (
            history.count(Status::Unknown),
            analysis.proven,
            analysis.strongest() == [Model::StrictSerializable],
        )
    };
    assert_eq!(told("u 1- unknown: append x 1\na 2-3: read x []"), (1, 0, true));
    assert_eq!(told("u 1- unknown: append x 1\na 2-3: read x [1]"), (1, 1, true));
    // Half of it was seen: it has committed, so that the rest must be seen as well.
    assert_eq!(
        told("u 1- unknown: append x 1, append y 1\na 2-3: read x [1], read y []"),
        (1, 1, false)
    );
    // It may take effect at any later time.
    assert_eq!(
        told("u 1- unknown: append x 1\na 2-3: read x []\nb 4-5: read x [1]"),
        (1, 1, true)
    );
    // One that was proven proves another.
    assert_eq!(
        told("u 1- unknown: write x 1\nv 1- unknown: read x 1, write y 2\na 2-3: read y 2"),
        (2, 2, true)
    );
    // A failed reader proves nothing.
    assert_eq!(
        told("u 1- unknown: append x 1\na 2-3 failed: read x [1]\nb 4-5: read x []"),
        (1, 0, true)
    );
}

#[test]
fn own_writes_are_told_apart_from_what_was_there() {
    let clean = Vec::<String>::new();
    assert_eq!(
        anomalies(
            "o: append x 1, append x 2\na: read y [], append x 3, read x [1 2 3], append x 4, read x [1 2 3 4]"
        ),
        clean
    );
    assert_eq!(
        anomalies("a: write x 1, read x 1, write x 2, read x 2\nb: read x 2"),
        clean
    );
    assert_eq!(anomalies("a: write x 1, write x nil, read x nil"), clean);
    // Elle's examples: stale, another beginning, too long, too short.
    for seen in ["[1 2]", "[1]"] {
        let found = anomalies(&format!(
            "o: append x 1, append x 2\na: read x [1 2], append x 3, read x {seen}"
        ));
        assert!(
            found.contains(&"own-write-missed".to_owned()),
            "{seen}: {found:?}"
        );
    }
    let found =
        anomalies("o: append x 1, append x 2\np: append x 4\na: read x [1 2], append x 3, read x [1 2 3 4]");
    assert!(
        found.contains(&"internal".to_owned()) && !found.contains(&"own-write-missed".to_owned()),
        "{found:?}"
    );
    assert!(anomalies("a: read x 1, write x 1").contains(&"future-read".to_owned()));
    assert!(anomalies("a: append x 1, read x [1 2], append x 2").contains(&"future-read".to_owned()));
}

#[test]
fn a_read_that_is_not_repeatable_is_read_committed() {
    let found = analysis("a: read x [], read x [1]\nb: append x 1");
    assert_eq!(found.strongest(), [Model::MonotonicAtomicView]);
    // AWDIT's: a later read of an older version is none.
    let found = analysis("a: read x 2, read x 1\nb: write x 1\nb: write x 2");
    assert!(found.holds(Model::ReadCommitted) && !found.holds(Model::ReadAtomic));
}

#[test]
fn causality_goes_through_processes_and_reads() {
    let chain = "a: write x 1\na: write y 1\nb: read y 1\nb: write z 1\nc: read z 1\nc: read x nil";
    assert_eq!(analysis(chain).strongest(), [Model::Serializable]);
    assert!(anomalies(chain).contains(&"causality-violation".to_owned()));
    let apart = chain.replace("c: read x", "d: read x");
    assert!(analysis(&apart).holds(Model::Causal));
    // Long fork is causal.
    let fork = analysis("a: write x 1\nb: write y 1\nc: read x 1, read y nil\nd: read x nil, read y 1");
    assert!(fork.holds(Model::Causal) && !fork.holds(Model::SnapshotIsolation));
    // So is a lost update.
    let lost = analysis("a: write x 1\nb: read x 1, write x 2\nc: read x 1, write x 3");
    assert!(lost.holds(Model::Causal) && !lost.holds(Model::SnapshotIsolation));
}

#[test]
fn rows_of_ranges_are_read_one_by_one() {
    let clean = Vec::<String>::new();
    assert_eq!(
        anomalies("a: write 3 1, write 4 1\nb: range 0 9 {3=1 4=1}\nc: range 0 4 {3=1}, range 5 9 {}"),
        clean
    );
    assert_eq!(
        anomalies("a: write 3 1, range 0 9 {3=1}\nb: range 0 9 {3=1}"),
        clean
    );
    let found = anomalies("a: write 3 1, write 4 1\nb: range 0 9 {3=1}");
    assert!(
        found.contains(&"G-single-predicate".to_owned()) && found.contains(&"fractured-read".to_owned()),
        "{found:?}"
    );
    assert!(anomalies("a failed: write 3 1\nb: range 0 9 {3=1}").contains(&"G1a".to_owned()));
    assert!(anomalies("b: range 0 9 {3=1}").contains(&"garbage-read".to_owned()));
    assert!(anomalies("a: write 3 1, range 0 9 {}").contains(&"own-write-missed".to_owned()));
    // After a delete, the absence of a row is no single version.
    let deleted = analysis("a: write 3 1\nb: write 3 nil\nc: range 0 9 {}");
    assert!(deleted.holds(Model::StrictSerializable));
    assert!(
        deleted
            .undecided
            .iter()
            .any(|note| note.contains("could not be traced")),
        "{:?}",
        deleted.undecided
    );
}

#[test]
fn adya_s_histories_are_judged_as_in_the_thesis() {
    // H-phantom: an employee is inserted into a department, the sum of which was read before and after.
    let phantom =
        analysis("t1: range 0 10 {1=5}, read 100 15\nt2: write 2 10, write 100 15\ninit: write 1 5");
    assert!(
        phantom.holds(Model::RepeatableRead) && !phantom.holds(Model::Serializable),
        "{:?}",
        phantom.findings
    );
    assert!(!phantom.holds(Model::SnapshotIsolation));
    // H1': T2 reads the new x and the old y: read skew.
    let skew = analysis(
        "init: write x 1, write y 1\nt1: read x 1, write x 2, read y 1, write y 3\nt2: read x 2, read y 1",
    );
    assert!(skew.holds(Model::ReadCommitted) && !skew.holds(Model::ReadAtomic));
    // H2': T2 saw both before T1.
    let before = analysis(
        "init: write x 1, write y 1\nt2: read x 1, read y 1\nt1: read x 1, write x 2, read y 1, write y 3",
    );
    assert!(before.holds(Model::Serializable));
    // H-write-order: x and y are written in opposite orders.
    assert_eq!(
        anomalies("a: append x 1, append y 1\nb: append x 2, append y 2\nc: read x [1 2], read y [2 1]"),
        ["G0"]
    );
}

/// Elle's `unfindable-g-single`: one cycle with one anti-dependency, a thousand transactions long, in a component full of
/// short ones with two.
#[test]
fn a_long_cycle_is_found_among_many_short_ones() {
    let count = 1_000;
    let mut text = String::new();
    for at in 0..count {
        let before = if at == 0 {
            "append start 1".to_owned()
        } else {
            format!("read ring{} [1]", at - 1)
        };
        let last = if at + 1 == count { ", read start []" } else { "" };
        let noise = if at % 10 == 0 {
            format!(", append m{at} 1")
        } else {
            String::new()
        };
        let _ = writeln!(text, "r{at}: {before}, append ring{at} 1{last}{noise}");
        if at % 10 == 0 {
            // It has read of the ring, and its other half comes before the ring: two anti-dependencies in a row.
            let _ = writeln!(text, "n{at}: read ring{at} [1], read a{at} [], append b{at} 1");
            let _ = writeln!(text, "o{at}: read b{at} [], append a{at} 1, read m{at} []");
        }
    }
    let analysis = analysis(&text);
    let cycle = |name: &str| {
        analysis
            .findings
            .iter()
            .find(|finding| finding.anomaly.to_string() == name)
    };
    let single = cycle("G-single").unwrap_or_else(|| panic!("{:?}", analysis.anomalies()));
    assert_eq!((single.edges.len(), single.shortest), (count, Some(true)));
    assert_eq!(cycle("G2-item").map(|finding| finding.edges.len()), Some(2));
}

/// A transaction that reads at one moment and is over then, and others whose reads are newer than its start_ts: nobody
/// knows by how much, so that they are not over before one that began later.
#[test]
fn a_reader_is_over_by_timestamps_only_if_those_of_its_reads_are_known() {
    let found = |mode: &str, details: &str| {
        let text = format!(
            "{{\"history\": 1, {mode}}}\n\
             {{\"process\": 1, \"status\": \"ok\", \"start_ts\": 5, \"ops\": [[\"read\", 1, [7]{details}]]}}\n\
             {{\"process\": 2, \"status\": \"ok\", \"start_ts\": 8, \"commit_ts\": 9, \"ops\": [[\"append\", 1, 7]]}}\n"
        );
        let analysis = analyze(&super::agree::parsed(&text)).expect("a history");
        let names = analysis
            .findings
            .iter()
            .map(|finding| finding.anomaly.to_string());
        names.collect::<Vec<_>>()
    };
    let plain = "\"mode\": \"pessimistic\", \"isolation\": \"repeatable read\"";
    let committed = "\"mode\": \"pessimistic\", \"isolation\": \"read committed\"";
    let starts = |names: &[String]| names.iter().any(|name| name.ends_with("-start"));
    assert!(starts(&found(plain, "")));
    assert!(!starts(&found(plain, ", {\"lock\": true}")));
    assert!(!starts(&found(committed, "")));
    assert_eq!(found(committed, ", {\"ts\": 9}"), Vec::<String>::new());
    assert!(starts(&found(committed, ", {\"ts\": 6}")));
}
