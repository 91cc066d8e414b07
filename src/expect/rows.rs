//! `rows`: exactly these rows, in this order.

use super::check::rows_of;
use super::table::{RowPattern, compare_table, read_rows, variables_of, width_of};
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::history::rows_word;
use crate::source::{Node, Span};

#[derive(Debug)]
struct Rows {
    rows: Vec<RowPattern>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let rows = read_rows(node, reading)?;
    Some(Box::new(Rows { rows }))
}

impl Check for Rows {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let set = rows_of(seen, &rows_word(self.rows.len()))?;
        compare_table(&self.rows, set, seen.vars)
    }

    fn variables(&self) -> Vec<(String, Span)> {
        variables_of(&self.rows)
    }

    fn shape(&self) -> Shape {
        Shape::of_rows(self.rows.len(), width_of(&self.rows))
    }
}
