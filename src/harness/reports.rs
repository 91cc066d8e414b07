//! Collects what became of each trial, and writes the reports that were asked for: at the end of a run, also of one that
//! failed, and on Ctrl-C.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::output::say;
use super::report_arguments::ReportArguments;
use crate::report::{
    Annotation, Level, RunWith, TrialOutcome, TrialReport, annotation, json_lines, junit, page, slowest,
};

/// The reports of a run.
#[derive(Debug)]
pub(super) struct Reports {
    to: ReportArguments,
    with: RunWith,
    suite: String,
    /// Whether failures are told to GitHub Actions.
    annotate: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The trials that were selected, in the order of the run, as long as nothing is known of them.
    selected: Vec<TrialReport>,
    running: BTreeMap<String, (SystemTime, Instant)>,
    done: Vec<TrialReport>,
    written: bool,
}

impl Reports {
    /// The reports of a run with these settings; `suite` is its name. Nothing is written where trials are only listed.
    ///
    /// # Errors
    /// A file that cannot be written is found before hours are spent on a run.
    pub fn for_run(to: ReportArguments, with: RunWith, suite: String, lists: bool) -> Result<Self, String> {
        let asked = to.files().next().is_some();
        // Each trial is a process of its own there, and would overwrite what the one before has written.
        let in_nextest = asked && std::env::var_os("NEXTEST").is_some_and(|value| value == "1");
        if in_nextest && !lists {
            say(
                "warning: no report is written under cargo-nextest, which runs each trial in a process of its own; use \
                 its own JUnit report (docs/ci.md), or `cargo test`",
            );
        }
        let to = if in_nextest || lists {
            // Without files; how long a trial took can still be told.
            ReportArguments {
                slow: to.slow.filter(|_| !lists),
                ..ReportArguments::default()
            }
        } else {
            to
        };
        for path in to.files() {
            let trouble = |error| format!("cannot write the report {}: {error}", path.display());
            if path.is_dir() {
                return Err(trouble(std::io::ErrorKind::IsADirectory.into()));
            }
            if !is_special(path) {
                beside(path).map_err(trouble)?;
            }
        }
        Ok(Self {
            to,
            with,
            suite,
            annotate: on_github() && !lists,
            began: Instant::now(),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody reads what is collected.
    pub fn wanted(&self) -> bool {
        self.annotate || self.to.slow.is_some() || self.to.files().next().is_some()
    }

    /// Whether anybody looks at what a trial has done.
    pub fn wants_details(&self) -> bool {
        self.to.report_html.is_some()
    }

    /// The trials that are going to be run, in this order.
    pub fn select(&self, trials: Vec<TrialReport>) {
        self.lock().selected = trials;
    }

    /// A trial begins.
    pub fn begin(&self, name: &str) {
        let now = (SystemTime::now(), Instant::now());
        self.lock().running.insert(name.to_owned(), now);
    }

    /// A trial has ended; its times are added here.
    pub fn end(&self, mut trial: TrialReport) {
        let mut state = self.lock();
        if let Some((started, since)) = state.running.remove(&trial.name) {
            trial.started = Some(started);
            trial.whole = since.elapsed();
        }
        // What a signal ends tells nothing of the trial.
        if !state.written {
            state.done.push(trial);
        }
    }

    /// A trial ended without a word of its own: it panicked.
    pub fn end_with(&self, name: &str, text: &str) {
        let known = {
            let state = self.lock();
            let known = state.selected.iter().find(|one| one.name == name).cloned();
            known.filter(|_| state.running.contains_key(name))
        };
        if let Some(trial) = known {
            self.end(TrialReport {
                outcome: TrialOutcome::Error,
                failure: Some(text.to_owned()),
                ..trial
            });
        }
    }

    /// Writes what there is; only the first call does. `true`: all could be written.
    pub fn write(&self, interrupted: bool) -> bool {
        let trials = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.written, true) {
                return true;
            }
            all(&mut state, interrupted)
        };
        let whole = self.began.elapsed();
        let mut texts: Vec<(&Path, String)> = Vec::new();
        if let Some(path) = &self.to.report_junit {
            texts.push((path, junit(&self.suite, &trials, whole, interrupted)));
        }
        if let Some(path) = &self.to.report_json {
            texts.push((path, json_lines(&trials, &self.with)));
        }
        if let Some(path) = &self.to.report_html {
            texts.push((path, page(&self.suite, &trials, whole, interrupted)));
        }
        let mut good = true;
        for (path, text) in texts {
            if let Err(error) = write_whole(path, &text) {
                say(&format!(
                    "error: cannot write the report {}: {error}",
                    path.display()
                ));
                good = false;
            }
        }
        if let Some(most) = self.to.slow {
            say(&slowest(&trials, most));
        }
        if self.annotate {
            annotate(&trials);
        }
        good
    }
}

/// What is known of all trials, in the order of the run: those that were not run come of an interrupted run.
fn all(state: &mut State, interrupted: bool) -> Vec<TrialReport> {
    let order: BTreeMap<String, usize> = (state.selected.iter().enumerate())
        .map(|(number, one)| (one.name.clone(), number))
        .collect();
    let mut trials = state.done.clone();
    if interrupted {
        for one in &state.selected {
            if trials.iter().any(|done| done.name == one.name) {
                continue;
            }
            trials.push(match state.running.get(&one.name) {
                Some((started, since)) => TrialReport {
                    outcome: TrialOutcome::Error,
                    failure: Some("the run was interrupted while this trial ran".to_owned()),
                    started: Some(*started),
                    whole: since.elapsed(),
                    ..one.clone()
                },
                None => TrialReport {
                    outcome: TrialOutcome::NotRun,
                    reason: Some("the run was interrupted before this trial began".to_owned()),
                    ..one.clone()
                },
            });
        }
    }
    // Stable: several runs of one trial stay in their order.
    trials.sort_by_key(|one| order.get(&one.name).copied().unwrap_or(usize::MAX));
    trials
}

/// Whether this is a job of GitHub Actions.
pub(super) fn on_github() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// A file as GitHub knows it: seen from the root of the repository, wherever the package is in it.
pub(super) fn file_on_github(name: &str) -> String {
    let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
    let whole = std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name));
    let below = root.as_deref().and_then(|root| whole.strip_prefix(root).ok());
    below.map_or_else(|| name.to_owned(), |below| below.display().to_string())
}

fn annotate(trials: &[TrialReport]) {
    for trial in trials.iter().filter(|trial| trial.outcome.is_bad()) {
        let (line, column) = trial.place();
        let mut message = trial.headline();
        if let Some(detail) = trial.findings.first().and_then(|first| first.detail.as_ref()) {
            message.push_str(&format!("\n{detail}"));
        }
        if !trial.repeat.is_empty() {
            message.push_str(&format!("\nrun it again: {}", trial.repeat));
        }
        // GitHub reads both streams; on standard output a line of another program may have begun.
        say(&annotation(&Annotation {
            level: Level::Error,
            file: &file_on_github(&trial.file),
            line,
            column,
            title: &trial.name,
            message: &message,
        }));
    }
}

/// What is no file, such as /dev/stdout, is not replaced by one.
fn is_special(path: &Path) -> bool {
    path.exists() && !path.is_file()
}

/// A new file beside this one, whose folder is made.
fn beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new();
    file.prefix(".report-");
    #[cfg(unix)]
    let file = {
        use std::os::unix::fs::PermissionsExt as _;
        // As any other file that is written, not for its owner only.
        file.permissions(std::fs::Permissions::from_mode(0o666))
    };
    file.tempfile_in(folder)
}

/// Writes a file in one go: whoever reads it meanwhile has the old one or the new one.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if is_special(path) {
        return std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
    }
    // A link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut file = beside(&path)?;
    file.write_all(text.as_bytes())?;
    file.persist(&path).map(drop).map_err(|error| error.error)
}
