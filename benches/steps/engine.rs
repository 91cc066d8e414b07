//! The engine's side: scenarios as text, planned and run by the library as the harness does it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidb_scenarios::engine::SourceFile;
use tidb_scenarios::engine::timeline;
use tidb_scenarios::engine::{PlanInput, TrialPlan, plan};
use tidb_scenarios::engine::{RunSettings, run};
use tidb_scenarios::engine::{Verdict, judge};
use tidb_scenarios::history::History;
use tidb_scenarios::server::Server;

use crate::plain::Statement;

type Trouble = Box<dyn std::error::Error + Send + Sync>;

const HEAD: &str = "scenario: a benchmark
timeout: 10m
setup: |
  create table t (id int primary key, v int not null);
  insert into t values (1, 0), (2, 0);
";

/// A whole small trial: six steps on two connections, and a final table.
pub fn trial_text() -> String {
    format!(
        "{HEAD}connections: [alice, bob]
steps:
  - alice: begin pessimistic
  - alice: update t set v = 10 where id = 1
    affected: 1
  - bob: select v from t where id = 1
    value: 0
  - bob: update t set v = 20 where id = 2
    affected: 1
  - alice: commit
  - bob: select v from t where id = 1
    value: 10
expect:
  tables:
    t: [[1, 10], [2, 20]]
"
    )
}

/// One statement many times, in one transaction. The measured steps are all but the first and the last.
pub fn statements_text(statement: Statement, count: usize) -> String {
    let one = match statement {
        Statement::Select => "  - alice: select v from t where id = 1\n    value: 0\n",
        Statement::Update => "  - alice: update t set v = v + 1 where id = 1\n    affected: 1\n",
    };
    let steps = one.repeat(count);
    format!("{HEAD}connections: [alice]\nsteps:\n  - alice: begin pessimistic\n{steps}  - alice: commit\n")
}

/// Steps of one round of [`waits_text`]; the fourth of each waits.
const ROUND: usize = 6;
const WAITER: usize = 3;

/// Alice holds a row and bob waits for it, many times over.
pub fn waits_text(count: usize) -> String {
    let mut text = format!("{HEAD}connections: [alice, bob]\nsteps:\n");
    for _ in 0..count {
        text.push_str(
            "  - alice: begin pessimistic
  - bob: begin pessimistic
  - alice: update t set v = v + 1 where id = 1
    affected: 1
  - bob: update t set v = v + 1 where id = 1
    blocked_by: alice
    affected: 1
  - alice: commit
    unblocks: bob
  - bob: commit
",
        );
    }
    let _ = writeln!(
        text,
        "expect:\n  tables:\n    t: [[1, {}], [2, 0]]\n  errors: {{}}",
        2 * count
    );
    text
}

pub fn planned(text: &str) -> Result<Arc<TrialPlan>, Trouble> {
    let file = Arc::new(SourceFile::new("bench.yaml", text));
    let mut planned = plan(file, &PlanInput::default());
    match planned.trials.pop() {
        Some(trial) if planned.problems.is_empty() => Ok(Arc::new(trial)),
        _ => Err(format!("the benchmark's own scenario is wrong: {:?}", planned.problems).into()),
    }
}

/// Runs and judges one trial; what did not hold is an error, since its times would mean nothing.
/// Returns how long the judging took, too.
pub async fn run_trial(
    server: Arc<Server>,
    plan: Arc<TrialPlan>,
    database: String,
) -> Result<(History, Duration), Trouble> {
    let settings = RunSettings {
        live: None,
        hold: None,
        timestamps: false,
        database,
        keep_databases: false,
    };
    let history = run(Arc::clone(&plan), &server, &[], &settings).await?;
    let began = Instant::now();
    let verdict = judge(&plan, &history);
    let judging = began.elapsed();
    match verdict {
        Verdict::Passed => Ok((history, judging)),
        Verdict::Failed(findings) => {
            let first = findings.first().map_or("", |finding| finding.message.as_str());
            Err(format!("{first}\n{}", timeline(&plan, &history)).into())
        }
    }
}

fn micros(from: u64, to: u64) -> Duration {
    Duration::from_micros(to.saturating_sub(from))
}

/// The measured steps of a trial of [`statements_text`].
pub struct Steps {
    /// One whole step: from the first one's start to the start of the one after the last, and the judging of
    /// all, divided.
    pub whole: Duration,
    /// Each step from its start to the start of the next one.
    pub each: Vec<Duration>,
    /// Each step's statement, from sending to the answer, as the history tells it.
    pub statements: Vec<Duration>,
}

pub fn steps_of(history: &History, judging: Duration, count: usize) -> Result<Steps, Trouble> {
    let starts: Vec<u64> = history.steps.iter().map(|step| step.started_us).collect();
    if starts.len() != count + 2 {
        return Err(format!("{} steps ran in place of {}", starts.len(), count + 2).into());
    }
    let each: Vec<Duration> = starts
        .windows(2)
        .skip(1)
        .map(|pair| micros(pair[0], pair[1]))
        .collect();
    let measured = history.steps.iter().skip(1).take(count);
    let statements = measured
        .filter_map(|step| step.end.as_ref())
        .map(|end| Duration::from_micros(end.took_us))
        .collect();
    let whole = (micros(starts[1], starts[count + 1]) + judging) / u32::try_from(count)?;
    Ok(Steps {
        whole,
        each,
        statements,
    })
}

/// The waits of a trial of [`waits_text`].
pub struct Waits {
    /// From sending bob's statement to the start of the step after alice's commit: bob's answer is taken, and
    /// the engine goes on.
    pub whole: Vec<Duration>,
    /// From sending bob's statement to the moment at which its wait was certain.
    pub certain: Vec<Duration>,
}

pub fn waits_of(history: &History, count: usize) -> Result<Waits, Trouble> {
    let (mut whole, mut certain) = (Vec::new(), Vec::new());
    for round in history.steps.chunks(ROUND) {
        let [_, _, _, _, _, after] = round else {
            return Err("a round of steps is not whole".into());
        };
        let bob = &round[WAITER];
        let wait = bob.wait.as_ref().ok_or("bob did not wait")?;
        whole.push(micros(bob.started_us, after.started_us));
        certain.push(micros(bob.started_us, wait.seen_us));
    }
    if whole.len() != count {
        return Err(format!("{} rounds ran in place of {count}", whole.len()).into());
    }
    Ok(Waits { whole, certain })
}
