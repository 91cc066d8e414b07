//! Reads and plans one file.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{PlanInput, TrialPlan, matrix, trial, unused};
use crate::scenario;
use crate::source::{Diagnostic, Severity, SourceFile};

/// A file's trials.
#[derive(Debug)]
pub struct Planned {
    /// The file.
    pub file: Arc<SourceFile>,
    /// One for each variant; empty where the file has mistakes.
    pub trials: Vec<TrialPlan>,
    /// Mistakes and warnings, in the order of the file.
    pub problems: Vec<Diagnostic>,
}

impl Planned {
    /// Whether the file cannot run.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads and plans one file.
#[must_use]
pub fn plan(file: Arc<SourceFile>, input: &PlanInput) -> Planned {
    let read = scenario::read(&file);
    let mut problems = read.problems;
    let mut trials = Vec::new();
    if let Some(mut scenario) = read.scenario {
        if let (true, Some(workload)) = (input.every_order, &scenario.workload) {
            let problem = Diagnostic::error(workload.span, "a workload has no interleavings to explore");
            problems.push(problem.label(workload.span, "run it with `tidb-scenarios run`"));
        } else if input.every_order {
            let span = scenario.title.span;
            scenario
                .permutations
                .get_or_insert_with(|| scenario::OrdersDecl::every(span));
        }
        let variants = matrix::variants(&scenario, &mut problems);
        let mut used = BTreeSet::new();
        for variant in &variants {
            let found = trial::plan_variant(&file, input, &scenario, variant, &mut used, &mut problems);
            trials.extend(found);
        }
        unused::check_when_names(&scenario, &mut problems);
        if !problems.iter().any(Diagnostic::is_error) {
            unused::check_unused(&scenario, &used, &mut problems);
        }
    }
    // Variants find the same mistakes; each is told once.
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert((problem.span(), problem.message.clone())));
    problems.sort_by_key(|problem| problem.labels.first().map_or(0, |label| label.span.start));
    let broken = problems.iter().any(|problem| problem.severity == Severity::Error);
    if broken {
        trials.clear();
    }
    Planned {
        file,
        trials,
        problems,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mistakes of a scenario that has these lines after its first.
    fn mistakes(lines: &str) -> Vec<String> {
        let text = format!("scenario: x\n{lines}");
        let planned = plan(Arc::new(SourceFile::new("t.yaml", text)), &PlanInput::default());
        planned
            .problems
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn a_statement_of_the_matrix_is_judged_like_any_other() {
        let whole = "this changes the whole server, which other trials use, too";
        let steps = "connections: [a]\nsteps: [{a: '${statement}', as: change}]\n";
        for (matrix, wanted) in [
            ("matrix: {statement: [select 1, set global a = 1]}\n", vec![whole]),
            ("serial: true\nmatrix: {statement: [set global a = 1]}\n", vec![]),
            ("matrix: {statement: [select 1]}\n", vec![]),
        ] {
            assert_eq!(mistakes(&format!("{matrix}{steps}")), wanted, "{matrix}");
        }
    }

    #[test]
    fn the_matrix_uses_no_variables() {
        let found = mistakes("matrix: {n: [1, '${database}']}\nconnections: [a]\nsteps: [{a: select 1}]\n");
        assert_eq!(found, ["not a value for `n`"]);
    }

    #[test]
    fn what_a_load_can_say() {
        for (load, wanted) in [
            ("table: t, rows: [[1, null, {a: 1}, '${connection}']]", vec![]),
            ("table: t, rows: [[1]], duplicates: replace", vec![]),
            ("table: t, rows: [[1]], duplicates: ignore", vec![]),
            (
                "table: t, rows: [[1]], duplicates: update",
                vec!["`duplicates` must be `ignore` or `replace`"],
            ),
            ("table: t, rows: 1", vec!["`rows` must be a list of rows"]),
            ("table: t, rows: [1]", vec!["a row must be a list of values"]),
            (
                "table: t, rows: [['${nobody}']]",
                vec!["`${nobody}` has no value here"],
            ),
        ] {
            let steps = format!("connections: [a]\nsteps: [{{a: {{load: {{{load}}}}}}}]\n");
            assert_eq!(mistakes(&steps), wanted, "{load}");
        }
    }
}
