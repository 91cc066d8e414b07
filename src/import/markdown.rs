//! As much of Markdown as tests in it need: headings, paragraphs, blocks of code, tables.

use super::lines::{Line, lines};

/// A part of a document.
#[derive(Debug)]
pub(super) enum Part<'a> {
    /// A heading's text.
    Heading(String),
    /// A paragraph, on one line.
    Paragraph(String),
    /// A block of code: its language, and its lines.
    Code { language: String, lines: Vec<Line<'a>> },
    /// A table: its rows, each with its cells; the first one is its head.
    Table(Vec<Vec<Cell<'a>>>),
    /// A block that is never closed: the line that opens it.
    Unclosed(Line<'a>),
}

/// A cell of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub text: &'a str,
    pub line: Line<'a>,
}

/// The parts of a document, in their order.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let lines = lines(text);
    let mut found = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let text = line.trimmed();
        let fence = text.len() - text.trim_start_matches('`').len();
        if fence >= 3 {
            end(&mut paragraph, &mut found);
            let mark = &text[..fence];
            let language = text[fence..].trim().to_ascii_lowercase();
            let rest = &lines[at..];
            match rest.iter().position(|line| line.trimmed() == mark) {
                Some(count) => {
                    let lines = rest[..count].to_vec();
                    found.push(Part::Code { language, lines });
                    at += count + 1;
                }
                None => {
                    found.push(Part::Unclosed(*line));
                    break;
                }
            }
        } else if text.starts_with('|') {
            end(&mut paragraph, &mut found);
            let rest = &lines[at - 1..];
            let count = rest
                .iter()
                .take_while(|line| line.trimmed().starts_with('|'))
                .count();
            found.push(Part::Table(rest[..count].iter().filter_map(cells).collect()));
            at += count - 1;
        } else if text.starts_with('#') {
            end(&mut paragraph, &mut found);
            found.push(Part::Heading(text.trim_matches(['#', ' ']).to_owned()));
        } else if is_rule(text) && !paragraph.is_empty() {
            found.push(Part::Heading(paragraph.join(" ")));
            paragraph.clear();
        } else if text.is_empty() {
            end(&mut paragraph, &mut found);
        } else {
            paragraph.push(text);
        }
    }
    end(&mut paragraph, &mut found);
    found
}

fn end(paragraph: &mut Vec<&str>, found: &mut Vec<Part<'_>>) {
    if !paragraph.is_empty() {
        found.push(Part::Paragraph(paragraph.join(" ")));
        paragraph.clear();
    }
}

/// What underlines a heading.
fn is_rule(text: &str) -> bool {
    text.len() >= 3 && (text.chars().all(|c| c == '=') || text.chars().all(|c| c == '-'))
}

/// The cells of a row; none for the line under the head.
fn cells<'a>(line: &Line<'a>) -> Option<Vec<Cell<'a>>> {
    let text = line.trimmed();
    let inner = text.strip_prefix('|').unwrap_or(text);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut found = Vec::new();
    let mut start = 0;
    let mut code = false;
    let bytes = inner.as_bytes();
    for at in 0..=bytes.len() {
        match bytes.get(at) {
            Some(b'`') => code = !code,
            // A `|` in code, or behind a backslash, is part of the cell.
            Some(b'|') if code || at > 0 && bytes[at - 1] == b'\\' => {}
            Some(b'|') | None => {
                found.push(Cell {
                    text: inner[start..at].trim(),
                    line: *line,
                });
                start = at + 1;
            }
            Some(_) => {}
        }
    }
    let rule = found
        .iter()
        .all(|cell| !cell.text.is_empty() && cell.text.chars().all(|c| "-: ".contains(c)));
    (!rule).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_document() {
        let text = "Title\n=====\n\nOne\ntwo.\n\n```sql\nselect 1;\n```\n\n| T1 | T2 |\n|---|:-:|\n| `a|b` | |\n## More\n```\nx";
        let found = parts(text);
        assert!(matches!(&found[0], Part::Heading(text) if text == "Title"));
        assert!(matches!(&found[1], Part::Paragraph(text) if text == "One two."));
        assert!(matches!(&found[2], Part::Code { language, lines } if language == "sql" && lines.len() == 1));
        assert!(matches!(&found[3], Part::Table(rows) if rows.len() == 2 && rows[1][0].text == "`a|b`"));
        assert!(matches!(&found[4], Part::Heading(text) if text == "More"));
        assert!(matches!(&found[5], Part::Unclosed(_)));
    }
}
