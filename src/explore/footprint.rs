//! What a step reads, locks and releases, and which steps depend on each other by that.

use std::collections::BTreeSet;

use crate::sql::TransactionMode;

/// What a step has to do with tables and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Tables of which it sees the committed state, now or later in its transaction.
    pub reads: BTreeSet<usize>,
    /// Tables in which it asks for locks.
    pub locks: BTreeSet<usize>,
    /// Tables in which the transaction that it begins locks, if that is pessimistic or may be.
    pub pessimistic_begin_locks: BTreeSet<usize>,
    /// The same, if it is optimistic or may be, or one of three who may wait for each other.
    pub optimistic_begin_locks: BTreeSet<usize>,
    /// Tables in which it releases locks, or commits rows.
    pub releases: BTreeSet<usize>,
    /// Variables of the shared state that it uses.
    pub vars_read: BTreeSet<String>,
    /// Variables that it sets.
    pub vars_written: BTreeSet<String>,
    /// Whether it may have to do with anything.
    pub unknown: bool,
    /// Whether it takes time, or tells the time: while it does, the limits of those who wait go on.
    pub clock: bool,
    /// Whether its transaction holds locks that an error of this step would release, without the step's having to do with
    /// them: it asks for none and releases none, or which they are is not known.
    pub holds_but_idle: bool,
    /// Whether the session has a transaction after it, where the text tells: what the server says then must be the same.
    pub open_after: Option<bool>,
}

impl Footprint {
    /// Whether the order of two steps of different connections may matter.
    pub fn depends_on(&self, other: &Self) -> bool {
        let meet = |one: &BTreeSet<usize>, other: &BTreeSet<usize>| !one.is_disjoint(other);
        let releases = |one: &Self, other: &Self| {
            meet(&one.releases, &other.reads)
                || meet(&one.releases, &other.locks)
                || meet(&one.releases, &other.releases)
        };
        let vars = |one: &Self, other: &Self| {
            !one.vars_written.is_disjoint(&other.vars_read)
                || !one.vars_written.is_disjoint(&other.vars_written)
        };
        let time = |one: &Self, other: &Self| {
            one.clock && (other.clock || !other.locks.is_empty() || !other.releases.is_empty())
        };
        self.unknown
            || other.unknown
            || time(self, other)
            || time(other, self)
            || releases(self, other)
            || releases(other, self)
            || meet(&self.locks, &other.locks)
            || meet(&self.optimistic_begin_locks, &other.pessimistic_begin_locks)
            || meet(&other.optimistic_begin_locks, &self.pessimistic_begin_locks)
            || vars(self, other)
            || vars(other, self)
    }
}

/// What is known of the tables that a plan's statements may touch.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'t> {
    /// The tables of the trial's database.
    pub tables: &'t [String],
    /// Whether foreign keys make statements touch more tables than they name.
    pub tied: bool,
    /// Those that take the time into their rows by themselves.
    pub timed: &'t [String],
    /// What the server begins transactions with, where that is known.
    pub mode: Option<TransactionMode>,
}
