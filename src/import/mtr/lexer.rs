//! Cuts a test file into commands, statements and blocks.

use super::commands::{fate, names};
use crate::import::format::Mistakes;
use crate::import::origin::Origin;
use crate::source::{Span, nearest};

/// A command, a statement, or a block of them.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub what: Kind,
    pub span: Span,
    /// Lines of comments before it.
    pub comments: Vec<String>,
}

/// What a command is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A command of the tool's: its name in small letters, and what follows.
    Call { name: String, rest: String },
    /// A statement, without its delimiter.
    Sql(String),
    /// `if` or `while`, its condition, and what is in its braces.
    Block {
        repeat: bool,
        condition: String,
        body: Vec<Command>,
    },
    /// Comments that nothing follows.
    Nothing,
}

/// Reads a file; mistakes are added to the list.
pub(crate) fn parse(mistakes: &mut Mistakes<'_>) -> Vec<Command> {
    let text = mistakes.file.text().to_owned();
    let mut reader = Reader {
        text: &text,
        at: 0,
        delimiter: ";".to_owned(),
        comments: Vec::new(),
        mistakes,
    };
    let mut all = reader.commands(None);
    if !reader.comments.is_empty() {
        all.push(Command {
            what: Kind::Nothing,
            span: Span::at(text.len()),
            comments: std::mem::take(&mut reader.comments),
        });
    }
    all
}

struct Reader<'t, 'm, 'a> {
    text: &'t str,
    at: usize,
    delimiter: String,
    comments: Vec<String>,
    mistakes: &'m mut Mistakes<'a>,
}

impl<'t> Reader<'t, '_, '_> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// The rest of this line, which is passed over.
    fn line(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at += length;
        rest[..length].trim_end_matches('\r')
    }

    /// All up to the `}` that ends the block that was opened at this place.
    fn commands(&mut self, opened: Option<Span>) -> Vec<Command> {
        let mut found = Vec::new();
        loop {
            let blank = self.rest().len() - self.rest().trim_start().len();
            self.at += blank;
            let rest = self.rest();
            let Some(first) = rest.chars().next() else {
                if let Some(span) = opened {
                    self.mistakes.error(
                        span,
                        "this block is never closed",
                        "write `}` behind its last command",
                    );
                }
                return found;
            };
            let start = self.at;
            if first == '#' {
                let line = self.line();
                self.comments.push(line.trim_start_matches('#').trim().to_owned());
            } else if rest.starts_with("--") {
                let line = self.line();
                let words = line[2..].trim_start();
                let offset = start + line.len() - words.len();
                found.extend(self.line_command(words, offset));
            } else if first == '}' {
                self.at += 1;
                if opened.is_some() {
                    return found;
                }
                self.mistakes.error(
                    Span::new(start, start + 1),
                    "no block is open here",
                    "take this `}` away",
                );
            } else if let Some(repeat) = block_word(rest) {
                found.extend(self.block(repeat));
            } else if let Some((text, quote)) = self.statement() {
                match quote {
                    // The last statement of a file, which mysql-tester runs.
                    Some(None) if self.delimiter == ";" && opened.is_none() => {
                        let told = Origin::of(self.mistakes.file, Span::at(start));
                        self.comments
                            .push(told.note("no `;` is behind it: mysqltest would not run it"));
                    }
                    Some(quote) => {
                        self.unclosed(start, text, quote);
                        return found;
                    }
                    None => {}
                }
                let text = text.trim();
                if text.eq_ignore_ascii_case("end") && opened.is_some() {
                    return found;
                }
                found.extend(self.command(text, start));
            }
        }
    }

    /// What was never ended.
    fn unclosed(&mut self, start: usize, text: &str, quote: Option<char>) {
        let line = text.lines().next().unwrap_or_default().trim_end();
        let span = Span::new(start, start + line.len());
        match quote {
            Some(quote) => {
                let message = format!("a quote {quote} in this statement is never closed");
                self.mistakes
                    .error(span, message, format!("write {quote} where the text ends"));
            }
            None => {
                let message = "this statement is never ended".to_owned();
                self.mistakes
                    .error(span, message, format!("write `{}` behind it", self.delimiter));
            }
        }
    }

    /// The text up to the delimiter, outside of quotes. At the end of the file, which quote is open, if any.
    fn statement(&mut self) -> Option<(&'t str, Option<Option<char>>)> {
        let rest = self.rest();
        let mut quote: Option<char> = None;
        let mut escaped = false;
        // What ends a comment, in which an apostrophe is no quote.
        let mut comment: Option<&str> = None;
        for (at, c) in rest.char_indices() {
            if quote.is_none() && rest[at..].starts_with(self.delimiter.as_str()) {
                self.at += at + self.delimiter.len();
                return Some((&rest[..at], None));
            }
            match quote {
                _ if escaped => escaped = false,
                Some(_) if c == '\\' => escaped = true,
                Some(open) if c == open => quote = None,
                None if comment.is_some_and(|end| rest[at..].starts_with(end)) => comment = None,
                None if comment.is_none()
                    && rest[at..].starts_with("/*")
                    && !rest[at..].starts_with("/*!") =>
                {
                    comment = Some("*/");
                }
                None if comment.is_none() && rest[at..].starts_with("-- ") => comment = Some("\n"),
                None if comment.is_none() && matches!(c, '\'' | '"' | '`') => quote = Some(c),
                _ => {}
            }
        }
        self.at = self.text.len();
        Some((rest, Some(quote)))
    }

    /// A command on a line of its own, behind `--`.
    fn line_command(&mut self, words: &str, start: usize) -> Option<Command> {
        let name = word(words);
        if fate(name).is_some() {
            return self.call(words, start);
        }
        let near = nearest(name, names()).filter(|near| near.len() > 3);
        match near {
            Some(near) => {
                let span = Span::new(start, start + name.len());
                let message = format!("there is no command `{name}`; did you mean `{near}`?");
                self.mistakes.error(span, message, "a comment begins with `#`");
            }
            // Older tests have comments like this.
            None => self.comments.push(words.trim().to_owned()),
        }
        None
    }

    /// A command of the tool's, or a statement.
    fn command(&mut self, text: &str, start: usize) -> Option<Command> {
        if text.is_empty() {
            return None;
        }
        let name = word(text);
        // `end` and `query` are words of SQL's, too, but no statement begins with them.
        if fate(name).is_some() {
            return self.call(text, start);
        }
        Some(self.found(Kind::Sql(text.to_owned()), start, text))
    }

    fn found(&mut self, what: Kind, start: usize, text: &str) -> Command {
        let line = text.lines().next().unwrap_or_default().trim_end();
        Command {
            what,
            span: Span::new(start, start + line.len()),
            comments: std::mem::take(&mut self.comments),
        }
    }

    fn call(&mut self, text: &str, start: usize) -> Option<Command> {
        let name = word(text);
        let rest = text[name.len()..].trim().to_owned();
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "delimiter" => {
                let delimiter = rest.split_whitespace().next().unwrap_or_default();
                if delimiter.is_empty() {
                    let span = Span::new(start, start + name.len());
                    self.mistakes.error(
                        span,
                        "`delimiter` names none",
                        "write it behind, such as `delimiter //;`",
                    );
                } else {
                    self.delimiter = delimiter.to_owned();
                }
                return None;
            }
            // Lines up to EOF, or another word, belong to these.
            "write_file" | "append_file" | "perl" => {
                let mut words = rest.split_whitespace().map(|word| word.trim_end_matches(';'));
                let skip = usize::from(name != "perl");
                let end = words.nth(skip).filter(|word| !word.is_empty()).unwrap_or("EOF");
                self.line();
                loop {
                    if self.rest().is_empty() {
                        let span = Span::new(start, start + name.len());
                        let message = format!("the lines of `{name}` never end");
                        self.mistakes
                            .error(span, message, format!("write `{end}` on a line of its own"));
                        break;
                    }
                    self.at += usize::from(self.rest().starts_with('\n'));
                    if self.line().trim() == end {
                        break;
                    }
                }
            }
            _ => {}
        }
        let line = text.lines().next().unwrap_or_default().to_owned();
        Some(self.found(Kind::Call { name, rest }, start, &line))
    }

    /// `if (condition) { … }`, from its first word on.
    fn block(&mut self, repeat: bool) -> Option<Command> {
        let start = self.at;
        let comments = std::mem::take(&mut self.comments);
        let rest = self.rest();
        let open = rest.find('(').unwrap_or_default();
        let head = Span::new(start, start + open);
        let mut depth = 0_usize;
        let mut quote: Option<char> = None;
        let mut close = None;
        for (at, c) in rest.char_indices().skip(open) {
            match quote {
                Some(end) if c == end => quote = None,
                Some(_) => {}
                None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
                None if c == '(' => depth += 1,
                None if c == ')' => {
                    depth -= 1;
                    if depth == 0 {
                        close = Some(at);
                        break;
                    }
                }
                None => {}
            }
        }
        let Some(close) = close else {
            self.mistakes
                .error(head, "this condition is never closed", "write `)` behind it");
            self.at = self.text.len();
            return None;
        };
        let condition = rest[open + 1..close].trim().to_owned();
        self.at += close + 1;
        let blank = self.rest().len() - self.rest().trim_start().len();
        self.at += blank;
        if !self.rest().starts_with('{') {
            let span = Span::new(start, start + close + 1);
            self.mistakes.error(
                span,
                "a block follows a condition",
                "write `{` behind it, and `}` behind its commands",
            );
            return None;
        }
        let opened = Span::new(self.at, self.at + 1);
        self.at += 1;
        let body = self.commands(Some(opened));
        Some(Command {
            what: Kind::Block {
                repeat,
                condition,
                body,
            },
            span: Span::new(start, start + close + 1),
            comments,
        })
    }
}

/// Whether a text begins with `if (` or `while (`, and repeats.
fn block_word(text: &str) -> Option<bool> {
    ["if", "while"].iter().enumerate().find_map(|(at, word)| {
        let begins = text
            .get(..word.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        let open = text.get(word.len()..)?.trim_start().starts_with('(');
        (begins && open).then_some(at == 1)
    })
}

/// The first word of a command.
fn word(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .unwrap_or(text.len());
    &text[..end]
}
