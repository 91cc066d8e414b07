//! The trials that took longest.

use super::trial_report::TrialReport;

/// The slowest trials, the slowest first, a line for each: how long it took by itself, its outcome, its name.
#[must_use]
pub fn slowest(trials: &[TrialReport], most: usize) -> String {
    let mut ran: Vec<&TrialReport> = trials.iter().filter(|trial| trial.ran.is_some()).collect();
    ran.sort_by_key(|trial| std::cmp::Reverse(trial.took()));
    let mut lines = vec![format!("slowest of {} trials that ran:", ran.len())];
    lines.extend(ran.iter().take(most).map(|trial| {
        let took = trial.took().as_secs_f64();
        format!("{took:>9.3} s  {:<6}  {}", trial.outcome.shown(), trial.name)
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::trial_report::TrialOutcome;
    use super::super::trial_report::samples::nasty;
    use super::*;

    #[test]
    fn the_slowest_comes_first_and_what_did_not_run_is_left_out() {
        let trial = |name: &str, ran: Option<u64>| TrialReport {
            name: name.to_owned(),
            ran: ran.map(Duration::from_millis),
            // What it waited for others is not its own time.
            whole: Duration::from_secs(99),
            ..nasty(TrialOutcome::Passed)
        };
        let trials = [
            trial("quick", Some(3)),
            trial("slow", Some(1_500)),
            trial("ignored", None),
            trial("middle", Some(20)),
        ];
        assert_eq!(
            slowest(&trials, 2),
            "slowest of 3 trials that ran:\n    1.500 s  passed  slow\n    0.020 s  passed  middle"
        );
    }
}
