//! Runs single trials on the run's server or on servers of their own, and judges them.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::FutureExt as _;

use super::kept;
use super::lists::Lists;
use super::requires;
use super::server_log::{log_for, log_of_gone};
use super::servers::{Servers, with_causes};
use super::turn::{claim_of, turn_on};
use super::undo::Undo;
use crate::explore::{ExploreSettings, Explored, SANDBOXES, explore};
use crate::history::{History, ServerLeft};
use crate::plan::{Mode, TrialPlan};
use crate::run::{Hold, Live, RunSettings, TrialError, drop_databases, run};
use crate::server::{ProviderKind, Server, ServerSettings, ServerSpec, Store, engine_answers};
use crate::server_state::Left;
use crate::verdict::{Verdict, judge};
use crate::workload::Worked;

/// How long a shorter order that fails as well is looked for.
const SHRINK_MAX: Duration = Duration::from_secs(5);
/// Runs trials one by one, as the harness does, for callers that want the history and the verdict rather
/// than a line of libtest. The server is started with the first trial; trials that are `serial` run alone.
#[derive(Debug, Clone)]
pub struct Runner {
    pub(super) servers: Arc<Servers>,
    pub(super) keep_databases: bool,
    timestamps: bool,
    live: Option<Live>,
    /// Set where no more orders are to be begun.
    pub(super) stop: Arc<AtomicBool>,
    /// What listed orders have come to.
    lists: Arc<Lists>,
    /// Drop the databases of trials that pass on servers of ours, too.
    pub(super) drops: bool,
    hold: Option<Hold>,
    /// The folder that takes the histories of workloads; without it those of trials that fail are kept elsewhere.
    pub(super) histories: Option<PathBuf>,
}

/// What became of a trial.
#[derive(Debug)]
pub enum Ended {
    /// It was not run: the server does not have what it requires.
    Ignored(String),
    /// It was run, and this is what came of it.
    Judged(Box<Judged>),
}

/// A trial that was run.
#[derive(Debug)]
pub struct Judged {
    /// What happened.
    pub history: History,
    /// Whether it is what the file says.
    pub verdict: Verdict,
    /// What all orders came to, where it was run in many; the history is that of one that fails.
    pub explored: Option<Box<Explored>>,
    /// What a workload came to, where it is one.
    pub workload: Option<Box<Worked>>,
    /// The end of the server's log, where the server is to blame.
    pub server_log: Option<String>,
    /// What is left to look at, where it failed and that was asked for.
    pub left: Option<kept::Left>,
}

/// Trouble of ours, not of TiDB: the trial could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// There is no server to run it on.
    #[error("{0}")]
    NoServer(String),
    /// Something before the first step did not work.
    #[error("the trial could not be run: {}", .error.message)]
    NotRun {
        /// What was tried.
        error: TrialError,
        /// The end of the server's log, if the server is gone.
        server_log: Option<String>,
        /// What is left to look at, where that was asked for.
        left: Option<Box<kept::Left>>,
    },
}

impl Runner {
    /// A runner that gets its server as these settings say.
    #[must_use]
    pub fn new(settings: ServerSettings) -> Self {
        let servers = Arc::new(Servers::new(settings));
        Self {
            servers,
            keep_databases: false,
            timestamps: false,
            live: None,
            stop: Arc::default(),
            lists: Arc::default(),
            drops: false,
            hold: None,
            histories: None,
        }
    }

    /// Drops the databases of trials that pass even on a server that ends with the run: of thousands of tries they would
    /// fill its memory.
    #[must_use]
    pub fn drop_databases(self, drops: bool) -> Self {
        Self { drops, ..self }
    }

    /// Keeps the databases of trials that fail, on a server that stays.
    #[must_use]
    pub fn keep_databases(self, keep_databases: bool) -> Self {
        Self {
            keep_databases,
            ..self
        }
    }

    /// Asks the sessions for TiDB's timestamps after each statement, for the history.
    #[must_use]
    pub fn timestamps(self, timestamps: bool) -> Self {
        Self { timestamps, ..self }
    }

    /// Writes the histories of workloads into this folder.
    #[must_use]
    pub fn histories(self, histories: Option<PathBuf>) -> Self {
        Self { histories, ..self }
    }

    /// Shows the status of concurrent connections while they run.
    #[must_use]
    pub fn live(self, live: Option<Live>) -> Self {
        Self { live, ..self }
    }

    /// Holds trials that fail.
    #[must_use]
    pub fn hold(self, hold: Option<Hold>) -> Self {
        Self { hold, ..self }
    }

    /// Whether trials that fail are held.
    pub(super) fn holds(&self) -> bool {
        self.hold.is_some()
    }

    /// Runs one trial and judges it. Its databases are dropped, except those of a trial that fails where
    /// [`Self::keep_databases`] says so.
    ///
    /// # Errors
    /// [`Trouble`] where it could not be run.
    pub async fn run(&self, plan: &Arc<TrialPlan>) -> Result<Ended, Trouble> {
        self.run_try(plan, 1, 1).await
    }

    /// The same for a try, whose history has a file of its own. The orders of a list belong together within one round.
    pub(super) async fn run_try(
        &self,
        plan: &Arc<TrialPlan>,
        number: u64,
        round: u64,
    ) -> Result<Ended, Trouble> {
        let judged = async |server: &Server, own: &[Server]| {
            let judged = match plan.mode {
                Mode::Explored(_) => self.judged_orders(plan, server, own, round).await,
                Mode::Scripted | Mode::Concurrent(_) => self.judged(plan, server, own).await,
                Mode::Workload(_) => self.judged_workload(plan, server, own, number).await,
            };
            judged.map(Ended::Judged)
        };
        let passed = |ended: &Ended| match ended {
            Ended::Judged(judged) => judged.verdict == Verdict::Passed,
            Ended::Ignored(_) => true,
        };
        Ok(match self.on_servers(plan, judged, passed).await? {
            Ok(ended) => ended,
            Err(reason) => Ended::Ignored(reason),
        })
    }

    /// Runs the steps of a trial in all the orders that it asks for. `Err` within says why it was ignored.
    ///
    /// # Errors
    /// [`Trouble`] where it could not be run.
    pub async fn explore(&self, plan: &Arc<TrialPlan>) -> Result<Result<Explored, String>, Trouble> {
        let explored = async |server: &Server, own: &[Server]| {
            // Nothing is judged, so that nothing has to be looked for.
            self.explored(plan, server, own, Duration::ZERO).await
        };
        self.on_servers(plan, explored, |_| true).await
    }

    async fn explored(
        &self,
        plan: &Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
        shrink_max: Duration,
    ) -> Result<Explored, Trouble> {
        let settings = ExploreSettings {
            run: RunSettings {
                live: None,
                hold: None,
                timestamps: self.timestamps,
                database: self.servers.database(),
                keep_databases: server.kind() != ProviderKind::Url && !self.drops,
            },
            sandboxes: SANDBOXES,
            shrink_max,
            stop: Arc::clone(&self.stop),
        };
        match explore(plan, server, own, &settings).await {
            Ok(explored) => Ok(explored),
            Err(error) => {
                let server_log = log_of_gone(server).await;
                Err(Trouble::NotRun {
                    error,
                    server_log,
                    left: None,
                })
            }
        }
    }

    async fn judged_orders(
        &self,
        plan: &Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
        round: u64,
    ) -> Result<Box<Judged>, Trouble> {
        let explored = self.explored(plan, server, own, SHRINK_MAX).await?;
        let mut findings = explored.findings.clone();
        findings.extend(self.lists.note(plan, round, &explored));
        let server_left = self.set_back(plan).await;
        findings.extend(crate::verdict::server_left(plan, &server_left));
        let mut history = History {
            server: server.title(),
            product: server.product(),
            ..History::default()
        };
        if let (true, Some(only)) = (plan.has_one_order(), explored.histories.first()) {
            history.clone_from(only);
        }
        for failing in explored.failing.iter().rev() {
            findings.extend(failing.findings.iter().cloned());
            history.clone_from(&failing.history);
        }
        history.server_left = server_left;
        let server_log = log_for(&findings, server).await;
        let verdict = if findings.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Failed(findings)
        };
        Ok(Box::new(Judged {
            history,
            verdict,
            explored: Some(Box::new(explored)),
            workload: None,
            server_log,
            left: None,
        }))
    }

    /// Does something on the run's server and on those that the trial has for itself. `Err` within says why
    /// there is none for it.
    async fn on_servers<T>(
        &self,
        plan: &Arc<TrialPlan>,
        work: impl AsyncFnOnce(&Server, &[Server]) -> Result<T, Trouble>,
        passed: impl Fn(&T) -> bool,
    ) -> Result<Result<T, String>, Trouble> {
        let claim = claim_of(plan);
        let _turn = self.servers.turns.take(&claim).await;
        if plan.requires.docker && !engine_answers().await {
            return Ok(Err(requires::NO_ENGINE.to_owned()));
        }
        let server = self.servers.shared().await.map_err(Trouble::NoServer)?;
        if let Some(reason) = requires::missing(plan, &server).await {
            return Ok(Err(reason));
        }
        let on_server = match server.kind() {
            ProviderKind::Url => Some(
                turn_on(&server, &claim, &plan.name)
                    .await
                    .map_err(Trouble::NoServer)?,
            ),
            ProviderKind::Container | ProviderKind::Embedded => None,
        };
        let mut own = Vec::new();
        let mut result = self.begin(plan, &server).await;
        for wanted in &plan.servers {
            let store = if wanted.persistent {
                Store::Persistent
            } else {
                Store::Memory
            };
            let spec = ServerSpec {
                store,
                flags: wanted.flags.clone(),
                vars: wanted.vars.clone(),
            };
            if result.is_err() {
                break;
            }
            match Server::start(&self.servers.settings, server.kind(), &spec).await {
                Ok(server) => own.push(server),
                Err(error) => {
                    let cause = with_causes(&error);
                    result = Err(Trouble::NoServer(format!("server `{}`: {cause}", wanted.name)));
                    break;
                }
            }
        }
        let ended = match result {
            Ok(()) => AssertUnwindSafe(work(&server, &own)).catch_unwind().await,
            Err(trouble) => Ok(Err(trouble)),
        };
        // Where a trial could not be run, nobody has set back what it has changed so far.
        for Left { message, reason, .. } in self.servers.set_back().await.1 {
            super::output::say(&format!("warning: {message}: {reason}"));
        }
        if let Some(turn) = on_server {
            turn.end().await;
        }
        let ended = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let failed = ended.as_ref().map_or(true, |ended| !passed(ended));
        if failed && !server.is_alive().await {
            self.servers.give_up(&server).await;
        }
        for server in own {
            if let Err(error) = server.stop().await {
                super::output::say(&format!("warning: {}", with_causes(&error)));
            }
        }
        ended.map(Ok)
    }

    /// Notes what the trial may change of the run's server.
    async fn begin(&self, plan: &TrialPlan, server: &Server) -> Result<(), Trouble> {
        match Undo::begin(server, plan).await {
            Ok(undo) => {
                *self.servers.undo.lock().await = undo;
                Ok(())
            }
            Err(reason) => Err(Trouble::NoServer(format!(
                "this trial changes the whole server, and it cannot be noted how it is before: {reason}"
            ))),
        }
    }

    /// Sets back what the trial has changed; returns what is to be said of it.
    pub(super) async fn set_back(&self, plan: &TrialPlan) -> Vec<ServerLeft> {
        let (back, left) = self.servers.set_back().await;
        tracing::debug!(?back, ?left, "set back");
        let mut found = Vec::new();
        // Nobody has said that it would change anything: its text does not tell.
        if !back.is_empty() && !plan.serial {
            found.push(ServerLeft {
                variable: None,
                message: format!(
                    "this trial has changed the whole server, other trials' too: {}",
                    back.join(", ")
                ),
                reason: "it is set back; write `serial: true`, or give it a server of its own".to_owned(),
            });
        }
        for one in left {
            // Others may change what the trial does not name.
            let named = one.variable.as_ref().is_none_or(|name| {
                plan.server_changes.unnamed
                    || plan.server_changes.unknown.is_some()
                    || plan.server_changes.globals.contains_key(name)
            });
            if named {
                found.push(ServerLeft {
                    variable: one.variable,
                    message: one.message,
                    reason: one.reason,
                });
            } else {
                super::output::say(&format!("warning: {}: {}", one.message, one.reason));
            }
        }
        found
    }

    /// Stops the run's server; no trial can be run after it.
    pub async fn stop(&self) {
        self.servers.leave_to_signal().await;
        self.servers.stop().await;
    }

    async fn judged(
        &self,
        plan: &Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
    ) -> Result<Box<Judged>, Trouble> {
        let ours = server.kind() != ProviderKind::Url;
        let settings = RunSettings {
            live: self.live.clone(),
            hold: self.hold.clone(),
            timestamps: self.timestamps,
            database: self.servers.database(),
            // A server of ours takes them with it, and to drop them is the most expensive part of a trial.
            keep_databases: self.keep_databases || (ours && !self.drops),
        };
        let left = self
            .keep_databases
            .then(|| kept::Left::of(plan, server, &settings.database));
        let history = match run(Arc::clone(plan), server, own, &settings).await {
            Ok(history) => history,
            Err(error) => {
                return Err(Trouble::NotRun {
                    error,
                    server_log: log_of_gone(server).await,
                    left: left.map(Box::new),
                });
            }
        };
        let mut history = history;
        history.server_left = self.set_back(plan).await;
        let verdict = judge(plan, &history);
        if verdict == Verdict::Passed && settings.keep_databases && (!ours || self.drops) {
            drop_databases(plan, server, own, &settings).await;
        }
        let server_log = match &verdict {
            Verdict::Failed(findings) => log_for(findings, server).await,
            Verdict::Passed => None,
        };
        Ok(Box::new(Judged {
            history,
            explored: None,
            workload: None,
            left: left.filter(|_| verdict != Verdict::Passed),
            verdict,
            server_log,
        }))
    }
}
