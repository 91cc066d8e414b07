//! Follows a step until it has returned or certainly waits, and finds out for whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::known::Seen;
use super::limits::{LOCK_WAITS_EVERY, LOCK_WAITS_MAX, POLL_EVERY};
use super::script::{Fate, Script, Seat};
use crate::history::{Evidence, SqlValue, Stopped, Wait, WaitRule};
use crate::lock_wait::{self, Sight, Sights, TrxRow};
use crate::plan::Action;
use crate::sql::{Kind, Product, TransactionMode, classify};

/// The first look at a statement that must not wait comes after this: most have returned by then.
const FIRST_LOOK: Duration = Duration::from_millis(3);
/// The same of a step in one order of many, where somebody might hold it back.
const FIRST_LOOK_OF_MANY: Duration = Duration::from_millis(2);
/// The same where it waits for certain: by then it shows, mostly, that it has done so for a millisecond.
const FIRST_LOOK_KNOWN: Duration = Duration::from_micros(1_200);
/// The same where nobody has a transaction open.
const FIRST_LOOK_ALONE: Duration = Duration::from_millis(20);
/// From one question to the next, so that many looks are had in little time also where answers are slow.
const LOOK_EVERY_OF_MANY: Duration = Duration::from_millis(3);
const LOOK_EVERY_KNOWN: Duration = Duration::from_millis(1);
const LOOK_EVERY_UNEXPECTED: Duration = Duration::from_millis(10);

/// How it is now with a statement that was seen to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It waits.
    Held,
    /// The server shows it as waiting, but all who could hold it back have let go: it is about to return.
    LetGo,
    /// It does not wait any more.
    Gone,
    /// That cannot be told.
    Unknown,
}

impl Script<'_> {
    /// Follows one step until it has returned or certainly waits.
    pub(super) async fn watch(&mut self, record: usize) -> Fate {
        let plan = Arc::clone(&self.plan);
        let connection = self.history.steps[record].connection;
        let step = &plan.steps[self.history.steps[record].step];
        let control = self.seats[connection].control;
        let expected = step.blocked.is_some() || self.one_of_many;
        let sent = Instant::now();
        let limit = sent + step.timeout;
        let place = self.one_of_many.then(|| self.track.place(connection));
        let mut known = place.as_ref().and_then(|place| self.known.of(place));
        // InnoDB shows a wait only where there is one.
        let careful = self.one_of_many && self.product(connection) == Product::TiDb;
        let mut sights = if known == Some(Seen::Waits) {
            Sights::of_known(sent)
        } else if careful {
            Sights::of_many(sent).free_to_commit(self.is_free_to_commit(connection))
        } else {
            Sights::new(sent, expected)
        };
        let mut look = sent
            + if self.one_of_many {
                self.first_look(connection, known)
            } else if expected {
                POLL_EVERY / 4
            } else {
                FIRST_LOOK
            };
        let statement = matches!(
            step.action,
            Action::Sql(_) | Action::Prepared(..) | Action::Load { .. }
        );
        let mut asked_long = sent;
        loop {
            self.next_report(if statement { look.min(limit) } else { limit })
                .await;
            if self.is_done(record) {
                return Fate::Returned;
            }
            if Instant::now() >= limit {
                self.end_statement(record, step.timeout, false).await;
                return Fate::Returned;
            }
            let asked = Instant::now();
            let rows = match self.rows(control).await {
                Ok(rows) => rows,
                Err(stopped) => return Fate::Stop(stopped),
            };
            let now = Instant::now();
            // Another stage may have been here at the same time, and be certain by now.
            if let (None, Some(place)) = (known, &place) {
                known = self.known.of(place);
                if known == Some(Seen::Waits) {
                    sights.is_known();
                }
            }
            let sight = sights.see(self.row_of(&rows, connection), now);
            // The answer may have come while the server was asked.
            self.drain();
            if self.is_done(record) {
                return Fate::Returned;
            }
            let rule = match sight {
                Sight::NotYet => None,
                // A slow commit looks like one that waits; it waits only if somebody can hold it back. In one order
                // of many that is asked of every step, since none is expected to wait.
                Sight::Waits(rule)
                    if (self.one_of_many || matches!(rule, WaitRule::Committing { .. }))
                        && self.candidates(connection, record, &rows).is_empty() =>
                {
                    None
                }
                Sight::Waits(rule) => Some((rule, Vec::new())),
                Sight::Silent if asked_long + Duration::from_millis(200) <= now => {
                    asked_long = now;
                    self.ask_otherwise(record, expected, sent, &rows).await
                }
                Sight::Silent => None,
            };
            if self.is_done(record) {
                return Fate::Returned;
            }
            if let Some((rule, holders)) = rule {
                let by = step.blocked.as_ref().map_or(0, |blocked| blocked.by.len());
                self.note_wait(record, rule, &rows, holders, expected, by > 0)
                    .await;
                if let (Some(place), Some(wait)) = (place, &self.history.steps[record].wait) {
                    let candidates = wait.candidates.clone();
                    self.believe(record, place, &candidates, known != Some(Seen::Waits));
                }
                if self.is_done(record) && !expected {
                    return Fate::Returned;
                }
                return if expected {
                    Fate::Waits
                } else {
                    Fate::Stop(Stopped::UnexpectedWait { record })
                };
            }
            let now = Instant::now();
            look = match (expected, known) {
                (true, Some(Seen::Waits)) => {
                    let left = sights.left(now).unwrap_or(LOOK_EVERY_KNOWN);
                    now + left.max(LOOK_EVERY_KNOWN / 2)
                }
                (true, _) if self.one_of_many => (asked + LOOK_EVERY_OF_MANY).max(now + POLL_EVERY / 4),
                (true, _) => now + POLL_EVERY,
                (false, _) => now + LOOK_EVERY_UNEXPECTED,
            };
        }
    }

    /// Which server a connection is on.
    pub(super) fn product(&self, connection: usize) -> Product {
        self.controls[self.seats[connection].control].connection.product()
    }

    /// When to look first at a step of one order of many: any may wait and most do not, and a look costs as much
    /// as a step.
    fn first_look(&self, connection: usize, known: Option<Seen>) -> Duration {
        match known {
            Some(Seen::Waits) => return FIRST_LOOK_KNOWN,
            Some(Seen::Returns) => return FIRST_LOOK_ALONE,
            Some(Seen::Unsure) | None => {}
        }
        let may_hold = |seat: &Seat| seat.busy.is_some() || !seat.transaction.is_closed();
        let mut others = self
            .seats
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != connection);
        if others.any(|(_, seat)| may_hold(seat)) {
            FIRST_LOOK_OF_MANY
        } else {
            FIRST_LOOK_ALONE
        }
    }

    /// Whether TiDB's commit can wait for nobody: a pessimistic transaction has all its locks before, and an optimistic
    /// one meets only those of pessimistic ones, and of commits under way.
    fn is_free_to_commit(&self, connection: usize) -> bool {
        let mode = |seat: &Seat| seat.transaction.mode(self.controls[seat.control].txn_mode);
        let own = &self.seats[connection];
        let others = (0..self.seats.len()).filter(|number| *number != connection);
        own.transaction.is_open() && mode(own) == Some(TransactionMode::Pessimistic)
            || others.map(|number| &self.seats[number]).all(|seat| {
                let locks = seat.transaction.may_hold_locks();
                seat.busy.is_none() && (!locks || mode(seat) == Some(TransactionMode::Optimistic))
            })
    }

    /// For what never shows as a lock wait: metadata locks, user-level locks, autocommit statements.
    async fn ask_otherwise(
        &mut self,
        record: usize,
        expected: bool,
        sent: Instant,
        rows: &[TrxRow],
    ) -> Option<(WaitRule, Vec<usize>)> {
        let connection = self.history.steps[record].connection;
        let control = self.seats[connection].control;
        let kind = classify(&self.statement_text(record)).kind;
        let unknown = matches!(kind, Kind::Execute | Kind::Other);
        let mut others = unknown || !self.candidates(connection, record, rows).is_empty();
        if unknown || kind == Kind::Ddl {
            match self.metadata_lock_waits(record).await {
                Some(holders) if holders.is_empty() => {}
                Some(holders) => return Some((WaitRule::MetadataLock, holders)),
                // A server that does not tell has to be believed.
                None => others = true,
            }
        }
        // In a transaction of its own, a wait for a row shows as one.
        let in_transaction = !self.seats[connection].transaction.is_closed();
        if self.one_of_many && in_transaction && matches!(kind, Kind::Dml | Kind::Select { .. }) {
            return None;
        }
        // A statement that nobody can hold back is slow, not blocked; SLEEP is just that.
        if !expected || !others || kind == Kind::Sleep {
            return None;
        }
        let session = self.coordinator.session(connection)?;
        let running = lock_wait::is_running(&mut self.controls[control].connection, session).await;
        self.drain();
        let for_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        (running && !self.is_done(record)).then_some((WaitRule::NoAnswer { for_us }, Vec::new()))
    }

    /// The connections whose metadata locks a schema change waits for; `None` where the server does not say.
    async fn metadata_lock_waits(&mut self, record: usize) -> Option<Vec<usize>> {
        let connection = self.history.steps[record].connection;
        let control = self.seats[connection].control;
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
        let holders = (0..self.seats.len()).filter(|number| {
            let session = self.coordinator.session(*number);
            *number != connection && session.is_some_and(|own| sessions.contains(&own))
        });
        Some(holders.collect())
    }

    /// Whether another connection runs a schema change.
    fn other_ddl(&self, connection: usize) -> bool {
        (0..self.seats.len()).any(|number| number != connection && self.runs_ddl(number))
    }

    /// Whether a connection runs a schema change that has not returned.
    fn runs_ddl(&self, connection: usize) -> bool {
        let busy = self.seats[connection].busy;
        busy.is_some_and(|record| classify(&self.statement_text(record)).kind == Kind::Ddl)
    }

    /// The connections that can hold what a statement waits for.
    pub(super) fn candidates(&self, connection: usize, record: usize, rows: &[TrxRow]) -> Vec<usize> {
        let statement = classify(&self.statement_text(record));
        (0..self.seats.len())
            .filter(|number| *number != connection)
            .filter(|number| {
                let seat = &self.seats[*number];
                match &statement.kind {
                    Kind::GetLock { name } => seat.transaction.holds_user_lock(name.as_deref()),
                    _ if statement.takes_user_lock() => seat.transaction.holds_user_lock(None),
                    // Who holds a metadata lock is asked of TiDB; this is for what it does not tell. Elsewhere
                    // all do that have touched a table in a transaction that is open.
                    Kind::Ddl => {
                        let in_transaction = !seat.transaction.is_closed();
                        let tells = self.product(connection) == Product::TiDb;
                        self.runs_ddl(*number) || (in_transaction && !tells)
                    }
                    _ => {
                        // A statement that waits itself may have locked some of its rows already.
                        let locks = seat.transaction.may_hold_locks() || seat.busy.is_some();
                        let row = self.row_of(rows, *number);
                        row.is_some_and(|row| locks || row.keys > 0)
                    }
                }
            })
            .collect()
    }

    /// The statement that a step runs, as far as it is known before it returns.
    pub(super) fn statement_text(&self, record: usize) -> String {
        let record = &self.history.steps[record];
        let mut vars = self.coordinator.vars();
        let own = &self.plan.connections[record.connection];
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
        match &self.plan.steps[record.step].action {
            Action::Sql(statements) => statements
                .last()
                .and_then(|one| one.text.fill(&vars).ok())
                .unwrap_or_default(),
            Action::Prepared(one, _) | Action::Load { statement: one, .. } => {
                one.text.fill(&vars).unwrap_or_default()
            }
            _ => String::new(),
        }
    }

    /// Writes down a wait, and finds out who holds what is waited for.
    async fn note_wait(
        &mut self,
        record: usize,
        rule: WaitRule,
        rows: &[TrxRow],
        holders: Vec<usize>,
        expected: bool,
        asserted: bool,
    ) {
        let connection = self.history.steps[record].connection;
        if expected {
            self.coordinator.enter(connection, crate::plan::BLOCKED);
        }
        let statement = classify(&self.statement_text(record));
        let by_elimination = match statement.kind {
            _ if statement.takes_user_lock() => Evidence::UserLock,
            Kind::Ddl if self.product(connection) == Product::TiDb => Evidence::SchemaChange,
            _ => Evidence::OnlyLocker,
        };
        let candidates = self.candidates(connection, record, rows);
        let seen_us = self.coordinator.now_us();
        tracing::debug!(
            connection = self.plan.connections[connection].name,
            ?rule,
            expected,
            "blocked"
        );
        let mut wait = Wait {
            seen_us,
            rule,
            candidates,
            holders,
            evidence: None,
            key: None,
            not_waiting_before: Vec::new(),
        };
        if wait.holders.is_empty() {
            let ask = (asserted && wait.candidates.len() > 1) || !expected;
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
        let back = self.history.steps[record].end.as_ref().map(|end| end.at_us);
        match back {
            Some(at_us) if expected => {
                let state = self.plan.steps[self.history.steps[record].step].state.clone();
                self.coordinator.enter_at(connection, &state, at_us);
            }
            Some(_) => {}
            None if expected => {}
            None => self.coordinator.enter(connection, crate::plan::BLOCKED),
        }
        self.history.steps[record].wait = Some(wait);
    }

    async fn ask_lock_waits(&mut self, record: usize, waiter: i128, rows: &[TrxRow], wait: &mut Wait) {
        let control = self.seats[self.history.steps[record].connection].control;
        let deadline = Instant::now() + LOCK_WAITS_MAX;
        let mut late = false;
        loop {
            let found = lock_wait::lock_wait(&mut self.controls[control].connection, waiter).await;
            if let Some((holder, key)) = found {
                let holder = (0..self.seats.len())
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

    /// Whether a statement that was seen to wait waits still.
    pub(super) async fn still_waits(&mut self, connection: usize, record: usize) -> Result<Waiting, Stopped> {
        let Some(wait) = &self.history.steps[record].wait else {
            return Ok(Waiting::Unknown);
        };
        let (rule, candidates, seen_us) = (wait.rule, wait.candidates.clone(), wait.seen_us);
        let ddl = classify(&self.statement_text(record)).kind == Kind::Ddl;
        if ddl && !matches!(rule, WaitRule::SameLockWaitTwice { .. }) {
            let waits = self.metadata_lock_waits(record).await;
            // One that nobody's locks hold back may stand behind another one, which is not to be seen.
            return Ok(match waits {
                Some(holders) if !holders.is_empty() => Waiting::Held,
                Some(_) if !self.other_ddl(connection) => Waiting::Gone,
                Some(_) | None => Waiting::Unknown,
            });
        }
        let control = self.seats[connection].control;
        let rows = self.rows(control).await?;
        let now = self.candidates(connection, record, &rows);
        Ok(match rule {
            WaitRule::SameLockWaitTwice { .. } => {
                let shows = self.row_of(&rows, connection).is_some_and(TrxRow::waits);
                match shows {
                    false => Waiting::Gone,
                    // Who holds it may never have been one of ours.
                    true if now.is_empty() && !candidates.is_empty() => Waiting::LetGo,
                    true => Waiting::Held,
                }
            }
            _ if candidates.is_empty() => Waiting::Unknown,
            // The server shows no wait, but there is none without somebody who holds it back: one of those
            // who could when it was seen, or one who has done something since.
            WaitRule::Committing { .. } | WaitRule::NoAnswer { .. } | WaitRule::MetadataLock => {
                let acted = |number: &usize| {
                    let later = self.history.steps.iter().rev();
                    later
                        .take_while(|step| step.started_us >= seen_us)
                        .any(|step| step.connection == *number)
                };
                let held = now
                    .iter()
                    .any(|number| candidates.contains(number) || acted(number));
                if held { Waiting::Held } else { Waiting::Gone }
            }
        })
    }
}
