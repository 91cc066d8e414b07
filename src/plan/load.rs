//! `load`: LOAD DATA LOCAL of rows that stand in the scenario, or of a file beside it.

use std::path::Path;
use std::sync::Arc;

use super::names::{Scope, quoted_table};
use super::variants::Context;
use super::{Action, Value};
use crate::history::SqlValue;
use crate::scenario::{LoadDecl, Located};
use crate::source::{Diagnostic, Node, NodeKind};

/// Files over this size are refused: they are held in memory.
const LOAD_FILE_MAX: u64 = 256 * 1024 * 1024;

/// What the server reads in place of a file.
#[derive(Debug, Clone)]
pub enum LoadContent {
    /// A file, as it is.
    File(Arc<Vec<u8>>),
    /// Rows of the scenario, in which variables may stand.
    Rows(Arc<Vec<Vec<Value>>>),
}

impl Context<'_> {
    pub(super) fn load_plan(&mut self, load: &LoadDecl, scope: &mut Scope<'_>) -> Option<Action> {
        let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
        let columns = load.columns.iter().map(|column| quoted(&column.value));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let columns = if columns.is_empty() {
            columns
        } else {
            format!(" ({columns})")
        };
        let table = quoted_table(&load.table.value);
        let (content, name) = match (&load.rows, &load.file) {
            (Some(rows), _) => {
                let rows = self.load_rows(rows, scope)?;
                (LoadContent::Rows(Arc::new(rows)), "rows".to_owned())
            }
            (None, Some(file)) => {
                let content = self.load_file(file)?;
                let name = file.value.replace('\\', "\\\\").replace('\'', "''");
                (LoadContent::File(Arc::new(content)), name.replace("${", "$${"))
            }
            (None, None) => return None,
        };
        let text = format!(
            "load data local infile '{name}' into table {table} fields terminated by ',' optionally enclosed by '\"' lines terminated by '\\n'{columns}"
        );
        let located = Located {
            span: load.table.span,
            value: text,
        };
        let statement = self.statement(&located, scope)?;
        Some(Action::Load { statement, content })
    }

    fn load_file(&mut self, file: &Located<String>) -> Option<Vec<u8>> {
        let folder = Path::new(self.file.name()).parent().unwrap_or(Path::new(""));
        let path = folder.join(&file.value);
        let reason = match std::fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() => "it is no plain file".to_owned(),
            Ok(metadata) if metadata.len() > LOAD_FILE_MAX => {
                format!("it has more than {} MiB", LOAD_FILE_MAX / 1024 / 1024)
            }
            Ok(_) => match std::fs::read(&path) {
                Ok(content) => return Some(content),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        let problem = Diagnostic::error(file.span, format!("cannot read this file: {reason}"));
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        self.problems
            .push(problem.label(file.span, format!("looked for in {}", folder.display())));
        None
    }

    fn load_rows(&mut self, rows: &Node, scope: &mut Scope<'_>) -> Option<Vec<Vec<Value>>> {
        let NodeKind::Seq(items) = &rows.kind else {
            let problem = Diagnostic::error(rows.span, "`rows` is a list of rows");
            self.problems
                .push(problem.label(rows.span, "write `[[1, a], [2, b]]`"));
            return None;
        };
        let read: Vec<Option<Vec<Value>>> = items.iter().map(|row| self.load_row(row, scope)).collect();
        read.into_iter().collect()
    }

    fn load_row(&mut self, row: &Node, scope: &mut Scope<'_>) -> Option<Vec<Value>> {
        let plain = |cell: &Node| match cell.kind {
            NodeKind::Null
            | NodeKind::Bool(_)
            | NodeKind::Int(_)
            | NodeKind::Decimal(_)
            | NodeKind::Str(_) => true,
            NodeKind::Hex(_) | NodeKind::Binary(_) | NodeKind::Seq(_) | NodeKind::Map(_) => false,
        };
        let Some(cells) = row.as_seq().filter(|cells| !cells.is_empty()) else {
            let problem = Diagnostic::error(row.span, "a row is a list of numbers, texts and nulls");
            self.problems.push(problem.label(row.span, "write `[1, a]`"));
            return None;
        };
        let mut values = Vec::new();
        for cell in cells {
            if plain(cell) {
                values.extend(self.plan_value(cell, scope));
            } else {
                let problem = Diagnostic::error(cell.span, "a row is a list of numbers, texts and nulls");
                let label = format!("this is {}", cell.describe());
                self.problems.push(problem.label(cell.span, label));
            }
        }
        (values.len() == cells.len()).then_some(values)
    }
}

/// Rows as CSV: text in quotes, NULL as `\N`.
#[must_use]
pub fn csv(rows: &[Vec<SqlValue>]) -> Vec<u8> {
    let mut text = Vec::new();
    for row in rows {
        for (number, value) in row.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            cell(value, &mut text);
        }
        text.push(b'\n');
    }
    text
}

fn cell(value: &SqlValue, into: &mut Vec<u8>) {
    let quote = |bytes: &[u8], into: &mut Vec<u8>| {
        into.push(b'"');
        for byte in bytes {
            match byte {
                b'\\' => into.extend(b"\\\\"),
                b'"' => into.extend(b"\\\""),
                b'\n' => into.extend(b"\\n"),
                0 => into.extend(b"\\0"),
                other => into.push(*other),
            }
        }
        into.push(b'"');
    };
    match value {
        SqlValue::Null => into.extend(b"\\N"),
        SqlValue::Int(number) => into.extend(number.to_string().bytes()),
        SqlValue::Float(number) => into.extend(number.to_string().bytes()),
        SqlValue::Decimal(text) => into.extend(text.bytes()),
        SqlValue::Text(text) | SqlValue::Time(text) => quote(text.as_bytes(), into),
        SqlValue::Bytes(bytes) => quote(bytes, into),
        SqlValue::Json(json) => quote(json.to_string().as_bytes(), into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_and_null_is_not() {
        let text = |text: &str| SqlValue::Text(text.to_owned());
        let rows = [
            vec![SqlValue::Int(1), text("a,\"b\\\n"), SqlValue::Null],
            vec![SqlValue::Decimal("1.50".to_owned()), text(""), text("\\N")],
        ];
        let wanted = "1,\"a,\\\"b\\\\\\n\",\\N\n1.50,\"\",\"\\\\N\"\n";
        assert_eq!(String::from_utf8(csv(&rows)).as_deref(), Ok(wanted));
    }
}
