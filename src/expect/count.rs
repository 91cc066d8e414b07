//! `count`: this many rows.

use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Reading, Seen, Shape, rows_of};
use crate::history::{SqlValue, rows_word};
use crate::source::{Node, Span};

#[derive(Debug)]
struct Count {
    pattern: ValuePattern,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let pattern = ValuePattern::read_number(node, reading)?;
    Some(Box::new(Count { pattern }))
}

impl Check for Count {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let set = rows_of(seen, &format!("{} rows", self.pattern))?;
        if self
            .pattern
            .matches(&SqlValue::Int(set.rows.len() as i128), seen.vars)
        {
            return Ok(());
        }
        let wanted = self.pattern.shown_with(seen.vars);
        Err(Mismatch::new(format!(
            "expected {wanted} rows, got {}",
            rows_word(set.rows.len())
        ))
        .at(self.pattern.span))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        self.pattern.variables()
    }

    fn shape(&self) -> Shape {
        let (rows_min, rows_max) = self.pattern.range();
        Shape {
            rows_min,
            rows_max,
            columns: None,
        }
    }
}
