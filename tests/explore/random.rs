//! Random scenarios: pruned and not, they come to the same outcomes of the same numbers of orders.
//!
//! A few are run with all tests. `TIDB_SCENARIOS_SEEDS=1000..1200 cargo test --test explore random` runs more; a
//! failure names the seed and shows the scenario.

use std::fmt::Write as _;
use std::ops::Range;

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidb_scenarios::explore::Explored;
use tidb_scenarios::report::table;

use crate::{counts, explored, trial};

/// Those that are run with all tests.
const SEEDS: Range<u64> = 0..12;
/// A full exploration of more orders takes too long.
const ORDERS_MAX: u128 = 900;

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("TIDB_SCENARIOS_SEEDS") else {
        return SEEDS;
    };
    let range = text.split_once("..");
    let range = range.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("TIDB_SCENARIOS_SEEDS is written `0..100`, not `{text}`"))
}

/// A statement of a transaction, or one that is its own.
fn statement(random: &mut ChaCha8Rng) -> String {
    let name = ["t", "t", "u"].choose(random).expect("a table");
    let (id, n) = (random.random_range(1..=3), random.random_range(1..=9));
    let place = ["id = ID", "id = ID", "id >= ID", "n >= 0", "k = ID0"].choose(random);
    let place = place.expect("a place").replace("ID", &id.to_string());
    match random.random_range(0..12) {
        0..=3 => format!("update {name} set n = n + {n} where {place}"),
        4 => format!(
            "update {name} set k = {id}0 where id = {}",
            random.random_range(1..=3)
        ),
        5 => format!("insert into {name} values ({id}, {n}, {n}0)"),
        6 => format!("insert ignore into {name} values ({}, {n}, {id}0)", id + 1),
        7 => format!("delete from {name} where {place}"),
        8 => format!("select n from {name} where {place} order by id for update"),
        9 => format!("select n from {name} where id = {id} for update"),
        _ => format!("select id, n from {name} where {place} order by id"),
    }
}

/// The statements of one connection.
fn connection(random: &mut ChaCha8Rng, most: usize, may_be_auto: bool) -> Vec<String> {
    let mut statements = Vec::new();
    let begin = match random.random_range(0..6) {
        0 if may_be_auto => None,
        1 => Some("begin"),
        2 => Some("begin optimistic"),
        _ => Some("begin pessimistic"),
    };
    let inner = random.random_range(1..=most);
    statements.extend(begin.map(str::to_owned));
    if begin.is_some() && inner >= 2 && random.random_range(0..5) == 0 {
        statements.push("savepoint s".to_owned());
        statements.push(statement(random));
        statements.push("rollback to s".to_owned());
    } else {
        statements.extend((0..inner).map(|_| statement(random)));
    }
    if begin.is_some() {
        let end = if random.random_range(0..6) == 0 {
            "rollback"
        } else {
            "commit"
        };
        statements.push(end.to_owned());
    }
    statements
}

/// The scenario of a seed, without its title and `permutations`.
fn scenario(seed: u64) -> String {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let three = random.random_range(0..3) == 0;
    let mut text = "timeout: 600s\nstep_timeout: 1500ms\nsetup: |\n".to_owned();
    for name in ["t", "u"] {
        let _ = writeln!(
            text,
            "  create table {name} (id int primary key, n int, k int unique);\n  \
             insert into {name} values (1, 0, 10), (2, 0, 20);"
        );
    }
    text.push_str("connections:\n");
    for name in &["a", "b", "c"][..if three { 3 } else { 2 }] {
        let statements = connection(random, if three { 1 } else { 3 }, !three);
        let states = statements.iter().map(|sql| format!("{{sql: \"{sql}\"}}"));
        let states = states.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "  {name}: {{states: [{states}]}}");
    }
    text
}

/// Both ways, and whether they differ.
fn both(text: &str) -> (Explored, Explored, bool) {
    let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
    let (pruned, full) = (with("all"), with("{prune: false}"));
    assert_eq!((pruned.left_out, full.left_out), (None, None), "{text}");
    let differ = counts(&pruned) != counts(&full);
    (pruned, full, differ)
}

#[test]
fn random_scenarios_are_pruned_to_the_same_outcomes() {
    let (mut run, mut all) = (0, 0);
    for seed in seeds() {
        let text = scenario(seed);
        let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
        if tidb_scenarios::plan::number_of_orders(&plan.connections) > ORDERS_MAX {
            continue;
        }
        let (mut pruned, mut full, mut differ) = both(&text);
        if differ {
            // On a machine that is very busy, a statement may be slow enough to look like one that waits.
            println!("seed {seed}: once more");
            (pruned, full, differ) = both(&text);
        }
        assert!(
            !differ,
            "seed {seed}:\n{text}\npruned: {}\n\nfull: {}",
            table(&plan, &pruned),
            table(&plan, &full)
        );
        (run, all) = (run + pruned.executed, all + full.executed);
        println!(
            "seed {seed}: {} of {} orders, {} outcomes",
            pruned.executed,
            full.executed,
            full.outcomes.len()
        );
    }
    println!("in all {run} of {all}");
    assert!(run < all, "nothing was pruned: {run} of {all}");
}

#[test]
fn random_scenarios_are_the_same_for_the_same_seed_only() {
    assert_eq!(scenario(3), scenario(3));
    assert_ne!(scenario(3), scenario(4));
}
