//! One trial of libtest-mimic.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed};

use super::kept::{Left, kept};
use super::runner::{Ended, Runner, Trouble};
use crate::plan::TrialPlan;
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

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    pub runner: Runner,
    pub show: Show,
    /// The command that runs just this trial.
    pub repeat: String,
}

impl Job {
    pub async fn run(self) -> Result<Completion, Failed> {
        let judged = match self.runner.run(&self.plan).await {
            Ok(Ended::Judged(judged)) => judged,
            Ok(Ended::Ignored(reason)) => return Ok(Completion::ignored_with(reason)),
            Err(trouble) => return Err(self.trouble(&trouble).into()),
        };
        match &judged.verdict {
            Verdict::Passed => {
                if self.show.passed {
                    super::say(&format!(
                        "{}\n{}",
                        self.plan.name,
                        report::timeline(&self.plan, &judged.history)
                    ));
                }
                Ok(Completion::Completed)
            }
            Verdict::Failed(findings) => {
                let failure = Failure {
                    plan: &self.plan,
                    history: &judged.history,
                    findings,
                    server_log: judged.server_log.clone(),
                    kept: judged.left.as_ref().map(|left| self.kept(left)),
                    repeat: self.repeat.clone(),
                };
                Err(report::failure(&failure, self.show.style).into())
            }
        }
    }

    fn kept(&self, left: &Left) -> String {
        kept(&self.plan, left, &self.runner.servers.settings, &self.repeat)
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
                render(&self.plan.file, &problem, self.show.style)
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
