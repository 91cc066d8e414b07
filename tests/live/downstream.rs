//! A package outside this one uses the library by path: its harness passes, fails, and repeats as README says.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

const PACKAGE: &str = "tests/downstream";

/// Runs a command line in the package, with our target folder: what is built for us serves there.
fn run(command: &str) -> (Option<i32>, String) {
    run_in(Path::new(PACKAGE), command)
}

fn run_in(package: &Path, command: &str) -> (Option<i32>, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_TERM_COLOR", "never")
        .env("TIDB_PROVIDER", "embedded")
        .env_remove("TIDB_URL")
        .env_remove("TIDB_SCENARIOS");
    // What cargo tells a test of its own package would make some build scripts run again.
    for (name, _) in std::env::vars().filter(|(name, _)| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_", "CARGO_CRATE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    }) {
        shell.env_remove(name);
    }
    support::told(&mut shell)
}

/// Minutes on a machine where it was never built, seconds afterwards.
#[test]
#[ignore = "builds a package; `.ci/run` and `just downstream` run it"]
fn another_package_runs_its_own_scenarios() {
    // The versions that are built here; cargo leaves out what is not needed there.
    fs::copy("Cargo.lock", Path::new(PACKAGE).join("Cargo.lock")).expect("the lock file");

    let (code, text) = run("cargo test --test harness");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 passed; 0 failed"), "{text}");
    let built: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Compiling "))
        .filter(|line| !line.starts_with("tidb-scenarios ") && !line.starts_with("downstream "))
        .collect();
    assert!(
        built.is_empty(),
        "a dependency of the tests asks for features that the library does not ask for, so that these are built \
         twice (`cargo tree -e no-dev -f '{{p}} {{f}}'` against `-e normal,dev` shows which): {built:?}"
    );

    let (code, text) = run("cargo test --test seed");
    assert_eq!(code, Some(0), "the code of the architecture document:\n{text}");
    assert!(text.contains("2 passed; 0 failed"), "{text}");

    let (code, text) = run("TIDB_SCENARIOS=mistakes cargo test --test harness");
    assert_eq!(code, Some(101), "{text}");
    for mistake in [
        "mistakes/sales.yaml:6:19: error: no handler is registered as `sel`",
        "did you mean `sell`?",
        "mistakes/sales.yaml:7:32: error: with.item: unknown key; did you mean `items`?",
        "mistakes/sales.yaml:8:32: error: with.items: ",
    ] {
        assert!(text.contains(mistake), "no {mistake}:\n{text}");
    }

    let (code, text) = run("TIDB_SCENARIOS=failing cargo test --test harness");
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("0 passed; 2 failed"), "{text}");
    let missing = "failing/sales.yaml:6:10: error: seller: expected success, got error 1146";
    assert!(text.contains(missing), "{text}");
    assert!(text.contains("ben: expected 1 affected row, got 0"), "{text}");
    let repeat = text
        .lines()
        .filter_map(|line| line.strip_prefix("run it again: "))
        .find(|line| line.ends_with(" stock"))
        .unwrap_or_else(|| panic!("no command to run it again:\n{text}"));
    assert_eq!(
        repeat,
        "TIDB_SCENARIOS=failing cargo test --test harness -- --exact stock"
    );

    let (code, text) = run(repeat);
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("0 passed; 1 failed"), "{text}");

    let (code, text) = run("TIDB_SCENARIOS=empty cargo test --test harness");
    assert_eq!(code, Some(101), "{text}");
    assert!(text.contains("empty"), "{text}");
}

/// `init` in a package as `cargo init` makes it: `cargo test --test harness` passes as it says.
#[test]
#[ignore = "builds a package; `.ci/run` and `just downstream` run it"]
fn a_package_that_init_has_written_passes() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path();
    let ours = std::env::current_dir().expect("our folder");
    // The profile of our packages, so that dependencies are built once.
    let own = fs::read_to_string(Path::new(PACKAGE).join("Cargo.toml")).expect("a manifest");
    let profile = own.find("[profile").map(|at| &own[at..]).unwrap_or_default();
    let manifest = format!(
        "[package]\nname = \"downstream-of-init\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\n{profile}"
    );
    fs::write(package.join("Cargo.toml"), manifest).expect("a manifest");
    fs::create_dir(package.join("src")).expect("a folder");
    fs::write(package.join("src/lib.rs"), "").expect("a library");
    fs::copy("Cargo.lock", package.join("Cargo.lock")).expect("the lock file");
    let binary = env!("CARGO_BIN_EXE_tidb-scenarios");
    let (code, text) = run_in(package, &format!("{binary} init --path '{}'", ours.display()));
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = run_in(package, "cargo test --test harness");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("test first ... ok"), "{text}");
    assert!(text.contains("1 passed; 0 failed"), "{text}");
}
