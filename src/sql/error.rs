//! Error numbers: their names, what they do to a transaction, and whether to try again.

use super::error_table::{ErrorEntry, TABLE};

/// `ER_NO_SUCH_TABLE`: a table that is named is not there.
pub const NO_SUCH_TABLE: u16 = 1146;
/// `ER_LOCK_WAIT_TIMEOUT`: a statement gave up waiting for a lock.
pub const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// `ER_QUERY_INTERRUPTED`: KILL QUERY.
pub const QUERY_INTERRUPTED: u16 = 1317;
/// `ER_QUERY_TIMEOUT`: a statement took longer than `max_execution_time`.
pub const QUERY_TIMEOUT: u16 = 3024;

/// The error with this number.
#[must_use]
pub fn by_code(code: u16) -> Option<&'static ErrorEntry> {
    TABLE
        .binary_search_by_key(&code, |entry| entry.code)
        .ok()
        .and_then(|at| TABLE.get(at))
}

/// The error with this name, MySQL's or TiDB's, in any case and with or without underscores:
/// `ER_DUP_ENTRY`, `er_dup_entry` and `ErrDupEntry` are one.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static ErrorEntry> {
    let same = |known: &str| known.eq_ignore_ascii_case(name);
    let folded = fold(name);
    TABLE
        .iter()
        .find(|entry| same(entry.name) || entry.tidb_name.is_some_and(same))
        .or_else(|| {
            TABLE.iter().find(|entry| {
                fold(entry.name) == folded || entry.tidb_name.is_some_and(|n| fold(n) == folded)
            })
        })
}

/// The error whose name is nearest to a wrong one, if any is near enough to be meant. Its
/// [`ErrorEntry::name`] is what to suggest.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static ErrorEntry> {
    /// What two unrelated error names stay below.
    const NEAR_ENOUGH: f64 = 0.75;
    let wanted = fold(name);
    TABLE
        .iter()
        .map(|entry| {
            let to_name = strsim::normalized_damerau_levenshtein(&fold(entry.name), &wanted);
            let to_tidb_name = entry.tidb_name.map_or(0.0, |tidb_name| {
                strsim::normalized_damerau_levenshtein(&fold(tidb_name), &wanted)
            });
            (to_name.max(to_tidb_name), entry)
        })
        .filter(|(nearness, _)| *nearness >= NEAR_ENOUGH)
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then(y.code.cmp(&x.code)))
        .map(|(_, entry)| entry)
}

/// A name without its prefix, its underscores and its case.
fn fold(name: &str) -> String {
    let after = |prefix: &str| {
        name.get(..prefix.len())
            .filter(|start| start.eq_ignore_ascii_case(prefix))
            .and_then(|_| name.get(prefix.len()..))
    };
    let bare = after("er_")
        .or_else(|| after("cr_"))
        .or_else(|| name.strip_prefix("Err"))
        .unwrap_or(name);
    bare.replace('_', "").to_ascii_lowercase()
}

/// What a client should do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// Nothing of the transaction took effect: roll back and run it again from its BEGIN.
    Transaction,
    /// Only the statement failed, for a wait that took too long: the transaction and its locks live
    /// on. Run the statement again, or roll back.
    Statement,
    /// The session is gone and whether its last statement took effect is unknown: connect again and
    /// look before trying again.
    Reconnect,
    /// Trying again gives the same answer.
    Never,
}

/// What to do after the error with this number and SQLSTATE.
///
/// | class | errors |
/// |---|---|
/// | [`RetryClass::Transaction`] | 1213 deadlock, 9007 write conflict, 8005 write conflict found in TiDB, 8022 retryable COMMIT, 8002 FOR UPDATE of an optimistic transaction, 8028 schema changed; other numbers with SQLSTATE 40001 |
/// | [`RetryClass::Statement`] | 1205 lock wait timeout |
/// | [`RetryClass::Reconnect`] | 2006, 2013, 2055 lost, 1053 shutdown; other numbers with SQLSTATE class 08 that aren't a refusal of the login |
/// | [`RetryClass::Never`] | everything else |
#[must_use]
pub fn retry_class(code: u16, sqlstate: &str) -> RetryClass {
    match code {
        1213 | 8002 | 8005 | 8022 | 8028 | 9007 => RetryClass::Transaction,
        1205 => RetryClass::Statement,
        1053 | 2006 | 2013 | 2055 => RetryClass::Reconnect,
        // Too many connections and a bad handshake: no session was there to lose.
        1040 | 1042 | 1043 => RetryClass::Never,
        _ if sqlstate == "40001" => RetryClass::Transaction,
        _ if sqlstate.starts_with("08") => RetryClass::Reconnect,
        _ => RetryClass::Never,
    }
}

/// What an error does to the transaction that was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionEffect {
    /// It stays open with its locks and what it wrote before; only the statement had no effect.
    StaysOpen,
    /// It is rolled back, all of it.
    Ends,
    /// It can't be told from the number.
    Unknown,
}

/// The errors that end the transaction.
pub const TRANSACTION_ENDING: [u16; 9] = [1213, 8002, 8005, 8022, 8024, 8028, 8141, 8147, 9007];

/// What the error with this number does to the transaction in which a statement got it. (An error of
/// COMMIT itself always ends the transaction, and after 1317 or a lost connection there nobody knows
/// how.)
///
/// | effect | errors |
/// |---|---|
/// | [`TransactionEffect::Ends`] ([`TRANSACTION_ENDING`]) | 1213 deadlock, 9007 and 8005 write conflict, 8022 and 8002 retryable, 8028 schema changed, 8147 late uniqueness check, 8141 assertion, 8024 invalid transaction |
/// | [`TransactionEffect::Unknown`] | 2006, 2013, 2055, 1053: the session was lost; the server rolls back what it had not yet begun to commit |
/// | [`TransactionEffect::StaysOpen`] | everything else: 1205 lock wait timeout, 1062 duplicate, 3572 NOWAIT, 1317 killed, and every plain mistake |
#[must_use]
pub fn effect_on_transaction(code: u16) -> TransactionEffect {
    match code {
        code if TRANSACTION_ENDING.contains(&code) => TransactionEffect::Ends,
        1053 | 2006 | 2013 | 2055 => TransactionEffect::Unknown,
        _ => TransactionEffect::StaysOpen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_is_sorted_and_each_number_stands_once() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        assert!(TABLE.len() > 1000);
        for entry in TABLE {
            assert_eq!(entry.sqlstate.len(), 5, "{entry:?}");
            assert_eq!(by_code(entry.code), Some(entry));
        }
    }

    #[test]
    fn each_name_leads_back_to_its_number() {
        for entry in TABLE {
            let found = |name| by_name(name).map(|found| found.code);
            assert_eq!(found(entry.name), Some(entry.code), "{entry:?}");
            if let Some(name) = entry.tidb_name {
                assert_eq!(found(name), Some(entry.code), "{entry:?}");
            }
        }
    }

    #[test]
    fn well_known_errors_have_their_names_and_states() {
        let cases = [
            (1048, "ER_BAD_NULL_ERROR", "23000"),
            (1054, "ER_BAD_FIELD_ERROR", "42S22"),
            (1062, "ER_DUP_ENTRY", "23000"),
            (1064, "ER_PARSE_ERROR", "42000"),
            (1146, "ER_NO_SUCH_TABLE", "42S02"),
            (1205, "ER_LOCK_WAIT_TIMEOUT", "HY000"),
            (1213, "ER_LOCK_DEADLOCK", "40001"),
            (1235, "ER_NOT_SUPPORTED_YET", "42000"),
            (1264, "ER_WARN_DATA_OUT_OF_RANGE", "22003"),
            (1265, "WARN_DATA_TRUNCATED", "01000"),
            (1317, "ER_QUERY_INTERRUPTED", "70100"),
            (1406, "ER_DATA_TOO_LONG", "22001"),
            (1451, "ER_ROW_IS_REFERENCED_2", "23000"),
            (1452, "ER_NO_REFERENCED_ROW_2", "23000"),
            (2006, "CR_SERVER_GONE_ERROR", "HY000"),
            (2013, "CR_SERVER_LOST", "HY000"),
            (3024, "ER_QUERY_TIMEOUT", "HY000"),
            (3572, "ER_LOCK_NOWAIT", "HY000"),
            (3819, "ER_CHECK_CONSTRAINT_VIOLATED", "HY000"),
            (8022, "ErrTxnRetryable", "HY000"),
            (8027, "ErrInfoSchemaExpired", "HY000"),
            (8028, "ErrInfoSchemaChanged", "HY000"),
            (8048, "ErrUnsupportedIsolationLevel", "HY000"),
            (8175, "ErrMemoryExceedForQuery", "HY000"),
            (9007, "ErrWriteConflict", "HY000"),
        ];
        for (code, name, sqlstate) in cases {
            let entry = by_code(code).unwrap();
            assert_eq!((entry.name, entry.sqlstate), (name, sqlstate));
        }
        assert_eq!(by_code(7), None);
    }

    #[test]
    fn names_are_found_in_any_spelling() {
        let cases = [
            ("er_dup_entry", Some(1062)),
            ("ErrDupEntry", Some(1062)),
            ("WarnDataTruncated", Some(1265)),
            ("ErrLockAcquireFailAndNoWaitSet", Some(3572)),
            ("ER_WRITE_CONFLICT", Some(9007)),
            ("ErrWriteConflict", Some(9007)),
            ("ErrQueryTimeout", Some(3024)),
            ("ER_DUP_ENTY", None),
            ("", None),
            ("ER_", None),
            ("é_x", None),
        ];
        for (name, want) in cases {
            assert_eq!(by_name(name).map(|entry| entry.code), want, "{name}");
        }
    }

    #[test]
    fn a_wrong_name_has_a_nearest_one() {
        let cases = [
            ("ER_DUP_ENTY", Some("ER_DUP_ENTRY")),
            ("er_deadlock", None),
            ("ER_LOCK_DEADLOK", Some("ER_LOCK_DEADLOCK")),
            ("ErrWriteConflct", Some("ErrWriteConflict")),
            ("LOCK_WAIT_TIMEOUT", Some("ER_LOCK_WAIT_TIMEOUT")),
            ("banana", None),
            ("", None),
        ];
        for (name, want) in cases {
            assert_eq!(nearest(name).map(|entry| entry.name), want, "{name}");
        }
    }

    #[test]
    fn errors_are_classed_by_what_to_do_next() {
        use RetryClass::{Never, Reconnect, Statement, Transaction};
        let cases = [
            (1213, "40001", Transaction),
            (9007, "HY000", Transaction),
            (8002, "HY000", Transaction),
            (8005, "HY000", Transaction),
            (8022, "HY000", Transaction),
            (8028, "HY000", Transaction),
            (1205, "HY000", Statement),
            (2006, "HY000", Reconnect),
            (2013, "HY000", Reconnect),
            (1053, "08S01", Reconnect),
            (1040, "08004", Never),
            (1062, "23000", Never),
            (3572, "HY000", Never),
            (1317, "70100", Never),
            (60000, "40001", Transaction),
            (60000, "", Never),
        ];
        for (code, sqlstate, want) in cases {
            assert_eq!(retry_class(code, sqlstate), want, "{code}");
        }
    }

    #[test]
    fn what_is_retried_from_begin_has_ended() {
        for entry in TABLE {
            if retry_class(entry.code, entry.sqlstate) == RetryClass::Transaction {
                assert_eq!(
                    effect_on_transaction(entry.code),
                    TransactionEffect::Ends,
                    "{entry:?}"
                );
            }
        }
        for code in [1205, 1062, 3572, 1317] {
            assert_eq!(effect_on_transaction(code), TransactionEffect::StaysOpen);
        }
        for code in [8147, 8141] {
            assert_eq!(effect_on_transaction(code), TransactionEffect::Ends);
        }
        assert_eq!(effect_on_transaction(2013), TransactionEffect::Unknown);
    }

    proptest! {
        #[test]
        fn any_name_is_looked_up(name in "\\PC{0,24}") {
            let _ = (by_name(&name), nearest(&name));
        }

        #[test]
        fn one_wrong_letter_is_forgiven(at in 0..TABLE.len(), letter in 4..9_usize) {
            let entry = TABLE[at];
            prop_assume!(entry.name.len() > 12);
            let mut wrong = entry.name.to_owned();
            wrong.remove(letter);
            prop_assert!(by_name(&wrong).or_else(|| nearest(&wrong)).is_some());
        }
    }
}
