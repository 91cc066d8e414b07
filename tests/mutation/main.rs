//! The verdict, tested by wrong files: each expectation of the shipped scenarios is changed in turn, and the
//! trial must go red.
//!
//! A change of what is only compared (a value, a count, a state) is judged against the history of the unchanged
//! trial, which tells all that a new run would: thousands of them take as long as the trials themselves. A
//! change that decides how the trial goes on (who waits, what ends it, that an error is wanted) has to be run;
//! and so have some of the others, to see that the way from the file to the verdict is whole.
//!
//! Without a word a sample is tried. `TIDB_SCENARIOS_MUTANTS`: how many are run; or `all`: all are tried, and
//! run where a history cannot judge them; or `every`: all are run, which takes hours.
//! `TIDB_SCENARIOS_MUTANTS_SEED`: which sample; `TIDB_SCENARIOS`: of the scenarios of another folder.

mod edit;
mod mutants;
mod tally;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use sha2::{Digest as _, Sha256};
use tidb_scenarios::expect::Expectation;
use tidb_scenarios::harness::{Ended, PlannedFile, Runner, Trouble, collect};
use tidb_scenarios::history::History;
use tidb_scenarios::plan::{PlanInput, Planned, Query, TrialPlan, plan};
use tidb_scenarios::server::{ServerSettings, run_reaper_if_asked};
use tidb_scenarios::source::{SourceFile, parse};
use tidb_scenarios::verdict::{Verdict, judge};
use tokio::sync::OnceCell;

use mutants::{Mutant, mutants, states_meet};
use tally::{Fate, Tally};

/// The scenarios that are shipped, and others for the kinds of expectation that those lack.
const FOLDERS: &[&str] = &["scenarios", "tests/language/valid", OWN];
/// They have nearly every kind of mutant, so that they are in every sample.
const OWN: &str = "tests/mutation/scenarios";
/// How many mutants are run where nothing is said.
const SAMPLE: usize = 100;
/// For each mutant that is run, so many are made and judged, if they can be, by a history.
const MADE_FOR_EACH_RUN: usize = 30;
/// Where all are tried, one of so many that a history judges is run as well.
const JUDGED_FOR_EACH_RUN: u8 = 16;
/// Trials spend their time with waiting, so that more of them run at once than there are processors.
const AT_ONCE: usize = 6;

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
];

/// How many mutants are tried, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// So many are run, each in one variant, and those of their files that can be judged are.
    Sample(usize),
    /// All are judged or run, in each variant.
    All,
    /// All are run, whether they could be judged or not.
    Every,
}

/// One file with its mutants.
struct Subject {
    name: String,
    planned: PlannedFile,
    mutants: Vec<Mutant>,
    /// What came of each variant of the unchanged file, found out when it is first asked for.
    unchanged: Vec<OnceCell<Result<Option<Arc<History>>, String>>>,
}

/// What all trials work with.
struct Work {
    runner: Runner,
    env: BTreeMap<String, String>,
    tally: Tally,
}

fn main() -> ExitCode {
    if let Some(code) = run_reaper_if_asked(std::env::args_os()) {
        return code;
    }
    let mut args = Arguments::from_args();
    args.test_threads = args.test_threads.or(Some(AT_ONCE));
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let extent = match variable("TIDB_SCENARIOS_MUTANTS").as_deref() {
        None => Extent::Sample(SAMPLE),
        Some("all") => Extent::All,
        Some("every") => Extent::Every,
        Some(number) => match number.parse() {
            Ok(number) => Extent::Sample(number),
            Err(_) => return complain("TIDB_SCENARIOS_MUTANTS is a number, `all` or `every`"),
        },
    };
    let seed = variable("TIDB_SCENARIOS_MUTANTS_SEED").unwrap_or_else(|| "1".to_owned());
    let folders: Vec<PathBuf> = match variable("TIDB_SCENARIOS") {
        Some(folder) => vec![folder.into()],
        None => FOLDERS.iter().map(PathBuf::from).collect(),
    };
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let mut settings = match ServerSettings::from_vars(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return complain(&error.to_string()),
    };
    settings.reaper = std::env::current_exe().ok();
    let collected = match collect(&folders, &env, &tidb_scenarios::Handlers::new()) {
        Ok(collected) => collected,
        Err(message) => return complain(&message),
    };
    let subjects: Vec<Arc<Subject>> = collected.files.into_iter().map(Subject::new).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let work = Arc::new(Work {
        runner: Runner::new(settings),
        env,
        tally: Tally::default(),
    });
    let how_many = match extent {
        Extent::Sample(number) => number,
        Extent::All | Extent::Every => usize::MAX,
    };
    let subjects = files(&subjects, how_many, &seed);
    let mut trials = Vec::new();
    for subject in &subjects {
        let (subject, work, handle) = (Arc::clone(subject), Arc::clone(&work), runtime.handle().clone());
        let name = format!("{}::judged", subject.name);
        trials.push(Trial::ignorable_test(name, move || {
            handle.block_on(work.judge_all(&subject))
        }));
    }
    let chosen = sample(&subjects, how_many, &seed);
    // Whoever asks for one wants to see it run.
    let extent = if args.exact { Extent::Every } else { extent };
    for (subject, number) in &chosen {
        let (subject, number) = (Arc::clone(subject), *number);
        let (work, handle) = (Arc::clone(&work), runtime.handle().clone());
        let name = subject.mutant_name(number);
        let seed = seed.clone();
        trials.push(Trial::ignorable_test(name, move || {
            handle.block_on(work.run_one(&subject, number, &seed, extent))
        }));
    }
    if !args.list {
        let made: usize = subjects.iter().map(|subject| subject.mutants.len()).sum();
        eprintln!(
            "{made} mutants of {} files, {} of them to be run, seed {seed}",
            subjects.len(),
            chosen.len()
        );
    }
    let listing = args.list;
    let conclusion = libtest_mimic::run(&args, trials);
    runtime.block_on(work.runner.stop());
    if !listing {
        eprint!("{}", work.tally.table());
    }
    conclusion.exit_code()
}

fn complain(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(101)
}

/// The files of the sample: by the seed, each by itself, so that a new scenario does not turn the whole sample
/// over.
fn files(subjects: &[Arc<Subject>], how_many: usize, seed: &str) -> Vec<Arc<Subject>> {
    let mut ranked: Vec<Arc<Subject>> = subjects.to_vec();
    let own = |subject: &Subject| subject.planned.file.name().starts_with(OWN);
    ranked.sort_by_cached_key(|subject| (!own(subject), rank(seed, &subject.name)));
    let most = how_many.saturating_mul(MADE_FOR_EACH_RUN);
    let mut made = 0;
    let mut chosen = Vec::new();
    for subject in ranked {
        if made >= most && !chosen.is_empty() {
            break;
        }
        made += subject.mutants.len();
        chosen.push(subject);
    }
    chosen
}

/// Which mutants are run: the kinds take turns, so that none is left out; within a kind the seed decides.
fn sample(subjects: &[Arc<Subject>], how_many: usize, seed: &str) -> Vec<(Arc<Subject>, usize)> {
    type Ranked = (Vec<u8>, Arc<Subject>, usize);
    let mut kinds: BTreeMap<&str, Vec<Ranked>> = BTreeMap::new();
    for subject in subjects {
        for (number, mutant) in subject.mutants.iter().enumerate() {
            let rank = rank(seed, &subject.mutant_name(number));
            let all = kinds.entry(mutant.kind).or_default();
            all.push((rank, Arc::clone(subject), number));
        }
    }
    for ranked in kinds.values_mut() {
        ranked.sort_by(|one, other| one.0.cmp(&other.0));
    }
    let longest = kinds.values().map(Vec::len).max().unwrap_or(0);
    (0..longest)
        .flat_map(|turn| kinds.values().filter_map(move |ranked| ranked.get(turn)))
        .take(how_many)
        .map(|(_, subject, number)| (Arc::clone(subject), *number))
        .collect()
}

fn rank(seed: &str, name: &str) -> Vec<u8> {
    Sha256::digest(format!("{seed}:{name}")).to_vec()
}

impl Subject {
    fn new(planned: PlannedFile) -> Arc<Self> {
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
    fn mutant_name(&self, number: usize) -> String {
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
    fn plan(&self, mutant: &Mutant, env: &BTreeMap<String, String>) -> Planned {
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
    fn told(&self, mutant: &Mutant) -> String {
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

    fn survivor(&self, number: usize, variant: &str) -> String {
        format!(
            "survived: {} ({variant})\n    see it again: TIDB_SCENARIOS_MUTANTS=all cargo test --test mutation -- --exact '{}'",
            self.told(&self.mutants[number]),
            self.mutant_name(number)
        )
    }

    /// Whether a change means the same as what was there: by what was seen, or by the list.
    fn same_meaning(&self, mutant: &Mutant, history: &History) -> bool {
        let by_states = mutant.states.as_ref().is_some_and(|(name, pattern)| {
            let mut connections = history.connections.iter();
            connections
                .find(|own| own.name == *name)
                .is_some_and(|own| states_meet(pattern, &own.states))
        });
        let listed = SAME_MEANING.iter().any(|(file, kind, was, now, _)| {
            self.planned.file.name().ends_with(file)
                && mutant.kind == *kind
                && mutant.was == *was
                && mutant.now == *now
        });
        by_states || listed
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

impl Work {
    /// The history of a variant of the unchanged file, which must pass; `None` where it cannot run here.
    async fn unchanged(&self, subject: &Subject, variant: usize) -> Result<Option<Arc<History>>, String> {
        let run = async || {
            // A plan is not cloned; the file is planned anew.
            let input = PlanInput {
                name: subject.name.clone(),
                env: self.env.clone(),
                ..PlanInput::default()
            };
            let trials = plan(Arc::clone(&subject.planned.file), &input).trials;
            let own = trials.into_iter().nth(variant).expect("the variant");
            let own = Arc::new(own);
            match self.runner.run(&own).await {
                Ok(Ended::Ignored(_)) => Ok(None),
                Ok(Ended::Judged(judged)) => match judged.verdict {
                    Verdict::Passed => Ok(Some(Arc::new(judged.history))),
                    Verdict::Failed(findings) => {
                        let first = findings.first().map_or("", |finding| finding.message.as_str());
                        Err(format!("{} must pass as it is: {first}", own.name))
                    }
                },
                Err(trouble) => Err(trouble_text(&own.name, &trouble)),
            }
        };
        subject.unchanged[variant].get_or_init(run).await.clone()
    }

    /// All mutants of a file that the histories of the unchanged trials can judge.
    async fn judge_all(&self, subject: &Subject) -> Result<Completion, Failed> {
        if subject.planned.is_broken() {
            return Err(format!("{} is refused as it is", subject.planned.file.name()).into());
        }
        let mut histories = Vec::new();
        for variant in 0..subject.planned.trials.len() {
            histories.push(self.unchanged(subject, variant).await?);
        }
        if histories.iter().all(Option::is_none) {
            return Ok(Completion::ignored_with("the server lacks what it requires"));
        }
        let mut survivors = Vec::new();
        for (number, mutant) in subject.mutants.iter().enumerate() {
            self.tally.made(mutant.kind);
            let planned = subject.plan(mutant, &self.env);
            if planned.is_broken() {
                self.tally.judged(mutant.kind, Fate::Refused);
                continue;
            }
            let mut fate = None;
            for ((original, changed), history) in
                subject.planned.trials.iter().zip(&planned.trials).zip(&histories)
            {
                let Some(history) = history else { continue };
                if !mutant.concerns(&original.variant) || !runs_alike(original, changed) {
                    continue;
                }
                if matches!(judge(changed, history), Verdict::Failed(_)) {
                    fate = fate.max(Some(Fate::Caught));
                } else if subject.same_meaning(mutant, history) {
                    fate = fate.max(Some(Fate::Same));
                } else {
                    fate = Some(Fate::Survived);
                    survivors.push(subject.survivor(number, &original.name));
                }
            }
            if let Some(fate) = fate {
                self.tally.judged(mutant.kind, fate);
            }
        }
        if survivors.is_empty() {
            Ok(Completion::Completed)
        } else {
            Err(survivors.join("\n").into())
        }
    }

    /// One mutant, run: in one of the variants that it concerns, or, where all are asked for and it decides how
    /// the trial goes, in each.
    async fn run_one(
        &self,
        subject: &Subject,
        number: usize,
        seed: &str,
        extent: Extent,
    ) -> Result<Completion, Failed> {
        let mutant = &subject.mutants[number];
        let planned = subject.plan(mutant, &self.env);
        if planned.is_broken() {
            self.tally.run(mutant.kind, Fate::Refused);
            return Ok(Completion::Completed);
        }
        let mut concerned: Vec<(usize, TrialPlan)> = planned
            .trials
            .into_iter()
            .enumerate()
            .filter(|(_, plan)| mutant.concerns(&plan.variant))
            .collect();
        let judged = concerned
            .iter()
            .all(|(variant, plan)| runs_alike(&subject.planned.trials[*variant], plan));
        let rank = rank(seed, &subject.mutant_name(number));
        if judged && extent == Extent::All && !rank[0].is_multiple_of(JUDGED_FOR_EACH_RUN) {
            return Ok(Completion::ignored_with(
                "judged by the history of the unchanged trial",
            ));
        }
        // What is only compared is judged in every variant anyway.
        if judged || matches!(extent, Extent::Sample(_)) {
            let pick = usize::from(rank[31]) % concerned.len();
            concerned = concerned.into_iter().skip(pick).take(1).collect();
        }
        let mut fate = None;
        let mut survivors = Vec::new();
        for (variant, plan) in concerned {
            let Some(history) = self.unchanged(subject, variant).await? else {
                continue;
            };
            let plan = Arc::new(plan);
            let began = Instant::now();
            let ended = self.runner.run(&plan).await;
            self.tally
                .took(began.elapsed(), &subject.mutant_name(number), &plan.name);
            let judged = match ended {
                Ok(Ended::Judged(judged)) => judged,
                Ok(Ended::Ignored(_)) => continue,
                Err(trouble) => return Err(trouble_text(&plan.name, &trouble).into()),
            };
            if matches!(judged.verdict, Verdict::Failed(_)) {
                fate = fate.max(Some(Fate::Caught));
            } else if subject.same_meaning(mutant, &history) {
                fate = fate.max(Some(Fate::Same));
            } else {
                fate = Some(Fate::Survived);
                let timeline = tidb_scenarios::report::timeline(&plan, &judged.history);
                survivors.push(format!("{}\n{timeline}", subject.survivor(number, &plan.name)));
            }
        }
        match fate {
            Some(fate) => self.tally.run(mutant.kind, fate),
            None => return Ok(Completion::ignored_with("the server lacks what it requires")),
        }
        if survivors.is_empty() {
            Ok(Completion::Completed)
        } else {
            Err(survivors.join("\n").into())
        }
    }
}

fn trouble_text(name: &str, trouble: &Trouble) -> String {
    match trouble {
        Trouble::NotRun {
            server_log: Some(log),
            ..
        } => format!("{name}: {trouble}; the server is gone; the end of its log:\n{log}"),
        Trouble::NotRun { .. } | Trouble::NoServer(_) => format!("{name}: {trouble}"),
    }
}

/// Whether a run of one would go just as a run of the other: they differ in what is compared, not in what
/// is done or waited for.
fn runs_alike(one: &TrialPlan, other: &TrialPlan) -> bool {
    let steps = one.steps.len() == other.steps.len()
        && one.steps.iter().zip(&other.steps).all(|(one, other)| {
            let holders = |step: &tidb_scenarios::plan::Step| {
                let blocked = step.blocked.as_ref();
                blocked.map(|blocked| blocked.by.iter().map(|(by, _)| *by).collect::<Vec<_>>())
            };
            let released = |step: &tidb_scenarios::plan::Step| {
                step.unblocks.iter().map(|(name, _)| *name).collect::<Vec<_>>()
            };
            one.wants_error() == other.wants_error()
                && one.needs() == other.needs()
                && holders(one) == holders(other)
                && released(one) == released(other)
        });
    let alike = |one: &[Query], other: &[Query]| {
        let needs = |query: &Query| {
            let all = query
                .expectations
                .iter()
                .map(|one: &Expectation| one.check.needs());
            all.fold(tidb_scenarios::expect::Needs::default(), |all, needs| {
                all.and(needs)
            })
        };
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| one.sql == other.sql && needs(one) == needs(other))
    };
    steps
        && one.finals.len() == other.finals.len()
        && one.finals.iter().zip(&other.finals).all(|(one, other)| {
            alike(&one.tables, &other.tables)
                && alike(&one.queries, &other.queries)
                && alike(&one.always, &other.always)
        })
}
