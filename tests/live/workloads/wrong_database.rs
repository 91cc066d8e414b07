//! A database that is wrong now and then: it stands between a workload and the sessions of a real TiDB, and changes what
//! is sent or what comes back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tidb_scenarios::async_trait;
use tidb_scenarios::engine::{Between, Session, Sessions};
use tidb_scenarios::history::{Done, Outcome, SqlError, SqlValue};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answers a read with what an earlier read of that key had.
    StaleRead,
    /// Says that it committed, and has rolled back.
    DroppedCommit,
    /// Says that a commit failed, and has committed.
    AppliedAbort,
    /// Commits, and the answer is lost.
    LostAnswer,
    /// Commits or does not, and answers 1317.
    Interrupted,
    /// Says that it wrote, and has not.
    SkippedWrite,
    /// Writes what was appended twice.
    DoubledWrite,
    /// Commits a transaction in the middle.
    TornCommit,
    /// Answers with an error that no workload expects.
    StrangeError,
    /// Does not answer a commit within its limit.
    Silence,
}

/// How often it is wrong.
pub const EVERY: u64 = 23;

struct Wrong {
    inner: Arc<dyn Sessions>,
    shared: Arc<State>,
}

struct State {
    fault: Fault,
    calls: AtomicU64,
    done: Arc<AtomicU64>,
    /// What was read of each key first, and again after some time: a stale answer.
    seen: Mutex<HashMap<String, Vec<SqlValue>>>,
}

impl State {
    /// Whether this is the time to be wrong.
    fn strikes(&self) -> bool {
        let strikes = self.calls.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1;
        self.done.fetch_add(u64::from(strikes), Ordering::Relaxed);
        strikes
    }
}

struct WrongSession {
    inner: Box<dyn Session>,
    shared: Arc<State>,
    wrote: bool,
}

/// What makes the server wrong, and how often it was.
pub fn wrong(fault: Fault) -> (Between, Arc<AtomicU64>) {
    let done = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&done);
    let between: Between = Arc::new(move |inner| {
        Arc::new(Wrong {
            inner,
            shared: Arc::new(State {
                fault,
                calls: AtomicU64::new(0),
                done: Arc::clone(&count),
                seen: Mutex::default(),
            }),
        })
    });
    (between, done)
}

#[async_trait]
impl Sessions for Wrong {
    async fn open(&self) -> Result<Box<dyn Session>, String> {
        Ok(Box::new(WrongSession {
            inner: self.inner.open().await?,
            shared: Arc::clone(&self.shared),
            wrote: false,
        }))
    }

    async fn kill(&self, id: u64) {
        self.inner.kill(id).await;
    }
}

fn done() -> Outcome {
    Outcome::Done(Done {
        affected: 1,
        ..Done::default()
    })
}

fn refused(code: u16) -> Outcome {
    Outcome::Refused(SqlError {
        code,
        sqlstate: "HY000".to_owned(),
        message: "of the test".to_owned(),
    })
}

fn lost() -> Outcome {
    Outcome::Lost {
        message: "of the test".to_owned(),
        unsent: false,
    }
}

impl WrongSession {
    async fn commit(&mut self) -> Outcome {
        if !std::mem::take(&mut self.wrote) || !self.shared.strikes() {
            return self.inner.run("commit", &[]).await;
        }
        match self.shared.fault {
            Fault::DroppedCommit => {
                self.inner.run("rollback", &[]).await;
                done()
            }
            Fault::AppliedAbort => match self.inner.run("commit", &[]).await {
                Outcome::Done(_) => refused(9007),
                other => other,
            },
            Fault::LostAnswer => {
                self.inner.run("commit", &[]).await;
                lost()
            }
            Fault::Interrupted => {
                let every_other = self.shared.done.load(Ordering::Relaxed).is_multiple_of(2);
                let end = if every_other { "commit" } else { "rollback" };
                self.inner.run(end, &[]).await;
                refused(1317)
            }
            Fault::Silence => {
                self.inner.run("commit", &[]).await;
                futures::future::pending().await
            }
            _ => self.inner.run("commit", &[]).await,
        }
    }

    async fn write(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        self.wrote = true;
        let at_writes = matches!(
            self.shared.fault,
            Fault::SkippedWrite | Fault::DoubledWrite | Fault::TornCommit | Fault::StrangeError
        );
        if !at_writes || !self.shared.strikes() {
            return self.inner.run(sql, params).await;
        }
        match self.shared.fault {
            Fault::SkippedWrite => done(),
            Fault::DoubledWrite => {
                self.inner.run(sql, params).await;
                self.inner.run(sql, params).await
            }
            Fault::TornCommit => {
                let outcome = self.inner.run(sql, params).await;
                self.inner.run("commit", &[]).await;
                self.inner.run("begin", &[]).await;
                outcome
            }
            _ => refused(1105),
        }
    }

    async fn read(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        let mut outcome = self.inner.run(sql, params).await;
        let State { fault, seen, .. } = &*self.shared;
        if *fault != Fault::StaleRead || params.len() != 1 {
            return outcome;
        }
        if let Outcome::Rows(set) = &mut outcome
            && let Some(row) = set.rows.first_mut()
        {
            let key = format!("{params:?}");
            let earlier = {
                let mut seen = seen.lock().expect("no panic");
                let all = seen.entry(key).or_default();
                all.push(row[0].clone());
                // Ten reads ago it was another one.
                all.iter().rev().nth(10).cloned()
            };
            if let Some(earlier) = earlier.filter(|earlier| *earlier != row[0])
                && self.shared.strikes()
            {
                row[0] = earlier;
            }
        }
        outcome
    }
}

#[async_trait]
impl Session for WrongSession {
    async fn run(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        match sql.split(' ').next() {
            Some("commit") => self.commit().await,
            Some("insert" | "update") => self.write(sql, params).await,
            Some("begin") => {
                self.wrote = false;
                self.inner.run(sql, params).await
            }
            Some("select") if !params.is_empty() => self.read(sql, params).await,
            _ => self.inner.run(sql, params).await,
        }
    }

    fn id(&self) -> u64 {
        self.inner.id()
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}
