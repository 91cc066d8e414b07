//! Reads the tests of a page: blocks of SQL with comments, and tables with a column for each transaction.

use crate::import::format::Mistakes;
use crate::import::lines::Line;
use crate::import::markdown::{Cell, Part, parts};
use crate::import::origin::Origin;
use crate::import::remark::Remark;
use crate::sql::{Piece, split, verb};

/// What a page has for us.
pub(crate) struct Page {
    /// Its first heading.
    pub title: String,
    pub tests: Vec<Test>,
}

/// A test.
pub(crate) struct Test {
    /// The paragraph before it.
    pub title: String,
    /// The heading above it.
    pub section: String,
    /// The setup that stands before it on the page.
    pub setup: Vec<(String, Origin)>,
    pub lines: Vec<TestLine>,
}

/// Statements that are sent one after the other, and what is said of them.
pub(crate) struct TestLine {
    pub statements: Vec<String>,
    /// Where they begin.
    pub origin: Origin,
    pub remark: Remark,
    /// Comments before them.
    pub comments: Vec<String>,
}

impl Page {
    /// Reads a page; mistakes are added to the list.
    pub(crate) fn read(mistakes: &mut Mistakes<'_>) -> Self {
        let text = mistakes.file.text().to_owned();
        let mut reader = Reader {
            page: Self {
                title: String::new(),
                tests: Vec::new(),
            },
            setup: Vec::new(),
            section: String::new(),
            paragraph: String::new(),
            mistakes,
        };
        for part in parts(&text) {
            reader.part(part);
        }
        reader.page
    }
}

struct Reader<'m, 'a> {
    page: Page,
    setup: Vec<(String, Origin)>,
    /// The last heading below the title.
    section: String,
    /// The last paragraph below that heading.
    paragraph: String,
    mistakes: &'m mut Mistakes<'a>,
}

impl Reader<'_, '_> {
    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Heading(text) if self.page.title.is_empty() => self.page.title = text,
            Part::Heading(text) => {
                self.section = text;
                self.paragraph.clear();
            }
            Part::Paragraph(text) => self.paragraph = text,
            Part::Unclosed(line) => {
                let message = "this block is never closed";
                self.mistakes
                    .error(line.span(), message, "write ``` behind its last line");
            }
            Part::Code { language, lines } if ["sql", ""].contains(&language.as_str()) => self.code(&lines),
            Part::Code { .. } => {}
            Part::Table(rows) => self.table(&rows),
        }
    }

    fn add(&mut self, lines: Vec<TestLine>) {
        self.page.tests.push(Test {
            title: self.paragraph.trim_end_matches(':').to_owned(),
            section: self.section.clone(),
            setup: self.setup.clone(),
            lines,
        });
    }

    /// A block: a test where it names transactions, the setup of the tests below it where it makes a table.
    fn code(&mut self, lines: &[Line<'_>]) {
        let lines: Vec<(Line<'_>, &str, Option<&str>)> = with_comments(lines);
        let is_test = lines
            .iter()
            .any(|(_, _, comment)| comment.is_some_and(|comment| Remark::read(comment).is_some()));
        if is_test {
            let lines = self.test(&lines);
            self.add(lines);
            return;
        }
        let Some((first, ..)) = lines.first().copied() else {
            return;
        };
        let text: Vec<&str> = lines.iter().map(|(line, ..)| line.text).collect();
        let text = text.join("\n");
        let statements = self.pieces(&text, first).into_iter();
        let statements: Vec<(String, Origin)> = statements
            .map(|piece| {
                let above = text[..piece.offset].matches('\n').count();
                (piece.text.to_owned(), self.origin(first, above))
            })
            .collect();
        let has = |wanted: &[&str]| {
            let mut verbs = statements.iter().filter_map(|(sql, _)| verb(sql));
            verbs.any(|verb| wanted.contains(&verb.as_str()))
        };
        if has(&["create"]) {
            self.setup = statements;
        } else if has(&["insert", "replace", "alter"]) {
            self.setup.extend(statements);
        }
    }

    fn test(&mut self, lines: &[(Line<'_>, &str, Option<&str>)]) -> Vec<TestLine> {
        let mut found = Vec::new();
        let mut code = String::new();
        let mut first: Option<Line<'_>> = None;
        let mut comments = Vec::new();
        for (line, text, comment) in lines {
            if !text.trim().is_empty() {
                first = first.or(Some(*line));
                if !code.is_empty() {
                    code.push('\n');
                }
                code.push_str(text.trim_end());
            }
            match comment.map(|comment| (comment, Remark::read(comment))) {
                Some((_, Some(remark))) => {
                    let before = self.mistakes.problems.len();
                    let statements = self.statements(&code, first.unwrap_or(*line));
                    if statements.is_empty() && self.mistakes.problems.len() == before {
                        self.mistakes.error(
                            line.span(),
                            "there is no statement before this comment",
                            "write it before `--`, on this line or the lines above",
                        );
                    }
                    found.push(TestLine {
                        statements,
                        origin: self.origin(first.unwrap_or(*line), 0),
                        remark,
                        comments: std::mem::take(&mut comments),
                    });
                    code.clear();
                    first = None;
                }
                Some((comment, None)) => comments.push(comment.trim().to_owned()),
                None => {}
            }
        }
        if let Some(line) = first {
            let before = self.mistakes.problems.len();
            drop(self.statements(&code, line));
            // A quote that is never closed has what follows it in itself.
            if self.mistakes.problems.len() == before {
                let label = "write `-- T1`, or another transaction, behind it";
                self.mistakes
                    .error(line.span(), "nobody sends this statement", label);
            }
        }
        found
    }

    /// The place of a line, or of one below it.
    fn origin(&self, line: Line<'_>, below: usize) -> Origin {
        Origin::of(self.mistakes.file, line.span()).below(below)
    }

    fn statements(&mut self, code: &str, line: Line<'_>) -> Vec<String> {
        let pieces = self.pieces(code, line);
        pieces.iter().map(|piece| piece.text.to_owned()).collect()
    }

    fn pieces<'c>(&mut self, code: &'c str, line: Line<'_>) -> Vec<Piece<'c>> {
        match split(code) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.mistakes
                    .error(line.span(), error.to_string(), "in the SQL that begins here");
                Vec::new()
            }
        }
    }

    /// A table with a column for each transaction, and perhaps one for what is seen.
    fn table(&mut self, rows: &[Vec<Cell<'_>>]) {
        let Some((head, rows)) = rows.split_first() else {
            return;
        };
        let owners: Vec<Option<usize>> = head
            .iter()
            .map(|cell| Remark::read(cell.text).and_then(|owner| owner.transaction))
            .collect();
        if owners.iter().all(Option::is_none) {
            return;
        }
        let mut lines = Vec::new();
        for row in rows {
            let mut said = String::new();
            let mut sent = None;
            for (cell, owner) in row.iter().zip(&owners) {
                match owner {
                    Some(number) if !cell.text.is_empty() => {
                        if sent.is_some() {
                            self.mistakes.error(
                                cell.line.span_of(cell.text),
                                "two transactions have a statement in this row",
                                "put the second one into a row of its own: they are sent one after the other",
                            );
                        }
                        let (code, comment) = code_and_remark(cell.text);
                        said = format!("{comment} {said}");
                        sent = Some((
                            *number,
                            self.statements(&code, cell.line),
                            self.origin(cell.line, 0),
                        ));
                    }
                    Some(_) => {}
                    // A number of the step, or what is to be seen.
                    None if !cell.text.chars().all(|c| c.is_ascii_digit()) => {
                        said = format!("{said} {}", cell.text.trim_matches('`'));
                    }
                    None => {}
                }
            }
            if let Some((number, statements, origin)) = sent
                && let Some(remark) = Remark::read(&format!("T{number}. {}", said.trim()))
            {
                lines.push(TestLine {
                    statements,
                    origin,
                    remark,
                    comments: Vec::new(),
                });
            }
        }
        self.add(lines);
    }
}

/// The code in a cell, and what stands behind it.
fn code_and_remark(cell: &str) -> (String, String) {
    let quoted = cell.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    let (code, comment) = quoted.unwrap_or_else(|| {
        let (code, comment) = code_and_comment(cell, &mut None);
        (code, comment.unwrap_or_default())
    });
    // In a table a `|` has a backslash, in code, too.
    let code = code.replace("\\|", "|");
    (code, comment.trim_matches(['(', ')', ' ']).to_owned())
}

/// Lines with their code and their comments.
fn with_comments<'t>(lines: &[Line<'t>]) -> Vec<(Line<'t>, &'t str, Option<&'t str>)> {
    // A text may go on over lines.
    let mut quote = None;
    lines
        .iter()
        .map(|line| {
            let (code, comment) = code_and_comment(line.text, &mut quote);
            (*line, code, comment)
        })
        .collect()
}

/// The code of a line, and the comment behind it. `quote` is what opens a text that the line before it left open.
fn code_and_comment<'t>(line: &'t str, quote: &mut Option<char>) -> (&'t str, Option<&'t str>) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match *quote {
            Some(_) if escaped => escaped = false,
            Some(open) if c == '\\' && open != '`' => escaped = true,
            Some(open) if c == open => *quote = None,
            None if matches!(c, '\'' | '"' | '`') => *quote = Some(c),
            None if line[at..].starts_with("--") => return (&line[..at], Some(line[at + 2..].trim())),
            _ => {}
        }
    }
    (line, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_in_texts_are_text() {
        let mut quote = None;
        let found = code_and_comment(r"select '-- T1\' -- ', 1; -- T2", &mut quote);
        assert_eq!(found, (r"select '-- T1\' -- ', 1; ", Some("T2")));
        assert_eq!(code_and_comment("select 'a", &mut quote), ("select 'a", None));
        assert_eq!(
            code_and_comment("-- T1' -- T3", &mut quote),
            ("-- T1' ", Some("T3"))
        );
    }

    #[test]
    fn cells_have_code_and_what_is_said_of_it() {
        let is = |cell: &str, code: &str, said: &str| {
            assert_eq!(code_and_remark(cell), (code.to_owned(), said.to_owned()));
        };
        is("`select 1` (blocks)", "select 1", "blocks");
        is(r"`select 1 \| 2`", "select 1 | 2", "");
        is("select 1 -- shows 1", "select 1 ", "shows 1");
    }
}
