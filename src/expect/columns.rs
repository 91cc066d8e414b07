//! `columns`: the names of the columns, in order.

use super::check::rows_of;
use super::template::Template;
use super::{Check, Mismatch, Reading, Seen, Shape};
use crate::source::{Node, NodeKind, Span};

#[derive(Debug)]
struct Columns {
    names: Vec<(Template, Span)>,
}

pub(super) fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Box<dyn Check>> {
    let NodeKind::Seq(items) = &node.kind else {
        let found = node.describe();
        reading.error(
            node,
            format!("`columns` must be a list of names, not {found}"),
            "write `columns: [id, name]`",
        );
        return None;
    };
    if items.is_empty() {
        reading.error(node, "a result has at least one column", "name the columns");
        return None;
    }
    let mut names = Vec::new();
    for item in items {
        match item.text() {
            Some(name) if !item.is_null() => {
                names.push((reading.template(item, &name)?, item.span));
            }
            _ => reading.error(
                item,
                "a column's name must be text",
                format!("this is {}", item.describe()),
            ),
        }
    }
    Some(Box::new(Columns { names }))
}

impl Check for Columns {
    fn check(&self, seen: &Seen<'_>) -> Result<(), Mismatch> {
        let names: Result<Vec<String>, String> =
            self.names.iter().map(|(name, _)| name.fill(seen.vars)).collect();
        let names =
            names.map_err(|name| Mismatch::new(format!("expected columns, and `{name}` has no value")))?;
        let wanted = names.join(", ");
        let set = rows_of(seen, &format!("columns {wanted}"))?;
        let actual: Vec<&str> = set.columns.iter().map(|column| column.name.as_str()).collect();
        if actual.iter().eq(names.iter()) {
            return Ok(());
        }
        Err(Mismatch::new(format!(
            "expected columns {wanted}, got {}",
            actual.join(", ")
        )))
    }

    fn variables(&self) -> Vec<(String, Span)> {
        let of = |(name, span): &(Template, Span)| -> Vec<(String, Span)> {
            name.variables()
                .map(|(name, _)| (name.to_owned(), *span))
                .collect()
        };
        self.names.iter().flat_map(of).collect()
    }

    fn shape(&self) -> Shape {
        Shape {
            columns: Some(self.names.len()),
            ..Shape::default()
        }
    }
}
