//! Many connections from Rust: a state machine for each, and a coordinator around them.
//!
//! | | for | others are reached by |
//! |---|---|---|
//! | [`StateMachine`] | one connection | – |
//! | [`MultiConnectionCoordinator`] | as many as you like, watched while they run | variables, events, barriers, series, [`Message`]s |
//!
//! What connections share, and what is kept of a run, are the same as in scenario files: [`SharedTestState`],
//! [`crate::history::History`], and a timeline.
//!
//! Architecture invariant: one connection's failure, a panic of its handler included, ends its own machine only.

mod coordinator;
mod health;
mod machine;
mod member;
mod report;
mod results;
mod run;

pub use crate::coordinator::{
    ALL_CONNECTIONS_READY, Envelope, Incoming, Message, Received, STATEMENTS_MAX, SendError,
    SharedState as SharedTestState, Subscription,
};
pub use crate::history::ConnectionRecord as ConnectionResult;
pub use coordinator::{MultiConnectionCoordinator, SimpleMultiConnectionCoordinator};
pub use health::session_lost;
pub use machine::StateMachine;
pub use member::Member;
pub use report::{
    ConnectionsFailed, FailedConnection, MachineError, MachineFailure, MachineReport, RunError,
};
pub use results::Results;
