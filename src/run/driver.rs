//! Carries out steps on sessions that are open: starts one, takes its answer, ends one that is over its limit. Which
//! step is started when is for its callers to say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::checks::always;
use super::control::Controls;
use super::on_failure::OnFailure;
use crate::coordinator::Coordinator;
use crate::history::{CheckRecord, History, Outcome, Skipped, StepRecord, Stopped, Wait, Went};
use crate::machine::{Command, Report, Worker, vars_of};
use crate::plan::{Action, ControlId, Step, TrialPlan, describe_action};
use crate::transaction::Transaction;

/// One connection's session, as its driver sees it.
pub(crate) struct SessionSlot {
    pub commands: mpsc::UnboundedSender<Command>,
    pub task: JoinHandle<()>,
    /// The record of the step that has not returned.
    pub running: Option<usize>,
    /// Why the connection takes no more steps.
    pub failed: Option<String>,
    pub transaction: Transaction,
    /// How many transactions it had had when this run began.
    transactions_before: u32,
    pub control: ControlId,
}

/// A step that was started: what does not change of its record.
#[derive(Debug, Clone, Copy)]
struct Started {
    step: usize,
    connection: usize,
    /// The session that it was sent on.
    session: Option<u64>,
}

/// Carries out the steps of one run.
pub(crate) struct Driver<'c> {
    pub plan: Arc<TrialPlan>,
    pub coordinator: Arc<Coordinator>,
    pub controls: &'c mut Controls,
    pub(super) inbox: mpsc::UnboundedReceiver<Report>,
    pub sessions: Vec<SessionSlot>,
    on_failure: OnFailure,
    /// Connections whose sessions are closed later: the trial may be held before.
    unclosed: Option<Vec<usize>>,
    /// By the numbers of their records.
    started: Vec<Started>,
    pub skipped: Vec<Skipped>,
    checks: Vec<CheckRecord>,
    /// Records of blocked steps whose session was lost: the server may still wait.
    pub(super) lingering: Vec<usize>,
    pub stopped: Option<Stopped>,
}

impl<'c> Driver<'c> {
    pub fn new(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut Controls,
        inbox: mpsc::UnboundedReceiver<Report>,
        on_failure: OnFailure,
    ) -> Self {
        Self {
            plan,
            coordinator,
            controls,
            inbox,
            sessions: Vec::new(),
            on_failure,
            unclosed: None,
            started: Vec::new(),
            skipped: Vec::new(),
            checks: Vec::new(),
            lingering: Vec::new(),
            stopped: None,
        }
    }

    /// Leaves the sessions of connections that fail open until [`Self::close_failed`].
    pub fn that_may_be_held(self) -> Self {
        Self {
            unclosed: Some(Vec::new()),
            ..self
        }
    }

    /// The connections whose sessions are to be closed now; from now on each is closed at once.
    pub(super) fn take_unclosed(&mut self) -> Vec<usize> {
        self.unclosed.take().unwrap_or_default()
    }

    /// How many steps were started.
    pub(super) fn started_count(&self) -> usize {
        self.started.len()
    }

    /// With sessions that a driver before this one has left open.
    pub fn resume_with(self, mut sessions: Vec<SessionSlot>) -> Self {
        for slot in &mut sessions {
            slot.transactions_before = slot.transaction.count();
        }
        Self { sessions, ..self }
    }

    /// What happened, and the sessions for the next driver.
    pub fn into_parts(self) -> (History, mpsc::UnboundedReceiver<Report>, Vec<SessionSlot>) {
        let history = History {
            skipped: self.skipped,
            checks: self.checks,
            stopped: self.stopped,
            ..self.coordinator.take_history()
        };
        (history, self.inbox, self.sessions)
    }

    /// Starts the task of a connection that is open.
    pub fn attach(&mut self, worker: Worker, reports: mpsc::UnboundedSender<Report>) {
        let control = self.plan.control_of(worker.number);
        let own = self.plan.connections.get(worker.number);
        let transaction = Transaction::of_session(own.map_or(&[][..], |own| &own.vars));
        let (commands, inbox) = mpsc::unbounded_channel();
        // A task of its own has no span around it, so the scenario's is handed on.
        let span = tracing::info_span!("connection", connection = %worker.config.id);
        let task = tokio::spawn(worker.obey(inbox, reports).instrument(span));
        self.sessions.push(SessionSlot {
            commands,
            task,
            running: None,
            failed: None,
            transaction,
            transactions_before: 0,
            control,
        });
    }

    pub fn over_time(&mut self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.stopped.get_or_insert(Stopped::OverTime { limit_ms });
    }

    /// Sends a step of the plan to its connection; returns the number of its record.
    pub fn start(&mut self, number: usize) -> usize {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        let connection = step.connection;
        let target = match step.action {
            Action::Kill { target, .. } => self.coordinator.session(target),
            _ => None,
        };
        let record = self.coordinator.begin_step(StepRecord {
            step: number,
            connection,
            text: describe_action(&step.action, &plan),
            started_us: self.coordinator.now_us(),
            ..StepRecord::default()
        });
        self.started.push(Started {
            step: number,
            connection,
            session: self.coordinator.session(connection),
        });
        let slot = &mut self.sessions[connection];
        slot.running = Some(record);
        if slot.commands.send(Command::Run { step: number, target }).is_err() {
            slot.running = None;
            slot.failed = Some("its task has ended".to_owned());
        }
        record
    }

    /// Takes all reports that are there.
    pub fn drain(&mut self) {
        while let Ok(report) = self.inbox.try_recv() {
            self.take(report);
        }
    }

    /// Takes the next report, or returns at the deadline.
    pub async fn next_report(&mut self, deadline: Instant) {
        if let Ok(Some(report)) = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        let connection = report.connection;
        let slot = &mut self.sessions[connection];
        let Some(record) = slot.running.take() else { return };
        // A step of a driver before this one is no part of what this one records.
        let Some(started) = self.started.get(record).copied() else {
            return;
        };
        slot.transaction = report.transaction;
        let before = slot.transactions_before;
        let txn = report.txn.map(|txn| txn.saturating_sub(before));
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[started.step];
        let blocked = self.coordinator.look_at_steps(|steps| {
            let record = steps.get(record);
            record.is_some_and(|record| record.wait.is_some())
        });
        if blocked {
            self.coordinator
                .enter_at(connection, &step.state, report.end.at_us);
            match report.end.outcome {
                Outcome::Lost { .. } => self.lingering.push(record),
                _ => self.note_released(record),
            }
        }
        let expected = match self.on_failure {
            // What is wrong about an error is told by the step's own expectation; the script goes on after it.
            OnFailure::Close => step.wants_error(),
            OnFailure::Keep => step.expects_error(&report.end.outcome),
        };
        if report.end.outcome.is_error() && !expected {
            self.fail(connection, step, &report.end.outcome);
        }
        let text = match step.action {
            Action::Kill { .. } => None,
            _ => Some(report.ran.join("; ")).filter(|text| !text.is_empty()),
        };
        self.coordinator.change_step(record, |record| {
            record.txn = txn;
            record.timestamps = report.timestamps;
            record.text = text.unwrap_or_else(|| std::mem::take(&mut record.text));
        });
        self.coordinator
            .end_step(connection, record, report.end, Went::On);
    }

    /// A connection got an error that nobody expected.
    fn fail(&mut self, connection: usize, step: &Step, outcome: &Outcome) {
        let place = self.plan.file.place(step.span.start);
        let name = &self.plan.connections[connection].name;
        let got = crate::history::describe(outcome);
        let slot = &mut self.sessions[connection];
        slot.failed = Some(format!("{name} failed at line {}: {got}", place.line));
        match (self.on_failure, &mut self.unclosed) {
            (OnFailure::Close, Some(unclosed)) => unclosed.push(connection),
            (OnFailure::Close, None) => {
                // A task that has ended has closed its session.
                let _ = slot.commands.send(Command::Fail);
                slot.transaction.in_no_session();
            }
            (OnFailure::Keep, _) => {}
        }
    }

    /// Closes the session of a connection that takes no more steps; later where the trial may be held before.
    pub(super) fn close_session(&mut self, connection: usize) {
        match &mut self.unclosed {
            Some(unclosed) => unclosed.push(connection),
            // A task that has ended has closed its session.
            None => drop(self.sessions[connection].commands.send(Command::Fail)),
        }
    }

    /// The step of the plan that a record is of.
    pub fn step_of(&self, record: usize) -> &Step {
        &self.plan.steps[self.started[record].step]
    }

    /// The session that a record's step was sent on.
    pub fn session_of(&self, record: usize) -> Option<u64> {
        self.started[record].session
    }

    /// The connection that a record is of.
    pub fn connection_of(&self, record: usize) -> usize {
        self.started[record].connection
    }

    pub fn is_done(&self, record: usize) -> bool {
        self.coordinator.look_at_steps(|steps| {
            let record = steps.get(record);
            record.is_some_and(|record| record.end.is_some())
        })
    }

    /// The wait of a step that was seen to be blocked.
    pub fn wait_of(&self, record: usize) -> Option<Wait> {
        self.coordinator
            .look_at_steps(|steps| steps.get(record).and_then(|record| record.wait.clone()))
    }

    /// The text of what a step did.
    pub fn text_of(&self, record: usize) -> String {
        self.coordinator.look_at_steps(|steps| {
            let record = steps.get(record);
            record.map(|record| record.text.clone()).unwrap_or_default()
        })
    }

    /// Takes note that nobody holds any more what a step waited for: with the step that was started last, unless it was
    /// so before.
    pub fn note_released(&self, record: usize) {
        let last = (0..self.started.len()).rev().find(|other| *other != record);
        self.coordinator.change_step(record, |record| {
            if let Some(wait) = &mut record.wait {
                wait.released_by = wait.released_by.or(last);
            }
        });
    }

    /// A step that was seen to be blocked was not.
    pub fn forget_wait(&self, record: usize) {
        let mut forgotten = false;
        self.coordinator
            .change_step(record, |record| forgotten = record.wait.take().is_some());
        if forgotten {
            self.coordinator.forget_blocked(self.connection_of(record));
        }
    }

    /// Takes note that a step was found not to be blocked any more before this step of the plan, though no answer
    /// had come.
    pub fn note_not_waiting(&self, record: usize, before: usize) {
        self.coordinator.change_step(record, |record| {
            if let Some(wait) = &mut record.wait {
                wait.not_waiting_before.push(before);
            }
        });
    }

    /// Connections whose step has not returned.
    pub fn running(&self) -> Vec<usize> {
        let slots = self.sessions.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.running.is_some())
            .map(|(number, _)| number)
            .collect()
    }

    /// Runs `always`, if no statement runs.
    pub async fn always(&mut self, after: Option<usize>) {
        if self.sessions.iter().any(|slot| slot.running.is_some()) {
            return;
        }
        let vars = vars_of(&self.plan, &self.coordinator, None);
        let control = &mut self.controls[self.plan.main_control()];
        let records = always(&self.plan, control, &vars, after).await;
        self.checks.extend(records);
    }
}
