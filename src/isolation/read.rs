//! Reads histories from files, whatever their format.

use std::io::BufRead;

use super::builder::HistoryBuilder;
use super::history::History;
use super::read_error::ReadError;
use super::{edn, jsonl};

/// How a history is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines, as described in `docs/histories.md`.
    JsonLines,
    /// Jepsen's EDN.
    Edn,
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
