//! What exploring has found.

use std::collections::BTreeSet;
use std::time::Duration;

use super::judging::Mismatches;
use super::outcome::OrderOutcome;
use crate::history::History;
use crate::plan::TrialPlan;
use crate::verdict::Finding;

/// The outcomes of schedules.
#[derive(Debug)]
pub struct Explored {
    /// How many schedules there are that keep each connection's own order.
    pub schedules: u128,
    /// How many were run.
    pub executed: usize,
    /// How many of those were different when it was seen which steps were blocked.
    pub distinct: usize,
    /// How many schedules are equivalent to those that were run, themselves included: the others differ only in the
    /// order of independent steps.
    pub trace_size: u128,
    /// Whether schedules were left out, since there are more than may be run, or since time was up.
    pub left_out: Option<LeftOut>,
    /// Different outcomes, the most frequent one first.
    pub outcomes: Vec<OutcomeClass>,
    /// Schedules that are not as the file says.
    pub failing: Vec<FailingSchedule>,
    /// How many failed in all.
    pub failed: usize,
    /// What happened in each of the different schedules, for whoever judges them anew.
    pub histories: Vec<History>,
    /// What holds of no single schedule: outcomes that were not seen.
    pub findings: Vec<Finding>,
    /// Prefixes that were dropped, since the server blocked other connections on replay.
    pub dropped: usize,
    /// The server, such as `embedded TiDB v8.5.4`.
    pub server: String,
    /// Whether rows were put back between two schedules, rather than databases made anew.
    pub restores: bool,
    /// How long all of it took.
    pub took: Duration,
}

/// Why schedules were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// `most` says so.
    Most(u32),
    /// The trial's limit.
    Time(Duration),
    /// Somebody did not want to wait for them.
    Stopped,
    /// They were not asked for: a sample, or one schedule.
    Asked,
}

/// Schedules with the same outcome.
#[derive(Debug, Clone)]
pub struct OutcomeClass {
    /// The outcome.
    pub outcome: OrderOutcome,
    /// The names that the file has for it.
    pub names: Vec<String>,
    /// How many were run.
    pub executed: usize,
    /// How many schedules are equivalent to those.
    pub trace_size: u128,
    /// The one with the fewest changes of connection, by the numbers of connections.
    pub schedule: Vec<usize>,
    /// What happened in that one.
    pub history: History,
}

impl OutcomeClass {
    /// A schedule that has the outcome, as `--order` takes it.
    #[must_use]
    pub fn example(&self, plan: &TrialPlan) -> String {
        let without = plan.orders().map_or(&[][..], |orders| &orders.without);
        plan.order_in_words(&plan.whole_order(&self.schedule, without))
    }
}

impl Explored {
    /// Whether every schedule, and all of them together, are as the file says.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed == 0 && self.findings.is_empty()
    }

    /// Whether both have the same outcomes.
    #[must_use]
    pub fn same_outcomes(&self, other: &Self) -> bool {
        let all = |of: &Self| {
            let classes = of.outcomes.iter();
            classes
                .map(|class| class.outcome.clone())
                .collect::<BTreeSet<_>>()
        };
        all(self) == all(other)
    }
}

/// A schedule that is not as the file says.
#[derive(Debug)]
pub struct FailingSchedule {
    /// The connections by their numbers, as they really took their steps.
    pub schedule: Vec<usize>,
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// What happened.
    pub history: History,
    /// A smaller one that fails as well, if one was found.
    pub shrunk: Option<Shrunk>,
    /// Why it has none of the outcomes, where that is what is wrong.
    pub(super) mismatches: Option<Mismatches>,
}

/// A smaller schedule that fails in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The connections by their numbers.
    pub schedule: Vec<usize>,
    /// Steps that are left out.
    pub without: Vec<usize>,
    /// How many smaller ones were tried.
    pub tried: usize,
}

/// How often the next step is another connection's.
pub(super) fn switches(schedule: &[usize]) -> usize {
    schedule.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// A number of things, such as `1 outcome` and `2 prefixes`.
pub(crate) fn counted(number: u128, one: &str) -> String {
    match (number, one.ends_with('x')) {
        (1, _) => format!("1 {one}"),
        (_, true) => format!("{number} {one}es"),
        (_, false) => format!("{number} {one}s"),
    }
}
