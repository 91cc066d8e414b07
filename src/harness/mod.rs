//! From a folder to an exit code. With `main`, the only place that reads the environment and prints.

mod arguments;
mod bless;
mod check;
mod check_history;
mod collect;
mod doctor;
mod environment;
mod explore;
mod history_file;
mod import;
mod init;
mod kept;
mod list;
mod lists;
mod live;
mod looking;
mod output;
mod pause;
mod repeat;
mod replace;
mod report_arguments;
mod reports;
mod requires;
mod runner;
mod serve;
mod server_log;
mod servers;
mod show;
mod telling;
mod told;
mod trial;
mod turn;
mod undo;
mod with_runner;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::Trial;

pub use arguments::parse_arguments;
pub use bless::bless;
pub use check::{CheckArgs, CheckFormat, check, check_with};
pub use check_history::{CheckHistoryArgs, check_history};
use collect::connections_are_there;
pub use collect::{Collected, PlannedFile, collect};
pub use doctor::doctor;
pub use explore::{ExploreArgs, compare, explore};
pub use import::{ImportArgs, import};
pub use init::{InitArgs, NewArgs, Skeleton, init, new_scenario};
pub use kept::Left;
pub use list::list;
pub use repeat::RepeatArguments;
pub use report_arguments::ReportArguments;
pub use runner::{Ended, Judged, Runner, Trouble};
pub use serve::serve;
pub use show::show;

use crate::handler::Handlers;
use crate::plan::TrialPlan;
use crate::report::{RunWith, TimelineShow, TrialReport, order_flags, shell_word};
use crate::run::Hold;
use crate::server::{ServerSettings, engine_answers, run_reaper_if_asked};
use crate::source::{RenderStyle, render_all};
use environment::{history_folder, init_tracing, keep_databases, pauses, style, test_target, width};
use output::complain;
pub(crate) use output::say;
use repeat::Rates;
use reports::Reports;
use requires::Foreseen;
use servers::{Gently, INTERRUPTED};

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
        let tries = match args.repeat.with_env(|name| std::env::var(name).ok()) {
            Ok(tries) => tries,
            Err(message) => return complain(&message),
        };
        let style = style(&args.mimic);
        let keeps = args.keep_db || keep_databases();
        let show = trial::Show {
            style,
            passed: args.show_output,
        };
        let env = Arc::new(std::env::vars().collect());
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
            keep_databases: keeps,
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
        let written = args.history.clone().or_else(history_folder);
        let view = live::View::new();
        let looking = Arc::<looking::Looking>::default();
        let pause = Arc::new(pause::Pause::new(style, Arc::clone(&looking)));
        let left = (keeps && pause::somebody_is_there()).then(Arc::default);
        let runner = Runner::new(settings)
            .histories(written.clone())
            .keep_databases(keeps)
            .timestamps(args.timestamps)
            .hold((args.pause || pauses()).then(|| Hold(Arc::clone(&pause) as _)))
            .drop_databases(matches!(tries.mode, repeat::Mode::Repeat { .. }))
            .live(Some(view.live()));
        let (mut trials, mut known) = (Vec::new(), Vec::new());
        let (mut other_orders, mut with_orders, mut with_seed) = (Vec::new(), false, false);
        let (rates, stop) = (Arc::<Rates>::default(), Arc::<AtomicBool>::default());
        for mut planned in collected.files {
            if let Some(order) = &args.order {
                other_orders.extend(planned.set_order(order, &args.filters));
                let mut plans = planned.trials.iter();
                with_orders |= planned.is_broken() || plans.any(|plan| plan.orders().is_some());
            }
            let mut plans = planned.trials.iter();
            with_seed |= planned.is_broken() || plans.any(|plan| plan.seed_in_use().is_some());
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
                env: Arc::clone(&env),
                handlers: self.handlers.clone(),
                tries: tries.clone(),
                rates: Arc::clone(&rates),
                stop: Arc::clone(&stop),
                left: left.clone(),
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
        if args.repeat.names_a_seed() && !with_seed {
            return complain("--seed: no trial here leaves anything to chance, so that none has a seed");
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
        let repeats = matches!(tries.mode, repeat::Mode::Repeat { .. }) && !mimic.list;
        let said = Arc::clone(&rates);
        let gently = repeats.then(|| Gently {
            stop: Arc::clone(&stop),
            what: "tries",
            last_words: Some(Box::new(move || {
                said.repeated().iter().for_each(|line| say(line))
            })),
        });
        runner
            .servers
            .watch_for_signals(runtime.handle(), gently, Some(looking));
        let conclusion = libtest_mimic::run(&mimic, trials);
        let written = reports.write(false);
        if let Some(left) = left {
            let left = std::mem::take(&mut *trial::lock(&left));
            runtime.block_on(async {
                let left = runner.servers.on_shared(left).await;
                if !left.is_empty() && !stop.load(Ordering::Relaxed) {
                    pause.stay(&left).await;
                }
            });
        }
        runtime.block_on(runner.stop());
        runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        let repeated = if repeats { rates.repeated() } else { Vec::new() };
        for line in repeated.into_iter().chain(rates.flaky()) {
            say(&line);
        }
        if stop.load(Ordering::Relaxed) {
            return ExitCode::from(INTERRUPTED);
        }
        if !written {
            return ExitCode::from(101);
        }
        conclusion.exit_code()
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
            let name = plan.name.clone();
            let (reports, told) = (Arc::clone(&around.reports), name.clone());
            let mut job = trial::Job {
                plan: Arc::clone(&plan),
                base: planned.name.clone(),
                around: around.clone(),
                repeat: format!("{} --exact {}", self.command, shell_word(&plan.name)),
                told: told::Told::default(),
            };
            // One of a list is found by its name.
            if let Some(flags) = job.chosen_order().map(order_flags) {
                job.repeat.push_str(&flags);
            }
            let report = TrialReport::of_plan(&plan, &job.repeat);
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
