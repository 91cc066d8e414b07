//! MySQL's statements: TiDB takes most of them as they stand.

use super::Level;
use super::tokens::Editor;

/// Statements by their first words that TiDB does not have, or that do nothing on it.
const NOT_ON_TIDB: &[(&[&str], &str)] = &[
    (&["create", "procedure"], "TiDB has no stored procedures"),
    (&["create", "function"], "TiDB has no stored functions"),
    (&["create", "trigger"], "TiDB has no triggers"),
    (&["create", "event"], "TiDB has no events"),
    (&["call"], "TiDB has no stored procedures"),
    (&["xa"], "TiDB has no XA transactions"),
    (&["handler"], "TiDB has no HANDLER"),
    (
        &["lock", "tables"],
        "LOCK TABLES locks nothing unless enable-table-lock is on",
    ),
    (
        &["lock", "table"],
        "LOCK TABLES locks nothing unless enable-table-lock is on",
    ),
    (
        &["flush", "tables", "with", "read", "lock"],
        "TiDB does not lock tables",
    ),
];

/// What to know of a statement on TiDB.
pub(crate) fn notes_on_mysql(sql: &str) -> Vec<String> {
    let editor = Editor::new(sql);
    let mut notes: Vec<String> = Vec::new();
    if let Some((_, why)) = NOT_ON_TIDB.iter().find(|(words, _)| editor.has(0, words)) {
        notes.push((*why).to_owned());
    }
    if editor.has(0, &["load", "stats"]) || editor.has(0, &["load", "data", "local"]) {
        notes.push("it reads a file that the tool sends; the rows of a file here come by `load`".to_owned());
    }
    for number in 0..editor.len() {
        if editor.has(number, &["lock", "in", "share", "mode"]) || editor.has(number, &["for", "share"]) {
            notes.push("TiDB has FOR SHARE only where it is told to (1235 otherwise)".to_owned());
        }
        if editor.has(number, &["isolation", "level"]) {
            let two = format!("{} {}", editor.text(number + 2), editor.text(number + 3));
            let level = Level::of_words(&two).or_else(|| Level::of_words(editor.text(number + 2)));
            notes.extend(level.and_then(Level::note).map(|told| format!("{told} (8048)")));
        }
        if editor.text(number).eq_ignore_ascii_case("debug_sync") {
            notes.push("TiDB has no DEBUG_SYNC".to_owned());
        }
    }
    notes.dedup();
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tidb_does_not_have() {
        assert!(notes_on_mysql("select * from t where a = 'for share'").is_empty());
        assert_eq!(notes_on_mysql("select * from t lock in share mode").len(), 1);
        assert_eq!(
            notes_on_mysql("set session transaction isolation level serializable").len(),
            1
        );
        assert!(notes_on_mysql("set session transaction isolation level read committed").is_empty());
        assert_eq!(
            notes_on_mysql("create procedure p() begin select 1; end").len(),
            1
        );
    }
}
