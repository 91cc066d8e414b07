//! `one_of`: one of these sets of expectations must hold.

use super::{Check, Expectation, Mismatch, Needs, Reading, Seen, read_all};
use crate::history::Outcome;
use crate::source::{MapReader, Node, NodeKind, Span};

#[derive(Debug)]
struct OneOf {
    choices: Vec<Vec<Expectation>>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let NodeKind::Seq(items) = &node.kind else {
        reading.error(
            node,
            "`one_of` must be a list of expectations",
            "write `one_of: [{affected: 1}, {error: 1213}]`",
        );
        return None;
    };
    if items.len() < 2 {
        reading.error(
            node,
            "`one_of` needs at least two choices",
            "with one, write the expectation itself",
        );
        return None;
    }
    let known: Vec<&str> = reading.kinds.iter().map(|kind| kind.key).collect();
    let mut choices = Vec::new();
    for item in items {
        if MapReader::new(item, "a choice of `one_of`", &known, reading.problems).is_none() {
            continue;
        }
        let entries = item
            .as_map()
            .unwrap_or_default()
            .iter()
            .map(|entry| (&entry.key, &entry.value));
        let choice = read_all(entries, reading);
        if item.as_map().is_some_and(<[_]>::is_empty) {
            reading.error(
                item,
                "this choice of `one_of` has no expectations",
                "name at least one expectation",
            );
        }
        choices.push(choice);
    }
    Some(Box::new(OneOf { choices }))
}

impl OneOf {
    fn all(&self) -> impl Iterator<Item = &Expectation> {
        self.choices.iter().flatten()
    }
}

impl Check for OneOf {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let mut reasons = Vec::new();
        for (number, choice) in self.choices.iter().enumerate() {
            // Where no choice names an error, an error is no success.
            let failed = choice
                .iter()
                .find_map(|expectation| expectation.check.check(seen).err());
            let unexpected = seen.outcome.is_error() && !choice.iter().any(|one| one.check.wants_error());
            match failed {
                None if !unexpected => return Ok(()),
                None => reasons.push(format!(
                    "{}. got {}",
                    number + 1,
                    crate::history::describe(seen.outcome)
                )),
                Some(mismatch) => reasons.push(format!("{}. {}", number + 1, mismatch.message)),
            }
        }
        let message = format!("none of the {} choices holds", self.choices.len());
        Err(Mismatch::new(message).detail(reasons.join("\n")))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        self.all()
            .flat_map(|expectation| expectation.check.variables())
            .collect()
    }

    fn choices(&self) -> Vec<Vec<(&'static str, Span)>> {
        let of = |choice: &Vec<Expectation>| choice.iter().map(|one| (one.key, one.span)).collect();
        self.choices.iter().map(of).collect()
    }

    fn wants_error(&self) -> bool {
        self.all().any(|expectation| expectation.check.wants_error())
    }

    fn expects_error(&self, outcome: &Outcome) -> bool {
        self.all()
            .any(|expectation| expectation.check.expects_error(outcome))
    }

    fn needs(&self) -> Needs {
        self.all().fold(Needs::default(), |needs, expectation| {
            needs.and(expectation.check.needs())
        })
    }
}
