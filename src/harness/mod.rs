//! From a folder to an exit code. With `main`, the only place that reads the environment and prints.

mod arguments;
mod check;
mod check_history;
mod collect;
mod environment;
mod explore;
mod import;
mod kept;
mod lists;
mod live;
mod output;
mod report_arguments;
mod reports;
mod requires;
mod runner;
mod servers;
mod trial;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Trial;

pub use arguments::parse_arguments;
pub use check::{CheckArgs, CheckFormat, check, check_with};
pub use check_history::{CheckHistoryArgs, check_history};
use collect::connections_are_there;
pub use collect::{Collected, PlannedFile, collect};
pub use explore::{ExploreArgs, compare, explore};
pub use import::{ImportArgs, import};
pub use kept::Left;
pub use report_arguments::ReportArguments;
pub use runner::{Ended, Judged, Runner, Trouble};

use crate::handler::Handlers;
use crate::plan::TrialPlan;
use crate::report::{RunWith, TimelineShow, TrialReport, order_flags, shell_word};
use crate::server::{ServerSettings, engine_answers, run_reaper_if_asked};
use crate::source::{RenderStyle, render_all};
use environment::{history_folder, init_tracing, keep_databases, style, test_target, width};
use output::complain;
pub(crate) use output::say;
use reports::Reports;
use requires::Foreseen;

/// Runs the scenarios of a folder as named tests.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     tidb_scenarios::Harness::new("scenarios").run()
/// }
/// ```
#[derive(Debug)]
pub struct Harness {
    paths: Vec<PathBuf>,
    named: bool,
    /// How it is called, before its own arguments.
    command: String,
    /// Handlers that are written in Rust.
    handlers: Handlers,
}

impl Harness {
    /// A harness for the scenarios below this folder, seen from the package's own folder (which is where
    /// cargo runs tests). `TIDB_SCENARIOS` names another one.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            paths: vec![folder.into()],
            named: false,
            command: format!("cargo test --test {} --", test_target()),
            handlers: Handlers::new(),
        }
    }

    /// A harness for exactly these files and folders, whatever `TIDB_SCENARIOS` says.
    #[must_use]
    pub fn of_paths(paths: Vec<PathBuf>) -> Self {
        let listed = paths
            .iter()
            .map(|path| shell_word(&path.display().to_string()))
            .collect::<Vec<_>>()
            .join(" ");
        Self {
            paths,
            named: true,
            command: format!("tidb-scenarios run {listed} --"),
            handlers: Handlers::new(),
        }
    }

    /// Handlers that are written in Rust, for `handler: name` in the files.
    #[must_use]
    pub fn handlers(self, handlers: Handlers) -> Self {
        Self { handlers, ..self }
    }

    /// Runs with the process's own arguments.
    #[must_use]
    pub fn run(self) -> ExitCode {
        self.run_with(std::env::args_os().collect())
    }

    /// Runs with these arguments, the program's name first: those of libtest.
    #[must_use]
    pub fn run_with(mut self, args: Vec<std::ffi::OsString>) -> ExitCode {
        if let Some(code) = run_reaper_if_asked(args.clone()) {
            return code;
        }
        if let Some(folder) =
            std::env::var_os("TIDB_SCENARIOS").filter(|folder| !self.named && !folder.is_empty())
        {
            // Without it the command would not find the trial again.
            let shown = shell_word(&folder.to_string_lossy());
            self.command = format!("TIDB_SCENARIOS={shown} {}", self.command);
            self.paths = vec![folder.into()];
        }
        let args = match parse_arguments(args, &self.command) {
            Ok(args) => args,
            Err(code) => return code,
        };
        init_tracing();
        let style = style(&args.mimic);
        let show = trial::Show {
            style,
            passed: args.show_output,
        };
        let env = std::env::vars().collect();
        let collected = match collect(&self.paths, &env, &self.handlers) {
            Ok(collected) => collected,
            Err(message) => return complain(&message),
        };
        let mut settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
            Ok(settings) => settings,
            Err(error) => return complain(&error.to_string()),
        };
        settings.reaper = std::env::current_exe().ok();
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return complain(&format!("cannot start the runtime: {error}")),
        };
        // A runtime skip would show as passed to a runner that lists first (nextest), so what is known to be
        // ignored is listed so. A run finds it out itself, and tells the reason.
        let foreseen = args.mimic.list.then(|| {
            let mut plans = collected.files.iter().flat_map(|file| &file.trials);
            let asks = plans.any(|plan| plan.requires.docker);
            let has_engine = asks && runtime.block_on(engine_answers());
            Foreseen::new(&settings, has_engine)
        });
        let with = RunWith {
            order: args.order.as_ref().map(|chosen| chosen.order.clone()),
            without: args
                .order
                .as_ref()
                .map(|chosen| chosen.without.clone())
                .filter(|steps| !steps.is_empty()),
            timestamps: args.timestamps,
            keep_databases: args.keep_db || keep_databases(),
        };
        let reports =
            match Reports::for_run(args.reports.clone(), with.clone(), test_target(), args.mimic.list) {
                Ok(reports) => Arc::new(reports),
                Err(message) => return complain(&message),
            };
        let timeline = TimelineShow {
            width: width(),
            only: args.reports.timeline.clone(),
        };
        if let Err(message) = connections_are_there(&timeline.only, &collected) {
            return complain(&message);
        }
        let view = live::View::new();
        let runner = Runner::new(settings)
            .keep_databases(with.keep_databases)
            .timestamps(args.timestamps)
            .live(Some(view.live()));
        let written = args.history.clone().or_else(history_folder);
        let (mut trials, mut known) = (Vec::new(), Vec::new());
        let (mut other_orders, mut with_orders) = (Vec::new(), false);
        for mut planned in collected.files {
            if let Some(order) = &args.order {
                other_orders.extend(planned.set_order(order, &args.filters));
                let mut plans = planned.trials.iter();
                with_orders |= planned.is_broken() || plans.any(|plan| plan.orders().is_some());
            }
            let warnings = planned
                .problems
                .iter()
                .filter(|problem| !problem.is_error())
                .cloned()
                .collect::<Vec<_>>();
            if !warnings.is_empty() && !planned.is_broken() && !args.mimic.list {
                say(&render_all(&planned.file, &warnings, style));
            }
            let around = trial::Around {
                runner: runner.clone(),
                show,
                view: Arc::clone(&view),
                history: written.clone(),
                order: args.order.clone(),
                reports: Arc::clone(&reports),
                timeline: timeline.clone(),
            };
            for (plan, trial, report) in self.trials(planned, &around, &runtime) {
                let ignored = foreseen
                    .as_ref()
                    .zip(plan)
                    .is_some_and(|(foreseen, plan)| foreseen.is_ignored(&plan));
                trials.push(trial.with_ignored_flag(ignored));
                known.push(report);
            }
        }
        if args.order.is_some() && !with_orders {
            return complain(
                "--order: no trial here has `permutations`, so that none has an order to be run in",
            );
        }
        let mut asked = args.filters.iter().filter(|_| args.mimic.exact);
        if let Some(name) = asked.find(|name| other_orders.contains(name)) {
            return complain(&format!("--order: `{name}` is another order than this one"));
        }
        let names: Vec<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
        let mimic = match arguments::select(args, &names) {
            Ok(mimic) => mimic,
            Err(message) => return complain(&message),
        };
        let selected = trials
            .iter()
            .zip(known)
            .filter(|(trial, _)| !mimic.is_filtered_out(trial));
        reports.select(selected.map(|(_, report)| report).collect());
        let on_signal = Arc::clone(&reports);
        runner.servers.on_signal(move || {
            on_signal.write(true);
        });
        runner.servers.watch_for_signals(runtime.handle(), None);
        let conclusion = libtest_mimic::run(&mimic, trials);
        let written = reports.write(false);
        runtime.block_on(runner.stop());
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        if written {
            conclusion.exit_code()
        } else {
            ExitCode::from(101)
        }
    }

    fn trials(
        &self,
        planned: collect::PlannedFile,
        around: &trial::Around,
        runtime: &tokio::runtime::Runtime,
    ) -> Vec<(Option<Arc<TrialPlan>>, Trial, TrialReport)> {
        if planned.is_broken() {
            let text = render_all(&planned.file, &planned.problems, around.show.style);
            let report = TrialReport {
                failure: Some(render_all(&planned.file, &planned.problems, RenderStyle::PLAIN)),
                ..TrialReport::of_broken(&planned.name, &planned.file, &planned.problems)
            };
            let (reports, told) = (Arc::clone(&around.reports), report.clone());
            let run = move || {
                reports.begin(&told.name);
                reports.end(told);
                Err(text.into())
            };
            return vec![(None, Trial::test(planned.name, run), report)];
        }
        let mut trials = Vec::new();
        for plan in planned.trials {
            let plan = Arc::new(plan);
            let handle = runtime.handle().clone();
            let mut repeat = format!("{} --exact {}", self.command, shell_word(&plan.name));
            // One of a list is found by its name.
            let by_flag = plan.orders().is_some_and(|orders| orders.listed.is_empty());
            if let Some(chosen) = around.order.as_ref().filter(|_| by_flag) {
                repeat.push_str(&order_flags(chosen));
            }
            let name = plan.name.clone();
            let report = TrialReport::of_plan(&plan, &repeat);
            let (reports, told) = (Arc::clone(&around.reports), name.clone());
            let job = trial::Job {
                plan: Arc::clone(&plan),
                around: around.clone(),
                repeat,
            };
            let run = move || {
                // In a task of the runtime, so that what the trial's own tasks say reaches it without a way
                // from thread to thread.
                match handle.block_on(handle.spawn(job.run())) {
                    Ok(result) => result,
                    Err(error) => {
                        reports.end_with(&told, "the harness panicked; standard error says where");
                        match error.try_into_panic() {
                            Ok(panic) => std::panic::resume_unwind(panic),
                            Err(error) => Err(error.to_string().into()),
                        }
                    }
                }
            };
            trials.push((Some(plan), Trial::ignorable_test(name, run), report));
        }
        trials
    }
}
