//! Orders that a file lists are trials of their own, and only all of them together show whether each outcome is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::explore::Explored;
use crate::plan::TrialPlan;
use crate::verdict::Finding;

/// What the orders of each list have come to so far, in each round of tries.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<BTreeMap<(String, u64), Orders>>);

/// The orders that were run, each with the names of its outcomes.
type Orders = BTreeMap<String, Vec<String>>;

impl Lists {
    /// Takes note of what an order of a list came to. The trial that ends last of a list tells which outcomes none of
    /// them came to; where some of them are not run, nobody can tell.
    pub fn note(&self, plan: &TrialPlan, number: u64, explored: &Explored) -> Vec<Finding> {
        let Some((list, order)) = plan.name.rsplit_once("::order=") else {
            return Vec::new();
        };
        let listed = plan.orders().map_or(&[][..], |orders| &orders.listed);
        // An order of somebody's own, by `--order`, is none of the list.
        if !listed.iter().any(|other| other == order) {
            return Vec::new();
        }
        let count = listed.len();
        let groups = explored.outcomes.iter();
        let names: Vec<String> = groups.flat_map(|group| group.names.iter().cloned()).collect();
        // A panic elsewhere is told there.
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = lists.entry((list.to_owned(), number)).or_default();
        orders.insert(order.to_owned(), names);
        if orders.len() < count {
            return Vec::new();
        }
        let seen: BTreeSet<&String> = orders.values().flatten().collect();
        let outcomes = plan.outcomes().iter();
        let unseen = outcomes.filter(|outcome| !outcome.may && !seen.contains(&outcome.name));
        let found = unseen.map(|outcome| {
            let message = format!(
                "outcome `{}` did not occur in the {count} interleavings of the list",
                outcome.name
            );
            let mut finding = Finding::at(outcome.span, message);
            finding.label = "write `may: true`, if it need not occur".to_owned();
            finding
        });
        found.collect()
    }
}
