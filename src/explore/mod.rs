//! Runs the steps of a plan in every schedule that keeps each connection's own order, and tells their outcomes.

mod dpor;
mod exploration;
mod explored;
mod footprint;
mod footprints;
mod frontier;
mod independence;
mod interleaving;
mod judging;
mod outcome;
mod random_schedules;
mod replay;
mod sandbox;
mod scheduler;
mod sequence;
mod shrink;
mod starvation;
mod summary;
mod trace_count;
mod work;

pub use exploration::{ExploreSettings, SANDBOXES, explore};
pub(crate) use explored::counted;
pub use explored::{Explored, FailingSchedule, LeftOut, OutcomeClass, Shrunk};
pub use judging::{JudgedSchedule, judge_schedule, judge_schedules};
pub use outcome::OrderOutcome;
pub use random_schedules::random_schedules;
pub use replay::ReplayScheduler;
pub use sandbox::{Execution, Sandbox};
pub use scheduler::{ScheduledStep, Scheduler};
