//! The functions that a statement calls, and what some of them have to do with.

use std::collections::BTreeSet;

use super::lexer::{TokenKind, tokens};
use super::tables::names;

/// The words before a parenthesis, in lower case: functions, and words of the grammar such as IN. Not the name of a table
/// before a list of its columns.
#[must_use]
pub(crate) fn calls(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut before: Option<String> = None;
    let mut word: Option<String> = None;
    for token in tokens(text).0 {
        match token.kind {
            TokenKind::Word => {
                before = word.take();
                word = Some(token.text.to_lowercase());
            }
            TokenKind::QuotedName => {
                before = word.take();
            }
            TokenKind::Symbol('(') => {
                let of_table = before
                    .as_deref()
                    .is_some_and(|before| ["into", "insert", "replace"].contains(&before));
                found.extend(word.take().filter(|_| !of_table));
                before = None;
            }
            TokenKind::Comment | TokenKind::Hint => {}
            TokenKind::Text
            | TokenKind::ExecutableOpen
            | TokenKind::ExecutableClose
            | TokenKind::Symbol(_) => {
                before = None;
                word = None;
            }
        }
    }
    found
}

/// Functions and variables that tell the time, or the time of a transaction, and functions that take time.
const CLOCK: &[&str] = &[
    "benchmark",
    "curdate",
    "current_date",
    "current_time",
    "current_timestamp",
    "curtime",
    "localtime",
    "localtimestamp",
    "now",
    "sleep",
    "sysdate",
    "tidb_bounded_staleness",
    "tidb_current_ts",
    "tidb_current_tso",
    "tidb_last_query_info",
    "tidb_last_txn_info",
    "unix_timestamp",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "uuid",
    "uuid_short",
    "uuid_to_bin",
];

/// Whether a statement may take time on purpose, or tell the time. Also where a column has such a name: rather too often
/// than too rarely.
#[must_use]
pub(crate) fn reads_clock(text: &str) -> bool {
    let names = names(text);
    CLOCK.iter().any(|word| names.contains(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_and_tables_with_columns_are_not() {
        for (text, wanted) in [
            ("select Row_Count(), max(n) from t", &["max", "row_count"][..]),
            (
                "insert into t (id, n) values (1, found_rows ())",
                &["found_rows", "values"],
            ),
            ("insert t (id) select abs(1)", &["abs"]),
            ("select n from t where id in (1, 2) -- f(1)", &["in"]),
            ("select 'f(1)', (1)", &[]),
        ] {
            assert_eq!(calls(text).into_iter().collect::<Vec<_>>(), wanted, "{text}");
        }
    }

    #[test]
    fn the_clock_is_read_in_any_spelling() {
        for text in [
            "select NOW(6)",
            "do sleep (1)",
            "select @@tidb_current_ts",
            "insert into t values (current_timestamp)",
            "prepare p from 'select sysdate()'",
        ] {
            assert!(reads_clock(text), "{text}");
        }
        for text in [
            "select n from t",
            "update t set n = 1 -- now()",
            "select unknown from t",
        ] {
            assert!(!reads_clock(text), "{text}");
        }
    }
}
