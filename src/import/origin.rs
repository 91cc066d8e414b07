//! Where something stands in a file that is imported, and the comments that name it.

use std::fmt::{Display, Formatter, Result as FmtResult};

use crate::source::{SourceFile, Span};

/// How each note begins, so that they can be searched for.
pub(super) const NOTE: &str = "import: ";

/// A place in a file that is imported: the file's name without its folders, and the line; none for the whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    file: String,
    line: Option<usize>,
}

impl Origin {
    /// The line that this begins on.
    pub(super) fn of(file: &SourceFile, span: Span) -> Self {
        Self {
            line: Some(file.place(span.start).line),
            ..Self::whole(file)
        }
    }

    /// A whole file.
    pub(super) fn whole(file: &SourceFile) -> Self {
        let name = file.name().rsplit(['/', '\\']).next().unwrap_or_default();
        Self {
            file: name.to_owned(),
            line: None,
        }
    }

    /// So many lines below it.
    pub(super) fn below(self, lines: usize) -> Self {
        Self {
            line: self.line.map(|line| line + lines),
            ..self
        }
    }

    /// The comment for what is not taken from here, or not as it stood.
    pub(super) fn note(&self, text: impl AsRef<str>) -> String {
        format!("{NOTE}{self}: {}", text.as_ref())
    }

    /// Such a comment for each of these.
    pub(super) fn notes<'t>(
        &'t self,
        texts: impl IntoIterator<Item = impl AsRef<str>> + 't,
    ) -> impl Iterator<Item = String> + 't {
        texts.into_iter().map(|text| self.note(text))
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> FmtResult {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_the_file_and_the_line() {
        let file = SourceFile::new("t/ddl/a.test", "select 1;\nperl;\n");
        let origin = Origin::of(&file, Span::new(10, 14));
        assert_eq!(
            origin.note("not taken: perl"),
            "import: a.test:2: not taken: perl"
        );
        assert_eq!(Origin::whole(&file).note("x"), "import: a.test: x");
    }
}
