//! Drives a plan's machines on a server and records what happens.

mod free;
mod live;
mod script;
mod trial;

pub use live::{Live, LiveConnection, LiveStatus};
pub(crate) use trial::global_variable;
pub use trial::{RunSettings, TrialError, databases, drop_databases, run};
