//! What earlier schedules have shown of who is blocked, so that later ones are certain of it sooner.
//!
//! Whether a step is blocked follows from what was done before it, and a server that works on other things shows a
//! statement that merely gets its lock as waiting for a while; so whoever sees a wait for the first time has to poll
//! for long. The next schedule that comes to the same point knows what to expect, and believes a wait as soon as one
//! that the file announces.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::schedule_history::{SchedulePoint, snapshot_independent};
use crate::lock_wait::Confidence;
use crate::plan::TrialPlan;

/// So many points are kept; what comes after them is polled with care each time.
const POINTS_MAX: usize = 20_000;

/// What was seen of a step at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observation {
    /// It is blocked for certain.
    Blocks,
    /// It returns by itself.
    Returns,
    /// One time this and one time that: never to be trusted again.
    Inconsistent,
}

/// What the schedules of one exploration have seen, each at its points.
#[derive(Debug, Default)]
pub(super) struct WaitCache {
    points: Mutex<HashMap<SchedulePoint, Observation>>,
    /// For each step of the plan, whether it is the same whenever it is done.
    snapshot_independent: Vec<bool>,
}

impl WaitCache {
    pub fn new(plan: &TrialPlan) -> Self {
        Self {
            points: Mutex::default(),
            snapshot_independent: snapshot_independent(plan),
        }
    }

    /// Whether a step of the plan is the same whenever it is done, so that schedules which differ in that are at the
    /// same point.
    pub fn is_snapshot_independent(&self, step: usize) -> bool {
        self.snapshot_independent.get(step).copied().unwrap_or_default()
    }

    pub fn of(&self, point: &SchedulePoint) -> Option<Observation> {
        self.lock().get(point).copied()
    }

    /// What is known beforehand of a step at this point.
    pub fn confidence(&self, point: &SchedulePoint) -> Confidence {
        match self.of(point) {
            Some(Observation::Blocks) => Confidence::BlockedBefore,
            Some(Observation::Returns) => Confidence::ReturnedBefore,
            Some(Observation::Inconsistent) | None => Confidence::Exploring,
        }
    }

    /// Whether a step at this point is blocked for certain.
    pub fn blocks(&self, point: &SchedulePoint) -> bool {
        self.of(point) == Some(Observation::Blocks)
    }

    /// Takes note of what was seen for certain. What contradicts itself is thrown away.
    pub fn note(&self, point: SchedulePoint, seen: Observation) {
        let mut points = self.lock();
        if let Some(before) = points.get_mut(&point) {
            if *before != seen {
                tracing::debug!(?point, ?before, ?seen, "seen otherwise before");
                *before = Observation::Inconsistent;
            }
        } else if points.len() < POINTS_MAX || seen == Observation::Inconsistent {
            points.insert(point, seen);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SchedulePoint, Observation>> {
        self.points.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule_history::tests::point;
    use super::*;

    #[test]
    fn what_was_seen_is_known_and_what_contradicts_itself_never_again() {
        let cache = WaitCache::default();
        let here = point(1, &[(0, 0, ""), (1, 3, "starts")]);
        assert_eq!(cache.of(&here), None);
        assert!(!cache.blocks(&here));
        cache.note(here.clone(), Observation::Blocks);
        cache.note(here.clone(), Observation::Blocks);
        assert_eq!(cache.of(&here), Some(Observation::Blocks));
        assert_eq!(
            cache.of(&point(1, &[(1, 3, "starts")])),
            None,
            "elsewhere nothing is known"
        );
        cache.note(here.clone(), Observation::Returns);
        for seen in [Observation::Blocks, Observation::Blocks, Observation::Returns] {
            assert_eq!(cache.of(&here), Some(Observation::Inconsistent));
            assert!(!cache.blocks(&here));
            cache.note(here.clone(), seen);
        }
        assert_eq!(cache.of(&here), Some(Observation::Inconsistent));
    }
}
