//! What sandboxes that run schedules share: what is still to be run, and what has been.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::dpor::{DporSearch, Prefix};
use super::explored::LeftOut;
use super::frontier::Frontier;
use super::independence::DependencyRelation;
use super::judging::{JudgedSchedule, Mismatches, judge_schedule};
use super::outcome::OrderOutcome;
use super::replay::ReplayScheduler;
use super::sandbox::{Execution, Sandbox};
use super::trace_count::trace_size;
use crate::history::{History, StepEnd};
use crate::plan::{OrderChoice, TrialPlan};
use crate::run::TrialError;
use crate::verdict::Finding;

/// So often a prefix is run once more on which the server blocked other connections than the time before.
const DIVERGED_MAX: usize = 20;
/// One schedule, judged.
pub(super) struct Judged {
    pub schedule: Vec<usize>,
    pub outcome: OrderOutcome,
    pub trace_size: u128,
    pub names: Vec<usize>,
    pub findings: Vec<Finding>,
    pub mismatches: Option<Mismatches>,
    pub history: History,
}

/// What the sandboxes share.
pub(super) struct Shared {
    frontier: Frontier,
    /// For what is drawn, where schedules may be left out.
    seed: Option<u64>,
    given: Vec<Vec<usize>>,
    relation: Arc<DependencyRelation>,
    /// How often all was begun anew.
    renewed: usize,
    /// Sandboxes that have a schedule under way, and may bring more prefixes.
    under_way: usize,
    pub started: usize,
    diverged: usize,
    /// Prefixes that were dropped, since the server blocked other connections on replay again and again.
    pub dropped: usize,
    pub all: Vec<Judged>,
    seen: BTreeMap<Vec<usize>, usize>,
    pub cut: Option<LeftOut>,
    pub trouble: Option<TrialError>,
}

impl Shared {
    /// For the schedules that are given, or for all of them, by the seed where some may be left out.
    pub fn new(given: Option<Vec<Vec<usize>>>, seed: Option<u64>, relation: DependencyRelation) -> Self {
        Self {
            frontier: match given {
                Some(_) => Frontier::All(Vec::new()),
                None => Frontier::new(seed),
            },
            seed,
            given: given.unwrap_or_default(),
            relation: Arc::new(relation),
            renewed: 0,
            under_way: 0,
            started: 0,
            diverged: 0,
            dropped: 0,
            all: Vec::new(),
            seen: BTreeMap::new(),
            cut: None,
            trouble: None,
        }
    }

    /// Begins anew if a schedule was not as what is left out relies on; from then on nothing is left out.
    fn begins_anew(&mut self, plan: &TrialPlan, ran: &Result<Execution, TrialError>) -> bool {
        let Ok(ran) = ran else {
            return false;
        };
        let ended = ran
            .history
            .steps
            .iter()
            .filter_map(|record| Some((record.step, record.end.as_ref()?)));
        let fails = |(step, end): &(usize, &StepEnd)| {
            end.outcome.is_error() && !plan.steps[*step].expects_error(&end.outcome)
        };
        let (failed, others): (Vec<_>, Vec<_>) = ended.partition(fails);
        let holds = self.relation.holds(failed.iter().map(|(step, _)| *step));
        let differs = |(step, end): &&(usize, &StepEnd)| {
            let told = end
                .flags
                .map(|flags| self.relation.is_as_told(*step, flags.in_transaction));
            told == Some(false)
        };
        match others.iter().find(differs) {
            None if holds => return false,
            None => tracing::debug!("an unexpected error releases locks; all schedules are run"),
            Some((step, _)) => {
                tracing::debug!(
                    step,
                    "its transaction is not what its text tells; all schedules are run"
                );
            }
        }
        *self = Self {
            renewed: self.renewed + 1,
            under_way: self.under_way,
            ..Self::new(None, self.seed, DependencyRelation::everything(plan.steps.len()))
        };
        true
    }
}

pub(super) fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
pub(super) struct Work {
    pub plan: Arc<TrialPlan>,
    pub shared: Arc<Mutex<Shared>>,
    /// Told of when there is more to do, or nothing under way any more.
    pub news: Arc<Notify>,
    pub deadline: Instant,
    pub most: u32,
    /// Steps that are left out.
    pub without: Vec<usize>,
    /// Set where no more schedules are to be begun.
    pub stop: Arc<AtomicBool>,
}

enum Next {
    Begin(Prefix, Arc<DependencyRelation>, usize),
    Given(Vec<usize>),
    /// Others may still find more.
    Later,
    Nothing,
}

impl Work {
    /// Runs schedules in a sandbox as long as there are any.
    pub async fn run(self, mut sandbox: Sandbox) -> Sandbox {
        let steps: Vec<_> = self
            .plan
            .connections
            .iter()
            .map(|own| own.states.clone())
            .collect();
        let news = Arc::clone(&self.news);
        loop {
            // Asked for before it is looked what there is to do, so that none is missed.
            let told = news.notified();
            let ran = match self.next() {
                Next::Nothing => return sandbox,
                Next::Later => {
                    told.await;
                    continue;
                }
                Next::Begin(prefix, relation, renewed) => {
                    let mut search = DporSearch::new(prefix.clone(), &relation, &steps);
                    let ran = sandbox.run(&mut search, &[]).await;
                    let unused = self.searched(&ran, prefix, search, renewed);
                    ran.map(|ran| (ran, unused))
                }
                Next::Given(schedule) => {
                    let mut replay = ReplayScheduler::new(&schedule);
                    let ran = sandbox.run(&mut replay, &self.without).await;
                    ran.map(|ran| (ran, false))
                }
            };
            self.take(ran);
        }
    }

    /// Takes note of what a run of the search has found; tells whether the run itself is not to be used.
    fn searched(
        &self,
        ran: &Result<Execution, TrialError>,
        prefix: Prefix,
        search: DporSearch<'_>,
        renewed: usize,
    ) -> bool {
        let mut shared = lock(&self.shared);
        if shared.renewed != renewed || shared.begins_anew(&self.plan, ran) {
            return true;
        }
        shared.frontier.extend(search.others);
        if search.diverged {
            // The server blocked other connections than the time before: the prefix is run once more.
            shared.diverged += 1;
            if shared.diverged <= DIVERGED_MAX {
                shared.started -= 1;
                shared.frontier.again(prefix);
            } else {
                shared.dropped += 1;
            }
        }
        self.news.notify_waiters();
        search.sleep_blocked || search.diverged
    }

    fn next(&self) -> Next {
        let mut shared = lock(&self.shared);
        if shared.trouble.is_some() {
            return Next::Nothing;
        }
        let more = !shared.frontier.is_empty() || !shared.given.is_empty();
        let left = (self.most as usize).saturating_sub(shared.started);
        let idle = shared.under_way == 0;
        if more && left == 0 {
            // What is under way may have to be run again, which counts as one.
            if !idle {
                return Next::Later;
            }
            shared.cut = Some(LeftOut::Most(self.most));
            return Next::Nothing;
        }
        if more && self.stop.load(Ordering::Relaxed) {
            shared.cut = Some(LeftOut::Stopped);
            return Next::Nothing;
        }
        if more && Instant::now() >= self.deadline {
            shared.cut = Some(LeftOut::Time(self.plan.timeout));
            return Next::Nothing;
        }
        let next = if let Some(prefix) = shared.frontier.next(idle, left) {
            Next::Begin(prefix, Arc::clone(&shared.relation), shared.renewed)
        } else if let Some(schedule) = shared.given.pop() {
            Next::Given(schedule)
        } else if !idle && shared.cut.is_none() {
            return Next::Later;
        } else {
            return Next::Nothing;
        };
        shared.under_way += 1;
        shared.started += 1;
        next
    }

    fn take(&self, ran: Result<(Execution, bool), TrialError>) {
        let judged = ran.map(|(ran, unused)| (!unused).then(|| self.judge(ran)));
        let mut shared = lock(&self.shared);
        shared.under_way -= 1;
        match judged {
            Ok(None) => {}
            Ok(Some(judged)) => {
                let number = shared.all.len();
                // The schedule that really happened is what counts, and equal ones count once.
                if shared.seen.insert(judged.schedule.clone(), number).is_none() {
                    shared.all.push(judged);
                }
            }
            Err(error) => drop(shared.trouble.get_or_insert(error)),
        }
        drop(shared);
        self.news.notify_waiters();
    }

    fn judge(&self, ran: Execution) -> Judged {
        let plan = &self.plan;
        let steps: Vec<usize> = ran.scheduled.iter().map(|one| one.step).collect();
        let JudgedSchedule {
            outcomes,
            findings,
            mismatches,
        } = judge_schedule(plan, &ran.history);
        let searched = plan.order_choice() == Some(&OrderChoice::All);
        let relation = Arc::clone(&lock(&self.shared).relation);
        let connection_of = |step: usize| plan.steps[step].connection;
        Judged {
            schedule: ran.scheduled.iter().map(|one| one.connection).collect(),
            outcome: OrderOutcome::of(plan, &ran.history),
            trace_size: if searched {
                trace_size(&relation, &steps, &unblocked(&ran.history), connection_of)
            } else {
                1
            },
            names: outcomes,
            findings,
            mismatches,
            history: ran.history,
        }
    }
}

/// For each step that was blocked: the one that unblocked it, and what its own connection did next.
fn unblocked(history: &History) -> Vec<(usize, usize)> {
    let steps = &history.steps;
    let pairs = steps.iter().enumerate().filter_map(|(number, record)| {
        let ended = record.wait.as_ref().and(record.end.as_ref())?.at_us;
        let mut later = steps[number + 1..].iter();
        let next = later
            .clone()
            .find(|other| other.connection == record.connection)?;
        let last = later.rfind(|other| other.connection != record.connection && other.started_us <= ended)?;
        Some((last.step, next.step))
    });
    pairs.collect()
}
