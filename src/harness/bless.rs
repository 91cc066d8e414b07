//! `run --bless`: what the steps of scripts came to is written into their files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::collect::files_of;
use super::environment::bless_is_refused;
use super::output::{complain, print, say};
use super::replace::replace;
use super::runner::{Ended, Runner};
use super::with_runner::with_runner;
use crate::bless::{Observed, edited, observed};
use crate::handler::Handlers;
use crate::plan::{Mode, PlanInput, TrialPlan, plan};
use crate::report::rendered;
use crate::source::{Diagnostic, RenderStyle, SourceFile, render_all};
use crate::sql::redact;
use crate::verdict::Verdict;

/// How often each trial is run: what is not the same in all of these runs is not written.
const RUNS: usize = 3;
/// One wait or error more is known after each round.
const ROUNDS_MAX: usize = 100;
/// Messages are written without colours.
const STYLE: RenderStyle = RenderStyle {
    color: false,
    unicode: true,
};

/// Writes what happens in the scripts of these files into them, and shows the differences.
#[must_use]
pub fn bless(paths: &[PathBuf]) -> ExitCode {
    if let Some(reason) = bless_is_refused() {
        return complain(reason);
    }
    let files = match files_of(paths) {
        Ok(files) => files,
        Err(message) => return complain(&message),
    };
    with_runner(None, false, async |runner, _| {
        let mut code = ExitCode::SUCCESS;
        for path in &files {
            match blessed(runner, path).await {
                Ok(said) => say(&format!("{}: {said}", path.display())),
                Err(Refused { message, not_run }) => {
                    say(&format!("{}: {message}\nnothing was written", path.display()));
                    code = ExitCode::from(if not_run { 101 } else { 1 });
                }
            }
        }
        code
    })
}

/// Why a file stays as it is.
struct Refused {
    message: String,
    /// It could not be run.
    not_run: bool,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self {
            message,
            not_run: false,
        }
    }
}

/// What was done.
async fn blessed(runner: &Runner, path: &Path) -> Result<String, Refused> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return Err(error.to_string().into()),
    };
    let mut text = before.clone();
    for _ in 0..ROUNDS_MAX {
        let (file, trials) = planned(path, &text)?;
        let (runs, failure) = observe(runner, &trials).await?;
        if let Some(problem) = runs.iter().find_map(|run| run.problems.first()) {
            return Err(problem.clone().into());
        }
        let (after, notes) = edited(&file, &runs)?;
        if after != text {
            text = after;
            continue;
        }
        // What is written must hold, in each of the last runs.
        return match failure {
            Some(failure) => {
                Err(format!("this cannot be written, so change it yourself:\n\n{failure}").into())
            }
            None => written(path, &before, &text, &trials, &notes),
        };
    }
    Err(format!("it came to something else in each of {ROUNDS_MAX} rounds").into())
}

fn planned(path: &Path, text: &str) -> Result<(Arc<SourceFile>, Vec<Arc<TrialPlan>>), Refused> {
    let name = path.display().to_string();
    let input = PlanInput {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        env: std::env::vars().collect(),
        handlers: Handlers::new(),
        ..PlanInput::default()
    };
    let planned = plan(Arc::new(SourceFile::new(name, text)), &input);
    if planned.is_broken() {
        let mut mistakes = planned.problems;
        mistakes.retain(Diagnostic::is_error);
        let mistakes = render_all(&planned.file, &mistakes, STYLE);
        return Err(format!("the file has mistakes:\n\n{mistakes}").into());
    }
    for plan in &planned.trials {
        match plan.mode {
            Mode::Scripted => {}
            Mode::Concurrent(_) => {
                let why =
                    "its connections run concurrently: what they come to is chance, and must be said by you";
                return Err(why.to_owned().into());
            }
            Mode::Explored(_) => {
                let how = "it has `permutations`: `tidb-scenarios explore --bless` writes their outcomes";
                return Err(how.to_owned().into());
            }
            Mode::Workload(_) => {
                let why = "it is a workload: what its history must hold is for you to say";
                return Err(why.to_owned().into());
            }
        }
    }
    Ok((planned.file, planned.trials.into_iter().map(Arc::new).collect()))
}

/// What all runs of all trials ask for, and the first failure of one of them.
async fn observe(
    runner: &Runner,
    trials: &[Arc<TrialPlan>],
) -> Result<(Vec<Observed>, Option<String>), Refused> {
    let (mut runs, mut failure) = (Vec::new(), None);
    for plan in trials {
        for _ in 0..RUNS {
            let judged = match runner.run(plan).await {
                Ok(Ended::Judged(judged)) => judged,
                Ok(Ended::Ignored(reason)) => {
                    return Err(Refused {
                        message: format!("{}: ignored: {reason}", plan.name),
                        not_run: true,
                    });
                }
                Err(trouble) => {
                    return Err(Refused {
                        message: redact(&format!("{}: {trouble}", plan.name), &plan.secrets),
                        not_run: true,
                    });
                }
            };
            if let (Verdict::Failed(findings), None) = (&judged.verdict, &failure) {
                let all: Vec<String> = findings.iter().map(|one| rendered(plan, one, STYLE)).collect();
                failure = Some(redact(&all.join("\n\n"), &plan.secrets));
            }
            runs.push(observed(plan, &judged.history));
        }
    }
    Ok((runs, failure))
}

fn written(
    path: &Path,
    before: &str,
    after: &str,
    trials: &[Arc<TrialPlan>],
    notes: &[String],
) -> Result<String, Refused> {
    let notes: String = notes.iter().map(|note| format!("\n  {note}")).collect();
    if before == after {
        return Ok(format!(
            "it says already what happened; nothing was written{notes}"
        ));
    }
    let secrets: Vec<String> = trials.iter().flat_map(|plan| plan.secrets.clone()).collect();
    let patch = diffy::create_patch(before, after).to_string();
    let added = |line: &&str| line.starts_with('+');
    if patch
        .lines()
        .filter(added)
        .any(|line| redact(line, &secrets) != line)
    {
        return Err("a result has a password in it: leave it out of what steps see"
            .to_owned()
            .into());
    }
    replace(path, before, after)?;
    print(redact(&patch, &secrets).trim_end());
    Ok(format!("written{notes}"))
}
