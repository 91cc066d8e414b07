//! Lines on standard error.

use std::io::Write as _;
use std::process::ExitCode;

/// A line on standard error.
pub(crate) fn say(text: &str) {
    // Nobody listens any more; there is nobody to tell.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A text on standard output.
pub(super) fn print(text: &str) {
    // Nobody reads it any more; there is nobody to tell.
    drop(writeln!(std::io::stdout(), "{text}"));
}

pub(super) fn complain(message: &str) -> ExitCode {
    say(&format!("error: {message}"));
    ExitCode::from(101)
}
