//! Who may run at the same time: a trial that changes the whole server runs alone, and trials that name the same
//! user-level lock take turns. In this process by locks of its own; between processes on one server by user-level
//! locks of the server, which go with their sessions whatever ends a process.

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub use server::ServerTurn;

/// What a trial must not share with others that run at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The whole server.
    pub alone: bool,
    /// These user-level locks, by their names in lower case.
    pub locks: BTreeSet<String>,
    /// A user-level lock of which only a run knows the name, so that it may be any.
    pub any_lock: bool,
}

/// The turns of one process on one server.
#[derive(Debug, Default)]
pub struct Turns {
    alone: Arc<RwLock<()>>,
    any_lock: Arc<RwLock<()>>,
    locks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A trial's turn; it ends when this is dropped.
#[derive(Debug, Default)]
pub struct Turn {
    reads: Vec<OwnedRwLockReadGuard<()>>,
    writes: Vec<OwnedRwLockWriteGuard<()>>,
    locks: Vec<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for a trial's turn. All take what they need in the same order, so that nobody waits in a ring.
    pub async fn take(&self, claim: &Claim) -> Turn {
        let mut turn = Turn::default();
        // Whoever runs alone shares no lock with anybody.
        if claim.alone {
            turn.writes.push(Arc::clone(&self.alone).write_owned().await);
            return turn;
        }
        if claim.any_lock {
            turn.writes.push(Arc::clone(&self.any_lock).write_owned().await);
        } else if !claim.locks.is_empty() {
            turn.reads.push(Arc::clone(&self.any_lock).read_owned().await);
            for name in &claim.locks {
                let lock = {
                    let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(locks.entry(name.clone()).or_default())
                };
                turn.locks.push(lock.lock_owned().await);
            }
        }
        turn.reads.push(Arc::clone(&self.alone).read_owned().await);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn claim(alone: bool, any_lock: bool, locks: &[&str]) -> Claim {
        Claim {
            alone,
            any_lock,
            locks: locks.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn those_who_share_something_take_turns() {
        let nothing = || claim(false, false, &[]);
        let alone = || claim(true, false, &[]);
        let any = || claim(false, true, &[]);
        let named = |locks: &[&str]| claim(false, false, locks);
        for (one, other, together) in [
            (nothing(), nothing(), true),
            (nothing(), alone(), false),
            (alone(), nothing(), false),
            (alone(), alone(), false),
            (alone(), named(&["a"]), false),
            (named(&["a"]), nothing(), true),
            (named(&["a"]), named(&["b"]), true),
            (named(&["a"]), named(&["a"]), false),
            (named(&["a", "c"]), named(&["b", "c"]), false),
            (any(), nothing(), true),
            (any(), named(&["a"]), false),
            (named(&["a"]), any(), false),
            (any(), any(), false),
        ] {
            let turns = Turns::default();
            let first = turns.take(&one).now_or_never().expect("nobody is there");
            let second = turns.take(&other).now_or_never();
            assert_eq!(second.is_some(), together, "{one:?} and {other:?}");
            drop((first, second));
            assert!(
                turns.take(&other).now_or_never().is_some(),
                "{one:?}, then {other:?}"
            );
        }
    }
}
