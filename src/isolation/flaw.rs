//! Anomalies that are no cycles, the first few of each kind.

use super::anomaly::Anomaly;

/// An anomaly of one transaction's reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) anomaly: Anomaly,
    pub(super) transaction: u32,
    pub(super) operation: u32,
    /// The write, or the read, that it has to do with, or `NONE`.
    pub(super) other: u32,
}

/// So many flaws of one kind are kept; all are counted.
const KEPT: usize = 8;

/// Flaws, the first few of each kind.
#[derive(Debug, Default)]
pub(super) struct Flaws {
    pub(super) kinds: Vec<(Anomaly, usize, Vec<Flaw>)>,
}

impl Flaws {
    pub(super) fn add(&mut self, flaw: Flaw) {
        let found = self
            .kinds
            .iter_mut()
            .find(|(anomaly, ..)| *anomaly == flaw.anomaly);
        if let Some((_, count, kept)) = found {
            *count += 1;
            if kept.len() < KEPT {
                kept.push(flaw);
            }
        } else {
            self.kinds.push((flaw.anomaly, 1, vec![flaw]));
        }
    }
}
