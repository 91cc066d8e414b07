//! The footprints of all steps of a plan: each connection's by its texts, and what they have to do with each other.

use std::collections::BTreeSet;
use std::time::Duration;

use super::footprint::{Footprint, Schema};
use super::sequence::Sequence;
use crate::history::Vars;
use crate::plan::TrialPlan;
use crate::sql::names;

/// A limit of a step that is shorter is one that statements may exceed.
const SHORT: Duration = Duration::from_secs(10);

/// The footprints of all steps.
pub(super) fn footprints(plan: &TrialPlan, schema: Schema<'_>) -> Vec<Footprint> {
    let mut all = vec![Footprint::default(); plan.steps.len()];
    let vars = constants(plan);
    let timed = limits_waits(plan);
    let mut together: Vec<BTreeSet<usize>> = Vec::new();
    let mut anywhere = 0;
    for own in 0..plan.connections.len() {
        let mut sequence = Sequence::new(plan, own, schema, &vars, &mut all);
        sequence.is_timed = timed;
        let mine = plan.steps.iter().enumerate();
        for (number, step) in mine.filter(|(_, step)| step.connection == own) {
            sequence.step(number, step);
        }
        // A transaction that nobody ends is rolled back at the end, when no order matters any more.
        let mine = plan
            .steps
            .iter()
            .zip(&all)
            .filter(|(step, _)| step.connection == own);
        // By connection, which is more than by transaction, and simpler. One with a step of which nothing is known may
        // lock in all tables.
        let mine: Vec<&Footprint> = mine.map(|(_, footprint)| footprint).collect();
        anywhere += usize::from(
            mine.iter()
                .any(|footprint| footprint.unknown && footprint.locks.is_empty()),
        );
        together.push(
            mine.iter()
                .flat_map(|footprint| footprint.locks.iter().copied())
                .collect(),
        );
    }
    merge(&mut all, schema.tables.len(), &together, anywhere);
    all
}

/// Whether waits may end by a limit that is shorter than most statements could be long, or are expected to take so
/// long: then a statement that may take long matters to whoever waits meanwhile.
fn limits_waits(plan: &TrialPlan) -> bool {
    const LIMITS: [&str; 4] = [
        "innodb_lock_wait_timeout",
        "max_execution_time",
        "tidb_idle_transaction_timeout",
        "wait",
    ];
    let is_limit = |name: &str| LIMITS.iter().any(|limit| limit.eq_ignore_ascii_case(name));
    let settings = plan.connections.iter().flat_map(|own| &own.vars);
    let of_servers = plan
        .servers
        .iter()
        .flat_map(|own| own.vars.iter().chain(&own.flags));
    let servers = plan.servers.iter().flat_map(|own| &own.setup);
    let mut statements = plan.setup.iter().chain(servers).chain(plan.statements());
    settings.chain(of_servers).any(|(name, _)| is_limit(name))
        || statements.any(|one| {
            let text = one.text.fill(&plan.vars);
            let names = names(text.as_deref().unwrap_or(one.text.source()));
            names.iter().any(|name| is_limit(name))
        })
        || plan.steps.iter().any(|step| {
            let mut expected = step.expectations.iter();
            step.timeout < SHORT || expected.any(|one| ["within", "at_least"].contains(&one.key))
        })
}

/// The variables that have the same value from the first step to the last.
fn constants(plan: &TrialPlan) -> Vars {
    let mut vars = plan.vars.clone();
    for step in &plan.steps {
        let set = step.set.iter().map(|(name, _)| name);
        for name in set.chain(step.save.iter().map(|one| &one.name)) {
            vars.remove(name);
        }
    }
    vars
}

/// Tables that one connection locks count as one. So many connections may lock in tables that are not known.
fn merge(all: &mut [Footprint], tables: usize, together: &[BTreeSet<usize>], anywhere: usize) {
    let groups = groups(tables, together);
    let lockers = |group: &usize| {
        let own = together.iter();
        own.filter(|tables| tables.iter().any(|table| groups[*table] == *group))
            .count()
            + anywhere
    };
    for footprint in all {
        for set in [
            &mut footprint.reads,
            &mut footprint.locks,
            &mut footprint.pessimistic_begin_locks,
            &mut footprint.optimistic_begin_locks,
            &mut footprint.releases,
        ] {
            *set = set.iter().map(|table| groups[*table]).collect();
        }
        let contended = footprint.pessimistic_begin_locks.iter().copied();
        let contended = contended.filter(|group| lockers(group) > 2);
        footprint.optimistic_begin_locks.extend(contended);
    }
}

/// For each table the first of those that are locked together with it, by whatever chain.
fn groups(tables: usize, together: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut group: Vec<usize> = (0..tables).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for set in together {
            let Some(least) = set.iter().map(|table| group[*table]).min() else {
                continue;
            };
            for table in set {
                changed |= group[*table] != least;
                group[*table] = least;
            }
        }
    }
    group
}
