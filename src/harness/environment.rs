//! What the environment and the terminal say of how to run and how to print.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use crate::source::RenderStyle;

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
        .with_writer(std::io::stderr);
    // A subscriber that somebody else has set is as good.
    drop(subscriber.try_init());
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
