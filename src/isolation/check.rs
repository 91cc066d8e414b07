//! What the anomalies of a history mean for a level.

use super::analysis::Analysis;
use super::analyze::{analyze, only_timestamps};
use super::builder::Unusable;
use super::finding::Finding;
use super::history::History;
use super::models::{Level, Model};

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
