//! The state that connections share.

use std::collections::BTreeMap;

use crate::history::{ConnectionRecord, EventRecord, JobKind, JobRecord, SqlValue, Vars};

/// What connections share, as it is at one moment; at the end it is a part of the history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SharedState {
    /// What has become of each connection, in the plan's order, or in that in which they were added.
    pub connections: Vec<ConnectionRecord>,
    /// Variables of all.
    pub vars: Vars,
    /// Each connection's own variables.
    pub(super) own: Vec<Vars>,
    /// Events in the order in which they came.
    pub events: Vec<EventRecord>,
    /// Recorded values by series, each with its time.
    pub series: BTreeMap<String, Vec<(u64, SqlValue)>>,
    /// Jobs that are watched, in the order in which they were first seen.
    pub jobs: Vec<JobRecord>,
}

impl SharedState {
    /// The connection of this name.
    #[must_use]
    pub fn connection(&self, name: &str) -> Option<&ConnectionRecord> {
        self.connections.iter().find(|connection| connection.name == name)
    }

    /// A connection's own variable, if it has a value.
    #[must_use]
    pub fn own(&self, connection: usize, name: &str) -> Option<SqlValue> {
        self.own.get(connection)?.get(name).cloned()
    }

    /// All variables; a connection's own have its name before them: `alice.balance`.
    #[must_use]
    pub fn all_vars(&self) -> Vars {
        let mut all = self.vars.clone();
        for (record, own) in self.connections.iter().zip(&self.own) {
            let named = own.iter();
            all.extend(named.map(|(name, value)| (format!("{}.{name}", record.name), value.clone())));
        }
        all
    }

    /// Whether an event has come.
    #[must_use]
    pub fn has_event(&self, name: &str) -> bool {
        self.events.iter().any(|event| event.name == name)
    }

    /// The values of a series; none where nothing was recorded.
    pub fn values<'s>(&'s self, series: &str) -> impl Iterator<Item = &'s SqlValue> + use<'s> {
        let values = self.series.get(series).into_iter().flatten();
        values.map(|(_, value)| value)
    }

    /// A job that is watched.
    #[must_use]
    pub fn job(&self, kind: JobKind, id: i128) -> Option<&JobRecord> {
        self.jobs.iter().find(|job| job.kind == kind && job.id == id)
    }
}
