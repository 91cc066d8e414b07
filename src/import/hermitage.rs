//! Hermitage's pages: Markdown in which each block of SQL is a test, and comments say who does what.

use super::dialect::portable;
use super::draft::{Draft, Statement};
use super::format::{Format, Input, Mistakes, Problem, stem};
use super::names::{Names, Use};
use super::page::{Page, Test, steps};
use super::sql_text::literal;

/// The format.
pub(super) struct Hermitage;

impl Format for Hermitage {
    fn name(&self) -> &'static str {
        "hermitage"
    }

    fn tool(&self) -> &'static str {
        "Hermitage"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        name.ends_with(".md") && (text.contains("-- T1") || text.contains("| T1"))
    }

    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft> {
        let before = problems.len();
        let mut mistakes = Mistakes {
            file: input.file,
            problems,
        };
        let page = Page::read(&mut mistakes);
        if page.tests.is_empty() && mistakes.problems.len() == before {
            mistakes.whole(
                "there is no test on this page",
                "a test is a ```sql block in which `-- T1` and `-- T2` stand behind the statements",
            );
        }
        if problems.len() > before {
            Vec::new()
        } else {
            drafts(&page, &stem(input.file))
        }
    }
}

fn drafts(page: &Page, stem: &str) -> Vec<Draft> {
    let mut files = Names::new(Use::File);
    let single = page.tests.len() == 1;
    page.tests
        .iter()
        .map(|test| {
            let titles = [&test.title, &test.section, &page.title];
            let title = titles.iter().find(|title| !title.is_empty());
            let title = title.map_or(stem, |title| title.as_str());
            let mut draft = Draft {
                name: files.another(if single { stem } else { title }),
                title: title.to_owned(),
                setup: setup(test),
                ..Draft::default()
            };
            if !test.section.is_empty() && test.section != title {
                draft.comments.push(test.section.clone());
            }
            steps(test, &mut draft);
            draft
        })
        .collect()
}

fn setup(test: &Test) -> Vec<Statement> {
    let statements = test.setup.iter().map(|(sql, origin)| {
        let found = portable(sql);
        Statement {
            comments: origin.notes(found.notes).collect(),
            text: found.text.map(|text| literal(&text)).unwrap_or_default(),
        }
    });
    statements.collect()
}
