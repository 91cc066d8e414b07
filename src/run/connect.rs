//! Opens the sessions of a trial's connections.

use std::sync::Arc;

use futures::StreamExt as _;

use super::control::Controls;
use super::error::TrialError;
use super::settings::RunSettings;
use crate::connection::ConnectionOptions;
use crate::coordinator::Coordinator;
use crate::machine::{Observer, Worker};
use crate::plan::{Mode, TrialPlan};
use crate::sql::Product;

/// At most this many connections are opened at the same time.
const CONNECTS_MAX: usize = 64;
/// Files that are open beside those of a trial's connections: those of other trials, mostly.
const FILES_BESIDE: u64 = 500;
/// So many connections are never too many.
const FEW: usize = 100;
/// The limit that a process is given at least, if it may have it.
const FILES_USUAL: u64 = 4_096;

/// Each connection is an open file of this process, and one of the server's if that is ours: too few are told
/// before the server breaks for want of them.
pub(crate) fn check_files(connections: usize) -> Result<(), TrialError> {
    let wanted = connections as u64 + FILES_BESIDE;
    let Ok(limit) = rlimit::increase_nofile_limit(wanted.max(FILES_USUAL)) else {
        return Ok(());
    };
    // A few will find room in any limit that this process could have begun with.
    if limit < wanted && connections > FEW {
        return Err(TrialError::new(format!(
            "{connections} connections need {wanted} open files, and the limit of this process is {limit}: \
             raise it with `ulimit -n {wanted}`"
        )));
    }
    Ok(())
}

/// Opens the sessions of all connections. A concurrent one that cannot connect has failed, and the others go on.
pub(crate) async fn connect(
    plan: &Arc<TrialPlan>,
    coordinator: &Arc<Coordinator>,
    controls: &Controls,
    settings: &RunSettings,
) -> Result<Vec<Worker>, TrialError> {
    check_files(plan.connections.len())?;
    let others_go_on = match plan.mode {
        Mode::Concurrent(_) => true,
        Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => false,
    };
    let mut workers = Vec::new();
    for (number, own) in plan.connections.iter().enumerate() {
        let control = &controls[plan.control_of(number)];
        let mut config = control.config.clone();
        config.id.clone_from(&own.name);
        let database = own
            .database
            .as_ref()
            .map(|name| format!("{}_{name}", settings.database));
        config.database = Some(database.unwrap_or_else(|| settings.database.clone()));
        if let Some((user, password)) = &own.user {
            (config.username, config.password) = (user.clone(), password.clone());
        }
        let options = ConnectionOptions {
            session_vars: control.connection.product().session_vars(&own.vars),
            ..control.options.clone()
        };
        let (plan, coordinator) = (Arc::clone(plan), Arc::clone(coordinator));
        let observer = Observer::new(control.config.clone(), control.options.clone());
        let mut worker = Worker::new(number, plan, coordinator, config, options, observer);
        worker.asks_timestamps = settings.timestamps && control.connection.product() == Product::TiDb;
        workers.push(worker);
    }
    let connects = workers.into_iter().map(|mut worker| async move {
        let result = worker.connect().await;
        (worker, result)
    });
    let connects = futures::stream::iter(connects).buffered(CONNECTS_MAX);
    let mut ready = Vec::new();
    let mut failed: Option<TrialError> = None;
    for (worker, result) in connects.collect::<Vec<_>>().await {
        match result {
            Ok(()) => ready.push(worker),
            Err(error) => {
                let message = format!("{} cannot connect: {error}", worker.config.id);
                if others_go_on {
                    let told = error.to_string();
                    let told = match told.strip_prefix("cannot connect") {
                        Some(_) => told,
                        None => format!("cannot connect: {told}"),
                    };
                    coordinator.end(worker.number, Some(told));
                }
                failed = failed.or(Some(TrialError {
                    span: plan.connections.get(worker.number).map(|own| own.span),
                    message,
                }));
            }
        }
    }
    match failed {
        Some(error) if !others_go_on || ready.is_empty() => {
            for worker in ready {
                worker.close_unused().await;
            }
            Err(error)
        }
        _ => Ok(ready),
    }
}
