//! Values as a person writes them in YAML: plain where that is safe, quoted or as a block where it is not.

use super::draft::Value;

/// Lines are kept to about this many characters.
pub(super) const WIDTH: usize = 110;

/// Where a scalar stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a key or a dash.
    Block,
    /// In `[…]` or `{…}`.
    Flow,
}

/// A text on one line behind a key or a dash.
pub(super) fn line(text: &str) -> String {
    scalar(text, Place::Block)
}

/// A key of a mapping.
pub(super) fn key(text: &str) -> String {
    // An error's number stands as it is.
    let number = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if number {
        text.to_owned()
    } else {
        scalar(text, Place::Flow)
    }
}

/// A value on one line: `[[1, 70], [2, null]]`.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::Text(text) => scalar(text, Place::Flow),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(name, value)| format!("{}: {}", key(name), flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The lines of `key: value`, without the indentation that all of them have.
pub(super) fn entry(name: &str, value: &Value, indent: usize) -> Vec<String> {
    let name = key(name);
    let short = match value {
        // Behind a key, commas and brackets are no trouble.
        Value::Text(text) => format!("{name}: {}", line(text)),
        _ => format!("{name}: {}", flow(value)),
    };
    if indent + short.chars().count() <= WIDTH {
        return vec![short];
    }
    let mut lines = vec![format!("{name}:")];
    match value {
        Value::List(items) if !items.is_empty() => {
            lines.extend(items.iter().map(|item| format!("  - {}", flow(item))));
        }
        Value::Map(entries) if !entries.is_empty() => {
            for (name, value) in entries {
                lines.extend(
                    entry(name, value, indent + 2)
                        .into_iter()
                        .map(|line| format!("  {line}")),
                );
            }
        }
        _ => return vec![short],
    }
    lines
}

fn scalar(text: &str, place: Place) -> String {
    if is_plain(text, place) {
        text.to_owned()
    } else if text
        .chars()
        .any(|c| c.is_control() || c == '\u{feff}' || c == '\u{2028}' || c == '\u{2029}')
    {
        double_quoted(text)
    } else if text.contains(['"', '\\']) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        format!("\"{text}\"")
    }
}

/// A text that YAML reads as it stands, and as text.
fn is_plain(text: &str, place: Place) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    // Digits and signs may make a number, and `~`, `!`, `&` and the like mean something to YAML.
    let begins = first.is_alphabetic() || first == '_' || first == '(' || first == '/' || first == '$';
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{a0}')
            || place == Place::Flow && matches!(c, ',' | '[' | ']' | '{' | '}' | '"' | '\'')
    };
    // `$$` and `${` are the language's own: quoted, nobody stumbles over their brackets.
    begins
        && !word
        && !text.chars().any(bad)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !(place == Place::Flow && text.contains(':'))
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a text can stand in a block after `|` as it is.
pub(super) fn fits_block(text: &str) -> bool {
    let printable = |c: char| c == '\n' || c == '\t' || !(c.is_control() || c == '\u{feff}');
    let special = |c: char| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    !text.starts_with([' ', '\t', '\n'])
        && text.chars().all(|c| printable(c) && !special(c))
        && text.lines().all(|line| !line.starts_with('\t'))
        && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{NodeKind, SourceFile, parse};
    use proptest::prelude::*;

    fn text_of(yaml: &str) -> Option<String> {
        let parsed = parse(&SourceFile::new("t.yaml", yaml));
        assert!(parsed.problems.is_empty(), "{yaml}\n{:?}", parsed.problems);
        match parsed.root?.kind {
            NodeKind::Map(mut entries) => match entries.pop()?.value.kind {
                NodeKind::Str(text) => Some(text),
                NodeKind::Seq(mut items) => match items.pop()?.kind {
                    NodeKind::Str(text) => Some(text),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    #[test]
    fn statements_are_plain_where_that_is_safe() {
        for (text, wanted) in [
            ("select 1", "select 1"),
            ("select * from t where a = 'x'", "select * from t where a = 'x'"),
            ("select 'a: b'", "\"select 'a: b'\""),
            ("select 'a # b'", "\"select 'a # b'\""),
            ("select \"a: b\"", "'select \"a: b\"'"),
            ("@x", "\"@x\""),
            ("12", "\"12\""),
            ("null", "\"null\""),
            ("", "\"\""),
        ] {
            assert_eq!(line(text), wanted);
        }
        assert_eq!(flow(&Value::text("a, b")), "\"a, b\"");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in "\\PC{0,12}|[-a: #'\"\\\\\\[\\]{},&*!|>%@`\n\t~?0x$.]{0,12}|null|true|1e3|0x1f") {
            prop_assert_eq!(text_of(&format!("k: {}", line(&text))), Some(text.clone()));
            let list = flow(&Value::List(vec![Value::text(text.clone())]));
            prop_assert_eq!(text_of(&format!("k: {list}")), Some(text));
        }
    }
}
