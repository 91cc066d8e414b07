//! What the environment and the terminal say of how to run and how to print.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::report::TimelineShow;
use crate::source::RenderStyle;

/// A narrower terminal folds lines.
const WIDTH_MIN: usize = 60;

pub(super) fn style(args: &libtest_mimic::Arguments) -> RenderStyle {
    use libtest_mimic::ColorSetting;
    let color = match args.color {
        Some(ColorSetting::Always) => true,
        Some(ColorSetting::Never) => false,
        Some(ColorSetting::Auto) | None => std::io::stdout().is_terminal() && !no_color(),
    };
    RenderStyle { color, unicode: true }
}

pub(super) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// How many columns of a terminal a timeline may take: `COLUMNS`, or what the terminal has; 100 where there is none.
pub(super) fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.trim().parse().ok());
    let terminal = || terminal_size::terminal_size_of(std::io::stdout());
    let width = columns.or_else(|| terminal().map(|(width, _)| usize::from(width.0)));
    width
        .filter(|width| *width > 0)
        .map_or(TimelineShow::default().width, |width| width.max(WIDTH_MIN))
}

/// What `--keep-db` says, for where no arguments can be given.
pub(super) fn keep_databases() -> bool {
    std::env::var_os("TIDB_SCENARIOS_KEEP_DB").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What `--pause` says, for where no arguments can be given.
pub(super) fn pauses() -> bool {
    std::env::var_os("TIDB_SCENARIOS_PAUSE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// What `--history` says, for where no arguments can be given.
pub(super) fn history_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TIDB_SCENARIOS_HISTORY").filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from)
}

/// The name of the test target that we are.
pub(super) fn test_target() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let file = program.file_stem().unwrap_or_default().to_string_lossy();
    target_of(&file).to_owned()
}

/// Cargo calls a test's file by its target, with a hash behind.
fn target_of(file: &str) -> &str {
    match file.rsplit_once('-') {
        Some((target, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            target
        }
        Some(_) | None => file,
    }
}

/// One subscriber for the process; silent unless `RUST_LOG` asks.
pub(super) fn init_tracing() {
    let off = tracing_subscriber::filter::LevelFilter::OFF.into();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(off)
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && !no_color())
        .with_writer(std::io::stderr);
    let as_json = std::env::var_os("RUST_LOG_FORMAT").is_some_and(|format| format == "json");
    // A subscriber that somebody else has set is as good.
    if as_json {
        drop(subscriber.json().try_init());
    } else {
        drop(subscriber.try_init());
    }
}

/// Why files are not written by `--bless`, if they are not.
pub(super) fn bless_is_refused() -> Option<&'static str> {
    let ci = std::env::var("CI").unwrap_or_default();
    (!["", "0", "false"].contains(&ci.as_str())).then_some(
        "--bless is refused where CI is set: what is expected is decided by people, not by a run in CI",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_command_names_the_test_target_of_the_package() {
        assert_eq!(target_of("harness-d41d8cd98f00b204"), "harness");
        assert_eq!(target_of("tidb-tests-d41d8cd98f00b204"), "tidb-tests");
        assert_eq!(target_of("tidb-tests"), "tidb-tests");
    }
}
