//! What the reports of a run are told of one trial: one entry, however often the trial was tried.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libtest_mimic::{Completion, Failed};

use super::runner::{Judged, Trouble};
use super::trial::Job;
use crate::plan::TrialPlan;
use crate::report::{self, Failure, TrialOutcome, TrialReport};
use crate::source::RenderStyle;
use crate::verdict::Finding;

/// The entry of a trial: that of its first try that failed, otherwise that of its last one.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<TrialReport>>);

impl Told {
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

impl Job {
    /// A try was judged.
    pub(super) fn note_judged(
        &self,
        plan: &Arc<TrialPlan>,
        repeat: &str,
        judged: &Judged,
        failure: Option<&Failure<'_>>,
    ) {
        if !self.around.reports.wanted() {
            return;
        }
        let findings = failure.map_or(&[][..], |failure| failure.findings);
        let ran = match &judged.explored {
            Some(explored) => explored.took,
            None => Duration::from_micros(judged.history.took_us),
        };
        self.told.note(TrialReport {
            outcome: match failure {
                Some(_) => TrialOutcome::Failed,
                None => TrialOutcome::Passed,
            },
            failure: failure.map(|failure| report::failure(failure, RenderStyle::PLAIN)),
            findings: report::findings_of(plan, findings),
            ran: Some(ran),
            server: Some(judged.history.server.clone()),
            detail: self.around.reports.wants_details().then(|| {
                let explored = judged.explored.as_deref();
                report::detail(plan, &judged.history, explored).into()
            }),
            ..TrialReport::of_plan(plan, repeat)
        });
    }

    /// A try could not be run.
    pub(super) fn note_trouble(&self, trouble: &Trouble, plan: &Arc<TrialPlan>, repeat: &str) {
        let at = match trouble {
            Trouble::NotRun { error, .. } => error.span,
            Trouble::NoServer(_) => None,
        };
        let finding = at.map(|span| Finding::at(span, trouble.to_string()));
        self.told.note(TrialReport {
            outcome: TrialOutcome::Error,
            failure: Some(self.trouble(trouble, repeat, RenderStyle::PLAIN)),
            findings: report::findings_of(plan, finding.as_slice()),
            ..TrialReport::of_plan(plan, repeat)
        });
    }

    /// The trial has ended.
    pub(super) fn tell_reports(&self, ended: &Result<Completion, Failed>) {
        let told = self.told.lock().take();
        let report = told.unwrap_or_else(|| {
            let nothing = TrialReport::of_plan(&self.plan, &self.repeat);
            match ended {
                // Only what was interrupted has no try.
                Ok(_) => TrialReport {
                    outcome: TrialOutcome::NotRun,
                    reason: Some("interrupted before its first try".to_owned()),
                    ..nothing
                },
                Err(failed) => TrialReport {
                    outcome: TrialOutcome::Error,
                    failure: failed.message().map(str::to_owned),
                    ..nothing
                },
            }
        });
        self.around.reports.end(report);
    }
}
