//! Asks the queries of the control connection: `always`, and what must hold at the end.

use std::time::Instant;

use super::control::Control;
use crate::history::{CheckId, CheckRecord, History, Outcome, Vars};
use crate::plan::{Query, TrialPlan, fill};

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
            records.push(query_record(control, query, check, vars).await);
        }
    }
    records
}

/// Asks the tables and queries of all final expectations.
pub(crate) async fn final_checks(plan: &TrialPlan, control: &mut Control, history: &mut History) {
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
async fn query_record(control: &mut Control, query: &Query, check: CheckId, vars: &Vars) -> CheckRecord {
    let started = Instant::now();
    let needs = query
        .expectations
        .iter()
        .fold(crate::expect::Needs::default(), |all, one| {
            all.and(one.check.needs())
        });
    let (sql, outcome) = match fill(&query.sql, vars) {
        Ok(sql) => {
            let outcome = control.execute(&sql).await;
            (sql, outcome)
        }
        Err(error) => {
            let error = crate::history::SqlError {
                code: 1105,
                sqlstate: "HY000".to_owned(),
                message: error.to_string(),
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
