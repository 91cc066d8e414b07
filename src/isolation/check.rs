//! What the anomalies of a history mean for a level.

use super::analyze::{analyze, only_timestamps};
use super::anomaly::AnomalySet;
use super::builder::Unusable;
use super::finding::Finding;
use super::history::History;
use super::models::{Level, Model};

/// Everything that was found in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// One for each kind of anomaly, the gravest first.
    pub findings: Vec<Finding>,
    /// What could not be decided, in sentences.
    pub undecided: Vec<String>,
    /// Transactions known to have committed.
    pub committed: usize,
    /// Those with an unknown outcome that a read has proven to be committed.
    pub proven: usize,
    /// Reads that were compared with their timestamp.
    pub timestamped_reads: usize,
    /// Edges between transactions.
    pub edges: usize,
}

/// A history and a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the history was held to.
    pub level: Level,
    /// What refutes it; none if it holds.
    pub refutes: Vec<Finding>,
    /// Other anomalies, which the level allows.
    pub allowed: Vec<Finding>,
    /// The strongest models that nothing refutes.
    pub strongest: Vec<Model>,
    /// What could not be decided, in sentences.
    pub undecided: Vec<String>,
}

impl Report {
    /// Whether the level holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.refutes.is_empty()
    }
}

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The history contradicts itself, or says too little.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The level cannot be told of this history.
    #[error("{0}")]
    Level(String),
}

/// Holds a history to a level.
///
/// # Errors
/// A history that can't be judged, or `promised` where its header doesn't say of which mode.
pub fn check(history: &History, level: Level) -> Result<Report, CheckError> {
    level.forbids(history.header()).map_err(CheckError::Level)?;
    let analysis = if level == Level::Timestamps {
        only_timestamps(history)?
    } else {
        analyze(history)?
    };
    analysis.report(history, level)
}

impl Analysis {
    /// The anomalies.
    #[must_use]
    pub fn anomalies(&self) -> AnomalySet {
        let names = self
            .findings
            .iter()
            .flat_map(|finding| std::iter::once(finding.anomaly).chain(finding.also.iter().copied()));
        AnomalySet::of(names)
    }

    /// Whether a model is not refuted.
    #[must_use]
    pub fn holds(&self, model: Model) -> bool {
        model.forbids().intersection(self.anomalies()).is_empty()
    }

    /// The strongest models that are not refuted.
    #[must_use]
    pub fn strongest(&self) -> Vec<Model> {
        let holding: Vec<Model> = Model::all().filter(|model| self.holds(*model)).collect();
        let is_implied = |model: &Model| {
            holding
                .iter()
                .any(|other| other != model && other.implies(*model))
        };
        holding
            .iter()
            .copied()
            .filter(|model| !is_implied(model))
            .collect()
    }

    /// What it means for a level.
    ///
    /// # Errors
    /// `promised` where the history's header doesn't say of which mode, `timestamps` where there are none.
    pub fn report(&self, history: &History, level: Level) -> Result<Report, CheckError> {
        let forbidden = level.forbids(history.header()).map_err(CheckError::Level)?;
        if level == Level::Timestamps && self.timestamped_reads == 0 {
            return Err(CheckError::Level(
                "no read has a timestamp to be judged by: give `start_ts` and `commit_ts`, or a `ts` of the read"
                    .to_owned(),
            ));
        }
        let is_refuting = |finding: &Finding| {
            forbidden.contains(finding.anomaly) || finding.also.iter().any(|also| forbidden.contains(*also))
        };
        let (refutes, allowed) = self.findings.iter().cloned().partition(is_refuting);
        Ok(Report {
            level,
            refutes,
            allowed,
            strongest: self.strongest(),
            undecided: self.undecided.clone(),
        })
    }
}
