//! What came of a trial, what a changed plan makes of it, and whether a change says anything of it.

use std::collections::BTreeSet;

use tidb_scenarios::engine::{Final, Query, Step, TrialPlan};
use tidb_scenarios::engine::{OrderOutcome, judge_schedules};
use tidb_scenarios::engine::{Verdict, judge, outcome};
use tidb_scenarios::history::{History, Went};
use tidb_scenarios::testing::{Expectation, Needs};

use crate::mutants::{Mutant, Reach, states_meet};

/// What happened in a trial.
pub enum Past {
    One(Box<History>),
    /// In each of its orders.
    Orders(Vec<History>),
}

impl Past {
    pub fn histories(&self) -> &[History] {
        match self {
            Self::One(history) => std::slice::from_ref(history),
            Self::Orders(histories) => histories,
        }
    }

    /// Whether all is as this plan says.
    pub fn passes(&self, plan: &TrialPlan) -> bool {
        let verdict = match self {
            Self::One(history) => judge(plan, history),
            Self::Orders(histories) => judge_schedules(plan, histories),
        };
        verdict == Verdict::Passed
    }

    fn came<'p>(&'p self, plan: &'p TrialPlan) -> impl Iterator<Item = (OrderOutcome, &'p History)> {
        let histories = self.histories().iter();
        histories.map(move |history| (OrderOutcome::of(plan, history), history))
    }

    /// Whether a change says nothing of what happened here: the step was not judged, no order came to the outcome.
    /// `plan` and `unchanged` are of the file as it was.
    pub fn is_idle(&self, mutant: &Mutant, plan: &TrialPlan, unchanged: &Past) -> bool {
        match &mutant.reach {
            None => false,
            Some(Reach::Step(place)) => !self.judges_step(plan, *place),
            Some(Reach::Outcome(name)) => !self.comes_to(name, plan, unchanged),
            // Of an outcome that was seen it is true that it is seen.
            Some(Reach::NoOutcome(_)) => false,
            Some(Reach::Order(place)) => {
                let named = plan.orders().into_iter().flat_map(|orders| &orders.outcomes);
                let mut places = named.map(|(_, span)| span.start);
                !places.any(|start| (place.start..place.end).contains(&start))
            }
        }
    }

    /// Whether something came of the step that stands here, and was compared with what it expects.
    fn judges_step(&self, plan: &TrialPlan, place: usize) -> bool {
        let outcomes = !plan.outcomes().is_empty();
        let mut records = self.histories().iter().flat_map(|history| &history.steps);
        records.any(|record| {
            let step = &plan.steps[record.step];
            // Where outcomes are named, an error that a step does not expect is a part of one.
            let judged = record
                .end
                .as_ref()
                .is_some_and(|end| !(outcomes && end.outcome.error().is_some() && !step.wants_error()));
            step.span.start == place && judged && matches!(record.went, Went::On)
        })
    }

    /// Whether an order came to what orders of this outcome came to before. The outcome itself cannot be asked: in a
    /// changed plan it may have another number, or not be there.
    pub fn comes_to(&self, name: &str, plan: &TrialPlan, unchanged: &Past) -> bool {
        let Some(number) = plan.outcomes().iter().position(|one| one.name == name) else {
            return false;
        };
        let fits = unchanged
            .came(plan)
            .filter(|(_, history)| outcome(plan, number, history).is_empty());
        let fits: BTreeSet<OrderOutcome> = fits.map(|(came, _)| came).collect();
        self.came(plan).any(|(came, _)| fits.contains(&came))
    }

    /// Whether a changed sequence of states is met as well as the one before.
    pub fn meets_states(&self, mutant: &Mutant) -> bool {
        let Some(states) = &mutant.states else {
            return false;
        };
        self.histories().iter().all(|history| {
            let mut all = history.connections.iter();
            let own = all.find(|own| own.name == states.connection);
            let met = |pattern: &[String]| own.is_some_and(|own| states_meet(pattern, &own.states));
            match mutant.reach {
                // An outcome tells orders from each other, so that both must be met by the same ones.
                Some(_) => met(&states.now) == met(&states.was),
                None => met(&states.now),
            }
        })
    }
}

/// Whether a run of one would go just as a run of the other: they differ in what is compared, not in what
/// is done or waited for, and the checks at the end are the same ones. With `errors_only_judge`, up to the first
/// step of which an error is claimed that did not come.
pub fn runs_alike(one: &TrialPlan, other: &TrialPlan, errors_only_judge: bool) -> bool {
    let steps = one.steps.len() == other.steps.len()
        && one.steps.iter().zip(&other.steps).all(|(one, other)| {
            let holders = |step: &Step| {
                let blocked = step.blocked.as_ref();
                blocked.map(|blocked| blocked.by.iter().map(|(by, _)| *by).collect::<Vec<_>>())
            };
            let released = |step: &Step| step.unblocks.iter().map(|(name, _)| *name).collect::<Vec<_>>();
            (one.wants_error() == other.wants_error() || errors_only_judge)
                && one.needs() == other.needs()
                && holders(one) == holders(other)
                && released(one) == released(other)
        });
    let alike = |one: &[Query], other: &[Query]| {
        let needs = |query: &Query| {
            let all = query
                .expectations
                .iter()
                .map(|one: &Expectation| one.check.needs());
            all.fold(Needs::default(), |all, needs| all.and(needs))
        };
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| one.sql == other.sql && needs(one) == needs(other))
    };
    let finals: (Vec<&Final>, Vec<&Final>) = (one.all_finals().collect(), other.all_finals().collect());
    steps
        && finals.0.len() == finals.1.len()
        && finals.0.iter().zip(&finals.1).all(|(one, other)| {
            alike(&one.tables, &other.tables)
                && alike(&one.queries, &other.queries)
                && alike(&one.always, &other.always)
        })
}
