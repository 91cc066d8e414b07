//! What a session has prepared by PREPARE, as far as its own statements tell.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::lexer::{TokenKind, unquote};
use super::set::user_texts;

/// The texts that EXECUTE would run.
#[derive(Debug, Clone, Default)]
pub struct Prepared {
    /// User variables with their texts, where a SET gave them one.
    variables: BTreeMap<String, Option<String>>,
    statements: BTreeMap<String, Option<String>>,
    /// The name of the one that was prepared last.
    last: Option<String>,
}

impl Prepared {
    /// Takes note of a statement that succeeded.
    pub fn note(&mut self, sql: &str) {
        if !may_prepare(sql) {
            return;
        }
        let cursor = Cursor::new(sql);
        let verb = cursor.verb().unwrap_or_default().to_ascii_lowercase();
        match verb.as_str() {
            "set" => self.variables.extend(user_texts(&cursor)),
            "prepare" => {
                if let Some(name) = cursor.tokens.get(1).and_then(super::lexer::Token::name) {
                    let text = match source(&cursor) {
                        Some(Source::Text(text)) => Some(text),
                        Some(Source::Variable(name)) => self.variables.get(&name).cloned().flatten(),
                        None => None,
                    };
                    self.statements.insert(name.to_lowercase(), text);
                    self.last = Some(name.to_lowercase());
                }
            }
            // `SELECT … INTO @a` and `@a := …` give variables values that only the server knows.
            _ => {
                let gives = cursor.has_word("into") || cursor.tokens.iter().any(|token| token.is_symbol(':'));
                let named = cursor
                    .tokens
                    .windows(2)
                    .filter(|pair| gives && pair[0].is_symbol('@'));
                let names = named.filter_map(|pair| pair[1].name());
                self.variables
                    .extend(names.map(|name| (name.to_lowercase(), None)));
            }
        }
    }

    /// The text that was prepared last, if it can be told.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.statements.get(self.last.as_ref()?)?.as_deref()
    }

    /// The text that EXECUTE runs, if this is one and it can be told.
    #[must_use]
    pub fn executed(&self, sql: &str) -> Option<&str> {
        if self.statements.is_empty() {
            return None;
        }
        let cursor = Cursor::new(sql);
        if !cursor.word(0, "execute") {
            return None;
        }
        let name = cursor.tokens.get(1)?.name()?;
        self.statements.get(&name.to_lowercase())?.as_deref()
    }
}

/// Whether a text may prepare a statement or give a user variable a value: only then is it read by its words.
fn may_prepare(sql: &str) -> bool {
    const WORD: &[u8] = b"prepare";
    let mut windows = sql.as_bytes().windows(WORD.len());
    sql.contains('@') || windows.any(|window| window.eq_ignore_ascii_case(WORD))
}

/// What a PREPARE takes its statement from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This text.
    Text(String),
    /// What this user variable holds; its name is in lower case.
    Variable(String),
}

/// What `PREPARE … FROM …` and `EXECUTE IMMEDIATE …` run.
pub(super) fn source(cursor: &Cursor<'_>) -> Option<Source> {
    let from = match cursor.verb()? {
        verb if verb.eq_ignore_ascii_case("prepare") && cursor.word(2, "from") => 3,
        verb if verb.eq_ignore_ascii_case("execute") && cursor.word(1, "immediate") => 2,
        _ => return None,
    };
    let first = cursor.tokens.get(from)?;
    if first.kind == TokenKind::Text && cursor.tokens.len() == from + 1 {
        return Some(Source::Text(unquote(first.text)));
    }
    let name = cursor.tokens.get(from + 1)?.name()?;
    first
        .is_symbol('@')
        .then(|| Source::Variable(name.to_lowercase()))
}
