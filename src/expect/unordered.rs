//! `unordered`: exactly these rows, in any order.

use super::check::rows_of;
use super::table::{RowPattern, compare_any_order, read_rows, variables_of, width_of};
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::history::rows_word;
use crate::source::{Node, Span};

#[derive(Debug)]
struct Unordered {
    rows: Vec<RowPattern>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let rows = read_rows(node, reading)?;
    Some(Box::new(Unordered { rows }))
}

impl Check for Unordered {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let set = rows_of(seen, &rows_word(self.rows.len()))?;
        compare_any_order(&self.rows, set, seen.vars, true)
    }

    fn variables(&self) -> Vec<(String, Span)> {
        variables_of(&self.rows)
    }

    fn shape(&self) -> Shape {
        Shape::of_rows(self.rows.len(), width_of(&self.rows))
    }
}
