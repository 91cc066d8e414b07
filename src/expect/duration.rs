//! `within` and `at_least`: how long the statement took, from sending it to its answer.

use std::time::Duration;

use super::{Check, Mismatch, Reading, Seen};
use crate::source::{Node, read};

#[derive(Debug)]
enum Limit {
    Within(Duration),
    AtLeast(Duration),
}

pub(super) fn read_within(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    read_limit(node, reading, Limit::Within)
}

pub(super) fn read_at_least(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    read_limit(node, reading, Limit::AtLeast)
}

fn read_limit(
    node: &Node,
    reading: &mut Reading<'_>,
    limit: fn(Duration) -> Limit,
) -> Option<Box<dyn Check>> {
    match read::duration(node) {
        Ok(duration) if duration.is_zero() => {
            // Every answer takes longer, so the one never holds and the other always does.
            let label = match limit(duration) {
                Limit::Within(_) => "no answer comes within this",
                Limit::AtLeast(_) => "every answer takes at least this",
            };
            reading.error(node, "this must be longer than 0", label);
            None
        }
        Ok(duration) => Some(Box::new(limit(duration))),
        Err(problem) => {
            reading.problems.push(problem);
            None
        }
    }
}

impl Check for Limit {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        match self {
            Self::Within(most) if seen.took > *most => Err(Mismatch::new(format!(
                "expected an answer within {most:?}, it took {:.1?}",
                seen.took
            ))),
            Self::AtLeast(least) if seen.took < *least => Err(Mismatch::new(format!(
                "expected to take at least {least:?}, it took {:.1?}",
                seen.took
            ))),
            Self::Within(_) | Self::AtLeast(_) => Ok(()),
        }
    }

    fn duration(&self) -> Option<Duration> {
        match self {
            Self::Within(limit) | Self::AtLeast(limit) => Some(*limit),
        }
    }
}
