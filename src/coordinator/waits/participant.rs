//! What one connection does at the moment, as far as others wait for it.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::oneshot;

use super::graph::Wanted;
use crate::history::WaitFailure;

/// A wait that ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsatisfied {
    /// What was waited for, in words.
    pub wanted: String,
    /// Why the wait ended.
    pub failure: WaitFailure,
    /// A line for each connection that could have satisfied it.
    pub reasons: Vec<String>,
    /// The deadlock cycle: the connections that wait for each other, each with what it waits for, if they do.
    pub cycle: Vec<String>,
}

/// How a wait ends.
pub type WaitEnd = Result<(), Unsatisfied>;

/// What a connection does after a wait that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It ends.
    Ends,
    /// It goes on, and may do anything: a handler. At this time its limit is over.
    GoesOn(Instant),
}

/// What a connection does.
#[derive(Debug, Default)]
pub(super) enum Activity {
    /// It works.
    #[default]
    Running,
    /// It waits.
    Waiting {
        wanted: Wanted,
        after_failure: AfterFailure,
        end: oneshot::Sender<WaitEnd>,
    },
    /// It has ended; `failed` says why, where it did not complete.
    Ended { failed: Option<String> },
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Participant {
    pub activity: Activity,
    /// The number of its state; none before the first.
    pub state: Option<usize>,
    /// Whether it has passed the barrier of its state.
    pub past_barrier: bool,
    /// Whether another round follows this one.
    pub again: bool,
    /// Whether it has had a session.
    pub connected: bool,
    /// Whether a message waits for it.
    pub has_mail: bool,
    /// The states that it has entered.
    pub entered: BTreeSet<usize>,
}

impl Participant {
    pub fn has_ended(&self) -> bool {
        matches!(self.activity, Activity::Ended { .. })
    }

    pub fn is_running(&self) -> bool {
        matches!(self.activity, Activity::Running)
    }

    /// What it waits for.
    pub fn wanted(&self) -> Option<&Wanted> {
        match &self.activity {
            Activity::Waiting { wanted, .. } => Some(wanted),
            Activity::Running | Activity::Ended { .. } => None,
        }
    }

    /// When the limit of its wait is over, if it waits and goes on after a failure.
    pub fn recovers_at(&self) -> Option<Instant> {
        match &self.activity {
            Activity::Waiting {
                after_failure: AfterFailure::GoesOn(limit),
                ..
            } => Some(*limit),
            Activity::Waiting { .. } | Activity::Running | Activity::Ended { .. } => None,
        }
    }

    pub fn is_at(&self, barrier: usize) -> bool {
        self.wanted() == Some(&Wanted::Barrier(barrier))
    }
}
