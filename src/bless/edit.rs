//! Changes a YAML text at its places; all else of it stays as it is.

use crate::source::{Entry, Node, NodeKind, Span};

/// What stands in the place of a part of the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edit {
    pub start: usize,
    pub end: usize,
    pub text: String,
}

/// Makes the edits; of two that are about the same part only the first one.
pub(super) fn applied(text: &str, edits: &[Edit]) -> String {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort();
    let mut after = String::new();
    let mut at = 0;
    for edit in sorted.into_iter().filter(|edit| edit.start <= edit.end) {
        if edit.start < at {
            continue;
        }
        after.push_str(&text[at..edit.start]);
        after.push_str(&edit.text);
        at = edit.end;
    }
    after.push_str(&text[at..]);
    after
}

/// The innermost entry whose key stands here.
pub(super) fn entry_at(node: &Node, span: Span) -> Option<&Entry> {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().find_map(|entry| {
            if entry.key.span == span {
                return Some(entry);
            }
            entry_at(&entry.value, span)
        }),
        NodeKind::Seq(items) => items.iter().find_map(|item| entry_at(item, span)),
        _ => None,
    }
}

/// The mapping that has an entry whose key stands here.
pub(super) fn map_with(node: &Node, span: Span) -> Option<&Node> {
    match &node.kind {
        NodeKind::Map(entries) => {
            if entries.iter().any(|entry| entry.key.span == span) {
                return Some(node);
            }
            entries.iter().find_map(|entry| map_with(&entry.value, span))
        }
        NodeKind::Seq(items) => items.iter().find_map(|item| map_with(item, span)),
        _ => None,
    }
}

fn is_flow(text: &str, map: &Node) -> bool {
    text[map.span.start..].starts_with('{')
}

/// Where an entry ends: without the blank lines and the line break that a block of text may end with.
fn end_of(text: &str, entry: &Entry) -> usize {
    let end = entry.value.span.end.max(entry.key.span.end);
    let end = entry.key.span.end + text[entry.key.span.end..end].trim_end().len();
    // A value that is left out: its colon.
    match text[end..].strip_prefix(':') {
        Some(_) if entry.value.span.start == entry.value.span.end => end + 1,
        _ => end,
    }
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |before| before + 1)
}

/// A comment inside this part would be lost.
fn has_comment(part: &str) -> bool {
    let is = |line: &str| line.trim_start().starts_with('#') || line.contains(" #");
    part.contains('\n') && part.lines().any(is)
}

/// Another value of a key. A list of items, one a line, gets items, one a line: `items` are these.
///
/// # Errors
/// A comment would be lost.
pub(super) fn value(text: &str, entry: &Entry, new: &str, items: Option<&[String]>) -> Result<Edit, String> {
    let Span { start, end } = entry.value.span;
    if start >= end {
        let colon = text[entry.key.span.end..].find(':').map_or(0, |at| at + 1);
        let at = entry.key.span.end + colon;
        return Ok(Edit {
            start: at,
            end: at,
            text: format!(" {new}"),
        });
    }
    let old = &text[start..end];
    if has_comment(old) {
        return Err("a comment stands inside of the value".to_owned());
    }
    let end = start + old.trim_end().len();
    let column = start - line_start(text, start);
    let own = match items {
        Some([_, ..]) if old.starts_with("- ") => {
            let gap = format!("\n{}", " ".repeat(column));
            let items = items.unwrap_or_default().iter().map(|item| format!("- {item}"));
            items.collect::<Vec<_>>().join(&gap)
        }
        _ => new.to_owned(),
    };
    Ok(Edit {
        start,
        end,
        text: own,
    })
}

/// One key more, behind the others.
///
/// # Errors
/// The mapping has no place for it.
pub(super) fn add(text: &str, map: &Node, key: &str, new: &str) -> Result<Edit, String> {
    let entries = map.as_map().unwrap_or_default();
    let inside = |entry: &&Entry| {
        entry.key.span.start >= map.span.start && entry.value.span.end <= map.span.end.max(entry.key.span.end)
    };
    let first = entries.iter().find(inside).ok_or("it has no keys of its own")?;
    let last = entries
        .iter()
        .filter(inside)
        .max_by_key(|entry| end_of(text, entry));
    let end = end_of(text, last.unwrap_or(first));
    if is_flow(text, map) {
        return Ok(Edit {
            start: end,
            end,
            text: format!(", {key}: {new}"),
        });
    }
    let start = line_start(text, first.key.span.start);
    let column = text[start..first.key.span.start].chars().count();
    // Behind a comment of the last line.
    let at = line_end(text, end);
    let at = if text[..at].ends_with('\r') { at - 1 } else { at };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    Ok(Edit {
        start: at,
        end: at,
        text: format!("{newline}{}{key}: {new}", " ".repeat(column)),
    })
}

/// Another key with its value in the place of one.
///
/// # Errors
/// A comment would be lost.
pub(super) fn replace(text: &str, entry: &Entry, new: &str) -> Result<Edit, String> {
    let (start, end) = (entry.key.span.start, end_of(text, entry));
    if has_comment(&text[start..end]) {
        return Err("a comment stands inside of the value".to_owned());
    }
    Ok(Edit {
        start,
        end,
        text: new.to_owned(),
    })
}

/// Takes a key away with its value.
///
/// # Errors
/// It is the first of its mapping, or a comment would be lost.
pub(super) fn remove(text: &str, map: &Node, entry: &Entry) -> Result<Edit, String> {
    let entries = map.as_map().unwrap_or_default();
    let end = end_of(text, entry);
    let before = entries
        .iter()
        .filter(|other| other.key.span.start < entry.key.span.start)
        .map(|other| end_of(text, other))
        .max()
        .ok_or("the key is the first one there")?;
    if is_flow(text, map) {
        return Ok(Edit {
            start: before,
            end,
            text: String::new(),
        });
    }
    let (start, end) = (line_start(text, entry.key.span.start), line_end(text, end));
    let whole = &text[start..end];
    if has_comment(whole) || whole.contains(" #") {
        return Err("a comment stands beside it".to_owned());
    }
    Ok(Edit {
        start,
        end: (end + 1).min(text.len()),
        text: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, parse};

    const TEXT: &str = "\
steps:
  # one
  - alice: select 1 # two
    rows: [[1]] # three
  - {bob: select 2, as: x}
  - alice: |
      select 3
    rows:
      - [3]
      - [4]

  # four
  - bob:
      sql: select 5
";

    fn entry<'n>(root: &'n Node, text: &str, key: &str) -> (&'n Node, &'n Entry) {
        let start = text.find(key).expect(key);
        let span = Span {
            start,
            end: start + key.len(),
        };
        (map_with(root, span).expect(key), entry_at(root, span).expect(key))
    }

    #[test]
    fn comments_and_style_stay() {
        let root = parse(&SourceFile::new("t.yaml", TEXT)).root.expect("a tree");
        let (first, rows) = entry(&root, TEXT, "rows");
        let (flow, as_) = entry(&root, TEXT, "as");
        let (inner, _) = entry(&root, TEXT, "sql");
        let after_block = &TEXT[TEXT.find("|").expect("a block")..];
        let at = TEXT.len() - after_block.len() + after_block.find("rows").expect("rows");
        let span = Span {
            start: at,
            end: at + 4,
        };
        let block = (
            map_with(&root, span).expect("a map"),
            entry_at(&root, span).expect("rows"),
        );
        let items = ["[7]".to_owned(), "[8]".to_owned(), "[9]".to_owned()];
        let edits = [
            value(TEXT, rows, "[[2]]", None).expect("a value"),
            add(TEXT, first, "columns", "[a]").expect("a key"),
            add(TEXT, flow, "value", "2").expect("a key"),
            value(TEXT, block.1, "[[7], [8], [9]]", Some(&items)).expect("a value"),
            add(TEXT, inner, "value", "5").expect("a key"),
        ];
        assert_eq!(
            applied(TEXT, &edits),
            "\
steps:
  # one
  - alice: select 1 # two
    rows: [[2]] # three
    columns: [a]
  - {bob: select 2, as: x, value: 2}
  - alice: |
      select 3
    rows:
      - [7]
      - [8]
      - [9]

  # four
  - bob:
      sql: select 5
      value: 5
"
        );
        let gone = [
            remove(TEXT, flow, as_).expect("removed"),
            remove(TEXT, block.0, block.1).expect("removed"),
        ];
        let text = applied(TEXT, &gone);
        assert!(
            text.contains("  - {bob: select 2}\n  - alice: |\n      select 3\n\n  # four\n"),
            "{text}"
        );
        assert!(remove(TEXT, first, rows).is_err(), "its comment would go");
        assert!(
            remove(TEXT, first, entry(&root, TEXT, "alice").1).is_err(),
            "no step without its name"
        );
    }
}
