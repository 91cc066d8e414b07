//! What the reports of a run are told of one trial: one entry, however often the trial was tried.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::report::{TrialOutcome, TrialReport};

/// The entry of a trial: that of its first try that failed, otherwise that of its last one.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<TrialReport>>);

impl Told {
    /// What is known, to be taken when the trial has ended.
    pub fn take(&self) -> Option<TrialReport> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<TrialReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A try has ended.
    pub fn note(&self, report: TrialReport) {
        let mut told = self.lock();
        let failed =
            |report: &TrialReport| matches!(report.outcome, TrialOutcome::Failed | TrialOutcome::Error);
        if !told.as_ref().is_some_and(failed) {
            *told = Some(report);
        }
    }

    /// A line below the text of the failure.
    pub fn add(&self, line: &str) {
        if let Some(failure) = self.lock().as_mut().and_then(|told| told.failure.as_mut()) {
            failure.push_str("\n\n");
            failure.push_str(line);
        }
    }

    /// The trial passed after tries that failed.
    pub fn flaky(&self, passed_at: u64, most: u64, is_failure: bool) {
        if let Some(told) = self.lock().as_mut() {
            told.reason = Some(format!("flaky: passed at try {passed_at} of {most}"));
            if !is_failure {
                told.outcome = TrialOutcome::Passed;
                told.failure = None;
                told.findings.clear();
            }
        }
    }
}
