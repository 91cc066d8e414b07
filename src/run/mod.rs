//! Drives a plan's machines on a server and records what happens.

mod control;
mod error;
mod free;
mod known;
mod limits;
mod live;
mod order;
mod script;
mod stage;
mod trial;
mod vain;
mod watch;

pub use error::TrialError;
pub(crate) use known::Known;
pub use live::{Live, LiveConnection, LiveStatus};
pub use order::{Chooser, Taken};
pub use stage::{Ran, Stage};
pub(crate) use trial::global_variable;
pub use trial::{RunSettings, databases, drop_databases, run};
