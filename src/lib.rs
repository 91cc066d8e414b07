//! Runs YAML scenarios with many connections against a real TiDB.
//!
//! `ARCHITECTURE.md` has the table of the modules and the layers between them.
#![forbid(unsafe_code)]

pub mod connection;
pub mod history;
pub mod server;
pub mod source;
pub mod sql;
