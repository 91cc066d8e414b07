//! The texts of the files that `init` and `new` write. Each scenario passes as it stands.

/// Which skeleton of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skeleton {
    /// A script in the order of the file.
    Steps,
    /// Concurrent connections.
    States,
    /// Every interleaving.
    Permutations,
}

const STEPS: &str = r"# What this shows, and what it would catch.
scenario: TITLE

setup: |
  create table account (id int primary key, balance int not null);
  insert into account values (1, 100), (2, 100);

connections: [alice, bob]

steps:
  - alice: begin pessimistic
  - bob: begin pessimistic
  - alice: update account set balance = balance - 10 where id = 1
    affected: 1
  # bob needs the row that alice has changed: the server must show that he waits for her.
  - bob: update account set balance = balance - 20 where id = 1
    blocked_by: alice
    affected: 1
  - alice: commit
    unblocks: bob
  - bob: commit

expect:
  tables:
    account: [[1, 70], [2, 100]]
";

const STATES: &str = r"# What this shows, and what it would catch.
scenario: TITLE

setup: |
  create table counter (id int primary key, n int not null);
  insert into counter values (1, 0);

connections:
  # Five connections of this kind run at the same time, each ten times through its states.
  worker:
    count: 5
    repeat: 10
    states:
      # After a deadlock (1213) it begins again.
      - {state: begin, sql: begin pessimistic}
      - {state: add, sql: update counter set n = n + 1 where id = 1, affected: 1, on: {1213: begin}}
      - {sql: commit, signal: done}
  auditor:
    states:
      - {wait_for: {done: 50}}
      - {sql: select n from counter, value: 50}

expect:
  shared: {status: {auditor: completed}}
  tables:
    counter: [[1, 50]]
";

const PERMUTATIONS: &str = r"# What this shows, and what it would catch. `tidb-scenarios explore FILE` prints the outcomes.
scenario: TITLE

setup: |
  create table account (id int primary key, balance int not null);
  insert into account values (1, 100);

connections: [writer, reader]

steps:
  - writer: update account set balance = 90 where id = 1
  - reader: select balance from account where id = 1

# Every interleaving is run. Each outcome must occur, and no other one may.
permutations: all

expect:
  outcomes:
    reads the new row: {saw: {reader.select: 90}}
    reads the old row: {saw: {reader.select: 100}}
";

/// The text of a scenario; `schema` is the path of the schema, seen from its folder.
pub(crate) fn scenario(skeleton: Skeleton, title: &str, schema: Option<&str>) -> String {
    let text = match skeleton {
        Skeleton::Steps => STEPS,
        Skeleton::States => STATES,
        Skeleton::Permutations => PERMUTATIONS,
    };
    let line = schema
        .map(|schema| format!("# yaml-language-server: $schema={schema}\n"))
        .unwrap_or_default();
    format!("{line}{}", text.replace("TITLE", title))
}

/// `tests/harness.rs`.
pub(super) const HARNESS: &str = "\
//! Runs `scenarios/` against TiDB.
fn main() -> std::process::ExitCode {
    tidb_scenarios::Harness::new(\"scenarios\").run()
}
";

/// The workflow for GitHub; `folder` is the package's, seen from the repository's.
pub(super) fn workflow(folder: &str) -> String {
    let place = if folder.is_empty() {
        String::new()
    } else {
        format!("    defaults:\n      run:\n        working-directory: {folder}\n")
    };
    format!(
        "\
name: scenarios

on:
  push:
  pull_request:

jobs:
  scenarios:
    runs-on: ubuntu-latest
    timeout-minutes: 30
{place}    steps:
      - uses: actions/checkout@v4
      # These machines have Docker, so that TiDB comes as a container.
      - run: cargo test --test harness
        env:
          TIDB_PROVIDER: container
"
    )
}
