//! Files of sqllogictest, in the dialects of SQLite, sqllogictest-rs, CockroachDB and DuckDB.

mod expected;
mod parse;
mod reader;
mod record;
mod statements;
mod writer;

pub(super) use parse::parse;
pub(super) use record::{Record, What};
pub(super) use writer::Writer;
