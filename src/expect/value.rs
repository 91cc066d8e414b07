//! `value`: one row of one column with this value.

use super::check::rows_of;
use super::value_pattern::ValuePattern;
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::history::{cut_pair, describe, show};
use crate::source::{Node, Span};

#[derive(Debug)]
struct Value {
    pattern: ValuePattern,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let pattern = ValuePattern::read(node, reading)?;
    Some(Box::new(Value { pattern }))
}

impl Check for Value {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let wanted = self.pattern.shown_with(seen.vars);
        let set = rows_of(seen, &wanted)?;
        let ([column], [row]) = (set.columns.as_slice(), set.rows.as_slice()) else {
            let got = describe(seen.outcome);
            return Err(Mismatch::new(format!("expected one value, {wanted}, got {got}")));
        };
        let Some(actual) = row.first() else {
            return Err(Mismatch::new("expected one value, got a row without columns"));
        };
        if self.pattern.matches(actual, seen.vars) {
            return Ok(());
        }
        // What is wrong with the pattern itself stands in its words already.
        let reason = self.pattern.reason(actual, seen.vars);
        let reason = reason.filter(|why| !wanted.contains(why.as_str()));
        let reason = reason.map(|why| format!(": {why}")).unwrap_or_default();
        let (wanted, got) = cut_pair(&wanted, &show(actual));
        let message = format!("expected {wanted}, got {got} ({}){reason}", column.sql_type);
        Err(Mismatch::new(message).at(self.pattern.span))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        self.pattern.variables()
    }

    fn shape(&self) -> Shape {
        Shape::of_rows(1, Some(1))
    }
}
