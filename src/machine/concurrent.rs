//! A machine that runs through the states of its connection by itself, at the same time as those of others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

use super::ended::Ended;
use super::gate::Gate;
use super::limit::KillRequest;
use super::worker::Worker;
use crate::coordinator::Wanted;
use crate::history::{Done, Outcome, SqlValue, Status, StepEnd, StepRecord, WaitFailure, Went};
use crate::plan::{self, Action, Next, Repetition, Step, TrialPlan};
use crate::sql::QUERY_INTERRUPTED;

/// What concurrent machines share with the task that has the control connection.
#[derive(Debug, Clone)]
pub(crate) struct MachineEnv {
    /// Takes statements that are over their limit.
    pub kills: mpsc::Sender<KillRequest>,
    /// Holds statements back, where somebody looks at what is there when none runs.
    pub gate: Option<Arc<Gate>>,
}

/// A worker that takes its own next step.
#[derive(Debug)]
pub(crate) struct ConcurrentMachine {
    worker: Worker,
    env: MachineEnv,
}

/// Why a machine ended early, in a line.
type Failure = String;

/// Where a state leads to after it has acted once.
enum Turn {
    /// It acts again, if it is to do so more often, or is left.
    Done,
    /// Elsewhere.
    Goes(Next),
}

impl ConcurrentMachine {
    pub fn new(mut worker: Worker, env: MachineEnv) -> Self {
        worker.gate.clone_from(&env.gate);
        Self { worker, env }
    }

    /// Runs through all rounds, or to where it fails; closes the session either way.
    pub async fn run(mut self) {
        let number = self.worker.number;
        self.worker.coordinator.set_status(number, Status::Testing);
        let failed = self.rounds().await.err();
        self.worker.interrupted |= failed.is_some();
        self.worker.close().await;
        if let Some(reason) = &failed {
            tracing::debug!(reason, "failed");
        }
        self.worker.coordinator.end(number, failed);
    }

    async fn rounds(&mut self) -> Result<(), Failure> {
        let plan = Arc::clone(&self.worker.plan);
        let own = &plan.connections[self.worker.number];
        // Each connection has a stream of its own, so that what one leaves to chance is not moved by another.
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
        random.set_stream(self.worker.number as u64);
        let mut retries = vec![0; own.states.len()];
        for round in 0..own.rounds {
            self.count("round", round);
            retries.fill(0);
            if own.states.is_empty() {
                break;
            }
            let mut next = Next::State(own.states.start);
            while let Next::State(number) = next {
                let again = round + 1 < own.rounds;
                let tried = &mut retries[number - own.states.start];
                next = self.visit(&plan, number, again, tried, &mut random).await?;
            }
        }
        Ok(())
    }

    /// Sets a variable that only this connection sees.
    fn count(&mut self, name: &str, value: u32) {
        self.worker
            .locals
            .insert(name.to_owned(), SqlValue::Int(value.into()));
    }

    /// One visit of a state: waits, acts, and tells where to go.
    async fn visit(
        &mut self,
        plan: &Arc<TrialPlan>,
        number: usize,
        again: bool,
        retries: &mut u32,
        random: &mut ChaCha8Rng,
    ) -> Result<Next, Failure> {
        let step = &plan.steps[number];
        let coordinator = Arc::clone(&self.worker.coordinator);
        coordinator.enter_state(self.worker.number, number, &step.state, again);
        self.count("iteration", 0);
        let waited_us = self.wait_its_turn(plan, number).await?;
        let times = match &step.coordination.repetition {
            Repetition::Once | Repetition::Until { .. } => 1,
            Repetition::Times(times) => *times,
        };
        let mut last = 0;
        for iteration in 0..times {
            self.count("iteration", iteration);
            last = coordinator.begin_step(StepRecord {
                step: number,
                connection: self.worker.number,
                text: plan.describe(step),
                started_us: coordinator.now_us(),
                iteration,
                waited_us: if iteration == 0 { waited_us } else { 0 },
                ..StepRecord::default()
            });
            let (ended, looked) = self.act_or_poll(step, last).await;
            match self
                .turn(plan, number, last, (ended, looked), retries, random)
                .await?
            {
                Turn::Done => {}
                Turn::Goes(next) => return Ok(next),
            }
        }
        *retries = 0;
        self.leave(step, plan, last)?;
        Ok(step.coordination.next)
    }

    /// Writes down how a state has ended, and where it leads to.
    async fn turn(
        &mut self,
        plan: &TrialPlan,
        number: usize,
        record: usize,
        (ended, looked): (Ended, Option<u32>),
        retries: &mut u32,
        random: &mut ChaCha8Rng,
    ) -> Result<Turn, Failure> {
        let step = &plan.steps[number];
        let coordinator = Arc::clone(&self.worker.coordinator);
        let Ended { end, next: led, .. } = ended;
        let outcome = end.outcome.clone();
        let mut branches = step.coordination.on.iter();
        if let Some((trigger, next)) = branches.find(|(trigger, _)| trigger.fits(&outcome)) {
            // On, to a state that comes later in the file, is a try again only where `retries` says so.
            let back = matches!(next, Next::State(to) if *to <= number);
            let policy = step.coordination.retries;
            if !trigger.is_error() || !(back || policy.said) {
                coordinator.end_step(self.worker.number, record, end, Went::Elsewhere);
                *retries = 0;
                return Ok(Turn::Goes(*next));
            }
            if *retries >= policy.max {
                let number = *retries;
                coordinator.end_step(self.worker.number, record, end, Went::RetriesUsedUp { number });
                let after = format!(", after {number} retries");
                return Err(failure(step, plan, &outcome, &after));
            }
            let pause = policy.longest_pause(*retries).mul_f64(random.random::<f64>());
            *retries += 1;
            let went = Went::Retry {
                number: *retries,
                pause_us: micros(pause),
            };
            coordinator.end_step(self.worker.number, record, end, went);
            tokio::time::sleep(pause).await;
            return Ok(Turn::Goes(*next));
        }
        if step.fails(&outcome) {
            coordinator.end_step(self.worker.number, record, end, Went::On);
            return Err(failure(step, plan, &outcome, ""));
        }
        if let Some(looks) = looked {
            coordinator.end_step(self.worker.number, record, end, Went::NeverSeen { looks });
            return Err(format!(
                "at line {}: `until` did not hold after {looks} polls",
                line(step, plan)
            ));
        }
        let problem = end.save_problem.clone();
        coordinator.end_step(self.worker.number, record, end, Went::On);
        if let Some(problem) = problem {
            return Err(format!("at line {}: {problem}", line(step, plan)));
        }
        let Some(name) = led else { return Ok(Turn::Done) };
        self.leave(step, plan, record)?;
        let next = self.state_called(plan, &name).ok_or_else(|| {
            format!(
                "at line {}: its handler leads to `{name}`, and there is no such state",
                line(step, plan)
            )
        })?;
        Ok(Turn::Goes(next))
    }

    /// The state that a handler leads to.
    fn state_called(&self, plan: &TrialPlan, name: &str) -> Option<Next> {
        let own = plan.connections.get(self.worker.number)?.states.clone();
        let mut found = own.filter(|number| plan.steps.get(*number).is_some_and(|step| step.state == name));
        found.next().map(Next::State)
    }

    /// What a state does for the others when it ends.
    fn leave(&self, step: &Step, plan: &TrialPlan, record: usize) -> Result<(), Failure> {
        for (name, value, _) in &step.coordination.add {
            let number = self
                .worker
                .value(value)
                .map_err(|outcome| crate::history::describe(&outcome));
            let coordinator = &self.worker.coordinator;
            let added = number.and_then(|number| coordinator.add_number(self.worker.number, name, &number));
            if let Err(problem) = added {
                let told = problem.clone();
                coordinator.change_step(record, |record| {
                    if let Some(end) = &mut record.end {
                        end.save_problem = Some(told);
                    }
                });
                return Err(format!("at line {}: {problem}", line(step, plan)));
            }
        }
        for event in &step.coordination.signal {
            self.worker.coordinator.signal(self.worker.number, event);
        }
        Ok(())
    }

    /// Waits for events, states and the barrier; returns how long that took.
    async fn wait_its_turn(&self, plan: &Arc<TrialPlan>, number: usize) -> Result<u64, Failure> {
        let step = &plan.steps[number];
        let began = Instant::now();
        let began_us = self.worker.coordinator.now_us();
        let wants = step.coordination.wait_for.iter().enumerate();
        let wants = wants.map(|(at, want)| (Some(at), want.what.clone()));
        let barrier = step
            .coordination
            .barrier
            .map(|(barrier, _)| (None, Wanted::Barrier(barrier)));
        for (want, what) in wants.chain(barrier) {
            let waited = self
                .worker
                .coordinator
                .wait(self.worker.number, what, step.timeout)
                .await;
            let Err(why) = waited else {
                continue;
            };
            let wanted = why.wanted;
            let place = line(step, plan);
            let failure = match why.failure {
                WaitFailure::Unsatisfiable => {
                    format!("at line {place}: the wait for {wanted} can never be satisfied")
                }
                WaitFailure::TimedOut => format!("at line {place}: the wait for {wanted} timed out"),
                WaitFailure::Stopped => format!("at line {place}: it still waited for {wanted}"),
            };
            let waited_us = micros(began.elapsed());
            let end = StepEnd {
                at_us: self.worker.coordinator.now_us(),
                took_us: waited_us,
                ..self.no_end()
            };
            let went = Went::Unsatisfied {
                wanted: wanted.clone(),
                want,
                failure: why.failure,
                reasons: why.reasons,
                cycle: why.cycle,
            };
            let record = self.worker.coordinator.begin_step(StepRecord {
                step: number,
                connection: self.worker.number,
                text: format!("waits for {wanted}"),
                started_us: began_us,
                waited_us,
                ..StepRecord::default()
            });
            self.worker
                .coordinator
                .end_step(self.worker.number, record, end, went);
            return Err(failure);
        }
        Ok(micros(began.elapsed()))
    }

    fn no_end(&self) -> StepEnd {
        StepEnd {
            at_us: 0,
            took_us: 0,
            outcome: Outcome::Done(Done::default()),
            statement: 0,
            warnings: None,
            plan: None,
            vars: self.worker.vars(),
            save_problem: None,
            flags: None,
        }
    }

    /// Acts once, or again and again until what is looked for is there. The number of looks comes back where
    /// it was never there.
    async fn act_or_poll(&mut self, step: &Step, record: usize) -> (Ended, Option<u32>) {
        let Repetition::Until {
            until, every, within, ..
        } = &step.coordination.repetition
        else {
            return (self.act_and_keep(step, record).await, None);
        };
        let began = Instant::now();
        let before = self.worker.vars();
        let mut looks = 0;
        loop {
            looks += 1;
            let mut ended = self.act_and_keep(step, record).await;
            ended.end.took_us = micros(began.elapsed());
            // What an earlier look has saved is no news for a later one.
            let saved = step.save.iter().map(|one| &one.name);
            for name in saved.chain(step.set.iter().map(|(name, _)| name)) {
                match before.get(name) {
                    Some(value) => drop(ended.end.vars.insert(name.clone(), value.clone())),
                    None => drop(ended.end.vars.remove(name)),
                }
            }
            if ended.end.outcome.is_error() {
                return (ended, None);
            }
            let there = match step.action {
                Action::Watch(_) => ended.job_ended,
                _ => plan::is_there(until, &ended.end.outcome, &ended.end.vars).is_ok(),
            };
            if there {
                return (ended, None);
            }
            if began.elapsed() + *every >= *within {
                return (ended, Some(looks));
            }
            tokio::time::sleep(*every).await;
        }
    }

    /// Acts, and keeps what `save`, `set` and `record` ask for.
    async fn act_and_keep(&mut self, step: &Step, record: usize) -> Ended {
        let worker = &mut self.worker;
        worker.record = record;
        worker.held.reset();
        let vars = worker.vars();
        let sent = Instant::now();
        let acted = worker.act_within_limit(step, record, &self.env.kills).await;
        worker.interrupted |=
            matches!(&acted.outcome, Outcome::Refused(error) if error.code == QUERY_INTERRUPTED);
        let mut ended = worker.end(step, acted, vars, sent).await;
        let text = match step.action {
            Action::Kill { .. } => None,
            _ => Some(ended.ran.join("; ")).filter(|text| !text.is_empty()),
        };
        worker.coordinator.change_step(record, |record| {
            record.txn = ended.txn;
            record.timestamps = ended.timestamps;
            record.text = text.unwrap_or_else(|| std::mem::take(&mut record.text));
        });
        if !ended.end.outcome.is_error() {
            worker.keep(step, &mut ended.end);
            self.record(step, &mut ended.end);
        }
        if ended.may_show {
            self.worker.let_look().await;
        }
        ended
    }

    /// Appends to the series that the state names.
    fn record(&self, step: &Step, end: &mut StepEnd) {
        for (series, source, _) in &step.coordination.record {
            match super::action::saved(source, &end.outcome) {
                Ok(value) => self.worker.coordinator.record(series, value),
                // A job that is not there yet has nothing to record.
                Err(_) if matches!(step.action, Action::Watch(_)) => {}
                Err(reason) => {
                    end.save_problem = Some(format!("`{series}` cannot be recorded: {reason}"));
                }
            }
        }
    }
}

fn line(step: &Step, plan: &TrialPlan) -> usize {
    plan.file.place(step.span.start).line
}

fn failure(step: &Step, plan: &TrialPlan, outcome: &Outcome, after: &str) -> Failure {
    let got = crate::history::describe(outcome);
    format!("at line {}: {got}{after}", line(step, plan))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
