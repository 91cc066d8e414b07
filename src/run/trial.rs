//! One trial from its databases to their removal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::checks::final_checks;
use super::clock::Clock;
use super::concurrent::ConcurrentRun;
use super::connect::connect;
use super::control::Controls;
use super::database::{drop_on, prepare, tear_down, vars_with_names};
use super::driver::Driver;
use super::error::TrialError;
use super::held::Hold;
use super::hold::of_trial;
use super::limits::FORGET_MAX;
use super::on_failure::OnFailure;
use super::settings::RunSettings;
use super::{scripted, state_graph};
use crate::coordinator::Coordinator;
use crate::history::{History, Vars};
use crate::lock_wait;
use crate::machine::{Report, Worker};
use crate::plan::{Mode, TrialPlan};
use crate::server::Server;
use crate::sql::Product;

/// Runs one trial. `own` are the servers of the trial's own, in the plan's order.
///
/// # Errors
/// [`TrialError`] where it could not be run: no connection, a setup that fails. What TiDB did is in the
/// history, right or wrong. The databases are dropped either way.
pub async fn run(
    plan: Arc<TrialPlan>,
    server: &Server,
    own: &[Server],
    settings: &RunSettings,
) -> Result<History, TrialError> {
    let span = tracing::info_span!("scenario", trial = %plan.name);
    async {
        tracing::info!(database = settings.database, "begins");
        let mut clock = Clock::start();
        let mut controls = Controls::open(server, own).await?;
        clock.ends("control");
        let mut result = run_in_databases(Arc::clone(&plan), &mut controls, server, settings).await;
        clock = Clock::start();
        let vars = match &result {
            Ok(history) => plan.owners.view_of_history(&history.vars),
            Err(_) => vars_with_names(&plan, settings),
        };
        let failed = tear_down(&plan, &mut controls[plan.main_control()], &vars).await;
        if let Ok(history) = &mut result {
            history.teardown = failed;
        }
        if !settings.keep_databases {
            drop_on(controls.shared(), &plan, settings).await;
        }
        clock.ends("drop");
        controls.close().await;
        match &result {
            Ok(history) => {
                tracing::info!(took_ms = history.took_us / 1_000, stopped = ?history.stopped, "ends");
            }
            Err(error) => tracing::warn!(error = error.message, "could not be run"),
        }
        result
    }
    .instrument(span)
    .await
}

async fn run_in_databases(
    plan: Arc<TrialPlan>,
    controls: &mut Controls,
    server: &Server,
    settings: &RunSettings,
) -> Result<History, TrialError> {
    let vars = prepare(&plan, controls, settings).await?;
    connect_and_run(plan, controls, vars, settings, server).await
}

async fn connect_and_run(
    plan: Arc<TrialPlan>,
    controls: &mut Controls,
    vars: Vars,
    settings: &RunSettings,
    server: &Server,
) -> Result<History, TrialError> {
    let began = Instant::now();
    let mut clock = Clock::start();
    let names = plan.connections.iter().map(|connection| connection.name.as_str());
    let coordinator = Arc::new(match plan.mode {
        Mode::Concurrent(_) => {
            Coordinator::with_graph(names, vars, state_graph::of(&plan)).with_owners(plan.owners.clone())
        }
        Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => {
            Coordinator::new(names, vars).with_owners(plan.owners.clone())
        }
    });
    let main = plan.main_control();
    let workers = connect(&plan, &coordinator, controls, settings).await?;
    clock.ends("connect");
    let mut held = false;
    let mut history = match plan.mode {
        Mode::Concurrent(_) => {
            let live = settings.live.clone();
            let connections = ConcurrentRun::new(Arc::clone(&plan), coordinator, controls, live);
            connections.run(workers).await
        }
        // One schedule is run here; for many of them there is `explore`.
        Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => {
            let hold = settings.hold.as_ref();
            let product = server.product();
            let (history, was_held) = run_scripted(
                Arc::clone(&plan),
                coordinator,
                controls,
                workers,
                (hold, product),
                &settings.database,
            )
            .await;
            held = was_held;
            history
        }
    };
    history.server = server.title();
    history.product = server.product();
    history.database.clone_from(&settings.database);
    forget(controls, &history).await;
    clock.ends("finish");
    if history.stopped.is_none() {
        final_checks(&plan, &mut controls[main], &mut history).await;
    }
    clock.ends("checks");
    if let Some(hold) = settings.hold.as_ref().filter(|_| !held)
        && let Some(failure) = hold.0.failure(&plan, &history, true)
    {
        let held = of_trial(&plan, controls, &settings.database, failure, Vec::new()).await;
        hold.0.hold(&plan, held).await;
    }
    history.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(history)
}

async fn run_scripted(
    plan: Arc<TrialPlan>,
    coordinator: Arc<Coordinator>,
    controls: &mut Controls,
    workers: Vec<Worker>,
    (hold, product): (Option<&Hold>, Product),
    database: &str,
) -> (History, bool) {
    let (reports, inbox) = mpsc::unbounded_channel::<Report>();
    let mut driver = Driver::new(Arc::clone(&plan), coordinator, controls, inbox, OnFailure::Close);
    if hold.is_some() {
        driver = driver.that_may_be_held();
    }
    for worker in workers {
        driver.attach(worker, reports.clone());
    }
    drop(reports);
    let mut clock = Clock::start();
    let mut deadline = Instant::now() + plan.timeout;
    let (mut held, mut from) = (false, Some(0));
    while let Some(number) = from {
        let failed = |driver: &Driver<'_>| {
            hold.filter(|_| !held)
                .is_some_and(|hold| driver.failure_to_hold(hold, product).is_some())
        };
        let run = scripted::run(&mut driver, number, &failed);
        from = match tokio::time::timeout_at(deadline.into(), run).await {
            Ok(next) => next,
            Err(_) => {
                driver.over_time(plan.timeout);
                None
            }
        };
        if let Some(hold) = hold.filter(|_| !held)
            && let Some(failure) = driver.failure_to_hold(hold, product)
        {
            let began = Instant::now();
            let trial = driver.held(failure, database).await;
            hold.0.hold(&plan, trial).await;
            // Somebody looks at it: that is none of the trial's time.
            deadline += began.elapsed();
            held = true;
        }
        driver.close_failed();
    }
    clock.ends("steps");
    driver.finish().await;
    (driver.into_parts().0, held)
}

/// Waits until the server has no transaction of the trial's sessions any more: a session whose client is
/// gone keeps its locks until its wait ends.
async fn forget(controls: &mut Controls, history: &History) {
    let sessions: Vec<u64> = history
        .connections
        .iter()
        .flat_map(|record| record.sessions.clone())
        .collect();
    for control in controls.iter_mut() {
        let deadline = Instant::now() + FORGET_MAX;
        while Instant::now() < deadline {
            match lock_wait::open_transactions(&mut control.connection, &sessions).await {
                Ok(rows) if rows.is_empty() => break,
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(_) => return,
            }
        }
    }
}
