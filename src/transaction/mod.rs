//! What is known of each connection's transaction: is one open, in which mode, which one is it.

mod user_locks;

use crate::history::{Outcome, SessionFlags};
use crate::sql::{
    Kind, Prepared, Statement, TXN_MODE, TransactionEffect, TransactionMode, classified,
    effect_on_transaction,
};
use user_locks::UserLocks;

/// The mode that a value of `tidb_txn_mode` stands for.
pub(crate) fn mode_of(value: &str) -> Option<TransactionMode> {
    match value {
        "pessimistic" => Some(TransactionMode::Pessimistic),
        // The empty text of old versions, too.
        "optimistic" | "" => Some(TransactionMode::Optimistic),
        _ => None,
    }
}

/// A connection's transaction: what the server says of it in its answers, and where it says nothing, what the
/// connection's own statements tell.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    autocommit: bool,
    open: bool,
    /// The mode that the session begins transactions with, where that is known.
    session_mode: Option<TransactionMode>,
    /// The mode that the open one was begun with, where that is known.
    begun: Option<TransactionMode>,
    user_locks: UserLocks,
    prepared: Prepared,
    /// How many transactions the connection has had.
    count: u32,
}

impl Default for Transaction {
    fn default() -> Self {
        Self {
            autocommit: true,
            open: false,
            session_mode: Some(TransactionMode::Session),
            begun: Some(TransactionMode::Session),
            user_locks: UserLocks::default(),
            prepared: Prepared::default(),
            count: 0,
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

    /// The connection has a session that is as good as new; its transactions are counted on.
    pub fn in_new_session(&mut self, vars: &[(String, String)]) {
        *self = Self {
            count: self.count,
            ..Self::of_session(vars)
        };
    }

    /// The session is gone, and its user-level locks with it.
    pub fn in_no_session(&mut self) {
        self.in_new_session(&[]);
    }

    /// The session has rolled back. It keeps its user-level locks.
    pub fn roll_back(&mut self) {
        self.end();
    }

    /// How many transactions the connection has had.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The mode of the transaction that is open, or would be, on a server that begins them with that mode; `None` is
    /// unknown.
    pub fn mode(&self, of_server: Option<TransactionMode>) -> Option<TransactionMode> {
        let of_session = match self.session_mode {
            Some(TransactionMode::Session) => of_server,
            known => known,
        };
        match self.begun? {
            TransactionMode::Session => of_session,
            given => Some(given),
        }
    }

    /// The mode that the session begins transactions with is not known any more.
    pub fn forget_mode(&mut self) {
        self.session_mode = None;
    }

    /// Whether no transaction is open for certain.
    pub fn is_closed(&self) -> bool {
        self.autocommit && !self.open && self.user_locks.is_empty()
    }

    /// Whether a statement is part of a transaction that goes on after it.
    pub fn is_open(&self) -> bool {
        self.open || !self.autocommit
    }

    /// Whether a user-level lock of which this is so is held, or may be; names are as [`UserLockName::told`] tells them.
    ///
    /// [`UserLockName::told`]: crate::sql::UserLockName::told
    pub fn may_hold_user_lock(&self, is: impl Fn(&str) -> bool) -> bool {
        self.user_locks.may_hold(is)
    }

    /// The same for certain: its call returned 1.
    pub fn has_user_lock(&self, is: impl Fn(&str) -> bool) -> bool {
        self.user_locks.has(is)
    }

    /// What EXECUTE runs, where the session prepared it and the text is known.
    pub fn executed(&self, sql: &str) -> Option<&str> {
        self.prepared.executed(sql)
    }

    /// Takes note of a statement, its outcome, and what the server said of the session then. Returns the number of the
    /// transaction that it was part of, see [`StepRecord::txn`](crate::history::StepRecord::txn).
    pub fn note(&mut self, sql: &str, outcome: &Outcome, flags: Option<SessionFlags>) -> Option<u32> {
        let executed = self.prepared.executed(sql).map(str::to_owned);
        let statement = classified(executed.as_deref().unwrap_or(sql));
        let known = executed.is_some() || !statement.is_execute();
        let was_open = self.open;
        self.user_locks.note(&statement, known, outcome);
        self.note_text(&statement, outcome, flags.map(|flags| flags.in_transaction));
        let succeeded = matches!(outcome, Outcome::Rows(_) | Outcome::Done(_));
        if succeeded {
            self.prepared.note(sql);
        }
        if let Some(flags) = flags {
            self.autocommit = flags.autocommit;
            match (flags.in_transaction, self.open) {
                (false, true) => self.end(),
                (true, false) => self.begin_unsaid(&statement),
                (true, true) | (false, false) => {}
            }
        }
        if self.open && statement.kind == Kind::Execute {
            // A BEGIN inside of it is nowhere to be seen.
            self.begun = None;
        }
        let part = match statement.kind {
            Kind::Begin(_) if succeeded => Part::Begins,
            Kind::Commit | Kind::Rollback | Kind::Begin(_) => Part::Of,
            _ if was_open && statement.commits_implicitly() && succeeded && !self.open => Part::None,
            _ if was_open => Part::Of,
            // What the server says opened one: without autocommit any statement does, and who knows what EXECUTE ran.
            _ if self.open => Part::Begins,
            _ if reads_or_writes(&statement, sql) => Part::Begins,
            _ => Part::None,
        };
        match part {
            Part::Begins => self.count += 1,
            Part::Of if was_open => {}
            Part::Of | Part::None => return None,
        }
        Some(self.count)
    }

    /// Takes note of what the server says of the session after statements that nobody told of.
    pub fn observe(&mut self, flags: SessionFlags) {
        self.end();
        self.autocommit = flags.autocommit;
        if flags.in_transaction {
            (self.open, self.begun) = (true, None);
        }
    }

    /// A transaction that the server says is open, though the statement does not begin one by its text.
    fn begin_unsaid(&mut self, statement: &Statement) {
        self.open = true;
        self.begun = match statement.kind {
            // Without autocommit these begin one, in the session's mode.
            Kind::Select { .. } | Kind::Dml => Some(TransactionMode::Session),
            _ => None,
        };
    }

    fn end(&mut self) {
        (self.open, self.begun) = (false, Some(TransactionMode::Session));
    }

    /// What the text of a statement and its outcome tell; `open` is what the server says, where it does.
    fn note_text(&mut self, statement: &Statement, outcome: &Outcome, open: Option<bool>) {
        match outcome {
            Outcome::Lost { .. } => {
                self.in_no_session();
                return;
            }
            Outcome::Refused(error) => {
                if effect_on_transaction(error.code) == TransactionEffect::Ends && open != Some(true) {
                    self.end();
                }
                return;
            }
            Outcome::Rows(_) | Outcome::Done(_) => {}
            Outcome::TimedOut { .. } | Outcome::Unanswered { .. } => return,
        }
        let begins = matches!(statement.kind, Kind::Begin(_));
        // What the server says goes before it: to set autocommit to what it was ends nothing.
        let ends = statement.change().open_after(true, Some(self.autocommit)) == Some(false);
        if begins || (ends && open != Some(true)) {
            self.end();
        }
        if let Kind::Set(targets) = &statement.kind {
            self.autocommit = targets.autocommit.unwrap_or(self.autocommit);
            if targets.session.iter().any(|name| name == TXN_MODE) {
                self.session_mode = None;
            }
        }
        if let Kind::Begin(mode) = statement.kind {
            (self.open, self.begun) = (true, Some(mode));
        }
        let locking = statement.can_lock_rows() && !ends && !begins;
        if locking && (self.open || !self.autocommit) {
            self.open = true;
        }
    }
}

/// How a statement stands to the transactions of its session.
enum Part {
    /// It is the first one of a transaction, or the only one.
    Begins,
    /// It is part of the one that was open before, if there was one.
    Of,
    /// It is part of none.
    None,
}

/// Whether a statement outside of a transaction is one of its own.
fn reads_or_writes(statement: &Statement, sql: &str) -> bool {
    match statement.kind {
        Kind::Select { .. } | Kind::Dml | Kind::Execute | Kind::Other => true,
        // These are calls in a query, which may read tables as well; a SET may have one in it.
        Kind::GetLock { .. } | Kind::ReleaseLock { .. } | Kind::Sleep => true,
        Kind::Set(_) => sql.to_ascii_lowercase().contains("select"),
        Kind::Begin(_)
        | Kind::Commit
        | Kind::Rollback
        | Kind::RollbackToSavepoint
        | Kind::Savepoint
        | Kind::ReleaseSavepoint
        | Kind::Ddl
        | Kind::LockTables
        | Kind::Use(_)
        | Kind::Kill => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Done, SqlError};

    #[test]
    fn one_is_open_from_its_first_statement_to_the_end() {
        let done = Outcome::Done(Done::default());
        let mut transaction = Transaction::default();
        let mut run = |sql: &str| {
            transaction.note(sql, &done, None);
            transaction.open
        };
        assert!(!run("update t set a = 1"));
        assert!(run("begin"));
        assert!(run("select * from t"));
        assert!(run("savepoint x"));
        assert!(!run("commit"));
        assert!(run("begin"));
        assert!(run("set autocommit = 1"), "autocommit is on: BEGIN's stays open");
        assert!(run("prepare p from 'commit'"));
        assert!(!run("execute p"));
        assert!(!run("set autocommit = 0"));
        assert!(run("delete from t"));
        assert!(!run("set autocommit = 1"));
        assert!(!run("set autocommit = 0"));
        assert!(run("delete from t"));
        let deadlock = SqlError {
            code: 1213,
            sqlstate: "40001".to_owned(),
            message: String::new(),
        };
        transaction.note("update t set a = 2", &Outcome::Refused(deadlock), None);
        assert!(!transaction.open);
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
            transaction.note(sql, &done, None);
            transaction.mode(optimistic)
        };
        assert_eq!(after("begin optimistic"), optimistic);
        assert_eq!(after("commit"), pessimistic);
        assert_eq!(after("begin"), pessimistic);
        assert_eq!(after("set tidb_txn_mode = 'optimistic'"), None);
        assert_eq!(after("begin pessimistic"), pessimistic);
    }

    /// The number of the transaction that each statement is part of, and whether the session has one then; `said` is what the server says of it: open, and autocommit.
    fn all(statements: &[(&str, Option<(bool, bool)>)]) -> Vec<(Option<u32>, bool)> {
        let done = Outcome::Done(Done::default());
        let mut transaction = Transaction::default();
        let note = |(sql, said): &(&str, Option<(bool, bool)>)| {
            let flags = said.map(|(in_transaction, autocommit)| SessionFlags {
                in_transaction,
                autocommit,
            });
            let txn = transaction.note(sql, &done, flags);
            (txn, transaction.open)
        };
        statements.iter().map(note).collect()
    }

    #[test]
    fn what_the_server_says_goes_before_what_the_text_suggests() {
        let (open, closed) = (Some((true, true)), Some((false, true)));
        // By its text nobody can tell what EXECUTE does.
        let executed = [
            ("execute b", open),
            ("update t set a = 1", open),
            ("execute c", closed),
        ];
        assert_eq!(
            all(&executed),
            [(Some(1), true), (Some(1), true), (Some(1), false)]
        );
        // It commits only where autocommit was off.
        let set = [
            ("begin", open),
            ("update t set a = 1", open),
            ("set autocommit = 1", open),
        ];
        assert_eq!(all(&set), [(Some(1), true), (Some(1), true), (Some(1), true)]);
        let said_nothing = set.map(|(sql, _)| (sql, None));
        assert_eq!(all(&said_nothing)[2], (Some(1), true));
        // Without autocommit a plain read opens one.
        let off = Some((true, false));
        let read = [
            ("set autocommit = 0", Some((false, false))),
            ("select a from t", off),
            ("commit", Some((false, false))),
        ];
        let numbers: Vec<_> = all(&read).into_iter().map(|(txn, ..)| txn).collect();
        assert_eq!(numbers, [None, Some(1), Some(1)]);
    }

    #[test]
    fn transactions_are_counted_and_statements_outside_are_their_own() {
        let statements = [
            "select a from t",
            "begin",
            "update t set a = 1",
            "savepoint s",
            "begin",
            "commit",
            "commit",
            "set @a = 1",
            "update t set a = 2",
            "begin",
            "create table u (a int)",
            "insert into u values (1)",
        ];
        let numbers: Vec<_> = all(&statements.map(|sql| (sql, None)))
            .into_iter()
            .map(|(txn, ..)| txn)
            .collect();
        let wanted = [
            Some(1),
            Some(2),
            Some(2),
            Some(2),
            Some(3),
            Some(3),
            None,
            None,
            Some(4),
            Some(5),
            None,
            Some(6),
        ];
        assert_eq!(numbers, wanted);
    }

    #[test]
    fn an_error_ends_it_where_the_server_says_so() {
        let refused = |code| {
            Outcome::Refused(SqlError {
                code,
                sqlstate: String::new(),
                message: String::new(),
            })
        };
        let done = Outcome::Done(Done::default());
        let after = |code, open| {
            let mut transaction = Transaction::default();
            transaction.note("begin", &done, None);
            transaction.note("update t set a = 1", &done, None);
            let flags = |in_transaction| SessionFlags {
                in_transaction,
                autocommit: true,
            };
            let txn = transaction.note("update t set a = 2", &refused(code), Option::map(open, flags));
            assert_eq!(txn, Some(1));
            transaction.open
        };
        assert!(after(1062, None) && !after(1213, None), "by the table");
        assert!(
            after(1213, Some(true)) && !after(1062, Some(false)),
            "by the server"
        );
    }
}
