//! Random scenarios: pruned and not, they come to the same outcomes of the same numbers of orders; and so they do in a
//! program that was written for this alone (`tests/plain_orders`).
//!
//! A few are run with all tests. `TIDB_SCENARIOS_SEEDS=1000..1200 cargo test --test explore random` runs more; a
//! failure names the seed and shows the scenario.

mod feature;
pub mod generate;
mod scenario;
mod statement;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use tidb_scenarios::engine::table;
use tidb_scenarios::engine::{Explored, OrderOutcome};

use self::feature::{Feature, Tally};
use self::generate::scenario;
use crate::{explored, trial};

/// Those that are run with all tests: few, and most features are in them.
const SEEDS: Range<u64> = 1945..1965;
/// Of so many, each feature is in some.
const MANY: usize = 300;

pub fn seeds(otherwise: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("TIDB_SCENARIOS_SEEDS") else {
        return otherwise;
    };
    let range = text.split_once("..");
    let range = range.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("TIDB_SCENARIOS_SEEDS is written `0..100`, not `{text}`"))
}

/// A text in which all times of now are the same: `now(6)` is another one in each order.
pub fn without_times(text: &str) -> String {
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"'?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}'?").expect("a pattern"));
    TIME.replace_all(text, "a time").into_owned()
}

/// How many orders come to each outcome, whenever that was.
pub fn timeless(explored: &Explored) -> BTreeMap<OrderOutcome, u128> {
    let mut counts: BTreeMap<OrderOutcome, u128> = BTreeMap::new();
    for (mut outcome, count) in crate::counts(explored) {
        for (_, text) in outcome.answers.iter_mut().chain(&mut outcome.vars) {
            *text = without_times(text);
        }
        *counts.entry(outcome).or_default() += count;
    }
    counts
}

/// What a scenario comes to with pruning and without.
pub struct Both {
    pub pruned: Explored,
    pub full: Explored,
}

impl Both {
    pub fn of(text: &str) -> Self {
        let with = |how: &str| explored(&format!("scenario: x\n{text}permutations: {how}\n"));
        let (pruned, full) = (with("all"), with("{prune: false}"));
        for one in [&pruned, &full] {
            assert_eq!((one.left_out, one.dropped), (None, 0), "{text}");
        }
        Self { pruned, full }
    }

    pub fn differ(&self) -> bool {
        timeless(&self.pruned) != timeless(&self.full)
    }
}

#[test]
fn random_scenarios_are_pruned_to_the_same_outcomes() {
    let (mut run, mut all, mut scenarios) = (0, 0, 0);
    let mut tally = Tally::default();
    let mut differing = Vec::new();
    for seed in seeds(SEEDS) {
        let scenario = scenario(seed);
        let text = scenario.yaml();
        let plan = trial(&format!("scenario: x\n{text}permutations: all\n"));
        let both = Both::of(&text);
        let Both { pruned, full } = &both;
        println!(
            "seed {seed}: {} of {} orders, {} outcomes, {:.1} and {:.1} s: {}",
            pruned.executed,
            full.executed,
            full.outcomes.len(),
            pruned.took.as_secs_f64(),
            full.took.as_secs_f64(),
            scenario.has()
        );
        if both.differ() {
            let (pruned, full) = (table(&plan, pruned), table(&plan, full));
            println!("seed {seed} differs:\n{text}\npruned: {pruned}\n\nfull: {full}\n");
            differing.push(seed);
        }
        tally.add(&scenario, &plan, full);
        (run, all, scenarios) = (run + pruned.executed, all + full.executed, scenarios + 1);
    }
    println!("{tally}in all {run} of {all}");
    assert_eq!(
        differing, [0; 0],
        "these seeds differ; what they come to stands above"
    );
    assert!(run < all, "nothing was pruned: {run} of {all}");
    if scenarios >= MANY {
        assert_eq!(tally.missing(), [""; 0], "nothing came of these");
    }
}

#[test]
#[ignore = "prints scenarios; `just random-show 17..18` shows that of a seed"]
fn random_scenarios_are_shown() {
    for seed in seeds(SEEDS) {
        let scenario = scenario(seed);
        let (has, text) = (scenario.has(), scenario.yaml());
        println!("# seed {seed}\nscenario: {has}\n{text}permutations: all\n");
    }
}

#[test]
fn random_scenarios_are_the_same_for_the_same_seed_only() {
    assert_eq!(scenario(3), scenario(3));
    assert_ne!(scenario(3), scenario(4));
}

#[test]
fn every_feature_is_in_some_random_scenario_and_each_of_those_can_be_read() {
    let mut there = BTreeSet::new();
    for seed in 0..MANY as u64 {
        let scenario = scenario(seed);
        let plan = trial(&format!("scenario: x\n{}permutations: all\n", scenario.yaml()));
        let steps: usize = scenario.connections.iter().map(|own| own.states.len()).sum();
        assert_eq!(plan.steps.len(), steps, "seed {seed}");
        assert_eq!(
            tidb_scenarios::engine::number_of_orders(&plan.connections),
            scenario.orders(),
            "seed {seed}"
        );
        let states = scenario.connections.iter().flat_map(|own| &own.states);
        there.extend(states.flat_map(|state| state.features.iter().copied()));
    }
    let missing = Feature::ALL.iter().filter(|feature| !there.contains(feature));
    let missing: Vec<&str> = missing.map(|feature| feature.name()).collect();
    assert_eq!(missing, [""; 0]);
}
