//! Runs a workload: its tables, all connections at full speed, a last look.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;

use super::attempt::{Ended, Work, attempt, with_retries};
use super::client::Client;
use super::kind::Kind;
use super::kinds;
use super::recorder::Recorder;
use super::session::{Between, OfServer, Sessions};
use super::shared::{Shared, lock};
use super::summary::Ran;
use crate::connection::ConnectionOptions;
use crate::isolation::{IsolationSetting, TransactionMode};
use crate::plan::{TrialPlan, WorkloadLength, WorkloadPlan};
use crate::run::{
    Controls, RunSettings, TrialError, check_files, drop_on, prepare, tear_down, vars_with_names,
};
use crate::server::Server;
use crate::sql::Product;

/// How many keys are read in one transaction of the last look.
const LAST_KEYS: usize = 8;
/// How often a transaction of the last look, or the first one, is tried.
const TRIES: usize = 20;

/// What a workload is run with, beside what each run has.
#[derive(Clone, Default)]
pub struct WorkloadSettings {
    /// What stands between the workload and its sessions; for tests of what it finds.
    pub between: Option<Between>,
    /// Records nothing and judges nothing: to measure what recording costs.
    pub unrecorded: bool,
}

impl std::fmt::Debug for WorkloadSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkloadSettings")
            .field("between", &self.between.is_some())
            .field("unrecorded", &self.unrecorded)
            .finish()
    }
}

/// Runs a workload in databases of its own; its history is written to `file`.
///
/// # Errors
/// [`TrialError`] where it could not be run.
pub async fn run_workload(
    plan: &Arc<TrialPlan>,
    (server, own): (&Server, &[Server]),
    settings: &RunSettings,
    more: &WorkloadSettings,
    file: &Path,
) -> Result<Ran, TrialError> {
    let Some(workload) = plan.workload() else {
        return Err(TrialError::new("the scenario is no workload"));
    };
    check_files(workload.connections as usize)?;
    let mut controls = Controls::open(server, own).await?;
    let mut result = in_databases(plan, workload, &mut controls, settings, more, file).await;
    let vars = vars_with_names(plan, settings);
    let main = plan.main_control();
    let failed = tear_down(plan, &mut controls[main], &vars).await;
    if let Ok(ran) = &mut result {
        ran.teardown = failed;
        ran.server = server.title();
    }
    if !settings.keep_databases {
        drop_on(controls.shared(), plan, settings).await;
    }
    controls.close().await;
    result
}

async fn in_databases(
    plan: &Arc<TrialPlan>,
    workload: &WorkloadPlan,
    controls: &mut Controls,
    settings: &RunSettings,
    more: &WorkloadSettings,
    file: &Path,
) -> Result<Ran, TrialError> {
    prepare(plan, controls, settings).await?;
    let kind: Arc<dyn Kind> = Arc::from(kinds::of_plan(workload));
    let control = &mut controls[plan.main_control()];
    for statement in kind.setup() {
        let outcome = control.execute(&statement).await;
        if outcome.is_error() {
            let got = crate::history::describe(&outcome);
            return Err(TrialError::new(format!("{statement}: {got}")));
        }
    }
    let product = control.connection.product();
    let vars = session_vars(workload);
    if let Some((name, _)) = product.lacks(&vars) {
        return Err(TrialError::new(format!("this server has no {name}")));
    }
    let mut config = control.config.clone();
    config.id = "workload".to_owned();
    config.database = Some(settings.database.clone());
    let mut sessions: Arc<dyn Sessions> = Arc::new(OfServer {
        config,
        options: ConnectionOptions {
            session_vars: product.session_vars(&vars),
            ..control.options.clone()
        },
    });
    if let Some(between) = &more.between {
        sessions = between(sessions);
    }
    let recorder = if more.unrecorded {
        Recorder::none()
    } else {
        let mut header = workload.header();
        header.total = kind.total();
        Recorder::create(file, &header).map_err(|error| {
            TrialError::new(format!("cannot write the history to {}: {error}", file.display()))
        })?
    };
    let stamps = workload.timestamps && product == Product::TiDb && recorder.is_on();
    let began = Instant::now();
    let until = match workload.length {
        WorkloadLength::Transactions(_) => None,
        WorkloadLength::Duration(duration) => Some(began + duration),
    };
    let shared = Arc::new(Shared::new(workload.clone(), sessions, recorder, stamps, until));
    first(&shared, kind.as_ref()).await?;
    // What was read and written so far is of the history, but shows nothing.
    let filled = shared.counts.ok.swap(0, Ordering::Relaxed);
    shared.counts.reads.store(0, Ordering::Relaxed);
    tracing::debug!(filled, "filled");
    let started = Instant::now();
    let in_time = connections(&shared, &kind, plan.timeout.saturating_sub(began.elapsed())).await;
    let took = started.elapsed();
    let mut ran = Ran::of(&shared, took);
    ran.over_time = (!in_time).then_some(plan.timeout);
    if in_time {
        ran.last_look = last(&shared, kind.as_ref()).await.err();
    }
    ran.invariant = kind.invariant();
    let (count, example) = lock(&shared.counts.broken).clone();
    (ran.broken, ran.broken_first) = (count, example);
    shared.recorder.finish().map_err(|error| {
        TrialError::new(format!("cannot write the history to {}: {error}", file.display()))
    })?;
    Ok(ran)
}

fn session_vars(workload: &WorkloadPlan) -> Vec<(String, String)> {
    let isolation = match workload.isolation {
        IsolationSetting::RepeatableRead => "'REPEATABLE-READ'",
        IsolationSetting::ReadCommitted => "'READ-COMMITTED'",
    };
    let mode = match workload.mode {
        TransactionMode::Pessimistic => "'pessimistic'",
        TransactionMode::Optimistic => "'optimistic'",
    };
    [
        ("time_zone", "'+00:00'"),
        ("transaction_isolation", isolation),
        ("tidb_txn_mode", mode),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Writes what the table holds at first.
async fn first(shared: &Arc<Shared>, kind: &dyn Kind) -> Result<(), TrialError> {
    let connect = |error: String| TrialError::new(format!("the workload cannot connect: {error}"));
    let mut client = Client::open(Arc::clone(shared), u64::MAX)
        .await
        .map_err(connect)?;
    let ended = attempt(&mut client, kind, &Work::Fill).await.map_err(connect)?;
    client.close().await;
    if ended == Ended::Ok {
        return Ok(());
    }
    let errors = lock(&shared.counts.errors);
    let why = errors.values().next().map_or("", |(_, text)| text.as_str());
    Err(TrialError::new(format!(
        "the tables of the workload cannot be filled: {why}"
    )))
}

/// Runs all connections; whether they ended by themselves within the limit.
async fn connections(shared: &Arc<Shared>, kind: &Arc<dyn Kind>, limit: Duration) -> bool {
    let numbers = 0..u64::from(shared.plan.connections);
    let opened = join_all(numbers.map(|number| Client::open(Arc::clone(shared), number))).await;
    let tasks = opened.into_iter().map(|client| {
        let kind = Arc::clone(kind);
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let ended = match client {
                Ok(client) => connection(client, kind.as_ref()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                lock(&shared.counts.ended).push(error);
            }
        })
    });
    let mut all = join_all(tasks.collect::<Vec<_>>());
    let joined = match tokio::time::timeout(limit, &mut all).await {
        Ok(joined) => joined,
        Err(_) => {
            shared.stop.store(true, Ordering::Relaxed);
            // Each statement has its limit, so that each transaction ends.
            let _ = all.await;
            return false;
        }
    };
    for panic in joined.into_iter().filter_map(Result::err) {
        if let Ok(panic) = panic.try_into_panic() {
            std::panic::resume_unwind(panic);
        }
    }
    true
}

async fn connection(mut client: Client, kind: &dyn Kind) -> Result<(), String> {
    let shared = Arc::clone(&client.shared);
    let most = match shared.plan.length {
        WorkloadLength::Transactions(count) => count,
        WorkloadLength::Duration(_) => u64::MAX,
    };
    while !shared.stop.load(Ordering::Relaxed)
        && shared.until.is_none_or(|until| Instant::now() < until)
        && shared.begun.fetch_add(1, Ordering::Relaxed) < most
    {
        with_retries(&mut client, kind).await?;
    }
    client.close().await;
    Ok(())
}

/// Reads all keys once more: what was acknowledged and is gone shows here at the latest.
async fn last(shared: &Arc<Shared>, kind: &dyn Kind) -> Result<(), String> {
    let mut client = Client::open(Arc::clone(shared), u64::MAX - 1).await?;
    for keys in kind.keys().chunks(LAST_KEYS) {
        let work = Work::Look(keys.to_vec());
        let mut tries = 0;
        while attempt(&mut client, kind, &work).await? != Ended::Ok {
            tries += 1;
            if tries == TRIES {
                return Err(format!("{TRIES} transactions in a row failed"));
            }
        }
    }
    client.close().await;
    Ok(())
}
