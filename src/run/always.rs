//! Asks `always` while concurrent connections run: between their statements, at moments at which none runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::checks::query_record;
use super::control::Controls;
use super::limits::{IDLE_MAX, POLL_EVERY};
use crate::coordinator::Coordinator;
use crate::history::{AlwaysCount, CheckId, CheckRecord};
use crate::lock_wait::LockView;
use crate::machine::{Ask, Gate, vars_of};
use crate::plan::{ControlId, Query, TrialPlan};

/// One query of `always`.
#[derive(Debug)]
struct One {
    /// The final expectation and the number within it.
    check: (usize, usize),
    /// How often it is asked; after each statement that may have changed something, where it does not say.
    every: Option<(Duration, Instant)>,
    asked: u32,
    missed: u32,
}

/// Why `always` is to be asked.
#[derive(Debug)]
pub(super) enum Due {
    /// A statement may have changed something.
    Changed(Ask),
    /// It is time for one that is asked every so often.
    Time,
}

/// The queries of `always`, and when they are asked.
#[derive(Debug)]
pub(super) struct Always {
    plan: Arc<TrialPlan>,
    coordinator: Arc<Coordinator>,
    queries: Vec<One>,
    gate: Arc<Gate>,
    asks: Option<mpsc::UnboundedReceiver<Ask>>,
    checks: Vec<CheckRecord>,
}

impl Always {
    pub fn new(plan: &Arc<TrialPlan>, coordinator: &Arc<Coordinator>) -> Self {
        let mut queries = Vec::new();
        for (number, one) in plan.finals.iter().enumerate() {
            for (index, query) in one.always.iter().enumerate() {
                queries.push(One {
                    check: (number, index),
                    every: query.every.map(|every| (every, Instant::now() + every)),
                    asked: 0,
                    missed: 0,
                });
            }
        }
        let after_changes = queries.iter().any(|one| one.every.is_none());
        let (sender, asks) = mpsc::unbounded_channel();
        Self {
            plan: Arc::clone(plan),
            coordinator: Arc::clone(coordinator),
            queries,
            gate: Arc::new(Gate::new(after_changes.then_some(sender))),
            asks: Some(asks),
            checks: Vec::new(),
        }
    }

    /// What holds statements back while one is asked; nothing, where none is to be asked.
    pub fn gate(&self) -> Option<Arc<Gate>> {
        (!self.queries.is_empty()).then(|| Arc::clone(&self.gate))
    }

    /// Waits until one is to be asked.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub async fn next(&mut self) -> Due {
        let times = self.queries.iter().filter_map(|one| one.every);
        let soonest = times.map(|(_, next)| next).min();
        let time = async {
            match soonest {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        let ask = async {
            match &mut self.asks {
                Some(asks) => match asks.recv().await {
                    Some(ask) => ask,
                    None => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ask = ask => Due::Changed(ask),
            () = time => Due::Time,
        }
    }

    /// Asks those that are due, at a moment at which no statement runs; those that begin meanwhile are held back.
    pub async fn look(&mut self, due: Due, controls: &mut Controls) {
        let now = Instant::now();
        let mut waiting = Vec::new();
        let (changed, mut after) = match due {
            Due::Changed(ask) => {
                let record = ask.record;
                waiting.push(ask);
                (true, Some(record))
            }
            Due::Time => (false, None),
        };
        let closed = self.gate.close();
        let idle = self.is_idle(controls).await;
        // Whoever has come in the meantime is looked at with this.
        while let Some(ask) = self.asks.as_mut().and_then(|asks| asks.try_recv().ok()) {
            after = Some(ask.record);
            waiting.push(ask);
        }
        let after = self.coordinator.look_at_steps(|steps| {
            let record = after.or(steps.len().checked_sub(1));
            let record = record.and_then(|record| steps.get(record));
            record.map(|record| record.step)
        });
        for number in 0..self.queries.len() {
            let one = &mut self.queries[number];
            let is_due = match &mut one.every {
                Some((every, next)) if *next <= now => {
                    *next = now + *every;
                    true
                }
                Some(_) => false,
                None => changed,
            };
            if is_due && idle {
                one.asked += 1;
                self.ask(number, after, controls).await;
            } else if is_due {
                one.missed += 1;
            }
        }
        drop(closed);
        for ask in waiting {
            // Whoever asked may be gone by now.
            let _ = ask.done.send(());
        }
    }

    /// Waits until no statement runs. One that waits for a lock does not run, as the server shows; one that runs on for
    /// longer is not waited for.
    async fn is_idle(&self, controls: &mut Controls) -> bool {
        let began = Instant::now();
        let mut blocked = BTreeSet::new();
        for polls in 0_u32.. {
            let running = self.gate.running();
            if running.is_empty() {
                return true;
            }
            let over = began.elapsed() > IDLE_MAX;
            // What had run for long before, and waits for nothing, will not end in time either.
            let runs_on = |(number, ran): (&usize, &Duration)| {
                *ran > began.elapsed() + IDLE_MAX && !blocked.contains(number)
            };
            if over || polls > 1 && running.iter().any(runs_on) {
                return false;
            }
            // Most end within a moment.
            self.gate.wait_for_news(POLL_EVERY).await;
            let running: Vec<usize> = self.gate.running().into_keys().collect();
            blocked = self.blocked(&running, controls).await;
            if running.iter().all(|number| blocked.contains(number)) {
                return true;
            }
        }
        false
    }

    /// Those of these that wait for a lock, as the server shows.
    async fn blocked(&self, running: &[usize], controls: &mut Controls) -> BTreeSet<usize> {
        let mut by_control: BTreeMap<ControlId, Vec<(usize, u64)>> = BTreeMap::new();
        for number in running {
            let control = self.plan.control_of(*number);
            if let Some(session) = self.coordinator.session(*number) {
                by_control.entry(control).or_default().push((*number, session));
            }
        }
        let mut blocked = BTreeSet::new();
        for (control, sessions) in by_control {
            let ids: Vec<u64> = sessions.iter().map(|(_, session)| *session).collect();
            if let Ok(view) = LockView::ask(&mut controls[control].connection, &ids).await {
                let waits = |(_, session): &&(usize, u64)| view.holder_of(*session).is_some();
                blocked.extend(sessions.iter().filter(waits).map(|(number, _)| *number));
            }
        }
        blocked
    }

    /// Asks all; whoever calls it knows that no statement runs.
    pub async fn ask_all(&mut self, controls: &mut Controls) {
        for number in 0..self.queries.len() {
            self.ask(number, None, controls).await;
        }
    }

    async fn ask(&mut self, number: usize, after: Option<usize>, controls: &mut Controls) {
        let plan = Arc::clone(&self.plan);
        let (of, index) = self.queries[number].check;
        let query: Option<&Query> = plan.finals.get(of).and_then(|one| one.always.get(index));
        let Some(query) = query else { return };
        let check = CheckId::Always {
            check: (of, index),
            after,
        };
        let vars = vars_of(&plan, &self.coordinator, None);
        let control = &mut controls[plan.main_control()];
        let record = query_record(&plan, control, query, check, &vars).await;
        // What held once more is not kept: there may be thousands of them.
        let mut others = self.checks.iter();
        if !others.any(|other| other.check == record.check && other.outcome == record.outcome) {
            self.checks.push(record);
        }
    }

    /// Holds nobody back any more: the trial ends.
    pub fn stop(&mut self) {
        self.asks = None;
    }

    /// What was asked, and how often.
    pub fn into_parts(self) -> (Vec<CheckRecord>, Vec<AlwaysCount>) {
        let counts = self.queries.iter().map(|one| AlwaysCount {
            check: one.check,
            asked: one.asked,
            missed: one.missed,
        });
        (self.checks, counts.collect())
    }
}
