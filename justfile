# What people do every day. `just` lists it.

export TIDB_PROVIDER := env("TIDB_PROVIDER", "embedded")

[private]
default:
    @just --list --unsorted

# format, lints, and mistakes in scenario files: all that needs no server
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo run --quiet -- check scenarios

# all tests
test:
    cargo test

# the scenarios, or those with these words in their names; flags of libtest go with them
scenarios *ARGS:
    cargo test --test harness -- {{ARGS}}

# a package outside this one that uses the library
downstream:
    cargo test --test downstream -- --ignored

# the same orders on TiDB and on MariaDB (apt-get install mariadb-server).
mariadb:
    cargo test --test mariadb -- --ignored

# what the engine costs
bench:
    cargo bench

# every expectation of every scenario changed in turn (hours)
mutants:
    TIDB_SCENARIOS_MUTANTS=all cargo test --test mutation

# random scenarios, explored with and without pruning: `just random 1000..1200`
random SEEDS:
    TIDB_SCENARIOS_SEEDS={{SEEDS}} cargo test --test explore random -- --nocapture

# the same scenarios, as they are written
random-show SEEDS:
    TIDB_SCENARIOS_SEEDS={{SEEDS}} cargo test --test explore random_scenarios_are_shown -- --ignored --nocapture

# random scenarios in full and by a plain program that leaves nothing out (needs Python): `just plain 0..50`
plain SEEDS: plain-python
    TIDB_SCENARIOS_SEEDS={{SEEDS}} cargo test --test explore plain::random -- --ignored --nocapture

# scenario files with `permutations: all`: pruned, in full and by the plain program
plain-files FOLDER: plain-python
    TIDB_SCENARIOS_FILES={{absolute_path(FOLDER)}} cargo test --test explore plain::files -- --ignored --nocapture

[private]
plain-python:
    test -x target/plain/bin/python || python3 -m venv target/plain
    target/plain/bin/pip install --quiet --disable-pip-version-check "pymysql>=1.1" "pyyaml>=6"

# write the files anew that are made from the code: the schema, the failure in README
bless:
    UPDATE_EXPECT=1 cargo test --test schema --test docs
    TIDB_SCENARIOS_BLESS=1 cargo test --test language

# the library's documentation
docs:
    cargo doc --no-deps --open

# licences, sources and duplicates of the dependencies (needs cargo-deny)
deny:
    cargo deny check

# all that decides whether a change lands
ci:
    .ci/run
