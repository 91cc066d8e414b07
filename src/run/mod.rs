//! Drives a plan's machines on a server and records what happens.

mod control;
mod free;
mod known;
mod live;
mod order;
mod script;
mod stage;
mod trial;
mod vain;
mod watch;

pub(crate) use known::Known;
pub use live::{Live, LiveConnection, LiveStatus};
pub use order::{Chooser, Taken};
pub use stage::{Ran, Stage, named_tables};
pub(crate) use trial::global_variable;
pub use trial::{RunSettings, TrialError, databases, drop_databases, run};
