//! The words of a spec.

use crate::source::Span;

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A keyword or a name without quotes, or a number.
    Plain(String),
    /// A name in quotes: never a keyword.
    Quoted(String),
    /// What stands between `{` and `}`.
    Block(String),
    /// `(`, `)`, `,` or `*`.
    Sign(char),
    /// A comment's text, without `#`.
    Comment(String),
    /// A line without anything.
    BlankLine,
    /// A quote or a block that is never closed.
    Unclosed(char),
    /// What has no place in a spec.
    Other(char),
}

/// A word and its place; of a block, the place of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub word: Word,
    pub span: Span,
}

/// All words of a spec.
pub(super) fn words(text: &str) -> Vec<Placed> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (word, length) = match c {
            '\n' => {
                let next = rest[1..].lines().next().unwrap_or_default();
                let blank = next.trim().is_empty() && !rest[1..].is_empty();
                if !blank {
                    at += 1;
                    continue;
                }
                (Word::BlankLine, 1)
            }
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '#' => {
                let line = rest.lines().next().unwrap_or_default();
                (Word::Comment(line[1..].to_owned()), line.len())
            }
            '"' => quoted(rest),
            '{' => match rest.find('}') {
                Some(end) => {
                    let inner = &rest[1..end];
                    let lead = inner.len() - inner.trim_start_matches([' ', '\t', '\r']).len();
                    let text = inner.trim_matches([' ', '\t', '\r']);
                    let start = at + 1 + lead;
                    found.push(Placed {
                        word: Word::Block(text.to_owned()),
                        span: Span::new(start, start + text.len()),
                    });
                    at += end + 1;
                    continue;
                }
                None => (Word::Unclosed('{'), rest.len()),
            },
            '(' | ')' | ',' | '*' => (Word::Sign(c), 1),
            c if is_name(c) => {
                let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                (Word::Plain(rest[..length].to_owned()), length)
            }
            c => (Word::Other(c), c.len_utf8()),
        };
        let marked = match word {
            // The place where it was opened.
            Word::Unclosed(_) => 1,
            _ => length,
        };
        found.push(Placed {
            word,
            span: Span::new(at, at + marked),
        });
        at += length;
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

/// A name in quotes ends on its line; a quote in it is written twice.
fn quoted(rest: &str) -> (Word, usize) {
    let mut name = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' => break,
            '"' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => return (Word::Quoted(name), at + 1),
            c => name.push(c),
        }
    }
    let line = rest.lines().next().unwrap_or_default();
    (Word::Unclosed('"'), line.len())
}
