//! Finds out who holds what a step waits for, and whether it waits still.

use std::time::Instant;

use super::driver::Driver;
use super::limits::{LOCK_WAITS_EVERY, LOCK_WAITS_MAX};
use crate::history::{Evidence, SqlValue, Stopped, Wait, WaitRule};
use crate::lock_wait::{self, Confidence, TrxRow};
use crate::sql::{Kind, Product, classify};

/// How it is now with a statement that was seen to be blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// It is blocked.
    Held,
    /// The server shows it as waiting, but all who could hold it back have let go: it is about to return.
    LetGo,
    /// It is not blocked any more.
    Gone,
    /// That cannot be told.
    Unknown,
}

impl Driver<'_> {
    /// The connections whose metadata locks a schema change waits for; `None` where the server does not say.
    pub(super) async fn metadata_lock_waits(&mut self, record: usize) -> Option<Vec<usize>> {
        let connection = self.connection_of(record);
        let control = self.sessions[connection].control;
        let text = self.statement_text(record);
        let waits = lock_wait::metadata_lock_waits(&mut self.controls[control].connection).await;
        self.drain();
        // The server has its own spelling of some statements. Our sessions hold locks on our tables only, so
        // where just one of ours waits, it is the one.
        let only = !self.other_ddl(connection);
        let waits = waits?;
        let sessions: Vec<u64> = waits
            .into_iter()
            .filter(|(_, query)| only || lock_wait::same_statement(query, &text))
            .map(|(session, _)| session)
            .collect();
        let holders = (0..self.sessions.len()).filter(|number| {
            let session = self.coordinator.session(*number);
            *number != connection && session.is_some_and(|own| sessions.contains(&own))
        });
        Some(holders.collect())
    }

    /// Whether another connection runs a schema change.
    fn other_ddl(&self, connection: usize) -> bool {
        (0..self.sessions.len()).any(|number| number != connection && self.runs_ddl(number))
    }

    /// Whether a connection runs a schema change that has not returned.
    fn runs_ddl(&self, connection: usize) -> bool {
        let running = self.sessions[connection].running;
        running.is_some_and(|record| classify(&self.statement_text(record)).kind == Kind::Ddl)
    }

    /// The connections that can hold what a statement waits for.
    pub fn candidates(&self, connection: usize, record: usize, rows: &[TrxRow]) -> Vec<usize> {
        let statement = classify(&self.statement_text(record));
        (0..self.sessions.len())
            .filter(|number| *number != connection)
            .filter(|number| {
                let slot = &self.sessions[*number];
                match &statement.kind {
                    Kind::GetLock { name } => slot.transaction.holds_user_lock(name.as_deref()),
                    _ if statement.takes_user_lock() => slot.transaction.holds_user_lock(None),
                    // Who holds a metadata lock is asked of TiDB; this is for what it does not tell. Elsewhere
                    // all do that have touched a table in a transaction that is open.
                    Kind::Ddl => {
                        let in_transaction = !slot.transaction.is_closed();
                        let tells = self.product(connection) == Product::TiDb;
                        self.runs_ddl(*number) || (in_transaction && !tells)
                    }
                    _ => {
                        // A statement that waits itself may have locked some of its rows already.
                        let locks = slot.transaction.may_hold_locks() || slot.running.is_some();
                        let row = self.row_of(rows, *number);
                        row.is_some_and(|row| locks || row.keys > 0)
                    }
                }
            })
            .collect()
    }

    /// The statement that a step runs, as far as it is known before it returns.
    pub fn statement_text(&self, record: usize) -> String {
        let step = self.step_of(record);
        let Some(statement) = step.action.statements().last() else {
            return String::new();
        };
        let mut vars = self.coordinator.vars();
        let own = &self.plan.connections[step.connection];
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
        statement.text.fill(&vars).unwrap_or_default()
    }

    /// Writes down a wait, and finds out who holds what is waited for.
    pub(super) async fn note_wait(
        &mut self,
        record: usize,
        rule: WaitRule,
        rows: &[TrxRow],
        holders: Vec<usize>,
        confidence: Confidence,
    ) {
        let connection = self.connection_of(record);
        let may_block = confidence.may_block();
        if may_block {
            self.coordinator.enter(connection, crate::plan::BLOCKED);
        }
        let statement = classify(&self.statement_text(record));
        let by_elimination = match statement.kind {
            _ if statement.takes_user_lock() => Evidence::UserLock,
            Kind::Ddl if self.product(connection) == Product::TiDb => Evidence::SchemaChange,
            _ => Evidence::OnlyLocker,
        };
        let mut wait = Wait {
            seen_us: self.coordinator.now_us(),
            rule,
            candidates: self.candidates(connection, record, rows),
            holders,
            evidence: None,
            key: None,
            not_waiting_before: Vec::new(),
        };
        tracing::debug!(
            connection = self.plan.connections[connection].name,
            ?rule,
            ?confidence,
            "blocked"
        );
        if wait.holders.is_empty() {
            let asserted = self.step_of(record).blocked.as_ref();
            let asserted = asserted.is_some_and(|blocked| !blocked.by.is_empty());
            let ask = (asserted && wait.candidates.len() > 1) || !may_block;
            let waiter = self.row_of(rows, connection).map(|row| row.id);
            if let (true, Some(waiter), Evidence::OnlyLocker) = (ask, waiter, by_elimination) {
                self.ask_lock_waits(record, waiter, rows, &mut wait).await;
            }
        } else {
            wait.evidence = Some(Evidence::MetadataLockView);
        }
        if wait.holders.is_empty()
            && let [only] = wait.candidates.as_slice()
        {
            wait.holders = vec![*only];
            wait.evidence = Some(by_elimination);
        }
        // The answer may have come while the server was asked for the holder; then it is a wait that ended.
        let back = self.coordinator.look_at_steps(|steps| {
            let record = steps.get(record);
            record.and_then(|record| record.ended_us())
        });
        match back {
            Some(at_us) if may_block => {
                let state = &self.step_of(record).state;
                self.coordinator.enter_at(connection, state, at_us);
            }
            Some(_) => {}
            None if may_block => {}
            None => self.coordinator.enter(connection, crate::plan::BLOCKED),
        }
        self.coordinator
            .change_step(record, |record| record.wait = Some(wait));
    }

    async fn ask_lock_waits(&mut self, record: usize, waiter: i128, rows: &[TrxRow], wait: &mut Wait) {
        let control = self.sessions[self.connection_of(record)].control;
        let deadline = Instant::now() + LOCK_WAITS_MAX;
        let mut late = false;
        loop {
            let found = lock_wait::lock_wait(&mut self.controls[control].connection, waiter).await;
            if let Some((holder, key)) = found {
                let holder = (0..self.sessions.len())
                    .find(|number| self.row_of(rows, *number).is_some_and(|row| row.id == holder));
                wait.holders.extend(holder);
                wait.evidence = holder.map(|_| Evidence::DataLockWaits);
                wait.key = Some(key).filter(|key| !key.is_empty());
                if late {
                    // That store names the holder when the waiter asks for the lock anew, and for that moment is in
                    // no queue: were the lock let go of just then, another one could get it, or a deadlock's victim
                    // be another one.
                    self.next_report(Instant::now() + LOCK_WAITS_EVERY).await;
                }
                return;
            }
            late = true;
            self.next_report((Instant::now() + LOCK_WAITS_EVERY).min(deadline))
                .await;
            if self.is_done(record) || Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Whether a statement that was seen to be blocked is so still.
    pub async fn still_waits(&mut self, connection: usize, record: usize) -> Result<Waiting, Stopped> {
        let Some(wait) = self.wait_of(record) else {
            return Ok(Waiting::Unknown);
        };
        let ddl = classify(&self.statement_text(record)).kind == Kind::Ddl;
        if ddl && !matches!(wait.rule, WaitRule::SameLockWaitTwice { .. }) {
            let waits = self.metadata_lock_waits(record).await;
            // One that nobody's locks hold back may stand behind another one, which is not to be seen.
            return Ok(match waits {
                Some(holders) if !holders.is_empty() => Waiting::Held,
                Some(_) if !self.other_ddl(connection) => Waiting::Gone,
                Some(_) | None => Waiting::Unknown,
            });
        }
        let control = self.sessions[connection].control;
        let rows = self.rows(control).await?;
        let now = self.candidates(connection, record, &rows);
        Ok(match wait.rule {
            WaitRule::SameLockWaitTwice { .. } => {
                let shows = self.row_of(&rows, connection).is_some_and(TrxRow::waits);
                match shows {
                    false => Waiting::Gone,
                    // Who holds it may never have been one of ours.
                    true if now.is_empty() && !wait.candidates.is_empty() => Waiting::LetGo,
                    true => Waiting::Held,
                }
            }
            _ if wait.candidates.is_empty() => Waiting::Unknown,
            // The server shows no wait, but there is none without somebody who holds it back: one of those
            // who could when it was seen, or one who has done something since.
            WaitRule::Committing { .. } | WaitRule::NoAnswer { .. } | WaitRule::MetadataLock => {
                let acted = |number: &usize| self.started_since(*number, wait.seen_us);
                let held = now
                    .iter()
                    .any(|number| wait.candidates.contains(number) || acted(number));
                if held { Waiting::Held } else { Waiting::Gone }
            }
        })
    }

    /// Whether a connection has started a step since this moment.
    fn started_since(&self, connection: usize, since_us: u64) -> bool {
        self.coordinator.look_at_steps(|steps| {
            let later = steps.iter().rev();
            later
                .take_while(|step| step.started_us >= since_us)
                .any(|step| step.connection == connection)
        })
    }
}
