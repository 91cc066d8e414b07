//! What a trial makes on its servers before the first step, and takes away after the last one.

use super::clock::Clock;
use super::control::{Control, Controls};
use super::error::TrialError;
use super::settings::RunSettings;
use crate::history::{FailedTeardown, SqlValue, Vars};
use crate::plan::{ControlId, Statement, TrialPlan};
use crate::server::Server;
use crate::sql::{Kind, classified};

/// The names of the trial's databases: its own and those that connections name.
#[must_use]
pub fn databases(plan: &TrialPlan, database: &str) -> Vec<String> {
    let more = plan.databases.iter().map(|name| format!("{database}_{name}"));
    std::iter::once(database.to_owned()).chain(more).collect()
}

pub(crate) fn vars_with_names(plan: &TrialPlan, settings: &RunSettings) -> Vars {
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

pub(crate) async fn drop_on(control: &mut Control, plan: &TrialPlan, settings: &RunSettings) {
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

/// Runs the whole teardown; returns what failed of it.
pub(crate) async fn tear_down(plan: &TrialPlan, control: &mut Control, vars: &Vars) -> Vec<FailedTeardown> {
    let mut failed = Vec::new();
    // Steps may have given the variables their values.
    let alone = plan.may_change_server(None);
    for (number, statement) in plan.teardown.iter().enumerate() {
        if let Err(error) = control_statement(control, statement, vars, alone).await {
            tracing::warn!(error = error.message, "teardown");
            failed.push(FailedTeardown {
                statement: number,
                message: error.message,
            });
        }
    }
    failed
}

async fn control_statement(
    control: &mut Control,
    statement: &Statement,
    vars: &Vars,
    alone: bool,
) -> Result<(), TrialError> {
    let fail = |message: String| TrialError {
        span: Some(statement.span),
        message,
    };
    let sql = statement
        .fill(vars, alone)
        .map_err(|error| fail(error.to_string()))?;
    let outcome = control.execute(&sql).await;
    if outcome.is_error() {
        return Err(fail(format!(
            "the statement gave {}",
            crate::history::describe(&outcome)
        )));
    }
    Ok(())
}

/// Whether a statement may leave something in its session.
fn stays_in_session(sql: &str) -> bool {
    let plain = matches!(
        classified(sql).kind,
        Kind::Ddl | Kind::Dml | Kind::Select { .. } | Kind::Sleep
    );
    !plain || sql.contains('@')
}

/// Makes the trial's databases and runs its setup; returns the variables.
pub(crate) async fn prepare(
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
        // What changes the whole server was found before the run: these variables have their first values.
        control_statement(&mut controls[main], statement, &vars, true).await?;
    }
    for (number, own) in plan.servers.iter().enumerate() {
        let control = ControlId { server: Some(number) };
        for statement in &own.setup {
            control_statement(&mut controls[control], statement, &vars, true).await?;
        }
    }
    // What the setup leaves in its session (a transaction, variables, temporary tables, a `use`) must not reach the final
    // tables and queries.
    for control in controls.ids().collect::<Vec<_>>() {
        let of_server = control.server.and_then(|number| plan.servers.get(number));
        let of_server = of_server.into_iter().flat_map(|own| &own.setup);
        let of_trial = plan.setup.iter().filter(|_| control == main);
        let text = |one: &Statement| one.text.fill(&vars).unwrap_or_default();
        if of_trial.chain(of_server).any(|one| stays_in_session(&text(one))) {
            controls[control].renew(&settings.database).await?;
        }
    }
    clock.ends("setup");
    Ok(vars)
}
