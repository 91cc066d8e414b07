//! The database that mysql-tester makes for each test and names after its file: here a trial's own.

use super::draft::{Action, Draft, OWN, Step, Value};

/// The database of a test in a folder below `t`: `t/ddl/sequence.test` has `ddl__sequence`. A test in `t` itself has a
/// name that may be any word of its SQL.
pub(super) fn own_database(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split(['/', '\\']).collect();
    let (file, folders) = parts.split_last()?;
    let tests = folders.iter().rposition(|folder| *folder == "t")?;
    let below = &folders[tests + 1..];
    let stem = file.rsplit_once('.').map_or(*file, |(stem, _)| stem);
    (!below.is_empty()).then(|| format!("{}__{stem}", below.join("__")))
}

/// Puts `${database}` in the place of this name, in what is sent and in what is expected.
pub(super) fn name_own_database(draft: &mut Draft, name: &str) {
    for statement in &mut draft.setup {
        statement.text = replace_word(&statement.text, name, OWN);
    }
    let states = draft.connections.iter_mut().flat_map(|own| &mut own.states);
    for step in draft.steps.iter_mut().chain(states) {
        in_step(step, name);
    }
}

fn in_step(step: &mut Step, name: &str) {
    if let Action::Sql(statements) = &mut step.action {
        for sql in statements {
            *sql = replace_word(sql, name, OWN);
        }
    }
    for (_, value) in &mut step.expect {
        in_value(value, name);
    }
}

fn in_value(value: &mut Value, name: &str) {
    match value {
        Value::Text(text) => *text = replace_word(text, name, OWN),
        Value::List(values) => values.iter_mut().for_each(|value| in_value(value, name)),
        Value::Map(entries) => entries.iter_mut().for_each(|(_, value)| in_value(value, name)),
        Value::Null | Value::Flag(_) | Value::Number(_) => {}
    }
}

/// Puts a text in the place of a word, where that is not a part of a longer one.
pub(super) fn replace_word(text: &str, word: &str, by: &str) -> String {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        // What begins with a sign, such as `$name`, has an end only.
        let part = word.starts_with(goes_on)
            && before
                .chars()
                .next_back()
                .or(found.chars().next_back())
                .is_some_and(goes_on);
        found.push_str(before);
        found.push_str(if part || after.starts_with(goes_on) {
            word
        } else {
            by
        });
        rest = after;
    }
    found + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_below_a_folder_has_a_database_of_its_own_name() {
        let own = |path| own_database(path);
        assert_eq!(
            own("/tests/t/planner/core/cbo.test").as_deref(),
            Some("planner__core__cbo")
        );
        assert_eq!(own("t/cbo.test"), None);
        assert_eq!(own("ddl/sequence.test"), None);
    }

    #[test]
    fn a_word_is_replaced_as_a_whole() {
        let replaced = |text| replace_word(text, "a__b", OWN);
        assert_eq!(replaced("use a__b"), "use ${database}");
        assert_eq!(
            replaced("`a__b`.t, 'a__b', a__b1, xa__b, a__ba__b"),
            "`${database}`.t, '${database}', a__b1, xa__b, a__ba__b"
        );
        assert_eq!(replace_word("$ab $a", "$a", "1"), "$ab 1");
    }
}
