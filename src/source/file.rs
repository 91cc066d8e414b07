//! A file's text, and places in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::{Diagnostic, Place, Span};

/// Files over this size are refused before they are read.
pub const FILE_SIZE_MAX: u64 = 8 * 1024 * 1024;

/// A file's text, with the name that people know it by.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    text: Arc<str>,
    line_starts: Arc<[usize]>,
}

/// A file that could not be read, and why. Draw `problem` with `file`, which has as much of the
/// text as is needed to point at the place.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", .file.name(), .problem.message)]
pub struct Unreadable {
    /// The file's name and, where there is a place to point at, its text.
    pub file: SourceFile,
    /// What is wrong with it.
    pub problem: Diagnostic,
}

impl SourceFile {
    /// Text that is already there. A byte order mark at its beginning is left out.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line_starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        Self {
            name: name.into(),
            text: text.into(),
            line_starts,
        }
    }

    /// Reads the file at `path`, which is also its name.
    ///
    /// # Errors
    /// When the file is missing, is a folder, may not be read, is over [`FILE_SIZE_MAX`], or is not
    /// UTF-8.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Box<Unreadable>> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refuse = |text: &str, problem| {
            Box::new(Unreadable {
                file: Self::new(name.clone(), text),
                problem,
            })
        };
        let bytes = read_bytes(path).map_err(|problem| refuse("", problem))?;
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let (text, problem) = not_utf8(error.as_bytes(), error.utf8_error().valid_up_to());
                Err(refuse(&text, problem))
            }
        }
    }

    /// The name, as it is shown: usually the path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole text, to be kept.
    pub(super) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The number of lines; an empty file has one.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.line_starts.len()
    }

    /// Where the byte `offset` is. A byte past the end counts as the end, one inside a character as
    /// that character.
    #[must_use]
    pub fn place(&self, offset: usize) -> Place {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let column = self
            .text
            .get(start..offset)
            .map_or(0, |before| before.chars().count())
            + 1;
        Place { line, column }
    }

    /// The text of `span`, as far as the file has it.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        let (start, end) = (self.floor(span.start), self.floor(span.end));
        self.text.get(start..end).unwrap_or_default()
    }

    /// The text of a line (from 1) without its line break; empty if there is no such line.
    #[must_use]
    pub fn line_text(&self, line: usize) -> &str {
        let line = self.slice(self.line_span(line));
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// The stretch of a line (from 1) with its line break.
    pub(super) fn line_span(&self, line: usize) -> Span {
        Span::new(self.line_start(line), self.line_start(line + 1))
    }

    /// The byte at which a line (from 1) begins.
    pub(super) fn line_start(&self, line: usize) -> usize {
        let index = line.saturating_sub(1);
        self.line_starts.get(index).copied().unwrap_or(self.text.len())
    }

    /// `offset`, or the nearest byte before it at which a character begins.
    pub(super) fn floor(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset)
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::whole_file("there is no such file"),
        io::ErrorKind::PermissionDenied => {
            Diagnostic::whole_file("this file may not be read: permission denied")
        }
        _ => Diagnostic::whole_file(format!("this file can't be read: {error}")),
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Diagnostic::whole_file("this is a folder, not a file"));
    }
    if metadata.len() > FILE_SIZE_MAX {
        return Err(too_big(Some(metadata.len())));
    }
    // What is not a plain file has no size that could be asked for beforehand.
    let mut bytes = Vec::new();
    (&mut file)
        .take(FILE_SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > FILE_SIZE_MAX {
        Err(too_big(None))
    } else {
        Ok(bytes)
    }
}

pub(super) fn too_big(size: Option<u64>) -> Diagnostic {
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let limit = mib(FILE_SIZE_MAX);
    let message = match size {
        Some(size) => format!(
            "this file is too big: it has {} MiB, and a scenario may have {limit} MiB",
            mib(size)
        ),
        None => format!("this file is too big: a scenario may have {limit} MiB"),
    };
    Diagnostic::whole_file(message)
        .help("generate large numbers of rows: see `load` in the language reference")
}

/// What to show of bytes that are not UTF-8: the text with stand-ins, and the problem.
fn not_utf8(bytes: &[u8], valid_up_to: usize) -> (String, Diagnostic) {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let problem = Diagnostic::whole_file("this file is UTF-16, and a scenario must be UTF-8")
            .help("save it as UTF-8 in the editor, or: iconv -f UTF-16 -t UTF-8");
        return (String::new(), problem);
    }
    let byte = bytes.get(valid_up_to).copied().unwrap_or_default();
    let text = String::from_utf8_lossy(bytes).into_owned();
    // Without the mark that `SourceFile::new` leaves out.
    let mark = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let at = valid_up_to.saturating_sub(mark);
    let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
    let problem = Diagnostic::error(span, format!("this file is not UTF-8: here is the byte 0x{byte:02X}"))
        .help("save it as UTF-8 in the editor; for bytes in SQL write x'..', for bytes as a value `!!binary` or 0x..");
    (text, problem)
}
