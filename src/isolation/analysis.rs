//! Everything that was found in a history, and the models that this leaves.

use super::anomaly::AnomalySet;
use super::finding::Finding;
use super::models::Model;

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
}
