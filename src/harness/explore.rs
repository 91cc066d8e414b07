//! The commands `explore` and `compare`: what TiDB does in every order, and where two servers differ.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::collect::plan_file;
use super::runner::Trouble;
use super::{Runner, complain, say};
use crate::explore::{Explored, across, blessed, compared, table};
use crate::handler::Handlers;
use crate::plan::TrialPlan;
use crate::report::redact;
use crate::server::{ProviderKind, ServerSettings};
use crate::source::{RenderStyle, render_all};

/// What `explore` was asked for.
#[derive(Debug, Clone, Default)]
pub struct ExploreArgs {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Write what was seen into the files.
    pub bless: bool,
}

/// Runs the steps of each file in every order and prints what they come to; nothing is judged.
#[must_use]
pub fn explore(args: &ExploreArgs) -> ExitCode {
    with_runner(None, async |runner, _| {
        let mut code = ExitCode::SUCCESS;
        for path in &args.paths {
            let Some(plans) = plans(path) else {
                code = ExitCode::from(1);
                continue;
            };
            let mut found = Vec::new();
            for plan in plans {
                match explored(runner, &plan).await {
                    Ok(Some(explored)) => {
                        let text = format!("{} ({})\n{}\n", plan.name, plan.title, table(&plan, &explored));
                        print(&redact(&text, &plan.secrets));
                        found.push((plan, explored));
                    }
                    Ok(None) => {}
                    Err(message) => {
                        say(&message);
                        code = ExitCode::from(101);
                    }
                }
            }
            if found.len() > 1 {
                print(&across(&found));
            }
            if args.bless
                && let Err(message) = bless(path, &found)
            {
                say(&format!("{}: {message}", path.display()));
                code = ExitCode::from(1);
            }
        }
        code
    })
}

/// Runs the same orders on this server and on another one, and prints where they differ.
#[must_use]
pub fn compare(paths: &[PathBuf], with: &str) -> ExitCode {
    with_runner(Some(with), async |runner, other| {
        let Some(other) = other else {
            return ExitCode::from(101);
        };
        let mut differ = false;
        for path in paths {
            let Some(plans) = plans(path) else {
                return ExitCode::from(101);
            };
            for plan in plans {
                let one = match explored(runner, &plan).await {
                    Ok(Some(one)) => one,
                    Ok(None) => continue,
                    Err(message) => {
                        say(&message);
                        return ExitCode::from(101);
                    }
                };
                let two = match explored(other, &plan).await {
                    Ok(Some(two)) => two,
                    Ok(None) => continue,
                    Err(message) => {
                        say(&format!("the other server, of --with: {message}"));
                        return ExitCode::from(101);
                    }
                };
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
                differ |= !one.same_outcomes(&two);
            }
        }
        if differ {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// A runner for this process's server, and one for another server by its URL.
fn with_runner(with: Option<&str>, work: impl AsyncFnOnce(&Runner, Option<&Runner>) -> ExitCode) -> ExitCode {
    super::init_tracing();
    let mut settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    settings.reaper = std::env::current_exe().ok();
    let other = with.map(|url| {
        Runner::new(ServerSettings {
            provider: Some(ProviderKind::Url),
            url: Some(url.to_owned()),
            ..settings.clone()
        })
    });
    let runner = Runner::new(settings);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start the runtime: {error}")),
    };
    runner.servers.watch_for_signals(runtime.handle());
    let code = runtime.block_on(work(&runner, other.as_ref()));
    runtime.block_on(runner.stop());
    if let Some(other) = other {
        runtime.block_on(other.stop());
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    code
}

/// A file's trials, to be run in every order; says what is wrong with it otherwise.
fn plans(path: &Path) -> Option<Vec<Arc<TrialPlan>>> {
    let env = std::env::vars().collect();
    let root = path.parent().unwrap_or(Path::new(""));
    let planned = plan_file(root, path, &env, &Handlers::new(), true);
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

fn bless(path: &Path, found: &[(Arc<TrialPlan>, Explored)]) -> Result<(), String> {
    let [(plan, explored)] = found else {
        return Err("--bless writes the outcomes of one variant; this file has several".to_owned());
    };
    let before = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let after = blessed(&before, plan, explored).map_err(|error| error.to_string())?;
    std::fs::write(path, &after).map_err(|error| error.to_string())?;
    let env = std::env::vars().collect();
    let root = path.parent().unwrap_or(Path::new(""));
    let planned = plan_file(root, path, &env, &Handlers::new(), false);
    if planned.is_broken() {
        std::fs::write(path, before).map_err(|error| error.to_string())?;
        let mistakes = planned.problems.iter().filter(|problem| problem.is_error());
        let mistakes: Vec<String> = mistakes.map(|problem| format!("  {}", problem.message)).collect();
        return Err(format!(
            "the file would have mistakes with the outcomes in it, and is as it was:\n{}",
            mistakes.join("\n")
        ));
    }
    say(&format!(
        "{}: {} outcomes written",
        path.display(),
        explored.outcomes.len()
    ));
    Ok(())
}

fn print(text: &str) {
    // Nobody reads it any more; there is nobody to tell.
    drop(writeln!(std::io::stdout(), "{text}"));
}
