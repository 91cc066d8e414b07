//! Runs YAML scenarios with many connections against a real TiDB.
//!
//! `ARCHITECTURE.md` has the table of the modules and the layers between them.
#![forbid(unsafe_code)]

mod bless;
pub mod connection;
mod coordinator;
mod expect;
mod explore;
pub mod handler;
pub mod harness;
pub mod history;
mod import;
pub mod isolation;
mod job;
mod lock_wait;
mod machine;
pub mod multi;
mod plan;
pub mod policy;
mod report;
mod run;
mod scenario;
pub mod schema;
pub mod server;
mod server_state;
mod source;
mod sql;
mod transaction;
mod turns;
mod verdict;
mod workload;

pub use async_trait::async_trait;
pub use connection::{ConnectionConfig, ConnectionOptions};
pub use handler::{Handlers, Next, State, StateContext, StateError, StateHandler};
pub use harness::{Harness, check};
pub use multi::{MultiConnectionCoordinator, SimpleMultiConnectionCoordinator, StateMachine};

/// What runs scenario files: from the text of a file to the verdict on its run. For tools; nothing here is promised to stay
/// as it is from one version to the next.
pub mod engine {
    pub use crate::explore::{
        Execution, ExploreSettings, Explored, JudgedSchedule, LeftOut, OrderOutcome, ReplayScheduler,
        Sandbox, ScheduledStep, Scheduler, explore, judge_schedule, judge_schedules, random_schedules,
    };
    pub use crate::plan::{
        ChosenOrder, Final, LIFECYCLE, Mode, PlanInput, Planned, Query, Step, TrialPlan, label,
        number_of_orders, plan, step_name,
    };
    pub use crate::report::{table, timeline};
    pub use crate::run::{Held, HeldConnection, Hold, Holder, RunSettings, run};
    pub use crate::source::{
        Diagnostic, Entry, Node, NodeKind, RenderStyle, Severity, SourceFile, Span, parse, render_all,
    };
    pub use crate::verdict::{Finding, Verdict, judge, outcome};
    pub use crate::workload::{
        Between, Invariant, Ran, Session, Sessions, Worked, WorkloadSettings, judge_workload, run_workload,
    };
}

/// Tables that the tests of this package look into.
#[doc(hidden)]
pub mod testing {
    pub use crate::expect::{ERROR_KEYS, Expectation, KINDS, MATCHERS, Needs, TIMED_OUT};
    pub use crate::scenario::keys;
    pub use crate::sql::{TransactionChange, by_name, classify};
}

/// The page's code is compiled as documentation tests are.
#[cfg(doctest)]
#[doc = include_str!("../docs/rust.md")]
struct RustPage;
