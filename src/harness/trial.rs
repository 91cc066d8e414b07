//! One trial of libtest-mimic.

use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::{Completion, Failed};

use super::history_file::file_stem;
use super::kept::{Left, kept};
use super::live::View;
use super::runner::{Ended, Judged, Runner, Trouble};
use crate::plan::{ChosenOrder, TrialPlan};
use crate::report::{self, Failure};
use crate::source::{Diagnostic, RenderStyle, render};
use crate::verdict::Verdict;

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
}

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    pub around: Around,
    /// The command that runs just this trial.
    pub repeat: String,
}

impl Job {
    pub async fn run(self) -> Result<Completion, Failed> {
        let ended = self.ended().await;
        // The result's line comes next.
        self.around.view.make_room();
        ended
    }

    async fn ended(&self) -> Result<Completion, Failed> {
        let judged = match self.around.runner.run(&self.plan).await {
            Ok(Ended::Judged(judged)) => judged,
            Ok(Ended::Ignored(reason)) => return Ok(Completion::ignored_with(reason)),
            Err(trouble) => return Err(self.trouble(&trouble).into()),
        };
        let written = self.write(&judged)?;
        match &judged.verdict {
            Verdict::Passed => {
                if self.around.show.passed {
                    let shown = match (&judged.explored, &judged.workload) {
                        (Some(explored), _) => report::orders(&self.plan, explored),
                        (None, Some(worked)) => worked.summary.clone(),
                        (None, None) => report::timeline(&self.plan, &judged.history),
                    };
                    super::output::say(&format!("{}\n{shown}", self.plan.name));
                }
                Ok(Completion::Completed)
            }
            Verdict::Failed(findings) => {
                let failure = Failure {
                    plan: &self.plan,
                    history: &judged.history,
                    findings,
                    explored: judged.explored.as_deref(),
                    workload: judged.workload.as_ref().map(|worked| worked.summary.as_str()),
                    server_log: judged.server_log.clone(),
                    written,
                    kept: judged.left.as_ref().map(|left| self.kept(left)),
                    repeat: self.repeat.clone(),
                };
                Err(report::failure(&failure, self.around.show.style).into())
            }
        }
    }

    /// Writes the history, where that is asked for; returns the file's path.
    fn write(&self, judged: &Judged) -> Result<Option<String>, Failed> {
        let Some(folder) = &self.around.history else {
            return Ok(None);
        };
        let path = folder.join(format!("{}.json", file_stem(&self.plan.name)));
        let text = report::record(
            &self.plan,
            &judged.history,
            &judged.verdict,
            judged.explored.as_deref(),
            judged.workload.as_ref().map(|worked| worked.json()),
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
    fn trouble(&self, trouble: &Trouble) -> String {
        let (span, server_log, left) = match trouble {
            Trouble::NoServer(reason) => return reason.clone(),
            Trouble::NotRun {
                error,
                server_log,
                left,
            } => (error.span, server_log, left),
        };
        let mut text = match span {
            Some(span) => {
                let problem = Diagnostic::error(span, trouble.to_string()).label(span, "at this place");
                render(&self.plan.file, &problem, self.around.show.style)
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
        report::redact(&text, &self.plan.secrets)
    }
}
