//! The tables that a statement names.

use std::collections::BTreeSet;

use super::lexer::{TokenKind, tokens, unquote};

/// The tables that a text names, of those that there are: by names as they stand, in quotes, and in texts that may be
/// statements themselves. More than it has to do with, rather than fewer.
#[must_use]
pub fn named_tables<'t>(text: &str, tables: &'t [String]) -> BTreeSet<&'t str> {
    let names = names(text);
    tables
        .iter()
        .map(String::as_str)
        .filter(|name| names.contains(&name.to_lowercase()))
        .collect()
}

/// All that may be a name in a text, in small letters: words, and what stands in quotes.
#[must_use]
pub fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(text, &mut names, 0);
    names
}

/// So deep is looked into texts within texts.
const DEPTH_MAX: usize = 3;

fn collect(text: &str, names: &mut BTreeSet<String>, depth: usize) {
    for token in tokens(text).0 {
        match token.kind {
            TokenKind::Word => drop(names.insert(token.text.to_lowercase())),
            TokenKind::QuotedName => drop(names.insert(unquote(token.text).to_lowercase())),
            // A name under ANSI_QUOTES, or a statement to be prepared.
            TokenKind::Text => {
                let inner = unquote(token.text);
                if depth < DEPTH_MAX {
                    collect(&inner, names, depth + 1);
                }
                names.insert(inner.to_lowercase());
            }
            // A hint names tables.
            TokenKind::Hint if depth < DEPTH_MAX => {
                let inner = token.text.trim_start_matches("/*+").trim_end_matches("*/");
                collect(inner, names, depth + 1);
            }
            TokenKind::Comment
            | TokenKind::Hint
            | TokenKind::ExecutableOpen
            | TokenKind::ExecutableClose
            | TokenKind::Symbol(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_they_are_written() {
        let tables = ["t", "a`b", "Über", "x-y", "odd;name", "two words", "1st", "it's"];
        let tables = tables.map(str::to_owned);
        for (text, want) in [
            ("select * from T", vec!["t"]),
            ("select * from `a``b`", vec!["a`b"]),
            ("select * from ` a``b`", vec![]),
            ("select * from über, `x-y`", vec!["x-y", "Über"]),
            ("select * from db . t x join `db`.`1st`", vec!["1st", "t"]),
            ("select * from 1st", vec!["1st"]),
            ("select * from \"two words\", `it's`", vec!["it's", "two words"]),
            ("prepare s from 'update `a``b` set n = 1'", vec!["a`b"]),
            ("prepare s from 'prepare r from ''table t'''", vec!["t"]),
            (
                "select /*+ use_index(t, i) */ 1 /*! from `odd;name` */",
                vec!["odd;name", "t"],
            ),
            ("select 't' -- t", vec!["t"]),
            ("select tt, t2, `t ` -- t", vec![]),
        ] {
            let found: Vec<&str> = named_tables(text, &tables).into_iter().collect();
            assert_eq!(found, want, "{text}");
        }
    }
}
