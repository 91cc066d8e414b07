//! What is wrong where the text is no YAML, in words that help.

use std::borrow::Cow;

use serde_yaml::granit_parser::{ErrorKind, ScanError, Tag};

use super::event::DEPTH_MAX;
use super::lookup::shortened;
use super::{Diagnostic, Node, NodeKind, SourceFile, Span, scalar};

/// A tab where YAML wants spaces.
pub(super) fn tab(span: Span) -> Diagnostic {
    Diagnostic::error(span, "a tab: YAML indents with spaces only")
        .label(span, "this is a tab")
        .help("put two spaces in its place")
}

pub(super) fn empty_file() -> Diagnostic {
    Diagnostic::whole_file("this file is empty").help(
        "a small scenario:\nscenario: what it shows\nsetup: create table t (id int primary key)\n\
         connections: [alice]\nsteps:\n  - alice: insert into t values (1)\n    affected: 1",
    )
}

/// The place of a `#` comment behind a plain scalar on the same line, which a statement may have lost.
#[must_use]
pub fn comment_after(file: &SourceFile, node: &Node) -> Option<Span> {
    let raw = node.raw(file);
    let plain = matches!(node.kind, NodeKind::Str(_)) && !raw.starts_with(['"', '\'', '|', '>']);
    let rest = file.text().get(node.span.end..)?;
    let line = rest.lines().next().unwrap_or_default();
    let blank = line.len() - line.trim_start().len();
    let comment = line.trim_start().starts_with('#') && blank > 0;
    let start = node.span.end + blank;
    (plain && comment).then(|| Span::new(start, start + line.trim_start().trim_end().len()))
}

/// The parser's error, with what to write instead where that can be told from its kind or from the line.
pub(super) fn explain(file: &SourceFile, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or_default();
    let at = file.floor(at.min(file.text().len()));
    let character = file.text()[at..].chars().next().map_or(0, char::len_utf8);
    let here = Span::new(at, at + character);
    if let Some(found) = by_kind(error.kind(), here) {
        return found;
    }
    let line = file.place(at).line;
    if let Some(found) = tab_near(file, line) {
        return found;
    }
    for number in [line, line.saturating_sub(1)] {
        if let Some(found) = second_colon(file, number).or_else(|| reserved(file, number)) {
            return found;
        }
    }
    if let Some(found) = dash(file, line).or_else(|| indentation(file, line)) {
        return found;
    }
    let problem = Diagnostic::error(here, format!("this is not YAML: {}", error.info()));
    problem.label(here, if here.is_empty() { "at the end" } else { "here" })
}

/// Mistakes that the parser itself tells apart.
fn by_kind(kind: &ErrorKind, here: Span) -> Option<Diagnostic> {
    let found = match kind {
        ErrorKind::UnclosedFlowCollection { .. } => {
            Diagnostic::error(here, "this bracket is never closed").label(here, "opened here")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            let problem = Diagnostic::error(here, format!("`{close}` does not close `{open}`"));
            problem.label(here, format!("opened here, and the next to close is `{close}`"))
        }
        ErrorKind::UnclosedQuotedScalar => Diagnostic::error(here, "this quote is never closed")
            .label(here, "opened here")
            .help("a quote inside single quotes is written twice, inside double quotes `\\\"`"),
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            Diagnostic::error(here, "text after a closing quote")
                .label(here, "the quote before this ends the text")
                .help("a quote inside single quotes is written twice, inside double quotes `\\\"`; or write the text as a block, with `|`")
        }
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => {
            Diagnostic::error(here, "unknown escape sequence: in double quotes, `\\` begins one")
                .label(here, "in this text")
                .help("write `\\\\` for the character itself, or use single quotes")
        }
        ErrorKind::RecursionLimitExceeded => too_deep(here),
        _ => return None,
    };
    Some(found)
}

fn tab_near(file: &SourceFile, line: usize) -> Option<Diagnostic> {
    for number in [line, line.saturating_sub(1), line + 1] {
        if number == 0 || number > file.line_count() {
            continue;
        }
        let text = file.line_text(number);
        let indent = text.len() - text.trim_start().len();
        if let Some(at) = text[..indent].find('\t') {
            let start = file.line_start(number) + at;
            return Some(tab(Span::new(start, start + 1)));
        }
    }
    None
}

/// `sql: SELECT 1: 2`.
fn second_colon(file: &SourceFile, number: usize) -> Option<Diagnostic> {
    let line = file.line_text(number);
    let first = line.find(": ")?;
    let value = &line[first + 2..];
    let lead = value.len() - value.trim_start().len();
    if value
        .trim_start()
        .starts_with(['"', '\'', '|', '>', '[', '{', '&', '*'])
    {
        return None;
    }
    let second = value.find(": ").filter(|at| *at > lead)?;
    let start = file.line_start(number) + first + 2 + second;
    let span = Span::new(start, start + 1);
    let key = line[..first].trim_start_matches([' ', '-']);
    Some(
        Diagnostic::error(span, "`: ` starts a new key here")
            .label(span, "a plain value cannot have `: ` in it")
            .help(format!(
                "quote the value, or write it as a block:\n{key}: |\n  {}",
                value.trim()
            )),
    )
}

/// `sql: @@version`.
fn reserved(file: &SourceFile, number: usize) -> Option<Diagnostic> {
    let line = file.line_text(number);
    let after = line
        .find(": ")
        .map(|at| at + 2)
        .or_else(|| line.find("- ").map(|at| at + 2))?;
    let value = &line[after..];
    let at = after + value.len() - value.trim_start().len();
    let first = line[at..]
        .chars()
        .next()
        .filter(|c| ['@', '`', '%'].contains(c))?;
    let start = file.line_start(number) + at;
    let span = Span::new(start, start + first.len_utf8());
    Some(
        Diagnostic::error(span, format!("a plain value cannot start with `{first}`"))
            .label(span, "here")
            .help(format!(
                "quote it: \"{}\"",
                line[at..].trim().replace('"', "\\\"")
            )),
    )
}

/// An item of a list beside a key, or a key beside items.
fn dash(file: &SourceFile, line: usize) -> Option<Diagnostic> {
    let indent = |text: &str| text.chars().take_while(|c| *c == ' ').count();
    let text = file.line_text(line);
    let mine = indent(text);
    let is_item = |text: &str| text.trim_start().starts_with("- ");
    let is_blank = |text: &str| text.trim().is_empty() || text.trim_start().starts_with('#');
    let before = (1..line)
        .rev()
        .filter(|number| !is_blank(file.line_text(*number)))
        .find(|number| indent(file.line_text(*number)) <= mine)?;
    let sibling = file.line_text(before);
    if indent(sibling) != mine || is_item(text) == is_item(sibling) || is_blank(text) {
        return None;
    }
    let mark = |line: usize| {
        let start = file.line_start(line) + mine;
        Span::new(start, start + 1)
    };
    let (item, key) = if is_item(text) {
        (line, before)
    } else {
        (before, line)
    };
    let help = if is_item(text) {
        "put `- ` before each item".to_owned()
    } else {
        // It may belong to the item, and stand too far to the left.
        let name = text.trim_start().split(':').next().unwrap_or_default();
        let inside = sibling[mine + 1..].chars().take_while(|c| *c == ' ').count() + mine + 2;
        format!(
            "put `- ` before `{name}`, if it is an item of its own; begin it in column {inside}, if it belongs to the item above"
        )
    };
    Some(
        Diagnostic::error(mark(line), "list items and keys cannot be mixed")
            .label(mark(item), "a list item")
            .label(mark(key), "a key")
            .help(help),
    )
}

/// A key that is indented otherwise than its siblings.
fn indentation(file: &SourceFile, line: usize) -> Option<Diagnostic> {
    let indent = |text: &str| text.chars().take_while(|c| *c == ' ').count();
    let text = file.line_text(line);
    let mine = indent(text);
    let is_key = |text: &str| {
        text.trim_start()
            .split_once(':')
            .is_some_and(|(key, _)| !key.contains([' ', '"']))
    };
    if !is_key(text) {
        return None;
    }
    let before = (1..line)
        .rev()
        .find(|number| is_key(file.line_text(*number).trim_start_matches([' ', '-'])))?;
    let sibling = file.line_text(before);
    let theirs = sibling.chars().take_while(|c| *c == ' ' || *c == '-').count();
    if theirs == mine {
        return None;
    }
    let start = file.line_start(line) + mine;
    let other = file.line_start(before) + theirs;
    let len = |text: &str| text.trim_start_matches([' ', '-']).find(':').unwrap_or(1);
    let here = Span::new(start, start + len(text));
    let there = Span::new(other, other + len(sibling));
    let name = |span: Span| file.slice(span).split(':').next().unwrap_or_default().to_owned();
    let (key, sibling) = (name(here), name(there));
    let message = format!("`{key}` must begin in the same column as `{sibling}`");
    Some(
        Diagnostic::error(here, message)
            .label(here, format!("column {}", mine + 1))
            .label(there, format!("column {}", theirs + 1)),
    )
}

pub(super) fn unknown_alias(name: &str, near: Option<&str>, span: Span) -> Diagnostic {
    let message = match near {
        Some(near) => format!("there is no anchor `&{name}` above; did you mean `*{near}`?"),
        None => format!("there is no anchor `&{name}` above, and a plain `*` means an alias"),
    };
    Diagnostic::error(span, message).help(format!("for plain text, quote it: '*{name}'"))
}

pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("this is nested deeper than {DEPTH_MAX} levels"))
        .help("for plain text, quote the brackets")
}

pub(super) fn leading_zero(written: &str, span: Span) -> Diagnostic {
    let number = scalar::resolve(written);
    let number = Node::new(span, number)
        .text()
        .map_or_else(String::new, Cow::into_owned);
    Diagnostic::warning(
        span,
        format!("YAML readers differ on `{written}`: here it is the number {number}"),
    )
    .help(format!("write '{written}' for the text, {number} for the number"))
}

pub(super) fn wrong_tag(tag: &Tag, span: Span) -> Diagnostic {
    let written = tag.original();
    Diagnostic::error(
        span,
        format!("the tag `{written}` is not allowed here: an unquoted `!` begins a YAML tag"),
    )
    .help("the tags are !!str, !!int, !!float, !!bool, !!null and !!binary; for plain text, quote it")
}

pub(super) fn key_is_no_text(key: &Node, file: &SourceFile) -> Diagnostic {
    let problem = Diagnostic::error(key.span, format!("a key must be text, not {}", key.describe()));
    let raw = key.raw(file);
    let before = file.slice(Span::new(0, key.span.start)).trim_end();
    if raw.starts_with('{') && before.ends_with('{') {
        problem.help(format!(
            "a plain `{{` begins a mapping; for plain text, quote it: '{{{}}}'",
            shortened(raw)
        ))
    } else {
        problem.help(format!("for plain text, quote it: '{}'", shortened(raw)))
    }
}
