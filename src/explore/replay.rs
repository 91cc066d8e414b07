//! Runs a schedule that is given.

use std::collections::VecDeque;

use super::scheduler::Scheduler;

/// Replays a schedule. A step that it asks of a blocked connection runs as soon as that one is unblocked, as in
/// PostgreSQL's isolationtester.
#[derive(Debug)]
pub struct ReplayScheduler {
    schedule: VecDeque<usize>,
    owed: Vec<usize>,
}

impl ReplayScheduler {
    /// A schedule by the numbers of connections.
    #[must_use]
    pub fn new(schedule: &[usize]) -> Self {
        let connections = schedule.iter().max().map_or(0, |most| most + 1);
        Self {
            schedule: schedule.iter().copied().collect(),
            owed: vec![0; connections],
        }
    }
}

impl Scheduler for ReplayScheduler {
    fn next(&mut self, enabled: &[usize]) -> Option<usize> {
        let owed = enabled
            .iter()
            .copied()
            .find(|own| self.owed.get(*own).is_some_and(|owed| *owed > 0));
        if let Some(own) = owed {
            self.owed[own] -= 1;
            return Some(own);
        }
        while let Some(next) = self.schedule.pop_front() {
            if enabled.contains(&next) {
                return Some(next);
            }
            if let Some(owed) = self.owed.get_mut(next) {
                *owed += 1;
            }
        }
        enabled.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_a_blocked_connection_is_owed() {
        let mut replay = ReplayScheduler::new(&[0, 1, 1, 0, 1]);
        assert_eq!(replay.next(&[0, 1]), Some(0));
        assert_eq!(replay.next(&[0, 1]), Some(1));
        // The first is blocked now, so its step is owed; the second goes on.
        assert_eq!(replay.next(&[0]), Some(0));
        assert_eq!(replay.next(&[0, 1]), Some(1), "what is owed comes first");
        assert_eq!(replay.next(&[1]), Some(1));
    }
}
