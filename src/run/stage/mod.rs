//! Databases, sessions and a control connection on which the same steps are run again and again, each time in
//! another order.
//!
//! Between two orders the rows are as the setup left them: where the steps change rows only, by DELETE and
//! INSERT of those tables that differ, and what stands there then is looked at; in new databases otherwise.
//! Sessions stay where a ROLLBACK makes them as good as new, and are opened anew otherwise.

mod changes;
mod tables;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::control::{Control, Controls};
use super::error::TrialError;
use super::known::Known;
use super::order::{Chooser, Taken};
use super::script::{Script, Seat};
use super::trial::{
    RunSettings, connect, control_statement, drop_on, final_checks, global_variables, prepare,
    restore_globals, vars_with_names,
};
use crate::coordinator::Coordinator;
use crate::history::{History, Outcome, RowSet, SqlValue, Vars};
use crate::machine::{Command, Report};
use crate::plan::{ControlId, TrialPlan};
use crate::server::Server;
use crate::sql::{Product, TransactionMode};
use crate::transaction::Transaction;
use changes::{changes_rows_only, sessions_stay};
use tables::{Kept, Table};

/// One run of the steps in an order.
#[derive(Debug)]
pub struct Ran {
    /// The steps as they were started.
    pub taken: Vec<Taken>,
    /// Whether it was run to its end.
    pub complete: bool,
    /// Whether somebody was believed to wait who cannot have waited, so that another connection may have been kept
    /// from going on: it is to be run again.
    pub doubtful: bool,
    /// What happened.
    pub history: History,
}

/// Where orders are run one after another.
pub struct Stage {
    plan: Arc<TrialPlan>,
    settings: RunSettings,
    controls: Controls,
    coordinator: Arc<Coordinator>,
    seats: Vec<Seat>,
    inbox: Option<mpsc::UnboundedReceiver<Report>>,
    vars: Vars,
    /// The tables, in the order of their databases and names.
    tables: Vec<Table>,
    /// Whether steps may make tables and drop them, so that each order may leave others.
    tables_change: bool,
    /// Whether a foreign key ties tables to each other.
    tied: bool,
    only_tables: bool,
    /// The tables as the setup left them, where they can be put back.
    kept: Option<Vec<Kept>>,
    /// What each table holds now, where that is known.
    now: Vec<Option<Vec<Vec<SqlValue>>>>,
    reopen: bool,
    fresh: bool,
    server_name: (String, Product),
    /// The server's variables before the setup, where the trial may change them.
    globals: Option<Vec<(String, SqlValue)>>,
    /// What orders have shown of who waits.
    known: Arc<Known>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("database", &self.settings.database)
            .finish_non_exhaustive()
    }
}

impl Stage {
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
        let coordinator = coordinator(&plan, Vars::new());
        let server_name = (server.title(), server.product());
        let mut stage = Self {
            reopen: !sessions_stay(&plan),
            tables_change: !changes_rows_only(&plan),
            plan,
            settings,
            controls,
            coordinator,
            seats: Vec::new(),
            inbox: None,
            vars: Vars::new(),
            tables: Vec::new(),
            tied: false,
            only_tables: false,
            kept: None,
            now: Vec::new(),
            fresh: true,
            server_name,
            globals: None,
            known: Arc::default(),
        };
        match stage.begin().await {
            Ok(()) => Ok(stage),
            Err(error) => {
                stage.close().await;
                Err(error)
            }
        }
    }

    /// Shares with other stages of the same plan what their orders show of who waits.
    pub(crate) fn share(&mut self, known: &Arc<Known>) {
        self.known = Arc::clone(known);
    }

    /// The names of the tables that the setup has made, in the trial's database and in those of further ones.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }

    /// Whether the tables of one database are all that statements can touch: no views, no sequences, nothing of
    /// another database or server.
    #[must_use]
    pub fn has_only_tables(&self) -> bool {
        self.only_tables
    }

    /// Whether a foreign key ties tables to each other, so that a statement touches more than it names.
    #[must_use]
    pub fn is_tied(&self) -> bool {
        self.tied
    }

    /// What the server begins transactions with, where that is known.
    pub(crate) fn txn_mode(&self) -> Option<TransactionMode> {
        self.controls[ControlId::default()].txn_mode
    }

    /// Whether rows are put back between two orders, rather than databases made anew.
    #[must_use]
    pub fn puts_back(&self) -> bool {
        self.kept.is_some()
    }

    fn main(&mut self) -> &mut Control {
        let main = self.plan.main_control();
        &mut self.controls[main]
    }

    async fn begin(&mut self) -> Result<(), TrialError> {
        if self.plan.serial {
            self.globals = Some(global_variables(self.main()).await);
        }
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        self.look_at_tables().await?;
        for control in self.controls.iter_mut() {
            control.ask_txn_mode().await;
            control.ask_patience().await;
        }
        self.sit_down().await
    }

    async fn ask(&mut self, sql: &str) -> Result<RowSet, TrialError> {
        match self.main().execute(sql).await {
            Outcome::Rows(set) => Ok(set),
            other => {
                let got = crate::history::describe(&other);
                Err(TrialError::new(format!("`{sql}` gave {got}")))
            }
        }
    }

    /// Opens the sessions.
    async fn sit_down(&mut self) -> Result<(), TrialError> {
        self.coordinator = coordinator(&self.plan, self.vars.clone());
        let machines = connect(&self.plan, &self.coordinator, &self.controls, &self.settings).await?;
        let (reports, inbox) = mpsc::unbounded_channel::<Report>();
        let mut script = Script::new(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            inbox,
        );
        for machine in machines {
            script.start_machine(machine, reports.clone());
        }
        let (_, inbox, seats) = script.put_down();
        (self.inbox, self.seats) = (Some(inbox), seats);
        Ok(())
    }

    /// Runs the steps once more, in the order that the chooser says, without those in `skip`.
    ///
    /// # Errors
    /// [`TrialError`] where the stage cannot be made ready for it.
    pub async fn run(&mut self, chooser: &mut dyn Chooser, skip: &[usize]) -> Result<Ran, TrialError> {
        if !self.fresh {
            self.make_ready().await?;
        }
        self.fresh = false;
        self.coordinator.begin_again(self.vars.clone());
        let began = Instant::now();
        let limit = self.plan.timeout;
        let Some(mut script) = self.take_up() else {
            return Err(TrialError::new("the stage has no connections"));
        };
        let followed = tokio::time::timeout(limit, script.follow_order(chooser, skip)).await;
        let complete = followed.unwrap_or_else(|_| {
            script.over_time(limit);
            true
        });
        let taken = std::mem::take(&mut script.taken);
        let doubtful = script.is_doubtful();
        let (history, inbox, seats) = script.put_down();
        (self.inbox, self.seats) = (Some(inbox), seats);
        let mut history = history;
        (history.server, history.product) = self.server_name.clone();
        history.database.clone_from(&self.settings.database);
        // What was cut short has been read by nobody.
        self.now = vec![None; self.tables.len()];
        if complete && history.stopped.is_none() {
            self.refresh_sessions().await;
            if self.tables_change {
                self.find_tables().await?;
            }
            self.read_tables(&mut history).await;
            let main = self.plan.main_control();
            let plan = Arc::clone(&self.plan);
            final_checks(&plan, &mut self.controls[main], &mut history).await;
        }
        history.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(Ran {
            taken,
            complete,
            doubtful,
            history,
        })
    }

    /// Ends the transactions that are open, so that what they did not commit is gone.
    async fn refresh_sessions(&mut self) -> bool {
        let mut told = Vec::new();
        let mut asked = 0;
        for seat in &mut self.seats {
            // Where nothing is open there is nothing to roll back; whoever failed has rolled back already, and is
            // asked again, since its session may be gone.
            let nothing = seat.transaction.is_closed() && seat.failed.is_none() && !self.reopen;
            seat.busy = None;
            seat.failed = None;
            seat.transaction = Transaction::default();
            if nothing {
                continue;
            }
            asked += 1;
            let (done, ready) = tokio::sync::oneshot::channel();
            let reopen = self.reopen;
            if seat.commands.send(Command::Refresh { reopen, done }).is_ok() {
                told.push(ready);
            }
        }
        let mut all = told.len() == asked;
        for ready in told {
            all &= ready.await.unwrap_or(false);
        }
        for (number, seat) in self.seats.iter_mut().enumerate() {
            let own = self.plan.connections.get(number);
            seat.transaction = Transaction::of_session(own.map_or(&[][..], |own| own.vars.as_slice()));
        }
        all
    }

    /// Makes everything as it was after the setup.
    async fn make_ready(&mut self) -> Result<(), TrialError> {
        let busy = self.seats.iter().any(|seat| seat.busy.is_some());
        let ended = self.seats.iter().any(|seat| seat.task.is_finished());
        let unknown = self.now.iter().any(Option::is_none);
        if busy || ended {
            // What is still under way on these sessions must not reach into the next order.
            self.stand_up().await;
            return self.begin_anew().await;
        }
        if self.kept.is_none() || unknown {
            self.refresh_sessions().await;
            if self.kept.is_none() {
                self.stand_up().await;
                return self.begin_anew().await;
            }
            let mut history = History::default();
            self.read_tables(&mut history).await;
        }
        if self.put_back().await? {
            return Ok(());
        }
        tracing::debug!("the rows that were put back are not the same: new databases from now on");
        self.kept = None;
        self.stand_up().await;
        self.begin_anew().await
    }

    async fn begin_anew(&mut self) -> Result<(), TrialError> {
        self.restore_globals().await;
        for control in self.controls.iter_mut() {
            drop_on(control, &self.plan, &self.settings).await;
        }
        let puts_back = self.kept.is_some();
        self.vars = prepare(&self.plan, &mut self.controls, &self.settings).await?;
        if puts_back {
            self.look_at_tables().await?;
        } else {
            self.now = vec![None; self.tables.len()];
        }
        self.sit_down().await
    }

    async fn restore_globals(&mut self) {
        if let Some(before) = self.globals.clone() {
            restore_globals(self.main(), &before).await;
        }
    }

    /// Closes the sessions. What still waits is ended by KILL QUERY.
    async fn stand_up(&mut self) {
        if let Some(mut script) = self.take_up() {
            script.finish().await;
        }
    }

    /// A script with the sessions, if there are any.
    fn take_up(&mut self) -> Option<Script<'_>> {
        Some(Script::take_up(
            Arc::clone(&self.plan),
            Arc::clone(&self.coordinator),
            &mut self.controls,
            self.inbox.take()?,
            std::mem::take(&mut self.seats),
            Arc::clone(&self.known),
        ))
    }

    /// Runs the teardown and drops the databases, unless they are to be left.
    pub async fn close(mut self) {
        self.stand_up().await;
        let main = self.plan.main_control();
        let vars = vars_with_names(&self.plan, &self.settings);
        for statement in &self.plan.teardown {
            if let Err(error) = control_statement(&mut self.controls[main], statement, &vars).await {
                tracing::warn!(error = error.message, "teardown");
            }
        }
        self.restore_globals().await;
        if !self.settings.keep_databases {
            drop_on(self.controls.shared(), &self.plan, &self.settings).await;
        }
        self.controls.close().await;
    }
}

fn coordinator(plan: &TrialPlan, vars: Vars) -> Arc<Coordinator> {
    let names = plan.connections.iter().map(|connection| connection.name.as_str());
    Arc::new(Coordinator::new(names, vars))
}
