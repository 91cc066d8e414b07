//! A file with its mutants, and how they are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidb_scenarios::engine::{PlanInput, Planned, plan};
use tidb_scenarios::engine::{SourceFile, parse};
use tidb_scenarios::harness::PlannedFile;
use tokio::sync::OnceCell;

use crate::edit;
use crate::mutants::{Mutant, mutants};
use crate::past::Past;

/// Changes that mean the same as what was there: file, what was changed, from what, to what, and why.
const SAME_MEANING: &[(&str, &str, &str, &str, &str)] = &[
    (
        "scenarios/ddl/two_ddls_on_one_table.yaml",
        "blocked_by claimed",
        "blocked: true",
        "blocked_by: bob",
        "carol's schema change stands in the queue behind bob's, so bob does hold it up",
    ),
    (
        "scenarios/load/asks_for_the_file_twice.yaml",
        "unblocks dropped",
        "unblocks: bob",
        "(without bob)",
        "a session that is lost may have been ended from outside, which no step has to say",
    ),
    (
        "tests/language/valid/own_servers.yaml",
        "value of another type",
        "123456789",
        "\"123456789\"",
        "the server gives its variables as text, and a number equals text that is written like it",
    ),
];

/// One file with its mutants.
pub struct Subject {
    pub name: String,
    pub planned: PlannedFile,
    pub mutants: Vec<Mutant>,
    /// What came of each variant of the unchanged file, found out when it is first asked for.
    pub unchanged: Vec<OnceCell<Result<Option<Arc<Past>>, String>>>,
}

impl Subject {
    pub fn new(planned: PlannedFile) -> Arc<Self> {
        let root = parse(&planned.file).root;
        let mutants = root.map_or_else(Vec::new, |root| {
            mutants(&planned.file, &root, &planned.trials)
                .into_iter()
                .filter(|mutant| {
                    let mut variants = planned.trials.iter();
                    variants.any(|plan| mutant.concerns(&plan.variant))
                })
                .collect()
        });
        let unchanged = planned.trials.iter().map(|_| OnceCell::new()).collect();
        Arc::new(Self {
            name: planned.name.clone(),
            planned,
            mutants,
            unchanged,
        })
    }

    /// `locking::second_writer_waits::17:15::blocked_by_changed`, with a number where there are several.
    pub fn mutant_name(&self, number: usize) -> String {
        let mutant = &self.mutants[number];
        let place = self.planned.file.place(mutant.span.start);
        let same = |other: &&Mutant| other.span.start == mutant.span.start && other.kind == mutant.kind;
        let before = self.mutants[..number].iter().filter(same).count();
        let kind = mutant.kind.replace(' ', "_");
        format!(
            "{}::{}:{}::{kind}::{}",
            self.name,
            place.line,
            place.column,
            before + 1
        )
    }

    /// The changed file, planned.
    pub fn plan(&self, mutant: &Mutant, env: &BTreeMap<String, String>) -> Planned {
        let text = edit::apply(self.planned.file.text(), &mutant.edits);
        let file = Arc::new(SourceFile::new(self.planned.file.name(), &text));
        let input = PlanInput {
            name: self.name.clone(),
            env: env.clone(),
            ..PlanInput::default()
        };
        let planned = plan(Arc::clone(&file), &input);
        // A file that is refused has to be refused for what it says.
        assert!(
            !planned.is_broken() || parse(&file).root.is_some(),
            "{} is no YAML:\n{text}",
            self.told(mutant)
        );
        planned
    }

    /// Place, kind, original and changed text.
    pub fn told(&self, mutant: &Mutant) -> String {
        let place = self.planned.file.place(mutant.span.start);
        let file = self.planned.file.name();
        format!(
            "{file}:{}:{}: {}\n    was: {}\n    now: {}",
            place.line,
            place.column,
            mutant.kind,
            short(&mutant.was),
            short(&mutant.now)
        )
    }

    pub fn survivor(&self, number: usize, variant: &str) -> String {
        format!(
            "survived: {} ({variant})\n    see it again: TIDB_SCENARIOS_MUTANTS=all cargo test --test mutation -- --exact '{}'",
            self.told(&self.mutants[number]),
            self.mutant_name(number)
        )
    }

    /// Whether a change means the same as what was there: by what was seen, or by the list.
    pub fn same_meaning(&self, mutant: &Mutant, past: &Past) -> bool {
        let listed = SAME_MEANING.iter().any(|(file, kind, was, now, _)| {
            self.planned.file.name().ends_with(file)
                && mutant.kind == *kind
                && mutant.was == *was
                && mutant.now == *now
        });
        past.meets_states(mutant) || listed
    }
}

/// A text on one line.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 160 {
        format!("{}…", line.chars().take(160).collect::<String>())
    } else {
        line
    }
}
