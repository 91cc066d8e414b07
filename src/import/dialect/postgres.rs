//! PostgreSQL's statements.

use super::concat::concat;
use super::conflict;
use super::portable::{casts, for_update, returning, series};
use super::reserved::{quote_names, reserved_columns};
use super::table::{create_index, create_table, index_of};
use super::tokens::{Editor, Kind, tokens};
use super::{Level, Translated};

/// The statements of a text, each with the byte at which it begins; what has only comments is left out.
pub(crate) fn split_postgres(text: &str) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    let mut end = 0;
    for token in tokens(text) {
        if token.is_sign(";") {
            found.extend(start.take().map(|start| (&text[start..end], start)));
            continue;
        }
        if !matches!(token.kind, Kind::Space | Kind::Comment) {
            start = start.or(Some(token.at));
            end = token.at + token.text.len();
        }
    }
    found.extend(start.map(|start| (&text[start..end], start)));
    found
}

/// Statements by their first words that TiDB has nothing for.
const NOT_ON_TIDB: &[(&[&str], &str)] = &[
    (&["create", "function"], "TiDB has no functions of one's own"),
    (
        &["create", "or", "replace", "function"],
        "TiDB has no functions of one's own",
    ),
    (&["create", "procedure"], "TiDB has no procedures"),
    (&["create", "trigger"], "TiDB has no triggers"),
    (&["create", "extension"], "PostgreSQL's own"),
    (&["create", "domain"], "TiDB has no domains"),
    (&["create", "type"], "TiDB has no types of one's own"),
    (&["create", "rule"], "PostgreSQL's own"),
    (&["create", "policy"], "PostgreSQL's own"),
    (&["create", "operator"], "PostgreSQL's own"),
    (&["create", "materialized"], "TiDB has no materialized views"),
    (&["drop", "function"], "TiDB has no functions of one's own"),
    (&["drop", "type"], "TiDB has no types of one's own"),
    (&["drop", "extension"], "PostgreSQL's own"),
    (&["drop", "domain"], "TiDB has no domains"),
    (
        &["prepare", "transaction"],
        "TiDB has no transactions in two phases by hand",
    ),
    (
        &["commit", "prepared"],
        "TiDB has no transactions in two phases by hand",
    ),
    (
        &["rollback", "prepared"],
        "TiDB has no transactions in two phases by hand",
    ),
    (&["listen"], "PostgreSQL's own"),
    (&["unlisten"], "PostgreSQL's own"),
    (&["notify"], "PostgreSQL's own"),
    (&["vacuum"], "TiDB collects garbage by itself"),
    (&["cluster"], "PostgreSQL's own"),
    (&["reindex"], "PostgreSQL's own"),
    (&["checkpoint"], "PostgreSQL's own"),
    (&["do"], "a block of PL/pgSQL"),
    (&["merge"], "TiDB has no MERGE"),
    (&["copy"], "use `load`"),
    (
        &["lock"],
        "LOCK TABLES of TiDB locks nothing unless enable-table-lock is on",
    ),
    (&["declare"], "TiDB has no cursors"),
    (&["fetch"], "TiDB has no cursors"),
    (&["close"], "TiDB has no cursors"),
    (&["discard"], "PostgreSQL's own"),
    (&["comment"], "PostgreSQL's own"),
];

/// What has to be known of other statements of a file.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    /// Columns that have an index of their own statement, each behind its table.
    indexed: Vec<(String, String)>,
    /// Columns whose names are keywords here.
    reserved: Vec<String>,
}

impl Schema {
    /// Takes note of a statement.
    pub(crate) fn note(&mut self, sql: &str) {
        let editor = Editor::new(sql);
        self.indexed.extend(index_of(&editor));
        self.reserved.extend(reserved_columns(&editor));
    }
}

/// A statement of PostgreSQL's in TiDB's words.
pub(crate) fn postgres(sql: &str, schema: &Schema) -> Translated {
    let editor = Editor::new(sql);
    if let Some((_, why)) = NOT_ON_TIDB.iter().find(|(words, _)| editor.has(0, words)) {
        return Translated::not_taken(sql, why);
    }
    if let Some(done) = transaction(&editor, sql).or_else(|| settings(&editor, sql)) {
        return done;
    }
    general(editor, sql, schema)
}

/// Statements that begin and end transactions.
fn transaction(editor: &Editor, sql: &str) -> Option<Translated> {
    let done = |text: &str| Translated::same(text);
    if editor.has(0, &["begin"]) || editor.has(0, &["start", "transaction"]) {
        let mut begun = done("begin");
        modes(editor, &mut begun);
        return Some(begun);
    }
    if editor.has(0, &["set", "transaction"]) || editor.has(0, &["set", "session", "characteristics"]) {
        let mut set = Translated::default();
        modes(editor, &mut set);
        if set.level.is_none() && set.notes.is_empty() {
            return Some(Translated::not_taken(sql, "PostgreSQL's own"));
        }
        return Some(set);
    }
    if editor.has(0, &["commit"]) || editor.has(0, &["end"]) {
        return Some(done("commit"));
    }
    if editor.has(0, &["rollback", "to"]) || editor.has(0, &["savepoint"]) || editor.has(0, &["release"]) {
        return None;
    }
    (editor.has(0, &["abort"]) || editor.has(0, &["rollback"])).then(|| done("rollback"))
}

/// What follows BEGIN or SET TRANSACTION.
fn modes(editor: &Editor, found: &mut Translated) {
    for number in 0..editor.len() {
        if editor.has(number, &["isolation", "level"]) {
            let two = format!("{} {}", editor.text(number + 2), editor.text(number + 3));
            found.level = Level::of_words(&two).or_else(|| Level::of_words(editor.text(number + 2)));
            found
                .notes
                .extend(found.level.and_then(Level::note).map(str::to_owned));
        } else if editor.has(number, &["read", "only"]) {
            found.notes.push("READ ONLY is left out".to_owned());
        } else if editor.has(number, &["deferrable"]) {
            let not = number > 0 && editor.has(number - 1, &["not"]);
            if !not {
                found
                    .notes
                    .push("DEFERRABLE is PostgreSQL's own: left out".to_owned());
            }
        }
    }
}

/// Settings of the session.
fn settings(editor: &Editor, sql: &str) -> Option<Translated> {
    if editor.has(0, &["reset"]) {
        return Some(Translated::not_taken(sql, "a setting of PostgreSQL's"));
    }
    if !editor.has(0, &["set"]) {
        return None;
    }
    let local = editor.has(1, &["local"]) || editor.has(1, &["session"]);
    let name = editor.text(1 + usize::from(local)).to_ascii_lowercase();
    let value = editor.text(3 + usize::from(local)).trim_matches('\'').to_owned();
    if name == "default_transaction_isolation" {
        let level = Level::of_words(&value);
        let notes = level
            .and_then(Level::note)
            .map(str::to_owned)
            .into_iter()
            .collect();
        return Some(Translated {
            text: None,
            notes,
            level,
        });
    }
    let setting = match (name.as_str(), milliseconds(&value)) {
        // TiDB counts in whole seconds, from 1 on.
        ("lock_timeout", Some(ms)) if ms > 0 => {
            format!("set innodb_lock_wait_timeout = {}", ms.div_ceil(1000))
        }
        ("statement_timeout", Some(ms)) => format!("set max_execution_time = {ms}"),
        ("deadlock_timeout", _) => {
            return Some(Translated::not_taken(sql, "TiDB looks for deadlocks at once"));
        }
        _ => return Some(Translated::not_taken(sql, "a setting of PostgreSQL's")),
    };
    let mut translated = Translated::same(&setting);
    let whole = milliseconds(&value).is_some_and(|ms| ms % 1000 == 0);
    if name == "lock_timeout" && !whole {
        translated
            .notes
            .push(format!("lock_timeout = {value}: TiDB counts in whole seconds"));
    } else if name == "statement_timeout" {
        translated
            .notes
            .push("statement_timeout: max_execution_time ends queries only".to_owned());
    }
    Some(translated)
}

/// `5s`, `100ms`, or milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    match text[digits..].trim() {
        "" | "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "min" => number.checked_mul(60_000),
        _ => None,
    }
}

/// Names that only PostgreSQL has.
const OWN_NAMES: &[&str] = &[
    "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "unnest", "array",
];

/// Functions that have another name on TiDB.
const FUNCTIONS: &[(&str, &str)] = &[("random", "rand"), ("pg_sleep", "sleep")];

fn general(mut editor: Editor, sql: &str, schema: &Schema) -> Translated {
    let mut notes = Vec::new();
    texts(&mut editor);
    quote_names(&mut editor, &schema.reserved);
    if editor.has(0, &["create"]) {
        if let Some(why) = create_table(&mut editor, &schema.indexed, &mut notes) {
            return Translated::not_taken(sql, why);
        }
        create_index(&mut editor, &mut notes);
    }
    if editor.has(0, &["analyze"]) && editor.len() >= 2 && !editor.has(1, &["table"]) {
        editor.set(0, "analyze table");
    }
    casts(&mut editor, &mut notes);
    conflict::on_conflict(&mut editor, &mut notes);
    returning(&mut editor, &mut notes);
    for_update(&mut editor, &mut notes);
    series(&mut editor, &mut notes);
    concat(&mut editor, &mut notes);
    joined_tables(&editor, &mut notes);
    for number in 0..editor.len() {
        let word = editor.text(number).to_ascii_lowercase();
        let call = editor.has(number + 1, &["("]);
        if let Some((_, name)) = FUNCTIONS.iter().find(|(name, _)| call && *name == word) {
            editor.set(number, *name);
        }
        let own = OWN_NAMES.contains(&word.as_str()) || word.starts_with("pg_") && word != "pg_sleep";
        if own && editor.get(number).is_some_and(|token| token.kind == Kind::Word) {
            notes.push(match word.strip_prefix("pg_advisory_") {
                Some(_) => format!("{word} is PostgreSQL's own: the nearest are get_lock and release_lock"),
                None => format!("{word} is PostgreSQL's own"),
            });
        }
    }
    notes.dedup();
    Translated {
        text: Some(editor.finish()),
        notes,
        level: None,
    }
}

/// Texts and names in MySQL's quotes.
fn texts(editor: &mut Editor) {
    for number in editor.of_kind(Kind::Text) {
        let text = editor.text(number).to_owned();
        let plain = match text.strip_prefix(['E', 'e']) {
            Some(escaped) => escaped.to_owned(),
            // A backslash is a character like others there, and begins an escape here.
            None => text.replace('\\', "\\\\"),
        };
        editor.set(number, plain);
    }
    for number in editor.of_kind(Kind::Quoted) {
        let text = editor.text(number).to_owned();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let name = inner.unwrap_or_default().replace("\"\"", "\"").replace('`', "``");
        editor.set(number, format!("`{name}`"));
    }
}

/// Statements over several tables that are written in another way here.
fn joined_tables(editor: &Editor, notes: &mut Vec<String>) {
    if editor.has(0, &["update"])
        && let Some(set) = editor.find(1, &["set"])
        && editor.find(set, &["from"]).is_some()
    {
        notes.push("UPDATE … SET … FROM is PostgreSQL's: here UPDATE t JOIN u SET …".to_owned());
    }
    if editor.has(0, &["delete", "from"]) && editor.find(2, &["using"]).is_some() {
        notes.push("DELETE … USING is written otherwise here: DELETE t FROM t JOIN u".to_owned());
    }
    if editor.has(0, &["with"]) {
        let writes = (1..editor.len()).filter(|number| {
            editor.text(*number) == "("
                && (editor.has(number + 1, &["update"])
                    || editor.has(number + 1, &["insert"])
                    || editor.has(number + 1, &["delete"]))
        });
        if writes.count() > 0 {
            notes.push("a WITH that writes is PostgreSQL's own".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(sql: &str) -> Translated {
        postgres(sql, &Schema::default())
    }

    fn text(sql: &str) -> String {
        translated(sql).text.unwrap_or_default()
    }

    #[test]
    fn transactions_lose_their_modes_and_keep_their_level() {
        let begun = translated("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
        assert_eq!(
            (begun.text.as_deref(), begun.level),
            (Some("begin"), Some(Level::Serializable))
        );
        assert_eq!(begun.notes.len(), 3);
        assert_eq!(
            translated("START TRANSACTION ISOLATION LEVEL READ COMMITTED").level,
            Some(Level::ReadCommitted)
        );
        for (sql, wanted) in [
            ("BEGIN", "begin"),
            ("begin work", "begin"),
            ("COMMIT WORK", "commit"),
            ("END", "commit"),
            ("ABORT", "rollback"),
            ("rollback to savepoint a", "rollback to savepoint a"),
            ("ROLLBACK TO f", "ROLLBACK TO f"),
        ] {
            assert_eq!(text(sql), wanted);
        }
    }

    #[test]
    fn quotes_are_those_of_mysql() {
        assert_eq!(
            text(r#"select 'a\b', E'a\'b', "C d" from t"#),
            r"select 'a\\b', 'a\'b', `C d` from t"
        );
    }

    #[test]
    fn settings_and_what_only_postgres_has() {
        assert_eq!(
            text("SET lock_timeout = '500ms'"),
            "set innodb_lock_wait_timeout = 1"
        );
        assert_eq!(
            text("SET LOCAL lock_timeout = '5s'"),
            "set innodb_lock_wait_timeout = 5"
        );
        assert!(translated("SET deadlock_timeout = '10ms'").text.is_none());
        assert!(
            translated("create function f() returns int language sql as $$ select 1; $$")
                .text
                .is_none()
        );
        assert_eq!(
            text("select * from q order by id for update skip locked limit 1"),
            "select * from q order by id limit 1 for update skip locked"
        );
        assert_eq!(
            text("select * from (select * from q for update limit 1) x"),
            "select * from (select * from q for update limit 1) x"
        );
        assert_eq!(text("select 'a' || b from t"), "select concat('a', b) from t");
        assert_eq!(text("select pg_sleep(1), random()"), "select sleep(1), rand()");
    }

    #[test]
    fn statements_are_split_outside_of_quotes_and_dollars() {
        let texts = |text| {
            split_postgres(text)
                .into_iter()
                .map(|(sql, _)| sql)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            texts(r"select '\'; select $$;$$ -- a;"),
            [r"select '\'", "select $$;$$"]
        );
        assert!(texts(" -- nothing\n ; /* here */").is_empty());
    }
}
