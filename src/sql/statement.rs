//! Tells what a statement is, as far as a runner must know before it sends it.

use super::cursor::Cursor;
use super::kind::{Kind, is_locking, kind};
use super::lexer::tokens;
use super::prepared::{self, Source};
use super::transaction_change::{self, TransactionChange};
use super::user_lock::{self, UserLockCall, UserLockFunction};
use super::whole_server::{self, ServerChange};
use super::written::{self, Written};

/// A statement, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub kind: Kind,
    change: TransactionChange,
    server_change: ServerChange,
    globals: Vec<String>,
    written: Vec<Written>,
    user_locks: Vec<UserLockCall>,
    is_execute: bool,
    prepares: Option<Source>,
    prepared: Option<Box<Statement>>,
    kills_by_number: bool,
    locks_within: bool,
    /// The statements of a text of several.
    parts: Vec<Statement>,
}

impl Statement {
    /// All of them in one text.
    fn several(parts: Vec<Self>) -> Self {
        let calls = parts.iter().flat_map(|part| part.user_locks.iter().cloned());
        Self {
            kind: Kind::Execute,
            change: TransactionChange::Unknown,
            server_change: parts
                .iter()
                .map(|part| part.server_change)
                .max()
                .unwrap_or_default(),
            globals: parts
                .iter()
                .flat_map(|part| part.globals.iter().cloned())
                .collect(),
            written: parts
                .iter()
                .flat_map(|part| part.written.iter().cloned())
                .collect(),
            // Of which result a column is cannot be told.
            user_locks: calls.map(|call| UserLockCall { column: None, ..call }).collect(),
            is_execute: false,
            prepares: parts.iter().find_map(|part| part.prepares.clone()),
            prepared: parts.iter().find_map(|part| part.prepared.clone()),
            kills_by_number: parts.iter().any(|part| part.kills_by_number),
            locks_within: parts.iter().any(Self::can_lock_rows),
            parts,
        }
    }

    /// The last statement of a text of several; otherwise the statement itself.
    #[must_use]
    pub fn last(&self) -> &Self {
        self.parts.last().unwrap_or(self)
    }

    /// Whether it, or one of several in a text, is a KILL.
    #[must_use]
    pub fn kills(&self) -> bool {
        self.kind == Kind::Kill || self.parts.iter().any(Self::kills)
    }

    /// What it does to its session's transaction when it succeeds.
    #[must_use]
    pub fn change(&self) -> TransactionChange {
        self.change
    }

    /// Whether a transaction that is open before it may no longer be open after it, when it succeeds: for certain,
    /// but for `SET autocommit = 1` ([`TransactionChange::EndsIfAutocommitWasOff`]). What can be anything
    /// ([`TransactionChange::Unknown`]) is not among them.
    #[must_use]
    pub fn ends_transaction(&self) -> bool {
        match &self.kind {
            Kind::Commit | Kind::Rollback => true,
            _ => self.commits_implicitly(),
        }
    }

    /// Whether it commits an open transaction without saying so. (`SET autocommit = 1` does where
    /// autocommit was off, and leaves an explicit BEGIN's transaction open where it was on.)
    #[must_use]
    pub fn commits_implicitly(&self) -> bool {
        match &self.kind {
            Kind::Begin(_) | Kind::Ddl | Kind::LockTables => true,
            Kind::Set(targets) => targets.autocommit == Some(true),
            Kind::Commit
            | Kind::Rollback
            | Kind::RollbackToSavepoint
            | Kind::Savepoint
            | Kind::ReleaseSavepoint
            | Kind::Select { .. }
            | Kind::Dml
            | Kind::GetLock { .. }
            | Kind::ReleaseLock { .. }
            | Kind::Sleep
            | Kind::Use(_)
            | Kind::Kill
            | Kind::Execute
            | Kind::Other => false,
        }
    }

    /// Whether it can lock rows, and so wait for another transaction. COMMIT is among them: that of an
    /// optimistic transaction waits for the rows that it locks. What is not understood can.
    #[must_use]
    pub fn can_lock_rows(&self) -> bool {
        match self.kind {
            Kind::Select { locking } => locking,
            _ if !self.parts.is_empty() => self.locks_within,
            Kind::Dml | Kind::Execute => true,
            Kind::Other => self.locks_within || self.change == TransactionChange::Unknown,
            _ => self.locks_within || self.ends_transaction() && !matches!(self.kind, Kind::Rollback),
        }
    }

    /// Whether it changes what other sessions see beyond databases and tables: global variables,
    /// accounts, plugins, the server's life. What it prepares counts as run.
    #[must_use]
    pub fn changes_whole_server(&self) -> bool {
        self.server_change != ServerChange::None
    }

    /// What it changes of the whole server; of several things the one that is hardest to set back.
    #[must_use]
    pub fn server_change(&self) -> ServerChange {
        self.server_change
    }

    /// The global variables that it sets, in lower case.
    #[must_use]
    pub fn globals(&self) -> &[String] {
        &self.globals
    }

    /// What it changes of databases: the tables of which it writes rows, and what schema changes make, change or drop.
    /// Rather too much than too little: of several tables that an UPDATE or a DELETE names, all.
    #[must_use]
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    /// Whether it is a KILL of a session that a number names.
    #[must_use]
    pub fn kills_by_number(&self) -> bool {
        self.kills_by_number
    }

    /// Whether it is an EXECUTE of something that was prepared.
    #[must_use]
    pub fn is_execute(&self) -> bool {
        self.is_execute
    }

    /// What a PREPARE takes its statement from.
    #[must_use]
    pub fn prepares(&self) -> Option<&Source> {
        self.prepares.as_ref()
    }

    /// The statement that a PREPARE prepares, where its text stands in it.
    #[must_use]
    pub fn prepared(&self) -> Option<&Self> {
        self.prepared.as_deref()
    }

    /// Its calls of GET_LOCK and its like, in the order of the text.
    #[must_use]
    pub fn user_locks(&self) -> &[UserLockCall] {
        &self.user_locks
    }

    /// Whether it calls `get_lock` anywhere, whatever its kind.
    #[must_use]
    pub fn takes_user_lock(&self) -> bool {
        self.user_locks
            .iter()
            .any(|call| call.function == UserLockFunction::Get)
    }

    /// Whether it writes rows.
    #[must_use]
    pub fn is_dml(&self) -> bool {
        self.kind == Kind::Dml
    }
}

/// The statement's first keyword in lower case: comments and opening parentheses before it are passed
/// over. None if there is no word there.
#[must_use]
pub fn verb(sql: &str) -> Option<String> {
    Cursor::new(sql).verb().map(str::to_ascii_lowercase)
}

/// How many `?` a statement has, for the values of a prepared one.
#[must_use]
pub fn placeholders(sql: &str) -> usize {
    let (found, _) = tokens(sql);
    found.iter().filter(|token| token.is_symbol('?')).count()
}

/// Tells what the statement `sql` is. Text that is no SQL is [`Kind::Other`]; a text of several statements can be
/// anything ([`Kind::Execute`]), and has what each of them has.
#[must_use]
pub fn classify(sql: &str) -> Statement {
    let mut statements: Vec<Statement> = Cursor::statements(sql).iter().map(of).collect();
    match statements.len() {
        0 => of(&Cursor::new("")),
        1 => statements.remove(0),
        _ => Statement::several(statements),
    }
}

fn of(cursor: &Cursor<'_>) -> Statement {
    let kind = if cursor.conditional {
        Kind::Execute
    } else {
        kind(cursor)
    };
    let change = transaction_change::change(cursor, &kind);
    let source = prepared::source(cursor);
    // What is prepared is run sooner or later.
    let inner = match &source {
        Some(Source::Text(text)) => Some(classify(text)),
        _ => None,
    };
    let mut statement = Statement {
        server_change: whole_server::server_change(cursor, &kind),
        written: written::written(cursor, &kind),
        globals: match &kind {
            Kind::Set(targets) => targets.global.clone(),
            _ => Vec::new(),
        },
        user_locks: user_lock::calls(cursor),
        kills_by_number: kind == Kind::Kill && whole_server::names_a_session(cursor),
        locks_within: cursor.any_word(0, &["do", "set"]) && is_locking(cursor),
        is_execute: cursor.word(0, "execute"),
        prepares: source,
        prepared: None,
        parts: Vec::new(),
        change,
        kind,
    };
    if let Some(inner) = inner {
        statement.server_change = statement.server_change.max(inner.server_change);
        statement.written.extend(inner.written.iter().cloned());
        statement.globals.extend(inner.globals.iter().cloned());
        statement.prepared = Some(Box::new(inner));
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::super::set::SetTargets;
    use super::*;
    use crate::sql::Prepared;
    use crate::sql::kind::TransactionMode;
    use proptest::prelude::*;

    #[test]
    fn the_verb_is_the_first_keyword() {
        let cases = [
            ("select 1", Some("select")),
            ("  /* a */ -- b\n # c\n UPDATE t set a = 1", Some("update")),
            ("((select 1) union (select 2))", Some("select")),
            ("/*!40101 SET names utf8 */", Some("set")),
            ("/*+ x */ insert into t values (1)", Some("insert")),
            ("begin", Some("begin")),
            ("-- nothing", None),
            ("", None),
            ("'text'", None),
            ("= 1", None),
        ];
        for (sql, want) in cases {
            assert_eq!(verb(sql).as_deref(), want, "{sql}");
        }
    }

    fn set(session: &[&str], global: &[&str], autocommit: Option<bool>) -> Kind {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Kind::Set(SetTargets {
            session: owned(session),
            global: owned(global),
            autocommit,
        })
    }

    #[test]
    #[allow(clippy::too_many_lines)] // One table.
    fn kinds_are_told_apart() {
        let plain = || Kind::Select { locking: false };
        let locking = || Kind::Select { locking: true };
        let get = |name: Option<&str>| Kind::GetLock {
            name: name.map(str::to_owned),
        };
        let release = |name: Option<&str>| Kind::ReleaseLock {
            name: name.map(str::to_owned),
        };
        let cases = [
            ("begin", Kind::Begin(TransactionMode::Session)),
            (
                "BEGIN /* x */ PESSIMISTIC",
                Kind::Begin(TransactionMode::Pessimistic),
            ),
            ("begin optimistic;", Kind::Begin(TransactionMode::Optimistic)),
            (
                "begin /*T! optimistic */",
                Kind::Begin(TransactionMode::Optimistic),
            ),
            (
                "start transaction with consistent snapshot",
                Kind::Begin(TransactionMode::Session),
            ),
            ("commit", Kind::Commit),
            ("commit and chain", Kind::Commit),
            ("commit and no chain release", Kind::Commit),
            ("rollback work", Kind::Rollback),
            ("rollback and chain", Kind::Rollback),
            ("rollback to s", Kind::RollbackToSavepoint),
            ("rollback work to savepoint s", Kind::RollbackToSavepoint),
            ("savepoint s", Kind::Savepoint),
            ("release savepoint s", Kind::ReleaseSavepoint),
            ("set autocommit = 0", set(&["autocommit"], &[], Some(false))),
            (
                "SET @@session.AutoCommit := 'on'",
                set(&["autocommit"], &[], Some(true)),
            ),
            ("set autocommit = @x", set(&["autocommit"], &[], None)),
            ("set @@autocommit = true", set(&["autocommit"], &[], Some(true))),
            ("set @autocommit = 1", set(&["@autocommit"], &[], None)),
            ("set global autocommit = 0", set(&[], &["autocommit"], None)),
            ("set @@global.a = 1", set(&[], &["a"], None)),
            (
                "set session a = 1, global b = (select 1, 2), @c = 3, d = 4",
                set(&["a", "@c", "d"], &["b"], None),
            ),
            ("set local `a` = 1", set(&["a"], &[], None)),
            ("set persist a = 1", set(&[], &["a"], None)),
            ("set names utf8mb4", set(&["names"], &[], None)),
            (
                "set session transaction isolation level read committed",
                set(&["transaction_isolation"], &[], None),
            ),
            (
                "set global transaction isolation level read committed",
                set(&[], &["transaction_isolation"], None),
            ),
            (
                "set transaction read only",
                set(&["transaction_read_only"], &[], None),
            ),
            ("set role admin", Kind::Other),
            ("set password = 'x'", Kind::Other),
            ("set binding enabled for select 1", Kind::Other),
            (
                "set autocommit = 0, autocommit = 1",
                set(&["autocommit", "autocommit"], &[], None),
            ),
            ("/*!40101 set global a = 1 */", set(&[], &["a"], None)),
            ("/*!40101 set @@global.a = 1 */;", set(&[], &["a"], None)),
            ("/*T! set global a = 1 */", set(&[], &["a"], None)),
            ("/*T![some_feature] begin */", Kind::Execute),
            ("/*M!100100 begin */", Kind::Execute),
            ("create /*T![some_feature] global */ table t (a int)", Kind::Ddl),
            ("begin; update t set a = 1", Kind::Execute),
            ("select 1; -- x", plain()),
            (";;select 1;;", plain()),
            ("begin not atomic select 1; end", Kind::Execute),
            ("call p()", Kind::Execute),
            ("xa start 'x'", Kind::Execute),
            ("drop prepare s", Kind::Other),
            ("drop stats t", Kind::Other),
            ("alter instance reload tls", Kind::Other),
            ("lock stats t", Kind::Other),
            ("explain analyze (select * from t for update)", locking()),
            ("explain analyze table t", plain()),
            ("trace plan select 1", plain()),
            ("load xml local infile 'x' into table t", Kind::Dml),
            ("(table t)", plain()),
            ("use db . t", Kind::Use("t".to_owned())),
            ("set", set(&[], &[], None)),
            ("select 1", plain()),
            ("table t", plain()),
            ("select 'for update'", plain()),
            ("select 1 -- for update", plain()),
            ("select 1 /* for update */", plain()),
            ("select `for` update from t", plain()),
            ("select * from t for update", locking()),
            ("select * from t FOR /* x */ UPDATE nowait", locking()),
            ("select * from t for update of t skip locked", locking()),
            ("(select * from t for update wait 3)", locking()),
            ("select * from (select * from t for update) x", locking()),
            ("select * from t lock in share mode", locking()),
            ("with x as (select 1) select * from x for update", locking()),
            ("with x as (select 1 for update) select * from x", plain()),
            ("with x as (select 1) (select * from x)", plain()),
            ("with x as (select 1) update t, x set t.a = 1", Kind::Dml),
            ("insert into t values (1)", Kind::Dml),
            ("update t set a = 1", Kind::Dml),
            ("delete from t", Kind::Dml),
            ("replace into t values (1)", Kind::Dml),
            ("load data local infile 'x' into table t", Kind::Dml),
            ("load stats 'x'", Kind::Other),
            ("batch on id limit 10 delete from t", Kind::Dml),
            ("explain analyze update t set a = 1", Kind::Dml),
            (
                "explain analyze format = 'brief' select * from t for update",
                locking(),
            ),
            ("explain update t set a = 1", Kind::Other),
            ("create table t (a int)", Kind::Ddl),
            ("create temporary table t (a int)", Kind::Other),
            (
                "create global temporary table t (a int) on commit delete rows",
                Kind::Ddl,
            ),
            ("create session binding for select 1 using select 1", Kind::Other),
            ("alter table t add b int", Kind::Ddl),
            ("truncate t", Kind::Ddl),
            ("rename table a to b", Kind::Ddl),
            ("grant select on *.* to u", Kind::Ddl),
            ("select get_lock('x', 5)", get(Some("x"))),
            ("SELECT GET_LOCK(\"it's\", 5) as got", get(Some("it's"))),
            ("select get_lock('a\\'b''c', 5)", get(Some("a'b'c"))),
            ("select get_lock(concat('x', 'y'), 5)", get(None)),
            ("select get_lock('x', 5), get_lock('y', 5)", get(None)),
            ("do get_lock('x', 1)", get(Some("x"))),
            ("select 'get_lock(1)'", plain()),
            ("select get_lock from t", plain()),
            ("select release_lock('x')", release(Some("x"))),
            ("select release_all_locks()", release(None)),
            ("select sleep(1)", Kind::Sleep),
            ("do sleep(0.1)", Kind::Sleep),
            ("do 1", Kind::Other),
            ("lock tables t write", Kind::LockTables),
            ("unlock tables", Kind::LockTables),
            ("use shop", Kind::Use("shop".to_owned())),
            ("use `a``b`", Kind::Use("a`b".to_owned())),
            ("kill query 5", Kind::Kill),
            ("execute s", Kind::Execute),
            ("show tables", Kind::Other),
            ("", Kind::Other),
            ("what is this", Kind::Other),
        ];
        for (sql, want) in cases {
            assert_eq!(classify(sql).kind, want, "{sql}");
        }
    }

    /// `e`: ends a transaction, `s`: starts one, `i`: commits implicitly, `l`: can lock rows,
    /// `w`: changes the whole server, `d`: is DML.
    fn traits_of(sql: &str) -> String {
        let statement = classify(sql);
        [
            ('e', statement.ends_transaction()),
            ('s', matches!(statement.kind, Kind::Begin(_))),
            ('i', statement.commits_implicitly()),
            ('l', statement.can_lock_rows()),
            ('w', statement.changes_whole_server()),
            ('d', statement.is_dml()),
        ]
        .iter()
        .filter_map(|&(letter, holds)| holds.then_some(letter))
        .collect()
    }

    #[test]
    fn traits_follow_from_the_kind() {
        let cases = [
            ("begin", "esil"),
            ("commit", "el"),
            ("commit and chain", "el"),
            ("rollback", "e"),
            ("rollback to s", ""),
            ("savepoint s", ""),
            ("set autocommit = 1", "eil"),
            ("set autocommit = 0", ""),
            ("set session a = 1", ""),
            ("set global a = 1", "w"),
            ("set @@global.a = 1", "w"),
            ("set a = 1, @@global.b = 1", "w"),
            ("set password for u = 'x'", "w"),
            ("set password = 'x'", "w"),
            ("set config tidb a = 1", "w"),
            ("set binding enabled for select 1", "w"),
            ("/*!40101 set global a = 1 */", "w"),
            ("select 1; set global a = 1", "w"),
            ("select 1; update t set a = 1", "l"),
            ("prepare s from 'set global a = 1'", "w"),
            ("prepare s from 'prepare r from ''set global a = 1'''", "w"),
            ("execute immediate 'set persist a = 1'", "lw"),
            ("insert into mysql.user values (1)", "lwd"),
            ("update `mysql` . `global_variables` set a = 1", "lwd"),
            ("insert into mysql.tidb_import_jobs values (1)", "ld"),
            ("insert into t select * from mysql.user", "ld"),
            ("flush tables with read lock", "eilw"),
            ("flush tables t with read lock", "eil"),
            ("admin flush bindings", "w"),
            ("admin flush session plan_cache", ""),
            ("admin set bdr role primary", "w"),
            ("admin check table t", ""),
            ("restore database * from 'x'", "lw"),
            ("shutdown", "lw"),
            ("backup database * to 'x'", "lw"),
            ("plan replayer dump explain select 1", "w"),
            ("select 1 into outfile '/tmp/x'", "w"),
            ("select 1 into @x", ""),
            (
                "(select n from t) union (select 2) into /* x */ dumpfile 'x'",
                "w",
            ),
            ("query watch add sql text exact to 'x'", "lw"),
            ("what is this", "l"),
            ("do (select 1 from t for update)", "l"),
            ("set default role all to u", "w"),
            ("set role r", ""),
            ("select 1", ""),
            ("select 1 from t for update", "l"),
            ("update t set a = 1", "ld"),
            ("insert into t values ('create user')", "ld"),
            ("execute s", "l"),
            ("create table t (a int)", "eil"),
            ("create user u", "eilw"),
            ("create user if not exists u", "eilw"),
            ("create table user (a int)", "eil"),
            ("drop role r", "eilw"),
            ("grant select on *.* to u", "eilw"),
            ("rename user a to b", "eilw"),
            ("rename table user to b", "eil"),
            ("flush privileges", "eilw"),
            ("flush tables", "eil"),
            ("create global binding for select 1 using select 1", "w"),
            ("create resource group g ru_per_sec = 1", "eilw"),
            ("select get_lock('x', 5)", ""),
            ("lock tables t write", "eil"),
            ("kill 5", ""),
            ("show tables", ""),
        ];
        for (sql, want) in cases {
            assert_eq!(traits_of(sql), want, "{sql}");
        }
    }

    #[test]
    fn a_text_of_several_has_what_each_of_them_has() {
        let several = classify("kill 5; select get_lock('a', 1); insert into t values (1)");
        assert!(several.kills() && several.takes_user_lock() && several.can_lock_rows());
        assert!(several.last().is_dml() && !several.is_dml());
        assert_eq!(several.user_locks()[0].column, None);
        assert!(!classify("select 1; select 2").can_lock_rows());
    }

    #[test]
    fn what_is_executed_is_what_was_prepared() {
        let mut prepared = Prepared::default();
        for sql in [
            "prepare a from 'select 1'",
            "set @x = 'commit', @y := \"it's\", @z = concat('a', 'b')",
            "prepare B from @X",
            "prepare `c` from @y",
            "prepare d from @z",
            "select 'rollback' into @x",
            "prepare e from @x",
        ] {
            prepared.note(sql);
        }
        for (sql, want) in [
            ("execute a", Some("select 1")),
            ("execute b using @n", Some("commit")),
            ("execute `C`", Some("it's")),
            ("execute d", None),
            ("execute e", None),
            ("execute f", None),
            ("select 1", None),
        ] {
            assert_eq!(prepared.executed(sql), want, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_a_kind(sql in "\\PC*") {
            let _ = classify(&sql);
        }

        #[test]
        fn keywords_and_marks_in_any_order_have_a_kind(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "set", "global", "@@", "@", ".", "=", ",", "(", ")", "with", "select", "for",
                    "update", "get_lock", "'x'", "`y`", "autocommit", "1", "rollback", "to", "use",
                    "/*!", "*/", "--", "explain", "analyze", "transaction",
                ]),
                0..12,
            )
        ) {
            let _ = classify(&words.join(" "));
        }

        #[test]
        fn comments_and_case_change_nothing(
            sql in prop::sample::select(vec![
                "begin pessimistic", "select * from t for update", "set global a = 1",
                "rollback to s", "select get_lock ( 'x' , 1 )", "create user u",
            ]),
            comment in prop::sample::select(vec!["/* for update */", "-- x\n", "# '\n", "\t"]),
        ) {
            let spaced = sql.replace(' ', &format!(" {comment} "));
            prop_assert_eq!(classify(&spaced), classify(sql));
            prop_assert_eq!(classify(&sql.replace("'x'", "''").to_uppercase()),
                classify(&sql.replace("'x'", "''")));
        }
    }
}
