//! `row`: exactly this one row.

use super::check::rows_of;
use super::table::{RowPattern, compare_table, variables_of, width_of};
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::source::{Node, Span};

#[derive(Debug)]
struct Row {
    row: [RowPattern; 1],
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let row = [RowPattern::read(node, reading)?];
    Some(Box::new(Row { row }))
}

impl Check for Row {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        compare_table(&self.row, rows_of(seen, "1 row")?, seen.vars)
    }

    fn variables(&self) -> Vec<(String, Span)> {
        variables_of(&self.row)
    }

    fn shape(&self) -> Shape {
        Shape::of_rows(1, width_of(&self.row))
    }
}
