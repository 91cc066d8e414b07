//! One trial of libtest-mimic.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Completion, Failed};

use super::kept::{Left, kept};
use super::live::View;
use super::reports::Reports;
use super::runner::{Ended, Judged, Runner, Trouble};
use crate::plan::{ChosenOrder, TrialPlan};
use crate::report::{self, Failure, TimelineShow, TrialOutcome, TrialReport};
use crate::source::{Diagnostic, RenderStyle, render};
use crate::sql::redact;
use crate::verdict::{Finding, Verdict};

/// What is shown of a trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub style: RenderStyle,
    /// The timeline of a trial that passed, too.
    pub passed: bool,
}

/// What all trials of a run have in common.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub runner: Runner,
    pub show: Show,
    pub view: Arc<View>,
    /// The folder that takes the histories.
    pub history: Option<PathBuf>,
    /// The one order that was asked for.
    pub order: Option<ChosenOrder>,
    /// How timelines are shown.
    pub timeline: TimelineShow,
    /// What becomes of each trial is told to them.
    pub reports: Arc<Reports>,
}

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    pub around: Around,
    /// The command that runs just this trial.
    pub repeat: String,
}

impl Job {
    pub async fn run(self) -> Result<Completion, Failed> {
        self.around.reports.begin(&self.plan.name);
        let ended = self.ended().await;
        // The result's line comes next.
        self.around.view.make_room();
        ended
    }

    async fn ended(&self) -> Result<Completion, Failed> {
        let judged = match self.around.runner.run(&self.plan).await {
            Ok(Ended::Judged(judged)) => judged,
            Ok(Ended::Ignored(reason)) => {
                self.around.reports.end(TrialReport {
                    outcome: TrialOutcome::Ignored,
                    reason: Some(redact(&reason, &self.plan.secrets)),
                    ..self.report()
                });
                return Ok(Completion::ignored_with(reason));
            }
            Err(trouble) => {
                self.tell_trouble(&trouble);
                return Err(self.trouble(&trouble, self.around.show.style).into());
            }
        };
        let written = match self.write(&judged) {
            Ok(written) => written,
            Err(problem) => {
                self.around.reports.end(TrialReport {
                    outcome: TrialOutcome::Error,
                    failure: Some(problem.clone()),
                    ..self.report()
                });
                return Err(problem.into());
            }
        };
        match &judged.verdict {
            Verdict::Passed => {
                if self.around.show.passed {
                    let how = &self.around.timeline;
                    let shown = match &judged.explored {
                        Some(explored) => report::orders(&self.plan, explored, how),
                        None => report::timeline_shown(&self.plan, &judged.history, how),
                    };
                    super::output::say(&format!("{}\n{shown}", self.plan.name));
                }
                self.tell(&judged, None);
                Ok(Completion::Completed)
            }
            Verdict::Failed(findings) => {
                let failure = Failure {
                    plan: &self.plan,
                    history: &judged.history,
                    findings,
                    explored: judged.explored.as_deref(),
                    server_log: judged.server_log.clone(),
                    written,
                    timeline: self.around.timeline.clone(),
                    kept: judged.left.as_ref().map(|left| self.kept(left)),
                    repeat: self.repeat.clone(),
                };
                self.tell(&judged, Some(&failure));
                Err(report::failure(&failure, self.around.show.style).into())
            }
        }
    }

    fn report(&self) -> TrialReport {
        TrialReport::of_plan(&self.plan, &self.repeat)
    }

    /// Tells the reports of a trial that was judged.
    fn tell(&self, judged: &Judged, failure: Option<&Failure<'_>>) {
        if !self.around.reports.wanted() {
            return;
        }
        let findings = failure.map_or(&[][..], |failure| failure.findings);
        let ran = match &judged.explored {
            Some(explored) => explored.took,
            None => Duration::from_micros(judged.history.took_us),
        };
        self.around.reports.end(TrialReport {
            outcome: match failure {
                Some(_) => TrialOutcome::Failed,
                None => TrialOutcome::Passed,
            },
            failure: failure.map(|failure| report::failure(failure, RenderStyle::PLAIN)),
            findings: report::findings_of(&self.plan, findings),
            ran: Some(ran),
            server: Some(judged.history.server.clone()),
            detail: self.around.reports.wants_details().then(|| {
                let explored = judged.explored.as_deref();
                report::detail(&self.plan, &judged.history, explored).into()
            }),
            ..self.report()
        });
    }

    /// Tells them of one that could not be run.
    fn tell_trouble(&self, trouble: &Trouble) {
        let at = match trouble {
            Trouble::NotRun { error, .. } => error.span,
            Trouble::NoServer(_) => None,
        };
        let finding = at.map(|span| Finding::at(span, trouble.to_string()));
        self.around.reports.end(TrialReport {
            outcome: TrialOutcome::Error,
            failure: Some(self.trouble(trouble, RenderStyle::PLAIN)),
            findings: report::findings_of(&self.plan, finding.as_slice()),
            ..self.report()
        });
    }

    /// Writes the history, where that is asked for; returns the file's path.
    fn write(&self, judged: &Judged) -> Result<Option<String>, String> {
        let Some(folder) = &self.around.history else {
            return Ok(None);
        };
        let name = self.plan.name.replace("::", "__").replace(['/', '\\'], "_");
        let path = folder.join(format!("{name}.json"));
        let text = report::record(
            &self.plan,
            &judged.history,
            &judged.verdict,
            judged.explored.as_deref(),
        );
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("cannot write the history to {}: {error}", path.display()))?;
        Ok(Some(path.display().to_string()))
    }

    fn kept(&self, left: &Left) -> String {
        kept(
            &self.plan,
            left,
            &self.around.runner.servers.settings,
            &self.repeat,
        )
    }

    /// The text for a trial that could not be run: our trouble, not TiDB's.
    fn trouble(&self, trouble: &Trouble, style: RenderStyle) -> String {
        let (span, server_log, left) = match trouble {
            Trouble::NoServer(reason) => return redact(reason, &self.plan.secrets),
            Trouble::NotRun {
                error,
                server_log,
                left,
            } => (error.span, server_log, left),
        };
        let mut text = match span {
            Some(span) => {
                let problem = Diagnostic::error(span, trouble.to_string()).label(span, "at this place");
                render(&self.plan.file, &problem, style)
            }
            None => format!("{}: error: {trouble}", self.plan.file.name()),
        };
        if let Some(log) = server_log {
            text.push_str(&format!("\n\nthe server is gone; the end of its log:\n{log}"));
        }
        if let Some(left) = left {
            text.push_str(&format!("\n\n{}", self.kept(left)));
        }
        text.push_str(&format!("\n\nrun it again: {}", self.repeat));
        redact(&text, &self.plan.secrets)
    }
}
