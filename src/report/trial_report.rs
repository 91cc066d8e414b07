//! What every report tells of one trial: plain data, without escapes of a terminal and without passwords.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::plan::TrialPlan;
use crate::source::{Diagnostic, SourceFile};
use crate::sql::redact;
use crate::verdict::Finding;

/// What became of a trial, for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrialOutcome {
    /// Everything held.
    Passed,
    /// An expectation was not met.
    Failed,
    /// It could not be judged: the file is not valid, there is no server, something before the first step did not work.
    Error,
    /// The server does not have what the trial requires.
    Ignored,
    /// The run was interrupted before it began.
    NotRun,
}

impl TrialOutcome {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [
        Self::Error,
        Self::Failed,
        Self::NotRun,
        Self::Ignored,
        Self::Passed,
    ];

    /// The word for it, for people.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            other => other.word(),
        }
    }

    /// The word for it in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Ignored => "ignored",
            Self::NotRun => "not_run",
        }
    }

    /// Whether it makes the run fail.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

/// One thing that did not hold, or one mistake of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingReport {
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
    /// One line: expected …, got ….
    pub message: String,
    /// Said at that place.
    pub label: String,
    /// More lines, such as a table of rows.
    pub detail: Option<String>,
}

/// One run of one trial.
#[derive(Debug, Clone)]
pub struct TrialReport {
    /// The whole name, variant included.
    pub name: String,
    /// What it shows; empty where the file could not be read.
    pub title: String,
    /// The file, as it was named.
    pub file: String,
    /// Each axis of the matrix with the value's short form.
    pub variant: Vec<(String, String)>,
    /// For everything that is left to chance; none where the file could not be planned.
    pub seed: Option<u64>,
    /// The command that runs it again.
    pub repeat: String,
    /// What became of it.
    pub outcome: TrialOutcome,
    /// Why it was ignored or not run.
    pub reason: Option<String>,
    /// The text of the failure.
    pub failure: Option<String>,
    /// What did not hold.
    pub findings: Vec<FindingReport>,
    /// When it was begun.
    pub started: Option<SystemTime>,
    /// From its beginning to its end, with what it waited for: its turn, the run's server.
    pub whole: Duration,
    /// How long its connections and final checks took; of a trial with `permutations`, all interleavings.
    pub ran: Option<Duration>,
    /// The server, such as `embedded TiDB 8.0.11-TiDB-v8.5.4`.
    pub server: Option<String>,
    /// The text of the file, for the page; none where it has mistakes, and so nobody knows what in it is secret.
    pub source: Option<Arc<SourceFile>>,
    /// Texts that nobody may see.
    pub secrets: Vec<String>,
    /// What the page shows when the trial is opened, as JSON.
    pub detail: Option<Arc<str>>,
}

/// What all trials of a run have in common.
#[derive(Debug, Clone, Default)]
pub struct RunWith {
    /// The interleaving that was asked for.
    pub order: Option<String>,
    /// The steps that were left out of it.
    pub without: Option<String>,
    /// Whether sessions were asked for timestamps after each statement.
    pub timestamps: bool,
    /// Whether the databases of trials that fail were kept.
    pub keep_databases: bool,
}

impl TrialReport {
    /// One of a planned trial; it has not been run.
    #[must_use]
    pub fn of_plan(plan: &TrialPlan, repeat: &str) -> Self {
        Self {
            title: plan.title.clone(),
            variant: plan.variant.clone(),
            seed: Some(plan.seed),
            repeat: repeat.to_owned(),
            source: Some(Arc::clone(&plan.file)),
            secrets: plan.secrets.clone(),
            ..Self::new(&plan.name, plan.file.name())
        }
    }

    /// One of a file with mistakes.
    #[must_use]
    pub fn of_broken(name: &str, file: &SourceFile, problems: &[Diagnostic]) -> Self {
        let mut sorted: Vec<&Diagnostic> = problems.iter().filter(|one| one.is_error()).collect();
        sorted.sort_by_key(|problem| problem.span());
        let found = sorted.iter().map(|problem| {
            let place = problem.span().map(|span| file.place(span.start));
            let label = problem.labels.first().map(|label| label.text.clone());
            FindingReport {
                line: place.as_ref().map_or(1, |place| place.line),
                column: place.as_ref().map_or(1, |place| place.column),
                message: problem.message.clone(),
                label: label.unwrap_or_default(),
                detail: problem.help.clone(),
            }
        });
        Self {
            findings: found.collect(),
            outcome: TrialOutcome::Error,
            ..Self::new(name, file.name())
        }
    }

    fn new(name: &str, file: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: String::new(),
            file: file.to_owned(),
            variant: Vec::new(),
            seed: None,
            repeat: String::new(),
            outcome: TrialOutcome::NotRun,
            reason: None,
            failure: None,
            findings: Vec::new(),
            started: None,
            whole: Duration::ZERO,
            ran: None,
            server: None,
            source: None,
            secrets: Vec::new(),
            detail: None,
        }
    }

    /// Where to look first: what did not hold, or the file's beginning.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        let first = self.findings.first();
        first.map_or((1, 1), |finding| (finding.line, finding.column))
    }

    /// What went wrong, in a line.
    #[must_use]
    pub fn headline(&self) -> String {
        let first = self.findings.first().map(|finding| finding.message.as_str());
        let line = |text: &str| {
            let mut lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.next().unwrap_or_default().to_owned()
        };
        let text = first.or(self.failure.as_deref()).or(self.reason.as_deref());
        let text = line(text.unwrap_or_default());
        match self.findings.len() {
            0 | 1 => text,
            more => format!("{text} (and {} more)", more - 1),
        }
    }

    /// How long it took by itself, where that is known.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ran.unwrap_or(self.whole)
    }
}

/// Findings at their lines, with the passwords taken out.
#[must_use]
pub fn findings_of(plan: &TrialPlan, findings: &[Finding]) -> Vec<FindingReport> {
    let clean = |text: &str| redact(text, &plan.secrets);
    let found = findings.iter().map(|finding| {
        let place = plan.file.place(finding.span.start);
        FindingReport {
            line: place.line,
            column: place.column,
            message: clean(&finding.message),
            label: clean(&finding.label),
            detail: finding.detail.as_deref().map(clean),
        }
    });
    found.collect()
}

#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// Text that breaks whoever does not escape: the end of CDATA and of a script, escapes of a terminal, control
    /// characters, quotes, line ends.
    pub const NASTY: &str = "]]> </script><script>alert(1)</script> \u{1b}[31mred\u{1b}[0m \u{0}\u{8} \"q\" 'a' & %0A\r\n::error::x";

    /// A trial with this outcome, whose texts are all [`NASTY`].
    pub fn nasty(outcome: TrialOutcome) -> TrialReport {
        TrialReport {
            title: NASTY.to_owned(),
            variant: vec![(NASTY.to_owned(), NASTY.to_owned())],
            seed: Some(u64::MAX),
            repeat: NASTY.to_owned(),
            outcome,
            reason: Some(NASTY.to_owned()),
            failure: outcome.is_bad().then(|| NASTY.to_owned()),
            findings: vec![FindingReport {
                line: 3,
                column: 5,
                message: NASTY.to_owned(),
                label: NASTY.to_owned(),
                detail: Some(NASTY.to_owned()),
            }],
            started: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
            whole: Duration::from_millis(1_500),
            ran: Some(Duration::from_millis(250)),
            server: Some(NASTY.to_owned()),
            ..TrialReport::new(NASTY, "a/b, c:d.yaml")
        }
    }
}
