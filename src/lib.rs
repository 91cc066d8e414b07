//! Runs YAML scenarios with many connections against a real TiDB.
//!
//! `ARCHITECTURE.md` has the table of the modules and the layers between them.
#![forbid(unsafe_code)]

pub mod connection;
pub mod coordinator;
pub mod expect;
pub mod harness;
pub mod history;
pub mod machine;
pub mod plan;
pub mod policy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
pub mod server;
pub mod source;
pub mod sql;
pub mod verdict;

pub use harness::{Harness, check};
