//! What a statement changes of databases: the tables that it writes, and what it makes, changes and drops.

use super::cursor::Cursor;
use super::kind::Kind;
use super::lexer::Token;

/// Something that a statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The database that it stands in, or that it is; `None`: the session's current one.
    pub database: Option<String>,
    /// The name of the table, the view or the sequence; `None`: the database itself.
    pub name: Option<String>,
    /// Whether its rows are changed, and nothing else.
    pub rows: bool,
}

type Name = (Option<String>, String);

/// So many statements within a statement are looked into.
const DEPTH_MAX: usize = 8;

/// All that a statement changes of databases, as far as its text tells.
pub(super) fn written(cursor: &Cursor<'_>, kind: &Kind) -> Vec<Written> {
    let mut found = sequences(cursor);
    found.extend(rows(cursor, 0));
    let mut all: Vec<Written> = found.into_iter().map(|name| of(name, true)).collect();
    all.extend(schema(cursor, kind));
    all
}

fn of((database, name): Name, rows: bool) -> Written {
    Written {
        database,
        name: Some(name),
        rows,
    }
}

/// The table that INSERT, UPDATE, DELETE or REPLACE names first.
pub(super) fn target_table(cursor: &Cursor<'_>) -> Option<Name> {
    cursor.qualified_name(after_modifiers(cursor, 0))
}

/// The place of the first word that is no verb and no modifier.
fn after_modifiers(cursor: &Cursor<'_>, from: usize) -> usize {
    const BEFORE: &[&str] = &[
        "insert",
        "update",
        "delete",
        "replace",
        "into",
        "from",
        "ignore",
        "low_priority",
        "high_priority",
        "delayed",
        "quick",
        "only",
    ];
    let mut at = from;
    while cursor.any_word(at, BEFORE) {
        at += 1;
    }
    at
}

/// The tables of which a statement writes rows.
fn rows(cursor: &Cursor<'_>, depth: usize) -> Vec<Name> {
    const WRITES: &[&str] = &["insert", "update", "delete", "replace"];
    let Some(verb) = cursor.verb().filter(|_| depth < DEPTH_MAX) else {
        return Vec::new();
    };
    match verb.to_ascii_lowercase().as_str() {
        "insert" | "replace" => target_table(cursor).into_iter().collect(),
        "update" => references(cursor, &["set"]),
        "delete" => references(cursor, &["where", "order", "limit", "returning"]),
        "load" => after_word(cursor, &["table"]).into_iter().collect(),
        "import" => after_word(cursor, &["into"]).into_iter().collect(),
        "batch" => within(cursor, WRITES, depth),
        "with" => within(cursor, &[WRITES, &["select", "table", "values"]].concat(), depth),
        "explain" | "desc" | "describe" if cursor.word(1, "analyze") => {
            within(cursor, &[WRITES, &["with", "batch"]].concat(), depth)
        }
        "trace" => within(cursor, &[WRITES, &["with", "batch"]].concat(), depth),
        // What the server knows of tables, and locks of whole tables.
        "analyze" | "split" => listed(cursor, &["table", "tables"]),
        "lock" if cursor.any_word(1, &["table", "tables", "stats"]) => {
            listed(cursor, &["table", "tables", "stats"])
        }
        "unlock" | "drop" if cursor.word(1, "stats") => listed(cursor, &["stats"]),
        "refresh" => listed(cursor, &["stats"]),
        "admin" if cursor.any_word(1, &["cleanup", "recover", "repair"]) => {
            listed(cursor, &["index", "table"])
        }
        _ => Vec::new(),
    }
}

/// Those of the statement that stands within another, outside of parentheses.
fn within(cursor: &Cursor<'_>, verbs: &[&str], depth: usize) -> Vec<Name> {
    let main = cursor.from(1).tail_from(verbs);
    main.map(|main| rows(&main, depth + 1)).unwrap_or_default()
}

fn after_word(cursor: &Cursor<'_>, words: &[&str]) -> Option<Name> {
    let is_one = |token: &Token<'_>| words.iter().any(|word| token.is_word(word));
    let at = cursor.tokens.iter().position(is_one)?;
    cursor.qualified_name(at + 1)
}

/// The names after a word, between commas.
fn listed(cursor: &Cursor<'_>, words: &[&str]) -> Vec<Name> {
    let is_one = |token: &Token<'_>| words.iter().any(|word| token.is_word(word));
    let Some(at) = cursor.tokens.iter().position(is_one) else {
        return Vec::new();
    };
    let mut at = at + 1;
    let mut names = Vec::new();
    loop {
        names.extend(cursor.qualified_name(at));
        let mut rest = cursor.tokens.iter().enumerate().skip(at);
        match rest.find(|(_, token)| token.is_symbol(',') || token.is_symbol('(')) {
            Some((comma, token)) if token.is_symbol(',') => at = comma + 1,
            _ => return names,
        }
    }
}

/// The tables that UPDATE and DELETE name, up to one of these words: each may be one of which rows are written.
fn references(cursor: &Cursor<'_>, until: &[&str]) -> Vec<Name> {
    let tail = cursor.tail_from(until).map_or(0, |tail| tail.tokens.len());
    let end = cursor.tokens.len() - tail;
    let starts = |at: usize| {
        at == 1 || {
            let before = &cursor.tokens[at - 1];
            let words = [
                "from",
                "join",
                "straight_join",
                "using",
                "only",
                "ignore",
                "quick",
            ];
            before.is_symbol(',')
                || before.is_symbol('(')
                || words.iter().any(|word| before.is_word(word))
                || before.is_word("low_priority")
        }
    };
    let is_name = |at: &usize| {
        starts(*at)
            && after_modifiers(cursor, *at) == *at
            && !cursor.any_word(*at, &["select", "lateral", "with", "values"])
    };
    let names = (1..end)
        .filter(is_name)
        .filter_map(|at| cursor.qualified_name(at));
    names.collect()
}

/// The sequences that a statement moves on.
fn sequences(cursor: &Cursor<'_>) -> Vec<Name> {
    let at = |at: usize| {
        let calls = cursor.any_word(at, &["nextval", "setval"])
            && cursor.tokens.get(at + 1).is_some_and(|next| next.is_symbol('('));
        let next = cursor.word(at, "next") && cursor.word(at + 1, "value") && cursor.word(at + 2, "for");
        match (calls, next) {
            (true, _) => cursor.qualified_name(at + 2),
            (_, true) => cursor.qualified_name(at + 3),
            _ => None,
        }
    };
    (0..cursor.tokens.len()).filter_map(at).collect()
}

/// What a schema change makes, changes or drops.
fn schema(cursor: &Cursor<'_>, kind: &Kind) -> Vec<Written> {
    const VERBS: [&str; 8] = [
        "create",
        "alter",
        "drop",
        "truncate",
        "rename",
        "recover",
        "flashback",
        "repair",
    ];
    // The word that says what is made or changed, before any name.
    const WHAT: [&str; 8] = [
        "database", "schema", "table", "tables", "view", "sequence", "index", "trigger",
    ];
    let verb = cursor.verb().unwrap_or_default().to_ascii_lowercase();
    if !VERBS.contains(&verb.as_str()) {
        return Vec::new();
    }
    let is_what = |token: &Token<'_>| WHAT.iter().any(|word| token.is_word(word));
    let mut at = match cursor.tokens.iter().position(is_what) {
        Some(at) => at,
        None if verb == "truncate" => 0,
        None => return Vec::new(),
    };
    let of_database = cursor.any_word(at, &["database", "schema"]);
    if cursor.any_word(at, &["index", "trigger"]) {
        // CREATE INDEX i ON t.
        let on = cursor
            .tokens
            .iter()
            .skip(at)
            .position(|token| token.is_word("on"));
        let Some(on) = on else { return Vec::new() };
        at += on;
    }
    at += 1;
    while cursor.any_word(at, &["if", "not", "exists"]) {
        at += 1;
    }
    // A table of the session alone changes nothing of the current database.
    let kept = |one: &Written| one.database.is_some() || *kind == Kind::Ddl;
    let mut found = Vec::new();
    let mut add = |at: usize| match cursor.qualified_name(at) {
        Some((None, name)) if of_database => found.push(Written {
            database: Some(name),
            name: None,
            rows: false,
        }),
        Some(name) => found.push(of(name, false)),
        None => {}
    };
    if verb == "alter" && (cursor.has_word("rename") || cursor.has_word("exchange")) {
        // ALTER TABLE a RENAME TO b.c; ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b.c.
        add(at);
        for place in at + 1..cursor.tokens.len() {
            let before = &cursor.tokens[place - 1];
            let is_one = ["to", "as", "table", "rename"]
                .iter()
                .any(|word| before.is_word(word));
            let (word, named) = (cursor.any_word(place, &["to", "as"]), before.is_word("rename"));
            let renames = ["column", "index", "key"]
                .iter()
                .any(|word| cursor.word(place, word));
            if is_one && !word && !(named && renames) {
                add(place);
            }
        }
        found.retain(kept);
        return found;
    }
    loop {
        add(at);
        // DROP TABLE a, b.c; RENAME TABLE a TO b.c, d TO e.
        let next = cursor.tokens.iter().enumerate().skip(at + 1).find(|(_, token)| {
            token.is_symbol(',') || token.is_symbol('(') || token.is_word("to") || token.is_word("as")
        });
        let many = matches!(verb.as_str(), "drop" | "rename");
        match next {
            Some((comma, token)) if many && (token.is_symbol(',') || token.is_word("to")) => at = comma + 1,
            _ => break,
        }
    }
    found.retain(kept);
    found
}

#[cfg(test)]
mod tests {
    use super::super::classify;

    /// `a.t` is a table of a database, `t` one of the current database, `a.` a database; `~` stands before what
    /// keeps its definition.
    fn told(sql: &str) -> Vec<String> {
        let statement = classify(sql);
        let tell = |one: &super::Written| {
            let rows = if one.rows { "~" } else { "" };
            let database = one.database.as_ref().map(|name| format!("{name}."));
            let name = one.name.as_deref().unwrap_or_default();
            format!("{rows}{}{name}", database.unwrap_or_default())
        };
        statement.written().iter().map(tell).collect()
    }

    #[test]
    fn schema_changes_name_what_they_change() {
        let cases: &[(&str, &[&str])] = &[
            ("create database if not exists a", &["a."]),
            ("drop schema `a-b`", &["a-b."]),
            ("alter database a character set utf8mb4", &["a."]),
            ("create table t (a int)", &["t"]),
            ("create table a . t (a int)", &["a.t"]),
            ("create table `a`.`t` like b.t", &["a.t"]),
            ("create temporary table t (a int)", &[]),
            ("create or replace view a.v as select x.y from b.x", &["a.v"]),
            ("create index i on a.t (n)", &["a.t"]),
            ("alter table a.t add b int", &["a.t"]),
            ("alter table t rename column a to b", &["t", "b"]),
            ("alter table t rename a.u", &["t", "a.u"]),
            ("alter table t rename to a.u", &["t", "a.u"]),
            ("alter table a.t exchange partition p with table u", &["a.t", "u"]),
            ("alter table t exchange partition p with table a.u", &["t", "a.u"]),
            ("drop table a.t, t, if, c.t", &["a.t", "t", "if", "c.t"]),
            ("truncate a.t", &["a.t"]),
            ("truncate table a.t", &["a.t"]),
            ("rename table t to b.t, c.t to t", &["t", "b.t", "c.t", "t"]),
            ("create user a@b", &[]),
            ("create database a; drop database b", &["a.", "b."]),
        ];
        for (sql, want) in cases {
            assert_eq!(told(sql), *want, "{sql}");
        }
    }

    #[test]
    fn writes_name_their_tables() {
        let cases: &[(&str, &[&str])] = &[
            ("insert into a.t values (1)", &["~a.t"]),
            ("insert ignore t select * from b.u", &["~t"]),
            ("replace into `a`.`t` values (1)", &["~a.t"]),
            ("update a.t set n = 1 where m in (select n from b.u)", &["~a.t"]),
            ("update t x join a.u y on x.n = y.n set y.n = 1", &["~t", "~a.u"]),
            ("update low_priority ignore t, (a.u) set n = 1", &["~t", "~a.u"]),
            ("delete from a.t where n = 1", &["~a.t"]),
            ("delete x from t x join a.u y on x.n = y.n", &["~x", "~t", "~a.u"]),
            ("delete from x using a.t as x where x.n = 1", &["~x", "~a.t"]),
            ("load data local infile 'x' into table a.t (n)", &["~a.t"]),
            ("import into a.t from '/x'", &["~a.t"]),
            ("batch on id limit 10 delete from a.t", &["~a.t"]),
            ("with c as (select 1) update a.t set n = 1", &["~a.t"]),
            ("with c as (select 1) select * from a.t", &[]),
            (
                "explain analyze format = 'brief' insert into a.t values (1)",
                &["~a.t"],
            ),
            ("explain insert into a.t values (1)", &[]),
            ("trace delete from a.t", &["~a.t"]),
            ("prepare s from 'insert into a.t values (1)'", &["~a.t"]),
            ("select nextval(a.s), next value for s", &["~a.s", "~s"]),
            ("insert into t values (setval(a.s, 5))", &["~a.s", "~t"]),
            ("analyze table t, a.u", &["~t", "~a.u"]),
            ("lock tables t write, a.u read", &["~t", "~a.u"]),
            ("unlock tables", &[]),
            ("select * from a.t for update", &[]),
            ("split table a.t between (0) and (9) regions 3", &["~a.t"]),
        ];
        for (sql, want) in cases {
            assert_eq!(told(sql), *want, "{sql}");
        }
    }
}
