//! `CREATE TABLE` and `CREATE INDEX`.

use super::tokens::Editor;

/// The types that TiDB calls otherwise.
const TYPES: &[(&str, &str)] = &[
    ("timestamptz", "datetime(6)"),
    ("bytea", "blob"),
    ("uuid", "char(36)"),
    ("jsonb", "json"),
    ("int4", "int"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("float4", "float"),
    ("float8", "double"),
    ("string", "varchar(255)"),
];

/// Changes the types of a new table's columns, of which some are `indexed` by other statements. Says why where it
/// is no table that TiDB could have.
pub(super) fn create_table(
    editor: &mut Editor,
    indexed: &[(String, String)],
    notes: &mut Vec<String>,
) -> Option<&'static str> {
    let mut at = 1;
    while ["temp", "temporary", "unlogged", "global", "local"]
        .iter()
        .any(|word| editor.has(at, &[word]))
    {
        if editor.has(at, &["unlogged"]) {
            editor.remove(at, at + 1);
            notes.push("UNLOGGED is PostgreSQL's own: left out".to_owned());
        } else if editor.has(at, &["temp"]) {
            editor.set(at, "temporary");
        }
        at += 1;
    }
    if !editor.has(at, &["table"]) {
        return None;
    }
    at += 1;
    if editor.has(at, &["if", "not", "exists"]) {
        at += 3;
    }
    let columns = at + 1;
    if editor.has(columns, &["partition", "of"]) {
        return Some("partitions are named in CREATE TABLE itself");
    }
    if editor.find(columns, &["inherits"]).is_some() {
        return Some("TiDB has no inheritance");
    }
    if editor.has(columns, &["as"]) || editor.find(columns, &["as", "select"]).is_some() {
        return Some("TiDB has no CREATE TABLE … AS SELECT");
    }
    let end = editor.closing(columns)?;
    let mut keys = key_columns(editor, columns, end);
    let name = plain(editor.text(at));
    keys.extend(
        indexed
            .iter()
            .filter(|(table, _)| *table == name)
            .map(|(_, column)| column.clone()),
    );
    let mut start = columns + 1;
    let mut depth = 0_usize;
    for number in columns + 1..=end {
        let text = editor.text(number);
        let over = number == end || depth == 0 && text == ",";
        match text {
            "(" => depth += 1,
            ")" if depth > 0 => depth -= 1,
            _ => {}
        }
        if over {
            column(editor, start, number, &keys, notes);
            start = number + 1;
        }
    }
    if let Some(by) = editor.find(end + 1, &["partition", "by"]) {
        let clause = editor.slice(by, editor.len());
        notes.push(format!(
            "`{clause}` is left out: here partitions are named in CREATE TABLE itself"
        ));
        editor.remove(by, editor.len());
    }
    for number in columns..end {
        if editor.has(number, &["include", "("])
            && let Some(close) = editor.closing(number + 1)
        {
            notes.push(format!(
                "{} is PostgreSQL's own: left out",
                editor.slice(number, close + 1)
            ));
            editor.remove(number, close + 1);
        }
    }
    if editor.has(end + 1, &["with", "("])
        && let Some(close) = editor.closing(end + 2)
    {
        notes.push(format!(
            "{} is PostgreSQL's own: left out",
            editor.slice(end + 1, close + 1)
        ));
        editor.remove(end + 1, close + 1);
    }
    None
}

/// A name without quotes and in small letters, to compare with.
fn plain(name: &str) -> String {
    name.trim_matches(['`', '"']).to_ascii_lowercase()
}

/// The columns of CREATE INDEX, each behind its table.
pub(super) fn index_of(editor: &Editor) -> Vec<(String, String)> {
    let unique = usize::from(editor.has(1, &["unique"]));
    if !editor.has(0, &["create"]) || !editor.has(1 + unique, &["index"]) {
        return Vec::new();
    }
    let Some(on) = editor.find(1, &["on"]) else {
        return Vec::new();
    };
    let table = plain(editor.text(on + 1));
    let open = (on + 2..editor.len()).find(|at| editor.has(*at, &["("]));
    let Some(close) = open.and_then(|open| editor.closing(open)) else {
        return Vec::new();
    };
    let columns = open.unwrap_or(close) + 1..close;
    columns
        .map(|at| (table.clone(), plain(editor.text(at))))
        .collect()
}

/// The columns that `primary key (…)` and `unique (…)` name.
fn key_columns(editor: &Editor, from: usize, to: usize) -> Vec<String> {
    let mut found = Vec::new();
    for number in from..to {
        let open = if editor.has(number, &["primary", "key", "("]) {
            number + 2
        } else if editor.has(number, &["unique", "("]) {
            number + 1
        } else {
            continue;
        };
        let close = editor.closing(open).unwrap_or(open);
        found.extend((open + 1..close).map(|at| plain(editor.text(at))));
    }
    found
}

/// One column: its name, its type, and the rest.
fn column(editor: &mut Editor, from: usize, to: usize, keys: &[String], notes: &mut Vec<String>) {
    if from + 1 >= to {
        return;
    }
    let name = plain(editor.text(from));
    // In quotes it is a name, whatever it is.
    let quoted = editor.text(from).starts_with('`');
    let begins_constraint = [
        "primary",
        "unique",
        "constraint",
        "foreign",
        "check",
        "key",
        "index",
        "like",
        "exclude",
    ]
    .contains(&name.as_str());
    if begins_constraint && !quoted {
        return;
    }
    let has = |editor: &Editor, words: &[&str]| (from + 1..to).any(|at| editor.has(at, words));
    let is_key = keys.contains(&name) || has(editor, &["primary", "key"]) || has(editor, &["unique"]);
    let word = editor.text(from + 1).to_ascii_lowercase();
    let sized = editor.has(from + 2, &["("]);
    let key_of_serial = if is_key { "" } else { " unique" };
    match word.as_str() {
        "serial" | "serial4" => editor.set(from + 1, format!("int auto_increment{key_of_serial}")),
        "bigserial" | "serial8" => editor.set(from + 1, format!("bigint auto_increment{key_of_serial}")),
        "smallserial" => editor.set(from + 1, format!("smallint auto_increment{key_of_serial}")),
        // A key of text needs a length here.
        "text" | "string" if is_key => editor.set(from + 1, "varchar(255)"),
        "varchar" if !sized => editor.set(from + 1, "varchar(255)"),
        "character" if editor.has(from + 2, &["varying"]) && !editor.has(from + 3, &["("]) => {
            editor.remove(from + 2, from + 3);
            editor.set(from + 1, "varchar(255)");
        }
        "numeric" | "decimal" if !sized => {
            notes.push(format!(
                "{word} of {name} has any number of digits there, decimal(38, 10) here"
            ));
            editor.set(from + 1, "decimal(38, 10)");
        }
        "timestamp" | "time" if editor.has(from + 2, &["with", "time", "zone"]) => {
            editor.remove(from + 2, from + 5);
            editor.set(from + 1, if word == "time" { "time(6)" } else { "datetime(6)" });
        }
        "timestamp" | "time" if editor.has(from + 2, &["without", "time", "zone"]) => {
            editor.remove(from + 2, from + 5);
            editor.set(from + 1, if word == "time" { "time(6)" } else { "datetime(6)" });
        }
        _ => {
            if let Some((_, ours)) = TYPES.iter().find(|(theirs, _)| *theirs == word) {
                editor.set(from + 1, *ours);
            }
        }
    }
    for at in from + 1..to {
        if editor.has(at, &["generated"]) && !editor.has(at, &["generated", "always", "as", "("]) {
            let identity = (at..to).find(|at| editor.has(*at, &["identity"]));
            if let Some(identity) = identity {
                editor.remove(at + 1, identity + 1);
                editor.set(at, "auto_increment");
            }
        }
        if editor.has(at, &["["]) {
            notes.push(format!("{name} is an array: TiDB has none"));
        }
    }
}

/// An index needs a name here, and says in another place how it is kept.
pub(super) fn create_index(editor: &mut Editor, notes: &mut Vec<String>) {
    let unique = usize::from(editor.has(1, &["unique"]));
    if !editor.has(1 + unique, &["index"]) {
        return;
    }
    if editor.has(2 + unique, &["concurrently"]) {
        editor.remove(2 + unique, 3 + unique);
        notes.push("CONCURRENTLY is left out: every index of TiDB's is added while others go on".to_owned());
    }
    let Some(on) = editor.find(1, &["on"]) else { return };
    let table = editor.text(on + 1).to_owned();
    if editor.has(on + 2, &["using"]) {
        let how = editor.text(on + 3).to_ascii_lowercase();
        if !["btree", "hash"].contains(&how.as_str()) {
            notes.push(format!("TiDB has no index of the kind {how}"));
        }
        editor.remove(on + 2, on + 4);
    }
    let open = (on + 2..editor.len()).find(|at| editor.has(*at, &["("]));
    // As PostgreSQL names it itself.
    let nameless = (2 + unique..on).all(|at| editor.text(at).is_empty());
    if let (true, Some(open)) = (nameless, open) {
        let first = editor.text(open + 1).trim_matches('`').to_owned();
        editor.set(on, format!("{}_{first}_idx on", table.trim_matches('`')));
    }
    if editor.find(on, &["where"]).is_some() {
        notes.push("TiDB has no partial indexes".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(sql: &str) -> (String, usize) {
        let mut editor = Editor::new(sql);
        let mut notes = Vec::new();
        assert_eq!(create_table(&mut editor, &[], &mut notes), None);
        create_index(&mut editor, &mut notes);
        (editor.finish(), notes.len())
    }

    #[test]
    fn types_are_those_of_tidb() {
        for (sql, wanted, notes) in [
            (
                "CREATE TABLE t (id serial PRIMARY KEY)",
                "CREATE TABLE t (id int auto_increment PRIMARY KEY)",
                0,
            ),
            (
                "CREATE TABLE t (id serial, a int)",
                "CREATE TABLE t (id int auto_increment unique, a int)",
                0,
            ),
            (
                "CREATE TABLE t (k text PRIMARY KEY, v text)",
                "CREATE TABLE t (k varchar(255) PRIMARY KEY, v text)",
                0,
            ),
            (
                "CREATE TABLE t (`key` text PRIMARY KEY, v text)",
                "CREATE TABLE t (`key` varchar(255) PRIMARY KEY, v text)",
                0,
            ),
            (
                "CREATE TABLE t (k text, v text, UNIQUE (k))",
                "CREATE TABLE t (k varchar(255), v text, UNIQUE (k))",
                0,
            ),
            (
                "create table t (a numeric(5, 2), b numeric)",
                "create table t (a numeric(5, 2), b decimal(38, 10))",
                1,
            ),
            (
                "create table t (at timestamp with time zone not null, u uuid)",
                "create table t (at datetime(6) not null, u char(36))",
                0,
            ),
            (
                "create table t (id int generated always as identity, b int generated always as (id * 2) stored)",
                "create table t (id int auto_increment, b int generated always as (id * 2) stored)",
                0,
            ),
            (
                "create table t (a int) WITH (fillfactor = 10)",
                "create table t (a int)",
                1,
            ),
            ("create index on t (a)", "create index t_a_idx on t (a)", 0),
            (
                "create unique index i on t using btree (a)",
                "create unique index i on t (a)",
                0,
            ),
            (
                "create index concurrently i on t (a)",
                "create index i on t (a)",
                1,
            ),
        ] {
            assert_eq!(table(sql), (wanted.to_owned(), notes), "{sql}");
        }
    }

    #[test]
    fn a_text_that_another_statement_indexes_has_a_length() {
        let indexed = index_of(&Editor::new("create index on \"T\" (a, b)"));
        let mut editor = Editor::new("create table `T` (a text, c text)");
        assert_eq!(create_table(&mut editor, &indexed, &mut Vec::new()), None);
        assert_eq!(editor.finish(), "create table `T` (a varchar(255), c text)");
    }

    #[test]
    fn tables_that_tidb_cannot_have() {
        for sql in [
            "create table c () inherits (p)",
            "create table c partition of p for values in (1)",
            "create table c as select 1",
        ] {
            assert!(
                create_table(&mut Editor::new(sql), &[], &mut Vec::new()).is_some(),
                "{sql}"
            );
        }
    }
}
