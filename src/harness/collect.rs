//! Finds the files of a folder and plans them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::handler::Handlers;
use crate::plan::{ChosenOrder, PlanInput, TrialPlan, plan};
use crate::report::is_named;
use crate::source::{Diagnostic, SourceFile, Span, nearest};

/// The files that were found.
#[derive(Debug)]
pub struct Collected {
    /// In the order of their names.
    pub files: Vec<PlannedFile>,
}

/// One file.
#[derive(Debug)]
pub struct PlannedFile {
    /// The name of its trials before their variants.
    pub name: String,
    /// Its text.
    pub file: Arc<SourceFile>,
    /// Its trials; none where it has mistakes.
    pub trials: Vec<TrialPlan>,
    /// Mistakes and warnings.
    pub problems: Vec<Diagnostic>,
}

impl PlannedFile {
    /// Whether it cannot run.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Runs trials with `permutations` in this order only, those that a filter may name; one that does not fit
    /// is a mistake of the trial. Of orders that the file lists only this one is left; the names of the others are
    /// returned.
    pub(super) fn set_order(&mut self, chosen: &ChosenOrder, filters: &[String]) -> Vec<String> {
        let mut others = Vec::new();
        let meant = |plan: &TrialPlan| {
            filters.is_empty() || filters.iter().any(|filter| plan.name.contains(filter.as_str()))
        };
        let mut listed = None;
        let mut in_list = false;
        let (mut kept, mut fits, mut misfits) = (Vec::new(), false, Vec::new());
        for mut plan in std::mem::take(&mut self.trials) {
            let span = plan
                .orders()
                .map(|orders| (orders.span, !orders.listed.is_empty()));
            in_list |= plan.is_order(chosen) == Ok(true);
            let Some((span, is_listed)) = span.filter(|_| meant(&plan)) else {
                kept.push(plan);
                continue;
            };
            let result = if is_listed {
                listed = Some(span);
                plan.is_order(chosen)
            } else {
                plan.set_order(chosen).map(|()| true)
            };
            match result {
                Ok(true) => {
                    fits = true;
                    kept.push(plan);
                }
                Ok(false) => others.push(plan.name),
                Err(problem) => {
                    others.push(plan.name);
                    misfits.push(misfit(span, problem));
                }
            }
        }
        self.trials = kept;
        // Variants may have other steps: those that it fits are meant.
        if !fits && !misfits.is_empty() {
            self.problems.extend(misfits);
            self.problems.dedup();
        } else if let Some(span) = listed.filter(|_| !in_list) {
            let problem = Diagnostic::error(span, "--order: this order is not in the list");
            self.problems.push(problem.label(
                span,
                "write it here, or see what it comes to with `tidb-scenarios explore FILE --order`",
            ));
        }
        others
    }

    /// Runs each variant that this order fits in it only, whatever the file says of its orders.
    pub(super) fn explore_order(&mut self, chosen: &ChosenOrder) {
        let (mut kept, mut misfits): (Vec<TrialPlan>, _) = (Vec::new(), Vec::new());
        for mut plan in std::mem::take(&mut self.trials) {
            let Some(span) = plan.orders().map(|orders| orders.span) else {
                continue;
            };
            match plan.set_order(chosen) {
                Ok(()) if kept.iter().any(|other| other.variant == plan.variant) => {}
                Ok(()) => kept.push(plan),
                Err(problem) => misfits.push(misfit(span, problem)),
            }
        }
        if kept.is_empty() {
            self.problems.extend(misfits);
            // Each order of a list would say the same.
            self.problems.dedup();
        }
        self.trials = kept;
    }
}

/// That an order does not fit a scenario.
fn misfit(span: Span, problem: String) -> Diagnostic {
    Diagnostic::error(span, problem).label(span, "in this scenario")
}

/// Finds and plans the files below these paths.
///
/// # Errors
/// A path that is not there, or a folder without any scenario: a run of nothing must not pass.
pub fn collect(
    paths: &[PathBuf],
    env: &BTreeMap<String, String>,
    handlers: &Handlers,
) -> Result<Collected, String> {
    let mut files = Vec::new();
    for root in paths {
        let found = scenarios_below(root)?;
        let base = if root.is_dir() {
            root.clone()
        } else {
            root.parent().unwrap_or(Path::new("")).to_owned()
        };
        files.extend(
            found
                .into_iter()
                .map(|path| plan_file(&base, &path, env, handlers, false)),
        );
    }
    Ok(Collected { files })
}

/// The files below these paths.
///
/// # Errors
/// As for [`collect`].
pub(super) fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let found: Result<Vec<_>, _> = paths.iter().map(|root| scenarios_below(root)).collect();
    Ok(found?.concat())
}

fn scenarios_below(root: &Path) -> Result<Vec<PathBuf>, String> {
    let found = yaml_files(root)?;
    if found.is_empty() {
        return Err(format!(
            "no scenario is in {}: a scenario is a file that ends in .yaml or .yml",
            root.display()
        ));
    }
    Ok(found)
}

/// Whether some trial has each of these connections; `worker` is also `worker.0` and the like.
pub(super) fn connections_are_there(names: &[String], collected: &Collected) -> Result<(), String> {
    let plans = collected.files.iter().flat_map(|file| &file.trials);
    let all: BTreeSet<&str> = plans
        .flat_map(|plan| &plan.connections)
        .map(|own| own.name.as_str())
        .collect();
    for name in names {
        let is_there = all.iter().any(|own| is_named(own, name));
        if !is_there {
            let near = nearest(name, all.iter().copied());
            let near = near
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            return Err(format!("--timeline: no trial has a connection `{name}`{near}"));
        }
    }
    Ok(())
}

fn yaml_files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let walk = ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(true)
        .build();
    for entry in walk {
        let entry = entry.map_err(|error| format!("cannot look for scenarios: {error}"))?;
        let path = entry.path();
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if path.is_file() && (yaml || path == root) {
            found.push(path.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// Plans one file; `every_order` runs it in every order, whatever it says.
pub(super) fn plan_file(
    root: &Path,
    path: &Path,
    env: &BTreeMap<String, String>,
    handlers: &Handlers,
    every_order: bool,
) -> PlannedFile {
    let name = trial_name(root, path);
    match SourceFile::read(path) {
        Ok(file) => plan_source(file, name, env, handlers, every_order),
        Err(unreadable) => PlannedFile {
            name,
            file: Arc::new(unreadable.file),
            trials: Vec::new(),
            problems: vec![unreadable.problem],
        },
    }
}

/// The trials that a file would have with this text.
pub(super) fn plan_text(
    path: &Path,
    text: &str,
    env: &BTreeMap<String, String>,
    handlers: &Handlers,
) -> PlannedFile {
    let file = SourceFile::new(path.display().to_string(), text);
    let root = path.parent().unwrap_or(Path::new(""));
    plan_source(file, trial_name(root, path), env, handlers, false)
}

fn plan_source(
    file: SourceFile,
    name: String,
    env: &BTreeMap<String, String>,
    handlers: &Handlers,
    every_order: bool,
) -> PlannedFile {
    let input = PlanInput {
        name: name.clone(),
        env: env.clone(),
        handlers: handlers.clone(),
        every_order,
        seed: None,
    };
    let planned = plan(Arc::new(file), &input);
    PlannedFile {
        name,
        file: planned.file,
        trials: planned.trials,
        problems: planned.problems,
    }
}

/// The name of a trial before its variant: its path below the folder, `::` for `/`.
fn trial_name(root: &Path, path: &Path) -> String {
    let below = path
        .strip_prefix(root)
        .ok()
        .filter(|below| !below.as_os_str().is_empty());
    let below = below
        .unwrap_or_else(|| path.file_name().map_or(path, Path::new))
        .with_extension("");
    let parts = below
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.collect::<Vec<_>>().join("::")
}
