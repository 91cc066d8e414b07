//! Lets statements of concurrent connections run, and holds new ones back while somebody looks at what is there when
//! none does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::acted::Answer;
use crate::history::Outcome;
use crate::sql::{Kind, classified};

/// A statement may have changed something: whoever ran it runs no other one until this was looked at.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The record of its step.
    pub record: usize,
    /// Told when it was looked at, or cannot be.
    pub done: oneshot::Sender<()>,
}

/// Statements run while it is open.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    /// Something has changed: a statement has ended, or the gate was opened.
    news: Notify,
    /// Takes what has to be looked at; nothing, where nobody wants to look after each statement.
    asks: Option<mpsc::UnboundedSender<Ask>>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Since when statements run, by their connections.
    running: BTreeMap<usize, Instant>,
}

/// That a statement runs.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    connection: usize,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.state().running.remove(&self.connection);
        self.gate.news.notify_waiters();
    }
}

/// That the gate is closed.
#[derive(Debug)]
pub(crate) struct Closed {
    gate: Arc<Gate>,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.gate.state().closed = false;
        self.gate.news.notify_waiters();
    }
}

impl Gate {
    pub fn new(asks: Option<mpsc::UnboundedSender<Ask>>) -> Self {
        Self {
            state: Mutex::default(),
            news: Notify::new(),
            asks,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is a single one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a statement may run.
    pub(super) async fn enter(self: &Arc<Self>, connection: usize) -> Pass {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // From here on no news is missed.
            news.as_mut().enable();
            {
                let mut state = self.state();
                if !state.closed {
                    state.running.insert(connection, Instant::now());
                    let gate = Arc::clone(self);
                    return Pass { gate, connection };
                }
            }
            news.await;
        }
    }

    /// Waits until what a statement has changed was looked at.
    pub(super) async fn changed(&self, record: usize) {
        let Some(asks) = &self.asks else { return };
        let (done, told) = oneshot::channel();
        if asks.send(Ask { record, done }).is_ok() {
            // Whoever looks may have ended.
            drop(told.await);
        }
    }

    /// Holds new statements back, until what comes back is dropped. Those that run go on.
    pub fn close(self: &Arc<Self>) -> Closed {
        self.state().closed = true;
        let gate = Arc::clone(self);
        Closed { gate }
    }

    /// The connections whose statements run, each with how long it has.
    pub fn running(&self) -> BTreeMap<usize, Duration> {
        let state = self.state();
        let running = state.running.iter();
        running
            .map(|(number, began)| (*number, began.elapsed()))
            .collect()
    }

    /// Waits until a statement has ended, but no longer than this.
    pub async fn wait_for_news(&self, limit: Duration) {
        let news = self.news.notified();
        if !self.state().running.is_empty() {
            // That nothing has ended is no news.
            let _ = tokio::time::timeout(limit, news).await;
        }
    }
}

/// How long a connection was held back in its step: that is no time of its statements.
#[derive(Debug, Default)]
pub(super) struct Held {
    us: AtomicU64,
    now: AtomicBool,
}

impl Held {
    /// Waits for something that holds the connection back.
    pub async fn during<T>(&self, wait: impl Future<Output = T>) -> T {
        let began = Instant::now();
        self.now.store(true, Ordering::Relaxed);
        let gone = wait.await;
        self.now.store(false, Ordering::Relaxed);
        let us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.us.fetch_add(us, Ordering::Relaxed);
        gone
    }

    pub fn is_now(&self) -> bool {
        self.now.load(Ordering::Relaxed)
    }

    pub fn so_far(&self) -> Duration {
        Duration::from_micros(self.us.load(Ordering::Relaxed))
    }

    /// A step begins.
    pub fn reset(&self) {
        self.us.store(0, Ordering::Relaxed);
    }
}

/// Whether a statement may change something, so that nobody looks while it runs. One that only reads holds nobody up.
pub(super) fn may_write(sql: &str) -> bool {
    match classified(sql).kind {
        Kind::Select { locking: false } | Kind::Sleep | Kind::Use(_) => false,
        Kind::Select { locking: true }
        | Kind::Begin(_)
        | Kind::Commit
        | Kind::Rollback
        | Kind::RollbackToSavepoint
        | Kind::Savepoint
        | Kind::ReleaseSavepoint
        | Kind::Set(_)
        | Kind::Dml
        | Kind::Ddl
        | Kind::GetLock { .. }
        | Kind::ReleaseLock { .. }
        | Kind::LockTables
        | Kind::Kill
        | Kind::Execute
        | Kind::Other => true,
    }
}

/// Whether others may see something new after a statement; `was_open` says whether its session had a transaction before.
pub(super) fn may_show(answer: &Answer, was_open: bool) -> bool {
    match answer.outcome {
        Outcome::Rows(_) | Outcome::Done(_) => {}
        Outcome::Refused(_) | Outcome::Unanswered { .. } => return false,
        // Whether it took effect is unknown.
        Outcome::TimedOut { .. } | Outcome::Lost { .. } => return true,
    }
    let statement = classified(&answer.sql);
    if statement.changes_whole_server() {
        return true;
    }
    let is_open = answer.flags.is_some_and(|flags| flags.in_transaction);
    match statement.kind {
        Kind::Commit | Kind::Ddl | Kind::LockTables => true,
        Kind::Begin(_) => was_open,
        // What a transaction writes is seen when it ends.
        Kind::Dml | Kind::Execute | Kind::Other => !is_open,
        Kind::Set(_) => was_open && !is_open,
        Kind::Rollback
        | Kind::RollbackToSavepoint
        | Kind::Savepoint
        | Kind::ReleaseSavepoint
        | Kind::Select { .. }
        | Kind::GetLock { .. }
        | Kind::ReleaseLock { .. }
        | Kind::Sleep
        | Kind::Use(_)
        | Kind::Kill => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Done, SessionFlags};

    #[test]
    fn what_others_may_see_is_what_is_committed() {
        let answer = |sql: &str, in_transaction| Answer {
            sql: sql.to_owned(),
            outcome: Outcome::Done(Done::default()),
            flags: Some(SessionFlags {
                in_transaction,
                autocommit: true,
            }),
        };
        for (sql, is_open, was_open, wanted) in [
            ("update t set n = 1", false, false, true),
            ("update t set n = 1", true, true, false),
            ("commit", false, true, true),
            ("begin", true, true, true),
            ("begin", true, false, false),
            ("select 1", false, false, false),
            ("create table u (id int)", false, false, true),
            ("execute s", false, false, true),
            ("set autocommit = 1", false, true, true),
            ("set @a = 1", false, false, false),
            ("rollback", false, true, false),
        ] {
            assert_eq!(may_show(&answer(sql, is_open), was_open), wanted, "{sql}");
        }
    }
}
