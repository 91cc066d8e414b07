//! How many mutants of which kind there were, and what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::mutants::{Area, Mutant};

/// What became of a mutant; over several variants the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It passed, since nothing happened of which it speaks: a state that was not come to.
    Idle,
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
/// So many of those that spoke of nothing are named.
const IDLE: usize = 200;

#[derive(Debug, Default)]
struct Row {
    made: usize,
    judged: BTreeMap<Fate, usize>,
    run: BTreeMap<Fate, usize>,
}

#[derive(Debug, Default)]
struct Counts {
    kinds: BTreeMap<(Area, &'static str), Row>,
    runs: usize,
    slowest: Vec<(Duration, String)>,
    idle: BTreeSet<String>,
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

    pub fn made(&self, mutant: &Mutant) {
        self.change(|counts| counts.kinds.entry((mutant.area, mutant.kind)).or_default().made += 1);
    }

    /// A mutant was judged by the history of the unchanged trial, or refused.
    pub fn judged(&self, mutant: &Mutant, fate: Fate) {
        self.change(|counts| {
            let row = counts.kinds.entry((mutant.area, mutant.kind)).or_default();
            *row.judged.entry(fate).or_default() += 1;
        });
    }

    /// A mutant was run, or refused.
    pub fn run(&self, mutant: &Mutant, fate: Fate) {
        self.change(|counts| {
            let row = counts.kinds.entry((mutant.area, mutant.kind)).or_default();
            *row.run.entry(fate).or_default() += 1;
        });
    }

    /// A mutant that spoke of nothing that happened, told.
    pub fn idle(&self, mutant: String) {
        self.change(|counts| {
            counts.idle.insert(mutant);
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

    /// The table for people; with those that spoke of nothing, where that is asked for.
    pub fn table(&self, idle: bool) -> String {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut line = |name: &str, cells: [usize; 9]| {
            let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
            text.push_str(&format!("{name:<36}{}\n", cells.concat()));
        };
        let cells = |row: &Row| {
            let of = |counts: &BTreeMap<Fate, usize>, fate| counts.get(&fate).copied().unwrap_or(0);
            [
                row.made,
                of(&row.judged, Fate::Refused),
                of(&row.judged, Fate::Caught),
                of(&row.run, Fate::Refused),
                of(&row.run, Fate::Caught),
                of(&row.judged, Fate::Idle) + of(&row.run, Fate::Idle),
                of(&row.judged, Fate::Same) + of(&row.run, Fate::Same),
                of(&row.judged, Fate::Survived),
                of(&row.run, Fate::Survived),
            ]
        };
        let areas: BTreeSet<Area> = counts.kinds.keys().map(|(area, _)| *area).collect();
        let mut all = [0; 9];
        for area in areas {
            let mut sum = [0; 9];
            for ((_, kind), row) in counts.kinds.iter().filter(|((of, _), _)| *of == area) {
                let cells = cells(row);
                for (sum, cell) in sum.iter_mut().chain(&mut all).zip(cells.iter().chain(&cells)) {
                    *sum += cell;
                }
                line(&format!("{}: {kind}", area.word()), cells);
            }
            line(&format!("all of {}", area.word()), sum);
        }
        line("all", all);
        let head = format!(
            "\n{:<36}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}\n",
            "mutants",
            "made",
            "refused",
            "judged",
            "run:ref.",
            "run:red",
            "idle",
            "same",
            "j.surv.",
            "r.surv."
        );
        let mut whole = format!("{head}{text}{} runs; the slowest:\n", counts.runs);
        for (took, name) in &counts.slowest {
            whole.push_str(&format!("{:>7.1} s  {name}\n", took.as_secs_f64()));
        }
        if idle && !counts.idle.is_empty() {
            whole.push_str(&format!(
                "{} spoke of nothing that happened:\n",
                counts.idle.len()
            ));
            for mutant in counts.idle.iter().take(IDLE) {
                whole.push_str(&format!("  {mutant}\n"));
            }
        }
        whole
    }
}
