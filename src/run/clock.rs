//! Tells in the log how long each part of a trial took.

use std::time::Instant;

/// Since when the part under way runs.
pub(super) struct Clock(Instant);

impl Clock {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn ends(&mut self, phase: &str) {
        let took_ms = self.0.elapsed().as_secs_f64() * 1_000.0;
        tracing::debug!(phase, took_ms, "phase ended");
        self.0 = Instant::now();
    }
}
