//! Reads histories from files, whatever their format.

use std::io::BufRead;

use super::builder::{HistoryBuilder, Unusable};
use super::history::History;
use super::{edn, jsonl};

/// How a history is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines, as described in `docs/histories.md`.
    JsonLines,
    /// Jepsen's EDN.
    Edn,
}

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
}

/// Reads a history; without a format, what the text begins with tells it.
///
/// # Errors
/// An input that ends in an error, or a text that is no history, with line and column.
pub fn read_history(mut input: impl BufRead, format: Option<Format>) -> Result<History, ReadError> {
    let format = match format {
        Some(format) => format,
        None => guess(input.fill_buf()?),
    };
    let mut builder = HistoryBuilder::new();
    match format {
        Format::JsonLines => jsonl::read(input, &mut builder)?,
        Format::Edn => edn::jepsen::read(input, &mut builder)?,
    }
    let history = builder.finish();
    if history.transactions() == 0 {
        return Err(ReadError::at(
            1,
            1,
            "the history has no transaction; nothing can be said of it",
        ));
    }
    Ok(history)
}

/// JSON's objects begin with a brace and a quote, Clojure's maps hold keywords.
fn guess(start: &[u8]) -> Format {
    let start = start.trim_ascii_start();
    let inside = start.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    match inside {
        Some(inside) if inside.starts_with(b"\"") || inside.starts_with(b"}") || inside.is_empty() => {
            Format::JsonLines
        }
        None if start.is_empty() => Format::JsonLines,
        _ => Format::Edn,
    }
}
