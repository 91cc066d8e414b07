//! What the connections of a workload share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::contention::Contention;
use super::recorder::Recorder;
use super::session::Sessions;
use crate::plan::WorkloadPlan;

/// What the connections of a workload share.
pub(super) struct Shared {
    pub plan: WorkloadPlan,
    pub sessions: Arc<dyn Sessions>,
    pub recorder: Recorder,
    pub contention: Contention,
    pub counts: Counts,
    /// Whether the server tells its timestamps.
    pub stamps: bool,
    /// The last value that was given to a writer.
    value: AtomicI64,
    /// The number of the last process.
    process: AtomicI64,
    /// Transactions that have begun, those tried again not counted.
    pub begun: AtomicU64,
    /// Nothing more is to be begun.
    pub stop: AtomicBool,
    /// When nothing more is begun.
    pub until: Option<Instant>,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub ok: AtomicU64,
    pub failed: AtomicU64,
    pub unknown: AtomicU64,
    pub conflicts: AtomicU64,
    pub reads: AtomicU64,
    pub retried: AtomicU64,
    /// Processes that ended with an unknown outcome or a lost session, and were replaced.
    pub replaced: AtomicU64,
    /// Errors by their numbers: how many, and the text of the first.
    pub errors: Mutex<BTreeMap<u16, (u64, String)>>,
    /// How often the invariant was broken, and what was seen first.
    pub broken: Mutex<(u64, Option<String>)>,
    /// Connections that could not go on, each with its reason.
    pub ended: Mutex<Vec<String>>,
}

/// Adds one.
pub(super) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Nothing here can panic half way, so what a panic elsewhere leaves is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        plan: WorkloadPlan,
        sessions: Arc<dyn Sessions>,
        recorder: Recorder,
        stamps: bool,
        until: Option<Instant>,
    ) -> Self {
        Self {
            plan,
            sessions,
            recorder,
            contention: Contention::default(),
            counts: Counts::default(),
            stamps,
            value: AtomicI64::new(0),
            process: AtomicI64::new(0),
            begun: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            until,
        }
    }

    /// A value that nobody has written.
    pub(super) fn next_value(&self) -> i64 {
        self.value.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of a new process.
    pub(super) fn next_process(&self) -> i64 {
        self.process.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn count_error(&self, code: u16, message: &str) {
        let mut errors = lock(&self.counts.errors);
        let (count, _) = errors.entry(code).or_insert_with(|| (0, message.to_owned()));
        *count += 1;
    }
}
