//! Tells what a statement is, as far as a runner must know before it sends it.

use super::lexer::{Token, TokenKind, tokens};

/// The mode that a BEGIN asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionMode {
    /// `BEGIN` or `START TRANSACTION`: as `tidb_txn_mode` says.
    Session,
    /// `BEGIN PESSIMISTIC`.
    Pessimistic,
    /// `BEGIN OPTIMISTIC`.
    Optimistic,
}

/// What one SET statement assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetTargets {
    /// Session variables in lower case; user variables with their `@`.
    pub session: Vec<String>,
    /// Global and persisted variables in lower case.
    pub global: Vec<String>,
    /// The value, if the session's `autocommit` is set to a plain on or off.
    pub autocommit: Option<bool>,
}

/// The kinds of statements that a runner tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `BEGIN …`, `START TRANSACTION …`.
    Begin(TransactionMode),
    /// `COMMIT`. TiDB takes `AND CHAIN` and `RELEASE` and does nothing about them.
    Commit,
    /// `ROLLBACK`, likewise.
    Rollback,
    /// `ROLLBACK TO x`: the transaction and its locks stay.
    RollbackToSavepoint,
    /// `SAVEPOINT x`.
    Savepoint,
    /// `RELEASE SAVEPOINT x`.
    ReleaseSavepoint,
    /// `SET …` of variables, `SET NAMES`, `SET TRANSACTION`.
    Set(SetTargets),
    /// A query.
    Select {
        /// `FOR UPDATE` in any form; also `FOR SHARE` and `LOCK IN SHARE MODE`, which TiDB can be
        /// told to promote (`tidb_enable_shared_lock_promotion`).
        locking: bool,
    },
    /// `INSERT`, `UPDATE`, `DELETE`, `REPLACE`, `LOAD DATA`, `BATCH …`; also under `EXPLAIN ANALYZE`.
    Dml,
    /// Schema changes and all else that commits as they do.
    Ddl,
    /// A query or DO that calls `get_lock`.
    GetLock {
        /// The lock's name, if it is written as a literal.
        name: Option<String>,
    },
    /// A query or DO that calls `release_lock` or `release_all_locks`.
    ReleaseLock {
        /// The lock's name, if it is written as a literal; none also for all locks.
        name: Option<String>,
    },
    /// A query or DO that calls `sleep`.
    Sleep,
    /// `LOCK TABLES`, `UNLOCK TABLES`: they commit, and lock nothing unless TiDB is told to
    /// (`enable-table-lock`).
    LockTables,
    /// `USE db`.
    Use(String),
    /// `KILL …`.
    Kill,
    /// `EXECUTE …`: it can be anything.
    Execute,
    /// Whatever else there is.
    Other,
}

/// A statement, told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is.
    pub kind: Kind,
    changes_whole_server: bool,
    takes_user_lock: bool,
}

impl Statement {
    /// Whether a transaction that is open before it is no longer open after it, when it succeeds.
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
    /// optimistic transaction waits for the rows that it locks.
    #[must_use]
    pub fn can_lock_rows(&self) -> bool {
        match self.kind {
            Kind::Select { locking } => locking,
            Kind::Dml | Kind::Execute => true,
            _ => self.ends_transaction() && !matches!(self.kind, Kind::Rollback),
        }
    }

    /// Whether it changes what other sessions see beyond databases and tables: global variables,
    /// accounts, plugins, the server's life.
    #[must_use]
    pub fn changes_whole_server(&self) -> bool {
        self.changes_whole_server
    }

    /// Whether it calls `get_lock` anywhere, whatever its kind.
    #[must_use]
    pub fn takes_user_lock(&self) -> bool {
        self.takes_user_lock
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

/// Tells what the statement `sql` is. Text that is no SQL is [`Kind::Other`].
#[must_use]
pub fn classify(sql: &str) -> Statement {
    let cursor = Cursor::new(sql);
    Statement {
        kind: kind(&cursor),
        changes_whole_server: changes_whole_server(&cursor),
        takes_user_lock: cursor.call("get_lock").is_some(),
    }
}

/// The code of a statement (comments and hints left out), from its verb on.
struct Cursor<'a> {
    tokens: Vec<Token<'a>>,
}

impl<'a> Cursor<'a> {
    fn new(sql: &'a str) -> Self {
        let (found, _) = tokens(sql);
        let tokens = found
            .into_iter()
            .filter(Token::is_code)
            .skip_while(|token| token.is_symbol('(') || token.is_symbol(';'))
            .collect();
        Self { tokens }
    }

    fn verb(&self) -> Option<&'a str> {
        self.tokens
            .first()
            .filter(|token| token.kind == TokenKind::Word)
            .map(|token| token.text)
    }

    fn word(&self, index: usize, word: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_word(word))
    }

    fn any_word(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(index, word))
    }

    /// Whether these words follow each other somewhere.
    fn has_sequence(&self, words: &[&str]) -> bool {
        self.tokens
            .windows(words.len())
            .any(|window| window.iter().zip(words).all(|(token, word)| token.is_word(word)))
    }

    /// The place just after `name(`, where that function is called first.
    fn call(&self, name: &str) -> Option<usize> {
        self.tokens
            .windows(2)
            .position(|pair| pair[0].is_word(name) && pair[1].is_symbol('('))
            .map(|at| at + 2)
    }

    /// How often `name(` is called.
    fn calls(&self, name: &str) -> usize {
        let pairs = self.tokens.windows(2);
        pairs
            .filter(|pair| pair[0].is_word(name) && pair[1].is_symbol('('))
            .count()
    }

    /// The text literal at `index`, if it is the function's whole first argument.
    fn literal_argument(&self, index: usize) -> Option<String> {
        let literal = self.tokens.get(index)?;
        let after = self.tokens.get(index + 1)?;
        (literal.kind == TokenKind::Text && (after.is_symbol(',') || after.is_symbol(')')))
            .then(|| unquote(literal.text))
    }

    /// The same from the first of these words on that stands outside of parentheses.
    fn tail_from(&self, words: &[&str]) -> Option<Cursor<'a>> {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate() {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
                _ if depth == 0 && words.iter().any(|word| token.is_word(word)) => {
                    return Some(Cursor {
                        tokens: self.tokens[at..].to_vec(),
                    });
                }
                _ => {}
            }
        }
        None
    }
}

fn kind(cursor: &Cursor<'_>) -> Kind {
    let Some(verb) = cursor.verb() else {
        return Kind::Other;
    };
    match verb.to_ascii_lowercase().as_str() {
        "begin" if cursor.word(1, "pessimistic") => Kind::Begin(TransactionMode::Pessimistic),
        "begin" if cursor.word(1, "optimistic") => Kind::Begin(TransactionMode::Optimistic),
        "begin" => Kind::Begin(TransactionMode::Session),
        "start" if cursor.word(1, "transaction") => Kind::Begin(TransactionMode::Session),
        "commit" => Kind::Commit,
        "rollback" if cursor.word(1, "to") || cursor.word(2, "to") => Kind::RollbackToSavepoint,
        "rollback" => Kind::Rollback,
        "savepoint" => Kind::Savepoint,
        "release" if cursor.word(1, "savepoint") => Kind::ReleaseSavepoint,
        "set" => set_kind(cursor),
        "select" | "table" | "values" | "do" => select_kind(cursor),
        "with" => cursor
            .tail_from(&["select", "update", "delete", "insert", "replace", "table"])
            // The main query may stand in parentheses of its own.
            .map_or_else(|| select_kind(cursor), |main| kind(&main)),
        "explain" | "desc" | "describe" if cursor.word(1, "analyze") => cursor
            .tail_from(&["select", "update", "delete", "insert", "replace", "with"])
            .map_or(Kind::Other, |main| kind(&main)),
        "trace" => cursor
            .tail_from(&["select", "update", "delete", "insert", "replace", "with"])
            .map_or(Kind::Other, |main| kind(&main)),
        "insert" | "update" | "delete" | "replace" | "batch" => Kind::Dml,
        "load" if cursor.word(1, "data") => Kind::Dml,
        // TiDB carries these out inside the session: they commit nothing.
        "create" | "drop" if cursor.word(1, "temporary") => Kind::Other,
        "create" | "drop" if is_binding(cursor) => Kind::Other,
        "create" | "alter" | "drop" | "truncate" | "rename" | "recover" | "flashback" | "repair"
        | "grant" | "revoke" | "flush" => Kind::Ddl,
        "lock" | "unlock" if cursor.any_word(1, &["tables", "table"]) => Kind::LockTables,
        "use" => cursor.tokens.get(1).map_or(Kind::Other, |name| {
            Kind::Use(if name.kind == TokenKind::QuotedName {
                unquote(name.text)
            } else {
                name.text.to_owned()
            })
        }),
        "kill" => Kind::Kill,
        "execute" => Kind::Execute,
        _ => Kind::Other,
    }
}

fn is_binding(cursor: &Cursor<'_>) -> bool {
    cursor.word(1, "binding") || (cursor.any_word(1, &["global", "session"]) && cursor.word(2, "binding"))
}

fn select_kind(cursor: &Cursor<'_>) -> Kind {
    let locking = cursor.has_sequence(&["for", "update"])
        || cursor.has_sequence(&["for", "share"])
        || cursor.has_sequence(&["lock", "in", "share", "mode"]);
    if locking {
        return Kind::Select { locking };
    }
    if let Some(at) = cursor.call("get_lock") {
        // Of several calls any may be the one that waits.
        let name = cursor
            .literal_argument(at)
            .filter(|_| cursor.calls("get_lock") == 1);
        return Kind::GetLock { name };
    }
    if let Some(at) = cursor.call("release_lock") {
        return Kind::ReleaseLock {
            name: cursor.literal_argument(at),
        };
    }
    if cursor.call("release_all_locks").is_some() {
        return Kind::ReleaseLock { name: None };
    }
    if cursor.call("sleep").is_some() {
        return Kind::Sleep;
    }
    if cursor.word(0, "do") {
        return Kind::Other;
    }
    Kind::Select { locking }
}

/// What a SET that assigns no variable sets.
const SET_OTHER: &[&str] = &[
    "password",
    "role",
    "default",
    "config",
    "resource",
    "session_states",
];

fn set_kind(cursor: &Cursor<'_>) -> Kind {
    let assigns = cursor
        .tokens
        .get(2)
        .is_some_and(|token| token.is_symbol('=') || token.is_symbol(':'));
    if cursor.any_word(1, SET_OTHER) && !assigns {
        return Kind::Other;
    }
    let mut targets = SetTargets::default();
    // `SET GLOBAL a = 1, b = 2`: MySQL and TiDB take the scope word for its own variable only.
    for assignment in assignments(&cursor.tokens[1..]) {
        add_target(assignment, &mut targets);
    }
    Kind::Set(targets)
}

/// The parts between the commas that stand outside of parentheses.
fn assignments<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = &'t [Token<'a>]> {
    let mut depth = 0_usize;
    tokens.split(move |token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is_symbol(',')
    })
}

fn add_target(assignment: &[Token<'_>], targets: &mut SetTargets) {
    let mut rest = assignment;
    let mut global = false;
    let mut at_signs = 0;
    while let [first, tail @ ..] = rest {
        if first.is_symbol('@') {
            at_signs += 1;
        } else if ["global", "persist", "persist_only"]
            .iter()
            .any(|w| first.is_word(w))
            && is_scope(tail)
        {
            global = true;
        } else if ["session", "local", "instance"].iter().any(|w| first.is_word(w)) && is_scope(tail) {
            // An instance variable is the whole server's as well.
            global = first.is_word("instance");
        } else if !first.is_symbol('.') {
            break;
        }
        rest = tail;
    }
    let [name, value @ ..] = rest else {
        return;
    };
    let bare = match name.kind {
        TokenKind::Text | TokenKind::QuotedName => unquote(name.text),
        _ => name.text.to_owned(),
    }
    .to_ascii_lowercase();
    if at_signs == 1 {
        targets.session.push(format!("@{bare}"));
        return;
    }
    let name = if bare == "transaction" && value.first().is_some_and(|t| !t.is_symbol('=')) {
        // SET TRANSACTION ISOLATION LEVEL … or READ ONLY.
        if value.first().is_some_and(|t| t.is_word("read")) {
            "transaction_read_only".to_owned()
        } else {
            "transaction_isolation".to_owned()
        }
    } else {
        bare
    };
    if global {
        targets.global.push(name);
        return;
    }
    if name == "autocommit" {
        targets.autocommit = on_or_off(value);
    }
    targets.session.push(name);
}

/// Whether a scope word is one: a name follows, or the dot of `@@global.x`.
fn is_scope(tail: &[Token<'_>]) -> bool {
    tail.first().is_some_and(|next| {
        next.is_symbol('.')
            || next.is_symbol('@')
            || matches!(next.kind, TokenKind::Word | TokenKind::QuotedName)
    })
}

fn on_or_off(value: &[Token<'_>]) -> Option<bool> {
    let literal: Vec<_> = value
        .iter()
        .skip_while(|token| token.is_symbol(':') || token.is_symbol('='))
        .collect();
    let [only] = literal.as_slice() else {
        return None;
    };
    let text = if only.kind == TokenKind::Text {
        unquote(only.text)
    } else {
        only.text.to_owned()
    };
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" => Some(true),
        "0" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// What CREATE, ALTER and DROP can name that is the whole server's.
const SERVER_OBJECTS: &[&str] = &[
    "user",
    "role",
    "resource",
    "placement",
    "plugin",
    "instance",
    "range",
    "server",
];

fn changes_whole_server(cursor: &Cursor<'_>) -> bool {
    let Some(verb) = cursor.verb() else {
        return false;
    };
    match verb.to_ascii_lowercase().as_str() {
        "set" => match set_kind(cursor) {
            Kind::Set(targets) => !targets.global.is_empty(),
            _ => {
                cursor.any_word(1, &["password", "config"])
                    || (cursor.word(1, "default") && cursor.word(2, "role"))
            }
        },
        "create" | "alter" | "drop" => {
            cursor.any_word(1, SERVER_OBJECTS) || (cursor.word(1, "global") && cursor.word(2, "binding"))
        }
        "rename" => cursor.word(1, "user"),
        "flashback" => cursor.word(1, "cluster"),
        "flush" => !cursor.any_word(1, &["table", "tables"]),
        "grant" | "revoke" | "shutdown" | "restart" | "install" | "uninstall" => true,
        "admin" => cursor.any_word(1, &["flush", "reload", "evolve", "set", "plugins"]),
        _ => false,
    }
}

/// The content of a quoted token.
fn unquote(text: &str) -> String {
    let Some(mark) = text.chars().next() else {
        return String::new();
    };
    let inner = &text[mark.len_utf8()..];
    let inner = inner.strip_suffix(mark).unwrap_or(inner);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && mark != '`' {
            match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => {}
            }
        } else {
            if c == mark {
                chars.next_if_eq(&mark);
            }
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
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
            ("set password = 'x'", set(&["password"], &[], None)),
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
