//! `columns`: the names of the columns, in order.

use super::{Check, Mismatch, Reading, Seen, Shape, rows_of};
use crate::source::{Node, NodeKind};

#[derive(Debug)]
struct Columns {
    names: Vec<String>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let NodeKind::Seq(items) = &node.kind else {
        let found = node.describe();
        reading.error(
            node,
            format!("`columns` is a list of names, not {found}"),
            "write `columns: [id, name]`",
        );
        return None;
    };
    if items.is_empty() {
        reading.error(node, "a result has at least one column", "name them");
        return None;
    }
    let mut names = Vec::new();
    for item in items {
        match item.text() {
            Some(name) if !item.is_null() => names.push(name.into_owned()),
            _ => reading.error(
                item,
                "a column's name is text",
                format!("this is {}", item.describe()),
            ),
        }
    }
    Some(Box::new(Columns { names }))
}

impl Check for Columns {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let wanted = self.names.join(", ");
        let set = rows_of(seen, &format!("columns {wanted}"))?;
        let actual: Vec<&str> = set.columns.iter().map(|column| column.name.as_str()).collect();
        if actual.iter().eq(self.names.iter()) {
            return Ok(());
        }
        Err(Mismatch::new(format!(
            "expected columns {wanted}, got {}",
            actual.join(", ")
        )))
    }

    fn shape(&self) -> Shape {
        Shape {
            columns: Some(self.names.len()),
            ..Shape::default()
        }
    }
}
