//! Runs YAML scenarios with many connections against a real TiDB.
//!
//! `ARCHITECTURE.md` has the table of the modules and the layers between them.
#![forbid(unsafe_code)]

mod bless;
pub mod connection;
pub mod coordinator;
pub mod expect;
pub mod explore;
pub mod handler;
pub mod harness;
pub mod history;
pub mod import;
pub mod isolation;
mod job;
mod lock_wait;
pub mod machine;
pub mod multi;
pub mod plan;
pub mod policy;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schema;
pub mod server;
pub mod server_state;
pub mod source;
pub mod sql;
mod transaction;
pub mod turns;
pub mod verdict;

pub use async_trait::async_trait;
pub use connection::{ConnectionConfig, ConnectionOptions};
pub use handler::{Handlers, Next, State, StateContext, StateError, StateHandler};
pub use harness::{Harness, check};
pub use multi::{MultiConnectionCoordinator, SimpleMultiConnectionCoordinator, StateMachine};

/// The page's code is compiled as documentation tests are.
#[cfg(doctest)]
#[doc = include_str!("../docs/rust.md")]
struct RustPage;
