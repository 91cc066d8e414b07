//! From a file's text to a tree.

use serde_yaml::granit_parser::{self, Event, Parser};

use super::compose::Composer;
use super::event::{DEPTH_MAX, span_of};
use super::file::too_big;
use super::{Diagnostic, FILE_SIZE_MAX, Node, SourceFile, Span, mistakes};

/// A file's tree, and what was found on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The document, if it could be read to its end.
    pub root: Option<Node>,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Diagnostic>,
}

/// Reads a file, which must be exactly one YAML document.
///
/// The events come from the parser of serde-saphyr, not through serde: its `Spanned` keeps the place
/// at which a list or mapping begins but not its end, and `deserialize_any` drops tags and the
/// spelling of numbers.
#[must_use]
pub fn parse(file: &SourceFile) -> Parsed {
    if let Some(problem) = refuse(file) {
        return Parsed {
            root: None,
            problems: vec![problem],
        };
    }
    let mut composer = Composer::new(file);
    let mut stopped = None;
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(file.text(), options()) {
        let step = match event {
            Ok((Event::DocumentStart(..), place)) => {
                documents += 1;
                let span = span_of(place);
                if documents == 2 {
                    Err(Box::new(second_document(file, span)))
                } else {
                    Ok(())
                }
            }
            Ok((event, place)) => composer.take(event, place),
            Err(error) => Err(Box::new(mistakes::explain(file, &error))),
        };
        if let Err(problem) = step {
            stopped = Some(problem);
            break;
        }
    }
    let (root, mut problems) = composer.finish();
    let whole = stopped.is_none();
    problems.extend(stopped.map(|problem| *problem));
    let root = root.filter(|root| !(root.is_null() && root.span.is_empty()));
    if whole && root.is_none() {
        problems.push(mistakes::empty_file());
    }
    problems.sort_by_key(Diagnostic::span);
    Parsed {
        root: root.filter(|_| whole),
        problems,
    }
}

fn options() -> granit_parser::Options {
    granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        // One more than we allow, so that the answer is ours.
        flow_nesting_limit: DEPTH_MAX + 1,
    }
}

/// What is refused before the parser sees it.
fn refuse(file: &SourceFile) -> Option<Diagnostic> {
    if file.text().len() as u64 > FILE_SIZE_MAX {
        return Some(too_big(Some(file.text().len() as u64)));
    }
    let at = file.text().find('\0')?;
    Some(
        Diagnostic::error(Span::new(at, at + 1), "this file has a NUL byte: it is not text")
            .help("for the byte in SQL write x'00', for the byte in a value \"\\0\" or 0x00"),
    )
}

fn second_document(file: &SourceFile, span: Span) -> Diagnostic {
    let span = if span.is_empty() {
        Span::new(span.start, span.start + 1)
    } else {
        span
    };
    let span = Span::new(span.start, span.end.min(file.text().len()));
    Diagnostic::error(span, "a second document begins here, and a file has one scenario")
        .help("put the second scenario into a file of its own")
}
