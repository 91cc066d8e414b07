//! Workloads on a real TiDB: what is expected of their histories, and what is found where the database is wrong.
//!
//! One embedded server is started for all tests; what makes it wrong stands between it and the workload.

mod cost;
mod expectations;
mod wrong;
mod wrong_database;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use tidb_scenarios::engine::{
    Between, PlanInput, RunSettings, SourceFile, TrialPlan, Worked, WorkloadSettings, judge_workload, plan,
    run_workload,
};
use tidb_scenarios::server::{Progress, ProviderKind, Server, ServerSettings, ServerSpec};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let settings = ServerSettings {
        progress: Progress::Silent,
        ..ServerSettings::default()
    };
    let spec = ServerSpec::default();
    let server = Server::start(&settings, ProviderKind::Embedded, &spec);
    RUNTIME.block_on(server).expect("a server")
});
static DATABASES: AtomicUsize = AtomicUsize::new(0);

/// The only trial of a file.
fn trial_of(text: &str) -> Arc<TrialPlan> {
    let planned = plan(Arc::new(SourceFile::new("t.yaml", text)), &PlanInput::default());
    let mistakes: Vec<&str> = planned.problems.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(mistakes, [""; 0], "{text}");
    let mut trials = planned.trials;
    assert_eq!(trials.len(), 1, "{text}");
    Arc::new(trials.remove(0))
}

/// The only trial of a workload with these expectations.
fn trial(workload: &str, expect: &str) -> Arc<TrialPlan> {
    trial_of(&format!(
        "scenario: x\nworkload: {{{workload}}}\nexpect: {{{expect}}}\n"
    ))
}

/// A run and what it came to; its history is in the folder.
struct Run {
    plan: Arc<TrialPlan>,
    worked: Worked,
    folder: TempDir,
}

impl Run {
    /// Everything that did not hold, in one text.
    fn told(&self) -> String {
        let lines = self.worked.findings.iter().map(|finding| {
            let detail = finding.detail.as_deref().unwrap_or_default();
            format!("{}\n{}\n{detail}", finding.message, finding.label)
        });
        let lines: Vec<String> = lines.chain([self.worked.summary.clone()]).collect();
        lines.join("\n")
    }

    fn messages(&self) -> Vec<&str> {
        let findings = self.worked.findings.iter();
        findings.map(|finding| finding.message.as_str()).collect()
    }

    fn has(&self, anomaly: &str) -> bool {
        self.worked.anomalies.iter().any(|found| found == anomaly)
    }

    /// Judges the same run by other expectations.
    fn judged_by(&self, workload: &str, expect: &str) -> Vec<String> {
        let plan = trial(workload, expect);
        assert_eq!(
            plan.workload().map(|own| own.kind),
            self.plan.workload().map(|own| own.kind)
        );
        // The counts of the run are of the run; what is read again is its history.
        let ran = tidb_scenarios::engine::Ran {
            ok: self.worked.ran.ok,
            conflicts: self.worked.ran.conflicts,
            reads: self.worked.ran.reads,
            ..Default::default()
        };
        let worked = judge_workload(&plan, ran, &self.worked.file);
        worked
            .findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }
}

fn run(workload: &str, expect: &str) -> Run {
    run_between(workload, expect, None)
}

fn run_between(workload: &str, expect: &str, between: Option<Between>) -> Run {
    run_trial(trial(workload, expect), between)
}

fn run_file(text: &str, between: Option<Between>) -> Run {
    run_trial(trial_of(text), between)
}

/// Runs a workload, with something between it and the server.
fn run_trial(plan: Arc<TrialPlan>, between: Option<Between>) -> Run {
    let number = DATABASES.fetch_add(1, Ordering::Relaxed);
    let settings = RunSettings {
        database: format!("workloads_{}_{number}", std::process::id()),
        keep_databases: false,
        hold: None,
        live: None,
        timestamps: false,
    };
    let more = WorkloadSettings {
        between,
        ..WorkloadSettings::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("history.jsonl");
    let server: &Server = &SERVER;
    let ran = RUNTIME.block_on(run_workload(&plan, (server, &[]), &settings, &more, &file));
    let ran = ran.unwrap_or_else(|error| panic!("{error}"));
    let worked = judge_workload(&plan, ran, &file);
    Run { plan, worked, folder }
}
