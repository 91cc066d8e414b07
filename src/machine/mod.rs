//! One connection's state machine: a task that owns the connection and runs one state at a time.

mod acted;
mod action;
mod commanded;
mod concurrent;
mod csv;
mod ended;
mod gate;
mod handler;
mod job;
mod limit;
mod observe;
mod timestamps;
mod vars;
mod worker;

pub(crate) use commanded::{Command, Report};
pub(crate) use concurrent::{ConcurrentMachine, MachineEnv};
pub(crate) use gate::{Ask, Gate};
pub(crate) use limit::KillRequest;
pub(crate) use observe::Observer;
pub(crate) use vars::vars_of;
pub(crate) use worker::Worker;
