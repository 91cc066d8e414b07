//! The driver of `steps`: starts each step when the one before it has returned or is known to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::control::Controls;
use super::known::{Belief, Known, Place, Seen, Track};
use super::limits::{POLL_EVERY, RELEASE_MAX, RETURN_MAX};
use super::order::Taken;
use super::trial::query_record;
use super::watch::Waiting;
use crate::connection::KILL_MAX;
use crate::coordinator::Coordinator;
use crate::history::{CheckId, History, Outcome, Skipped, Status, StepEnd, StepRecord, Stopped, WaitRule};
use crate::lock_wait::{self, TrxRow};
use crate::machine::{Command, Machine, Report};
use crate::plan::{Action, ControlId, Step, TrialPlan, describe_action};
use crate::sql::{Kind, classify};
use crate::transaction::Transaction;

pub(super) struct Seat {
    pub commands: mpsc::UnboundedSender<Command>,
    pub task: JoinHandle<()>,
    /// The record of the step that has not returned.
    pub busy: Option<usize>,
    /// Why the connection takes no more steps.
    pub failed: Option<String>,
    pub transaction: Transaction,
    pub control: ControlId,
}

pub(super) struct Script<'c> {
    pub(super) plan: Arc<TrialPlan>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) controls: &'c mut Controls,
    inbox: mpsc::UnboundedReceiver<Report>,
    pub(super) seats: Vec<Seat>,
    pub(super) history: History,
    /// Whether this is one order of many: any step may wait, and sessions stay for the next one.
    pub(super) one_of_many: bool,
    /// The steps of an order as they were started.
    pub(super) taken: Vec<Taken>,
    /// Connections that have rolled back after an error.
    pub(super) given_up: Vec<usize>,
    /// What the orders before this one have shown of who waits.
    pub(super) known: Arc<Known>,
    pub(super) track: Track,
    /// The records of steps that may have let go of something.
    ends: Vec<usize>,
    /// The waits that were believed, each for as long as nothing newer was seen of it.
    beliefs: Vec<Belief>,
}

pub(super) enum Fate {
    Returned,
    Waits,
    Stop(Stopped),
}

impl<'c> Script<'c> {
    pub fn new(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut Controls,
        inbox: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        Self {
            plan,
            coordinator,
            controls,
            inbox,
            seats: Vec::new(),
            history: History::default(),
            one_of_many: false,
            taken: Vec::new(),
            given_up: Vec::new(),
            known: Arc::default(),
            track: Track::default(),
            ends: Vec::new(),
            beliefs: Vec::new(),
        }
    }

    /// Takes up connections for one order of many.
    pub fn take_up(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut Controls,
        inbox: mpsc::UnboundedReceiver<Report>,
        seats: Vec<Seat>,
        known: Arc<Known>,
    ) -> Self {
        Self {
            seats,
            known,
            one_of_many: true,
            ..Self::new(plan, coordinator, controls, inbox)
        }
    }

    /// What happened, and the connections for the next order.
    pub fn put_down(self) -> (History, mpsc::UnboundedReceiver<Report>, Vec<Seat>) {
        let shared = self.coordinator.snapshot();
        let history = History {
            connections: shared.connections,
            vars: shared.vars,
            ..self.history
        };
        (history, self.inbox, self.seats)
    }

    pub fn start_machine(&mut self, machine: Machine, reports: mpsc::UnboundedSender<Report>) {
        let control = self.plan.control_of(machine.number);
        let settings = self.plan.connections.get(machine.number);
        let settings = settings.map(|own| own.vars.as_slice()).unwrap_or_default();
        let transaction = Transaction::of_session(settings);
        let (commands, inbox) = mpsc::unbounded_channel();
        // A task of its own has no span around it, so the scenario's is handed on.
        let span = tracing::info_span!("connection", name = %machine.config.id);
        let task = tokio::spawn(machine.run(inbox, reports).instrument(span));
        self.seats.push(Seat {
            commands,
            task,
            busy: None,
            failed: None,
            transaction,
            control,
        });
    }

    pub fn into_history(self) -> History {
        let shared = self.coordinator.snapshot();
        History {
            connections: shared.connections,
            vars: shared.vars,
            ..self.history
        }
    }

    pub fn over_time(&mut self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.history.stopped.get_or_insert(Stopped::OverTime { limit_ms });
    }

    /// Follows the script to its end, or to where it cannot be followed any more.
    pub async fn follow(&mut self) {
        if let Err(stopped) = self.steps().await {
            self.history.stopped = Some(stopped);
        }
    }

    async fn steps(&mut self) -> Result<(), Stopped> {
        let plan = Arc::clone(&self.plan);
        self.always(None).await;
        for (number, step) in plan.steps.iter().enumerate() {
            self.drain();
            self.check_waiting(number).await?;
            if self.seats[step.connection].busy.is_some() {
                self.await_free(number, step.connection).await?;
            }
            if let Some(reason) = self.seats[step.connection].failed.clone() {
                self.history.skipped.push(Skipped { step: number, reason });
                continue;
            }
            let record = self.start(number);
            match self.watch(record).await {
                Fate::Returned | Fate::Waits => {}
                Fate::Stop(stopped) => return Err(stopped),
            }
            for (other, _) in &step.unblocks {
                self.await_release(*other, record).await?;
            }
            self.always(Some(number)).await;
        }
        // What still waits expects an error of its own, such as a lock wait timeout.
        let mut waited = false;
        for connection in 0..self.seats.len() {
            if let Some(record) = self.seats[connection].busy {
                self.await_end(record).await;
                waited = true;
            }
        }
        if waited {
            self.always(plan.steps.len().checked_sub(1)).await;
        }
        Ok(())
    }

    pub(super) fn start(&mut self, number: usize) -> usize {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        let target = match step.action {
            Action::Kill { target, .. } => self.coordinator.session(target),
            _ => None,
        };
        let record = self.history.steps.len();
        self.history.steps.push(StepRecord {
            step: number,
            connection: step.connection,
            text: describe_action(&step.action, &plan),
            started_us: self.coordinator.now_us(),
            ..StepRecord::default()
        });
        if self.one_of_many {
            let timeless = self.known.is_timeless(&plan, number);
            self.track.started(step.connection, number, timeless);
        }
        let seat = &mut self.seats[step.connection];
        seat.busy = Some(record);
        if seat.commands.send(Command::Run { step: number, target }).is_err() {
            seat.busy = None;
            seat.failed = Some("its task has ended".to_owned());
        }
        record
    }

    /// Takes all reports that are there.
    pub(super) fn drain(&mut self) {
        while let Ok(report) = self.inbox.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        let seat = &mut self.seats[report.connection];
        let Some(number) = seat.busy.take() else { return };
        let was_open = seat.transaction.is_open();
        for (sql, outcome) in &report.ran {
            seat.transaction.note(sql, outcome);
        }
        let record = &mut self.history.steps[number];
        let step = &self.plan.steps[record.step];
        if self.one_of_many {
            let ends = ends_something(step, &report, was_open, seat.transaction.is_open());
            self.track.returned(report.connection, ends);
            if ends {
                self.ends.push(number);
            }
        }
        if let Some(last) = report
            .ran
            .last()
            .filter(|_| !matches!(step.action, Action::Kill { .. }))
        {
            record.text = if report.ran.len() == 1 {
                last.0.clone()
            } else {
                report
                    .ran
                    .iter()
                    .map(|(sql, _)| sql.as_str())
                    .collect::<Vec<_>>()
                    .join("; ")
            };
        }
        if record.wait.is_some() {
            self.coordinator
                .enter_at(report.connection, &step.state, report.end.at_us);
        }
        if matches!(step.action, Action::Disconnect | Action::Reconnect) {
            seat.transaction = Transaction::of_session(&self.plan.connections[report.connection].vars);
        }
        let failed = report.end.outcome.is_error() && !step.wants_error();
        if failed {
            let place = self.plan.file.place(step.span.start);
            let name = &self.plan.connections[report.connection].name;
            let got = crate::history::describe(&report.end.outcome);
            seat.failed = Some(format!("{name} failed at line {}: {got}", place.line));
            // Closing its session frees its locks, so that the others go on. Where it stays for the next order,
            // it rolls back instead, before anything else is done.
            if !self.one_of_many {
                let _ = seat.commands.send(Command::Fail);
                seat.transaction = Transaction::default();
            }
        }
        record.end = Some(report.end);
    }

    pub(super) fn is_done(&self, record: usize) -> bool {
        self.history.steps[record].end.is_some()
    }

    /// Takes the next report, or returns at the deadline.
    pub(super) async fn next_report(&mut self, deadline: Instant) {
        if let Ok(Some(report)) = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await {
            self.take(report);
        }
    }

    fn sessions(&self) -> Vec<u64> {
        (0..self.seats.len())
            .filter_map(|number| self.coordinator.session(number))
            .collect()
    }

    pub(super) async fn rows(&mut self, control: ControlId) -> Result<Vec<TrxRow>, Stopped> {
        let sessions = self.sessions();
        match lock_wait::transactions(&mut self.controls[control].connection, &sessions).await {
            Ok(rows) => Ok(rows),
            Err(outcome) => Err(Stopped::ServerLost {
                reason: format!("asking who waits gave {}", crate::history::describe(&outcome)),
            }),
        }
    }

    pub(super) fn row_of<'r>(&self, rows: &'r [TrxRow], connection: usize) -> Option<&'r TrxRow> {
        let session = self.coordinator.session(connection)?;
        rows.iter().find(|row| row.session == session)
    }

    /// Takes note that a statement waits, and, where that is `certain` by itself, of what it says of other orders.
    pub(super) fn believe(&mut self, record: usize, place: Place, candidates: &[usize], certain: bool) {
        let Some(wait) = &self.history.steps[record].wait else {
            return;
        };
        // A user-level lock is waited for up to a time that the statement says itself.
        if self.is_done(record) || classify(&self.statement_text(record)).takes_user_lock() {
            return;
        }
        // Of other waits the server shows too little to be quick about them.
        let shows = matches!(wait.rule, WaitRule::SameLockWaitTwice { .. });
        // Where all who may hold it wait themselves, one of them may be about to go on.
        let held = candidates.iter().any(|own| self.seats[*own].busy.is_none());
        if certain && shows && held {
            self.known.note(place.clone(), Seen::Waits);
        }
        self.beliefs.retain(|belief| belief.record != record);
        self.beliefs.push(Belief {
            record,
            since_us: self.coordinator.now_us(),
            place,
        });
    }

    /// Takes note that a step did not wait.
    pub(super) fn came_back(&self, place: Place) {
        self.known.note(place, Seen::Returns);
    }

    /// Whether somebody was believed to wait who cannot have waited. That is not believed again in that place.
    pub fn is_doubtful(&self) -> bool {
        // What is left of a session that was killed goes when nobody does anything.
        let leaves = |action: &Action| {
            matches!(
                action,
                Action::Kill { .. } | Action::Disconnect | Action::Reconnect
            )
        };
        if self.plan.steps.iter().any(|step| leaves(&step.action)) {
            return false;
        }
        let mut doubtful = false;
        for belief in &self.beliefs {
            if belief.was_wrong(&self.history.steps, &self.ends) {
                tracing::debug!(?belief, "came back by itself");
                self.known.note(belief.place.clone(), Seen::Unsure);
                doubtful = true;
            }
        }
        doubtful
    }

    /// Before each step: every connection that waits must still wait.
    async fn check_waiting(&mut self, number: usize) -> Result<(), Stopped> {
        for connection in 0..self.seats.len() {
            let Some(record) = self.seats[connection].busy else {
                continue;
            };
            let deadline = Instant::now() + RETURN_MAX;
            loop {
                // A lock that was let go of goes to its waiter within milliseconds, which a busy server makes many:
                // the step that let go of it is told from the next one only if the answer is awaited.
                let waiting = self.still_waits(connection, record).await?;
                self.drain();
                if self.is_done(record) || matches!(waiting, Waiting::Held | Waiting::Unknown) {
                    break;
                }
                if Instant::now() >= deadline {
                    if let (Waiting::Gone, Some(wait)) = (waiting, self.history.steps[record].wait.as_mut()) {
                        wait.not_waiting_before.push(number);
                    }
                    break;
                }
                self.next_report(Instant::now() + POLL_EVERY).await;
            }
        }
        Ok(())
    }

    /// A step for a connection that is busy: its statement must end by itself, and may take its time only
    /// if it is expected to end with an error.
    async fn await_free(&mut self, number: usize, connection: usize) -> Result<(), Stopped> {
        let Some(record) = self.seats[connection].busy else {
            return Ok(());
        };
        if !self.plan.steps[self.history.steps[record].step].wants_error() {
            return Err(Stopped::StillBlocked { record, step: number });
        }
        self.await_end(record).await;
        Ok(())
    }

    /// Waits for a step's answer up to its limit, and ends it there.
    pub(super) async fn await_end(&mut self, record: usize) {
        let plan = Arc::clone(&self.plan);
        let timeout = plan.steps[self.history.steps[record].step].timeout;
        let deadline = Instant::now() + timeout;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        if !self.is_done(record) {
            self.end_statement(record, timeout, false).await;
        }
    }

    /// After a step that must end a wait.
    async fn await_release(&mut self, connection: usize, by: usize) -> Result<(), Stopped> {
        let Some(record) = self.seats[connection].busy else {
            return Ok(());
        };
        let timeout = self.plan.steps[self.history.steps[record].step].timeout;
        let began = Instant::now();
        // The locks of a killed session may stay until their time to live ends: its roll-back is killed, too.
        let killed = matches!(
            self.plan.steps[self.history.steps[by].step].action,
            Action::Kill { connection: true, .. }
        );
        let soon = began + if killed { timeout } else { timeout.min(RELEASE_MAX) };
        while !self.is_done(record) && Instant::now() < soon {
            self.next_report(soon).await;
        }
        if self.is_done(record) {
            return Ok(());
        }
        // A lock that is let go of goes to its waiter at once. A schema change takes its time then, and so
        // does a statement that tries again and again; but they are not held back any more.
        let lock_wait = self.history.steps[record]
            .wait
            .as_ref()
            .is_some_and(|wait| matches!(wait.rule, WaitRule::SameLockWaitTwice { .. }));
        if !lock_wait && self.still_waits(connection, record).await? != Waiting::Held {
            let deadline = began + timeout;
            while !self.is_done(record) && Instant::now() < deadline {
                self.next_report(deadline).await;
            }
        }
        if self.is_done(record) {
            Ok(())
        } else {
            Err(Stopped::NotReleased { record, by })
        }
    }

    /// Ends a statement that is over its limit, or would be: by KILL QUERY, and if that does not help by closing
    /// the connection. Whether the statement took effect is unknown.
    pub(super) async fn end_statement(&mut self, record: usize, limit: Duration, in_vain: bool) {
        let connection = self.history.steps[record].connection;
        let name = self.plan.connections[connection].name.as_str();
        tracing::warn!(connection = name, ?limit, "over its limit: KILL QUERY");
        self.coordinator.set_over_limit(connection, true);
        self.kill_query(connection).await;
        let deadline = Instant::now() + KILL_MAX;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let outcome = Outcome::TimedOut { limit_ms, in_vain };
        let name = &self.plan.connections[connection].name;
        let reason = format!("{name}: {}", crate::history::describe(&outcome));
        match self.history.steps[record].end.as_mut() {
            Some(end) => end.outcome = outcome,
            None => {
                let at_us = self.coordinator.now_us();
                let started = self.history.steps[record].started_us;
                self.history.steps[record].end = Some(StepEnd {
                    at_us,
                    took_us: at_us.saturating_sub(started),
                    outcome,
                    statement: 0,
                    warnings: None,
                    plan: None,
                    vars: self.coordinator.vars(),
                    save_problem: None,
                });
                self.seats[connection].busy = None;
                self.discard(connection).await;
            }
        }
        self.seats[connection].failed = Some(reason);
        let _ = self.seats[connection].commands.send(Command::Fail);
    }

    /// Ends a connection whose statement does not end: its session by KILL, its task by force.
    async fn discard(&mut self, connection: usize) {
        let control = self.seats[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control].execute(&format!("kill {session}")).await;
        }
        self.seats[connection].task.abort();
        self.coordinator.set_status(connection, Status::Failed);
    }

    /// Runs `always`, if no statement runs.
    pub(super) async fn always(&mut self, after: Option<usize>) {
        if self.seats.iter().any(|seat| seat.busy.is_some()) {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let main = plan.main_control();
        for (number, one) in plan.finals.iter().enumerate() {
            for (index, query) in one.always.iter().enumerate() {
                let check = CheckId::Always {
                    check: (number, index),
                    after,
                };
                let vars = self.coordinator.vars();
                let record = query_record(&mut self.controls[main], query, check, &vars).await;
                self.history.checks.push(record);
            }
        }
    }

    /// Ends all machines. What still waits is ended by KILL QUERY; what comes of it is no part of the history.
    pub async fn finish(&mut self) {
        self.drain();
        // A KILL of the whole session would do, but it can end the whole server: see `Machine::settle`.
        for connection in 0..self.seats.len() {
            if self.seats[connection].busy.is_some() {
                self.kill_query(connection).await;
            }
        }
        // Locks that are let go of now end waits at once; TiDB looks for a KILL once a second.
        for seat in &self.seats {
            if seat.busy.is_none() && seat.failed.is_none() {
                let _ = seat.commands.send(Command::Finish);
            }
        }
        let deadline = Instant::now() + KILL_MAX;
        while self.seats.iter().any(|seat| seat.busy.is_some()) {
            let report = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await;
            let Ok(Some(report)) = report else { break };
            let seat = &mut self.seats[report.connection];
            seat.busy = None;
            let _ = seat.commands.send(Command::Fail);
        }
        for connection in 0..self.seats.len() {
            if self.seats[connection].busy.take().is_some() {
                // What it answers to its end is of our doing, and no outcome.
                self.discard(connection).await;
            }
        }
        let deadline = tokio::time::Instant::now() + KILL_MAX;
        for connection in 0..self.seats.len() {
            let seat = &mut self.seats[connection];
            let (closed, _) = mpsc::unbounded_channel();
            seat.commands = closed;
            if tokio::time::timeout_at(deadline, &mut seat.task).await.is_err() {
                seat.task.abort();
            }
        }
    }

    /// KILL QUERY of a connection's session.
    async fn kill_query(&mut self, connection: usize) {
        let control = self.seats[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control]
                .execute(&format!("kill query {session}"))
                .await;
        }
    }
}

/// Whether others may see or get something after a step that they could not before, or whether what it saw depends
/// on what others do in transactions that are open. So it is of all but plain statements of a transaction that goes
/// on.
fn ends_something(step: &Step, report: &Report, was_open: bool, is_open: bool) -> bool {
    match step.action {
        Action::Sleep(_) | Action::Nothing => return false,
        Action::Sql(_) | Action::Prepared(..) => {}
        _ => return true,
    }
    let mut open = was_open;
    let mut goes_on = |sql: &str| {
        let statement = classify(sql);
        // With SKIP LOCKED and NOWAIT nobody waits, but what comes of it depends on who came first.
        let lower = sql.to_ascii_lowercase();
        let asks = lower.contains("skip locked") || lower.contains("nowait");
        let plain = match statement.kind {
            Kind::Begin(_) => !std::mem::replace(&mut open, true),
            Kind::Select { .. } | Kind::Dml | Kind::Savepoint | Kind::Sleep => true,
            _ => false,
        };
        plain && !asks && !statement.takes_user_lock() && !statement.changes_whole_server()
    };
    let shares = !step.save.is_empty() || !step.set.is_empty();
    !is_open || shares || report.end.outcome.is_error() || !report.ran.iter().all(|(sql, _)| goes_on(sql))
}
