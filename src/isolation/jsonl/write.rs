//! Writes histories as JSON lines: what its sibling reads.

use std::io::{self, Write};

use super::super::history::{Header, Status};
use super::super::transaction::{Action, Operation, Transaction};
use super::super::value::{Names, Value};
use super::header::HeaderLine;

/// Writes transactions, one a line, as they come.
///
/// Each is one write to the output, which should be buffered.
#[derive(Debug)]
pub struct JsonLinesWriter<W> {
    output: W,
    line: Vec<u8>,
}

impl<W: Write> JsonLinesWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(mut output: W, header: &Header) -> io::Result<Self> {
        serde_json::to_writer(&mut output, &HeaderLine::from(header))?;
        output.write_all(b"\n")?;
        Ok(Self {
            output,
            line: Vec::new(),
        })
    }

    /// Writes a transaction; `names` are those of its texts.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, transaction: &Transaction, names: &Names) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        line.extend_from_slice(b"{\"process\":");
        value(&mut line, transaction.process, names)?;
        for (name, number) in [
            ("invoke", transaction.invoke),
            ("return", transaction.returned),
            ("start_ts", transaction.start_ts),
            ("for_update_ts", transaction.for_update_ts),
            ("commit_ts", transaction.commit_ts),
        ] {
            if let Some(number) = number {
                write!(line, ",\"{name}\":{number}")?;
            }
        }
        let status = match transaction.status {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
        };
        write!(line, ",\"status\":\"{status}\"")?;
        if let Some(place) = transaction.place {
            line.extend_from_slice(b",\"place\":");
            value(&mut line, place, names)?;
        }
        line.extend_from_slice(b",\"ops\":[");
        for (at, written) in transaction.operations().iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            operation(&mut line, transaction, written, names)?;
        }
        line.extend_from_slice(b"]}\n");
        self.output.write_all(&line)?;
        self.line = line;
        Ok(())
    }

    /// Writes what is still in the output's buffer.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn value(line: &mut Vec<u8>, value: Value, names: &Names) -> io::Result<()> {
    match (value.as_integer(), names.as_text(value)) {
        (Some(integer), _) => write!(line, "{integer}"),
        (None, Some(text)) => Ok(serde_json::to_writer(line, text)?),
        (None, None) => line.write_all(b"null"),
    }
}

fn operation(
    line: &mut Vec<u8>,
    transaction: &Transaction,
    operation: &Operation,
    names: &Names,
) -> io::Result<()> {
    let keyed = |line: &mut Vec<u8>, verb: &str, key: Value| {
        write!(line, "[\"{verb}\",")?;
        value(line, key, names)?;
        line.write_all(b",")
    };
    match operation.action {
        Action::Append(key, written) => {
            keyed(line, "append", key)?;
            value(line, written, names)?;
        }
        Action::Write(key, written) => {
            keyed(line, "write", key)?;
            value(line, written, names)?;
        }
        Action::Read(key, seen) => {
            keyed(line, "read", key)?;
            value(line, seen, names)?;
        }
        Action::ReadList(key, at) => {
            keyed(line, "read", key)?;
            line.push(b'[');
            for (at, seen) in transaction.values(at).iter().enumerate() {
                if at > 0 {
                    line.push(b',');
                }
                value(line, *seen, names)?;
            }
            line.push(b']');
        }
        Action::Range(from, to, at) => {
            write!(line, "[\"range\",{from},{to},[")?;
            for (at, (key, seen)) in transaction.rows(at).iter().enumerate() {
                line.extend_from_slice(if at > 0 { b",[" } else { b"[" });
                value(line, *key, names)?;
                line.push(b',');
                value(line, *seen, names)?;
                line.push(b']');
            }
            line.push(b']');
        }
        Action::Count(from, to, count) => write!(line, "[\"count\",{from},{to},{count}")?,
    }
    details(line, operation, names)?;
    line.push(b']');
    Ok(())
}

fn details(line: &mut Vec<u8>, operation: &Operation, names: &Names) -> io::Result<()> {
    let Operation {
        read_ts,
        locking,
        time,
        place,
        ..
    } = operation;
    if read_ts.is_none() && !locking && time.is_none() && place.is_none() {
        return Ok(());
    }
    let mut separator = ",{";
    let mut field = |line: &mut Vec<u8>, name: &str| {
        let result = write!(line, "{separator}\"{name}\":");
        separator = ",";
        result
    };
    if let Some(ts) = read_ts {
        field(line, "ts")?;
        write!(line, "{ts}")?;
    }
    if *locking {
        field(line, "lock")?;
        line.extend_from_slice(b"true");
    }
    if let Some((sent, returned)) = time {
        field(line, "time")?;
        write!(line, "[{sent},{returned}]")?;
    }
    if let Some(place) = place {
        field(line, "place")?;
        value(line, *place, names)?;
    }
    line.push(b'}');
    Ok(())
}
