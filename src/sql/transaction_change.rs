//! What a statement does to its session's transaction.

use super::cursor::Cursor;
use super::kind::{Kind, TransactionMode};

/// What a statement that succeeds does to its session's transaction on TiDB, as far as its text tells. What a server
/// really did stands in the status flags of its answer; `tests/live/statements.rs` compares the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionChange {
    /// Nothing: one that is open stays open, and none begins.
    Stays,
    /// One that is open stays open. With autocommit off, one begins if the statement touches a table.
    MayBegin,
    /// One begins, after that which is open has been committed.
    Begins(TransactionMode),
    /// The one that is open ends.
    Ends,
    /// `SET autocommit = 1`: the one that is open ends if autocommit was off, and stays open if a BEGIN opened it.
    EndsIfAutocommitWasOff,
    /// The text does not tell.
    Unknown,
}

impl TransactionChange {
    /// Whether a transaction is open after the statement; `None` where that cannot be told. `autocommit` is what it
    /// was before the statement, if that is known.
    #[must_use]
    pub fn open_after(self, open: bool, autocommit: Option<bool>) -> Option<bool> {
        match (self, autocommit) {
            (Self::Begins(_), _) => Some(true),
            (Self::Ends, _) => Some(false),
            (Self::Stays, _) => Some(open),
            (Self::MayBegin, _) if open => Some(true),
            (Self::MayBegin, Some(true)) | (Self::EndsIfAutocommitWasOff, Some(false)) => Some(false),
            (Self::EndsIfAutocommitWasOff, Some(true)) => Some(open),
            (Self::EndsIfAutocommitWasOff, None) if !open => Some(false),
            (Self::MayBegin, Some(false) | None)
            | (Self::EndsIfAutocommitWasOff, None)
            | (Self::Unknown, _) => None,
        }
    }
}

/// Statements that neither begin nor end a transaction, by their verbs.
const STAYS: &[&str] = &[
    "desc",
    "describe",
    "prepare",
    "deallocate",
    "kill",
    "use",
    "split",
    "help",
    "binlog",
    "unlock",
    "lock",
];
/// Statements that end none, and look at tables.
const MAY_BEGIN: &[&str] = &[
    "show", "explain", "trace", "do", "admin", "analyze", "plan", "import", "load", "batch",
];

pub(super) fn change(cursor: &Cursor<'_>, kind: &Kind) -> TransactionChange {
    use TransactionChange::{Begins, Ends, EndsIfAutocommitWasOff, MayBegin, Stays, Unknown};
    let any = |words: &[&str]| {
        cursor
            .verb()
            .is_some_and(|verb| words.iter().any(|word| verb.eq_ignore_ascii_case(word)))
    };
    match kind {
        Kind::Begin(mode) => Begins(*mode),
        Kind::Commit | Kind::Rollback | Kind::Ddl | Kind::LockTables => Ends,
        Kind::RollbackToSavepoint | Kind::ReleaseSavepoint | Kind::Kill | Kind::Use(_) => Stays,
        Kind::Set(targets) => match targets.autocommit {
            Some(true) => EndsIfAutocommitWasOff,
            Some(false) => Stays,
            None if targets.session.iter().any(|name| name == "autocommit") => Unknown,
            None if cursor.has_word("select") => MayBegin,
            None => Stays,
        },
        Kind::Savepoint
        | Kind::Select { .. }
        | Kind::Dml
        | Kind::GetLock { .. }
        | Kind::ReleaseLock { .. }
        | Kind::Sleep => MayBegin,
        Kind::Execute => Unknown,
        Kind::Other if cursor.tokens.is_empty() => Stays,
        // Passwords, roles, resource groups, the configuration, bindings.
        Kind::Other
            if any(&["set"])
                && cursor.any_word(1, &["password", "role", "default", "config", "resource"]) =>
        {
            Stays
        }
        // Temporary tables, bindings, statistics, and what is told to an instance.
        Kind::Other if any(&["create", "alter", "drop", "set"]) => MayBegin,
        Kind::Other if any(STAYS) => Stays,
        Kind::Other if any(MAY_BEGIN) => MayBegin,
        Kind::Other => Unknown,
    }
}
