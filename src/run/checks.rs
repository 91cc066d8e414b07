//! Asks the queries of the control connection: `always`, and what must hold at the end.

use std::time::Instant;

use super::control::Control;
use crate::history::{CheckId, CheckRecord, History, Outcome, Vars};
use crate::machine::Observer;
use crate::plan::{Query, TrialPlan, fill};
use crate::sql::{Kind, classify};

/// Asks `always`; whoever calls it knows that no statement runs.
pub(super) async fn always(
    plan: &TrialPlan,
    control: &mut Control,
    vars: &Vars,
    after: Option<usize>,
) -> Vec<CheckRecord> {
    let mut records = Vec::new();
    for (number, one) in plan.finals.iter().enumerate() {
        for (index, query) in one.always.iter().enumerate() {
            let check = CheckId::Always {
                check: (number, index),
                after,
            };
            records.push(query_record(plan, control, query, check, vars).await);
        }
    }
    records
}

/// Asks the tables and queries of all final expectations, in their order.
pub(crate) async fn final_checks(plan: &TrialPlan, control: &mut Control, history: &mut History) {
    let vars = plan.owners.view_of_history(&history.vars);
    for (number, one) in plan.all_finals().enumerate() {
        for (index, query) in one.tables.iter().enumerate() {
            table_check(
                plan,
                control,
                query,
                CheckId::Table(number, index),
                &vars,
                history,
            )
            .await;
        }
        for (index, query) in one.queries.iter().enumerate() {
            let check = CheckId::Query(number, index);
            let record = query_record(plan, control, query, check, &vars).await;
            if !only_reads(query) {
                history.asked.clear();
            }
            history.checks.push(record);
        }
    }
}

/// Whether a final query certainly leaves all tables as they are.
pub(crate) fn only_reads(query: &Query) -> bool {
    matches!(classify(query.sql.source()).kind, Kind::Select { .. })
}

/// Reads a table, unless it has been read since anything could change: outcomes look at the same ones.
async fn table_check(
    plan: &TrialPlan,
    control: &mut Control,
    query: &Query,
    check: CheckId,
    vars: &Vars,
    history: &mut History,
) {
    let plain = query.expectations.iter().all(|one| {
        let needs = one.check.needs();
        !needs.warnings && !needs.plan && one.check.duration().is_none()
    });
    let sql = query.sql.fill(vars).unwrap_or_default();
    let asked = history.asked.iter().find(|(asked, _)| plain && *asked == sql);
    let record = match asked.and_then(|(_, number)| history.checks.get(*number)) {
        Some(record) => CheckRecord {
            check,
            ..record.clone()
        },
        None => query_record(plan, control, query, check, vars).await,
    };
    if plain && !sql.is_empty() {
        history.asked.push((sql, history.checks.len()));
    }
    history.checks.push(record);
}

/// Runs a query of the control connection.
pub(super) async fn query_record(
    plan: &TrialPlan,
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
    let outcome = match fill(&query.sql, vars, plan.may_change_server(None)) {
        Ok(sql) => control.execute(&sql).await,
        Err(error) => Outcome::Unanswered {
            reason: error.to_string(),
        },
    };
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let shown = if needs.plan && !outcome.is_error() {
        let mut observer = Observer::new(control.config.clone(), control.options.clone());
        let plan = observer.plan_of(control.connection.session_id()).await;
        observer.close().await;
        plan
    } else {
        None
    };
    let warnings = if needs.warnings {
        control.connection.warnings().await.ok()
    } else {
        None
    };
    CheckRecord {
        check,
        outcome,
        took_us,
        warnings,
        plan: shown,
    }
}
