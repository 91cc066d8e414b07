//! The steps of connections: those that have ended, and those that run; and what the connections do at the moment.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{StepEnd, StepRecord, Went};

/// How many statements of handlers are recorded, where nobody says otherwise: a test that runs for hours shall not
/// fill the memory.
pub const STATEMENTS_MAX: usize = 100_000;

/// Steps as they are recorded.
#[derive(Debug, Default)]
pub(super) struct StepLog {
    /// In the order in which they began.
    pub records: Vec<StepRecord>,
    /// At most so many statements of handlers.
    pub statements_max: usize,
    /// Statements of handlers beyond it.
    pub unrecorded: u64,
    /// Connections that run one, with the number of its record.
    pub running: BTreeMap<usize, usize>,
    /// How long connections have waited for others since their last statement, in microseconds.
    pub waited_us: BTreeMap<usize, u64>,
    /// Connections whose step was over its limit, so that it is to go no further.
    pub over_limit: BTreeSet<usize>,
    /// Connections that have closed their session themselves.
    pub closed: BTreeSet<usize>,
    /// Connections whose statement the server says is waiting for a lock.
    pub blocked: BTreeSet<usize>,
}

/// The number of a statement that is not recorded.
pub(super) const UNRECORDED: usize = usize::MAX;

impl StepLog {
    /// Begins again.
    pub fn clear(&mut self) {
        *self = Self {
            statements_max: self.statements_max,
            ..Self::default()
        };
    }

    /// A step begins; its number comes back.
    pub fn begin(&mut self, record: StepRecord) -> usize {
        let number = self.records.len();
        self.running.insert(record.connection, number);
        self.records.push(record);
        number
    }

    /// The same for a statement of a handler.
    pub fn begin_statement(&mut self, mut record: StepRecord) -> usize {
        record.waited_us = self.waited_us.remove(&record.connection).unwrap_or_default();
        if self.records.len() < self.statements_max {
            return self.begin(record);
        }
        self.unrecorded += 1;
        self.running.insert(record.connection, UNRECORDED);
        UNRECORDED
    }

    /// A step has ended, and its connection went there.
    pub fn end(&mut self, connection: usize, number: usize, end: StepEnd, went: Went) {
        self.running.remove(&connection);
        if let Some(record) = self.records.get_mut(number) {
            record.end = Some(end);
            record.went = went;
        }
    }
}
