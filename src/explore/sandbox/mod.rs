//! Databases, sessions and a control connection of their own, on which the same steps are run again and again, each
//! time in another order.
//!
//! Between two schedules the rows are as the setup left them: where the steps change rows only, by DELETE and
//! INSERT of those tables that differ, and what stands there then is looked at; in new databases otherwise.
//! Sessions stay where a ROLLBACK makes them as good as new, and are opened anew otherwise.

mod changes;
mod tables;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::interleaving::Interleaving;
use super::scheduler::{ScheduledStep, Scheduler};
use super::starvation::Starvation;
use crate::coordinator::Coordinator;
use crate::history::{FailedTeardown, History, Vars};
use crate::machine::{Command, Report};
use crate::plan::{ControlId, TrialPlan};
use crate::run::{
    Controls, Driver, OnFailure, RunSettings, SessionSlot, TrialError, connect, drop_on, final_checks,
    only_reads, prepare, server_scope, tear_down, vars_with_names,
};
use crate::server::Server;
use crate::server_state::{Left, ServerState};
use crate::sql::{Product, TransactionMode};
use changes::{changes_rows_only, names_row_ids, reads_the_past, sessions_stay};
use tables::Tables;

/// One run of the steps in an order.
#[derive(Debug)]
pub struct Execution {
    /// The steps as they were started.
    pub scheduled: Vec<ScheduledStep>,
    /// Whether it was run to its end.
    pub complete: bool,
    /// What happened.
    pub history: History,
}

/// Where schedules are run one after another.
pub struct Sandbox {
    plan: Arc<TrialPlan>,
    settings: RunSettings,
    controls: Controls,
    coordinator: Arc<Coordinator>,
    sessions: Vec<SessionSlot>,
    inbox: Option<mpsc::UnboundedReceiver<Report>>,
    vars: Vars,
    tables: Tables,
    /// Whether steps may make tables and drop them, so that each schedule may leave others.
    tables_change: bool,
    /// Whether sessions are opened anew for each schedule.
    reopen: bool,
    /// Whether nothing has been run since the setup.
    fresh: bool,
    server_name: (String, Product),
    /// The run's server before the setup, where the trial changes more of it than its databases.
    server_state: Option<ServerState>,
    starvation: Starvation,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("database", &self.settings.database)
            .finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes the databases, runs the setup and opens the sessions.
    ///
    /// # Errors
    /// [`TrialError`] where one of that does not work; nothing is left behind then.
    pub async fn open(
        plan: Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
        settings: RunSettings,
    ) -> Result<Self, TrialError> {
        let controls = Controls::open(server, own).await?;
        let mut sandbox = Self {
            reopen: !sessions_stay(&plan),
            tables_change: !changes_rows_only(&plan) || names_row_ids(&plan) || reads_the_past(&plan),
            tables: Tables::new(&plan, &settings.database),
            coordinator: coordinator(&plan, Vars::new()),
            plan,
            settings,
            controls,
            sessions: Vec::new(),
            inbox: None,
            vars: Vars::new(),
            fresh: true,
            server_name: (server.title(), server.product()),
            server_state: None,
            starvation: Starvation::default(),
        };
        match sandbox.begin().await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                sandbox.close().await;
                Err(error)
            }
        }
    }

    /// The names of the tables that the setup has made, in the trial's database and in those of further ones.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        self.tables.names()
    }

    /// Whether the tables of one database are all that statements can touch: no views, no sequences, nothing of
    /// another database or server.
    #[must_use]
    pub fn has_only_tables(&self) -> bool {
        self.tables.are_all()
    }

    /// Whether a foreign key ties tables to each other, so that a statement touches more than it names.
    #[must_use]
    pub fn is_tied(&self) -> bool {
        self.tables.are_tied()
    }

    /// Tables that take the time into their rows by themselves.
    #[must_use]
    pub fn timed(&self) -> Vec<String> {
        self.tables.timed().to_vec()
    }

    /// What the server begins transactions with, where that is known.
    pub(super) fn txn_mode(&self) -> Option<TransactionMode> {
        self.controls[ControlId::default()].txn_mode
    }

    /// Whether rows are put back between two schedules, rather than databases made anew.
    #[must_use]
    pub fn restores(&self) -> bool {
        self.tables.has_snapshot()
    }

    async fn begin(&mut self) -> Result<(), TrialError> {
        let main = self.plan.main_control();
        if let Some(scope) = server_scope(&self.plan) {
            let read = ServerState::read(&mut self.controls.shared().connection, &scope).await;
            self.server_state = Some(read.map_err(TrialError::new)?);
        }
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        let keep = !self.tables_change;
        self.tables.look(&mut self.controls[main], keep).await?;
        for control in self.controls.iter_mut() {
            control.ask_txn_mode().await;
        }
        self.starvation = Starvation::find(&self.plan, &mut self.controls).await;
        self.open_sessions().await
    }

    async fn open_sessions(&mut self) -> Result<(), TrialError> {
        self.coordinator = coordinator(&self.plan, self.vars.clone());
        let workers = connect(&self.plan, &self.coordinator, &self.controls, &self.settings).await?;
        let (reports, inbox) = mpsc::unbounded_channel::<Report>();
        let mut driver = Driver::new(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
            OnFailure::Keep,
        );
        for worker in workers {
            driver.attach(worker, reports.clone());
        }
        let (_, inbox, sessions) = driver.into_parts();
        (self.inbox, self.sessions) = (Some(inbox), sessions);
        Ok(())
    }

    /// Runs the steps once more, in the order that the scheduler says, without those in `skip`.
    ///
    /// # Errors
    /// [`TrialError`] where the sandbox cannot be made ready for it.
    pub async fn run(
        &mut self,
        scheduler: &mut dyn Scheduler,
        skip: &[usize],
    ) -> Result<Execution, TrialError> {
        if !self.fresh {
            self.make_ready().await?;
        }
        self.fresh = false;
        self.coordinator.begin_again(self.vars.clone());
        let began = Instant::now();
        let Some(mut execution) = self.interleaved(scheduler, skip).await else {
            return Err(TrialError::new("the sandbox has no connections"));
        };
        let history = &mut execution.history;
        (history.server, history.product) = self.server_name.clone();
        history.database.clone_from(&self.settings.database);
        // What was cut short has been read by nobody.
        self.tables.forget();
        if execution.complete && history.stopped.is_none() {
            self.refresh_sessions().await;
            let main = &mut self.controls[self.plan.main_control()];
            if self.tables_change {
                self.tables.find(main).await?;
            }
            self.tables.read(main, history).await;
            final_checks(&self.plan, main, history).await;
            if !self
                .plan
                .all_finals()
                .flat_map(|one| &one.queries)
                .all(only_reads)
            {
                // What a query changes must not reach into the next schedule.
                self.tables.forget();
            }
        }
        history.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(execution)
    }

    /// The steps in one schedule; nothing, where there are no sessions.
    async fn interleaved(&mut self, scheduler: &mut dyn Scheduler, skip: &[usize]) -> Option<Execution> {
        let limit = self.plan.timeout;
        let driver = Driver::new(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            self.inbox.take()?,
            OnFailure::Keep,
        );
        let driver = driver.resume_with(std::mem::take(&mut self.sessions));
        let mut interleaving = Interleaving::new(driver, &self.starvation);
        let run = tokio::time::timeout(limit, interleaving.run(scheduler, skip)).await;
        let complete = run.unwrap_or_else(|_| {
            interleaving.driver.over_time(limit);
            true
        });
        let scheduled = interleaving.scheduled;
        let (history, inbox, sessions) = interleaving.driver.into_parts();
        (self.inbox, self.sessions) = (Some(inbox), sessions);
        Some(Execution {
            scheduled,
            complete,
            history,
        })
    }

    /// Ends the transactions that are open, so that what they did not commit is gone.
    async fn refresh_sessions(&mut self) {
        let mut told = Vec::new();
        for slot in &mut self.sessions {
            // Where nothing is open there is nothing to roll back; whoever failed has rolled back already, and is
            // asked again, since its session may be gone.
            let nothing = slot.transaction.is_closed() && slot.failed.is_none() && !self.reopen;
            slot.running = None;
            slot.failed = None;
            if nothing {
                continue;
            }
            let (done, ready) = tokio::sync::oneshot::channel();
            let reopen = self.reopen;
            if slot.commands.send(Command::Refresh { reopen, done }).is_ok() {
                told.push(ready);
            }
        }
        for ready in told {
            // A session that is not ready is found by the next schedule, which gets another one.
            let _ = ready.await;
        }
        for (number, slot) in self.sessions.iter_mut().enumerate() {
            let own = self.plan.connections.get(number);
            slot.transaction
                .in_new_session(own.map_or(&[][..], |own| own.vars.as_slice()));
        }
    }

    /// Makes everything as it was after the setup.
    async fn make_ready(&mut self) -> Result<(), TrialError> {
        let running = self.sessions.iter().any(|slot| slot.running.is_some());
        let ended = self.sessions.iter().any(|slot| slot.task.is_finished());
        if running || ended {
            // What is still under way on these sessions must not reach into the next schedule.
            return self.begin_anew().await;
        }
        if !self.tables.has_snapshot() || !self.tables.are_known() {
            self.refresh_sessions().await;
            if !self.tables.has_snapshot() {
                return self.begin_anew().await;
            }
            let mut history = History::default();
            let main = &mut self.controls[self.plan.main_control()];
            self.tables.read(main, &mut history).await;
        }
        if self
            .tables
            .put_back(&mut self.controls[self.plan.main_control()])
            .await?
        {
            return Ok(());
        }
        tracing::debug!("the rows that were put back are not the same: new databases from now on");
        self.tables.drop_snapshot();
        self.begin_anew().await
    }

    /// New databases and sessions.
    async fn begin_anew(&mut self) -> Result<(), TrialError> {
        self.close_sessions().await;
        self.set_server_back().await?;
        for control in self.controls.iter_mut() {
            drop_on(control, &self.plan, &self.settings).await;
        }
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        if self.tables.has_snapshot() {
            let main = &mut self.controls[self.plan.main_control()];
            self.tables.look(main, !self.tables_change).await?;
        } else {
            self.tables.forget();
        }
        self.open_sessions().await
    }

    /// Makes of the run's server what it was before the setup.
    async fn set_server_back(&mut self) -> Result<(), TrialError> {
        let Some(state) = &self.server_state else {
            return Ok(());
        };
        let (_, left) = state.set_back(&mut self.controls.shared().connection).await;
        match left.first() {
            None => Ok(()),
            Some(Left { message, reason, .. }) => Err(TrialError::new(format!("{message}: {reason}"))),
        }
    }

    /// Closes the sessions. What is still blocked is ended by KILL QUERY.
    async fn close_sessions(&mut self) {
        let Some(inbox) = self.inbox.take() else { return };
        let driver = Driver::new(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
            OnFailure::Keep,
        );
        let mut driver = driver.resume_with(std::mem::take(&mut self.sessions));
        driver.finish().await;
    }

    /// Runs the teardown and drops the databases, unless they are to be left; returns what failed of the teardown.
    pub async fn close(mut self) -> Vec<FailedTeardown> {
        self.close_sessions().await;
        let main = self.plan.main_control();
        let vars = vars_with_names(&self.plan, &self.settings);
        let failed = tear_down(&self.plan, &mut self.controls[main], &vars).await;
        if !self.settings.keep_databases {
            drop_on(self.controls.shared(), &self.plan, &self.settings).await;
        }
        self.controls.close().await;
        failed
    }
}

fn coordinator(plan: &TrialPlan, vars: Vars) -> Arc<Coordinator> {
    let names = plan.connections.iter().map(|connection| connection.name.as_str());
    Arc::new(Coordinator::new(names, vars).with_owners(plan.owners.clone()))
}
