//! Starvation: a wait for the lock of a transaction whose connection takes no more steps.
//!
//! Without this each schedule in which a connection never commits would take the whole limit of the step that waits for
//! it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Outcome, SqlValue, Stopped, WaitRule};
use crate::plan::{Action, ControlId, TrialPlan};
use crate::run::{Control, Controls, Driver};
use crate::sql::Product;

/// Words of what ends a wait, or the transaction that is waited for, sooner than the step's own limit: in a statement,
/// or in the name of a setting.
const SOONER: &[&str] = &[
    "wait",
    "max_execution_time",
    "timeout",
    "ttl",
    "init_connect",
    "binding",
    "resource",
    "runaway",
    "skip locked",
    "get_lock",
    "sleep",
    "prepare",
];
/// The variables that do so, with how many of them make a second; 0 says that there is no limit.
const LIMITS: &[(&str, u64)] = &[
    ("innodb_lock_wait_timeout", 1),
    ("max_execution_time", 1_000),
    ("tidb_idle_transaction_timeout", 1),
    ("wait_timeout", 1),
];

/// What is known of how long a wait can last that nobody ends.
#[derive(Debug, Default)]
pub(super) struct Starvation {
    /// Whether nothing in the file ends a wait sooner than a step's own limit.
    waits_for_its_limit: bool,
    /// After how long each server ends a wait, or a session that does nothing, at the soonest, where that is known.
    min_server_timeouts: BTreeMap<ControlId, Duration>,
}

impl Starvation {
    /// Asks the servers, and looks at the file.
    pub async fn find(plan: &TrialPlan, controls: &mut Controls) -> Self {
        let mut min_server_timeouts = BTreeMap::new();
        for id in controls.ids() {
            if let Some(timeout) = asked(&mut controls[id]).await {
                min_server_timeouts.insert(id, timeout);
            }
        }
        Self {
            waits_for_its_limit: waits_for_its_limit(plan),
            min_server_timeouts,
        }
    }

    /// Waits for the answer of a blocked step, where nobody else can do anything any more, up to the step's limit; or
    /// until it is clear that the wait lasts longer than that.
    pub async fn await_end(&self, driver: &mut Driver<'_>, record: usize) -> Result<(), Stopped> {
        let limit = driver.step_of(record).timeout;
        if !self.may_starve(driver, limit) {
            driver.await_end(record).await;
            return Ok(());
        }
        if all_are_held(driver).await? {
            driver.end_statement(record, limit, true).await;
        } else {
            driver.await_end(record).await;
        }
        Ok(())
    }

    /// Whether all blocked steps are so for row locks, as the server shows, which only a step or the step's own limit
    /// would end.
    fn may_starve(&self, driver: &Driver<'_>, limit: Duration) -> bool {
        let locks = |record: usize| {
            let mut expected = driver.step_of(record).expectations.iter();
            // How long it takes is asked for.
            let timed = expected.any(|one| ["within", "at_least"].contains(&one.key));
            let rule = driver.wait_of(record).map(|wait| wait.rule);
            !timed && rule == Some(WaitRule::RowLock)
        };
        self.waits_for_its_limit
            && driver.sessions.iter().filter_map(|slot| slot.running).all(locks)
            && driver.sessions.iter().all(|slot| {
                let timeout = self.min_server_timeouts.get(&slot.control);
                timeout.is_some_and(|timeout| *timeout > limit)
            })
    }
}

/// Whether the server shows that each blocked step is so still, while somebody holds it back.
async fn all_are_held(driver: &mut Driver<'_>) -> Result<bool, Stopped> {
    for connection in driver.running() {
        let Some(record) = driver.sessions[connection].running else {
            continue;
        };
        if driver.is_blocked(record).await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks after how long the server itself ends a wait, or a session that does nothing, at the soonest.
async fn asked(control: &mut Control) -> Option<Duration> {
    if control.connection.product() != Product::TiDb {
        return None;
    }
    let names = LIMITS.iter().map(|(name, _)| format!("@@global.{name}"));
    let names = names.collect::<Vec<_>>().join(", ");
    match control.execute(&format!("select {names}")).await {
        Outcome::Rows(set) => min_server_timeout(set.rows.first()?),
        _ => None,
    }
}

/// The soonest of the limits; none where one of them is not known.
fn min_server_timeout(row: &[SqlValue]) -> Option<Duration> {
    let limits = LIMITS
        .iter()
        .enumerate()
        .map(|(number, (_, of_a_second))| match row.get(number) {
            Some(SqlValue::Int(0)) => Some(Duration::MAX),
            Some(SqlValue::Int(value)) => {
                let value = u64::try_from(*value).ok()?;
                Some(Duration::from_millis(value.saturating_mul(1_000 / of_a_second)))
            }
            _ => None,
        });
    limits.collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// Whether nothing in the file ends a wait, or a transaction that is open, sooner than a step's own limit.
fn waits_for_its_limit(plan: &TrialPlan) -> bool {
    let settings = plan.connections.iter().flat_map(|own| &own.vars);
    let settings = settings.chain(
        plan.servers
            .iter()
            .flat_map(|own| own.vars.iter().chain(&own.flags)),
    );
    let mut names = settings.map(|(name, _)| name.as_str());
    let servers = plan.servers.iter().flat_map(|own| &own.setup);
    let setup = plan.setup.iter().chain(servers);
    let mut statements = setup.chain(plan.statements());
    let plain = plan.steps.iter().all(|step| match step.action {
        Action::Sql(_) | Action::Prepared(..) | Action::Load { .. } | Action::Set | Action::Nothing => true,
        Action::Sleep(_) | Action::Kill { .. } | Action::Disconnect | Action::Reconnect => true,
        Action::Watch(_) | Action::Handler(_) => false,
    });
    plain
        && !names.any(ends_sooner)
        && !statements.any(|one| {
            // What only a run fills in is a value in most cases, and then its text is nothing of all this.
            let text = one.text.fill(&plan.vars);
            ends_sooner(text.as_deref().unwrap_or(one.text.source()))
        })
}

fn ends_sooner(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_ascii_lowercase();
    SOONER.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_limit_counts_and_0_is_none() {
        let row = |values: [i128; 4]| values.map(SqlValue::Int);
        assert_eq!(
            min_server_timeout(&row([50, 0, 0, 28_800])),
            Some(Duration::from_secs(50))
        );
        assert_eq!(
            min_server_timeout(&row([50, 2_000, 0, 28_800])),
            Some(Duration::from_secs(2))
        );
        assert_eq!(
            min_server_timeout(&row([50, 0, 9, 28_800])),
            Some(Duration::from_secs(9))
        );
        assert_eq!(
            min_server_timeout(&row([50, 0, 0, 28_800])[..3]),
            None,
            "one is not known"
        );
        assert_eq!(
            min_server_timeout(&[SqlValue::Null, SqlValue::Null, SqlValue::Null, SqlValue::Null]),
            None
        );
    }
}
