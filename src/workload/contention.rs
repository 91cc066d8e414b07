//! Which transactions meet at a key: proof that a run was one of many connections, in every mode.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Locks are shared by keys, so that two connections at two keys seldom wait for each other.
const SHARDS: usize = 16;

/// How many open transactions have read and written each key.
#[derive(Debug, Default)]
pub(super) struct Contention {
    shards: [Mutex<HashMap<i64, Users>>; SHARDS],
}

#[derive(Debug, Default)]
struct Users {
    all: u32,
    writers: u32,
}

/// The keys that one transaction uses.
#[derive(Debug, Default)]
pub(super) struct Touched {
    keys: Vec<(i64, bool)>,
    /// Whether another open transaction used one of them, and one of the two wrote it.
    pub(super) met: bool,
}

impl Contention {
    fn shard(&self, key: i64) -> std::sync::MutexGuard<'_, HashMap<i64, Users>> {
        let at = usize::try_from(key.rem_euclid(SHARDS as i64)).unwrap_or_default();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction uses a key.
    pub(super) fn touch(&self, own: &mut Touched, key: i64, write: bool) {
        let known = own.keys.iter_mut().find(|(known, _)| *known == key);
        let (new, newly_writes) = match known {
            Some((_, writes)) => {
                let newly = write && !*writes;
                *writes |= write;
                (false, newly)
            }
            None => {
                own.keys.push((key, write));
                (true, write)
            }
        };
        let mut shard = self.shard(key);
        let users = shard.entry(key).or_default();
        users.all += u32::from(new);
        users.writers += u32::from(newly_writes);
        let own_write = own.keys.iter().any(|(known, writes)| *known == key && *writes);
        let other_writers = users.writers - u32::from(own_write);
        own.met |= other_writers > 0 || (write && users.all > 1);
    }

    /// It has ended.
    pub(super) fn release(&self, own: &mut Touched) {
        for (key, wrote) in own.keys.drain(..) {
            let mut shard = self.shard(key);
            if let Some(users) = shard.get_mut(&key) {
                users.all -= 1;
                users.writers -= u32::from(wrote);
                if users.all == 0 {
                    shard.remove(&key);
                }
            }
        }
        own.met = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_meet_where_one_of_them_writes() {
        let contention = Contention::default();
        let (mut one, mut other) = (Touched::default(), Touched::default());
        contention.touch(&mut one, 1, false);
        contention.touch(&mut other, 1, false);
        assert!(!one.met && !other.met, "two readers do not meet");
        contention.touch(&mut other, 1, true);
        assert!(other.met, "a writer meets a reader");
        contention.touch(&mut one, 1, false);
        assert!(one.met, "a reader meets a writer");
        contention.release(&mut other);
        contention.release(&mut one);
        contention.touch(&mut one, 1, true);
        contention.touch(&mut one, 1, true);
        contention.touch(&mut one, 2, true);
        assert!(!one.met, "nobody meets itself, or who has ended");
        contention.release(&mut one);
        let left: usize = contention
            .shards
            .iter()
            .map(|shard| shard.lock().map_or(1, |map| map.len()))
            .sum();
        assert_eq!(left, 0);
    }
}
