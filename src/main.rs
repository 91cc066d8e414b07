//! The command `tidb-scenarios`.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use tidb_scenarios::harness::{CheckArgs, CheckFormat, RepeatArguments, ReportArguments, Skeleton};
use tidb_scenarios::isolation::{Format, Level};
use tidb_scenarios::server::{ServerSettings, build_image, run_reaper_if_asked};

/// Says what TiDB does while many connections work on it at once.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: any files and folders.
    #[command(after_help = "`tidb-scenarios run PATH -- --help` shows the filters and flags.")]
    Run {
        /// Keep the databases of trials that fail (the same as `--keep-db` behind `--`).
        #[arg(long)]
        keep_db: bool,
        /// Hold a trial where it fails, with its sessions and locks, and say how to look at it; Enter goes on.
        #[arg(long)]
        pause: bool,
        #[command(flatten)]
        repeat: RepeatArguments,
        /// Write what the steps came to into the files: rows, affected rows, errors, who was blocked, final tables.
        #[arg(long, conflicts_with_all = ["keep_db", "pause", "repeat", "until_fail", "duration", "retries", "seed", "args"])]
        bless: bool,
        #[command(flatten)]
        reports: ReportArguments,
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Filters and flags of libtest, such as `--exact NAME`, `--list`, `--test-threads 1`.
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Check scenario files without any server.
    #[command(
        after_help = "Exit codes: 0 no mistakes, 1 mistakes, 101 a path does not exist or has no scenario below it."
    )]
    Check {
        /// How mistakes are written: text on standard error, JSON on standard output, or commands of GitHub Actions.
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: MistakeFormat,
        /// Fail on these, too.
        #[arg(long, value_name = "WHAT")]
        deny: Option<Denied>,
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Run every interleaving of the steps, and print the outcomes; nothing is judged.
    Explore {
        /// Write the outcomes into the file, as its `outcomes`.
        #[arg(long, conflicts_with = "order")]
        bless: bool,
        /// Run only this interleaving, such as "alice bob alice bob", and show it step by step.
        #[arg(long, value_name = "ORDER")]
        order: Option<String>,
        /// Leave these steps out of the interleaving, such as "alice.select bob.update.2".
        #[arg(long, value_name = "STEPS", requires = "order")]
        without: Option<String>,
        /// Files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Run the interleavings on a second server, too, and print the outcomes that differ.
    Compare {
        /// The other server: mysql://user:password@host:4000/
        #[arg(long, value_name = "URL")]
        with: String,
        /// Files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print each trial with its file, and whether it would run; starts nothing.
    List {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print what files were understood as; starts nothing.
    Show {
        /// Files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Make a package run scenarios: Cargo.toml, tests/harness.rs, a first scenario, the schema, a workflow for GitHub.
    #[command(after_help = "Nothing that is there is overwritten.")]
    Init {
        /// tidb-scenarios comes from this git repository.
        #[arg(long, value_name = "URL", conflicts_with = "path")]
        git: Option<String>,
        /// tidb-scenarios is in this folder, seen from the package's.
        #[arg(long, value_name = "FOLDER")]
        path: Option<PathBuf>,
        /// The package's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Write the skeleton of a scenario.
    New {
        /// A script in the order of the file; so without any of these.
        #[arg(long)]
        steps: bool,
        /// Concurrent connections.
        #[arg(long, conflicts_with_all = ["steps", "permutations"])]
        states: bool,
        /// Every interleaving.
        #[arg(long, conflicts_with = "steps")]
        permutations: bool,
        /// The folder of scenarios.
        #[arg(long, value_name = "FOLDER", default_value = "scenarios")]
        to: PathBuf,
        /// Its name, such as `locking::second_writer_waits`.
        name: String,
    },
    /// Say which servers there are to run on, and why others are not.
    Doctor,
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// Convert test files of other tools into scenario files.
    #[command(after_help = "docs/import.md says what becomes of each construct.")]
    Import {
        /// The folder for the scenarios; created if it does not exist.
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
        /// isolation (PostgreSQL's specs), mysqltest, sqllogictest, hermitage or troc; with `auto` the file decides.
        #[arg(long, value_name = "FORMAT", default_value = "auto")]
        format: String,
        /// Overwrite files that exist.
        #[arg(long)]
        force: bool,
        /// Files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Check whether a history of transactions satisfies an isolation level, and show why not.
    #[command(after_help = "Exit codes: 0 the level holds, 1 it does not, 101 that cannot be decided.")]
    CheckHistory {
        /// The level, such as `snapshot` or `strict-serializable`; `promised`: what TiDB promises in the history's
        /// mode; `timestamps`: each read is the newest version at its timestamp, nothing else.
        #[arg(long, value_name = "LEVEL", value_parser = Level::by_name)]
        isolation: Level,
        /// The format; with `auto` the beginning of the file decides.
        #[arg(long, value_name = "FORMAT", default_value = "auto")]
        format: HistoryFormat,
        /// Draw the most serious finding into this file, as SVG.
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
        /// The history: JSON lines as described in docs/histories.md, or Jepsen's EDN.
        file: PathBuf,
    },
    /// Start a server as a run would, and print where it is; Ctrl-C stops it.
    #[command(
        after_help = "TIDB_URL, TIDB_PROVIDER and the other variables choose the server, as for a run."
    )]
    Serve,
    /// Build a local TiDB image from the embedded server, for machines that cannot pull.
    Image {
        /// The image's name and tag; the image that the container provider uses by default.
        #[arg(long)]
        tag: Option<String>,
    },
    /// Print the JSON Schema of scenario files, for editors.
    Schema,
}

/// How mistakes are written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum MistakeFormat {
    /// For people, with the lines of the file.
    Text,
    /// One object of JSON (docs/reports.md).
    Json,
    /// A command of GitHub Actions for each.
    Github,
}

/// What `check` also fails on.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Denied {
    /// Warnings.
    Warnings,
}

/// The format of a history.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum HistoryFormat {
    /// JSON lines.
    Jsonl,
    /// Jepsen's EDN.
    Edn,
    /// By the beginning of the file.
    Auto,
}

fn main() -> ExitCode {
    if let Some(code) = run_reaper_if_asked(std::env::args_os()) {
        return code;
    }
    match Cli::parse().command {
        Command::Run {
            keep_db,
            pause,
            repeat,
            bless,
            reports,
            paths,
            args,
        } => {
            if bless {
                return tidb_scenarios::harness::bless(&paths);
            }
            let args = std::iter::once(OsString::from("tidb-scenarios run"))
                .chain(keep_db.then(|| OsString::from("--keep-db")))
                .chain(pause.then(|| OsString::from("--pause")))
                .chain(repeat.to_args())
                .chain(reports.to_flags())
                .chain(args)
                .collect();
            tidb_scenarios::Harness::of_paths(paths).run_with(args)
        }
        Command::Check { format, deny, paths } => {
            let format = match format {
                MistakeFormat::Text => CheckFormat::Text,
                MistakeFormat::Json => CheckFormat::Json,
                MistakeFormat::Github => CheckFormat::Github,
            };
            tidb_scenarios::harness::check_with(&CheckArgs {
                paths,
                format,
                deny_warnings: matches!(deny, Some(Denied::Warnings)),
            })
        }
        Command::Explore {
            bless,
            order,
            without,
            paths,
        } => {
            let order = order.map(|order| tidb_scenarios::engine::ChosenOrder {
                order,
                without: without.unwrap_or_default(),
            });
            let args = tidb_scenarios::harness::ExploreArgs { paths, bless, order };
            tidb_scenarios::harness::explore(&args)
        }
        Command::Compare { with, paths } => tidb_scenarios::harness::compare(&paths, &with),
        Command::Import {
            to,
            format,
            force,
            files,
        } => tidb_scenarios::harness::import(&tidb_scenarios::harness::ImportArgs {
            files,
            to,
            format,
            force,
        }),
        Command::CheckHistory {
            isolation,
            format,
            svg,
            file,
        } => {
            let format = match format {
                HistoryFormat::Jsonl => Some(Format::JsonLines),
                HistoryFormat::Edn => Some(Format::Edn),
                HistoryFormat::Auto => None,
            };
            tidb_scenarios::harness::check_history(&tidb_scenarios::harness::CheckHistoryArgs {
                file,
                level: isolation,
                format,
                svg,
            })
        }
        Command::List { paths } => tidb_scenarios::harness::list(&paths),
        Command::Show { paths } => tidb_scenarios::harness::show(&paths),
        Command::Init { git, path, folder } => {
            tidb_scenarios::harness::init(&tidb_scenarios::harness::InitArgs { folder, git, path })
        }
        Command::New {
            steps: _,
            states,
            permutations,
            to,
            name,
        } => {
            let skeleton = match (states, permutations) {
                (true, _) => Skeleton::States,
                (false, true) => Skeleton::Permutations,
                (false, false) => Skeleton::Steps,
            };
            tidb_scenarios::harness::new_scenario(&tidb_scenarios::harness::NewArgs { name, to, skeleton })
        }
        Command::Doctor => tidb_scenarios::harness::doctor(),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tidb-scenarios", &mut text);
            write_out(&text)
        }
        Command::Man => man(),
        Command::Serve => tidb_scenarios::harness::serve(),
        Command::Image { tag } => image(tag),
        Command::Schema => {
            print!("{}", tidb_scenarios::schema::schema_text());
            ExitCode::SUCCESS
        }
    }
}

/// The page of the command, and those of its subcommands behind it.
fn man() -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let pages = std::iter::once(&command).chain(command.get_subcommands());
    let mut text = Vec::new();
    for page in pages {
        if let Err(error) = clap_mangen::Man::new(page.clone()).render(&mut text) {
            eprintln!("error: the manual page cannot be made: {error}");
            return ExitCode::FAILURE;
        }
    }
    write_out(&text)
}

fn write_out(text: &[u8]) -> ExitCode {
    match std::io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads it has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn image(tag: Option<String>) -> ExitCode {
    let result = ServerSettings::from_vars(|name| std::env::var(name).ok())
        .map_err(|error| error.to_string())
        .and_then(|settings| {
            let tag = tag.unwrap_or_else(|| settings.image.clone());
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            runtime.block_on(build_image(&settings, &tag)).map_err(|error| {
                let cause = std::error::Error::source(&error)
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                format!("{error}{cause}")
            })
        });
    match result {
        Ok(image) => {
            println!("{image}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
