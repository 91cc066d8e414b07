//! Stops all sessions of a server at once, when the process is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Lets statements through until it is closed. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<State>);

#[derive(Debug, Default)]
struct State {
    closed: AtomicBool,
    under_way: AtomicUsize,
}

/// A statement that is under way. Dropped without [`Self::done`] it stays under way: the server may still run it.
#[derive(Debug)]
pub(super) struct Pass(Arc<State>);

impl Gate {
    /// From now on no statement is sent; each is answered as if its connection were lost.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// Whether no statement is under way that was sent through it. One whose future was dropped counts as under way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.0.under_way.load(Ordering::SeqCst) == 0
    }

    /// `None` where it is closed.
    pub(super) fn enter(&self) -> Option<Pass> {
        // Counted before the look, so that whoever has closed it sees all that got through.
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        let pass = Pass(Arc::clone(&self.0));
        if self.0.closed.load(Ordering::SeqCst) {
            pass.done();
            return None;
        }
        Some(pass)
    }
}

impl Pass {
    /// The statement was answered.
    pub fn done(self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_stays_under_way() {
        let gate = Gate::default();
        let first = gate.enter().unwrap();
        assert!(!gate.is_quiet());
        first.done();
        assert!(gate.is_quiet());
        let other = gate.clone();
        other.close();
        assert!(gate.enter().is_none());
        assert!(gate.is_quiet());
        let gate = Gate::default();
        drop(gate.enter());
        assert!(!gate.is_quiet());
    }
}
