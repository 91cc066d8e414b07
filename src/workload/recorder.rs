//! Writes what happens, as JSON lines, while it happens.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::isolation::{Header, JsonLinesWriter, Names, Transaction};

/// How much is held back before it is written: memory stays bounded, and a write is rare.
const BUFFER: usize = 1 << 20;

/// The clock of a history and the file that takes it.
#[derive(Debug)]
pub(super) struct Recorder {
    began: Instant,
    writer: Option<Mutex<Writer>>,
}

#[derive(Debug)]
struct Writer {
    lines: JsonLinesWriter<BufWriter<File>>,
    names: Names,
    /// The first error of the file; nothing is written after it.
    failed: Option<io::Error>,
}

impl Recorder {
    /// Begins a file.
    pub(super) fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let output = BufWriter::with_capacity(BUFFER, File::create(path)?);
        Ok(Self {
            began: Instant::now(),
            writer: Some(Mutex::new(Writer {
                lines: JsonLinesWriter::new(output, header)?,
                names: Names::default(),
                failed: None,
            })),
        })
    }

    /// Records nothing: to measure what recording costs.
    pub(super) fn none() -> Self {
        Self {
            began: Instant::now(),
            writer: None,
        }
    }

    /// Whether anything is recorded.
    pub(super) fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Nanoseconds of the history's clock.
    pub(super) fn now(&self) -> u64 {
        // The checker takes 0 for no time.
        u64::try_from(self.began.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Writes a transaction.
    pub(super) fn write(&self, transaction: &Transaction) {
        let Some(writer) = &self.writer else { return };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Writer { lines, names, failed } = &mut *writer;
        if failed.is_none()
            && let Err(error) = lines.write(transaction, names)
        {
            *failed = Some(error);
        }
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// The first error of the file.
    pub(super) fn finish(&self) -> io::Result<()> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = writer.failed.take() {
            return Err(error);
        }
        writer.lines.flush()
    }
}
