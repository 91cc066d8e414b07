//! The size of a result, as far as an expectation fixes it.

use crate::history::{columns_word, rows_word_u64};

/// The size of a result, as far as an expectation fixes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// At least this many rows.
    pub rows_min: Option<u64>,
    /// At most this many rows.
    pub rows_max: Option<u64>,
    /// This many columns.
    pub columns: Option<usize>,
}

impl Shape {
    /// This many rows, and columns if they are known.
    #[must_use]
    pub fn of_rows(rows: usize, columns: Option<usize>) -> Self {
        Self {
            rows_min: Some(rows as u64),
            rows_max: Some(rows as u64),
            columns,
        }
    }

    /// Why no result can have both shapes: what the first and what the second asks for.
    pub(super) fn conflict(&self, other: &Self) -> Option<(String, String)> {
        let below =
            |max: Option<u64>, min: Option<u64>| matches!((max, min), (Some(max), Some(min)) if max < min);
        if below(self.rows_max, other.rows_min) || below(other.rows_max, self.rows_min) {
            return Some((self.rows_in_words(), other.rows_in_words()));
        }
        match (self.columns, other.columns) {
            (Some(one), Some(two)) if one != two => Some((columns_word(one), columns_word(two))),
            _ => None,
        }
    }

    fn rows_in_words(&self) -> String {
        match (self.rows_min, self.rows_max) {
            (Some(min), Some(max)) if min == max => rows_word_u64(min),
            (Some(min), Some(max)) => format!("{min} to {}", rows_word_u64(max)),
            (Some(min), None) => format!("at least {}", rows_word_u64(min)),
            (None, Some(max)) => format!("at most {}", rows_word_u64(max)),
            (None, None) => "any rows".to_owned(),
        }
    }
}
