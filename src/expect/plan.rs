//! `plan: {uses: …}`: what `EXPLAIN` shows of the statement, such as the name of an index.

use super::{Check, Mismatch, Needs, Reading, Seen};
use crate::scenario::keys::{self, Form, Key};
use crate::source::{MapReader, Node, NodeKind};

/// The keys of a `plan` mapping.
pub(super) const KEYS: &[Key] = &[
    (
        "uses",
        "what the plan must name: an index, a table or an operator",
        Form::OneOrMany(&Form::Words),
    ),
    (
        "avoids",
        "what the plan must not name",
        Form::OneOrMany(&Form::Words),
    ),
];

#[derive(Debug)]
struct Plan {
    uses: Vec<String>,
    avoids: Vec<String>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let map = MapReader::new(node, "`plan`", &keys::names(KEYS), reading.problems)?;
    let (uses, avoids) = (map.get("uses"), map.get("avoids"));
    let before = reading.problems.len();
    let mut words = |node: Option<&Node>| match node.map(|node| (node, &node.kind)) {
        None => Vec::new(),
        Some((_, NodeKind::Seq(items))) => items.iter().filter_map(|item| word(item, reading)).collect(),
        Some((node, _)) => word(node, reading).into_iter().collect(),
    };
    let plan = Plan {
        uses: words(uses),
        avoids: words(avoids),
    };
    let both = plan.uses.iter().find(|used| {
        plan.avoids
            .iter()
            .any(|avoided| avoided.eq_ignore_ascii_case(used))
    });
    if let Some(both) = both {
        let label = format!("it must name `{both}` and must not");
        reading.error(node, "`uses` and `avoids` exclude each other", label);
    }
    let told = reading.problems.len() > before;
    if plan.uses.is_empty() && plan.avoids.is_empty() && !told {
        reading.error(
            node,
            "`plan` needs `uses` or `avoids`",
            "write `plan: {uses: index_name}`",
        );
        return None;
    }
    Some(Box::new(plan))
}

fn word(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let word = node
        .as_str()
        .filter(|word| !word.trim().is_empty())
        .map(str::to_owned);
    if word.is_none() {
        reading.error(
            node,
            "a part of a plan is text",
            "the name of an index or an operator, such as `TableFullScan`",
        );
    }
    word
}

/// Whether a plan names this index, table or operator: as a whole word, without regard to case.
fn names(plan: &str, word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let plan = plan.to_ascii_lowercase();
    plan.match_indices(&word).any(|(at, _)| {
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        edge(plan[..at].chars().next_back()) && edge(plan[at + word.len()..].chars().next())
    })
}

impl Check for Plan {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let Some(plan) = seen.plan else {
            return Err(Mismatch::new("the server gave no plan for this statement"));
        };
        if let Some(missing) = self.uses.iter().find(|word| !names(plan, word)) {
            return Err(Mismatch::new(format!("expected a plan that uses {missing}")).detail(plan));
        }
        if let Some(present) = self.avoids.iter().find(|word| names(plan, word)) {
            return Err(Mismatch::new(format!("expected a plan that avoids {present}")).detail(plan));
        }
        Ok(())
    }

    fn needs(&self) -> Needs {
        Needs {
            plan: true,
            ..Needs::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_index_is_a_whole_word() {
        let plan = "IndexLookUp\n└─IndexRangeScan(Build) table:t, index:idx_name(name)";
        assert!(names(plan, "idx_name"));
        assert!(names(plan, "indexrangescan"));
        assert!(!names(plan, "idx"));
    }
}
