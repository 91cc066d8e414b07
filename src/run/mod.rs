//! Drives a plan's machines on a server and records what happens.

mod always;
mod blocked;
mod checks;
mod clock;
mod concurrent;
mod connect;
mod control;
mod database;
mod driver;
mod ending;
mod error;
mod globals;
mod held;
mod hold;
mod killed;
mod limits;
mod live;
mod on_failure;
mod scripted;
mod server_scope;
mod settings;
mod state_graph;
mod trial;
mod watch;

pub(crate) use checks::{final_checks, only_reads};
pub(crate) use connect::{check_files, connect};
pub(crate) use control::{Control, Controls};
pub use database::{databases, drop_databases};
pub(crate) use database::{drop_on, prepare, tear_down, vars_with_names};
pub(crate) use driver::{Driver, SessionSlot};
pub use error::TrialError;
pub(crate) use globals::global_variable;
pub use held::{Held, HeldConnection, Hold, Holder};
pub(crate) use limits::POLL_EVERY;
#[cfg(test)]
pub(crate) use live::LiveConnection;
pub use live::{Live, LiveStatus};
pub(crate) use on_failure::OnFailure;
pub(crate) use server_scope::server_scope;
pub use settings::RunSettings;
pub use trial::run;
pub(crate) use watch::{Confidence, StepProgress};
