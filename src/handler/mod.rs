//! States and handlers that are written in Rust, and what they are given.
//!
//! A [`StateHandler`] does the work of one [`State`]; a [`StateContext`] lends it the connection, and what connections
//! share. [`Handlers`] knows handlers by name, for scenarios in YAML.
//!
//! Architecture invariant: a handler owns nothing of the run. The connection is lent to the context and taken
//! out again by whoever runs it.

mod context;
mod error;
mod monitor;
mod ready;
mod registry;
mod shared;
mod state;
mod suggest;
mod transaction;
mod variable;
mod wait;
mod with;

pub use crate::coordinator::{Incoming, SendError, SharedState};
pub use context::StateContext;
pub use error::StateError;
pub use monitor::{DdlMonitor, ImportMonitor};
pub use ready::{
    ConnectedHandler, ConnectingHandler, GettingVersionHandler, InitialHandler, TestingConnectionHandler,
    VerifyingDatabaseHandler,
};
pub use registry::{HandlerError, Handlers};
pub use state::{Next, State, StateHandler, handler_fn, run_handler};
pub use variable::Variable;
pub use wait::WaitError;
pub use with::{With, WithError};
