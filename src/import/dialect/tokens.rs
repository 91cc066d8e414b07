//! Cuts PostgreSQL's SQL into tokens that put together again give the same text.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, a name without quotes, or a number.
    Word,
    /// `'…'`, also with a letter before it.
    Text,
    /// `"…"`.
    Quoted,
    /// `` `…` ``, which only MySQL has.
    Backquoted,
    /// `$$ … $$`, `$tag$ … $tag$`.
    Dollar,
    /// `-- …`, `/* … */`.
    Comment,
    /// White space.
    Space,
    /// Signs that belong together, such as `::`, or any other character.
    Sign,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
    /// The byte at which it begins.
    pub at: usize,
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    fn is_code(&self) -> bool {
        !matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// All tokens of a text. What is never closed goes on to its end.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = first(rest);
        found.push(Token {
            kind,
            text: rest[..length].to_owned(),
            at,
        });
        at += length;
    }
    found
}

fn first(rest: &str) -> (Kind, usize) {
    let c = rest.chars().next().unwrap_or(' ');
    let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    let escaped = rest.starts_with(['e', 'E']) && rest[1..].starts_with('\'');
    let prefixed = rest.starts_with(['b', 'B', 'x', 'X', 'n', 'N']) && rest[1..].starts_with('\'');
    match c {
        c if c.is_whitespace() => (Kind::Space, run(char::is_whitespace)),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (Kind::Comment, block_comment(rest)),
        '\'' => (Kind::Text, quoted(rest, '\'', false)),
        _ if escaped => (Kind::Text, 1 + quoted(&rest[1..], '\'', true)),
        _ if prefixed => (Kind::Text, 1 + quoted(&rest[1..], '\'', false)),
        '"' => (Kind::Quoted, quoted(rest, '"', false)),
        '`' => (Kind::Backquoted, quoted(rest, '`', false)),
        '$' if dollar(rest).is_some() => (Kind::Dollar, dollar(rest).unwrap_or(1)),
        c if is_word(c) => (Kind::Word, run(is_word)),
        _ => {
            let signs = ["->>", "::", "||", "->", "<=", ">=", "<>", "!=", ":="];
            let sign = signs.iter().find(|sign| rest.starts_with(**sign));
            (Kind::Sign, sign.map_or(c.len_utf8(), |sign| sign.len()))
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

fn quoted(rest: &str, mark: char, backslash: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if backslash && c == '\\' {
            chars.next();
        } else if c == mark {
            match chars.peek() {
                Some((_, next)) if *next == mark => {
                    chars.next();
                }
                _ => return at + c.len_utf8(),
            }
        }
    }
    rest.len()
}

/// Comments of PostgreSQL's may stand in each other.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of a text in dollars.
fn dollar(rest: &str) -> Option<usize> {
    let tag_end = rest[1..].find('$')? + 2;
    let tag = &rest[..tag_end];
    let inner = &tag[1..tag.len() - 1];
    let fits = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !fits {
        return None;
    }
    let end = rest[tag_end..].find(tag)?;
    Some(tag_end + end + tag_end)
}

/// A statement whose tokens can be looked at without white space and comments, and changed.
pub(super) struct Editor {
    tokens: Vec<Token>,
    /// The places of those that are code.
    code: Vec<usize>,
}

impl Editor {
    pub(super) fn new(sql: &str) -> Self {
        let tokens = tokens(sql.trim());
        let places = tokens.iter().enumerate();
        let code = places
            .filter(|(_, token)| token.is_code())
            .map(|(at, _)| at)
            .collect();
        Self { tokens, code }
    }

    /// How many tokens of code there are.
    pub(super) fn len(&self) -> usize {
        self.code.len()
    }

    /// The token of code with this number; those that were taken away are empty signs.
    pub(super) fn get(&self, number: usize) -> Option<&Token> {
        self.code.get(number).and_then(|at| self.tokens.get(*at))
    }

    /// Its text, empty past the end.
    pub(super) fn text(&self, number: usize) -> &str {
        self.get(number).map_or("", |token| token.text.as_str())
    }

    /// Whether these words, or signs, stand there from this number on.
    pub(super) fn has(&self, number: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| {
            self.get(number + offset)
                .is_some_and(|token| token.is(word) || token.is_sign(word))
        })
    }

    /// The first number from `from` on at which these words stand outside of brackets.
    pub(super) fn find(&self, from: usize, words: &[&str]) -> Option<usize> {
        let mut depth = 0_usize;
        for number in from..self.len() {
            if depth == 0 && self.has(number, words) {
                return Some(number);
            }
            match self.text(number) {
                "(" => depth += 1,
                ")" if depth == 0 => return None,
                ")" => depth -= 1,
                _ => {}
            }
        }
        None
    }

    /// The number of the bracket that closes the one with this number.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for number in open..self.len() {
            match self.text(number) {
                "(" => depth += 1,
                ")" => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(number);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Puts a text in the place of a token.
    pub(super) fn set(&mut self, number: usize, text: impl Into<String>) {
        if let Some(token) = self.code.get(number).and_then(|at| self.tokens.get_mut(*at)) {
            token.text = text.into();
            token.kind = if token.text.is_empty() {
                Kind::Sign
            } else {
                Kind::Word
            };
        }
    }

    /// Takes away the tokens from one number up to another, and the white space before them.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        let (Some(first), Some(last)) = (self.code.get(from), self.code.get(to.max(1) - 1)) else {
            return;
        };
        let (mut first, last) = (*first, *last);
        if from > 0
            && self
                .tokens
                .get(first - 1)
                .is_some_and(|token| token.kind == Kind::Space)
        {
            first -= 1;
        }
        for token in self.tokens.iter_mut().take(last + 1).skip(first) {
            token.text.clear();
            token.kind = Kind::Sign;
        }
    }

    /// Tokens of this kind.
    pub(super) fn of_kind(&self, kind: Kind) -> Vec<usize> {
        let numbers = 0..self.len();
        numbers
            .filter(|number| self.get(*number).is_some_and(|token| token.kind == kind))
            .collect()
    }

    /// The text of the tokens from one number up to another.
    pub(super) fn slice(&self, from: usize, to: usize) -> String {
        let (Some(first), Some(last)) = (self.code.get(from), self.code.get(to.max(1) - 1)) else {
            return String::new();
        };
        let part = self.tokens.iter().take(last + 1).skip(*first);
        part.map(|token| token.text.as_str()).collect()
    }

    /// The statement as it stands now.
    pub(super) fn finish(&self) -> String {
        let text: String = self.tokens.iter().map(|token| token.text.as_str()).collect();
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_dollars_are_whole() {
        let kinds = |text: &str| {
            let found = tokens(text).into_iter();
            found
                .filter(|token| token.kind != Kind::Space)
                .map(|token| (token.kind, token.text))
                .collect::<Vec<_>>()
        };
        let found = kinds(r#"select 'a\', E'\'', "b""c", $$x;$$, $t$ $$ $t$ :: text"#);
        let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "select",
                r"'a\'",
                ",",
                r"E'\''",
                ",",
                "\"b\"\"c\"",
                ",",
                "$$x;$$",
                ",",
                "$t$ $$ $t$",
                "::",
                "text"
            ]
        );
        assert_eq!(kinds("a /* b /* c */ d */ e").len(), 3);
    }

    proptest! {
        #[test]
        fn tokens_make_the_text_again(text in "\\PC{0,30}|[-'\"$/*e a:|;\n(]{0,30}") {
            let again: String = tokens(&text).iter().map(|token| token.text.as_str()).collect();
            prop_assert_eq!(again, text);
        }
    }
}
