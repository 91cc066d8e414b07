//! A result of the server by its columns' names, since versions of TiDB have different columns.

use crate::history::{RowSet, SqlValue, show};

pub(super) struct Table {
    columns: Vec<String>,
    pub rows: Vec<Vec<SqlValue>>,
}

impl Table {
    pub fn of(set: RowSet) -> Self {
        let columns = set.columns.iter();
        Self {
            columns: columns.map(|column| column.name.to_ascii_lowercase()).collect(),
            rows: set.rows,
        }
    }

    pub fn cell<'r>(&self, row: &'r [SqlValue], name: &str) -> Option<&'r SqlValue> {
        let column = self.columns.iter().position(|column| column == name)?;
        row.get(column).filter(|value| **value != SqlValue::Null)
    }

    pub fn text(&self, row: &[SqlValue], name: &str) -> String {
        match self.cell(row, name) {
            Some(SqlValue::Text(text) | SqlValue::Time(text) | SqlValue::Decimal(text)) => text.clone(),
            Some(other) => show(other),
            None => String::new(),
        }
    }
}
