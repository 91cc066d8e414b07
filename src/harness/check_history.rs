//! The command `check-history`: judges a history that was written down.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{complain, say};
use crate::isolation::{
    CheckError, Format, History, Level, ReadError, Report, Unusable, check, read_history, render_svg,
    render_text,
};

/// What `check-history` was asked for.
#[derive(Debug, Clone)]
pub struct CheckHistoryArgs {
    /// The file.
    pub file: PathBuf,
    /// The level that it is held to.
    pub level: Level,
    /// How it is written down; without it, what the file begins with tells it.
    pub format: Option<Format>,
    /// Where to draw what refutes the level.
    pub svg: Option<PathBuf>,
}

/// Judges a history: 0 where the level holds, 1 where it does not, 101 where that cannot be told.
#[must_use]
pub fn check_history(args: &CheckHistoryArgs) -> ExitCode {
    let path = args.file.display();
    let history = match read(&args.file, args.format) {
        Ok(history) => history,
        Err(ReadError::Io(error)) => return complain(&format!("{path}: {error}")),
        Err(ReadError::Text {
            line,
            column,
            message,
        }) => {
            return misread(&format!("{path}:{line}:{column}"), &message);
        }
    };
    let report = match check(&history, args.level) {
        Ok(report) => report,
        Err(CheckError::Unusable(Unusable { message, line })) => {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            return misread(&format!("{path}{line}"), &message);
        }
        Err(CheckError::Level(message)) => return misread(&path.to_string(), &message),
    };
    // Whoever closed the pipe has read enough.
    drop(write!(std::io::stdout(), "{}", render_text(&history, &report)));
    if let Some(svg) = &args.svg
        && let Err(message) = draw(&report, svg)
    {
        return complain(&message);
    }
    if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

fn misread(place: &str, message: &str) -> ExitCode {
    say(&format!("{place}: error: {message}"));
    ExitCode::from(101)
}

fn read(path: &Path, format: Option<Format>) -> Result<History, ReadError> {
    let file = File::open(path)?;
    read_history(BufReader::with_capacity(1 << 20, file), format)
}

/// Draws what refutes the level, or what it allows where it holds: the gravest cycle, else the gravest finding.
fn draw(report: &Report, path: &Path) -> Result<(), String> {
    let found = if report.holds() {
        &report.allowed
    } else {
        &report.refutes
    };
    let cycle = found.iter().find(|finding| !finding.edges.is_empty());
    let Some(finding) = cycle.or_else(|| found.first()) else {
        say(&format!("{}: not drawn, since nothing was found", path.display()));
        return Ok(());
    };
    std::fs::write(path, render_svg(finding)).map_err(|error| format!("{}: {error}", path.display()))?;
    say(&format!("drawn: {}", path.display()));
    Ok(())
}
