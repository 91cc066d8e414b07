//! What a run of a workload came to, in numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kind::Invariant;
use super::shared::{Shared, lock};
use crate::history::FailedTeardown;
use crate::plan::WorkloadPlan;

/// What happened in a run of a workload, beside its history.
#[derive(Debug, Default)]
pub struct Ran {
    /// The server, such as `embedded TiDB 8.0.11-TiDB-v8.5.4`.
    pub server: String,
    /// Transactions that committed.
    pub ok: u64,
    /// Transactions that did not commit for certain.
    pub failed: u64,
    /// Transactions of which nobody knows.
    pub unknown: u64,
    /// Transactions that met another one at a key.
    pub conflicts: u64,
    /// Reads in transactions that committed.
    pub reads: u64,
    /// How often a transaction was tried again.
    pub retried: u64,
    /// Processes that were replaced by new ones, after an unknown outcome or a lost session.
    pub replaced: u64,
    /// Errors by their numbers: how many, and the text of the first. 0 is an answer that was not understood.
    pub errors: BTreeMap<u16, (u64, String)>,
    /// Why connections could not go on.
    pub ended: Vec<String>,
    /// How often the invariant was broken.
    pub broken: u64,
    /// What broke it first.
    pub broken_first: Option<String>,
    /// How long the transactions took, without the first and the last.
    pub took: Duration,
    /// The limit of the trial, if it was over it.
    pub over_time: Option<Duration>,
    /// Why not all keys could be read at the end.
    pub last_look: Option<String>,
    /// Statements of the teardown that failed.
    pub teardown: Vec<FailedTeardown>,
    /// What must hold in each transaction.
    pub invariant: Option<Invariant>,
}

impl Ran {
    pub(super) fn of(shared: &Shared, took: Duration) -> Self {
        let counts = &shared.counts;
        let get = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        Self {
            ok: get(&counts.ok),
            failed: get(&counts.failed),
            unknown: get(&counts.unknown),
            conflicts: get(&counts.conflicts),
            reads: get(&counts.reads),
            retried: get(&counts.retried),
            replaced: get(&counts.replaced),
            errors: lock(&counts.errors).clone(),
            ended: lock(&counts.ended).clone(),
            took,
            ..Self::default()
        }
    }

    /// Transactions in a second, whatever came of them.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let all = self.ok + self.failed + self.unknown;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let all = all as f64;
        all / self.took.as_secs_f64().max(1e-9)
    }

    /// The numbers as lines of text.
    #[must_use]
    pub(super) fn in_words(&self, plan: &WorkloadPlan) -> String {
        let mut text = format!(
            "{}: {} connections, {} transactions ({} ok, {} failed, {} with an unknown outcome) in {:.1} s, {:.0} a second\n\
             {} met another transaction at a key, {} reads, {} tries after the first",
            plan.kind.name(),
            plan.connections,
            self.ok + self.failed + self.unknown,
            self.ok,
            self.failed,
            self.unknown,
            self.took.as_secs_f64(),
            self.per_second(),
            self.conflicts,
            self.reads,
            self.retried,
        );
        if self.replaced > 0 {
            let _ = write!(text, ", {} processes replaced", self.replaced);
        }
        for (code, (count, message)) in self.errors.iter().filter(|(code, _)| **code > 0) {
            let message: String = message.chars().take(100).collect();
            let _ = write!(text, "\nerror {code}: {count} times, first: {message}");
        }
        if let Some(invariant) = self.invariant {
            let _ = match &self.broken_first {
                Some(first) => write!(
                    text,
                    "\nthe invariant \"{}\" was broken in {} transactions, first: {first}",
                    invariant.what, self.broken
                ),
                None => write!(text, "\nthe invariant \"{}\" held", invariant.what),
            };
        }
        text
    }
}
