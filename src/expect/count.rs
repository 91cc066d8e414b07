//! `count`: this many rows.

use super::check::rows_of;
use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Reading, Seen, Shape};
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
        let wanted = match self.pattern.shown_with(seen.vars) {
            one if one == "1" => "1 row".to_owned(),
            more => format!("{more} rows"),
        };
        let set = rows_of(seen, &wanted)?;
        let count = SqlValue::Int(set.rows.len() as i128);
        if self.pattern.matches(&count, seen.vars) {
            return Ok(());
        }
        let doubt = self.pattern.doubt(&count, seen.vars);
        Err(Mismatch::new(format!(
            "expected {wanted}, got {}{doubt}",
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
