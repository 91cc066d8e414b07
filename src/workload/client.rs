//! One connection of a workload: runs the operations of transactions, and records them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::Deserialize;

use super::contention::Touched;
use super::session::Session;
use super::shared::{Shared, add};
use crate::connection::KILL_MAX;
use crate::history::{Outcome, SqlError, SqlValue};
use crate::isolation::{Action, Operation, ReadLock, Status, Transaction, TransactionMode, Value};

/// Why a transaction cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The server refused a statement.
    Refused(SqlError),
    /// The session is lost.
    Lost,
    /// The answer is not what the statement gives.
    Unexpected(String),
}

/// What TiDB tells of the last transaction of a session.
#[derive(Debug, Deserialize)]
struct LastTransaction {
    #[serde(default)]
    start_ts: u64,
    #[serde(default)]
    commit_ts: u64,
}

/// One connection of a workload.
pub(super) struct Client {
    pub shared: Arc<Shared>,
    session: Option<Box<dyn Session>>,
    process: i64,
    pub rng: ChaCha8Rng,
    pub(super) current: Transaction,
    /// A transaction that committed, and whose commit_ts the next one will ask for.
    pending: Option<Transaction>,
    spare: Transaction,
    /// Whether the timestamps were asked for in this transaction.
    pub(super) stamped: bool,
    /// The newest start_ts that TiDB has told of a finished transaction.
    last_start: u64,
    pub(super) touched: Touched,
    /// What a kind keeps of its own; it is kept if the transaction commits.
    pub memory: BTreeMap<i64, i64>,
    staged: Vec<(i64, i64)>,
    /// What breaks the invariant, if the transaction commits.
    pub broken: Option<String>,
}

fn is_write(action: &Action) -> bool {
    matches!(action, Action::Append(..) | Action::Write(..))
}

/// An integer as the history has it.
pub(super) fn value(integer: i64) -> Value {
    Value::integer(integer).unwrap_or(Value::NULL)
}

pub(super) fn integer(cell: Option<&SqlValue>) -> Option<i64> {
    match cell? {
        SqlValue::Int(integer) => i64::try_from(*integer).ok(),
        SqlValue::Decimal(text) | SqlValue::Text(text) => text.parse().ok(),
        _ => None,
    }
}

pub(super) fn unexpected(outcome: &Outcome) -> Stop {
    match outcome {
        Outcome::Refused(error) => Stop::Refused(error.clone()),
        Outcome::Lost { .. } | Outcome::TimedOut { .. } => Stop::Lost,
        Outcome::Rows(_) | Outcome::Done(_) | Outcome::Unanswered { .. } => {
            Stop::Unexpected(crate::history::describe(outcome))
        }
    }
}

impl Client {
    /// A connection; `number` is its part of the seed.
    pub(super) async fn open(shared: Arc<Shared>, number: u64) -> Result<Self, String> {
        let session = shared.sessions.open().await?;
        let mut rng = ChaCha8Rng::seed_from_u64(shared.plan.seed);
        rng.set_stream(number);
        let process = shared.next_process();
        Ok(Self {
            shared,
            session: Some(session),
            process,
            rng,
            current: Transaction::default(),
            pending: None,
            spare: Transaction::default(),
            stamped: false,
            last_start: 0,
            touched: Touched::default(),
            memory: BTreeMap::new(),
            staged: Vec::new(),
            broken: None,
        })
    }

    /// The number of its process.
    pub(super) fn process(&self) -> i64 {
        self.process
    }

    /// Whether its session can run another statement.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// What kinds remember, once this transaction has committed.
    pub(super) fn stage(&mut self, key: i64, value: i64) {
        self.staged.push((key, value));
    }

    /// Whether a transaction writes upon the newest rows, but reads older ones unless it locks them: what it read is no
    /// ground for what it writes.
    pub(super) fn must_lock_to_write(&self) -> bool {
        let plan = &self.shared.plan;
        plan.mode == TransactionMode::Pessimistic && plan.read_lock == ReadLock::Plain
    }

    pub(super) fn now(&self) -> u64 {
        self.shared.recorder.now()
    }

    /// Runs a statement within its limit. One that is over it is ended by KILL QUERY, and its session is given up.
    pub(super) async fn send(&mut self, sql: &str, params: &[SqlValue]) -> Outcome {
        let Some(session) = self.session.as_mut() else {
            return Outcome::Lost {
                message: "the session is given up".to_owned(),
                unsent: true,
            };
        };
        let id = session.id();
        let limit = self.shared.plan.statement_max;
        let outcome = {
            let mut running = session.run(sql, params);
            match tokio::time::timeout(limit, &mut running).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    self.shared.sessions.kill(id).await;
                    // Whatever it still says came too late.
                    let late = tokio::time::timeout(KILL_MAX, running).await;
                    tracing::debug!(id, late = late.is_ok(), "over its limit");
                    Outcome::TimedOut {
                        limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
                        starved: false,
                    }
                }
            }
        };
        if matches!(outcome, Outcome::Lost { .. } | Outcome::TimedOut { .. }) {
            self.session = None;
        }
        outcome
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> Result<(), Stop> {
        self.current.clear();
        self.stamped = false;
        self.staged.clear();
        self.broken = None;
        self.current.process = value(self.process);
        self.current.invoke = Some(self.now());
        match self.send("begin", &[]).await {
            Outcome::Done(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// The timestamps that stand behind the columns of a query.
    pub(super) fn take_stamps(&mut self, cells: Option<&[SqlValue]>) {
        let Some([start, info]) = cells else { return };
        self.stamped = true;
        if let Some(start) = integer(Some(start)).and_then(|ts| u64::try_from(ts).ok()) {
            self.current.start_ts = Some(start).filter(|ts| *ts > 0);
        }
        self.take_last(info);
    }

    fn take_last(&mut self, info: &SqlValue) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let text = match info {
            SqlValue::Text(text) => text.as_str(),
            _ => "",
        };
        if let Ok(last) = serde_json::from_str::<LastTransaction>(text) {
            // After a transaction that wrote nothing it is still that of an earlier one.
            let is_its_own = match pending.start_ts {
                Some(start) => start == last.start_ts,
                None => last.start_ts > self.last_start,
            };
            if is_its_own {
                pending.start_ts = Some(last.start_ts).filter(|ts| *ts > 0);
                pending.commit_ts = Some(last.commit_ts).filter(|ts| *ts > 0);
            }
            self.last_start = self.last_start.max(last.start_ts);
        }
        self.put(pending);
    }

    /// Writes a transaction down, and keeps its buffers.
    fn put(&mut self, transaction: Transaction) {
        self.shared.recorder.write(&transaction);
        self.spare = transaction;
    }

    /// Asks for the timestamps by a statement of its own, where no query has brought them.
    pub(super) async fn ask_stamps(&mut self) -> Result<(), Stop> {
        if self.stamped || !self.shared.stamps {
            return Ok(());
        }
        match self
            .send("select @@tidb_current_ts, @@tidb_last_txn_info", &[])
            .await
        {
            Outcome::Rows(set) => {
                self.take_stamps(set.rows.first().map(Vec::as_slice));
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Commits; what came of the transaction.
    pub(super) async fn commit(&mut self) -> (Status, Option<SqlError>) {
        // The commit would put its own timestamps in the place of those of the transaction before. And the first query has
        // brought none if it found no row.
        let reads = |operation: &Operation| !is_write(&operation.action);
        let unstamped = !self.stamped && self.current.operations().iter().any(reads);
        if (self.pending.is_some() || unstamped)
            && let Err(stop) = self.ask_stamps().await
        {
            return (Status::Failed, self.give_up(&stop).await);
        }
        let outcome = self.send("commit", &[]).await;
        let (status, error) = match outcome {
            Outcome::Done(_) => (Status::Ok, None),
            Outcome::Refused(error) if is_certain(error.code) => (Status::Failed, Some(error)),
            Outcome::Refused(error) => (Status::Unknown, Some(error)),
            // It was never sent: the server has nothing to commit.
            Outcome::Lost { unsent: true, .. } | Outcome::Unanswered { .. } => (Status::Failed, None),
            Outcome::Lost { .. } | Outcome::TimedOut { .. } | Outcome::Rows(_) => (Status::Unknown, None),
        };
        self.end(status, error.as_ref());
        if status == Status::Unknown {
            self.retire().await;
        }
        (status, error)
    }

    /// Rolls back after a statement that failed; returns the error.
    pub(super) async fn give_up(&mut self, stop: &Stop) -> Option<SqlError> {
        if self.session.is_some() {
            // If this fails, too, the session is lost, and the server rolls back by itself.
            self.send("rollback", &[]).await;
        }
        let error = match stop {
            Stop::Refused(error) => Some(error.clone()),
            Stop::Lost | Stop::Unexpected(_) => None,
        };
        self.end(Status::Failed, error.as_ref());
        error
    }

    fn end(&mut self, status: Status, error: Option<&SqlError>) {
        let returned = self.now();
        let counts = &self.shared.counts;
        self.current.returned = Some(returned);
        self.current.status = status;
        add(match status {
            Status::Ok => &counts.ok,
            Status::Failed => &counts.failed,
            Status::Unknown => &counts.unknown,
        });
        if self.touched.met || error.is_some_and(|error| is_conflict(error.code)) {
            add(&counts.conflicts);
        }
        self.shared.contention.release(&mut self.touched);
        let operations = self.current.operations();
        let wrote = operations.iter().any(|operation| is_write(&operation.action));
        if status == Status::Ok {
            let reads = operations.iter().filter(|operation| !is_write(&operation.action));
            counts.reads.fetch_add(reads.count() as u64, Ordering::Relaxed);
            self.memory.extend(self.staged.drain(..));
        }
        if self.current.operations().is_empty() {
            return;
        }
        let ended = std::mem::replace(&mut self.current, std::mem::take(&mut self.spare));
        if let Some(earlier) = self.pending.take() {
            self.put(earlier);
        }
        if status == Status::Ok && wrote && self.shared.stamps {
            self.pending = Some(ended);
        } else {
            self.put(ended);
        }
    }

    /// Ends its session: a process with an unknown outcome does nothing more.
    async fn retire(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.put(pending);
        }
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Another session, as another process.
    pub(super) async fn replace(&mut self) -> Result<(), String> {
        self.retire().await;
        add(&self.shared.counts.replaced);
        self.session = Some(self.shared.sessions.open().await?);
        self.process = self.shared.next_process();
        self.last_start = 0;
        self.memory.clear();
        Ok(())
    }

    /// Writes what is still to be written, and closes the session.
    pub(super) async fn close(mut self) {
        if self.pending.is_some() {
            self.stamped = false;
            // Without an answer the transaction is written without its commit_ts.
            let _ = self.ask_stamps().await;
        }
        self.retire().await;
    }
}

/// Whether an error of COMMIT says for certain that nothing was committed.
pub(super) fn is_certain(code: u16) -> bool {
    matches!(
        code,
        1062 | 1205 | 1213 | 3572 | 8002 | 8005 | 8022 | 8024 | 8028 | 8141 | 8147 | 9007
    )
}

/// Whether an error says that another transaction was in the way.
pub(super) fn is_conflict(code: u16) -> bool {
    matches!(code, 1205 | 1213 | 3572 | 8002 | 8005 | 8022 | 9007)
}
