//! The steps of connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Coordinator;
use crate::history::{StepEnd, StepRecord, Went};

impl Coordinator {
    /// Adds the record of a step that begins; returns its number.
    pub fn begin_step(&self, record: StepRecord) -> usize {
        self.log().begin(record)
    }

    /// Adds the record of a handler's statement, if there is room; returns its number for [`Self::end_step`].
    pub fn begin_statement(&self, connection: usize, text: &str) -> usize {
        let state = self.waits().state(connection);
        let record = StepRecord {
            step: state.unwrap_or_default(),
            connection,
            text: text.to_owned(),
            started_us: self.now_us(),
            ..StepRecord::default()
        };
        self.log().begin_statement(record)
    }

    /// A handler's wait for others lasted so long: its next statement has waited for it.
    pub fn add_waited(&self, connection: usize, waited_us: u64) {
        *self.log().waited_us.entry(connection).or_default() += waited_us;
    }

    /// Changes the record of a step.
    pub fn change_step(&self, number: usize, change: impl FnOnce(&mut StepRecord)) {
        if let Some(record) = self.log().records.get_mut(number) {
            change(record);
        }
    }

    /// Looks at the steps, in the order in which they began.
    pub fn look_at_steps<T>(&self, look: impl FnOnce(&[StepRecord]) -> T) -> T {
        look(&self.log().records)
    }

    /// A step has ended, and its connection went there.
    pub fn end_step(&self, connection: usize, number: usize, end: StepEnd, went: Went) {
        let retried = matches!(went, Went::Retry { .. });
        self.log().end(connection, number, end, went);
        if retried && let Some(record) = self.lock().connections.get_mut(connection) {
            record.retries += 1;
        }
    }

    /// A handler tries again after such a pause: a transaction after an error of its last statement, or connecting.
    pub fn retried(&self, connection: usize, pause: Duration) {
        let mut shared = self.lock();
        let Some(record) = shared.connections.get_mut(connection) else {
            return;
        };
        record.retries += 1;
        let number = record.retries;
        drop(shared);
        let mut log = self.log();
        let last = log.records.iter_mut().rfind(|step| step.connection == connection);
        let failed = |step: &&mut StepRecord| step.end.as_ref().is_some_and(|end| end.outcome.is_error());
        if let Some(step) = last.filter(failed) {
            step.went = Went::Retry {
                number,
                pause_us: u64::try_from(pause.as_micros()).unwrap_or(u64::MAX),
            };
        }
    }

    /// Of how many handlers' statements a record is kept.
    pub fn record_at_most(&self, statements: usize) {
        self.log().statements_max = statements;
    }

    /// A connection's step is over its limit: of a list of statements no other one is to be run; or it begins one.
    pub fn set_over_limit(&self, connection: usize, over: bool) {
        let mut log = self.log();
        if over {
            log.over_limit.insert(connection);
        } else {
            log.over_limit.remove(&connection);
        }
    }

    /// Whether a connection's step is over its limit.
    pub fn is_over_limit(&self, connection: usize) -> bool {
        self.log().over_limit.contains(&connection)
    }

    /// The connections of which the server says that their statements wait.
    pub fn set_blocked(&self, blocked: BTreeSet<usize>) {
        self.log().blocked = blocked;
    }

    /// The connections that were given to [`Self::set_blocked`] last.
    #[must_use]
    pub fn blocked(&self) -> BTreeSet<usize> {
        self.log().blocked.clone()
    }

    /// Connections with a statement that has run for so long, each with the number of its record.
    #[must_use]
    pub fn slow(&self, at_least: Duration) -> BTreeMap<usize, usize> {
        let now_us = self.now_us();
        let log = self.log();
        let slow = log.running.iter().filter(|(_, number)| {
            let record = log.records.get(**number);
            let for_us = record.map_or(0, |record| now_us.saturating_sub(record.started_us));
            u128::from(for_us) >= at_least.as_micros()
        });
        slow.map(|(connection, number)| (*connection, *number)).collect()
    }

    /// How long ago a step began, in microseconds.
    #[must_use]
    pub fn since_start_us(&self, number: usize) -> u64 {
        let now_us = self.now_us();
        let log = self.log();
        let record = log.records.get(number);
        record.map_or(0, |record| now_us.saturating_sub(record.started_us))
    }
}
