//! Takes up the lines that belong to a record.

use crate::import::format::Mistakes;
use crate::import::lines::Line;
use crate::source::Span;

/// Words that begin a record.
pub(super) const WORDS: &[&str] = &[
    "statement",
    "query",
    "connection",
    "user",
    "skipif",
    "onlyif",
    "halt",
    "hash-threshold",
    "sleep",
    "include",
    "loop",
    "foreach",
    "concurrentloop",
    "concurrentforeach",
    "endloop",
    "mode",
    "control",
    "subtest",
    "let",
    "system",
    "require",
    "require-env",
    "load",
    "restart",
    "repeat",
    "awaitstatement",
    "awaitquery",
    "reconnect",
    "set",
    "test-env",
    "unzip",
    "kv-batch-size",
    "traceon",
    "traceoff",
    "tags",
    "continue",
];

pub(super) struct Reader<'t, 'm, 'a> {
    pub(super) lines: Vec<Line<'t>>,
    pub(super) at: usize,
    pub(super) comments: Vec<String>,
    pub(super) conditions: Vec<(bool, String)>,
    pub(super) mistakes: &'m mut Mistakes<'a>,
}

impl<'t> Reader<'t, '_, '_> {
    /// The lines up to an empty one or `----`, and whether that was `----`.
    pub(super) fn body(&mut self, head: Line<'t>) -> Option<(String, bool)> {
        let mut found = Vec::new();
        let mut results = false;
        while let Some(line) = self.lines.get(self.at) {
            if line.is_blank() {
                break;
            }
            self.at += 1;
            if line.trimmed() == "----" {
                results = true;
                break;
            }
            if !line.text.starts_with('#') {
                found.push(line.text);
            }
        }
        let sql = found.join("\n").trim().to_owned();
        if sql.is_empty() {
            self.mistakes.error(
                head.span(),
                "there is no SQL below this line",
                "write it on the next line",
            );
            return None;
        }
        Some((sql, results))
    }

    /// The lines under `----`, up to an empty one.
    pub(super) fn results(&mut self) -> Vec<(String, Span)> {
        let mut found = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            if line.text.is_empty() || line.is_blank() {
                break;
            }
            found.push((line.text.to_owned(), line.span()));
            self.at += 1;
        }
        found
    }

    /// The text of an error under `----`: one empty line may stand in it.
    pub(super) fn message(&mut self) -> String {
        let mut found: Vec<String> = Vec::new();
        loop {
            found.extend(self.results().into_iter().map(|(line, _)| line));
            let next = self.lines.get(self.at + 1);
            let goes_on = next.is_some_and(|line| {
                let word = line.text.split_whitespace().next();
                !line.is_blank()
                    && !line.text.starts_with('#')
                    && !word.is_some_and(|word| WORDS.contains(&word))
            });
            if !goes_on {
                return found.join("\n");
            }
            found.push(String::new());
            self.at += 1;
        }
    }
}
