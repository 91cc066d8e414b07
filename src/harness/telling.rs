//! Tells the reports of a run what became of a trial.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Completion, Failed};

use super::runner::{Judged, Trouble};
use super::trial::Job;
use crate::plan::TrialPlan;
use crate::report::{self, Failure, TrialOutcome, TrialReport};
use crate::source::RenderStyle;
use crate::verdict::Finding;

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
        if !self.around.reports.wanted() {
            return;
        }
        let told = self.told.take();
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
