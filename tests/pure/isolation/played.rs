//! A played database in TiDB's modes: what it promises holds, what it does not promise is found, and so is each fault.

use tidb_scenarios::isolation::{
    Analysis, Anomaly, AnomalySet, Form, History, JsonLinesWriter, Level, Model, Names, Shape, Status,
    analyze, read_history, render_text,
};

use super::database::{Fault, MODES, Mode, Play, header, play};

const fn cycle(shape: Shape, form: Form) -> Anomaly {
    Anomaly::Cycle(shape, false, form)
}

fn judged(play_this: Play) -> (History, Analysis) {
    let (history, _) = play(play_this);
    let analysis = analyze(&history).unwrap_or_else(|error| panic!("{play_this:?}: {error}"));
    (history, analysis)
}

fn holds(history: &History, analysis: &Analysis, level: Level, play: Play) {
    let report = analysis.report(history, level).expect("a report");
    assert!(report.holds(), "{play:?}: {}", render_text(history, &report));
}

#[test]
fn what_tidb_promises_holds_in_each_mode() {
    for mode in MODES {
        for registers in [false, true] {
            for timestamps in [false, true] {
                for seed in 0..12 {
                    let play = Play {
                        mode,
                        registers,
                        timestamps,
                        seed,
                        ..Play::default()
                    };
                    let (history, analysis) = judged(play);
                    holds(&history, &analysis, Level::Promised, play);
                    if timestamps {
                        holds(&history, &analysis, Level::Timestamps, play);
                        assert!(analysis.timestamped_reads > 100);
                    }
                }
            }
        }
    }
}

/// The table of what each mode gives.
#[test]
fn each_mode_shows_what_it_does_not_promise() {
    for seed in 0..6 {
        for registers in [false, true] {
            let of = |mode| {
                let play = Play {
                    mode,
                    registers,
                    seed,
                    transactions: 600,
                    ..Play::default()
                };
                let (history, analysis) = judged(play);
                (history, analysis, play)
            };
            let (_, plain, _) = of(Mode::PessimisticPlain);
            assert!(
                plain.anomalies().contains(cycle(Shape::GSingle, Form::Plain)),
                "{:?}",
                plain.findings
            );
            assert!(plain.holds(Model::ReadCommitted) && !plain.holds(Model::SnapshotIsolation));
            let (history, locked, play) = of(Mode::PessimisticForUpdate);
            holds(&history, &locked, Level::Model(Model::StrictSerializable), play);
            let (history, committed, play) = of(Mode::ReadCommitted);
            holds(
                &history,
                &committed,
                Level::Model(Model::MonotonicAtomicView),
                play,
            );
            assert!(
                committed.anomalies().contains(Anomaly::Internal),
                "each statement has its own snapshot"
            );
            assert!(!committed.holds(Model::ReadAtomic) && !committed.holds(Model::SnapshotIsolation));
            let (history, optimistic, play) = of(Mode::Optimistic);
            holds(
                &history,
                &optimistic,
                Level::Model(Model::StrongSnapshotIsolation),
                play,
            );
            assert!(optimistic.anomalies().contains(cycle(Shape::G2, Form::Plain)));
            assert!(!optimistic.holds(Model::Serializable));
        }
    }
}

/// Each fault refutes what is promised, and at least one of its right names is among the findings.
#[test]
fn each_fault_is_found_and_named() {
    let single = [
        cycle(Shape::GSingle, Form::Plain),
        cycle(Shape::GSingle, Form::Realtime),
    ];
    let named: [(Fault, &[Anomaly]); 6] = [
        (Fault::StaleRead, &[Anomaly::Timestamp]),
        (Fault::DroppedCommit, &[Anomaly::LostWrite]),
        (Fault::TornCommit, &[Anomaly::FracturedRead, Anomaly::LostWrite]),
        (Fault::AbortedApplied, &[Anomaly::PhantomCommit]),
        (
            Fault::DirtyRead,
            &[
                Anomaly::AbortedRead,
                Anomaly::IntermediateRead,
                Anomaly::IncompatibleOrder,
                Anomaly::Timestamp,
            ],
        ),
        (Fault::LateCommit, &[Anomaly::Timestamp]),
    ];
    for (fault, names) in named {
        for mode in MODES {
            // Whoever locks what it reads can read nothing that is not committed.
            if fault == Fault::DirtyRead && mode == Mode::PessimisticForUpdate {
                continue;
            }
            for seed in 0..4 {
                let play = Play {
                    mode,
                    fault,
                    seed,
                    transactions: 500,
                    ..Play::default()
                };
                let (history, analysis) = judged(play);
                let report = analysis.report(&history, Level::Promised).expect("a report");
                assert!(!report.holds(), "{play:?}");
                let names = AnomalySet::of(names.iter().copied());
                assert!(
                    !analysis.anomalies().intersection(names).is_empty(),
                    "{play:?}: {}",
                    render_text(&history, &report)
                );
            }
        }
    }
    // Without timestamps, a stale read of a snapshot shows by real time alone.
    for seed in 0..4 {
        let play = Play {
            mode: Mode::Optimistic,
            fault: Fault::StaleRead,
            timestamps: false,
            seed,
            ..Play::default()
        };
        let (_, analysis) = judged(play);
        assert!(
            !analysis
                .anomalies()
                .intersection(AnomalySet::of(single))
                .is_empty(),
            "{play:?}"
        );
    }
}

#[test]
fn a_lost_answer_is_no_fault() {
    let mut proven = 0;
    for mode in MODES {
        for registers in [false, true] {
            for seed in 0..8 {
                let play = Play {
                    mode,
                    fault: Fault::LostAnswer,
                    registers,
                    seed,
                    ..Play::default()
                };
                let (history, analysis) = judged(play);
                assert!(history.count(Status::Unknown) > 3);
                proven += analysis.proven;
                holds(&history, &analysis, Level::Promised, play);
                holds(&history, &analysis, Level::Timestamps, play);
            }
        }
    }
    assert!(proven > 50, "{proven} were proven to have committed");
}

#[test]
fn what_is_written_reads_back_the_same() {
    for fault in [Fault::None, Fault::LostAnswer, Fault::DroppedCommit] {
        for registers in [false, true] {
            let played = Play {
                fault,
                registers,
                seed: 3,
                ..Play::default()
            };
            let (history, transactions) = play(played);
            let mut lines = Vec::new();
            let mut writer = JsonLinesWriter::new(&mut lines, &header(played)).expect("memory");
            for transaction in &transactions {
                writer.write(transaction, &Names::default()).expect("memory");
            }
            writer.flush().expect("memory");
            let back = read_history(lines.as_slice(), None).expect("a history");
            assert_eq!(back.header(), history.header());
            let findings = |history: &History| {
                let mut findings = analyze(history).expect("a history").findings;
                // Only what was read from a file has lines.
                for transaction in findings.iter_mut().flat_map(|finding| &mut finding.transactions) {
                    transaction.place = None;
                }
                findings
            };
            assert_eq!(findings(&back), findings(&history));
        }
    }
}
