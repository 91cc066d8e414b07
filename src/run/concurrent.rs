//! Drives concurrent connections: one task for each, and this one, which has the control connection. It
//! ends statements that are over their limit, sees who is blocked, asks `always` while nothing runs, and ends
//! all of it at the trial's limit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::Instrument as _;

use super::always::Always;
use super::control::Controls;
use super::limits::{HEALTH_EVERY, SLOW, WATCHED_EVERY};
use super::live::Live;
use crate::connection::{KILL_MAX, sessions_there};
use crate::coordinator::Coordinator;
use crate::history::{History, Outcome, SqlValue, Stopped, Wait, WaitRule};
use crate::lock_wait::{self, LockView, SchemaWait};
use crate::machine::{ConcurrentMachine, KillRequest, MachineEnv, Worker};
use crate::plan::{Action, ControlId, TrialPlan, Watch};
use crate::sql::Product;

pub(super) struct ConcurrentRun<'c> {
    plan: Arc<TrialPlan>,
    coordinator: Arc<Coordinator>,
    controls: &'c mut Controls,
    live: Option<Live>,
    always: Always,
    stopped: Option<Stopped>,
    /// When the sessions of resting connections were looked for last.
    checked: Instant,
}

impl<'c> ConcurrentRun<'c> {
    pub fn new(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut Controls,
        live: Option<Live>,
    ) -> Self {
        Self {
            always: Always::new(&plan, &coordinator),
            plan,
            coordinator,
            controls,
            live,
            stopped: None,
            checked: Instant::now(),
        }
    }

    /// Runs all machines to their ends, and tells what happened.
    pub async fn run(mut self, workers: Vec<Worker>) -> History {
        self.follow(workers).await;
        let (checks, always) = self.always.into_parts();
        History {
            checks,
            always,
            stopped: self.stopped,
            ..self.coordinator.take_history()
        }
    }

    async fn follow(&mut self, workers: Vec<Worker>) {
        let deadline = Instant::now() + self.plan.timeout;
        self.always.ask_all(self.controls).await;
        let newest = self.newest_schema_change().await;
        let (kills, mut requests) = mpsc::channel(workers.len().max(1));
        let env = MachineEnv {
            kills,
            gate: self.always.gate(),
        };
        let mut tasks = JoinSet::new();
        let mut numbers: BTreeMap<Id, usize> = BTreeMap::new();
        for mut worker in workers {
            worker.followed_ddl = newest;
            let number = worker.number;
            // A task of its own has no span around it, so the scenario's is handed on.
            let span = tracing::info_span!("connection", connection = %worker.config.id);
            let machine = ConcurrentMachine::new(worker, env.clone());
            let task = tasks.spawn(machine.run().instrument(span));
            numbers.insert(task.id(), number);
        }
        drop(env);
        let mut look = tokio::time::interval(WATCHED_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = tasks.join_next_with_id() => match ended {
                    None => break,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => self.broke(&numbers, &error),
                },
                Some(request) = requests.recv() => self.kill(request).await,
                due = self.always.next() => self.always.look(due, self.controls).await,
                _ = look.tick() => {
                    self.look().await;
                    self.check_health().await;
                    self.show(false);
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    self.over_time(&mut tasks, &mut requests, &numbers).await;
                    break;
                }
            }
        }
        if self.stopped.is_none() {
            self.always.ask_all(self.controls).await;
        }
        self.show(true);
    }

    /// A task that ended by a panic: a mistake of ours, or of a handler.
    fn broke(&self, numbers: &BTreeMap<Id, usize>, error: &JoinError) {
        let Some(number) = numbers.get(&error.id()) else {
            return;
        };
        self.coordinator
            .end(*number, Some(format!("its task broke: {error}")));
    }

    fn show(&self, ended: bool) {
        if let Some(live) = &self.live {
            live.show(&self.plan.name, &self.coordinator, ended);
        }
    }

    /// Looks whether the sessions of connections that rest are still there: a server that went away, or a
    /// KILL, is told by no statement of theirs.
    async fn check_health(&mut self) {
        if self.checked.elapsed() < HEALTH_EVERY {
            return;
        }
        self.checked = Instant::now();
        for control in self.controls.ids() {
            let resting: Vec<usize> = self.coordinator.resting();
            let resting = resting
                .into_iter()
                .filter(|number| self.plan.control_of(*number) == control);
            let sessions: Vec<(usize, u64)> = resting
                .filter_map(|number| Some((number, self.coordinator.session(number)?)))
                .collect();
            if sessions.is_empty() {
                continue;
            }
            let ids: Vec<u64> = sessions.iter().map(|(_, session)| *session).collect();
            // That the server itself is gone is told by whoever asks it something next.
            let Some(there) = sessions_there(&mut self.controls[control].connection, &ids).await else {
                continue;
            };
            for (number, session) in sessions {
                if !there.contains(&session) {
                    self.coordinator.note_gone(number, session);
                }
            }
        }
    }

    /// The number of the server's newest schema change, where a state follows those of a table.
    async fn newest_schema_change(&mut self) -> Option<i128> {
        let follows = |action: &Action| matches!(action, Action::Watch(Watch::DdlOf(_)));
        if !self.plan.steps.iter().any(|step| follows(&step.action)) {
            return None;
        }
        let main = self.plan.main_control();
        let Outcome::Rows(set) = self.controls[main].execute("admin show ddl jobs 1").await else {
            return None;
        };
        let numbers = set.rows.iter().filter_map(|row| match row.first() {
            Some(SqlValue::Int(number)) => Some(*number),
            _ => None,
        });
        numbers.max()
    }

    /// Looks who is blocked, where a statement has not returned for some time.
    async fn look(&mut self) {
        let slow = self.coordinator.slow(SLOW);
        let mut by_control: BTreeMap<ControlId, Vec<usize>> = BTreeMap::new();
        for connection in slow.keys() {
            by_control
                .entry(self.plan.control_of(*connection))
                .or_default()
                .push(*connection);
        }
        let mut blocked = BTreeSet::new();
        for (control, connections) in by_control {
            let sessions: Vec<(usize, u64)> = connections
                .into_iter()
                .filter_map(|number| Some((number, self.coordinator.session(number)?)))
                .collect();
            let ids: Vec<u64> = sessions.iter().map(|(_, session)| *session).collect();
            // A server that is gone is told by every statement that it leaves without an answer.
            let Ok(view) = LockView::ask(&mut self.controls[control].connection, &ids).await else {
                continue;
            };
            let sessions = sessions.into_iter();
            let held = sessions.filter(|(_, session)| view.holder_of(*session).is_some());
            blocked.extend(held.map(|(number, _)| number));
        }
        self.coordinator.set_blocked(blocked);
    }

    /// Ends a statement that is over its limit, and writes down whom it waits for.
    async fn kill(&mut self, request: KillRequest) {
        let control = self.plan.control_of(request.connection);
        if let Some(session) = self.coordinator.session(request.connection) {
            if !request.session {
                self.note_wait(control, &request, session).await;
            }
            let what = if request.session { "kill" } else { "kill query" };
            tracing::warn!(connection = request.connection, "over its limit: {what}");
            self.controls[control].execute(&format!("{what} {session}")).await;
        }
        // Whoever asked may be gone by now.
        let _ = request.done.send(());
    }

    async fn note_wait(&mut self, control: ControlId, request: &KillRequest, session: u64) {
        let count = self.plan.connections.len();
        let sessions: Vec<Option<u64>> = (0..count)
            .map(|number| self.coordinator.session(number))
            .collect();
        let ids: Vec<u64> = sessions.iter().flatten().copied().collect();
        let Ok(view) = LockView::ask(&mut self.controls[control].connection, &ids).await else {
            return;
        };
        let connection = &mut self.controls[control].connection;
        let (rule, holding, key) = if let Some(holder) = view.holder_of(session) {
            let rule = match connection.product() {
                Product::TiDb => WaitRule::RowLock,
                Product::MariaDb | Product::MySql => WaitRule::InnoDb,
            };
            (rule, holder.session.into_iter().collect(), holder.key)
        } else {
            match lock_wait::schema_wait(connection, session).await {
                Some(SchemaWait::Sessions(holding)) => (WaitRule::MetadataLock, holding, String::new()),
                Some(SchemaWait::Queue(holding)) => (WaitRule::SchemaChange, holding, String::new()),
                None => return,
            }
        };
        let holds = |number: &usize| sessions[*number].is_some_and(|own| holding.contains(&own));
        let wait = Wait {
            seen_us: self.coordinator.now_us(),
            rule,
            holders: (0..sessions.len()).filter(holds).collect(),
            key: Some(key).filter(|key| !key.is_empty()),
            released_by: None,
            not_waiting_before: Vec::new(),
        };
        self.coordinator
            .change_step(request.record, |record| record.wait = Some(wait));
    }

    /// The trial's limit: what still runs is ended by KILL QUERY, what still waits where it waits.
    async fn over_time(
        &mut self,
        tasks: &mut JoinSet<()>,
        requests: &mut mpsc::Receiver<KillRequest>,
        numbers: &BTreeMap<Id, usize>,
    ) {
        let limit_ms = u64::try_from(self.plan.timeout.as_millis()).unwrap_or(u64::MAX);
        self.stopped = Some(Stopped::OverTime { limit_ms });
        self.coordinator.note_whereabouts();
        let running = self.coordinator.slow(Duration::ZERO);
        let running: Vec<usize> = running.into_keys().collect();
        for connection in &running {
            let control = self.plan.control_of(*connection);
            if let Some(session) = self.coordinator.session(*connection) {
                self.controls[control]
                    .execute(&format!("kill query {session}"))
                    .await;
            }
        }
        self.coordinator.end_all_waits();
        self.always.stop();
        let deadline = tokio::time::Instant::now() + KILL_MAX;
        loop {
            tokio::select! {
                ended = tasks.join_next_with_id() => match ended {
                    None => break,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => self.broke(numbers, &error),
                },
                Some(request) = requests.recv() => self.kill(request).await,
                () = tokio::time::sleep_until(deadline) => {
                    tasks.shutdown().await;
                    break;
                }
            }
        }
    }
}
