//! One connection's state machine: a task that owns the connection and runs one state at a time.

mod acted;
mod action;
mod commanded;
mod concurrent;
mod csv;
mod ended;
mod handler;
mod job;
mod limit;
mod worker;

pub(crate) use action::explain;
pub(crate) use commanded::{Command, Report};
pub(crate) use concurrent::{ConcurrentMachine, MachineEnv};
pub(crate) use limit::KillRequest;
pub(crate) use worker::Worker;
