//! What can be waited for, and what each state may do for those who wait: known before anything runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::history::JobKind;

/// The event of the moment when every connection has had a session, where connections are opened by handlers.
pub const ALL_CONNECTIONS_READY: &str = "all_connections_ready";

/// Something to wait for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// An event that was signalled so often.
    Event {
        /// Its name.
        name: String,
        /// How often, since the trial began.
        times: u32,
    },
    /// A state that a connection has entered.
    State {
        /// The connection's number.
        connection: usize,
        /// The state's number, which is that of its step in the plan.
        state: usize,
    },
    /// All parties of a barrier, by its number in the plan.
    Barrier(usize),
    /// A session of every connection. Only handlers wait for it.
    AllConnected,
    /// A message to the connection that waits. Only handlers wait for it.
    Message,
}

/// What a state, and what can follow it, may do for others: an upper bound, since every branch may be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Events that may be signalled.
    pub events: BTreeSet<String>,
    /// Kinds of jobs whose events may come.
    pub jobs: BTreeSet<JobKind>,
    /// States that may be entered, by their numbers.
    pub states: BTreeSet<usize>,
    /// Barriers that may be reached, by their numbers.
    pub barriers: BTreeSet<usize>,
    /// Whether any event may be signalled, any barrier reached and any message sent: what a handler does, its
    /// code alone says.
    pub anything: bool,
}

impl Effects {
    /// Adds what another may do.
    pub fn union(&mut self, other: &Self) {
        self.events.extend(other.events.iter().cloned());
        self.jobs.extend(&other.jobs);
        self.states.extend(&other.states);
        self.barriers.extend(&other.barriers);
        self.anything |= other.anything;
    }

    /// Whether this event may be signalled.
    #[must_use]
    pub fn may_signal(&self, event: &str) -> bool {
        let word = event.split_once('.').map(|(word, _)| word);
        self.anything
            || self.events.contains(event)
            || word.is_some_and(|word| self.jobs.iter().any(|kind| kind.word() == word))
    }

    /// Whether this barrier may be reached.
    #[must_use]
    pub fn may_reach(&self, barrier: usize) -> bool {
        self.anything || self.barriers.contains(&barrier)
    }
}

/// One state.
#[derive(Debug, Clone, Default)]
pub struct StateNode {
    /// Its name.
    pub name: String,
    /// Its line in the file; none for a state of a program.
    pub line: Option<usize>,
    /// What it does itself and what may come after it.
    pub effects_from: Arc<Effects>,
    /// The same without its own barrier, which has been passed.
    pub effects_past_barrier: Arc<Effects>,
}

/// What is known of all connections before anything runs.
#[derive(Debug, Clone, Default)]
pub struct StateGraph {
    /// All states, by their numbers.
    pub states: Vec<StateNode>,
    /// For each connection what a whole round of its states may do.
    pub rounds: Vec<Arc<Effects>>,
    /// The name of each barrier and how many connections have to be there.
    pub barriers: Vec<(String, u32)>,
}
