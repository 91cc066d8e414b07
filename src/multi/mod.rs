//! Many connections from Rust: a state machine for each, and two coordinators around them.
//!
//! | | for | others are reached by |
//! |---|---|---|
//! | [`StateMachine`] | one connection | – |
//! | [`SimpleMultiConnectionCoordinator`] | a few connections | shared variables, events, series |
//! | [`MultiConnectionCoordinator`] | many, watched while they run | these, and [`Message`]s |
//!
//! Architecture invariant: one connection's failure, a panic of its handler included, ends its own machine only.

mod advanced;
mod group;
mod machine;
mod message;
mod results;
mod shared;
mod simple;

pub use advanced::{Member, MultiConnectionCoordinator};
pub use group::{ConnectionsFailed, FailedConnection, RunError};
pub use machine::{MachineError, MachineFailure, MachineReport, StateMachine};
pub use message::{Envelope, Message, Received, Subscription};
pub use results::Results;
pub use shared::{ALL_CONNECTIONS_READY, ConnectionResult, SharedTestState};
pub use simple::SimpleMultiConnectionCoordinator;
