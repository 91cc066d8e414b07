//! What each connection's own statements tell of its transaction: is one open, can it hold locks.

use crate::history::{Outcome, SqlValue};
use crate::sql::{Kind, TXN_MODE, TransactionEffect, TransactionMode, classify, effect_on_transaction};

/// The mode that a value of `tidb_txn_mode` stands for.
pub(crate) fn mode_of(value: &str) -> Option<TransactionMode> {
    match value {
        "pessimistic" => Some(TransactionMode::Pessimistic),
        // The empty text of old versions, too.
        "optimistic" | "" => Some(TransactionMode::Optimistic),
        _ => None,
    }
}

/// A connection's transaction, as far as its own statements tell.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    autocommit: bool,
    open: bool,
    locks: bool,
    /// The mode that the session begins transactions with, where that is known.
    session_mode: Option<TransactionMode>,
    /// The mode that the open one was begun with.
    begun: TransactionMode,
    user_locks: Vec<Option<String>>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            autocommit: true,
            open: false,
            locks: false,
            session_mode: Some(TransactionMode::Session),
            begun: TransactionMode::Session,
            user_locks: Vec::new(),
        }
    }
}

impl Transaction {
    /// The state of a session that begins with these variables (each with its value as SQL).
    pub fn of_session(vars: &[(String, String)]) -> Self {
        let off = |value: &str| ["0", "off", "'off'", "'0'"].contains(&value.to_ascii_lowercase().as_str());
        let autocommit = !vars
            .iter()
            .any(|(name, value)| name.eq_ignore_ascii_case("autocommit") && off(value));
        let mode = vars.iter().rfind(|(name, _)| name.eq_ignore_ascii_case(TXN_MODE));
        let session_mode = match mode.map(|(_, value)| value.trim_matches('\'').to_ascii_lowercase()) {
            None => Some(TransactionMode::Session),
            Some(mode) => mode_of(&mode),
        };
        Self {
            autocommit,
            session_mode,
            ..Self::default()
        }
    }

    /// The mode of the transaction that is open, or would be, on a server that begins them with that mode; `None` is
    /// unknown.
    pub fn mode(&self, of_server: Option<TransactionMode>) -> Option<TransactionMode> {
        let of_session = match self.session_mode {
            Some(TransactionMode::Session) => of_server,
            known => known,
        };
        match self.begun {
            TransactionMode::Session => of_session,
            given => Some(given),
        }
    }

    /// Whether no transaction is open for certain.
    pub fn is_closed(&self) -> bool {
        self.autocommit && !self.open && self.user_locks.is_empty()
    }

    /// Whether a statement is part of a transaction that goes on after it.
    pub fn is_open(&self) -> bool {
        self.open || !self.autocommit
    }

    /// Whether row locks may be held.
    pub fn may_hold_locks(&self) -> bool {
        self.open && self.locks
    }

    /// Whether this user-level lock is held, or may be.
    pub fn holds_user_lock(&self, name: Option<&str>) -> bool {
        self.user_locks.iter().any(|held| match (held, name) {
            (Some(held), Some(name)) => held.eq_ignore_ascii_case(name),
            (None, _) | (_, None) => true,
        })
    }

    fn end(&mut self) {
        (self.open, self.locks, self.begun) = (false, false, TransactionMode::Session);
    }

    /// Takes note of a statement and its outcome.
    pub fn note(&mut self, sql: &str, outcome: &Outcome) {
        let statement = classify(sql);
        let succeeded = match outcome {
            Outcome::Lost { .. } => {
                *self = Self::default();
                return;
            }
            Outcome::Refused(error) => {
                match effect_on_transaction(error.code) {
                    TransactionEffect::Ends => self.end(),
                    // A refused statement may have locked rows before it was refused.
                    _ => self.locks |= statement.can_lock_rows(),
                }
                return;
            }
            Outcome::Rows(rows) => rows,
            Outcome::Done(_) => &crate::history::RowSet::default(),
            Outcome::TimedOut { .. } => return,
        };
        if statement.ends_transaction() {
            self.end();
        }
        match &statement.kind {
            Kind::Set(targets) => {
                self.autocommit = targets.autocommit.unwrap_or(self.autocommit);
                if targets.session.iter().any(|name| name == TXN_MODE) {
                    self.session_mode = None;
                }
            }
            Kind::GetLock { name } => {
                let got = succeeded
                    .rows
                    .iter()
                    .flatten()
                    .any(|cell| *cell == SqlValue::Int(1));
                if got {
                    self.user_locks.push(name.clone());
                }
            }
            Kind::ReleaseLock { name: None } => self.user_locks.clear(),
            Kind::ReleaseLock { name } => self.user_locks.retain(|held| held != name),
            // Whether it got the lock, and which, stands somewhere in it.
            _ if statement.takes_user_lock() => self.user_locks.push(None),
            _ => {}
        }
        if let Kind::Begin(mode) = statement.kind {
            (self.open, self.begun) = (true, mode);
        }
        let locking = statement.can_lock_rows() && !statement.ends_transaction();
        if locking && (self.open || !self.autocommit) {
            (self.open, self.locks) = (true, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Done, SqlError};

    #[test]
    fn locks_are_held_from_the_first_locking_statement_to_the_end() {
        let done = Outcome::Done(Done::default());
        let mut transaction = Transaction::default();
        let mut run = |sql: &str| {
            transaction.note(sql, &done);
            transaction.may_hold_locks()
        };
        assert!(!run("update t set a = 1"));
        assert!(!run("begin"));
        assert!(!run("select * from t"));
        assert!(run("select * from t for update"));
        assert!(run("savepoint x"));
        assert!(!run("commit"));
        assert!(!run("set autocommit = 0"));
        assert!(run("delete from t"));
        let deadlock = SqlError {
            code: 1213,
            sqlstate: "40001".to_owned(),
            message: String::new(),
        };
        transaction.note("update t set a = 2", &Outcome::Refused(deadlock));
        assert!(!transaction.may_hold_locks());
    }

    #[test]
    fn the_mode_is_that_of_begin_or_of_the_session() {
        let done = Outcome::Done(Done::default());
        let var = |value: &str| [("tidb_txn_mode".to_owned(), value.to_owned())];
        let pessimistic = Some(TransactionMode::Pessimistic);
        let optimistic = Some(TransactionMode::Optimistic);
        assert_eq!(Transaction::default().mode(None), None);
        assert_eq!(Transaction::default().mode(optimistic), optimistic);
        assert_eq!(
            Transaction::of_session(&var("'optimistic'")).mode(pessimistic),
            optimistic
        );
        assert_eq!(Transaction::of_session(&var("@x")).mode(pessimistic), None);
        let mut transaction = Transaction::of_session(&var("'pessimistic'"));
        let mut after = |sql: &str| {
            transaction.note(sql, &done);
            transaction.mode(optimistic)
        };
        assert_eq!(after("begin optimistic"), optimistic);
        assert_eq!(after("commit"), pessimistic);
        assert_eq!(after("begin"), pessimistic);
        assert_eq!(after("set tidb_txn_mode = 'optimistic'"), None);
        assert_eq!(after("begin pessimistic"), pessimistic);
    }
}
