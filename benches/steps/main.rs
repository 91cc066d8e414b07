//! What the engine costs beside plain mysql_async: the same statements on the same server in the same run, in
//! pairs, one side after the other.
//!
//! `cargo bench --bench steps` measures everything, `-- --quick` a little of it, `-- blocked` one part, and
//! `-- --check` fails where a target of docs/measurements.md is missed.
#![forbid(unsafe_code)]

mod engine;
mod numbers;
mod orders;
mod plain;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use tidb_scenarios::engine::{PlanInput, plan};
use tidb_scenarios::harness::collect;
use tidb_scenarios::server::{ProviderKind, Server, ServerSettings, ServerSpec};

use numbers::{Pairs, Times, head};
use plain::Statement;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The most that a step may cost, as a multiple of plain mysql_async.
const PLAIN_MAX: f64 = 1.2;
/// The least orders a second, as a multiple of plain mysql_async's.
const ORDERS_MIN: f64 = 0.8;
/// Trials that run at the same time, in the part that does so.
const AT_ONCE: usize = 4;

/// What the engine costs beside plain mysql_async.
#[derive(Debug, Parser)]
struct Args {
    /// The parts to measure; all of them if none is named.
    parts: Vec<Part>,
    /// A tenth of the rounds: shows that it works, and no more.
    #[arg(long)]
    quick: bool,
    /// Exit with 1 if a target is missed.
    #[arg(long)]
    check: bool,
    /// Cargo's own.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A step that returns at once.
    Plain,
    /// A step that waits: block, certainty, release, finish.
    Blocked,
    /// A whole small trial.
    Trial,
    /// Reading and planning of scenarios/.
    Planning,
    /// Every order of three connections of three steps.
    Orders,
    /// Every order of them in which one may wait for another.
    WaitingOrders,
}

struct Bench {
    server: Arc<Server>,
    databases: AtomicUsize,
    quick: bool,
    /// What was missed.
    missed: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(measured(&args)) {
        Ok(missed) => {
            for one in &missed {
                println!("MISSED: {one}");
            }
            ExitCode::from(u8::from(args.check && !missed.is_empty()))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measured(args: &Args) -> Result<Vec<String>, Trouble> {
    let wants = |part| args.parts.is_empty() || args.parts.contains(&part);
    let cores = std::thread::available_parallelism()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("{cores} cores, load {load} before the start");
    if wants(Part::Planning) {
        planning(args.quick)?;
    }
    let settings = ServerSettings::from_vars(|name| match name {
        // Another provider or somebody's server would make another measurement.
        "TIDB_SCENARIOS_CACHE" => std::env::var(name).ok(),
        _ => None,
    })?;
    let server = Server::start(&settings, ProviderKind::Embedded, &ServerSpec::default()).await?;
    println!(
        "{} TiDB {}, store {}",
        server.kind(),
        server.version(),
        server.store()
    );
    let mut bench = Bench {
        server: Arc::new(server),
        databases: AtomicUsize::new(0),
        quick: args.quick,
        missed: Vec::new(),
    };
    let result = bench.parts(&wants).await;
    let Bench { server, missed, .. } = bench;
    Arc::into_inner(server)
        .ok_or("a trial still runs")?
        .stop()
        .await?;
    result.map(|()| missed)
}

/// Reading and planning are pure, so that they need no server and no pair.
fn planning(quick: bool) -> Result<(), Trouble> {
    let input = PlanInput {
        env: std::env::vars().collect(),
        ..PlanInput::default()
    };
    let collected = collect(
        &[PathBuf::from("scenarios")],
        &input.env,
        &tidb_scenarios::Handlers::new(),
    )?;
    let files: Vec<_> = collected.files.iter().map(|one| Arc::clone(&one.file)).collect();
    let mut times = Times::new()?;
    let mut trials = 0;
    for _ in 0..if quick { 10 } else { 100 } {
        let began = Instant::now();
        trials = 0;
        for file in &files {
            let planned = plan(Arc::clone(file), &input);
            if planned.is_broken() {
                return Err(format!("{} is broken", file.name()).into());
            }
            trials += planned.trials.len();
        }
        times.add(began.elapsed())?;
    }
    println!("\nplanning: {} files, {trials} trials\n{}", files.len(), head());
    println!("{}", times.line("all files, read and planned"));
    let seconds = times.median().as_secs_f64();
    println!("  {:.0} files a second", files.len() as f64 / seconds);
    Ok(())
}

impl Bench {
    fn rounds(&self, count: usize) -> usize {
        if self.quick { count.div_ceil(10) } else { count }
    }

    fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("tsc_bench_{}_{number}", std::process::id())
    }

    async fn parts(&mut self, wants: &impl Fn(Part) -> bool) -> Result<(), Trouble> {
        if wants(Part::Plain) {
            self.plain(Statement::Select, "select by primary key").await?;
            self.plain(Statement::Update, "update in a transaction").await?;
        }
        if wants(Part::Blocked) {
            self.blocked().await?;
        }
        if wants(Part::Trial) {
            self.trial(1).await?;
            self.trial(AT_ONCE).await?;
        }
        if wants(Part::Orders) {
            self.orders("each its own row", false).await?;
        }
        if wants(Part::WaitingOrders) {
            self.orders("all the same row, so that they wait", true).await?;
        }
        Ok(())
    }

    /// All orders of three connections of three steps, at the same parallelism as by hand.
    async fn orders(&mut self, name: &str, same_row: bool) -> Result<(), Trouble> {
        let plan = engine::planned(&orders::text(same_row, false))?;
        let mut pairs = Pairs::new()?;
        let mut runs = 0;
        for round in 0..self.rounds(6) {
            let (mut engine, mut plain) = (None, None);
            for side in 0..2 {
                if (round + side) % 2 == 0 {
                    let run = orders::engine(
                        Arc::clone(&self.server),
                        Arc::clone(&plan),
                        self.database(),
                        AT_ONCE,
                    );
                    engine = Some(tokio::spawn(run).await??);
                } else {
                    let server = self.server.config().clone();
                    let run = orders::plain(server, self.database(), AT_ONCE, same_row);
                    plain = Some(tokio::spawn(run).await??);
                }
            }
            let (Some(engine), Some(plain)) = (engine, plain) else {
                return Err("a side was left out".into());
            };
            if engine.distinct != plain.runs {
                return Err(format!("{} orders, and {} by hand", engine.distinct, plain.runs).into());
            }
            runs = plain.runs;
            pairs.add(engine.took, plain.took)?;
        }
        let each = |times: &Times| runs as f64 / times.median().as_secs_f64();
        println!(
            "\nevery order, {name}: {runs} orders of nine steps, {AT_ONCE} at once\n{}",
            head()
        );
        println!("{}", pairs.engine.line("engine, all of them"));
        println!("{}", pairs.plain.line("plain, all of them"));
        println!("{}", pairs.line());
        println!(
            "  orders a second: engine {:.0}, plain {:.0}",
            each(&pairs.engine),
            each(&pairs.plain)
        );
        self.target(
            pairs.ratio() <= 1.0 / ORDERS_MIN,
            format!("orders a second ({name}) at least {ORDERS_MIN} of plain mysql_async"),
        );
        let plan = engine::planned(&orders::text(same_row, true))?;
        let run = orders::engine(Arc::clone(&self.server), plan, self.database(), AT_ONCE);
        let explored = tokio::spawn(run).await??;
        println!(
            "  the same, pruned: {} runs for {} orders in {:.2} s ({:.0} runs a second)",
            explored.executed,
            explored.trace_size,
            explored.took.as_secs_f64(),
            explored.executed as f64 / explored.took.as_secs_f64()
        );
        Ok(())
    }

    async fn plain(&mut self, statement: Statement, name: &str) -> Result<(), Trouble> {
        const STEPS: usize = 200;
        let plan = engine::planned(&engine::statements_text(statement, STEPS))?;
        let (mut pairs, mut statements, mut each, mut plains) =
            (Pairs::new()?, Times::new()?, Times::new()?, Times::new()?);
        for round in 0..self.rounds(40) {
            let (mut steps, mut plain) = (None, None);
            for side in 0..2 {
                if (round + side) % 2 == 0 {
                    let run = engine::run_trial(Arc::clone(&self.server), Arc::clone(&plan), self.database());
                    let (history, judging) = tokio::spawn(run).await??;
                    steps = Some(engine::steps_of(&history, judging, STEPS)?);
                } else {
                    let server = self.server.config().clone();
                    let run = plain::statements(server, self.database(), statement, STEPS);
                    plain = Some(tokio::spawn(run).await??);
                }
            }
            let (Some(steps), Some(plain)) = (steps, plain) else {
                return Err("a side was left out".into());
            };
            let mean = plain.iter().sum::<Duration>() / u32::try_from(STEPS)?;
            pairs.add(steps.whole, mean)?;
            for (times, all) in [
                (&mut each, steps.each),
                (&mut statements, steps.statements),
                (&mut plains, plain),
            ] {
                for time in all {
                    times.add(time)?;
                }
            }
        }
        println!("\nplain step: {name}; a pair is {STEPS} steps\n{}", head());
        println!("{}", pairs.engine.line("engine, mean of a trial's steps"));
        println!("{}", pairs.plain.line("plain, mean of as many statements"));
        println!("{}", each.line("engine, each step"));
        println!("{}", statements.line("  of it the statement"));
        println!("{}", plains.line("plain, each statement"));
        println!("{}", pairs.line());
        self.target(
            pairs.ratio() <= PLAIN_MAX,
            format!("plain step ({name}) at most {PLAIN_MAX} times plain mysql_async"),
        );
        Ok(())
    }

    async fn blocked(&mut self) -> Result<(), Trouble> {
        const WAITS: usize = 10;
        let plan = engine::planned(&engine::waits_text(WAITS))?;
        let (mut pairs, mut certain) = (Pairs::new()?, Times::new()?);
        for round in 0..self.rounds(40) {
            let (mut waits, mut plain) = (None, None);
            for side in 0..2 {
                if (round + side) % 2 == 0 {
                    let run = engine::run_trial(Arc::clone(&self.server), Arc::clone(&plan), self.database());
                    let (history, _) = tokio::spawn(run).await??;
                    waits = Some(engine::waits_of(&history, WAITS)?);
                } else {
                    let server = self.server.config().clone();
                    plain = Some(tokio::spawn(plain::waits(server, self.database(), WAITS)).await??);
                }
            }
            let (Some(waits), Some(plain)) = (waits, plain) else {
                return Err("a side was left out".into());
            };
            for (engine, plain) in waits.whole.into_iter().zip(plain) {
                pairs.add(engine, plain)?;
            }
            for time in waits.certain {
                certain.add(time)?;
            }
        }
        println!(
            "\nblocked step, whole: block, certainty, release, finish\n{}",
            head()
        );
        println!("{}", pairs.engine.line("engine"));
        println!("{}", certain.line("  of it until the wait is certain"));
        println!("{}", pairs.plain.line("plain, 1 ms poll, two looks"));
        println!("{}", pairs.line());
        self.target(
            pairs.ratio() <= PLAIN_MAX,
            format!("blocked step at most {PLAIN_MAX} times a plain loop that believes two looks"),
        );
        Ok(())
    }

    async fn trial(&mut self, at_once: usize) -> Result<(), Trouble> {
        let plan = engine::planned(&engine::trial_text())?;
        let mut pairs = Pairs::new()?;
        for round in 0..self.rounds(if at_once == 1 { 60 } else { 30 }) {
            let (mut engine, mut plain) = (Duration::ZERO, Duration::ZERO);
            for side in 0..2 {
                let is_engine = (round + side) % 2 == 0;
                let began = Instant::now();
                let mut tasks = Vec::new();
                for _ in 0..at_once {
                    let (server, plan, database) =
                        (Arc::clone(&self.server), Arc::clone(&plan), self.database());
                    tasks.push(tokio::spawn(async move {
                        if is_engine {
                            engine::run_trial(server, plan, database).await.map(drop)
                        } else {
                            plain::trial(server.config().clone(), database).await
                        }
                    }));
                }
                for task in tasks {
                    task.await??;
                }
                let took = began.elapsed();
                if is_engine {
                    engine = took;
                } else {
                    plain = took;
                }
            }
            pairs.add(engine, plain)?;
        }
        println!(
            "\nwhole trial, {at_once} at once: six steps, one table\n{}",
            head()
        );
        println!("{}", pairs.engine.line("engine, all of them"));
        println!("{}", pairs.plain.line("plain, all of them"));
        println!("{}", pairs.line());
        Ok(())
    }

    fn target(&mut self, met: bool, text: String) {
        println!("  {}: {text}", if met { "met" } else { "MISSED" });
        if !met {
            self.missed.push(text);
        }
    }
}
