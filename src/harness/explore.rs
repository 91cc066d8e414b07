//! The commands `explore` and `compare`: what TiDB does in every order, and where two servers differ.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::collect::{PlannedFile, plan_file, plan_text};
use super::environment::{bless_is_refused, width};
use super::output::{complain, print, say};
use super::replace::replace;
use super::runner::Runner;
use super::runner::Trouble;
use super::servers::INTERRUPTED;
use super::with_runner::with_runner;
use crate::bless::blessed;
use crate::explore::Explored;
use crate::handler::Handlers;
use crate::plan::{ChosenOrder, TrialPlan};
use crate::report::{TimelineShow, across, compared, flags_of_first, orders, shell_word, table};
use crate::source::{RenderStyle, render_all};
use crate::sql::redact;
use crate::verdict::{Verdict, judge, outcome};

/// What `explore` was asked for.
#[derive(Debug, Clone, Default)]
pub struct ExploreArgs {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Write what was seen into the files.
    pub bless: bool,
    /// Run this order only, and show what happens in it.
    pub order: Option<ChosenOrder>,
}

/// Runs the steps of each file in every order and prints what they come to; nothing is judged.
#[must_use]
pub fn explore(args: &ExploreArgs) -> ExitCode {
    if let Some(reason) = bless_is_refused().filter(|_| args.bless) {
        return complain(reason);
    }
    let how = TimelineShow {
        width: width(),
        ..TimelineShow::default()
    };
    with_runner(None, true, async |runner, _| {
        let mut code = ExitCode::SUCCESS;
        for path in &args.paths {
            if runner.stop.load(Ordering::Relaxed) {
                break;
            }
            let Some(plans) = plans(path, args.order.as_ref()) else {
                code = ExitCode::from(1);
                continue;
            };
            let mut found = Vec::new();
            let mut whole = true;
            // Of orders that are listed each is a trial; their stories are shown where one is asked for.
            let stories = args.order.is_some() || plans.len() == 1;
            for plan in plans {
                if runner.stop.load(Ordering::Relaxed) {
                    whole = false;
                    break;
                }
                match explored(runner, &plan).await {
                    Ok(Some(explored)) => {
                        let shown = if stories {
                            orders(&plan, &explored, &how)
                        } else {
                            table(&plan, &explored)
                        };
                        let text = format!("{} ({})\n{shown}\n", plan.name, plan.title);
                        print(&redact(&text, &plan.secrets));
                        found.push((plan, explored));
                    }
                    Ok(None) => whole = false,
                    Err(message) => {
                        say(&message);
                        whole = false;
                        code = ExitCode::from(101);
                    }
                }
            }
            if found.len() > 1 {
                let secrets: Vec<String> = found.iter().flat_map(|(plan, _)| plan.secrets.clone()).collect();
                print(&redact(&across(&found), &secrets));
            }
            if args.order.is_none()
                && let Some((plan, explored)) = found.first()
                && let Some(flags) = flags_of_first(plan, explored)
            {
                let path = shell_word(&path.display().to_string());
                print(&format!(
                    "one of them, step by step: tidb-scenarios explore {path}{flags}"
                ));
            }
            if args.bless
                && let Err(message) = bless(path, &found, whole)
            {
                say(&format!("{}: {message}", path.display()));
                code = ExitCode::from(1);
            }
        }
        if runner.stop.load(Ordering::Relaxed) {
            return ExitCode::from(INTERRUPTED);
        }
        code
    })
}

/// How far comparing came.
#[derive(Debug, Default)]
struct Compared {
    same: usize,
    differ: usize,
    ignored: usize,
    not_run: usize,
}

impl Compared {
    /// What is said at the end, unless all has been said.
    fn summary(&self) -> Option<String> {
        let all = self.same + self.differ + self.ignored + self.not_run;
        let parts: Vec<String> = [
            (self.same, "have the same outcomes"),
            (self.differ, "differ"),
            (self.ignored, "ignored"),
            (self.not_run, "could not be run"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        (all > 1).then(|| format!("of {all} trials: {}", parts.join(", ")))
    }

    /// 0 where something was compared and nothing differs, 1 where outcomes differ, 101 where that was not found
    /// out for all: a comparison that compared nothing has not succeeded.
    fn code(&self) -> ExitCode {
        match self {
            Self { not_run: 1.., .. }
            | Self {
                same: 0, differ: 0, ..
            } => ExitCode::from(101),
            Self { differ: 1.., .. } => ExitCode::from(1),
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Runs the same orders on this server and on another one, and prints where they differ.
#[must_use]
pub fn compare(paths: &[PathBuf], with: &str) -> ExitCode {
    with_runner(Some(with), false, async |runner, other| {
        let Some(other) = other else {
            return ExitCode::from(101);
        };
        let mut all = Compared::default();
        for path in paths {
            let Some(plans) = plans(path, None) else {
                all.not_run += 1;
                continue;
            };
            for plan in plans {
                match both(runner, other, &plan).await {
                    Ok(Some((one, two))) => {
                        // Both may be of the same kind and version.
                        let names = (
                            format!("this server ({})", one.server),
                            format!("the other one ({})", two.server),
                        );
                        let text = compared(&plan, (&names.0, &one), (&names.1, &two));
                        print(&redact(
                            &format!("{} ({})\n{text}\n", plan.name, plan.title),
                            &plan.secrets,
                        ));
                        if one.same_outcomes(&two) {
                            all.same += 1;
                        } else {
                            all.differ += 1;
                        }
                    }
                    Ok(None) => all.ignored += 1,
                    Err(message) => {
                        say(&message);
                        all.not_run += 1;
                    }
                }
            }
        }
        if let Some(summary) = all.summary() {
            print(&summary);
        }
        if all.same + all.differ == 0 {
            say("nothing was compared");
        }
        all.code()
    })
}

/// What the orders of a trial come to on both servers; nothing, where one of them ignored it, which is said.
async fn both(
    runner: &Runner,
    other: &Runner,
    plan: &Arc<TrialPlan>,
) -> Result<Option<(Explored, Explored)>, String> {
    let Some(one) = explored(runner, plan).await? else {
        return Ok(None);
    };
    let two = explored(other, plan).await;
    let two = two.map_err(|message| format!("the other server, of --with: {message}"))?;
    Ok(two.map(|two| (one, two)))
}

/// A file's trials, to be run in every order; says what is wrong with it otherwise.
fn plans(path: &Path, order: Option<&ChosenOrder>) -> Option<Vec<Arc<TrialPlan>>> {
    let env = std::env::vars().collect();
    let root = path.parent().unwrap_or(Path::new(""));
    let mut planned = plan_file(root, path, &env, &Handlers::new(), true);
    if let Some(order) = order {
        planned.explore_order(order);
    }
    if !planned.problems.is_empty() {
        let style = RenderStyle {
            color: false,
            unicode: true,
        };
        say(&render_all(&planned.file, &planned.problems, style));
    }
    if planned.is_broken() {
        return None;
    }
    Some(planned.trials.into_iter().map(Arc::new).collect())
}

/// What the orders of a trial come to; nothing, where it was ignored, which is said.
async fn explored(runner: &Runner, plan: &Arc<TrialPlan>) -> Result<Option<Explored>, String> {
    match runner.explore(plan).await {
        Ok(Ok(explored)) => Ok(Some(explored)),
        Ok(Err(reason)) => {
            say(&format!("{}: ignored: {reason}", plan.name));
            Ok(None)
        }
        Err(trouble) => {
            let log = match &trouble {
                Trouble::NotRun {
                    server_log: Some(log),
                    ..
                } => format!("\nthe server is gone; the end of its log:\n{log}"),
                _ => String::new(),
            };
            Err(format!("{}: error: {trouble}{log}", plan.name))
        }
    }
}

fn bless(path: &Path, found: &[(Arc<TrialPlan>, Explored)], whole: bool) -> Result<(), String> {
    if !whole {
        return Err("not all of it was run, and nothing was written".to_owned());
    }
    let Some((first, _)) = found.first() else {
        return Err("it has no trial, and nothing was written".to_owned());
    };
    let before = first.file.text().to_owned();
    let after = blessed(&before, found).map_err(|error| error.to_string())?;
    let secrets: Vec<String> = found.iter().flat_map(|(plan, _)| plan.secrets.clone()).collect();
    if after.added.iter().any(|added| redact(added, &secrets) != *added) {
        return Err(
            "an outcome has a password in it, and nothing was written: leave it out of what steps see and \
                    store"
                .to_owned(),
        );
    }
    let env = std::env::vars().collect();
    let planned = plan_text(path, &after.text, &env, &Handlers::new());
    if let Some(reason) = unfit(&planned, found) {
        return Err(reason);
    }
    replace(path, &before, &after.text)?;
    let outcomes = match after.outcomes {
        1 => "1 outcome".to_owned(),
        more => format!("{more} outcomes"),
    };
    let variants = match found.len() {
        1 => String::new(),
        more => format!(" of {more} variants"),
    };
    let orders = if before.lines().any(|line| line.starts_with("permutations:")) {
        ""
    } else {
        " with `permutations: all`"
    };
    say(&format!(
        "{}: {outcomes}{variants} written{orders}",
        path.display()
    ));
    Ok(())
}

/// Why a file cannot stay with the outcomes in it, if it cannot.
fn unfit(planned: &PlannedFile, found: &[(Arc<TrialPlan>, Explored)]) -> Option<String> {
    if planned.is_broken() {
        let style = RenderStyle {
            color: false,
            unicode: true,
        };
        let mistakes = render_all(&planned.file, &planned.problems, style);
        return Some(format!(
            "with the outcomes in it the file would have mistakes, so it was not changed:\n\n{mistakes}"
        ));
    }
    // What else it expects holds for every order.
    for (before, explored) in found {
        let Some(plan) = planned.trials.iter().find(|plan| plan.name == before.name) else {
            continue;
        };
        for history in &explored.histories {
            let mut outcomes = 0..plan.outcomes().len();
            if !outcomes.any(|number| outcome(plan, number, history).is_empty()) {
                return Some(
                    "the outcomes that were written do not match one of the interleavings, so the file was not \
                     changed: this is a bug of tidb-scenarios"
                        .to_owned(),
                );
            }
            if let Verdict::Failed(findings) = judge(plan, history) {
                let messages: Vec<String> = findings.iter().map(|one| format!("  {}", one.message)).collect();
                let text = format!(
                    "`expect` does not hold in every interleaving, so the file was not changed:\n{}",
                    messages.join("\n")
                );
                return Some(redact(&text, &plan.secrets));
            }
        }
    }
    None
}
