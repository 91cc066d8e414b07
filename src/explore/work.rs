//! What stages that run orders share: what is still to be run, and what has been.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::judging::Misfits;
use super::turns::Open;
use super::{Beginning, Came, Dependence, Given, JudgedOrder, LeftOut, Search, judge_order};
use crate::history::{History, StepRecord};
use crate::plan::{OrderChoice, TrialPlan};
use crate::run::{Ran, Stage, TrialError};
use crate::verdict::Finding;

/// So often a way is tried once more on which somebody waited, or did not, other than the time before.
const STRAYED_MAX: usize = 20;
/// So often an order is run again in which somebody was believed to wait who did not.
const DOUBTED_MAX: usize = 20;
/// So many outcomes that rest on a wait which only its length tells are run a second time before they are believed.
const GUESSED_MAX: usize = 40;

/// One order, judged.
pub(super) struct Judged {
    pub order: Vec<usize>,
    pub came: Came,
    pub stands_for: u128,
    pub names: Vec<usize>,
    pub findings: Vec<Finding>,
    pub misfits: Option<Misfits>,
    pub history: History,
}

/// What the stages share.
pub(super) struct Shared {
    open: Open,
    /// For what is drawn, where orders may be left out.
    seed: Option<u64>,
    given: Vec<Vec<usize>>,
    dependence: Arc<Dependence>,
    /// How often all was begun anew.
    renewed: usize,
    /// Stages that have an order under way, and may bring more beginnings.
    under_way: usize,
    pub started: usize,
    strayed: usize,
    doubted: usize,
    /// What orders came to in which only its length told that somebody waited.
    guessed: BTreeSet<Came>,
    /// Beginnings that were given up, since nobody could be found to go on as the time before.
    pub astray: usize,
    pub all: Vec<Judged>,
    seen: BTreeMap<Vec<usize>, usize>,
    pub cut: Option<LeftOut>,
    pub trouble: Option<TrialError>,
}

impl Shared {
    /// For the orders that are given, or for all of them, by the seed where some may be left out.
    pub fn new(given: Option<Vec<Vec<usize>>>, seed: Option<u64>, dependence: Dependence) -> Self {
        Self {
            open: match given {
                Some(_) => Open::All(Vec::new()),
                None => Open::new(seed),
            },
            seed,
            given: given.unwrap_or_default(),
            dependence: Arc::new(dependence),
            renewed: 0,
            under_way: 0,
            started: 0,
            strayed: 0,
            doubted: 0,
            guessed: BTreeSet::new(),
            astray: 0,
            all: Vec::new(),
            seen: BTreeMap::new(),
            cut: None,
            trouble: None,
        }
    }

    /// Begins anew if an order was not as what is left out relies on; from then on nothing is left out.
    fn begins_anew(&mut self, plan: &TrialPlan, ran: &Result<Ran, TrialError>) -> bool {
        let Ok(ran) = ran else {
            return false;
        };
        let fails = |record: &&StepRecord| {
            let failed = record.end.as_ref().is_some_and(|end| end.outcome.is_error());
            failed && !plan.steps[record.step].wants_error()
        };
        let mut failed = ran.history.steps.iter().filter(fails).map(|record| record.step);
        if self.dependence.holds(&mut failed) {
            return false;
        }
        tracing::debug!("an unexpected error lets go of locks; all orders are run");
        *self = Self {
            renewed: self.renewed + 1,
            under_way: self.under_way,
            guessed: std::mem::take(&mut self.guessed),
            ..Self::new(None, self.seed, Dependence::everything(plan.steps.len()))
        };
        true
    }

    /// Whether an order is to be run again, since it cannot have been as it was seen, or may not have been. It
    /// counts as not run then.
    fn doubts(&mut self, plan: &TrialPlan, ran: &Result<Ran, TrialError>) -> bool {
        let Ok(ran) = ran else {
            return false;
        };
        let again = if ran.doubtful {
            self.doubted += 1;
            self.doubted <= DOUBTED_MAX
        } else {
            let mut waits = ran.history.steps.iter().filter_map(|step| step.wait.as_ref());
            ran.complete
                && waits.any(|wait| wait.rule.is_told_by_length())
                && self.guessed.len() < GUESSED_MAX
                && self.guessed.insert(Came::of(plan, &ran.history))
        };
        if again {
            self.started -= 1;
        }
        again
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
    /// Set where no more orders are to be begun.
    pub stop: Arc<AtomicBool>,
}

enum Next {
    Begin(Beginning, Arc<Dependence>, usize),
    Given(Vec<usize>),
    /// Others may still find more.
    Later,
    Nothing,
}

impl Work {
    /// Runs orders on a stage as long as there are any.
    pub async fn run(self, mut stage: Stage) -> Stage {
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
                Next::Nothing => return stage,
                Next::Later => {
                    told.await;
                    continue;
                }
                Next::Begin(beginning, dependence, renewed) => {
                    let mut search = Search::new(beginning.clone(), &dependence, &steps);
                    let ran = stage.run(&mut search, &[]).await;
                    let found = std::mem::take(&mut search.others);
                    let mut shared = lock(&self.shared);
                    let old = shared.renewed != renewed || shared.begins_anew(&self.plan, &ran);
                    let again = !old && shared.doubts(&self.plan, &ran);
                    if old {
                        // Nothing of it is used.
                    } else if again {
                        // Who could go on was not seen as it is, so what was found from there is not used either.
                        shared.open.again(beginning);
                    } else {
                        shared.open.extend(found);
                        if search.strayed {
                            // Somebody waited, or did not, other than the time before: the way is tried once more.
                            shared.strayed += 1;
                            if shared.strayed <= STRAYED_MAX {
                                shared.started -= 1;
                                shared.open.again(beginning);
                            } else {
                                shared.astray += 1;
                            }
                        }
                        self.news.notify_waiters();
                    }
                    ran.map(|ran| (ran, old || again || search.redundant || search.strayed))
                }
                Next::Given(order) => {
                    let ran = stage.run(&mut Given::new(&order), &self.without).await;
                    let mut shared = lock(&self.shared);
                    let again = shared.doubts(&self.plan, &ran);
                    if again {
                        shared.given.push(order);
                    }
                    ran.map(|ran| (ran, again))
                }
            };
            self.take(ran);
        }
    }

    fn next(&self) -> Next {
        let mut shared = lock(&self.shared);
        if shared.trouble.is_some() {
            return Next::Nothing;
        }
        let more = !shared.open.is_empty() || !shared.given.is_empty();
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
        let next = if let Some(beginning) = shared.open.next(idle, left) {
            Next::Begin(beginning, Arc::clone(&shared.dependence), shared.renewed)
        } else if let Some(order) = shared.given.pop() {
            Next::Given(order)
        } else if !idle && shared.cut.is_none() {
            return Next::Later;
        } else {
            return Next::Nothing;
        };
        shared.under_way += 1;
        shared.started += 1;
        next
    }

    fn take(&self, ran: Result<(Ran, bool), TrialError>) {
        let judged = ran.map(|(ran, redundant)| (!redundant).then(|| self.judge(ran)));
        let mut shared = lock(&self.shared);
        shared.under_way -= 1;
        match judged {
            Ok(None) => {}
            Ok(Some(judged)) => {
                let number = shared.all.len();
                // The order that really happened is what counts, and equal ones count once.
                if shared.seen.insert(judged.order.clone(), number).is_none() {
                    shared.all.push(judged);
                }
            }
            Err(error) => drop(shared.trouble.get_or_insert(error)),
        }
        drop(shared);
        self.news.notify_waiters();
    }

    fn judge(&self, ran: Ran) -> Judged {
        let plan = &self.plan;
        let order: Vec<usize> = ran.taken.iter().map(|taken| taken.connection).collect();
        let steps: Vec<usize> = ran.taken.iter().map(|taken| taken.step).collect();
        let came = Came::of(plan, &ran.history);
        let JudgedOrder {
            outcomes,
            findings,
            misfits,
        } = judge_order(plan, &ran.history);
        let stands_for = match plan.orders.as_ref().map(|orders| &orders.choice) {
            Some(OrderChoice::All) => {
                lock(&self.shared)
                    .dependence
                    .stands_for(&steps, &let_go(&ran.history), |step| plan.steps[step].connection)
            }
            _ => 1,
        };
        Judged {
            order,
            came,
            stands_for,
            names: outcomes,
            findings,
            misfits,
            history: ran.history,
        }
    }
}

/// For each step that waited: the one that let it go on, and what its own connection did next.
fn let_go(history: &History) -> Vec<(usize, usize)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Wait, WaitRule};

    fn ran(step: usize, rule: WaitRule) -> Result<Ran, TrialError> {
        let wait = Wait {
            seen_us: 0,
            rule,
            candidates: Vec::new(),
            holders: Vec::new(),
            evidence: None,
            key: None,
            not_waiting_before: Vec::new(),
        };
        let record = StepRecord {
            step,
            wait: Some(wait),
            ..StepRecord::default()
        };
        let history = History {
            steps: vec![record],
            ..History::default()
        };
        Ok(Ran {
            taken: Vec::new(),
            complete: true,
            doubtful: false,
            history,
        })
    }

    #[test]
    fn what_only_the_length_of_a_wait_tells_is_believed_the_second_time() {
        let text = "scenario: x\nconnections:\n  a: {states: [{sql: commit}]}\n  b: {states: [{sql: commit}]}\n\
                    permutations: all\n";
        let file = crate::source::SourceFile::new("t.yaml", text);
        let mut planned = crate::plan::plan(Arc::new(file), &crate::plan::PlanInput::default());
        let plan = planned.trials.remove(0);
        let mut shared = Shared {
            started: 10,
            ..Shared::new(None, None, Dependence::everything(plan.steps.len()))
        };
        let mut doubts = |ran| shared.doubts(&plan, &ran);
        let (slow, silent) = (
            WaitRule::Committing { for_us: 300_000 },
            WaitRule::NoAnswer { for_us: 300_000 },
        );
        assert!(doubts(ran(0, slow)));
        assert!(!doubts(ran(0, slow)));
        // Another outcome: another one waited.
        assert!(doubts(ran(1, silent)));
        assert!(!doubts(ran(1, slow)));
        assert!(!doubts(ran(0, WaitRule::SameLockWaitTwice { apart_us: 24_000 })));
        assert!(!doubts(ran(0, WaitRule::MetadataLock)));
        assert_eq!(shared.started, 8, "what is run again counts once");
    }
}
