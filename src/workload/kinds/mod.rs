//! The kinds of workloads: one file for each.

mod bank;
mod list_append;
mod long_fork;
mod monotonic;
mod register;
mod rw_register;
mod sequential;
mod set;
mod write_skew;

use super::kind::Kind;
use crate::plan::WorkloadPlan;
use crate::scenario::WorkloadKind;

/// The kind of a plan.
pub(super) fn of_plan(plan: &WorkloadPlan) -> Box<dyn Kind> {
    match plan.kind {
        WorkloadKind::ListAppend => Box::new(list_append::ListAppend::new(plan)),
        WorkloadKind::RwRegister => Box::new(rw_register::RwRegister::new(plan)),
        WorkloadKind::Register => Box::new(register::Register::new(plan)),
        WorkloadKind::Bank => Box::new(bank::Bank::new(plan)),
        WorkloadKind::WriteSkew => Box::new(write_skew::WriteSkew::new(plan)),
        WorkloadKind::Set => Box::new(set::Set::new(plan)),
        WorkloadKind::LongFork => Box::new(long_fork::LongFork::new(plan)),
        WorkloadKind::Monotonic => Box::new(monotonic::Monotonic::new(plan)),
        WorkloadKind::Sequential => Box::new(sequential::Sequential::new(plan)),
    }
}
