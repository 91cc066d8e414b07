//! Scenarios whose outcomes pruning once lost: one file for each. What one interleaving leaves to the next stands in the
//! corpus (`tests/language/valid/orders_*`): there pruned and full would be wrong in the same way.

use std::path::PathBuf;

use tidb_scenarios::engine::table;

use crate::random::Both;
use crate::trial;

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/explore/pruned");
    let entries = std::fs::read_dir(folder).expect("the folder of the scenarios");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn pruning_loses_no_outcome_of_these_files() {
    let files = files();
    assert!(files.len() > 15, "{files:?}");
    let mut differ = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a scenario");
        let body: String = text
            .lines()
            .filter(|line| !line.starts_with("scenario:") && !line.starts_with("permutations:"))
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect();
        let both = Both::of(&body);
        if both.differ() {
            let plan = trial(&text);
            let (pruned, full) = (table(&plan, &both.pruned), table(&plan, &both.full));
            differ.push(format!("{}\npruned: {pruned}\n\nfull: {full}", file.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n\n"));
}
