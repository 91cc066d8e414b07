//! Words of the standard, of PostgreSQL and of SQLite that tests for many databases use.

use super::concat::{begin_of_operand, concat};
use super::table::create_table;
use super::tokens::{Editor, Kind};
use super::{Level, Translated};

/// A statement of a test that is written for many databases, in TiDB's words where it has others.
pub(crate) fn portable(sql: &str) -> Translated {
    let mut editor = Editor::new(sql);
    let begins = editor.has(0, &["begin"]) || editor.has(0, &["start", "transaction"]);
    if begins && let Some(at) = editor.find(0, &["isolation", "level"]) {
        let level = level(&editor, at + 2);
        return Translated {
            notes: level
                .and_then(Level::note)
                .map(str::to_owned)
                .into_iter()
                .collect(),
            level,
            ..Translated::same("begin")
        };
    }
    let words: Vec<String> = (0..editor.len())
        .map(|at| editor.text(at).to_ascii_lowercase())
        .collect();
    match words.join(" ").as_str() {
        "begin transaction" | "begin tran" | "begin work" => return Translated::same("begin"),
        "abort" | "rollback transaction" => return Translated::same("rollback"),
        "end" | "commit transaction" => return Translated::same("commit"),
        _ => {}
    }
    // SET [SESSION] TRANSACTION ISOLATION LEVEL … is what the connection says.
    let session = usize::from(editor.has(1, &["session"]));
    if editor.has(0, &["set"]) && editor.has(1 + session, &["transaction", "isolation", "level"]) {
        let level = level(&editor, 4 + session);
        if level.is_some() {
            return Translated {
                text: None,
                notes: level
                    .and_then(Level::note)
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                level,
            };
        }
    }
    let mut notes = Vec::new();
    if editor.has(0, &["create"])
        && let Some(why) = create_table(&mut editor, &[], &mut notes)
    {
        return Translated::not_taken(sql, why);
    }
    casts(&mut editor, &mut notes);
    returning(&mut editor, &mut notes);
    series(&mut editor, &mut notes);
    concat(&mut editor, &mut notes);
    Translated {
        text: Some(editor.finish()),
        notes,
        level: None,
    }
}

fn level(editor: &Editor, at: usize) -> Option<Level> {
    let two = format!("{} {}", editor.text(at), editor.text(at + 1));
    Level::of_words(&two).or_else(|| Level::of_words(editor.text(at)))
}

/// The types of casts, and what they are called in `cast(… as …)`.
const CASTS: &[(&str, &str)] = &[
    ("text", "char"),
    ("varchar", "char"),
    ("char", "char"),
    ("int", "signed"),
    ("integer", "signed"),
    ("int4", "signed"),
    ("int8", "signed"),
    ("bigint", "signed"),
    ("smallint", "signed"),
    ("numeric", "decimal(38, 10)"),
    ("decimal", "decimal(38, 10)"),
    ("date", "date"),
    ("json", "json"),
    ("jsonb", "json"),
];

/// `'a'::text` is `'a'`, and `b::text` is `cast(b as char)`. What PostgreSQL's own types mean is not known here.
pub(super) fn casts(editor: &mut Editor, notes: &mut Vec<String>) {
    for number in 1..editor.len() {
        if !editor.has(number, &["::"]) {
            continue;
        }
        let word = editor.text(number + 1).to_ascii_lowercase();
        let known = CASTS.iter().find(|(theirs, _)| *theirs == word);
        let sized = editor.has(number + 2, &["("]) || editor.has(number + 2, &["["]);
        let start = begin_of_operand(editor, number - 1);
        let (Some((_, ours)), Some(start), false) = (known, start, sized) else {
            let before = editor.text(number - 1);
            notes.push(format!("the cast {before}::{word} is PostgreSQL's own"));
            continue;
        };
        let operand = editor.slice(start, number);
        let literal = operand.starts_with('\'') || operand.starts_with(|c: char| c.is_ascii_digit());
        let cast = if literal && word != "date" {
            operand
        } else {
            format!("cast({operand} as {ours})")
        };
        editor.remove(start + 1, number + 2);
        editor.set(start, cast);
    }
}

/// RETURNING goes: TiDB has none.
pub(super) fn returning(editor: &mut Editor, notes: &mut Vec<String>) {
    let writes = ["insert", "update", "delete", "replace"]
        .iter()
        .any(|verb| editor.has(0, &[verb]));
    if writes && let Some(at) = editor.find(1, &["returning"]) {
        let clause = editor.slice(at, editor.len());
        notes.push(format!(
            "TiDB has no RETURNING: `{clause}` is left out, and its rows are not compared"
        ));
        editor.remove(at, editor.len());
    }
}

/// The kinds of row locks that only PostgreSQL has.
pub(super) fn for_update(editor: &mut Editor, notes: &mut Vec<String>) {
    for number in 0..editor.len() {
        if editor.has(number, &["for", "no", "key", "update"]) {
            editor.remove(number + 1, number + 3);
            notes.push("FOR NO KEY UPDATE is PostgreSQL's: FOR UPDATE is the nearest".to_owned());
        } else if editor.has(number, &["for", "key", "share"]) {
            editor.remove(number + 1, number + 2);
            notes.push(
                "FOR KEY SHARE is PostgreSQL's; TiDB has FOR SHARE only where it is told to".to_owned(),
            );
        } else if editor.has(number, &["for", "share"]) {
            notes.push("TiDB has FOR SHARE only where it is told to (1235 otherwise)".to_owned());
        }
    }
    limit_before_lock(editor);
}

/// `FOR UPDATE … LIMIT 1` at the end of a statement: here LIMIT comes first.
fn limit_before_lock(editor: &mut Editor) {
    let Some(lock) = editor.find(1, &["for"]) else {
        return;
    };
    let Some(limit) = editor.find(lock, &["limit"]) else {
        return;
    };
    let clause = editor.slice(limit, editor.len());
    // A bracket: it is the end of a subquery.
    if !clause.contains([')', ';']) {
        editor.remove(limit, editor.len());
        editor.set(lock, format!("{clause} for"));
    }
}

/// `generate_series(1, 10) AS x`, with whole numbers and a name, as a table.
pub(super) fn series(editor: &mut Editor, notes: &mut Vec<String>) {
    for number in 0..editor.len() {
        if !editor.has(number, &["generate_series", "("]) {
            continue;
        }
        let bound = |at: usize| editor.text(at).parse::<i64>().ok();
        let bounds = bound(number + 2).zip(bound(number + 4));
        let whole = editor.has(number + 3, &[","]) && editor.has(number + 5, &[")"]);
        let named = number + 6 + usize::from(editor.has(number + 6, &["as"]));
        let name = editor.get(named).filter(|token| token.kind == Kind::Word);
        let word = name.map(|token| token.text.to_ascii_lowercase());
        let keyword = word.as_deref().is_none_or(|word| {
            ["where", "order", "limit", "on", "join", "cross", "group", "union"].contains(&word)
        });
        let from = number > 0 && (editor.has(number - 1, &["from"]) || editor.has(number - 1, &[","]));
        let (Some((low, high)), true, false, true) = (bounds, whole, keyword, from) else {
            notes.push("generate_series is PostgreSQL's own: here WITH RECURSIVE counts".to_owned());
            continue;
        };
        let name = editor.text(named).to_owned();
        // `g(i)` names the column, too.
        let column = if editor.has(named + 1, &["("]) && editor.has(named + 3, &[")"]) {
            editor.text(named + 2).to_owned()
        } else {
            name.clone()
        };
        let end = if column == name { named + 1 } else { named + 4 };
        let table = format!(
            "(with recursive series (n) as (select {low} union all select n + 1 from series where n < {high}) \
             select n as {column} from series) {name}"
        );
        if high.saturating_sub(low) >= 1000 {
            notes.push("more than 1,000 rounds need cte_max_recursion_depth".to_owned());
        }
        editor.remove(number + 1, end);
        editor.set(number, table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str) -> String {
        portable(sql).text.unwrap_or_default()
    }

    #[test]
    fn words_for_transactions() {
        assert_eq!(text("BEGIN TRANSACTION"), "begin");
        assert_eq!(text("abort"), "rollback");
        let set = portable("set session transaction isolation level read committed");
        assert_eq!((set.text, set.level), (None, Some(Level::ReadCommitted)));
        assert_eq!(
            portable("set transaction isolation level read uncommitted")
                .notes
                .len(),
            1
        );
        assert_eq!(
            portable("begin isolation level snapshot").level,
            Some(Level::RepeatableRead)
        );
    }

    #[test]
    fn casts_of_literals_series_and_returning() {
        assert_eq!(text("select '1'::int, 2 :: text"), "select '1', 2");
        assert_eq!(
            text("select g.i::text, f(a) :: int from t"),
            "select cast(g.i as char), cast(f(a) as signed) from t"
        );
        assert_eq!(portable("select a::regclass").notes.len(), 1);
        assert_eq!(
            text("update t set a = 1 where b = 2 returning a, b"),
            "update t set a = 1 where b = 2"
        );
        let found = text("insert into t select g from generate_series(1, 3) AS g where g > 1");
        assert!(
            found.contains("select n as g from series) g where g > 1"),
            "{found}"
        );
        let found = text("select i from generate_series(1, 3) s(i)");
        assert!(found.ends_with("select n as i from series) s"), "{found}");
        assert_eq!(portable("select generate_series(1, 3)").notes.len(), 1);
    }
}
