//! `INSERT … ON CONFLICT`.

use super::tokens::Editor;

/// In MySQL's words, where it says nothing that MySQL cannot say.
pub(super) fn on_conflict(editor: &mut Editor, notes: &mut Vec<String>) {
    if !editor.has(0, &["insert", "into"]) {
        return;
    }
    let Some(at) = editor.find(2, &["on", "conflict"]) else {
        return;
    };
    // The key: `(a, b)`, or ON CONSTRAINT name.
    let mut action = at + 2;
    if editor.has(action, &["("]) {
        let Some(end) = editor.closing(action) else { return };
        action = end + 1;
    } else if editor.has(action, &["on", "constraint"]) {
        action += 3;
    }
    if editor.has(action, &["do", "nothing"]) {
        notes.push("ON CONFLICT DO NOTHING: INSERT IGNORE also forgives other mistakes".to_owned());
        editor.remove(at, action + 2);
        editor.set(0, "insert ignore");
        return;
    }
    let plain = editor.has(action, &["do", "update", "set"]) && editor.find(action, &["where"]).is_none();
    if !plain {
        notes.push("ON CONFLICT is PostgreSQL's: the nearest is ON DUPLICATE KEY UPDATE".to_owned());
        return;
    }
    for number in action + 3..editor.len() {
        let word = editor.text(number).to_owned();
        let lower = word.to_ascii_lowercase();
        if let Some(column) = lower.strip_prefix("excluded.") {
            let column = &word[word.len() - column.len()..];
            editor.set(number, format!("values({column})"));
        }
    }
    notes.push("ON CONFLICT (key) DO UPDATE: ON DUPLICATE KEY UPDATE looks at every unique key".to_owned());
    editor.remove(at + 1, action + 3);
    editor.set(at, "on duplicate key update");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_words_of_mysql() {
        for (sql, wanted) in [
            (
                "INSERT INTO t(k, v) VALUES (1, 'a') ON CONFLICT (k) DO UPDATE SET v = excluded.v",
                "INSERT INTO t(k, v) VALUES (1, 'a') on duplicate key update v = values(v)",
            ),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
                "insert ignore INTO t VALUES (1)",
            ),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT (k) DO UPDATE SET v = 1 WHERE t.v < 2",
                "INSERT INTO t VALUES (1) ON CONFLICT (k) DO UPDATE SET v = 1 WHERE t.v < 2",
            ),
        ] {
            let mut editor = Editor::new(sql);
            let mut notes = Vec::new();
            on_conflict(&mut editor, &mut notes);
            assert_eq!(editor.finish(), wanted);
            assert_eq!(notes.len(), 1);
        }
    }
}
