//! The tries of all trials of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::tally::Tally;

/// The tries of all trials of a run, and what is said of them at its end.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    trials: Mutex<BTreeMap<String, Tally>>,
    flaky: Mutex<BTreeMap<String, String>>,
}

impl Rates {
    /// Takes note of a try; returns the trial's tally so far.
    pub fn note(&self, trial: &str, failed: bool, seed: Option<u64>) -> Tally {
        let mut trials = lock(&self.trials);
        let tally = trials.entry(trial.to_owned()).or_default();
        tally.note(failed, seed);
        tally.clone()
    }

    /// Takes note of a trial that passed after it had failed.
    pub fn note_flaky(&self, trial: &str, passed_at: u64, most: u64) {
        let text = format!("flaky: {trial} (passed at try {passed_at} of {most})");
        lock(&self.flaky).insert(trial.to_owned(), text);
    }

    /// The lines for the end of a run that repeats.
    pub fn repeated(&self) -> Vec<String> {
        let trials = lock(&self.trials);
        let only = trials.len() == 1;
        let mut lines: Vec<String> = trials
            .iter()
            .filter(|(_, tally)| only || !tally.failed.is_empty())
            .map(|(name, tally)| format!("{name}: {}", tally.text()))
            .collect();
        if trials.len() > 1 {
            let tries: u64 = trials.values().map(|tally| tally.tries).sum();
            let failed = lines.len();
            lines.push(format!(
                "{tries} tries of {} trials; {failed} of the trials failed at least once",
                trials.len()
            ));
        }
        lines
    }

    /// The lines for flaky trials.
    pub fn flaky(&self) -> Vec<String> {
        lock(&self.flaky).values().cloned().collect()
    }
}

/// A panic elsewhere is told there.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
