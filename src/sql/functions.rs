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

/// Functions that take time with the numbers or the texts that they are given.
const REPEATS: &[&str] = &[
    "lpad",
    "repeat",
    "rpad",
    "space",
    "regexp_replace",
    "regexp_like",
    "regexp_substr",
];

/// Whether a statement may take long whatever the clock says, by what its text tells: it joins tables, or has queries
/// within, or repeats something. One of a single table looks at each row once. Rather too often than too rarely.
#[must_use]
pub(crate) fn may_take_long(text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "join",
        "straight_join",
        "recursive",
        "with",
        "union",
        "over",
        "lateral",
    ];
    let called = calls(text);
    let (tokens, _) = tokens(text);
    let mut depth = 0_usize;
    let mut in_from = None;
    let mut queries = 0;
    for token in tokens.iter().filter(|token| token.is_code()) {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => {
                depth = depth.saturating_sub(1);
                in_from = in_from.filter(|from| *from <= depth);
            }
            TokenKind::Symbol(',') if in_from == Some(depth) => return true,
            TokenKind::Word => {
                let is = |words: &[&str]| words.iter().any(|word| token.is_word(word));
                if is(&WORDS) {
                    return true;
                }
                queries += usize::from(is(&["select", "table"]));
                if is(&["from", "update"]) {
                    in_from = Some(depth);
                } else if is(&["where", "group", "order", "limit", "set", "having", "values"]) {
                    in_from = None;
                }
            }
            _ => {}
        }
    }
    queries > 1 || REPEATS.iter().any(|word| called.contains(*word))
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

    #[test]
    fn what_looks_at_one_table_once_is_short() {
        for text in [
            "select n, m from t where id in (1, 2) order by n, m",
            "update t set n = 1, m = 2 where id = 1",
            "insert into t (id, n) values (1, 2), (3, 4)",
            "delete from t where id = 1",
            "select concat(n, m) from t for update",
            "begin",
        ] {
            assert!(!may_take_long(text), "{text}");
        }
        for text in [
            "select count(*) from t a, t b",
            "select count(*) from (t a), t b where a.id = 1",
            "update t a, t b set a.n = 1",
            "select 1 from t join u",
            "select n from t where id in (select id from u)",
            "with recursive r as (select 1) select * from r",
            "insert into t select * from u union select * from v",
            "select repeat('x', 100000000)",
        ] {
            assert!(may_take_long(text), "{text}");
        }
    }
}
