//! The kinds of statements that a runner tells apart.

use super::cursor::Cursor;
use super::set::{self, SetTargets};
use super::user_lock::{self, UserLockCall, UserLockFunction, UserLockName};

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
    /// It can be anything: `EXECUTE …`, `CALL …`, `XA …`, a text of several statements, and what stands in a comment
    /// that not every server executes.
    Execute,
    /// Whatever else there is.
    Other,
}

/// So many statements within a statement are looked into; deeper, it can be anything.
const DEPTH_MAX: usize = 8;

/// Tells the kind of one statement.
pub(super) fn kind(cursor: &Cursor<'_>) -> Kind {
    kind_within(cursor, 0)
}

fn kind_within(cursor: &Cursor<'_>, depth: usize) -> Kind {
    if depth > DEPTH_MAX {
        return Kind::Execute;
    }
    let Some(verb) = cursor.verb() else {
        return Kind::Other;
    };
    match verb.to_ascii_lowercase().as_str() {
        // A block of MariaDB's.
        "begin" if cursor.word(1, "not") => Kind::Execute,
        "begin" if cursor.word(1, "pessimistic") => Kind::Begin(TransactionMode::Pessimistic),
        "begin" if cursor.word(1, "optimistic") => Kind::Begin(TransactionMode::Optimistic),
        "begin" => Kind::Begin(TransactionMode::Session),
        "start" if cursor.word(1, "transaction") => Kind::Begin(TransactionMode::Session),
        "commit" => Kind::Commit,
        "rollback" if cursor.word(1, "to") || cursor.word(2, "to") => Kind::RollbackToSavepoint,
        "rollback" => Kind::Rollback,
        "savepoint" => Kind::Savepoint,
        "release" if cursor.word(1, "savepoint") => Kind::ReleaseSavepoint,
        "set" => set::targets(cursor).map_or(Kind::Other, Kind::Set),
        "select" | "table" | "values" | "do" => select_kind(cursor),
        "with" => within(cursor, depth).unwrap_or_else(|| select_kind(cursor)),
        "explain" | "desc" | "describe" if cursor.word(1, "analyze") => {
            within(cursor, depth).unwrap_or(Kind::Other)
        }
        "trace" => within(cursor, depth).unwrap_or(Kind::Other),
        "insert" | "update" | "delete" | "replace" | "batch" => Kind::Dml,
        "load" if cursor.any_word(1, &["data", "xml"]) => Kind::Dml,
        // TiDB carries these out inside the session: they commit nothing.
        "create" | "drop" if cursor.any_word(1, &["temporary", "prepare", "stats"]) => Kind::Other,
        "create" | "drop" if is_binding(cursor) => Kind::Other,
        "alter" if cursor.any_word(1, &["instance", "range"]) => Kind::Other,
        "alter" if cursor.has_sequence(&["analyze", "partition"]) || cursor.has_word("compact") => {
            Kind::Other
        }
        "create" | "alter" | "drop" | "truncate" | "rename" | "recover" | "flashback" | "repair"
        | "grant" | "revoke" | "flush" => Kind::Ddl,
        "lock" | "unlock" if cursor.any_word(1, &["tables", "table"]) => Kind::LockTables,
        "use" => cursor
            .qualified_name(1)
            .map_or(Kind::Other, |(_, name)| Kind::Use(name)),
        "kill" => Kind::Kill,
        "execute" | "call" | "xa" => Kind::Execute,
        _ => Kind::Other,
    }
}

/// What a statement runs that begins with something else: the main part after WITH, EXPLAIN ANALYZE, TRACE.
fn within(cursor: &Cursor<'_>, depth: usize) -> Option<Kind> {
    const MAIN: &[&str] = &[
        "select", "update", "delete", "insert", "replace", "table", "batch", "values",
    ];
    let after = cursor.from(1);
    match after.tail_from(&[MAIN, &["with"]].concat()) {
        // The main query may stand in parentheses of its own.
        None => {
            let mut words = after.tokens.iter();
            words
                .any(|token| token.is_word("select"))
                .then(|| select_kind(cursor))
        }
        Some(main) => Some(kind_within(&main, depth + 1)),
    }
}

fn is_binding(cursor: &Cursor<'_>) -> bool {
    cursor.word(1, "binding") || (cursor.any_word(1, &["global", "session"]) && cursor.word(2, "binding"))
}

/// Whether it locks the rows that it reads.
pub(super) fn is_locking(cursor: &Cursor<'_>) -> bool {
    cursor.has_sequence(&["for", "update"])
        || cursor.has_sequence(&["for", "share"])
        || cursor.has_sequence(&["lock", "in", "share", "mode"])
}

fn select_kind(cursor: &Cursor<'_>) -> Kind {
    let locking = is_locking(cursor);
    if locking && !cursor.word(0, "do") {
        return Kind::Select { locking };
    }
    let calls = user_lock::calls(cursor);
    let of = |function: UserLockFunction| calls.iter().filter(move |call| call.function == function);
    let name = |call: &UserLockCall| match &call.name {
        UserLockName::Literal(name) => Some(name.clone()),
        UserLockName::OfDatabase(_) | UserLockName::Parameter(_) | UserLockName::Unknown => None,
    };
    if let Some(call) = of(UserLockFunction::Get).next() {
        // Of several calls any may be the one that waits.
        let only = of(UserLockFunction::Get).count() == 1;
        return Kind::GetLock {
            name: name(call).filter(|_| only),
        };
    }
    if let Some(call) = of(UserLockFunction::Release).next() {
        return Kind::ReleaseLock { name: name(call) };
    }
    if of(UserLockFunction::ReleaseAll).next().is_some() {
        return Kind::ReleaseLock { name: None };
    }
    if cursor.calls("sleep") {
        return Kind::Sleep;
    }
    if cursor.word(0, "do") {
        return Kind::Other;
    }
    Kind::Select { locking }
}
