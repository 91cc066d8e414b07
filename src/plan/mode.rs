//! The ways in which a trial is run.

use super::orders::number_of_orders;
use super::{BarrierPlan, OrderChoice, OrdersPlan, OutcomePlan, TrialPlan, WorkloadPlan};

/// How the steps of a trial are run, with what only that way has.
#[derive(Debug)]
pub enum Mode {
    /// In the order of the file: each starts when the one before it has returned or is blocked.
    Scripted,
    /// Each connection runs through states of its own, at the same time as the others.
    Concurrent(ConcurrentPlan),
    /// In many schedules. The steps of one connection stand together in [`TrialPlan::steps`], as the states of a
    /// concurrent one do.
    Explored(ExploredPlan),
    /// There are no steps: all connections run transactions of one kind.
    Workload(WorkloadPlan),
}

/// What concurrent connections have.
#[derive(Debug, Default)]
pub struct ConcurrentPlan {
    /// Where they wait for each other.
    pub barriers: Vec<BarrierPlan>,
}

/// What a trial in many schedules has.
#[derive(Debug)]
pub struct ExploredPlan {
    /// Which schedules.
    pub orders: OrdersPlan,
    /// The outcomes that they may have; none where the file does not say.
    pub outcomes: Vec<OutcomePlan>,
}

impl TrialPlan {
    /// In which schedules the steps are run, if not in one.
    #[must_use]
    pub fn orders(&self) -> Option<&OrdersPlan> {
        match &self.mode {
            Mode::Explored(own) => Some(&own.orders),
            Mode::Scripted | Mode::Concurrent(_) | Mode::Workload(_) => None,
        }
    }

    /// Which of all schedules are run, if not one.
    #[must_use]
    pub fn order_choice(&self) -> Option<&OrderChoice> {
        self.orders().map(|orders| &orders.choice)
    }

    /// The outcomes that the file names.
    #[must_use]
    pub fn outcomes(&self) -> &[OutcomePlan] {
        match &self.mode {
            Mode::Explored(own) => &own.outcomes,
            Mode::Scripted | Mode::Concurrent(_) | Mode::Workload(_) => &[],
        }
    }

    /// The workload, if it is one.
    #[must_use]
    pub fn workload(&self) -> Option<&WorkloadPlan> {
        match &self.mode {
            Mode::Workload(own) => Some(own),
            Mode::Scripted | Mode::Concurrent(_) | Mode::Explored(_) => None,
        }
    }

    /// Where concurrent connections wait for each other.
    #[must_use]
    pub fn barriers(&self) -> &[BarrierPlan] {
        match &self.mode {
            Mode::Concurrent(own) => &own.barriers,
            Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => &[],
        }
    }

    /// The seed of what is left to chance; none where nothing is.
    #[must_use]
    pub fn seed_in_use(&self) -> Option<u64> {
        match &self.mode {
            Mode::Scripted => None,
            // Pauses before retries.
            Mode::Concurrent(_) => {
                let retries =
                    |step: &super::Step| step.coordination.on.iter().any(|(trigger, _)| trigger.is_error());
                let pauses = self.steps.iter().any(retries);
                pauses.then_some(self.seed)
            }
            Mode::Explored(own) => match &own.orders.choice {
                OrderChoice::Sample { seed, .. } => Some(*seed),
                OrderChoice::All => {
                    let cut = number_of_orders(&self.connections) > u128::from(own.orders.most);
                    cut.then_some(own.orders.seed)
                }
                OrderChoice::One(_) => None,
            },
            Mode::Workload(own) => Some(own.seed),
        }
    }
}
