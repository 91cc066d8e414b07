//! What a format has to say for itself.

use super::draft::Draft;
use crate::source::{Diagnostic, SourceFile, Span};

/// A file to import, with what belongs to it.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// What the tool printed for it, where that is kept in a file of its own.
    pub results: Option<&'a SourceFile>,
    /// Finds a file that this one includes, by the name that it has there.
    pub include: &'a dyn Fn(&str) -> Option<SourceFile>,
}

/// A mistake in a file that was to be imported.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The file.
    pub file: SourceFile,
    /// What is wrong with it.
    pub diagnostic: Diagnostic,
}

/// A format of another tool's.
pub trait Format: Sync {
    /// Its name, as `--format` takes it.
    fn name(&self) -> &'static str;

    /// The tool, as a comment in the scenario names it.
    fn tool(&self) -> &'static str;

    /// Whether a file of this name with this text is in this format.
    fn fits(&self, name: &str, text: &str) -> bool;

    /// Where the tool keeps expected results, if not in the test itself.
    fn results(&self) -> Option<Results> {
        None
    }

    /// Reads a file; mistakes are added to the list.
    fn read(&self, input: &Input<'_>, problems: &mut Vec<Problem>) -> Vec<Draft>;
}

/// Where expected results stand: beside the test, or in a folder of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Results {
    /// What their files end with, after the name of the test.
    pub extension: &'static str,
    /// The folder of the tests, and the one that has the results in its place.
    pub folders: (&'static str, &'static str),
}

/// Collects the mistakes of one file.
pub(super) struct Mistakes<'a> {
    pub file: &'a SourceFile,
    pub problems: &'a mut Vec<Problem>,
}

impl Mistakes<'_> {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.problems.push(Problem {
            file: self.file.clone(),
            diagnostic,
        });
    }

    /// What is wrong at a place, in one sentence, and beside the place what to do.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.push(Diagnostic::error(span, message).label(span, label));
    }

    /// What is wrong with the file as a whole, and what to do.
    pub(super) fn whole(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.push(Diagnostic::whole_file(message).help(help));
    }
}

/// A file's name without its folder and its extension, as a name of files here.
pub(super) fn stem(file: &SourceFile) -> String {
    let name = file.name().rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let stem = stem.trim_matches('.').replace('.', "_");
    if stem.is_empty() {
        "imported".to_owned()
    } else {
        stem
    }
}
