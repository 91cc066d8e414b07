//! The verdict, tested by wrong files: each expectation of the shipped scenarios is changed in turn, and the
//! trial must go red.
//!
//! A change of what is only compared (a value, a count, a state) is judged against the history of the unchanged
//! trial, which tells all that a new run would: thousands of them take as long as the trials themselves. A
//! change that decides how the trial goes on (who waits, what ends it, that an error is wanted, which outcomes
//! there are) has to be run; and so have some of the others, to see that the way from the file to the verdict is
//! whole. Where steps are run in many orders, the histories of all of them are judged.
//!
//! Without a word a sample is tried. `TIDB_SCENARIOS_MUTANTS`: how many are run; or `all`: all are tried, and
//! run where a history cannot judge them; or `every`: all are run, which takes hours.
//! `TIDB_SCENARIOS_MUTANTS_SEED`: which sample; `TIDB_SCENARIOS`: of the scenarios of another folder.

mod edit;
mod mutants;
mod past;
mod subject;
mod tally;
mod values;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use sha2::{Digest as _, Sha256};
use tidb_scenarios::harness::{Runner, collect};
use tidb_scenarios::server::{ServerSettings, run_reaper_if_asked};

use mutants::Area;
use subject::Subject;
use tally::Tally;
use work::Work;

/// The scenarios that are shipped, and others for the kinds of expectation that those lack.
const FOLDERS: &[&str] = &["scenarios", "tests/language/valid", OWN];
/// They have nearly every kind of mutant, so that they are in every sample.
const OWN: &str = "tests/mutation/scenarios";
/// How many mutants are run where nothing is said.
const SAMPLE: usize = 170;
/// For each mutant that is run, so many are made and judged, if they can be, by a history.
const MADE_FOR_EACH_RUN: usize = 20;
/// Trials spend their time with waiting, so that more of them run at once than there are processors.
const AT_ONCE: usize = 6;

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
        let mut made: BTreeMap<Area, usize> = BTreeMap::new();
        for mutant in subjects.iter().flat_map(|subject| &subject.mutants) {
            *made.entry(mutant.area).or_default() += 1;
        }
        let areas = made
            .iter()
            .map(|(area, made)| format!("{made} of {}", area.word()));
        eprintln!(
            "{} mutants ({}) of {} files, {} of them to be run, seed {seed}",
            made.values().sum::<usize>(),
            areas.collect::<Vec<_>>().join(", "),
            subjects.len(),
            chosen.len()
        );
    }
    let listing = args.list;
    let conclusion = libtest_mimic::run(&args, trials);
    runtime.block_on(work.runner.stop());
    if !listing {
        eprint!("{}", work.tally.table(!matches!(extent, Extent::Sample(_))));
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
    let mut kinds: BTreeMap<(Area, &str), Vec<Ranked>> = BTreeMap::new();
    for subject in subjects {
        for (number, mutant) in subject.mutants.iter().enumerate() {
            let rank = rank(seed, &subject.mutant_name(number));
            let all = kinds.entry((mutant.area, mutant.kind)).or_default();
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
