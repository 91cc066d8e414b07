//! What each connection's own statements tell of its transaction: is one open, can it hold locks.

use crate::history::{Outcome, SqlValue};
use crate::sql::{Kind, TransactionEffect, classify, effect_on_transaction};

/// A connection's transaction, as far as its own statements tell.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    autocommit: bool,
    open: bool,
    locks: bool,
    user_locks: Vec<Option<String>>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            autocommit: true,
            open: false,
            locks: false,
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
        Self {
            autocommit,
            ..Self::default()
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
                    TransactionEffect::Ends => (self.open, self.locks) = (false, false),
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
            (self.open, self.locks) = (false, false);
        }
        match &statement.kind {
            Kind::Set(targets) => self.autocommit = targets.autocommit.unwrap_or(self.autocommit),
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
        if statement.starts_transaction() {
            self.open = true;
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
}
