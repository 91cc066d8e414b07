//! How fast histories are judged: list appends of one to five operations on a hundred hot keys, one core.
//!
//! `cargo bench --bench isolation` measures 10^4 to 10^6 transactions, `-- --huge` 10^7, too, `-- --check` fails where a
//! target of docs/measurements.md is missed.
#![forbid(unsafe_code)]

mod generate;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use generate::{Played, Shape, builder};
use tidb_scenarios::isolation::{
    Format, History, JsonLinesWriter, Level, Model, analyze, check, read_history,
};

/// How fast histories are judged.
#[derive(Debug, Parser)]
struct Args {
    /// Ten million transactions, too (3 GB of memory).
    #[arg(long)]
    huge: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
    /// A number of transactions in the place of 10^4, 10^5 and 10^6.
    #[arg(long)]
    transactions: Option<usize>,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The most that 10^6 transactions may take, all levels, in memory.
const ALL_LEVELS_MAX: Duration = Duration::from_secs(2);
/// The most that they may take from JSON lines on.
const WITH_PARSING_MAX: Duration = Duration::from_secs(6);
/// The most that the timestamp check of them may take.
const TIMESTAMPS_MAX: Duration = Duration::from_secs(1);
/// The most that 2,000 transactions may take whose shortest cycle is asked for.
const VIOLATION_MAX: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    let mut sizes = args
        .transactions
        .map_or_else(|| vec![10_000, 100_000, 1_000_000], |size| vec![size]);
    if args.huge {
        sizes.push(10_000_000);
    }
    println!(
        "| history | transactions | JSON lines | read | all levels | levels and parsing | timestamps | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for size in sizes {
        for (name, played, timestamps) in [
            ("strict serializable", Played::StrictSerializable, false),
            (
                "snapshot isolation, with write skew",
                Played::SnapshotIsolation,
                false,
            ),
            (
                "snapshot isolation, with timestamps",
                Played::SnapshotIsolation,
                true,
            ),
            ("pessimistic with plain reads", Played::Pessimistic, false),
        ] {
            let shape = Shape {
                transactions: size,
                processes: 10,
                keys: 100,
                appends: 32,
                played,
                timestamps,
            };
            measure(name, &shape, &mut missed);
        }
    }
    violation(&mut missed);
    for miss in &missed {
        println!("missed: {miss}");
    }
    if args.check && !missed.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Runs something, and says how long the processor was at it: other work on the machine doesn't count. Where the system
/// doesn't tell, it is the time that passed.
fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let before = on_processor();
    let result = run();
    let took = on_processor().zip(before).map(|(after, before)| after - before);
    (result, took.unwrap_or_else(|| begin.elapsed()))
}

/// How long this thread has run, as Linux tells it in ns.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn show(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

fn measure(name: &str, shape: &Shape, missed: &mut Vec<String>) {
    let text = lines(shape);
    let megabytes = text.len() / 1_000_000;
    let (history, read) =
        timed(|| read_history(text.as_slice(), Some(Format::JsonLines)).expect("a history"));
    drop(text);
    let (analysis, all) = timed(|| analyze(&history).expect("a history that can be judged"));
    let (holds, refuted) = match shape.played {
        Played::StrictSerializable => (Model::StrictSerializable, None),
        Played::SnapshotIsolation => (Model::StrongSnapshotIsolation, Some(Model::Serializable)),
        Played::Pessimistic => (Model::ReadCommitted, Some(Model::SnapshotIsolation)),
    };
    let right = analysis.holds(holds) && !refuted.is_some_and(|model| analysis.holds(model));
    assert!(right, "{name}: {:?}", analysis.strongest());
    let timestamps = shape.timestamps.then(|| timestamps(&history));
    println!(
        "| {name} | {} | {megabytes} MB | {} | {} | {} | {} | {} |",
        shape.transactions,
        show(read),
        show(all),
        show(read + all),
        timestamps.map_or_else(|| "–".to_owned(), show),
        memory(),
    );
    if shape.transactions == 1_000_000 {
        let mut target = |what: &str, took: Duration, most: Duration| {
            if took > most {
                missed.push(format!(
                    "{name}: {what} took {}, wanted {}",
                    show(took),
                    show(most)
                ));
            }
        };
        target("all levels", all, ALL_LEVELS_MAX);
        target("levels and parsing", read + all, WITH_PARSING_MAX);
        target(
            "the timestamp check",
            timestamps.unwrap_or_default(),
            TIMESTAMPS_MAX,
        );
    }
}

fn timestamps(history: &History) -> Duration {
    let (report, took) = timed(|| check(history, Level::Timestamps).expect("timestamps"));
    assert!(report.holds(), "{:?}", report.refutes);
    took
}

fn lines(shape: &Shape) -> Vec<u8> {
    let mut text = Vec::new();
    let header = builder(
        &Shape {
            transactions: 0,
            ..*shape
        },
        1,
    )
    .header_mut()
    .clone();
    let mut writer = JsonLinesWriter::new(&mut text, &header).expect("memory");
    let names = tidb_scenarios::isolation::Names::default();
    generate::generate(shape, 1, |transaction| {
        writer.write(transaction, &names).expect("memory")
    });
    text
}

/// Two thousand transactions on four keys, snapshot isolated: there are many cycles, and the shortest is wanted.
fn violation(missed: &mut Vec<String>) {
    let shape = Shape {
        transactions: 2_000,
        processes: 8,
        keys: 4,
        appends: 200,
        played: Played::SnapshotIsolation,
        timestamps: false,
    };
    let history = builder(&shape, 7).finish();
    let (analysis, took) = timed(|| analyze(&history).expect("a history that can be judged"));
    let finding = analysis.findings.first().expect("write skew");
    println!(
        "\n2,000 transactions that are not serializable, with the shortest cycle ({}, of {} transactions): {}",
        finding.anomaly,
        finding.transactions.len(),
        show(took)
    );
    if took > VIOLATION_MAX {
        missed.push(format!("the shortest cycle took {}", show(took)));
    }
}

/// The most memory that the process has had.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.map_or_else(|| "–".to_owned(), |kilobytes| format!("{} MB", kilobytes / 1_000))
}
