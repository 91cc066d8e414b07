//! One trial from its databases to their removal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::control::{Control, Controls};
use super::error::TrialError;
use super::free::{self, Free};
use super::limits::FORGET_MAX;
use super::live::Live;
use super::script::Script;
use crate::connection::ConnectionOptions;
use crate::coordinator::Coordinator;
use crate::history::{CheckId, CheckRecord, History, Outcome, SqlValue, Vars};
use crate::lock_wait;
use crate::machine::{Machine, Report};
use crate::plan::{ControlId, Query, Statement, TrialPlan};
use crate::server::Server;

/// At most this many connections are opened at the same time.
const CONNECTS_MAX: usize = 64;
/// Files that are open beside those of a trial's connections: those of other trials, mostly.
const FILES_BESIDE: u64 = 500;
/// So many connections are never too many.
const FEW: usize = 100;
/// The limit that a process is given at least, if it may have it.
const FILES_USUAL: u64 = 4_096;

/// What a run needs beside the plan.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The name of the trial's database; others begin with it.
    pub database: String,
    /// Leave the databases: for a look at them, or since the server itself goes after the run. Servers of the
    /// trial's own go right after it, so that theirs are left in any case.
    pub keep_databases: bool,
    /// Who is shown the status while connections run freely.
    pub live: Option<Live>,
}

/// Tells in the log how long each part of a trial took.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    fn ends(&mut self, phase: &str) {
        let took_ms = self.0.elapsed().as_secs_f64() * 1_000.0;
        tracing::debug!(phase, took_ms, "phase ended");
        self.0 = Instant::now();
    }
}

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
    let span = tracing::info_span!("scenario", name = %plan.name);
    async {
        tracing::info!(database = settings.database, "begins");
        let mut clock = Clock::start();
        let mut controls = Controls::open(server, own).await?;
        clock.ends("control");
        let result = run_in_databases(Arc::clone(&plan), &mut controls, server, settings).await;
        clock = Clock::start();
        let main = plan.main_control();
        for statement in &plan.teardown {
            let outcome =
                control_statement(&mut controls[main], statement, &vars_with_names(&plan, settings)).await;
            if let Err(error) = outcome {
                tracing::warn!(error = error.message, "teardown");
            }
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

/// The names of the trial's databases: its own and those that connections name.
#[must_use]
pub fn databases(plan: &TrialPlan, database: &str) -> Vec<String> {
    let more = plan.databases.iter().map(|name| format!("{database}_{name}"));
    std::iter::once(database.to_owned()).chain(more).collect()
}

pub(super) fn vars_with_names(plan: &TrialPlan, settings: &RunSettings) -> Vars {
    let mut vars = plan.vars.clone();
    vars.insert("database".to_owned(), SqlValue::Text(settings.database.clone()));
    for name in &plan.databases {
        let real = format!("{}_{name}", settings.database);
        vars.insert(format!("database.{name}"), SqlValue::Text(real));
    }
    vars
}

/// Drops what a run with `keep_databases` left.
pub async fn drop_databases(plan: &TrialPlan, server: &Server, own: &[Server], settings: &RunSettings) {
    for server in std::iter::once(server).chain(own) {
        match Control::open(server).await {
            Ok(mut control) => {
                drop_on(&mut control, plan, settings).await;
                control.connection.close().await;
            }
            Err(error) => tracing::warn!(error = error.message, "databases are left"),
        }
    }
}

pub(super) async fn drop_on(control: &mut Control, plan: &TrialPlan, settings: &RunSettings) {
    for database in databases(plan, &settings.database) {
        let outcome = control
            .execute(&format!("drop database if exists `{database}`"))
            .await;
        if outcome.is_error() {
            tracing::warn!(
                database,
                outcome = crate::history::describe(&outcome),
                "a database is left"
            );
        }
    }
}

pub(super) async fn control_statement(
    control: &mut Control,
    statement: &Statement,
    vars: &Vars,
) -> Result<(), TrialError> {
    let fail = |message: String| TrialError {
        span: Some(statement.span),
        message,
    };
    let sql = statement
        .text
        .fill(vars)
        .map_err(|name| fail(format!("`${{{name}}}` has no value")))?;
    let outcome = control.execute(&sql).await;
    if outcome.is_error() {
        return Err(fail(format!(
            "the statement gave {}",
            crate::history::describe(&outcome)
        )));
    }
    Ok(())
}

/// Makes the trial's databases and runs its setup; returns the variables.
pub(super) async fn prepare(
    plan: &TrialPlan,
    controls: &mut Controls,
    settings: &RunSettings,
) -> Result<Vars, TrialError> {
    let main = plan.main_control();
    let mut clock = Clock::start();
    for control in controls.iter_mut() {
        for database in databases(plan, &settings.database) {
            let outcome = control.execute(&format!("create database `{database}`")).await;
            if outcome.is_error() {
                let got = crate::history::describe(&outcome);
                return Err(TrialError::new(format!(
                    "cannot make the database {database}: {got}"
                )));
            }
        }
        let outcome = control.execute(&format!("use `{}`", settings.database)).await;
        if outcome.is_error() {
            return Err(TrialError::new(format!(
                "use: {}",
                crate::history::describe(&outcome)
            )));
        }
    }
    clock.ends("create");
    let vars = vars_with_names(plan, settings);
    for statement in &plan.setup {
        control_statement(&mut controls[main], statement, &vars).await?;
    }
    for (number, own) in plan.servers.iter().enumerate() {
        let control = ControlId { server: Some(number) };
        for statement in &own.setup {
            control_statement(&mut controls[control], statement, &vars).await?;
        }
    }
    // A `use` in the setup must not move the final queries.
    controls[main]
        .execute(&format!("use `{}`", settings.database))
        .await;
    clock.ends("setup");
    Ok(vars)
}

async fn run_in_databases(
    plan: Arc<TrialPlan>,
    controls: &mut Controls,
    server: &Server,
    settings: &RunSettings,
) -> Result<History, TrialError> {
    let main = plan.main_control();
    let vars = prepare(&plan, controls, settings).await?;
    let globals = if plan.serial {
        Some(global_variables(&mut controls[main]).await)
    } else {
        None
    };
    let result = connect_and_run(Arc::clone(&plan), controls, vars, settings, server).await;
    if let Some(before) = globals {
        restore_globals(&mut controls[main], &before).await;
    }
    result
}

pub(super) async fn global_variables(control: &mut Control) -> Vec<(String, SqlValue)> {
    let Outcome::Rows(set) = control.execute("show global variables").await else {
        return Vec::new();
    };
    set.rows
        .into_iter()
        .filter_map(|row| match <[SqlValue; 2]>::try_from(row) {
            Ok([SqlValue::Text(name), value]) => Some((name, value)),
            _ => None,
        })
        .collect()
}

/// Sets back what a serial trial changed, for the trials after it.
pub(super) async fn restore_globals(control: &mut Control, before: &[(String, SqlValue)]) {
    let after = global_variables(control).await;
    for (name, value) in before {
        let changed = after.iter().any(|(other, now)| other == name && now != value);
        if let (true, SqlValue::Text(text)) = (changed, value) {
            let text = text.replace('\\', "\\\\").replace('\'', "''");
            let outcome = control.execute(&format!("set global `{name}` = '{text}'")).await;
            tracing::debug!(
                name,
                outcome = crate::history::describe(&outcome),
                "sets a global variable back"
            );
        }
    }
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
    let coordinator = Arc::new(if plan.is_free() {
        Coordinator::with_map(names, vars, free::map(&plan))
    } else {
        Coordinator::new(names, vars)
    });
    let main = plan.main_control();
    let machines = connect(&plan, &coordinator, controls, settings).await?;
    clock.ends("connect");
    let mut history = if plan.is_free() {
        let mut free = Free::new(
            Arc::clone(&plan),
            Arc::clone(&coordinator),
            controls,
            settings.live.clone(),
        );
        free.follow(machines).await;
        free.into_history()
    } else {
        let (reports, inbox) = mpsc::unbounded_channel::<Report>();
        let mut script = Script::new(Arc::clone(&plan), Arc::clone(&coordinator), controls, inbox);
        for machine in machines {
            script.start_machine(machine, reports.clone());
        }
        drop(reports);
        if tokio::time::timeout(plan.timeout, script.follow()).await.is_err() {
            script.over_time(plan.timeout);
        }
        clock.ends("steps");
        script.finish().await;
        script.into_history()
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
    history.took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(history)
}

/// Each connection is an open file of this process, and one of the server's if that is ours: too few are told
/// before the server breaks for want of them.
fn check_files(connections: usize) -> Result<(), TrialError> {
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

/// Opens the sessions of all connections. Where they run freely, one that cannot connect has failed, and the
/// others go on.
pub(super) async fn connect(
    plan: &Arc<TrialPlan>,
    coordinator: &Arc<Coordinator>,
    controls: &Controls,
    settings: &RunSettings,
) -> Result<Vec<Machine>, TrialError> {
    check_files(plan.connections.len())?;
    let mut machines = Vec::new();
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
        machines.push(Machine {
            number,
            plan: Arc::clone(plan),
            coordinator: Arc::clone(coordinator),
            config,
            options,
            connection: None,
            interrupted: false,
            round: 0,
            iteration: 0,
            led: None,
            followed_ddl: None,
        });
    }
    let connects = machines.into_iter().map(|mut machine| async move {
        let result = machine.connect().await;
        (machine, result)
    });
    let connects = futures::stream::iter(connects).buffered(CONNECTS_MAX);
    let mut ready = Vec::new();
    let mut failed: Option<TrialError> = None;
    for (machine, result) in connects.collect::<Vec<_>>().await {
        match result {
            Ok(()) => ready.push(machine),
            Err(error) => {
                let message = format!("{} cannot connect: {error}", machine.config.id);
                if plan.is_free() {
                    let told = error.to_string();
                    let told = match told.strip_prefix("cannot connect") {
                        Some(_) => told,
                        None => format!("cannot connect: {told}"),
                    };
                    coordinator.end(machine.number, Some(told));
                }
                failed = failed.or(Some(TrialError {
                    span: plan.connections.get(machine.number).map(|own| own.span),
                    message,
                }));
            }
        }
    }
    match failed {
        Some(error) if !plan.is_free() || ready.is_empty() => {
            for connection in ready.into_iter().filter_map(|machine| machine.connection) {
                connection.close().await;
            }
            Err(error)
        }
        _ => Ok(ready),
    }
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
            match lock_wait::transactions(&mut control.connection, &sessions).await {
                Ok(rows) if rows.is_empty() => break,
                Ok(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                Err(_) => return,
            }
        }
    }
}

pub(super) async fn final_checks(plan: &TrialPlan, control: &mut Control, history: &mut History) {
    for (number, one) in plan.all_finals().enumerate() {
        for (index, query) in one.tables.iter().enumerate() {
            final_check(control, query, CheckId::Table(number, index), history).await;
        }
        for (index, query) in one.queries.iter().enumerate() {
            final_check(control, query, CheckId::Query(number, index), history).await;
        }
    }
}

/// Asks a final query, unless just this has been asked already: nothing changes any more.
async fn final_check(control: &mut Control, query: &Query, check: CheckId, history: &mut History) {
    let plain = query.expectations.iter().all(|one| {
        let needs = one.check.needs();
        !needs.warnings && !needs.plan && one.check.duration().is_none()
    });
    let sql = query.sql.fill(&history.vars).unwrap_or_default();
    let asked = history.asked.iter().find(|(asked, _)| plain && *asked == sql);
    let record = match asked.and_then(|(_, number)| history.checks.get(*number)) {
        Some(record) => CheckRecord {
            check,
            ..record.clone()
        },
        None => query_record(control, query, check, &history.vars).await,
    };
    if plain && !sql.is_empty() {
        history.asked.push((sql, history.checks.len()));
    }
    history.checks.push(record);
}

/// Runs a query of the control connection.
pub(super) async fn query_record(
    control: &mut Control,
    query: &Query,
    check: CheckId,
    vars: &Vars,
) -> CheckRecord {
    let started = Instant::now();
    let needs = query
        .expectations
        .iter()
        .fold(crate::expect::Needs::default(), |all, one| {
            all.and(one.check.needs())
        });
    let (sql, outcome) = match query.sql.fill(vars) {
        Ok(sql) => {
            let outcome = control.execute(&sql).await;
            (sql, outcome)
        }
        Err(name) => {
            let message = format!("`${{{name}}}` has no value");
            let error = crate::history::SqlError {
                code: 1105,
                sqlstate: "HY000".to_owned(),
                message,
            };
            (String::new(), Outcome::Refused(error))
        }
    };
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let warnings = if needs.warnings {
        control.connection.warnings().await.ok()
    } else {
        None
    };
    let plan = if needs.plan {
        crate::machine::explain(&mut control.connection, &sql).await
    } else {
        None
    };
    CheckRecord {
        check,
        outcome,
        took_us,
        warnings,
        plan,
    }
}

/// The value of a global variable, as text.
pub(crate) async fn global_variable(server: &Server, name: &str) -> Option<String> {
    let mut control = Control::open(server).await.ok()?;
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let outcome = if plain {
        control.execute(&format!("select @@global.{name}")).await
    } else {
        return None;
    };
    control.connection.close().await;
    let Outcome::Rows(set) = outcome else { return None };
    match set.rows.first().and_then(|row| row.first())? {
        SqlValue::Text(text) => Some(text.clone()),
        other => Some(crate::history::show(other)),
    }
}
