//! The code of a statement, without its comments, as a list to look through.

use super::lexer::{Token, TokenKind, tokens};

/// The code of a statement (comments and hints left out), from its verb on.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    pub(super) tokens: Vec<Token<'a>>,
    /// Whether the verb stands in a comment that some servers execute and others skip: `/*T![feature] … */`.
    pub(super) conditional: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        let (found, _) = tokens(sql);
        Self::of(&found)
    }

    fn of(found: &[Token<'a>]) -> Self {
        let before_verb =
            |token: &&Token<'_>| !token.is_code() || token.is_symbol('(') || token.is_symbol(';');
        let opened = found.iter().take_while(before_verb);
        let conditional = opened
            .filter(|token| matches!(token.kind, TokenKind::ExecutableOpen | TokenKind::ExecutableClose))
            .last()
            .is_some_and(Token::is_conditional);
        let tokens = found.iter().filter(|token| token.is_code()).copied();
        Self {
            tokens: tokens
                .skip_while(|token| token.is_symbol('(') || token.is_symbol(';'))
                .collect(),
            conditional,
        }
    }

    /// The statements of a text: what stands between the `;` outside of quotes and comments.
    pub(super) fn statements(sql: &'a str) -> Vec<Self> {
        let (found, _) = tokens(sql);
        if !found.iter().any(|token| token.is_symbol(';')) {
            return vec![Self::of(&found)];
        }
        super::split::parts(&found)
            .into_iter()
            .map(Self::of)
            .filter(|part| !part.tokens.is_empty())
            .collect()
    }

    /// The same from a place on.
    pub(super) fn from(&self, at: usize) -> Self {
        Self {
            tokens: self.tokens.get(at..).unwrap_or_default().to_vec(),
            conditional: false,
        }
    }

    pub(super) fn verb(&self) -> Option<&'a str> {
        self.tokens
            .first()
            .filter(|token| token.kind == TokenKind::Word)
            .map(|token| token.text)
    }

    pub(super) fn word(&self, index: usize, word: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is_word(word))
    }

    pub(super) fn any_word(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.word(index, word))
    }

    /// Whether this word stands anywhere.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.is_word(word))
    }

    /// Whether these words follow each other somewhere.
    pub(super) fn has_sequence(&self, words: &[&str]) -> bool {
        self.tokens
            .windows(words.len())
            .any(|window| window.iter().zip(words).all(|(token, word)| token.is_word(word)))
    }

    /// Whether the function `name` is called somewhere.
    pub(super) fn calls(&self, name: &str) -> bool {
        let mut pairs = self.tokens.windows(2);
        pairs.any(|pair| pair[0].is_word(name) && pair[1].is_symbol('('))
    }

    /// The same from the first of these words on that stands outside of parentheses.
    pub(super) fn tail_from(&self, words: &[&str]) -> Option<Self> {
        let mut depth = 0_usize;
        let at = self.tokens.iter().position(|token| {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && words.iter().any(|word| token.is_word(word))
        })?;
        Some(self.from(at))
    }

    /// The parts between the commas that stand outside of parentheses.
    pub(super) fn parts(tokens: &[Token<'a>]) -> Vec<Vec<Token<'a>>> {
        let mut depth = 0_usize;
        let parts = tokens.split(|token| {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.is_symbol(',')
        });
        parts.map(<[Token<'a>]>::to_vec).collect()
    }

    /// The name at a place, with what stands before its dot: `` `a`.`b` ``, `a . b`, `b`.
    pub(super) fn qualified_name(&self, at: usize) -> Option<(Option<String>, String)> {
        let first = self.tokens.get(at)?.name()?;
        let second = self
            .tokens
            .get(at + 1)
            .filter(|token| token.is_symbol('.'))
            .and_then(|_| self.tokens.get(at + 2)?.name());
        Some(match second {
            Some(second) => (Some(first), second),
            None => (None, first),
        })
    }
}
