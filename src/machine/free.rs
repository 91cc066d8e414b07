//! A machine that runs through the states of its connection by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{RwLock, mpsc, oneshot};

use super::Machine;
use super::action::Acted;
use crate::connection::KILL_MAX;
use crate::coordinator::waits::{InVain, Wanted};
use crate::history::{Done, Outcome, SqlValue, Status, StepEnd, StepRecord, Went};
use crate::plan::{self, Action, Next, Repetition, Step, TrialPlan};
use crate::sql::QUERY_INTERRUPTED;

/// What a machine that runs freely shares with the task that has the control connection.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    /// Statements that are over their limit.
    pub kills: mpsc::Sender<KillRequest>,
    /// Held for reading while a statement runs, where somebody wants to know when none does.
    pub idle: Option<Arc<RwLock<()>>>,
}

/// A statement that is over its limit.
#[derive(Debug)]
pub(crate) struct KillRequest {
    /// Whose.
    pub connection: usize,
    /// Its record.
    pub record: usize,
    /// The whole session, since KILL QUERY did not help.
    pub session: bool,
    /// Told when it has been done.
    pub done: oneshot::Sender<()>,
}

/// Why a machine ended early, in a line.
type Failure = String;

impl Machine {
    /// Runs through all rounds, or to where it fails; closes the session either way.
    pub async fn run_freely(mut self, around: Around) {
        self.coordinator.set_status(self.number, Status::Testing);
        let failed = self.rounds(&around).await.err();
        self.interrupted |= failed.is_some();
        self.close().await;
        if let Some(reason) = &failed {
            tracing::debug!(reason, "failed");
        }
        self.coordinator.end(self.number, failed);
    }

    async fn rounds(&mut self, around: &Around) -> Result<(), Failure> {
        let plan = Arc::clone(&self.plan);
        let own = &plan.connections[self.number];
        // Each connection has a stream of its own, so that what one leaves to chance is not moved by another.
        let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
        random.set_stream(self.number as u64);
        let mut retries = vec![0; own.states.len()];
        for round in 0..own.rounds {
            self.round = round;
            retries.fill(0);
            if own.states.is_empty() {
                break;
            }
            let mut next = Next::State(own.states.start);
            while let Next::State(number) = next {
                let again = round + 1 < own.rounds;
                let tried = &mut retries[number - own.states.start];
                next = self.visit(number, again, tried, &mut random, around).await?;
            }
        }
        Ok(())
    }

    /// One visit of a state: waits, acts, and tells where to go.
    async fn visit(
        &mut self,
        number: usize,
        again: bool,
        retries: &mut u32,
        random: &mut ChaCha8Rng,
        around: &Around,
    ) -> Result<Next, Failure> {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        self.coordinator
            .enter_state(self.number, number, &step.state, again);
        self.iteration = 0;
        let waited_us = self.wait_its_turn(&plan, number).await?;
        let times = match &step.coordination.repetition {
            Repetition::Once | Repetition::Until { .. } => 1,
            Repetition::Times(times) => *times,
        };
        let mut last = 0;
        for iteration in 0..times {
            self.iteration = iteration;
            let record = self.coordinator.begin_step(StepRecord {
                step: number,
                connection: self.number,
                text: plan.describe(step),
                started_us: self.coordinator.now_us(),
                iteration,
                waited_us: if iteration == 0 { waited_us } else { 0 },
                ..StepRecord::default()
            });
            let (end, looked) = self.act_or_look(step, record, around).await;
            let led = self.led.take();
            let outcome = end.outcome.clone();
            let branch = step
                .coordination
                .on
                .iter()
                .find(|(trigger, _)| trigger.fits(&outcome));
            if let Some((trigger, next)) = branch {
                // On, to a state that comes later in the file, is a try again only where `retries` says so.
                let back = matches!(next, Next::State(to) if *to <= number);
                let again = back || step.coordination.retries.said;
                if !trigger.is_error() || !again {
                    self.coordinator.end_step(record, end, Went::Elsewhere);
                    *retries = 0;
                    return Ok(*next);
                }
                let policy = step.coordination.retries;
                if *retries >= policy.max {
                    let number = *retries;
                    self.coordinator
                        .end_step(record, end, Went::RetriesUsedUp { number });
                    return Err(failure(
                        step,
                        &plan,
                        &outcome,
                        &format!(", after {number} retries"),
                    ));
                }
                let pause = policy.longest_pause(*retries).mul_f64(random.random::<f64>());
                *retries += 1;
                let went = Went::Retry {
                    number: *retries,
                    pause_us: u64::try_from(pause.as_micros()).unwrap_or(u64::MAX),
                };
                self.coordinator.end_step(record, end, went);
                tokio::time::sleep(pause).await;
                return Ok(*next);
            }
            if outcome.is_error() && !step.wants_error() {
                self.coordinator.end_step(record, end, Went::On);
                return Err(failure(step, &plan, &outcome, ""));
            }
            if let Some(looks) = looked {
                self.coordinator.end_step(record, end, Went::NeverSeen { looks });
                return Err(format!(
                    "at line {}: it was not there after {looks} looks",
                    line(step, &plan)
                ));
            }
            let problem = end.save_problem.clone();
            self.coordinator.end_step(record, end, Went::On);
            if let Some(problem) = problem {
                return Err(format!("at line {}: {problem}", line(step, &plan)));
            }
            last = record;
            if let Some(name) = led {
                self.leave(step, &plan, record)?;
                return self.state_called(&plan, &name).ok_or_else(|| {
                    format!(
                        "at line {}: its handler leads to `{name}`, and there is no such state",
                        line(step, &plan)
                    )
                });
            }
        }
        *retries = 0;
        self.leave(step, &plan, last)?;
        Ok(step.coordination.next)
    }

    /// The state that a handler leads to.
    fn state_called(&self, plan: &TrialPlan, name: &str) -> Option<Next> {
        let own = plan.connections.get(self.number)?.states.clone();
        let mut found = own.filter(|number| plan.steps.get(*number).is_some_and(|step| step.state == name));
        found.next().map(Next::State)
    }

    /// What a state does for the others when it ends.
    fn leave(&self, step: &Step, plan: &TrialPlan, record: usize) -> Result<(), Failure> {
        for (name, value, _) in &step.coordination.add {
            let number = self
                .value(value)
                .map_err(|outcome| crate::history::describe(&outcome));
            if let Err(problem) = number.and_then(|number| self.coordinator.add(name, &number)) {
                let told = problem.clone();
                self.coordinator.change_step(record, |record| {
                    if let Some(end) = &mut record.end {
                        end.save_problem = Some(told);
                    }
                });
                return Err(format!("at line {}: {problem}", line(step, plan)));
            }
        }
        for event in &step.coordination.signal {
            self.coordinator.signal(self.number, event);
        }
        Ok(())
    }

    /// Waits for events, states and the barrier; returns how long that took.
    async fn wait_its_turn(&mut self, plan: &Arc<TrialPlan>, number: usize) -> Result<u64, Failure> {
        let step = &plan.steps[number];
        let began = Instant::now();
        let began_us = self.coordinator.now_us();
        let wants = step.coordination.wait_for.iter().enumerate();
        let wants = wants.map(|(at, want)| (Some(at), wanted(&want.what)));
        let barrier = step
            .coordination
            .barrier
            .map(|(barrier, _)| (None, Wanted::Barrier(barrier)));
        for (want, what) in wants.chain(barrier) {
            let waited = self.coordinator.wait(self.number, what, step.timeout).await;
            let Err(InVain {
                wanted,
                reasons,
                cycle,
            }) = waited
            else {
                continue;
            };
            let failure = format!("at line {}: waited in vain for {wanted}", line(step, plan));
            let waited_us = micros(began.elapsed());
            let end = StepEnd {
                at_us: self.coordinator.now_us(),
                took_us: waited_us,
                ..self.no_end()
            };
            let went = Went::WaitedInVain {
                wanted: wanted.clone(),
                want,
                reasons,
                cycle,
            };
            let record = self.coordinator.begin_step(StepRecord {
                step: number,
                connection: self.number,
                text: format!("waits for {wanted}"),
                started_us: began_us,
                waited_us,
                ..StepRecord::default()
            });
            self.coordinator.end_step(record, end, went);
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
            vars: self.coordinator.vars(),
            save_problem: None,
        }
    }

    /// Acts once, or again and again until what is looked for is there. The number of looks comes back where
    /// it was never there.
    async fn act_or_look(&mut self, step: &Step, record: usize, around: &Around) -> (StepEnd, Option<u32>) {
        let Repetition::Until {
            until, every, within, ..
        } = &step.coordination.repetition
        else {
            return (self.act_and_keep(step, record, around).await.0, None);
        };
        let began = Instant::now();
        let mut looks = 0;
        loop {
            looks += 1;
            let (mut end, ended) = self.act_and_keep(step, record, around).await;
            end.took_us = micros(began.elapsed());
            if end.outcome.is_error() {
                return (end, None);
            }
            let watches = matches!(step.action, Action::Watch(_));
            let there = if watches {
                ended
            } else {
                plan::is_there(until, &end.outcome, &end.vars).is_ok()
            };
            if there {
                return (end, None);
            }
            if began.elapsed() + *every >= *within {
                return (end, Some(looks));
            }
            tokio::time::sleep(*every).await;
        }
    }

    /// Acts, and keeps what `save`, `set` and `record` ask for. Whether a watched job has ended comes with it.
    async fn act_and_keep(&mut self, step: &Step, record: usize, around: &Around) -> (StepEnd, bool) {
        let statement = !matches!(step.action, Action::Sleep(_) | Action::Nothing | Action::Set);
        let busy = match &around.idle {
            Some(idle) if statement => Some(Arc::clone(idle).read_owned().await),
            _ => None,
        };
        let sent = Instant::now();
        let (acted, ended) = self.bounded(step, record, around).await;
        self.led.clone_from(&acted.next);
        let took_us = micros(sent.elapsed());
        let at_us = self.coordinator.now_us();
        self.interrupted |=
            matches!(&acted.outcome, Outcome::Refused(error) if error.code == QUERY_INTERRUPTED);
        let texts: Vec<&str> = acted.ran.iter().map(|(sql, _)| sql.as_str()).collect();
        if !texts.is_empty() && !matches!(step.action, Action::Kill { .. }) {
            let text = texts.join("; ");
            self.coordinator.change_step(record, |record| record.text = text);
        }
        let (warnings, explain) = self.ask_more(step, &acted).await;
        drop(busy);
        let (vars, mut save_problem) = if acted.outcome.is_error() {
            (self.vars(), None)
        } else {
            self.keep(step, &acted.outcome)
        };
        for (series, source, _) in &step.coordination.record {
            if acted.outcome.is_error() {
                break;
            }
            match super::action::saved(source, &acted.outcome) {
                Ok(value) => self.coordinator.record(series, value),
                // A job that is not there yet has nothing to record.
                Err(_) if matches!(step.action, Action::Watch(_)) => {}
                Err(reason) => save_problem = Some(format!("`{series}` cannot be recorded: {reason}")),
            }
        }
        let end = StepEnd {
            at_us,
            took_us,
            outcome: acted.outcome,
            statement: acted.statement,
            warnings,
            plan: explain,
            vars,
            save_problem,
        };
        (end, ended)
    }

    /// Acts within the state's limit. What is over it is ended by KILL QUERY, and if that does not help by
    /// closing the connection; whether it took effect is unknown then.
    async fn bounded(&mut self, step: &Step, record: usize, around: &Around) -> (Acted, bool) {
        let target = match step.action {
            Action::Kill { target, .. } => self.coordinator.session(target),
            _ => None,
        };
        // A pause lasts as long as it says; the trial's own limit holds for it.
        let limit = match step.action {
            Action::Sleep(pause) => pause + step.timeout,
            _ => step.timeout,
        };
        let connection = self.number;
        let ask = async |session: bool| {
            let (done, told) = oneshot::channel();
            let request = KillRequest {
                connection,
                record,
                session,
                done,
            };
            if around.kills.send(request).await.is_ok() {
                drop(told.await);
            }
        };
        let coordinator = Arc::clone(&self.coordinator);
        let over = {
            let acting = self.act_or_watch(step, target);
            tokio::pin!(acting);
            match tokio::time::timeout(limit, &mut acting).await {
                Ok(acted) => return acted,
                Err(_) => {
                    coordinator.set_over_limit(connection, true);
                    ask(false).await;
                    tokio::time::timeout(KILL_MAX, &mut acting).await.ok()
                }
            }
        };
        self.interrupted = true;
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let outcome = Outcome::TimedOut {
            limit_ms,
            in_vain: false,
        };
        match over {
            Some((acted, _)) => (Acted { outcome, ..acted }, false),
            None => {
                // Dropped in the middle of an answer, the session is of no more use.
                self.connection = None;
                ask(true).await;
                (Acted::single(outcome), false)
            }
        }
    }

    async fn act_or_watch(&mut self, step: &Step, target: Option<u64>) -> (Acted, bool) {
        match &step.action {
            Action::Watch(watch) => self.look_at_job(watch).await,
            _ => (self.act(step, target).await, false),
        }
    }
}

fn wanted(what: &plan::Wanted) -> Wanted {
    match what {
        plan::Wanted::Event { name, times } => Wanted::Event {
            name: name.clone(),
            times: *times,
        },
        plan::Wanted::State { connection, step } => Wanted::State {
            connection: *connection,
            state: *step,
        },
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

/// A watched job's columns as a result, so that what is expected of rows can be expected of it.
pub(super) const JOB_COLUMNS: [&str; 9] = [
    "id", "status", "phase", "rows", "size", "elapsed", "error", "table", "ended",
];

/// A number that may be missing.
pub(super) fn int(value: Option<&SqlValue>) -> Option<i128> {
    match value? {
        SqlValue::Int(number) => Some(*number),
        SqlValue::Decimal(text) | SqlValue::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}
