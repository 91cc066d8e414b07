//! Cuts SQL text into tokens, as far as splitting and telling statements apart needs it.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword, a name without quotes, or a number.
    Word,
    /// `'…'` or `"…"`.
    Text,
    /// `` `…` ``.
    QuotedName,
    /// A comment that the server skips: `-- …`, `# …`, `/* … */`.
    Comment,
    /// `/*+ … */`, whole.
    Hint,
    /// The opening of a comment that the server executes: `/*!`, `/*!80000`, `/*T!`, `/*T![name]`, `/*M!`.
    ExecutableOpen,
    /// The `*/` that ends one.
    ExecutableClose,
    /// Any other single character.
    Symbol(char),
}

/// A token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    /// The byte offset of its start.
    pub(super) offset: usize,
}

impl Token<'_> {
    /// The byte offset just after it.
    pub(super) fn end(&self) -> usize {
        self.offset + self.text.len()
    }

    /// Whether it is this word, in any case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }

    /// Whether it opens a comment that some servers execute and others skip: TiDB's `/*T![feature]`, MariaDB's
    /// `/*M!`.
    pub(super) fn is_conditional(&self) -> bool {
        self.kind == TokenKind::ExecutableOpen
            && (self.text.starts_with("/*T![") || self.text.starts_with("/*M"))
    }

    /// The name that it is, without its quotes.
    pub(super) fn name(&self) -> Option<String> {
        match self.kind {
            TokenKind::Word => Some(self.text.to_owned()),
            TokenKind::QuotedName | TokenKind::Text => Some(unquote(self.text)),
            _ => None,
        }
    }

    /// Whether the server executes it, rather than skips it or takes it as a hint.
    pub(super) fn is_code(&self) -> bool {
        !matches!(
            self.kind,
            TokenKind::Comment | TokenKind::Hint | TokenKind::ExecutableOpen | TokenKind::ExecutableClose
        )
    }
}

/// Something that was opened and never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// The byte offset of its opening.
    pub(super) offset: usize,
    /// How it was opened: `'`, `"`, `` ` ``, `/*`.
    pub(super) opening: &'static str,
}

/// All tokens of `text` in order, and what was left open at its end, if anything. Text that was left
/// open is the last token.
pub(super) fn tokens(text: &str) -> (Vec<Token<'_>>, Option<Unclosed>) {
    let mut lexer = Lexer {
        text,
        at: 0,
        found: Vec::new(),
        executable_from: None,
        unclosed: None,
    };
    while lexer.step() {}
    let unclosed = lexer.unclosed.or(lexer.executable_from.map(|offset| Unclosed {
        offset,
        opening: "/*",
    }));
    (lexer.found, unclosed)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Token<'a>>,
    /// Where the executable comment that we are in was opened.
    executable_from: Option<usize>,
    unclosed: Option<Unclosed>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: TokenKind, len: usize) {
        self.found.push(Token {
            kind,
            text: &self.text[self.at..self.at + len],
            offset: self.at,
        });
        self.at += len;
    }

    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return false;
        };
        match first {
            c if c.is_whitespace() => self.at += c.len_utf8(),
            '\'' => self.quoted("'", TokenKind::Text),
            '"' => self.quoted("\"", TokenKind::Text),
            '`' => self.quoted("`", TokenKind::QuotedName),
            '#' => self.line_comment(),
            '-' if starts_dash_comment(rest) => self.line_comment(),
            '/' if rest.starts_with("/*") => self.block_comment(),
            '*' if self.executable_from.is_some() && rest.starts_with("*/") => {
                self.executable_from = None;
                self.push(TokenKind::ExecutableClose, 2);
            }
            c if is_word_char(c) => {
                let len = rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
                self.push(TokenKind::Word, len);
            }
            c => self.push(TokenKind::Symbol(c), c.len_utf8()),
        }
        true
    }

    fn quoted(&mut self, quote: &'static str, kind: TokenKind) {
        let bytes = self.rest().as_bytes();
        let mark = quote.as_bytes()[0];
        let mut i = 1;
        while i < bytes.len() {
            if bytes[i] == b'\\' && mark != b'`' {
                i += 2;
            } else if bytes[i] == mark {
                if bytes.get(i + 1) != Some(&mark) {
                    self.push(kind, i + 1);
                    return;
                }
                i += 2;
            } else {
                i += 1;
            }
        }
        self.leave_open(quote, kind);
    }

    fn leave_open(&mut self, opening: &'static str, kind: TokenKind) {
        self.unclosed = Some(Unclosed {
            offset: self.at,
            opening,
        });
        self.push(kind, self.rest().len());
    }

    fn line_comment(&mut self) {
        let rest = self.rest();
        self.push(TokenKind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }

    fn block_comment(&mut self) {
        let rest = self.rest();
        if self.executable_from.is_none()
            && let Some(len) = executable_opening(rest)
        {
            self.executable_from = Some(self.at);
            self.push(TokenKind::ExecutableOpen, len);
            return;
        }
        let kind = if rest.starts_with("/*+") {
            TokenKind::Hint
        } else {
            TokenKind::Comment
        };
        match rest[2..].find("*/") {
            Some(len) => self.push(kind, len + 4),
            None => self.leave_open("/*", kind),
        }
    }
}

/// MySQL's rule: `--` opens a comment only before white space, a control character, or the end.
fn starts_dash_comment(rest: &str) -> bool {
    rest.strip_prefix("--").is_some_and(|after| {
        after
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || c.is_control())
    })
}

/// The length of `/*!`, `/*!80013`, `/*T!`, `/*T![feature]` or `/*M!100100` at the start of `rest`.
fn executable_opening(rest: &str) -> Option<usize> {
    for opening in ["/*!", "/*M!"] {
        let Some(after) = rest.strip_prefix(opening) else {
            continue;
        };
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        // A version has five or six digits; anything else is part of the statement.
        return Some(opening.len() + if matches!(digits, 5 | 6) { digits } else { 0 });
    }
    let after = rest.strip_prefix("/*T!")?;
    let feature = after
        .starts_with('[')
        .then(|| after.find(']'))
        .flatten()
        .map_or(0, |end| end + 1);
    Some(4 + feature)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || (!c.is_ascii() && !c.is_whitespace())
}

/// The content of a quoted token.
pub(super) fn unquote(text: &str) -> String {
    let Some(mark) = text.chars().next() else {
        return String::new();
    };
    let inner = &text[mark.len_utf8()..];
    let inner = inner.strip_suffix(mark).unwrap_or(inner);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && mark != '`' {
            match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some(other) => out.push(other),
                None => {}
            }
        } else {
            if c == mark {
                chars.next_if_eq(&mark);
            }
            out.push(c);
        }
    }
    out
}
