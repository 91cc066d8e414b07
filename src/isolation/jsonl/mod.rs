//! Histories as JSON lines: a header, then one transaction a line. `docs/histories.md` describes them.

mod header;
mod line;
mod write;

use std::io::{BufRead, Read as _};

use serde::de::DeserializeSeed as _;

use super::builder::HistoryBuilder;
use super::read_error::ReadError;
use super::transaction::Transaction;
use header::header;
use line::Line;
pub use write::JsonLinesWriter;

/// The longest line.
const LINE_MAX: u64 = 256 << 20;

/// Reads lines into a builder.
pub(super) fn read(mut input: impl BufRead, builder: &mut HistoryBuilder) -> Result<(), ReadError> {
    let mut text = Vec::new();
    let mut transaction = Transaction::default();
    let mut scratch = Vec::new();
    let mut number = 0_u32;
    let mut has_header = false;
    loop {
        text.clear();
        let count = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut text)?;
        if count == 0 {
            break;
        }
        number += 1;
        if u64::try_from(count).is_ok_and(|count| count == LINE_MAX) {
            return Err(ReadError::at(
                number,
                1,
                "the line is longer than 256 MiB; write one transaction a line",
            ));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        if !has_header {
            *builder.header_mut() = header(&text, number)?;
            has_header = true;
            continue;
        }
        transaction.clear();
        transaction.line = Some(number);
        let mut line = Line {
            names: builder.names_mut(),
            transaction: &mut transaction,
            scratch: &mut scratch,
        };
        let mut json = serde_json::Deserializer::from_slice(&text);
        line.deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| ReadError::of_json(number, &error))?;
        builder
            .add(&transaction)
            .map_err(|unusable| ReadError::of_line(number, unusable))?;
    }
    Ok(())
}
