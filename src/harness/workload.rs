//! Runs a workload as a trial, and judges it.

use std::sync::Arc;

use super::history_file::HistoryFile;
use super::kept;
use super::runner::{Judged, Runner, Trouble};
use super::server_log::{log_for, log_of_gone};
use crate::history::History;
use crate::plan::TrialPlan;
use crate::run::{RunSettings, TrialError, drop_databases};
use crate::server::{ProviderKind, Server};
use crate::verdict::{Verdict, server_left};
use crate::workload::{WorkloadSettings, judge_workload, run_workload};

impl Runner {
    pub(super) async fn judged_workload(
        &self,
        plan: &Arc<TrialPlan>,
        server: &Server,
        own: &[Server],
        number: u64,
    ) -> Result<Box<Judged>, Trouble> {
        let no_file = |error: std::io::Error| {
            let error = TrialError {
                span: None,
                message: format!("cannot write the history: {error}"),
            };
            Trouble::NotRun {
                error,
                server_log: None,
                left: None,
            }
        };
        let ours = server.kind() != ProviderKind::Url;
        let settings = RunSettings {
            live: None,
            timestamps: false,
            database: self.servers.database(),
            keep_databases: self.keep_databases || (ours && !self.drops),
            hold: None,
        };
        let left = self
            .keep_databases
            .then(|| kept::Left::of(plan, server, &settings.database));
        let file = HistoryFile::create(self.histories.as_deref(), &plan.name, number).map_err(no_file)?;
        let usual = WorkloadSettings::default();
        let ran = run_workload(plan, (server, own), &settings, &usual, file.path()).await;
        let ran = match ran {
            Ok(ran) => ran,
            Err(error) => {
                return Err(Trouble::NotRun {
                    error,
                    server_log: log_of_gone(server).await,
                    left: left.map(Box::new),
                });
            }
        };
        let history = History {
            server: server.title(),
            product: server.product(),
            database: settings.database.clone(),
            server_left: self.set_back(plan).await,
            ..History::default()
        };
        let (judging, path) = (Arc::clone(plan), file.path().to_owned());
        // It may take seconds, and others' tasks go on meanwhile.
        let judged = tokio::task::spawn_blocking(move || judge_workload(&judging, ran, &path)).await;
        let mut worked = judged.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let mut findings = std::mem::take(&mut worked.findings);
        findings.extend(server_left(plan, &history.server_left));
        let server_log = log_for(&findings, server).await;
        let passed = findings.is_empty();
        if !passed {
            file.keep().map_err(no_file)?;
        }
        if passed && settings.keep_databases && (!ours || self.drops) {
            drop_databases(plan, server, own, &settings).await;
        }
        let verdict = if passed {
            Verdict::Passed
        } else {
            Verdict::Failed(findings)
        };
        Ok(Box::new(Judged {
            history,
            verdict,
            explored: None,
            workload: Some(Box::new(worked)),
            server_log,
            left: left.filter(|_| !passed),
        }))
    }
}
