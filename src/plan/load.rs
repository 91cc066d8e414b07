//! `load`: LOAD DATA LOCAL of rows that stand in the scenario, or of a file beside it.

use std::path::Path;
use std::sync::Arc;

use super::context::Context;
use super::names::{Scope, quoted_table};
use super::{Action, Value};
use crate::scenario::{Duplicates, LoadDecl, Located};
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
        let replace = match load.duplicates {
            Duplicates::Ignore => "",
            Duplicates::Replace => "replace ",
        };
        let text = format!(
            "load data local infile '{name}' {replace}into table {table} fields terminated by ',' optionally enclosed by '\"' lines terminated by '\\n'{columns}"
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
            Ok(metadata) if !metadata.is_file() => "it is not a regular file".to_owned(),
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
            let problem = Diagnostic::error(rows.span, "`rows` must be a list of rows");
            self.problems
                .push(problem.label(rows.span, "write `[[1, a], [2, b]]`"));
            return None;
        };
        let read: Vec<Option<Vec<Value>>> = items.iter().map(|row| self.load_row(row, scope)).collect();
        read.into_iter().collect()
    }

    fn load_row(&mut self, row: &Node, scope: &mut Scope<'_>) -> Option<Vec<Value>> {
        let Some(cells) = row.as_seq().filter(|cells| !cells.is_empty()) else {
            let problem = Diagnostic::error(row.span, "a row must be a list of values");
            self.problems.push(problem.label(row.span, "write `[1, a]`"));
            return None;
        };
        let values: Vec<Value> = cells
            .iter()
            .filter_map(|cell| self.plan_value(cell, scope))
            .collect();
        (values.len() == cells.len()).then_some(values)
    }
}
