//! Drives a plan's machines on a server and records what happens.

mod script;
mod trial;

pub(crate) use trial::global_variable;
pub use trial::{RunSettings, TrialError, databases, drop_databases, run};
