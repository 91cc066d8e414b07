//! Judges a run of a workload by the file of its history.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::client::is_conflict;
use super::summary::Ran;
use crate::isolation::{
    Analysis, Anomaly, AnomalySet, Finding as Found, Level, analyze, read_history, render_finding,
};
use crate::plan::{TrialPlan, WorkloadPlan};
use crate::source::Span;
use crate::verdict::{Finding, teardown};

/// What a workload came to.
#[derive(Debug)]
pub struct Worked {
    /// What happened, in numbers.
    pub ran: Ran,
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// The anomalies that were found, by their names.
    pub anomalies: Vec<String>,
    /// The numbers, the anomalies, and what could not be decided, as lines of text.
    pub summary: String,
    /// The file of the history.
    pub file: PathBuf,
}

impl Worked {
    /// The numbers as JSON, with the file of the history.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let ran = &self.ran;
        let errors = ran.errors.iter();
        let errors = errors.map(|(code, (count, _))| (code.to_string(), (*count).into()));
        serde_json::json!({
            "history": self.file.display().to_string(),
            "ok": ran.ok,
            "failed": ran.failed,
            "unknown": ran.unknown,
            "conflicts": ran.conflicts,
            "reads": ran.reads,
            "retried": ran.retried,
            "replaced": ran.replaced,
            "errors": errors.collect::<serde_json::Map<_, _>>(),
            "broken": ran.broken,
            "anomalies": self.anomalies,
            "took_us": u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

/// Judges a run; its history is read from the file, as `check-history` does.
#[must_use]
pub fn judge_workload(plan: &TrialPlan, ran: Ran, file: &Path) -> Worked {
    let mut judge = Judge {
        file,
        findings: Vec::new(),
        analysis: None,
    };
    let mut summary = String::new();
    if let Some(workload) = plan.workload() {
        judge.run(workload, &ran);
        judge.history(workload);
        judge.invariant(workload, &ran);
        summary = ran.in_words(workload);
    }
    judge.findings.extend(teardown(plan, &ran.teardown));
    let mut anomalies = Vec::new();
    if let Some(analysis) = &judge.analysis {
        let names = |found: &Found| {
            let also = found.also.iter().map(|also| format!(", {also}"));
            format!("{}{}", found.anomaly, also.collect::<String>())
        };
        let shown: Vec<String> = analysis.findings.iter().map(names).collect();
        if shown.is_empty() {
            summary.push_str("\nno anomalies");
        } else {
            summary.push_str(&format!("\nanomalies: {}", shown.join("; ")));
        }
        for sentence in &analysis.undecided {
            summary.push_str(&format!("\nnot decided: {sentence}"));
        }
        let all = analysis.findings.iter().flat_map(of_finding);
        anomalies.extend(all.map(|anomaly| anomaly.to_string()));
    }
    Worked {
        ran,
        findings: judge.findings,
        anomalies,
        summary,
        file: file.to_owned(),
    }
}

/// All names of a finding.
fn of_finding(found: &Found) -> impl Iterator<Item = Anomaly> {
    std::iter::once(found.anomaly).chain(found.also.iter().copied())
}

struct Judge<'a> {
    file: &'a Path,
    findings: Vec<Finding>,
    analysis: Option<Analysis>,
}

impl Judge<'_> {
    fn add(&mut self, span: Span, message: String, label: &str) -> &mut Finding {
        let mut finding = Finding::at(span, message);
        finding.label = label.to_owned();
        self.findings.push(finding);
        self.findings.last_mut().expect("just pushed")
    }

    /// Whether enough has happened, and nothing that no workload expects.
    fn run(&mut self, plan: &WorkloadPlan, ran: &Ran) {
        if let Some(limit) = ran.over_time {
            let message = format!(
                "the workload was over the limit of the trial, {limit:?}, after {} transactions",
                ran.ok + ran.failed + ran.unknown
            );
            self.add(
                plan.span,
                message,
                "write a longer `timeout`, or fewer `transactions`",
            );
        }
        for reason in &ran.ended {
            let message = format!("a connection could not go on: {reason}");
            self.add(plan.span, message, "in this workload").server = true;
        }
        if let Some(reason) = &ran.last_look {
            let message = format!("not all keys could be read at the end: {reason}");
            self.add(plan.span, message, "in this workload");
        }
        let expected = |code: u16| is_conflict(code) || matches!(code, 1317 | 8028);
        for (code, (count, text)) in ran.errors.iter().filter(|(code, _)| !expected(**code)) {
            let message = match code {
                0 => format!("{count} answers could not be understood, the first: {text}"),
                code => format!("{count} transactions failed with error {code}, the first: {text}"),
            };
            self.add(plan.span, message, "no workload expects this error");
        }
        let counts = [
            (ran.ok, plan.expect.ok, "transactions that commit"),
            (
                ran.conflicts,
                plan.expect.conflicts,
                "transactions that meet another one at a key",
            ),
            (ran.reads, plan.expect.reads, "reads in transactions that commit"),
        ];
        for (got, (least, span), what) in counts {
            if got < least {
                let label = if span == plan.span {
                    "this is the default of `at_least`: with less, the run says too little"
                } else {
                    "`at_least` does not hold"
                };
                self.add(
                    span,
                    format!("expected at least {least} {what}, got {got}"),
                    label,
                );
            }
        }
    }

    fn history(&mut self, plan: &WorkloadPlan) {
        let history = match File::open(self.file).map_err(crate::isolation::ReadError::Io) {
            Ok(file) => read_history(BufReader::with_capacity(1 << 20, file), None),
            Err(error) => Err(error),
        };
        let history = match history {
            Ok(history) => history,
            Err(error) => {
                let message = format!("the history cannot be read: {error}");
                self.add(plan.span, message, "in this workload");
                return;
            }
        };
        let analysis = match analyze(&history) {
            Ok(analysis) => analysis,
            Err(unusable) => {
                let message = format!("the history cannot be judged: {unusable}");
                self.add(plan.span, message, "in this workload");
                return;
            }
        };
        let (level, span) = plan.expect.level;
        // Undecided where there is nothing to decide by, such as timestamps that the server does not tell.
        if let Err(error) = analysis.report(&history, level) {
            self.add(span, format!("{level} cannot be judged: {error}"), "this level");
        }
        let forbidden = level.forbids(history.header()).unwrap_or_default();
        let commands = self.commands(plan, level);
        for found in &analysis.findings {
            self.found(plan, found, forbidden, &commands);
        }
        for (anomaly, span) in &plan.expect.present {
            if !analysis
                .findings
                .iter()
                .flat_map(of_finding)
                .any(|one| one == *anomaly)
            {
                let others: Vec<String> = analysis
                    .findings
                    .iter()
                    .map(|found| found.anomaly.to_string())
                    .collect();
                let others = match others.as_slice() {
                    [] => "no anomaly was found".to_owned(),
                    others => format!("found: {}", others.join(", ")),
                };
                let finding = self.add(
                    *span,
                    format!("expected to find {anomaly} ({}), and did not", anomaly.words()),
                    &others,
                );
                finding.detail = Some(commands.clone());
            }
        }
        self.analysis = Some(analysis);
    }

    fn found(&mut self, plan: &WorkloadPlan, found: &Found, forbidden: AnomalySet, commands: &str) {
        let (level, level_span) = plan.expect.level;
        let detail = Some(format!("{}{commands}", render_finding(found)));
        let name = found.also.first().unwrap_or(&found.anomaly);
        let shown = format!("{} ({})", found.anomaly, name.words());
        if of_finding(found).any(|one| forbidden.contains(one)) {
            let label = if level_span == plan.span {
                "what TiDB promises in this mode (the default of `isolation`)"
            } else {
                "this level does not hold"
            };
            let finding = self.add(level_span, format!("{level} does not hold: {shown}"), label);
            finding.detail = detail;
            return;
        }
        let Some((allowed, span)) = plan.expect.allowed else {
            return;
        };
        let wanted = |one: Anomaly| {
            allowed.contains(one) || plan.expect.present.iter().any(|(present, _)| *present == one)
        };
        if !of_finding(found).any(wanted) {
            let finding = self.add(
                span,
                format!("an anomaly that is not allowed: {shown}"),
                "these are allowed, and no others",
            );
            finding.detail = detail;
        }
    }

    /// What the workload itself has seen, and what the checker finds, are two witnesses of the same run.
    fn invariant(&mut self, plan: &WorkloadPlan, ran: &Ran) {
        let (Some(invariant), Some(analysis)) = (ran.invariant, &self.analysis) else {
            return;
        };
        let breaks = invariant.model.forbids();
        let is_found = analysis
            .findings
            .iter()
            .any(|found| of_finding(found).any(|one| breaks.contains(one)));
        let is_total_wrong = analysis
            .findings
            .iter()
            .any(|found| of_finding(found).any(|one| one == Anomaly::WrongTotal));
        let message = match &ran.broken_first {
            Some(first) if !is_found => format!(
                "the invariant \"{}\" was broken, and the history shows no anomaly that explains it: {first}",
                invariant.what
            ),
            None if is_total_wrong => format!(
                "the history shows a wrong total, and no transaction has seen the invariant \"{}\" broken",
                invariant.what
            ),
            _ => return,
        };
        let finding = self.add(plan.span, message, "one of the two is wrong");
        let level = Level::Model(invariant.model);
        finding.detail = Some(String::new());
        let commands = self.commands(plan, level);
        if let Some(last) = self.findings.last_mut() {
            last.detail = Some(commands);
        }
    }

    /// Where the history is, and how it is checked again.
    fn commands(&self, plan: &WorkloadPlan, level: Level) -> String {
        let level = match level {
            Level::Model(model) => model.to_string().replace(' ', "-"),
            Level::Promised => "promised".to_owned(),
            Level::Timestamps => "timestamps".to_owned(),
        };
        let file = self.file.display().to_string();
        // As a shell wants it.
        let plain = |c: char| c.is_alphanumeric() || "/._-+:=".contains(c);
        let word = if file.chars().all(plain) {
            file.clone()
        } else {
            format!("'{}'", file.replace('\'', "'\\''"))
        };
        format!(
            "history: {file}\ncheck it again: tidb-scenarios check-history {word} --isolation {level}\nseed: {}",
            plan.seed
        )
    }
}
