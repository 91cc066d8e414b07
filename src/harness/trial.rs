//! One trial of libtest-mimic.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};

use super::history_file::file_stem;
use super::kept::{Left, kept};
use super::live::View;
use super::repeat::{Mode, Rates, Tally, Tries};
use super::reports::Reports;
use super::runner::{Ended, Judged, Runner, Trouble};
use super::told::Told;
use crate::handler::Handlers;
use crate::plan::{ChosenOrder, PlanInput, TrialPlan, plan};
use crate::report::{self, Failure, TimelineShow, TrialOutcome, TrialReport};
use crate::source::{Diagnostic, RenderStyle, render};
use crate::sql::redact;
use crate::verdict::Verdict;

/// What is shown of a trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Show {
    pub style: RenderStyle,
    /// The timeline of a trial that passed, too.
    pub passed: bool,
}

/// What all trials of a run have in common.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub runner: Runner,
    pub show: Show,
    pub view: Arc<View>,
    /// The folder that takes the histories.
    pub history: Option<PathBuf>,
    /// The one order that was asked for.
    pub order: Option<ChosenOrder>,
    /// For plans of further tries: the environment, and the handlers.
    pub env: Arc<BTreeMap<String, String>>,
    pub handlers: Handlers,
    pub tries: Tries,
    pub rates: Arc<Rates>,
    /// Set where no more tries are to be begun.
    pub stop: Arc<AtomicBool>,
    /// What failed trials left, where the run's server is to stay for a look at it.
    pub left: Option<LeftByTrials>,
    /// How timelines are shown.
    pub timeline: TimelineShow,
    /// What becomes of each trial is told to them.
    pub reports: Arc<Reports>,
}

/// What trials left, by their names.
pub(super) type LeftByTrials = Arc<Mutex<Vec<(String, Left)>>>;

/// A panic elsewhere is told there.
pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a trial that is repeated says nothing.
const QUIET: Duration = Duration::from_secs(15);

pub(super) struct Job {
    pub plan: Arc<TrialPlan>,
    /// The name of its file's trials before their variants.
    pub base: String,
    pub around: Around,
    /// The command that runs just this trial.
    pub repeat: String,
    /// What the reports are told of it.
    pub told: Told,
}

/// What became of one try.
enum Tried {
    Passed,
    Ignored(String),
    /// The text of the failure, and of what was kept of it.
    Failed(String, Option<String>),
    /// Trouble of ours; `true`: no other try can do better.
    NotRun(String, bool),
}

impl Job {
    pub async fn run(self) -> Result<Completion, Failed> {
        self.around.reports.begin(&self.plan.name);
        let ended = match self.around.tries.mode {
            Mode::Once => match self.attempt(1).await.1 {
                Tried::Passed => Ok(Completion::Completed),
                Tried::Ignored(reason) => Ok(Completion::ignored_with(reason)),
                Tried::Failed(text, _) | Tried::NotRun(text, _) => Err(text.into()),
            },
            Mode::Repeat {
                times,
                duration,
                until_fail,
            } => self.repeated(times, duration, until_fail).await,
            Mode::Retries { most, fail_flaky } => self.retried(u64::from(most) + 1, fail_flaky).await,
        };
        self.tell_reports(&ended);
        // The result's line comes next.
        self.around.view.make_room();
        ended
    }

    /// Tries until one of the limits is reached, or Ctrl-C.
    async fn repeated(
        &self,
        times: Option<NonZeroU32>,
        duration: Option<Duration>,
        until_fail: bool,
    ) -> Result<Completion, Failed> {
        let name = &self.plan.name;
        if duration.is_some() {
            // Its start is no part of the time. That there is none is told by the try.
            drop(self.around.runner.servers.shared().await);
        }
        let (began, mut spoke) = (Instant::now(), Instant::now());
        let mut first = None;
        let mut tally = Tally::default();
        let mut not_run = None;
        let all = times.map_or(u64::MAX, |times| times.get().into());
        while tally.tries < all && !self.around.stop.load(Ordering::Relaxed) {
            let number = tally.tries + 1;
            let (seed, tried) = self.attempt(number).await;
            let failed = match tried {
                Tried::Passed => None,
                Tried::Ignored(reason) => return Ok(Completion::ignored_with(reason)),
                Tried::Failed(text, kept) => Some((text, kept)),
                Tried::NotRun(text, _) => {
                    not_run = Some(format!("try {number} could not be run:\n\n{text}"));
                    break;
                }
            };
            tally = self.around.rates.note(name, failed.is_some(), seed);
            if let Some((text, kept)) = failed {
                let seed = seed.map(|seed| format!(" (--seed {seed})")).unwrap_or_default();
                let kept = kept.map(|kept| format!("\n{kept}")).unwrap_or_default();
                super::output::say(&format!("{name}: try {number} failed{seed}{kept}"));
                first.get_or_insert((number, text));
                if until_fail {
                    break;
                }
            } else if spoke.elapsed() >= QUIET {
                spoke = Instant::now();
                super::output::say(&format!("{name}: {} so far", tally.text()));
            }
            if duration.is_some_and(|limit| began.elapsed() >= limit) {
                break;
            }
        }
        let first = first.map(|(number, text)| format!("the failure of try {number}:\n\n{text}"));
        if first.is_none() && not_run.is_none() {
            return Ok(match tally.tries {
                0 => Completion::ignored_with("interrupted before its first try"),
                _ => Completion::Completed,
            });
        }
        let parts: Vec<String> = first.into_iter().chain(not_run).collect();
        self.told.add(&tally.text());
        Err(format!("{}\n\n{}", parts.join("\n\n"), tally.text()).into())
    }

    /// Tries until one passes. All have the same seed: another one would be another trial.
    async fn retried(&self, most: u64, fail_flaky: bool) -> Result<Completion, Failed> {
        let name = &self.plan.name;
        let mut first = None;
        for number in 1..=most {
            let (text, hopeless) = match self.attempt(number).await.1 {
                Tried::Passed => {
                    let Some(text) = first else {
                        return Ok(Completion::Completed);
                    };
                    self.around.rates.note_flaky(name, number, most);
                    self.told.flaky(number, most, fail_flaky);
                    let text = format!("passed at try {number} of {most}; the failure of try 1:\n\n{text}");
                    if fail_flaky {
                        return Err(format!("{text}\n\n--fail-flaky: a flaky trial is a failed one").into());
                    }
                    super::output::say(&format!("{name}: {text}"));
                    return Ok(Completion::Completed);
                }
                Tried::Ignored(reason) if first.is_none() => return Ok(Completion::ignored_with(reason)),
                // The server is another one now.
                Tried::Ignored(reason) => (format!("try {number} was not run: {reason}"), true),
                Tried::Failed(text, _) => (text, false),
                Tried::NotRun(text, hopeless) => (text, hopeless),
            };
            let text = first.get_or_insert(text);
            if hopeless || number == most {
                let tries = if number == 1 {
                    "its only try"
                } else {
                    "each of its tries"
                };
                let so = format!("failed in {tries} ({number} of {most}); this is the first");
                return Err(match number {
                    1 => text.clone().into(),
                    _ => format!("{text}\n\n{so}").into(),
                });
            }
            super::output::say(&format!("{name}: try {number} of {most} failed"));
        }
        Ok(Completion::Completed)
    }

    /// The plan of a try, and its seed where something is left to chance. Each try has a plan of its own, so that handlers
    /// keep nothing from one to the next.
    fn plan_of(&self, number: u64) -> Result<(Arc<TrialPlan>, Option<u64>), String> {
        let own = self.plan.seed_in_use();
        let begin = own.map(|own| self.around.tries.seed.unwrap_or(own));
        let seed = match self.around.tries.mode {
            Mode::Repeat { .. } => begin.map(|begin| begin.wrapping_add(number - 1)),
            Mode::Once | Mode::Retries { .. } => begin,
        };
        if number == 1 && seed == own {
            return Ok((Arc::clone(&self.plan), seed));
        }
        let input = PlanInput {
            name: self.base.clone(),
            env: self.around.env.as_ref().clone(),
            handlers: self.around.handlers.clone(),
            seed,
            every_order: false,
        };
        let again = plan(Arc::clone(&self.plan.file), &input).trials;
        let mut again = again.into_iter().filter(|again| again.name == self.plan.name);
        let mut plan = again.next().ok_or("the trial could not be planned once more")?;
        if let Some(order) = self.chosen_order() {
            plan.set_order(order)?;
        }
        Ok((Arc::new(plan), seed))
    }

    /// The order of `--order`, unless the trial is found by it as one of a list.
    pub fn chosen_order(&self) -> Option<&ChosenOrder> {
        let by_flag = self.plan.orders().is_some_and(|orders| orders.listed.is_empty());
        self.around.order.as_ref().filter(|_| by_flag)
    }

    /// One try, on databases of its own, and its seed.
    async fn attempt(&self, number: u64) -> (Option<u64>, Tried) {
        match self.plan_of(number) {
            Ok((plan, seed)) => (seed, self.tried(&plan, seed, number).await),
            Err(problem) => (None, Tried::NotRun(problem, true)),
        }
    }

    async fn tried(&self, plan: &Arc<TrialPlan>, seed: Option<u64>, number: u64) -> Tried {
        let mut repeat = self.repeat.clone();
        let other = plan.seed_in_use() != self.plan.seed_in_use();
        if let Some(seed) = seed.filter(|_| other) {
            repeat.push_str(&format!(" --seed {seed}"));
        }
        let round = match self.around.tries.mode {
            Mode::Repeat { .. } => number,
            Mode::Once | Mode::Retries { .. } => 1,
        };
        let judged = match self.around.runner.run_try(plan, number, round).await {
            Ok(Ended::Judged(judged)) => judged,
            Ok(Ended::Ignored(reason)) => {
                self.told.note(TrialReport {
                    outcome: TrialOutcome::Ignored,
                    reason: Some(redact(&reason, &self.plan.secrets)),
                    ..TrialReport::of_plan(plan, &repeat)
                });
                return Tried::Ignored(reason);
            }
            Err(trouble) => {
                self.note_trouble(&trouble, plan, &repeat);
                let hopeless = matches!(trouble, Trouble::NoServer(_));
                return Tried::NotRun(self.trouble(&trouble, &repeat, self.around.show.style), hopeless);
            }
        };
        let written = match self.write(plan, &judged, number) {
            Ok(written) => written,
            Err(problem) => {
                self.told.note(TrialReport {
                    outcome: TrialOutcome::Error,
                    failure: Some(problem.clone()),
                    ..TrialReport::of_plan(plan, &repeat)
                });
                return Tried::NotRun(problem, true);
            }
        };
        match &judged.verdict {
            Verdict::Passed => {
                if self.around.show.passed {
                    let how = &self.around.timeline;
                    let shown = match (&judged.explored, &judged.workload) {
                        (Some(explored), _) => report::orders(plan, explored, how),
                        (None, Some(worked)) => worked.summary.clone(),
                        (None, None) => report::timeline_shown(plan, &judged.history, how),
                    };
                    super::output::say(&format!("{}\n{shown}", plan.name));
                }
                self.note_judged(plan, &repeat, &judged, None);
                Tried::Passed
            }
            Verdict::Failed(findings) => {
                if self.around.runner.holds() && judged.explored.is_some() {
                    super::output::say(&format!(
                        "{}: --pause: not held: a trial with `permutations` runs many interleavings, and goes on after one \
                         that fails. Its steps without `permutations`, in the order that failed, can be held",
                        plan.name
                    ));
                }
                if self.around.runner.holds() && judged.workload.is_some() {
                    super::output::say(&format!(
                        "{}: --pause: not held: a workload's transactions have ended when its history is judged",
                        plan.name
                    ));
                }
                let kept = judged.left.as_ref().map(|left| self.kept(left, &repeat));
                let failure = Failure {
                    plan,
                    history: &judged.history,
                    findings,
                    explored: judged.explored.as_deref(),
                    workload: judged.workload.as_ref().map(|worked| worked.summary.as_str()),
                    server_log: judged.server_log.clone(),
                    written,
                    timeline: self.around.timeline.clone(),
                    kept: kept.clone(),
                    repeat: repeat.clone(),
                };
                self.note_judged(plan, &repeat, &judged, Some(&failure));
                Tried::Failed(report::failure(&failure, self.around.show.style), kept)
            }
        }
    }

    /// Writes the history, where that is asked for; returns the file's path.
    fn write(&self, plan: &TrialPlan, judged: &Judged, number: u64) -> Result<Option<String>, String> {
        let Some(folder) = &self.around.history else {
            return Ok(None);
        };
        let path = folder.join(format!("{}.json", file_stem(&plan.name, number)));
        let text = report::record(
            plan,
            &judged.history,
            &judged.verdict,
            judged.explored.as_deref(),
            judged.workload.as_ref().map(|worked| worked.json()),
        );
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| format!("cannot write the history to {}: {error}", path.display()))?;
        Ok(Some(path.display().to_string()))
    }

    fn kept(&self, left: &Left, repeat: &str) -> String {
        let stays = self.around.left.as_ref().filter(|_| self.plan.servers.is_empty());
        if let Some(all) = stays {
            lock(all).push((self.plan.name.clone(), left.clone()));
        }
        kept(
            &self.plan,
            left,
            &self.around.runner.servers.settings,
            repeat,
            stays.is_some(),
        )
    }

    /// The text for a trial that could not be run: our trouble, not TiDB's.
    pub(super) fn trouble(&self, trouble: &Trouble, repeat: &str, style: RenderStyle) -> String {
        let (span, server_log, left) = match trouble {
            Trouble::NoServer(reason) => return redact(reason, &self.plan.secrets),
            Trouble::NotRun {
                error,
                server_log,
                left,
            } => (error.span, server_log, left),
        };
        let mut text = match span {
            Some(span) => {
                let problem = Diagnostic::error(span, trouble.to_string()).label(span, "at this place");
                render(&self.plan.file, &problem, style)
            }
            None => format!("{}: error: {trouble}", self.plan.file.name()),
        };
        if let Some(log) = server_log {
            text.push_str(&format!("\n\nthe server is gone; the end of its log:\n{log}"));
        }
        if let Some(left) = left {
            text.push_str(&format!("\n\n{}", self.kept(left, repeat)));
        }
        text.push_str(&format!("\n\nrun it again: {repeat}"));
        redact(&text, &self.plan.secrets)
    }
}
