//! How many mutants of which kind there were, and what became of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What became of a mutant; over several variants the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The file was refused, so that nothing had to be run.
    Refused,
    /// It went red.
    Caught,
    /// It means the same as what was there, which is known for a reason.
    Same,
    /// It passed.
    Survived,
}

/// The slowest runs that the table names.
const SLOWEST: usize = 8;

#[derive(Debug, Default)]
struct Row {
    made: usize,
    judged: BTreeMap<Fate, usize>,
    run: BTreeMap<Fate, usize>,
}

#[derive(Debug, Default)]
struct Counts {
    kinds: BTreeMap<&'static str, Row>,
    runs: usize,
    slowest: Vec<(Duration, String)>,
}

/// Counts, filled by many trials at once.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Mutex<Counts>,
}

impl Tally {
    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn made(&self, kind: &'static str) {
        self.change(|counts| counts.kinds.entry(kind).or_default().made += 1);
    }

    /// A mutant was judged by the history of the unchanged trial, or refused.
    pub fn judged(&self, kind: &'static str, fate: Fate) {
        self.change(|counts| {
            let row = counts.kinds.entry(kind).or_default();
            *row.judged.entry(fate).or_default() += 1;
        });
    }

    /// A mutant was run, or refused.
    pub fn run(&self, kind: &'static str, fate: Fate) {
        self.change(|counts| {
            let row = counts.kinds.entry(kind).or_default();
            *row.run.entry(fate).or_default() += 1;
        });
    }

    /// One run took this long.
    pub fn took(&self, duration: Duration, mutant: &str, trial: &str) {
        self.change(|counts| {
            counts.runs += 1;
            counts.slowest.push((duration, format!("{mutant} in {trial}")));
            counts.slowest.sort_by(|one, other| other.cmp(one));
            counts.slowest.truncate(SLOWEST);
        });
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut line = |name: &str, cells: [usize; 8]| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
            text.push_str(&format!("{name:<32}{}\n", cells.concat()));
        };
        let cells = |row: &Row| {
            let of = |counts: &BTreeMap<Fate, usize>, fate| counts.get(&fate).copied().unwrap_or(0);
            [
                row.made,
                of(&row.judged, Fate::Refused),
                of(&row.judged, Fate::Caught),
                of(&row.run, Fate::Refused),
                of(&row.run, Fate::Caught),
                of(&row.judged, Fate::Same) + of(&row.run, Fate::Same),
                of(&row.judged, Fate::Survived),
                of(&row.run, Fate::Survived),
            ]
        };
        let mut sum = [0; 8];
        for (kind, row) in &counts.kinds {
            let cells = cells(row);
            for (sum, cell) in sum.iter_mut().zip(cells) {
                *sum += cell;
            }
            line(kind, cells);
        }
        line("all", sum);
        let head = format!(
            "\n{:<32}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}\n",
            "mutants", "made", "refused", "judged", "run:ref.", "run:red", "same", "j.surv.", "r.surv."
        );
        let mut whole = format!("{head}{text}{} runs; the slowest:\n", counts.runs);
        for (took, name) in &counts.slowest {
            whole.push_str(&format!("{:>7.1} s  {name}\n", took.as_secs_f64()));
        }
        whole
    }
}
