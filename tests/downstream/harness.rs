//! Runs `scenarios/` against TiDB.
fn main() -> std::process::ExitCode {
    tidb_scenarios::Harness::new("scenarios").run()
}
