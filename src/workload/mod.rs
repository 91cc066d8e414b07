//! Workloads: many connections run transactions of one kind at full speed, their history is recorded, and judged.
//!
//! The way: `kinds` (what a transaction does) → `client` and `operations` (one
//! connection: runs and records operations) → `attempt` (one
//! transaction, and what is known of its end) → `run` (all connections) → `judge` (the file of the history, by
//! `isolation`).
//!
//! Lines are written to a buffer, which costs next to nothing. Timestamps come with the first query of each transaction,
//! those of a commit with the next one's: no further statement is sent for them, but TiDB plans such a query anew each time.
//! `tests/live/workloads/cost.rs` measures both.

mod attempt;
mod chooser;
mod client;
mod contention;
mod judge;
mod kind;
mod kinds;
mod operations;
mod recorder;
mod run;
mod session;
mod shared;
mod summary;
mod table;

pub use judge::{Worked, judge_workload};
pub use kind::Invariant;
pub use run::{WorkloadSettings, run_workload};
pub use session::{Between, Session, Sessions};
pub use summary::Ran;
