//! Why a text is no history, with the place: what the readers of all formats return.

use super::builder::Unusable;

/// Why a history can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The text is not a history.
    #[error("{line}:{column}: {message}")]
    Text {
        /// The line, from 1.
        line: u32,
        /// The byte in the line, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
}

impl ReadError {
    pub(super) fn at(line: u32, column: usize, message: impl Into<String>) -> Self {
        Self::Text {
            line,
            column,
            message: message.into(),
        }
    }

    /// What a builder says of a line.
    pub(super) fn of_line(line: u32, unusable: Unusable) -> Self {
        Self::at(unusable.line.unwrap_or(line), 1, unusable.message)
    }

    /// What the parser of JSON says of a line that is one document.
    pub(super) fn of_json(line: u32, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        // It says so itself at its end: of this line alone.
        let message = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(message, _)| message);
        Self::at(line, error.column().max(1), message)
    }
}
