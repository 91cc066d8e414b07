//! The command `check`: what is wrong with files, without any server.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::collect::{Collected, PlannedFile, collect};
use super::environment::no_color;
use super::output::{complain, say};
use super::reports::file_on_github;
use crate::handler::Handlers;
use crate::report::{Annotation, Level, annotation, problems_json};
use crate::source::{Diagnostic, RenderStyle, render_all};

/// What `check` was asked for.
#[derive(Debug, Clone, Default)]
pub struct CheckArgs {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// How mistakes are written.
    pub format: CheckFormat,
    /// Whether warnings are mistakes, too.
    pub deny_warnings: bool,
}

/// How mistakes are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckFormat {
    /// For people, with the lines of the file: on standard error.
    #[default]
    Text,
    /// One object of JSON on standard output.
    Json,
    /// A command of GitHub Actions for each: on standard output.
    Github,
}

/// Checks files without any server; prints what is wrong.
#[must_use]
pub fn check(paths: &[PathBuf]) -> ExitCode {
    check_with(&CheckArgs {
        paths: paths.to_vec(),
        ..CheckArgs::default()
    })
}

/// Checks files without any server; prints what is wrong in the format that was asked for.
#[must_use]
pub fn check_with(args: &CheckArgs) -> ExitCode {
    let env = std::env::vars().collect();
    let collected = match collect(&args.paths, &env, &Handlers::new()) {
        Ok(collected) => collected,
        Err(message) => return complain(&message),
    };
    let color = std::io::stderr().is_terminal() && !no_color();
    let style = RenderStyle { color, unicode: true };
    for planned in collected
        .files
        .iter()
        .filter(|planned| !planned.problems.is_empty())
    {
        match args.format {
            CheckFormat::Text => say(&render_all(&planned.file, &planned.problems, style)),
            CheckFormat::Json => {}
            CheckFormat::Github => print(&annotations(planned)),
        }
    }
    let trials = collected.files.iter().map(|planned| planned.trials.len()).sum();
    if args.format == CheckFormat::Json {
        let files = collected.files.iter();
        let files: Vec<_> = files
            .map(|planned| (&*planned.file, planned.problems.as_slice()))
            .collect();
        print(&format!("{}\n", problems_json(&files, trials)));
    }
    let (wrong, summary) = summary(&collected, trials, args.deny_warnings);
    say(&summary);
    if wrong {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}

fn print(text: &str) {
    // Nobody listens any more; there is nobody to tell.
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn annotations(planned: &PlannedFile) -> String {
    let mut sorted: Vec<&Diagnostic> = planned.problems.iter().collect();
    sorted.sort_by_key(|problem| problem.span());
    let lines = sorted.into_iter().map(|problem| {
        let place = problem.span().map(|span| planned.file.place(span.start));
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        let label = problem.labels.first().map(|label| label.text.as_str());
        let parts = [Some(problem.message.as_str()), label, problem.help.as_deref()];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        let level = if problem.is_error() {
            Level::Error
        } else {
            Level::Warning
        };
        annotation(&Annotation {
            level,
            file: &file_on_github(planned.file.name()),
            line,
            column,
            title: &planned.name,
            message: &parts.collect::<Vec<_>>().join("\n"),
        }) + "\n"
    });
    lines.collect()
}

/// Whether something is wrong, and how much was looked at, in a line.
fn summary(collected: &Collected, trials: usize, deny_warnings: bool) -> (bool, String) {
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let files = &collected.files;
    let broken = files.iter().filter(|planned| planned.is_broken()).count();
    let mut text = format!(
        "{}, {}, {} with mistakes",
        count(files.len(), "file"),
        count(trials, "trial"),
        count(broken, "file")
    );
    let warned = files.iter().filter(|planned| {
        let mut problems = planned.problems.iter();
        problems.any(|problem| !problem.is_error())
    });
    let warned = warned.count();
    if deny_warnings && warned > 0 {
        text.push_str(&format!(
            ", {} with warnings, which are denied",
            count(warned, "file")
        ));
    }
    (broken > 0 || deny_warnings && warned > 0, text)
}
