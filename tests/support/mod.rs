//! What tests of the binary share.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::Path;
use std::process::{Command, Output};

/// The binary, without colours, and without what the environment says of the folder of scenarios and of reports.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidb-scenarios"));
    command.env("NO_COLOR", "1");
    for name in [
        "TIDB_SCENARIOS",
        "GITHUB_ACTIONS",
        "TIDB_SCENARIOS_REPORT_JUNIT",
        "TIDB_SCENARIOS_REPORT_JSON",
        "TIDB_SCENARIOS_REPORT_HTML",
        "COLUMNS",
    ] {
        command.env_remove(name);
    }
    command
}

/// The exit code, standard output, standard error.
pub fn answer(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (status.code(), stdout, stderr)
}

/// The exit code, and what was written: standard output, then standard error.
pub fn told(command: &mut Command) -> (Option<i32>, String) {
    let (code, stdout, stderr) = answer(command);
    (code, stdout + &stderr)
}

/// The embedded server of a run whose temporary files are in this folder.
pub fn server_of(folder: &Path) -> Option<String> {
    let folder = folder.display().to_string();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let program = words.split('\0').next()?;
        let is_ours = program.ends_with("/tidb-server") && words.contains(&folder);
        is_ours.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}
