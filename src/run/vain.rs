//! Waits that nobody will end: for the lock of a transaction whose connection takes no more steps.
//!
//! Without this each order in which somebody never commits would take the whole limit of whoever waits for it.

use std::time::{Duration, Instant};

use super::control::Control;
use super::script::Script;
use crate::history::{Outcome, SqlValue, Stopped, WaitRule};
use crate::plan::{Action, TrialPlan};
use crate::sql::Product;

/// How long such a wait is watched the first time. A lock that was let go of may go to its waiter a second late:
/// TiDB's embedded store asks for it anew once a second.
const WATCHED: Duration = Duration::from_millis(1_500);
/// How long a commit that waits is watched, of which only its length tells that it does.
const COMMIT_WATCHED: Duration = Duration::from_secs(3);
/// As long a commit tries again at the least that meets a lock (`PrewriteMaxBackoff` of TiKV's client, 40 s, by
/// `tidb_backoff_weight`).
const COMMIT_TRIES: Duration = Duration::from_secs(40);
/// Words of what ends a wait, or the one who is waited for, sooner than the step's own limit.
const SOONER: &[&str] = &[
    "lock_wait_timeout",
    "max_execution_time",
    "idle_transaction_timeout",
    "backoff",
    "wait_timeout",
    "nowait",
    "skip locked",
    "for update wait",
    "get_lock",
    "sleep",
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
    let vars = plan.connections.iter().flat_map(|own| &own.vars);
    let mut names = vars.map(|(name, _)| name.to_ascii_lowercase());
    let mut texts = plan.steps.iter().flat_map(|step| match &step.action {
        Action::Sql(statements) => statements.iter().map(|one| one.text.source()).collect(),
        Action::Prepared(one, _) | Action::Load { statement: one, .. } => vec![one.text.source()],
        _ => Vec::new(),
    });
    let sooner = |text: &str| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ").to_ascii_lowercase();
        // What a variable stands for is not known here.
        text.starts_with("${") || SOONER.iter().any(|word| text.contains(word))
    };
    let plain = plan.steps.iter().all(|step| match step.action {
        Action::Sql(_) | Action::Prepared(..) | Action::Load { .. } | Action::Set | Action::Nothing => true,
        Action::Sleep(_) | Action::Kill { .. } | Action::Disconnect | Action::Reconnect => true,
        Action::Watch(_) | Action::Handler(_) => false,
    });
    plain && !names.any(|name| sooner(&name)) && !texts.any(sooner)
}

impl Script<'_> {
    /// Waits for the answer of somebody who waits, where nobody else can do anything any more, up to the step's
    /// limit; or until it is clear that the wait lasts longer than that.
    pub(super) async fn await_the_last(&mut self, record: usize) -> Result<(), Stopped> {
        let limit = self.plan.steps[self.history.steps[record].step].timeout;
        if !self.may_be_in_vain(limit) {
            self.await_end(record).await;
            return Ok(());
        }
        let place = self.track.place(self.history.steps[record].connection);
        let watched = if self.known.is_in_vain(&place) {
            // Where it was so before, one more look will do.
            Duration::ZERO
        } else if self.busy_are(|rule| matches!(rule, WaitRule::SameLockWaitTwice { .. })) {
            WATCHED
        } else {
            COMMIT_WATCHED
        };
        let until = Instant::now() + watched.min(limit);
        while !self.is_done(record) && Instant::now() < until {
            self.next_report(until).await;
        }
        if self.is_done(record) {
            return Ok(());
        }
        if self.all_wait_for_others().await? {
            self.known.note_in_vain(place);
            self.end_statement(record, limit, true).await;
        } else {
            self.await_end(record).await;
        }
        Ok(())
    }

    /// Whether all who wait do so by such a rule.
    fn busy_are(&self, such: impl Fn(&WaitRule) -> bool) -> bool {
        let mut busy = self.seats.iter().filter_map(|seat| seat.busy);
        busy.all(|record| {
            let wait = self.history.steps[record].wait.as_ref();
            wait.is_some_and(|wait| such(&wait.rule))
        })
    }

    /// Whether all who wait do so for row locks, which only a step or the step's own limit would end.
    fn may_be_in_vain(&self, limit: Duration) -> bool {
        let locks = |rule: &WaitRule| match rule {
            WaitRule::SameLockWaitTwice { .. } => true,
            WaitRule::Committing { .. } => limit < COMMIT_TRIES,
            WaitRule::MetadataLock | WaitRule::NoAnswer { .. } => false,
        };
        self.known.waits_for_its_limit(&self.plan)
            && self.busy_are(locks)
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
            let wait = self.history.steps[record].wait.as_ref();
            let commits = wait.is_some_and(|wait| matches!(wait.rule, WaitRule::Committing { .. }));
            let row = self.row_of(&rows, connection);
            if !row.is_some_and(|row| commits || row.waits())
                || self.candidates(connection, record, &rows).is_empty()
            {
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
