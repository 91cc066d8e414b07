//! Waits that nobody will end: for the lock of a transaction whose connection takes no more steps.
//!
//! Without this each order in which somebody never commits would take the whole limit of whoever waits for it.

use std::time::{Duration, Instant};

use super::control::Control;
use super::script::Script;
use crate::history::{Outcome, SqlValue, Stopped, WaitRule};
use crate::lock_wait::TrxRow;
use crate::plan::{Action, TrialPlan};
use crate::sql::Product;

/// How long such a wait is watched. A lock that was let go of may go to its waiter a second late: TiDB's embedded
/// store asks for it anew once a second.
const WATCHED: Duration = Duration::from_millis(1_500);
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

impl Control {
    /// Asks after how long the server itself ends a wait, or a session that does nothing, at the soonest.
    pub async fn ask_patience(&mut self) {
        if self.connection.product() != Product::TiDb {
            return;
        }
        let names = LIMITS.iter().map(|(name, _)| format!("@@global.{name}"));
        let names = names.collect::<Vec<_>>().join(", ");
        if let Outcome::Rows(set) = self.execute(&format!("select {names}")).await
            && let Some(row) = set.rows.first()
        {
            self.patience = patience(row);
        }
    }
}

/// The soonest of the limits; none where one of them is not known.
fn patience(row: &[SqlValue]) -> Option<Duration> {
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
pub(super) fn waits_for_its_limit(plan: &TrialPlan) -> bool {
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

impl Script<'_> {
    /// Waits for the answer of somebody who waits, where nobody else can do anything any more, up to the step's
    /// limit; or until it is clear that the wait lasts longer than that.
    pub(super) async fn await_the_last(&mut self, record: usize) -> Result<(), Stopped> {
        let limit = self.plan.steps[self.history.steps[record].step].timeout;
        // A limit as short as that is waited for.
        if limit <= WATCHED || !self.may_be_in_vain(limit) {
            self.await_end(record).await;
            return Ok(());
        }
        let until = Instant::now() + WATCHED;
        while !self.is_done(record) && Instant::now() < until {
            self.next_report(until).await;
        }
        if self.is_done(record) {
            return Ok(());
        }
        if self.all_wait_for_others().await? {
            self.end_statement(record, limit, true).await;
        } else {
            self.await_end(record).await;
        }
        Ok(())
    }

    /// Whether all who wait do so for row locks, as the server shows, which only a step or the step's own limit
    /// would end. Of a commit that waits the server shows no lock, so that it may as well be a slow one.
    fn may_be_in_vain(&self, limit: Duration) -> bool {
        let locks = |record: usize| {
            let record = &self.history.steps[record];
            let wait = record.wait.as_ref();
            let mut expected = self.plan.steps[record.step].expectations.iter();
            // How long it takes is asked for.
            let timed = expected.any(|one| ["within", "at_least"].contains(&one.key));
            !timed && wait.is_some_and(|wait| matches!(wait.rule, WaitRule::SameLockWaitTwice { .. }))
        };
        self.known.waits_for_its_limit(&self.plan)
            && self.seats.iter().filter_map(|seat| seat.busy).all(locks)
            && self.seats.iter().all(|seat| {
                let patience = self.controls[seat.control].patience;
                patience.is_some_and(|patience| patience > limit)
            })
    }

    /// Whether the server shows that each who waits still does, while somebody holds it back.
    async fn all_wait_for_others(&mut self) -> Result<bool, Stopped> {
        for connection in self.busy() {
            let Some(record) = self.seats[connection].busy else {
                continue;
            };
            let rows = self.rows(self.seats[connection].control).await?;
            let waits = self.row_of(&rows, connection).is_some_and(TrxRow::waits);
            if !waits || self.candidates(connection, record, &rows).is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_limit_counts_and_0_is_none() {
        let row = |values: [i128; 4]| values.map(SqlValue::Int);
        assert_eq!(patience(&row([50, 0, 0, 28_800])), Some(Duration::from_secs(50)));
        assert_eq!(
            patience(&row([50, 2_000, 0, 28_800])),
            Some(Duration::from_secs(2))
        );
        assert_eq!(patience(&row([50, 0, 9, 28_800])), Some(Duration::from_secs(9)));
        assert_eq!(patience(&row([50, 0, 0, 28_800])[..3]), None, "one is not known");
        assert_eq!(
            patience(&[SqlValue::Null, SqlValue::Null, SqlValue::Null, SqlValue::Null]),
            None
        );
    }
}
