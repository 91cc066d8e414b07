//! The driver of `steps`: starts each step when the one before it has returned or is known to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::known::{Belief, Known, Place, Seen, Track};
use super::trial::{Control, query_record};
use crate::coordinator::Coordinator;
use crate::coordinator::blocking::{self, Sight, Sights, TrxRow};
use crate::coordinator::transactions::Transaction;
use crate::history::{
    CheckId, Evidence, History, Outcome, Skipped, SqlValue, Status, StepEnd, StepRecord, Stopped, Wait,
    WaitRule,
};
use crate::machine::{Command, Machine, Report};
use crate::plan::{Action, Step, TrialPlan, describe_action};
use crate::sql::{Kind, Product, classify};

/// The first look at a statement that must not wait comes after this: most have returned by then.
const FIRST_LOOK: Duration = Duration::from_millis(3);
/// The same of a step in one order of many, where somebody might hold it back.
const FIRST_LOOK_OF_MANY: Duration = Duration::from_millis(2);
/// The same where it waits for certain: by then it shows that it has done so for a millisecond.
const FIRST_LOOK_KNOWN: Duration = Duration::from_micros(1_200);
/// The same where nobody has a transaction open.
const FIRST_LOOK_ALONE: Duration = Duration::from_millis(20);
/// Between looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// From one question to the next, so that many looks are had in little time also where answers are slow.
const LOOK_EVERY_OF_MANY: Duration = Duration::from_millis(3);
const LOOK_EVERY_KNOWN: Duration = Duration::from_millis(1);
const LOOK_EVERY_UNEXPECTED: Duration = Duration::from_millis(10);
/// How long a lock wait may show after it must have ended: a release takes 1 to 3 ms.
const RELEASE_MAX: Duration = Duration::from_secs(3);
/// How long a statement that no longer waits may take to return, or to wait again.
const RETURN_MAX: Duration = Duration::from_secs(3);
/// How long the server may take to end a statement by KILL QUERY (it looks once a second).
const KILL_MAX: Duration = Duration::from_secs(4);
/// How long the store inside tidb-server takes to fill DATA_LOCK_WAITS.
const LOCK_WAITS_MAX: Duration = Duration::from_millis(1_600);

pub(super) struct Seat {
    pub commands: mpsc::UnboundedSender<Command>,
    pub task: JoinHandle<()>,
    /// The record of the step that has not returned.
    pub busy: Option<usize>,
    /// Why the connection takes no more steps.
    pub failed: Option<String>,
    pub transaction: Transaction,
    pub control: usize,
}

pub(super) struct Script<'c> {
    pub(super) plan: Arc<TrialPlan>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) controls: &'c mut [Control],
    inbox: mpsc::UnboundedReceiver<Report>,
    pub(super) seats: Vec<Seat>,
    pub(super) history: History,
    /// Whether this is one order of many: any step may wait, and sessions stay for the next one.
    one_of_many: bool,
    /// Connections that have rolled back after an error.
    pub(super) given_up: Vec<usize>,
    /// What the orders before this one have shown of who waits.
    pub(super) known: Arc<Known>,
    pub(super) track: Track,
    /// The records of steps that may have let go of something.
    ends: Vec<usize>,
    /// The waits that were believed, each for as long as nothing newer was seen of it.
    beliefs: Vec<Belief>,
}

pub(super) enum Fate {
    Returned,
    Waits,
    Stop(Stopped),
}

impl<'c> Script<'c> {
    pub fn new(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut [Control],
        inbox: mpsc::UnboundedReceiver<Report>,
    ) -> Self {
        Self {
            plan,
            coordinator,
            controls,
            inbox,
            seats: Vec::new(),
            history: History::default(),
            one_of_many: false,
            given_up: Vec::new(),
            known: Arc::default(),
            track: Track::default(),
            ends: Vec::new(),
            beliefs: Vec::new(),
        }
    }

    /// Takes up connections for one order of many.
    pub fn take_up(
        plan: Arc<TrialPlan>,
        coordinator: Arc<Coordinator>,
        controls: &'c mut [Control],
        inbox: mpsc::UnboundedReceiver<Report>,
        seats: Vec<Seat>,
        known: Arc<Known>,
    ) -> Self {
        Self {
            seats,
            known,
            one_of_many: true,
            ..Self::new(plan, coordinator, controls, inbox)
        }
    }

    /// What happened, and the connections for the next order.
    pub fn put_down(self) -> (History, mpsc::UnboundedReceiver<Report>, Vec<Seat>) {
        let shared = self.coordinator.snapshot();
        let history = History {
            connections: shared.connections,
            vars: shared.vars,
            ..self.history
        };
        (history, self.inbox, self.seats)
    }

    pub fn start_machine(&mut self, machine: Machine, reports: mpsc::UnboundedSender<Report>) {
        let main = self
            .plan
            .servers
            .iter()
            .position(|server| server.name == "main")
            .map_or(0, |own| own + 1);
        let server = self
            .plan
            .connections
            .get(machine.number)
            .and_then(|own| own.server);
        let settings = self.plan.connections.get(machine.number);
        let settings = settings.map(|own| own.vars.as_slice()).unwrap_or_default();
        let transaction = Transaction::of_session(settings);
        let (commands, inbox) = mpsc::unbounded_channel();
        // A task of its own has no span around it, so the scenario's is handed on.
        let span = tracing::info_span!("connection", name = %machine.config.id);
        let task = tokio::spawn(machine.run(inbox, reports).instrument(span));
        let control = server.map_or(main, |server| server + 1);
        self.seats.push(Seat {
            commands,
            task,
            busy: None,
            failed: None,
            transaction,
            control,
        });
    }

    pub fn into_history(self) -> History {
        let shared = self.coordinator.snapshot();
        History {
            connections: shared.connections,
            vars: shared.vars,
            ..self.history
        }
    }

    pub fn over_time(&mut self, limit: Duration) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.history.stopped.get_or_insert(Stopped::OverTime { limit_ms });
    }

    /// Follows the script to its end, or to where it cannot be followed any more.
    pub async fn follow(&mut self) {
        if let Err(stopped) = self.steps().await {
            self.history.stopped = Some(stopped);
        }
    }

    async fn steps(&mut self) -> Result<(), Stopped> {
        let plan = Arc::clone(&self.plan);
        self.always(None).await;
        for (number, step) in plan.steps.iter().enumerate() {
            self.drain();
            self.check_waiting(number).await?;
            if self.seats[step.connection].busy.is_some() {
                self.await_free(number, step.connection).await?;
            }
            if let Some(reason) = self.seats[step.connection].failed.clone() {
                self.history.skipped.push(Skipped { step: number, reason });
                continue;
            }
            let record = self.start(number);
            match self.watch(record).await {
                Fate::Returned | Fate::Waits => {}
                Fate::Stop(stopped) => return Err(stopped),
            }
            for (other, _) in &step.unblocks {
                self.await_release(*other, record).await?;
            }
            self.always(Some(number)).await;
        }
        // What still waits expects an error of its own, such as a lock wait timeout.
        let mut waited = false;
        for connection in 0..self.seats.len() {
            if let Some(record) = self.seats[connection].busy {
                self.await_end(record).await;
                waited = true;
            }
        }
        if waited {
            self.always(plan.steps.len().checked_sub(1)).await;
        }
        Ok(())
    }

    pub(super) fn start(&mut self, number: usize) -> usize {
        let plan = Arc::clone(&self.plan);
        let step = &plan.steps[number];
        let target = match step.action {
            Action::Kill { target, .. } => self.coordinator.session(target),
            _ => None,
        };
        let record = self.history.steps.len();
        self.history.steps.push(StepRecord {
            step: number,
            connection: step.connection,
            text: describe_action(&step.action, &plan),
            started_us: self.coordinator.now_us(),
            ..StepRecord::default()
        });
        if self.one_of_many {
            let timeless = self.known.is_timeless(&plan, number);
            self.track.started(step.connection, number, timeless);
        }
        let seat = &mut self.seats[step.connection];
        seat.busy = Some(record);
        if seat.commands.send(Command::Run { step: number, target }).is_err() {
            seat.busy = None;
            seat.failed = Some("its task has ended".to_owned());
        }
        record
    }

    /// Takes all reports that are there.
    pub(super) fn drain(&mut self) {
        while let Ok(report) = self.inbox.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, report: Report) {
        let seat = &mut self.seats[report.connection];
        let Some(number) = seat.busy.take() else { return };
        let was_open = seat.transaction.is_open();
        for (sql, outcome) in &report.ran {
            seat.transaction.note(sql, outcome);
        }
        let record = &mut self.history.steps[number];
        let step = &self.plan.steps[record.step];
        if self.one_of_many {
            let ends = ends_something(step, &report, was_open, seat.transaction.is_open());
            self.track.returned(report.connection, ends);
            if ends {
                self.ends.push(number);
            }
        }
        if let Some(last) = report
            .ran
            .last()
            .filter(|_| !matches!(step.action, Action::Kill { .. }))
        {
            record.text = if report.ran.len() == 1 {
                last.0.clone()
            } else {
                report
                    .ran
                    .iter()
                    .map(|(sql, _)| sql.as_str())
                    .collect::<Vec<_>>()
                    .join("; ")
            };
        }
        if record.wait.is_some() {
            self.coordinator
                .enter_at(report.connection, &step.state, report.end.at_us);
        }
        if matches!(step.action, Action::Disconnect | Action::Reconnect) {
            seat.transaction = Transaction::of_session(&self.plan.connections[report.connection].vars);
        }
        let failed = report.end.outcome.is_error() && !step.wants_error();
        if failed {
            let place = self.plan.file.place(step.span.start);
            let name = &self.plan.connections[report.connection].name;
            let got = crate::expect::describe(&report.end.outcome);
            seat.failed = Some(format!("{name} failed at line {}: {got}", place.line));
            // Closing its session frees its locks, so that the others go on. Where it stays for the next order,
            // it rolls back instead, before anything else is done.
            if !self.one_of_many {
                let _ = seat.commands.send(Command::Fail);
                seat.transaction = Transaction::default();
            }
        }
        record.end = Some(report.end);
    }

    pub(super) fn is_done(&self, record: usize) -> bool {
        self.history.steps[record].end.is_some()
    }

    /// Takes the next report, or returns at the deadline.
    pub(super) async fn next_report(&mut self, deadline: Instant) {
        if let Ok(Some(report)) = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await {
            self.take(report);
        }
    }

    fn sessions(&self) -> Vec<u64> {
        (0..self.seats.len())
            .filter_map(|number| self.coordinator.session(number))
            .collect()
    }

    pub(super) async fn rows(&mut self, control: usize) -> Result<Vec<TrxRow>, Stopped> {
        let sessions = self.sessions();
        match blocking::transactions(&mut self.controls[control].connection, &sessions).await {
            Ok(rows) => Ok(rows),
            Err(outcome) => Err(Stopped::ServerLost {
                reason: format!("asking who waits gave {}", crate::expect::describe(&outcome)),
            }),
        }
    }

    pub(super) fn row_of<'r>(&self, rows: &'r [TrxRow], connection: usize) -> Option<&'r TrxRow> {
        let session = self.coordinator.session(connection)?;
        rows.iter().find(|row| row.session == session)
    }

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
            Sights::of_many(sent)
        } else {
            Sights::new(sent, expected)
        };
        let mut look = sent
            + if self.one_of_many {
                self.first_look(connection, known)
            } else if expected {
                LOOK_EVERY / 4
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
                self.end_statement(record, step.timeout).await;
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
                (true, Some(Seen::Waits)) => now + LOOK_EVERY_KNOWN,
                (true, _) if self.one_of_many => (asked + LOOK_EVERY_OF_MANY).max(now + LOOK_EVERY / 4),
                (true, _) => now + LOOK_EVERY,
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

    /// Takes note that a statement waits, and, where that is `certain` by itself, of what it says of other orders.
    pub(super) fn believe(&mut self, record: usize, place: Place, candidates: &[usize], certain: bool) {
        let Some(wait) = &self.history.steps[record].wait else {
            return;
        };
        // A user-level lock is waited for up to a time that the statement says itself.
        if self.is_done(record) || classify(&self.statement_text(record)).takes_user_lock() {
            return;
        }
        // Of other waits the server shows too little to be quick about them.
        let shows = matches!(wait.rule, WaitRule::SameLockWaitTwice { .. });
        // Where all who may hold it wait themselves, one of them may be about to go on.
        let held = candidates.iter().any(|own| self.seats[*own].busy.is_none());
        if certain && shows && held {
            self.known.note(place.clone(), Seen::Waits);
        }
        self.beliefs.retain(|belief| belief.record != record);
        self.beliefs.push(Belief {
            record,
            since_us: self.coordinator.now_us(),
            place,
        });
    }

    /// Takes note that a step did not wait.
    pub(super) fn came_back(&self, place: Place) {
        self.known.note(place, Seen::Returns);
    }

    /// Whether somebody was believed to wait who cannot have waited. That is not believed again in that place.
    pub fn is_doubtful(&self) -> bool {
        // What is left of a session that was killed goes when nobody does anything.
        let leaves = |action: &Action| {
            matches!(
                action,
                Action::Kill { .. } | Action::Disconnect | Action::Reconnect
            )
        };
        if self.plan.steps.iter().any(|step| leaves(&step.action)) {
            return false;
        }
        let mut doubtful = false;
        for belief in &self.beliefs {
            if belief.was_wrong(&self.history.steps, &self.ends) {
                tracing::debug!(?belief, "came back by itself");
                self.known.note(belief.place.clone(), Seen::Unsure);
                doubtful = true;
            }
        }
        doubtful
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
        let running = blocking::is_running(&mut self.controls[control].connection, session).await;
        self.drain();
        let for_us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
        (running && !self.is_done(record)).then_some((WaitRule::NoAnswer { for_us }, Vec::new()))
    }

    /// The connections whose metadata locks a schema change waits for; `None` where the server does not say.
    async fn metadata_lock_waits(&mut self, record: usize) -> Option<Vec<usize>> {
        let connection = self.history.steps[record].connection;
        let control = self.seats[connection].control;
        let text = self.statement_text(record);
        let waits = blocking::metadata_lock_waits(&mut self.controls[control].connection).await;
        self.drain();
        // The server has its own spelling of some statements. Our sessions hold locks on our tables only, so
        // where just one of ours waits, it is the one.
        let only = !self.other_ddl(connection);
        let waits = waits?;
        let sessions: Vec<u64> = waits
            .into_iter()
            .filter(|(_, query)| only || blocking::same_statement(query, &text))
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
    fn statement_text(&self, record: usize) -> String {
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
        loop {
            let found = blocking::lock_wait(&mut self.controls[control].connection, waiter).await;
            if let Some((holder, key)) = found {
                let holder = (0..self.seats.len())
                    .find(|number| self.row_of(rows, *number).is_some_and(|row| row.id == holder));
                wait.holders.extend(holder);
                wait.evidence = holder.map(|_| Evidence::DataLockWaits);
                wait.key = Some(key).filter(|key| !key.is_empty());
                return;
            }
            self.next_report((Instant::now() + Duration::from_millis(50)).min(deadline))
                .await;
            if self.is_done(record) || Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Before each step: every connection that waits must still wait.
    async fn check_waiting(&mut self, number: usize) -> Result<(), Stopped> {
        for connection in 0..self.seats.len() {
            let Some(record) = self.seats[connection].busy else {
                continue;
            };
            let deadline = Instant::now() + RETURN_MAX;
            loop {
                let waits = self.still_waits(connection, record).await?;
                // A lock that was let go of goes to its waiter within milliseconds, which a busy server makes many:
                // the step that let go of it is told from the next one only if the answer is awaited.
                let let_go = waits == Some(true) && self.is_let_go(connection, record).await?;
                self.drain();
                if self.is_done(record) || (waits != Some(false) && !let_go) {
                    break;
                }
                if let_go && Instant::now() >= deadline {
                    break;
                }
                if Instant::now() >= deadline {
                    if let Some(wait) = self.history.steps[record].wait.as_mut() {
                        wait.not_waiting_before.push(number);
                    }
                    break;
                }
                self.next_report(Instant::now() + LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Whether all who could hold what a statement waits for have let go of it.
    async fn is_let_go(&mut self, connection: usize, record: usize) -> Result<bool, Stopped> {
        let wait = self.history.steps[record].wait.as_ref();
        // Who holds it may never have been one of ours.
        if wait.is_none_or(|wait| wait.candidates.is_empty()) {
            return Ok(false);
        }
        let control = self.seats[connection].control;
        let rows = self.rows(control).await?;
        Ok(self.candidates(connection, record, &rows).is_empty())
    }

    /// Whether a statement that was seen to wait waits still; `None` where that cannot be told.
    pub(super) async fn still_waits(
        &mut self,
        connection: usize,
        record: usize,
    ) -> Result<Option<bool>, Stopped> {
        let Some(wait) = &self.history.steps[record].wait else {
            return Ok(None);
        };
        let (rule, candidates, seen_us) = (wait.rule, wait.candidates.clone(), wait.seen_us);
        let ddl = classify(&self.statement_text(record)).kind == Kind::Ddl;
        if ddl && !matches!(rule, WaitRule::SameLockWaitTwice { .. }) {
            let waits = self.metadata_lock_waits(record).await;
            // One that nobody's locks hold back may stand behind another one, which is not to be seen.
            let held = waits.map(|holders| !holders.is_empty());
            let queues = self.other_ddl(connection);
            return Ok(held.filter(|held| *held || !queues));
        }
        let control = self.seats[connection].control;
        let rows = self.rows(control).await?;
        Ok(match rule {
            WaitRule::SameLockWaitTwice { .. } => Some(
                self.row_of(&rows, connection)
                    .is_some_and(|row| row.state == "LockWaiting"),
            ),
            _ if candidates.is_empty() => None,
            // The server shows no wait, but there is none without somebody who holds it back: one of those
            // who could when it was seen, or one who has done something since.
            WaitRule::Committing { .. } | WaitRule::NoAnswer { .. } | WaitRule::MetadataLock => {
                let acted = |number: &usize| {
                    let later = self.history.steps.iter().rev();
                    later
                        .take_while(|step| step.started_us >= seen_us)
                        .any(|step| step.connection == *number)
                };
                let now = self.candidates(connection, record, &rows);
                let held = now
                    .iter()
                    .any(|number| candidates.contains(number) || acted(number));
                Some(held)
            }
        })
    }

    /// A step for a connection that is busy: its statement must end by itself, and may take its time only
    /// if it is expected to end with an error.
    async fn await_free(&mut self, number: usize, connection: usize) -> Result<(), Stopped> {
        let Some(record) = self.seats[connection].busy else {
            return Ok(());
        };
        if !self.plan.steps[self.history.steps[record].step].wants_error() {
            return Err(Stopped::StillBlocked { record, step: number });
        }
        self.await_end(record).await;
        Ok(())
    }

    /// Waits for a step's answer up to its limit, and ends it there.
    pub(super) async fn await_end(&mut self, record: usize) {
        let plan = Arc::clone(&self.plan);
        let timeout = plan.steps[self.history.steps[record].step].timeout;
        let deadline = Instant::now() + timeout;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        if !self.is_done(record) {
            self.end_statement(record, timeout).await;
        }
    }

    /// After a step that must end a wait.
    async fn await_release(&mut self, connection: usize, by: usize) -> Result<(), Stopped> {
        let Some(record) = self.seats[connection].busy else {
            return Ok(());
        };
        let timeout = self.plan.steps[self.history.steps[record].step].timeout;
        let began = Instant::now();
        // The locks of a killed session may stay until their time to live ends: its roll-back is killed, too.
        let killed = matches!(
            self.plan.steps[self.history.steps[by].step].action,
            Action::Kill { connection: true, .. }
        );
        let soon = began + if killed { timeout } else { timeout.min(RELEASE_MAX) };
        while !self.is_done(record) && Instant::now() < soon {
            self.next_report(soon).await;
        }
        if self.is_done(record) {
            return Ok(());
        }
        // A lock that is let go of goes to its waiter at once. A schema change takes its time then, and so
        // does a statement that tries again and again; but they are not held back any more.
        let lock_wait = self.history.steps[record]
            .wait
            .as_ref()
            .is_some_and(|wait| matches!(wait.rule, WaitRule::SameLockWaitTwice { .. }));
        if !lock_wait && self.still_waits(connection, record).await? != Some(true) {
            let deadline = began + timeout;
            while !self.is_done(record) && Instant::now() < deadline {
                self.next_report(deadline).await;
            }
        }
        if self.is_done(record) {
            Ok(())
        } else {
            Err(Stopped::NotReleased { record, by })
        }
    }

    /// Ends a statement that is over its limit: by KILL QUERY, and if that does not help by closing the
    /// connection. Whether the statement took effect is unknown.
    async fn end_statement(&mut self, record: usize, limit: Duration) {
        let connection = self.history.steps[record].connection;
        let name = self.plan.connections[connection].name.as_str();
        tracing::warn!(connection = name, ?limit, "over its limit: KILL QUERY");
        self.kill_query(connection).await;
        let deadline = Instant::now() + KILL_MAX;
        while !self.is_done(record) && Instant::now() < deadline {
            self.next_report(deadline).await;
        }
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let outcome = Outcome::TimedOut { limit_ms };
        let name = &self.plan.connections[connection].name;
        let reason = format!("{name} gave no answer within {limit_ms} ms");
        match self.history.steps[record].end.as_mut() {
            Some(end) => end.outcome = outcome,
            None => {
                let at_us = self.coordinator.now_us();
                let started = self.history.steps[record].started_us;
                self.history.steps[record].end = Some(StepEnd {
                    at_us,
                    took_us: at_us.saturating_sub(started),
                    outcome,
                    statement: 0,
                    warnings: None,
                    plan: None,
                    vars: self.coordinator.vars(),
                    save_problem: None,
                });
                self.seats[connection].busy = None;
                self.discard(connection).await;
            }
        }
        self.seats[connection].failed = Some(reason);
        let _ = self.seats[connection].commands.send(Command::Fail);
    }

    /// Ends a connection whose statement does not end: its session by KILL, its task by force.
    async fn discard(&mut self, connection: usize) {
        let control = self.seats[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control].execute(&format!("kill {session}")).await;
        }
        self.seats[connection].task.abort();
        self.coordinator.set_status(connection, Status::Failed);
    }

    /// Runs `always`, if no statement runs.
    pub(super) async fn always(&mut self, after: Option<usize>) {
        if self.seats.iter().any(|seat| seat.busy.is_some()) {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let main = plan
            .servers
            .iter()
            .position(|server| server.name == "main")
            .map_or(0, |own| own + 1);
        for (number, one) in plan.finals.iter().enumerate() {
            for (index, query) in one.always.iter().enumerate() {
                let check = CheckId::Always {
                    check: (number, index),
                    after,
                };
                let vars = self.coordinator.vars();
                let record = query_record(&mut self.controls[main], query, check, &vars).await;
                self.history.checks.push(record);
            }
        }
    }

    /// Ends all machines. What still waits is ended by KILL QUERY; what comes of it is no part of the history.
    pub async fn finish(&mut self) {
        self.drain();
        // A KILL of the whole session would do, but it can end the whole server: see `Machine::settle`.
        for connection in 0..self.seats.len() {
            if self.seats[connection].busy.is_some() {
                self.kill_query(connection).await;
            }
        }
        // Locks that are let go of now end waits at once; TiDB looks for a KILL once a second.
        for seat in &self.seats {
            if seat.busy.is_none() && seat.failed.is_none() {
                let _ = seat.commands.send(Command::Finish);
            }
        }
        let deadline = Instant::now() + KILL_MAX;
        while self.seats.iter().any(|seat| seat.busy.is_some()) {
            let report = tokio::time::timeout_at(deadline.into(), self.inbox.recv()).await;
            let Ok(Some(report)) = report else { break };
            let seat = &mut self.seats[report.connection];
            seat.busy = None;
            let _ = seat.commands.send(Command::Fail);
        }
        for connection in 0..self.seats.len() {
            if self.seats[connection].busy.take().is_some() {
                // What it answers to its end is of our doing, and no outcome.
                self.discard(connection).await;
            }
        }
        let deadline = tokio::time::Instant::now() + KILL_MAX;
        for connection in 0..self.seats.len() {
            let seat = &mut self.seats[connection];
            let (closed, _) = mpsc::unbounded_channel();
            seat.commands = closed;
            if tokio::time::timeout_at(deadline, &mut seat.task).await.is_err() {
                seat.task.abort();
            }
        }
    }

    /// KILL QUERY of a connection's session.
    async fn kill_query(&mut self, connection: usize) {
        let control = self.seats[connection].control;
        if let Some(session) = self.coordinator.session(connection) {
            self.controls[control]
                .execute(&format!("kill query {session}"))
                .await;
        }
    }
}

/// Whether others may see or get something after a step that they could not before, or whether what it saw depends
/// on what others do in transactions that are open. So it is of all but plain statements of a transaction that goes
/// on.
fn ends_something(step: &Step, report: &Report, was_open: bool, is_open: bool) -> bool {
    match step.action {
        Action::Sleep(_) | Action::Nothing => return false,
        Action::Sql(_) | Action::Prepared(..) => {}
        _ => return true,
    }
    let mut open = was_open;
    let mut goes_on = |sql: &str| {
        let statement = classify(sql);
        // With SKIP LOCKED and NOWAIT nobody waits, but what comes of it depends on who came first.
        let lower = sql.to_ascii_lowercase();
        let asks = lower.contains("skip locked") || lower.contains("nowait");
        let plain = match statement.kind {
            Kind::Begin(_) => !std::mem::replace(&mut open, true),
            Kind::Select { .. } | Kind::Dml | Kind::Savepoint | Kind::Sleep => true,
            _ => false,
        };
        plain && !asks && !statement.takes_user_lock() && !statement.changes_whole_server()
    };
    let shares = !step.save.is_empty() || !step.set.is_empty();
    !is_open || shares || report.end.outcome.is_error() || !report.ran.iter().all(|(sql, _)| goes_on(sql))
}
