//! What reaches beyond a trial's own databases: the server's settings, accounts, and databases of others.

use super::cursor::Cursor;
use super::kind::Kind;
use super::lexer::TokenKind;
use super::written::target_table;

/// What a statement changes of the server beyond databases and tables, and whether that can be set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ServerChange {
    /// Nothing.
    #[default]
    None,
    /// What is over when it is done, or with its session: FLUSH, ADMIN RELOAD.
    Passing,
    /// Global variables.
    Variables,
    /// Accounts and their rights, resource groups, placement policies, global bindings.
    Objects,
    /// What cannot be set back: the configuration, plugins, the server's life.
    Lasting,
}

impl ServerChange {
    /// What it changes to write rows of this table of the database `mysql`.
    #[must_use]
    pub fn of_system_table(table: &str) -> Self {
        let is = |one: &str| one.eq_ignore_ascii_case(table);
        match ACCOUNT_TABLES.iter().any(|one| is(one)) {
            true => Self::Objects,
            false if OF_TRIALS.iter().any(|one| is(one)) => Self::None,
            false => Self::Lasting,
        }
    }
}

/// What CREATE, ALTER and DROP can name that is the whole server's and can be set back.
const OBJECTS: &[&str] = &["user", "role", "resource", "placement"];
/// What they can name that cannot.
const LASTING_OBJECTS: &[&str] = &["plugin", "range", "server", "tablespace", "undo", "logfile"];
/// Verbs of statements about the whole server that nothing sets back.
const LASTING_VERBS: &[&str] = &[
    "shutdown",
    "restart",
    "install",
    "uninstall",
    "change",
    "reset",
    "purge",
    "stop",
    "restore",
    "backup",
    "traffic",
];
/// Tables of `mysql` that hold accounts and rights.
pub const ACCOUNT_TABLES: &[&str] = &[
    "user",
    "db",
    "tables_priv",
    "columns_priv",
    "global_priv",
    "global_grants",
    "default_roles",
    "role_edges",
    "password_history",
];
/// Tables of `mysql` whose rows are of single jobs: a trial may write those of its own.
const OF_TRIALS: &[&str] = &["tidb_import_jobs"];

/// What a statement changes of the whole server, whatever databases there are.
pub(super) fn server_change(cursor: &Cursor<'_>, kind: &Kind) -> ServerChange {
    use ServerChange::{Lasting, None, Objects, Passing, Variables};
    let Some(verb) = cursor.verb() else {
        return None;
    };
    let any = |words: &[&str]| cursor.any_word(1, words);
    let when = |holds: bool, change: ServerChange| if holds { change } else { None };
    let verb = verb.to_ascii_lowercase();
    // A file of the server's, which nothing removes.
    if cursor.has_sequence(&["into", "outfile"]) || cursor.has_sequence(&["into", "dumpfile"]) {
        return Lasting;
    }
    match verb.as_str() {
        "set" => match kind {
            Kind::Set(targets) => when(!targets.global.is_empty(), Variables),
            _ if any(&["config"]) => Lasting,
            _ => when(
                any(&["password", "binding"]) || (any(&["default"]) && cursor.word(2, "role")),
                Objects,
            ),
        },
        "create" | "alter" | "drop" => {
            // CREATE OR REPLACE USER of MariaDB.
            let at = if cursor.word(1, "or") { 3 } else { 1 };
            if any(&["instance"]) {
                Passing
            } else if cursor.any_word(at, LASTING_OBJECTS) {
                Lasting
            } else {
                let binding = any(&["global"]) && cursor.word(2, "binding");
                when(binding || cursor.any_word(at, OBJECTS), Objects)
            }
        }
        "rename" => when(any(&["user"]), Objects),
        "grant" | "revoke" => Objects,
        "flashback" => when(any(&["cluster"]), Lasting),
        // FLUSH TABLES of some tables is a trial's own; WITH READ LOCK of all of them is not.
        "flush" => {
            let at = 1 + usize::from(any(&["no_write_to_binlog", "local"]));
            let next = cursor.tokens.get(at + 1);
            let named = next.is_some_and(|token| !token.is_symbol(';') && !token.is_word("with"));
            let all = !cursor.any_word(at, &["table", "tables"]);
            when(all || (!named && cursor.has_sequence(&["read", "lock"])), Passing)
        }
        "admin" if any(&["set", "unset", "plugins"]) => Lasting,
        "admin" if any(&["evolve", "capture"]) => Objects,
        "admin" => {
            let session = cursor.word(2, "session") || (any(&["flush"]) && cursor.word(2, "plan_cache"));
            when(any(&["flush", "reload", "reset"]) && !session, Passing)
        }
        "query" => when(any(&["watch"]), Lasting),
        "lock" | "unlock" => when(any(&["instance"]), Passing),
        "start" => when(any(&["slave", "replica", "group_replication", "all"]), Lasting),
        "load" if any(&["index"]) => Passing,
        "load" | "batch" => when(names_server_table(cursor), Lasting),
        // What stands within is what is run.
        "with" | "explain" | "desc" | "describe" | "trace" => {
            const WRITES: &[&str] = &["insert", "update", "delete", "replace"];
            let runs = verb == "with" || verb == "trace" || any(&["analyze"]);
            let within = WRITES.iter().any(|word| cursor.has_word(word));
            match runs && within && names_server_table(cursor) {
                true if names_accounts(cursor) => Objects,
                true => Lasting,
                false => None,
            }
        }
        // PLAN REPLAYER: DUMP and CAPTURE leave files on the server.
        "plan" => Lasting,
        "insert" | "update" | "delete" | "replace" => match target_table(cursor) {
            Some((Some(database), table)) if database.eq_ignore_ascii_case("mysql") => {
                ServerChange::of_system_table(&table)
            }
            // UPDATE and DELETE of several tables.
            _ if ["update", "delete"].contains(&verb.as_str()) && names_server_table(cursor) => {
                match names_accounts(cursor) {
                    true => Objects,
                    false => Lasting,
                }
            }
            _ => None,
        },
        verb => when(LASTING_VERBS.contains(&verb), Lasting),
    }
}

/// The tables that a statement names with `mysql` before them.
fn server_tables<'c>(cursor: &'c Cursor<'_>) -> impl Iterator<Item = String> + 'c {
    let named = (0..cursor.tokens.len()).filter_map(|at| match cursor.qualified_name(at) {
        Some((Some(database), table)) if database.eq_ignore_ascii_case("mysql") => {
            Some(table.to_ascii_lowercase())
        }
        _ => None,
    });
    named.filter(|table| !OF_TRIALS.contains(&table.as_str()))
}

fn names_server_table(cursor: &Cursor<'_>) -> bool {
    server_tables(cursor).next().is_some()
}

fn names_accounts(cursor: &Cursor<'_>) -> bool {
    server_tables(cursor).any(|table| ACCOUNT_TABLES.contains(&table.as_str()))
}

/// Whether a KILL names its session by a number.
pub(super) fn names_a_session(cursor: &Cursor<'_>) -> bool {
    cursor.tokens.iter().any(is_number)
}

fn is_number(token: &super::lexer::Token<'_>) -> bool {
    token.kind == TokenKind::Word && token.text.bytes().all(|byte| byte.is_ascii_digit())
}
