//! Runs one trial for libtest-mimic.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed};

use super::kept::kept;
use super::requires;
use super::servers::{Servers, with_causes};
use crate::plan::TrialPlan;
use crate::report::{self, Failure};
use crate::run::{RunSettings, TrialError, drop_databases, run};
use crate::server::{Server, ServerSpec, Store, engine_answers};
use crate::source::{Diagnostic, RenderStyle, render};
use crate::verdict::{Verdict, judge};

/// How much of the server's log a failure shows.
const LOG_LINES: usize = 20;

/// What is shown of a trial, and what is left to look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub style: RenderStyle,
    /// The timeline of a trial that passed, too.
    pub passed: bool,
    /// The databases of a trial that failed.
    pub keep_databases: bool,
}

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    pub servers: Arc<Servers>,
    pub show: Show,
    /// The command that runs just this trial.
    pub repeat: String,
}

impl Job {
    pub async fn run(self) -> Result<Completion, Failed> {
        // A serial trial waits until no other runs, and then nobody else starts.
        let (_alone, _among) = if self.plan.serial {
            (Some(self.servers.alone.write().await), None)
        } else {
            (None, Some(self.servers.alone.read().await))
        };
        if self.plan.requires.docker && !engine_answers().await {
            return Ok(Completion::ignored_with(requires::NO_ENGINE));
        }
        let server = self.servers.shared().await.map_err(Failed::from)?;
        if let Some(reason) = requires::missing(&self.plan, &server).await {
            return Ok(Completion::ignored_with(reason));
        }
        let mut own = Vec::new();
        let mut result = Ok(());
        for wanted in &self.plan.servers {
            let store = if wanted.persistent {
                Store::Persistent
            } else {
                Store::Memory
            };
            let spec = ServerSpec {
                store,
                flags: wanted.flags.clone(),
                vars: wanted.vars.clone(),
            };
            match Server::start(&self.servers.settings, server.kind(), &spec).await {
                Ok(server) => own.push(server),
                Err(error) => {
                    result = Err(Failed::from(format!(
                        "server `{}`: {}",
                        wanted.name,
                        with_causes(&error)
                    )));
                    break;
                }
            }
        }
        if result.is_ok() {
            result = self.judged(&server, &own).await;
            if result.is_err() && !server.is_alive().await {
                self.servers.give_up(&server).await;
            }
        }
        for server in own {
            if let Err(error) = server.stop().await {
                super::say(&format!("warning: {}", with_causes(&error)));
            }
        }
        result.map(|()| Completion::Completed)
    }

    async fn judged(&self, server: &Server, own: &[Server]) -> Result<(), Failed> {
        let settings = RunSettings {
            database: self.servers.database(),
            keep_databases: self.show.keep_databases,
        };
        let result = self.run_and_judge(server, own, &settings).await;
        if result.is_ok() && settings.keep_databases {
            drop_databases(&self.plan, server, own, &settings).await;
        }
        result
    }

    async fn run_and_judge(
        &self,
        server: &Server,
        own: &[Server],
        settings: &RunSettings,
    ) -> Result<(), Failed> {
        let kept = settings.keep_databases.then(|| {
            kept(
                &self.plan,
                server,
                &settings.database,
                &self.servers.settings,
                &self.repeat,
            )
        });
        let history = match run(Arc::clone(&self.plan), server, own, settings).await {
            Ok(history) => history,
            Err(error) => return Err(self.trouble(&error, server, kept).await.into()),
        };
        match judge(&self.plan, &history) {
            Verdict::Passed => {
                if self.show.passed {
                    super::say(&format!(
                        "{}\n{}",
                        self.plan.name,
                        report::timeline(&self.plan, &history)
                    ));
                }
                Ok(())
            }
            Verdict::Failed(findings) => {
                let blame = findings.iter().any(|finding| finding.server) || !server.is_alive().await;
                let server_log = if blame {
                    server.log_tail(LOG_LINES).await
                } else {
                    None
                };
                let failure = Failure {
                    plan: &self.plan,
                    history: &history,
                    findings: &findings,
                    server_log,
                    kept,
                    repeat: self.repeat.clone(),
                };
                Err(report::failure(&failure, self.show.style).into())
            }
        }
    }

    /// The text for a trial that could not be run: our trouble, not TiDB's.
    async fn trouble(&self, error: &TrialError, server: &Server, kept: Option<String>) -> String {
        let head = format!("the trial could not be run: {}", error.message);
        let mut text = match error.span {
            Some(span) => {
                let problem = Diagnostic::error(span, head).label(span, "at this place");
                render(&self.plan.file, &problem, self.show.style)
            }
            None => format!("{}: error: {head}", self.plan.file.name()),
        };
        if !server.is_alive().await {
            let log = server.log_tail(LOG_LINES).await.unwrap_or_default();
            text.push_str(&format!("\n\nthe server is gone; the end of its log:\n{log}"));
        }
        if let Some(kept) = kept {
            text.push_str(&format!("\n\n{kept}"));
        }
        text.push_str(&format!("\n\nrun it again: {}", self.repeat));
        report::redact(&text, &self.plan.secrets)
    }
}
