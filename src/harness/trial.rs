//! Runs one trial for libtest-mimic.

use std::sync::Arc;

use libtest_mimic::{Completion, Failed};

use super::requires;
use super::servers::{Servers, with_causes};
use crate::plan::TrialPlan;
use crate::report::{self, Failure};
use crate::run::{RunSettings, TrialError, run};
use crate::server::{ProviderKind, Server, ServerSpec, Store, engine_answers};
use crate::source::{Diagnostic, RenderStyle, render};
use crate::verdict::{Verdict, judge};

/// How much of the server's log a failure shows.
const LOG_LINES: usize = 20;

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    pub servers: Arc<Servers>,
    pub style: RenderStyle,
    pub repeat: String,
    pub show_output: bool,
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
        let asked = std::env::var_os("TIDB_SCENARIOS_KEEP_DB").is_some_and(|value| !value.is_empty());
        let settings = RunSettings {
            database: self.servers.database(),
            // A server of ours takes them with it, and to drop them is the most expensive part of a trial.
            keep_databases: asked || server.kind() != ProviderKind::Url,
        };
        if asked {
            super::say(&format!(
                "{} keeps its database {}",
                self.plan.name, settings.database
            ));
        }
        let history = match run(Arc::clone(&self.plan), server, own, &settings).await {
            Ok(history) => history,
            Err(error) => return Err(self.trouble(&error, server).await.into()),
        };
        match judge(&self.plan, &history) {
            Verdict::Passed => {
                if self.show_output {
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
                    repeat: self.repeat.clone(),
                };
                Err(report::failure(&failure, self.style).into())
            }
        }
    }

    /// The text for a trial that could not be run: our trouble, not TiDB's.
    async fn trouble(&self, error: &TrialError, server: &Server) -> String {
        let head = format!("the trial could not be run: {}", error.message);
        let mut text = match error.span {
            Some(span) => {
                let problem = Diagnostic::error(span, head).label(span, "at this place");
                render(&self.plan.file, &problem, self.style)
            }
            None => format!("{}: error: {head}", self.plan.file.name()),
        };
        if !server.is_alive().await {
            let log = server.log_tail(LOG_LINES).await.unwrap_or_default();
            text.push_str(&format!("\n\nthe server is gone; the end of its log:\n{log}"));
        }
        text.push_str(&format!("\n\nrun it again: {}", self.repeat));
        report::redact(&text, &self.plan.secrets)
    }
}
