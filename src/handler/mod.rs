//! States and handlers that are written in Rust, and what they are given.
//!
//! A [`StateHandler`] does the work of one [`State`]; a [`StateContext`] lends it the connection, the variables
//! and what connections share ([`Coordination`]). [`Handlers`] knows handlers by name, for scenarios in YAML.
//!
//! Architecture invariant: a handler owns nothing of the run. The connection is lent to the context and taken
//! out again by whoever runs it.

mod context;
mod coordination;
mod error;
mod import;
mod ready;
mod registry;
mod state;
mod transaction;
mod variable;
mod with;

pub use context::{ContextEvent, StateContext};
pub use coordination::{Coordination, SharedSnapshot, WaitError};
pub use error::StateError;
pub use import::{ImportJob, ImportMonitor};
pub use ready::{
    ConnectedHandler, ConnectingHandler, GettingVersionHandler, InitialHandler, TestingConnectionHandler,
    VerifyingDatabaseHandler,
};
pub use registry::{HandlerError, Handlers};
pub use state::{Next, State, StateHandler, handler_fn, run_handler};
pub use variable::Variable;
pub use with::{With, WithError};
