//! Names that are keywords on TiDB and none in PostgreSQL.

use super::tokens::{Editor, Kind};

/// Keywords of MySQL's that people call columns.
const KEYWORDS: &[&str] = &[
    "key",
    "keys",
    "index",
    "rank",
    "range",
    "condition",
    "read",
    "write",
    "groups",
    "system",
    "lead",
    "lag",
    "interval",
    "row",
    "rows",
    "change",
    "option",
    "release",
    "function",
    "lock",
    "loop",
    "repeat",
];

/// The columns of CREATE TABLE whose names are keywords.
pub(super) fn reserved_columns(editor: &Editor) -> Vec<String> {
    let table = (1..4).find(|number| editor.has(*number, &["table"]));
    let open = table.and_then(|table| (table..editor.len()).find(|at| editor.has(*at, &["("])));
    let (true, Some(open)) = (editor.has(0, &["create"]), open) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for number in open..editor.len() {
        let text = editor.text(number);
        let begins = text == "(" && depth == 0 || text == "," && depth == 1;
        match text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        let name = editor.text(number + 1).to_ascii_lowercase();
        // `key (a)` is a key, `key int` is a column.
        if begins && KEYWORDS.contains(&name.as_str()) && !editor.has(number + 2, &["("]) {
            found.push(name);
        }
    }
    found
}

/// Quotes these names wherever they are no keywords.
pub(super) fn quote_names(editor: &mut Editor, names: &[String]) {
    for number in 0..editor.len() {
        let text = editor.text(number).to_owned();
        let (table, column) = match text.rsplit_once('.') {
            Some((table, column)) => (Some(table), column),
            None => (None, text.as_str()),
        };
        let is_word = editor.get(number).is_some_and(|token| token.kind == Kind::Word);
        let named = names.iter().any(|name| name.eq_ignore_ascii_case(column));
        let before = number
            .checked_sub(1)
            .map(|before| editor.text(before).to_ascii_lowercase());
        let keyword = table.is_none()
            && before.is_some_and(|before| {
                ["primary", "foreign", "unique", "duplicate", "no", "for", "create"]
                    .contains(&before.as_str())
            });
        if is_word && named && !keyword {
            let quoted = match table {
                Some(table) => format!("{table}.`{column}`"),
                None => format!("`{column}`"),
            };
            editor.set(number, quoted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_are_keywords_are_quoted_everywhere() {
        let names = reserved_columns(&Editor::new(
            "create table t (key int primary key, val text, rank int)",
        ));
        assert_eq!(names, ["key", "rank"]);
        for (sql, wanted) in [
            (
                "create table t (key int primary key, val text)",
                "create table t (`key` int primary key, val text)",
            ),
            (
                "update t set val = 1 where t.key = 2 and Key < 3",
                "update t set val = 1 where t.`key` = 2 and `Key` < 3",
            ),
            (
                "select 1 from t for no key update",
                "select 1 from t for no key update",
            ),
        ] {
            let mut editor = Editor::new(sql);
            quote_names(&mut editor, &names);
            assert_eq!(editor.finish(), wanted);
        }
        assert!(reserved_columns(&Editor::new("create table t (a int, key (a))")).is_empty());
    }
}
