//! `contains`: at least these rows, anywhere.

use super::check::rows_of;
use super::table::{RowPattern, compare_any_order, read_rows, variables_of, width_of};
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::source::{Node, Span};

#[derive(Debug)]
struct Contains {
    rows: Vec<RowPattern>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let rows = read_rows(node, reading)?;
    if rows.is_empty() {
        reading.error(
            node,
            "`contains` without rows matches every result",
            "name at least one row, or use `count`",
        );
        return None;
    }
    Some(Box::new(Contains { rows }))
}

impl Check for Contains {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let set = rows_of(seen, "rows")?;
        compare_any_order(&self.rows, set, seen.vars, false)
    }

    fn variables(&self) -> Vec<(String, Span)> {
        variables_of(&self.rows)
    }

    fn shape(&self) -> Shape {
        Shape {
            rows_min: Some(self.rows.len() as u64),
            rows_max: None,
            columns: width_of(&self.rows),
        }
    }
}
