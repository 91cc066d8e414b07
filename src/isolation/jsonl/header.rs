//! The first line: what is known of the whole history.

use serde::{Deserialize, Serialize};

use super::super::history::{Header, IsolationSetting, ReadLock, TransactionMode};
use super::super::read_error::ReadError;

/// The version of the format that is read and written.
const VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderLine {
    history: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_lock: Option<Lock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Pessimistic,
    Optimistic,
}

#[derive(Debug, Serialize, Deserialize)]
enum Isolation {
    #[serde(rename = "repeatable read")]
    RepeatableRead,
    #[serde(rename = "read committed")]
    ReadCommitted,
}

#[derive(Debug, Serialize, Deserialize)]
enum Lock {
    #[serde(rename = "plain")]
    Plain,
    #[serde(rename = "for update")]
    ForUpdate,
}

impl From<HeaderLine> for Header {
    fn from(line: HeaderLine) -> Self {
        Self {
            workload: line.workload,
            mode: line.mode.map(|mode| match mode {
                Mode::Pessimistic => TransactionMode::Pessimistic,
                Mode::Optimistic => TransactionMode::Optimistic,
            }),
            isolation: line.isolation.map(|isolation| match isolation {
                Isolation::RepeatableRead => IsolationSetting::RepeatableRead,
                Isolation::ReadCommitted => IsolationSetting::ReadCommitted,
            }),
            read_lock: line.read_lock.map(|lock| match lock {
                Lock::Plain => ReadLock::Plain,
                Lock::ForUpdate => ReadLock::ForUpdate,
            }),
            seed: line.seed,
            repeat: line.repeat,
            total: line.total,
        }
    }
}

impl From<&Header> for HeaderLine {
    fn from(header: &Header) -> Self {
        Self {
            history: VERSION,
            workload: header.workload.clone(),
            mode: header.mode.map(|mode| match mode {
                TransactionMode::Pessimistic => Mode::Pessimistic,
                TransactionMode::Optimistic => Mode::Optimistic,
            }),
            isolation: header.isolation.map(|isolation| match isolation {
                IsolationSetting::RepeatableRead => Isolation::RepeatableRead,
                IsolationSetting::ReadCommitted => Isolation::ReadCommitted,
            }),
            read_lock: header.read_lock.map(|lock| match lock {
                ReadLock::Plain => Lock::Plain,
                ReadLock::ForUpdate => Lock::ForUpdate,
            }),
            seed: header.seed,
            repeat: header.repeat.clone(),
            total: header.total,
        }
    }
}

/// Reads it.
pub(super) fn header(text: &[u8], number: u32) -> Result<Header, ReadError> {
    #[derive(Deserialize)]
    struct Version {
        history: Option<u64>,
    }
    let version: Version =
        serde_json::from_slice(text).map_err(|error| ReadError::of_json(number, &error))?;
    match version.history {
        Some(VERSION) => {}
        Some(other) => {
            return Err(ReadError::at(
                number,
                1,
                format!("this is version {other} of the format, and version {VERSION} is what is read here"),
            ));
        }
        None => {
            return Err(ReadError::at(
                number,
                1,
                "the first line is no header; write `{\"history\": 1}` before the transactions",
            ));
        }
    }
    let line: HeaderLine =
        serde_json::from_slice(text).map_err(|error| ReadError::of_json(number, &error))?;
    Ok(line.into())
}
