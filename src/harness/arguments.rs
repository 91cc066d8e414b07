//! The command line: libtest's arguments, with those that libtest-mimic does not have and our own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser};
use libtest_mimic::Arguments;

use super::environment::history_folder;
use super::repeat::RepeatArguments;
use super::report_arguments::ReportArguments;
use crate::plan::ChosenOrder;
use crate::source::nearest;

/// The arguments.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// Those that libtest-mimic knows; the filter is in `filters`.
    pub mimic: Arguments,
    /// Any number of filters.
    pub filters: Vec<String>,
    /// Show the timeline of trials that passed, too.
    pub show_output: bool,
    /// Keep the databases of trials that fail.
    pub keep_db: bool,
    /// The folder that takes the history of each trial.
    pub history: Option<PathBuf>,
    /// Ask for timestamps after each statement.
    pub timestamps: bool,
    /// The one order that trials with `permutations` are run in.
    pub order: Option<ChosenOrder>,
    /// Hold trials that fail.
    pub pause: bool,
    /// Several tries of each trial.
    pub repeat: RepeatArguments,
    /// The files that take reports.
    pub reports: ReportArguments,
}

#[derive(Debug, Parser)]
struct CommandLine {
    /// Keep the databases of trials that fail: on a server that stays (TIDB_URL), or until Enter on a terminal.
    #[arg(long, display_order = 0)]
    keep_db: bool,
    /// Hold a trial where it fails, with its sessions and locks, and say how to look at it; Enter goes on.
    #[arg(long, display_order = 0)]
    pause: bool,
    /// Write the history of each trial into this folder, as JSON.
    #[arg(long, display_order = 0, value_name = "FOLDER")]
    history: Option<PathBuf>,
    /// Write TiDB's timestamps of each step into the history: its session is asked for them after each statement, so that
    /// row_count() and the like tell of that question
    #[arg(long, display_order = 0)]
    timestamps: bool,
    /// Run trials with `permutations` in this order only, such as "alice bob alice bob".
    #[arg(long, display_order = 0, value_name = "ORDER")]
    order: Option<String>,
    /// Leave these steps out of the order, such as "alice.select bob.update.2".
    #[arg(long, display_order = 0, value_name = "STEPS", requires = "order")]
    without: Option<String>,
    #[command(flatten)]
    repeat: RepeatArguments,
    #[command(flatten)]
    reports: ReportArguments,
    #[command(flatten)]
    mimic: Arguments,
    // libtest-mimic takes one filter, which is the first.
    #[arg(index = 2)]
    more_filters: Vec<String>,
}

const HELP: &str = "{usage-heading} {usage}\n\n{all-args}{after-help}";

const AFTER_HELP: &str = "\
Environment:
  TIDB_URL=mysql://user:password@host:4000/   run on this TiDB
  TIDB_URL_CA=FILE                            the CA (PEM) that signed its certificate
  TIDB_PROVIDER=url|container|embedded        use only this kind of server
  TIDB_IMAGE=name:tag                         the image of the container
  TIDB_SCENARIOS=DIR                          run the scenarios of another folder
  TIDB_SCENARIOS_KEEP_DB=1                    the same as --keep-db
  TIDB_SCENARIOS_PAUSE=1                      the same as --pause
  TIDB_SCENARIOS_HISTORY=FOLDER               the same as --history FOLDER
  TIDB_SCENARIOS_REPEAT=N                     the same as --repeat N
  TIDB_SCENARIOS_UNTIL_FAIL=1                 the same as --until-fail
  TIDB_SCENARIOS_DURATION=TIME                the same as --duration TIME
  TIDB_SCENARIOS_RETRIES=N                    the same as --retries N
  TIDB_SCENARIOS_FAIL_FLAKY=1                 the same as --fail-flaky
  TIDB_SCENARIOS_SEED=NUMBER                  the same as --seed NUMBER
  TIDB_SCENARIOS_REPORT_JUNIT=FILE            the same as --report-junit FILE
  TIDB_SCENARIOS_REPORT_JSON=FILE             the same as --report-json FILE
  TIDB_SCENARIOS_REPORT_HTML=FILE             the same as --report-html FILE
  TIDB_SCENARIOS_CACHE=DIR                    where the built server is kept
  RUST_LOG=tidb_scenarios=debug               log to standard error
  RUST_LOG_FORMAT=json                        each line of the log is an object of JSON
  COLUMNS=NUMBER                              how wide timelines are, not as wide as the terminal
  CI=true                                     where it is set, --bless is refused
  NO_COLOR=1                                  no colours, even on a terminal
  GITHUB_ACTIONS=true                         (set by GitHub) each failure is an annotation, too
  GITHUB_WORKSPACE=DIR                        (set by GitHub) where annotations find files
  NEXTEST=1                                   (set by cargo-nextest) no reports are written

Exit codes:
  0         every trial that ran passed
  101       a trial failed, or there was nothing to run
  2         unknown argument
  130, 143  Ctrl-C, SIGTERM";

/// Reads arguments, the program's name first; `command` is how the program is called, for its help.
///
/// # Errors
/// The exit code to end with, after the parser has said what is wrong (or printed its help).
pub fn parse_arguments(args: Vec<OsString>, command: &str) -> Result<Parsed, ExitCode> {
    let parser = parser(command);
    let parsed = parser
        .try_get_matches_from(args)
        .and_then(|mut matches| CommandLine::from_arg_matches_mut(&mut matches))
        .and_then(|line| {
            // The folder may come from the environment.
            if line.timestamps && line.history.is_none() && history_folder().is_none() {
                let message = "`--timestamps` needs `--history FOLDER`, or TIDB_SCENARIOS_HISTORY: the timestamps stand \
                    in the history";
                return Err(self::parser(command).error(clap::error::ErrorKind::MissingRequiredArgument, message));
            }
            Ok(line)
        });
    match parsed {
        Ok(CommandLine {
            keep_db,
            pause,
            history,
            timestamps,
            order,
            without,
            repeat,
            reports,
            mut mimic,
            more_filters,
        }) => Ok(Parsed {
            show_output: mimic.show_output,
            filters: mimic.filter.take().into_iter().chain(more_filters).collect(),
            mimic,
            keep_db,
            pause,
            history,
            timestamps,
            repeat,
            reports: reports.or_environment(|name| std::env::var_os(name)),
            order: order.map(|order| ChosenOrder {
                order,
                without: without.unwrap_or_default(),
            }),
        }),
        Err(error) => {
            let code = error.exit_code();
            // The parser's own print goes to the right stream.
            drop(error.print());
            Err(ExitCode::from(u8::try_from(code).unwrap_or(2)))
        }
    }
}

/// What libtest-mimic's own texts leave out, or what is otherwise here.
const TEXTS: &[(&str, &str)] = &[
    (
        "filter",
        "Run only trials whose name contains this, or one of these",
    ),
    ("include_ignored", "Run ignored trials, too"),
    ("ignored", "Run ignored trials only"),
    ("list", "List the trials; no server is started"),
    ("nocapture", "Changes nothing: output is never captured"),
    ("show_output", "Show the timeline of trials that passed, too"),
    (
        "exact",
        "A filter is a whole name; one that no trial has is an error",
    ),
    (
        "quiet",
        "One character for each trial; the same as --format=terse",
    ),
    (
        "test_threads",
        "How many trials run at the same time; as many as there are processors without it",
    ),
    (
        "logfile",
        "Write the results into this file, not to standard output",
    ),
    (
        "skip",
        "Leave out trials whose name contains this; may be given several times",
    ),
    (
        "color",
        "Colours; without it on a terminal, unless NO_COLOR is set",
    ),
    ("format", "How results are written"),
];

fn parser(command: &str) -> clap::Command {
    let mut parser = CommandLine::command()
        .help_template(HELP)
        .override_usage(format!("{command} [OPTIONS] [FILTER]..."))
        .after_help(AFTER_HELP)
        .max_term_width(110)
        .disable_help_flag(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::HelpShort)
                .help("Print this"),
        )
        .mut_arg("nocapture", |arg| arg.visible_alias("no-capture"))
        .mut_arg("color", |arg| arg.hide_possible_values(true))
        .mut_arg("format", |arg| arg.hide_possible_values(true))
        .mut_arg("test_threads", |arg| arg.value_name("NUMBER"))
        // Flags that mean something to libtest only; they are taken, and change nothing.
        .mut_args(|arg| {
            let hidden = ["test", "bench", "unstable_flags", "more_filters"].contains(&arg.get_id().as_str());
            arg.long_help(None).hide(hidden)
        });
    for (id, text) in TEXTS {
        parser = parser.mut_arg(*id, |arg| arg.help(*text));
    }
    parser
}

/// The arguments for libtest-mimic, which takes one filter: with several, what they leave out is skipped by
/// its exact name, so that its count of trials that were filtered out is right.
///
/// # Errors
/// An exact name that no trial has: it would otherwise pass without having run anything.
pub fn select(parsed: Parsed, names: &[String]) -> Result<Arguments, String> {
    let Parsed {
        mut mimic, filters, ..
    } = parsed;
    if mimic.exact {
        for filter in &filters {
            if !names.contains(filter) {
                let near = nearest(filter, names.iter().map(String::as_str));
                let near = near
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                return Err(format!(
                    "no trial is called `{filter}`{near} (`--list` shows them all)"
                ));
            }
        }
    }
    if filters.len() <= 1 {
        mimic.filter = filters.into_iter().next();
        if let Some(filter) = mimic.filter.as_ref().filter(|_| !mimic.exact && !mimic.list)
            && !names.iter().any(|name| name.contains(filter.as_str()))
        {
            super::output::say(&format!(
                "warning: no trial's name contains `{filter}` (`--list` shows them all)"
            ));
        }
        return Ok(mimic);
    }
    let keep = |name: &String| {
        let kept = filters.iter().any(|filter| {
            if mimic.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        });
        let skipped = mimic.skip.iter().any(|skip| {
            if mimic.exact {
                name == skip
            } else {
                name.contains(skip.as_str())
            }
        });
        kept && !skipped
    };
    let skip = names.iter().filter(|name| !keep(name)).cloned().collect();
    Ok(Arguments {
        filter: None,
        exact: true,
        skip,
        ..mimic
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Parsed {
        let args = std::iter::once("harness")
            .chain(args.split_whitespace())
            .map(OsString::from)
            .collect();
        parse_arguments(args, "harness").expect("arguments")
    }

    #[test]
    fn the_parser_is_sound() {
        parser("harness").debug_assert();
    }

    #[test]
    fn several_filters_and_what_cargo_passes() {
        let parsed = parse("a b --test-threads 2 --no-capture --skip c");
        assert_eq!(parsed.filters, ["a", "b"]);
        assert!(parsed.mimic.nocapture && !parsed.keep_db);
        let names = ["a1", "b1", "bc", "d"].map(str::to_owned);
        let selected = select(parsed, &names).expect("a selection");
        assert_eq!(selected.skip, ["bc", "d"]);
        assert!(select(parse("--exact nope"), &names).is_err());
    }

    #[test]
    fn what_nextest_passes() {
        let parsed = parse("--list --format terse --ignored");
        assert!(parsed.mimic.list && parsed.mimic.ignored && parsed.filters.is_empty());
        let parsed = parse("--exact a::b --nocapture");
        assert!(parsed.mimic.exact && parsed.mimic.nocapture);
        assert_eq!(parsed.filters, ["a::b"]);
    }

    #[test]
    fn a_filter_may_look_like_a_flag_behind_two_dashes() {
        let parsed = parse("--keep-db a -- --list");
        assert!(parsed.keep_db && !parsed.mimic.list);
        assert_eq!(parsed.filters, ["a", "--list"]);
    }
}
