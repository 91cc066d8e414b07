//! What is wrong where the text is no YAML, in words that help.

use serde_yaml::granit_parser::ScanError;

use super::compose::Composer;
use super::{Diagnostic, Node, NodeKind, SourceFile, Span};

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

/// The parser's error, with what to write instead where that can be told from the line.
pub(super) fn explain(file: &SourceFile, error: &ScanError, composer: &Composer<'_>) -> Diagnostic {
    let at = error
        .marker()
        .byte_offset()
        .unwrap_or_default()
        .min(file.text().len());
    let place = file.place(at);
    let line_number = place.line;
    let line = file.line_text(line_number);
    let start = at - (at - file.line_span(line_number).start).min(at);
    if let Some(found) = tab_near(file, line_number) {
        return found;
    }
    for (number, text) in [
        (line_number, line),
        (line_number.saturating_sub(1), previous(file, line_number)),
    ] {
        if let Some(found) = second_colon(file, number, text).or_else(|| reserved(file, number, text)) {
            return found;
        }
    }
    if let Some(found) = indentation(file, line_number) {
        return found;
    }
    let at_end = file.text()[at..].trim().is_empty();
    if at_end && let Some(span) = composer.open_bracket() {
        return Diagnostic::error(span, "this bracket is never closed").label(span, "opened here");
    }
    let info = error.info();
    if info.contains("quote") || (at_end && info.contains("scalar")) {
        let text = &file.text()[..at];
        if let Some(open) = text
            .rfind(": \"")
            .or_else(|| text.rfind(": '"))
            .or_else(|| text.rfind('"'))
        {
            let open = if text[open..].starts_with(": ") {
                open + 2
            } else {
                open
            };
            let span = Span::new(open, open + 1);
            return Diagnostic::error(span, "this quote is never closed").label(span, "opened here");
        }
    }
    let _ = start;
    let end = (at + file.text()[at..].chars().next().map_or(0, char::len_utf8)).min(file.text().len());
    let span = Span::new(at, end);
    Diagnostic::error(span, format!("this is no YAML: {info}")).label(span, "here")
}

fn previous(file: &SourceFile, line: usize) -> &str {
    if line > 1 { file.line_text(line - 1) } else { "" }
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
fn second_colon(file: &SourceFile, number: usize, line: &str) -> Option<Diagnostic> {
    if number == 0 {
        return None;
    }
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
fn reserved(file: &SourceFile, number: usize, line: &str) -> Option<Diagnostic> {
    if number == 0 {
        return None;
    }
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
    Some(
        Diagnostic::error(here, "this key is indented otherwise than its sibling")
            .label(here, format!("indented {mine}"))
            .label(there, format!("its sibling {theirs}"))
            .help(format!("indent both by {theirs}")),
    )
}
