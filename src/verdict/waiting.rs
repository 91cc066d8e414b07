//! Judges waits: who waited, for whom, and what ended it.

use super::finding::Finding;
use crate::history::{ConnectionRecord, History, Outcome, RowSet, SqlValue, StepRecord, Stopped, WaitRule};
use crate::plan::{Action, Mode, TrialPlan};
use crate::source::Span;
use crate::sql::{
    Kind, LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED, QUERY_TIMEOUT, UserLockCall, UserLockFunction, classify,
};

/// At most this many connections are listed that had not ended at the trial's limit.
const OPEN_MAX: usize = 20;

fn name(plan: &TrialPlan, connection: usize) -> &str {
    plan.connections
        .get(connection)
        .map_or("?", |own| own.name.as_str())
}

fn names(plan: &TrialPlan, connections: &[usize]) -> String {
    connections
        .iter()
        .map(|number| name(plan, *number))
        .collect::<Vec<_>>()
        .join(", ")
}

fn span_of(plan: &TrialPlan, record: &StepRecord) -> Span {
    plan.steps
        .get(record.step)
        .map_or(Span { start: 0, end: 0 }, |step| step.span)
}

/// What shows a wait, in words.
pub(crate) fn rule_in_words(rule: WaitRule) -> &'static str {
    match rule {
        WaitRule::RowLock => "DATA_LOCK_WAITS names the waiting transaction, the holder and the key",
        WaitRule::UserLock => {
            "DATA_LOCK_WAITS shows a wait for this user-level lock, which the holder has taken"
        }
        WaitRule::MetadataLock => "mysql.tidb_mdl_view names the session that the schema change waits for",
        WaitRule::SchemaChange => "mysql.tidb_ddl_job shows the schema change queued behind the other one",
        WaitRule::InnoDb => "InnoDB's status or the list of processes shows the wait",
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// One step's wait against what the file says of it.
pub(super) fn step(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let Some(step) = plan.steps.get(record.step) else {
        return;
    };
    let own = name(plan, record.connection);
    match (&step.blocked, &record.wait) {
        (Some(blocked), None) => {
            let got = match &record.end {
                Some(end) => {
                    let got = crate::history::describe(&end.outcome);
                    format!("it returned after {:.1} ms with {got}", ms(end.took_us))
                }
                None => "it was not seen to wait".to_owned(),
            };
            let finding = Finding::new(blocked.span, format!("{own}: expected to be blocked, but {got}"));
            let finding = finding.also(step.span, "this step");
            findings.push(finding.label(match names_its_locks(&record.text) {
                true => "expected here",
                false => {
                    "the name of the user-level lock is not a literal, so the server does not show who waits for it"
                }
            }));
        }
        (Some(blocked), Some(_)) => {
            for (by, span) in &blocked.by {
                holder(plan, history, number, *by, *span, findings);
            }
            end_of_wait(plan, history, number, findings);
        }
        // A wait that ended while its holder was looked for did not stop the script. If nobody ended it, it
        // was one; otherwise the server took its time to get a lock.
        (None, Some(_)) => {
            if history.stopped.is_none() && ended_by(plan, history, number) == Some(EndedBy::OwnLimit) {
                unexpected(plan, history, number, findings);
            }
        }
        (None, None) => {}
    }
}

/// `blocked_by`: true only where something shows it.
fn holder(
    plan: &TrialPlan,
    history: &History,
    number: usize,
    by: usize,
    span: Span,
    findings: &mut Vec<Finding>,
) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let Some(wait) = &record.wait else { return };
    let (own, wanted) = (name(plan, record.connection), name(plan, by));
    if wait.holders.contains(&by) {
        return;
    }
    let finding = if wait.holders.is_empty() {
        let message = match wait.rule {
            WaitRule::InnoDb => format!("{own}: it is blocked, and by whom is not shown"),
            _ => format!("{own}: it is blocked, but not by {wanted}"),
        };
        Finding::new(span, message).label(match wait.rule {
            WaitRule::InnoDb => "InnoDB does not say who holds what it waits for: write `blocked: true`",
            _ => "a session outside of this trial holds what it waits for",
        })
    } else {
        let actual = names(plan, &wait.holders);
        let message =
            format!("{own}: expected to be blocked by {wanted}, but {actual} holds what it waits for");
        Finding::new(span, message).label(rule_in_words(wait.rule))
    };
    findings.push(finding.also(span_of(plan, record), "this step is blocked"));
}

/// The step with which a wait ended: after it the server showed no holder any more.
fn release_of(history: &History, number: usize) -> Option<&StepRecord> {
    let wait = history.steps.get(number)?.wait.as_ref()?;
    history.steps.get(wait.released_by?)
}

/// What can end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndedBy {
    /// Another connection let go: whatever the statement then came to.
    Release,
    /// The statement's own limit: nobody has to do anything for it.
    OwnLimit,
    /// Its session or its statement was killed.
    Kill,
}

/// Whether the text tells which user-level locks it asks for.
fn names_its_locks(text: &str) -> bool {
    let statement = classify(text);
    let mut asked = statement.user_locks().iter();
    !asked.any(|call| call.function == UserLockFunction::Get && call.name.told().is_none())
}

/// Whether a statement does nothing but ask for user-level locks, and has not got them.
fn has_not_got_a_lock(text: &str, rows: &RowSet) -> bool {
    let statement = classify(text);
    let statement = statement.last();
    let asks = |call: &&UserLockCall| call.function == UserLockFunction::Get;
    let mut columns = statement.user_locks().iter().filter(asks).map(|call| call.column);
    let returned = |column: usize| rows.rows.first().and_then(|row| row.get(column));
    matches!(statement.kind, Kind::GetLock { .. })
        && columns.all(|column| {
            column
                .and_then(returned)
                .is_some_and(|value| *value == SqlValue::Int(0))
        })
}

fn ended_by(plan: &TrialPlan, history: &History, number: usize) -> Option<EndedBy> {
    let record = history.steps.get(number)?;
    let end = record.end.as_ref()?;
    // A KILL ends a wait only if the server shows so: TiDB goes on waiting for a user-level lock, and with a schema
    // change.
    let killed = release_of(history, number).is_some_and(|release| {
        let action = plan.steps.get(release.step).map(|step| &step.action);
        match action {
            Some(Action::Kill { target, .. }) => *target == record.connection,
            _ => classify(&release.text).kills(),
        }
    });
    Some(match &end.outcome {
        // GET_LOCK answers 0 when its time is over.
        Outcome::Rows(rows) if has_not_got_a_lock(&record.text, rows) => EndedBy::OwnLimit,
        Outcome::Rows(_) | Outcome::Done(_) | Outcome::Unanswered { .. } => EndedBy::Release,
        Outcome::Refused(error) => match error.code {
            LOCK_WAIT_TIMEOUT | QUERY_TIMEOUT => EndedBy::OwnLimit,
            QUERY_INTERRUPTED if killed => EndedBy::Kill,
            _ => EndedBy::Release,
        },
        Outcome::TimedOut { .. } => EndedBy::OwnLimit,
        // Sessions are also lost for what their statement meets when it goes on.
        Outcome::Lost { .. } if killed => EndedBy::Kill,
        Outcome::Lost { .. } => EndedBy::Release,
    })
}

/// The record with which a wait ended, where another connection let go.
pub(crate) fn released_with(plan: &TrialPlan, history: &History, number: usize) -> Option<usize> {
    let by = history.steps.get(number)?.wait.as_ref()?.released_by;
    by.filter(|_| ended_by(plan, history, number) == Some(EndedBy::Release))
}

/// The step that says that it ends this wait, with the place where it says so.
fn claim<'h>(plan: &TrialPlan, history: &'h History, number: usize) -> Option<(&'h StepRecord, Span)> {
    let connection = history.steps.get(number)?.connection;
    let later = history.steps.iter().skip(number + 1);
    // What is said after the connection's next step is said of another wait.
    later
        .take_while(|other| other.connection != connection)
        .find_map(|other| {
            let unblocks = &plan.steps.get(other.step)?.unblocks;
            let (_, span) = unblocks.iter().find(|(waiter, _)| *waiter == connection)?;
            Some((other, *span))
        })
}

/// What ended a wait must be what the file says: the step with `unblocks`, or else nobody.
fn end_of_wait(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let (Some(step), Some(wait)) = (plan.steps.get(record.step), &record.wait) else {
        return;
    };
    let own = name(plan, record.connection);
    if let Some(before) = wait
        .not_waiting_before
        .first()
        .and_then(|before| plan.steps.get(*before))
    {
        let message = format!("{own}: it must still be blocked here, but it is not");
        findings.push(Finding::new(before.span, message).also(step.span, "blocked since this step"));
        return;
    }
    // Where the script stopped before the end of the wait, that is what is wrong.
    let Some(end) = &record.end else { return };
    let by = ended_by(plan, history, number);
    match claim(plan, history, number) {
        Some((claimer, span)) => {
            let wrong = |what: String| {
                Finding::new(span, format!("{own}: {what}"))
                    .label("did not unblock it")
                    .also(step.span, "blocked since this step")
            };
            if by == Some(EndedBy::OwnLimit) {
                let got = crate::history::describe(&end.outcome);
                findings.push(wrong(format!(
                    "its wait ended at its own limit ({got}), not with this step"
                )));
            } else {
                match release_of(history, number) {
                    Some(release) if std::ptr::eq(release, claimer) => {}
                    Some(release) => findings.push(
                        wrong("its wait had ended before this step".to_owned())
                            .also(span_of(plan, release), "this step ended it"),
                    ),
                    None => findings.push(wrong("its wait had ended before any other step".to_owned())),
                }
            }
        }
        None if by == Some(EndedBy::Release) => match release_of(history, number) {
            Some(release) => {
                let message = format!("{own}: this step ended its wait, but has no `unblocks: {own}`");
                let finding = Finding::new(span_of(plan, release), message);
                findings.push(
                    finding
                        .label(format!("write `unblocks: {own}`, if this is intended"))
                        .also(step.span, "blocked since this step"),
                );
            }
            None => {
                let message = format!("{own}: its wait ended by itself before any other step");
                findings.push(Finding::new(step.span, message).label("blocked only for a moment"));
            }
        },
        None => {}
    }
}

/// A step waited that must not.
fn unexpected(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let own = name(plan, record.connection);
    let wait = record.wait.as_ref();
    let holders = wait.map(|wait| wait.holders.clone()).unwrap_or_default();
    let by = if holders.is_empty() {
        String::new()
    } else {
        format!(" by {}", names(plan, &holders))
    };
    let key = wait
        .and_then(|wait| wait.key.as_ref())
        .map(|key| format!(" ({key})"))
        .unwrap_or_default();
    // What a script that stopped here still waited for was killed then.
    let over = record.end.is_some() && history.stopped.is_none();
    let is = if over { "was" } else { "is" };
    let message = format!("{own}: this step must return, but it {is} blocked{by}{key}");
    let mut finding = Finding::new(span_of(plan, record), message);
    finding = finding.label(match holders.first() {
        Some(holder) => format!("write `blocked_by: {}`, if this is intended", name(plan, *holder)),
        None => "write `blocked: true`, if this is intended".to_owned(),
    });
    let key = wait.and_then(|wait| wait.key.as_deref()).unwrap_or_default();
    for holder in holders {
        let took = took_lock(history, number, holder, key);
        let certain = took.len() == 1;
        for record in took {
            let name = name(plan, holder);
            let text = if certain {
                format!("{name} took the lock here")
            } else {
                format!("{name} may have taken the lock here")
            };
            finding = finding.also(span_of(plan, record), text);
        }
    }
    finding.detail = wait.map(|wait| rule_in_words(wait.rule).to_owned());
    findings.push(finding);
}

/// At most this many statements are shown of which one took a lock.
const TOOK_MAX: usize = 3;

/// The statements of a holder that can have taken the lock of a key: those of its transaction that name the key's table,
/// and the row if one of them does.
fn took_lock<'h>(history: &'h History, number: usize, holder: usize, key: &str) -> Vec<&'h StepRecord> {
    let before = history.steps.iter().take(number);
    let mut own: Vec<&StepRecord> = before
        .filter(|record| record.connection == holder && record.end.is_some())
        .collect();
    // Locks of an earlier transaction are gone.
    let last = own.last().and_then(|record| record.txn);
    own.retain(|record| record.txn == last && classify(&record.text).can_lock_rows());
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .map(str::to_lowercase)
            .collect()
    };
    let mut narrow = |word: &str| {
        let names: Vec<&StepRecord> = own
            .iter()
            .copied()
            .filter(|record| words(&record.text).contains(&word.to_lowercase()))
            .collect();
        if !names.is_empty() {
            own = names;
        }
    };
    // `table t, row 1` and `table t, index k ["7"]`
    let mut parts = key.split(", ");
    if let Some(table) = parts.next().and_then(|part| part.strip_prefix("table ")) {
        narrow(table);
    }
    if let Some(row) = parts.next() {
        let row = row.trim_start_matches("row ");
        let row = row.rsplit(' ').next().unwrap_or(row);
        narrow(row.trim_matches(|c: char| !c.is_alphanumeric()));
    }
    if own.len() > TOOK_MAX {
        own.truncate(TOOK_MAX);
    }
    own
}

/// Why the script was not followed to its end.
pub(super) fn stopped(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    let Some(stopped) = &history.stopped else { return };
    match stopped {
        Stopped::UnexpectedWait { record } => unexpected(plan, history, *record, findings),
        Stopped::StillBlocked { record, step } => {
            let (Some(record), Some(step)) = (history.steps.get(*record), plan.steps.get(*step)) else {
                return;
            };
            let own = name(plan, record.connection);
            let message = format!("{own}: this step cannot start, since {own} is still blocked");
            findings.push(
                Finding::new(step.span, message).also(span_of(plan, record), "blocked since this step"),
            );
        }
        Stopped::NotReleased { record, by } => {
            let (Some(record), Some(by)) = (history.steps.get(*record), history.steps.get(*by)) else {
                return;
            };
            let own = name(plan, record.connection);
            let span = plan
                .steps
                .get(by.step)
                .and_then(|step| {
                    step.unblocks
                        .iter()
                        .find(|(other, _)| *other == record.connection)
                })
                .map_or(span_of(plan, by), |(_, span)| *span);
            let message = format!("{own}: this step must end its wait, but {own} is still blocked");
            let finding = Finding::new(span, message).label("did not unblock it");
            findings.push(finding.also(span_of(plan, record), "blocked since this step"));
        }
        Stopped::OverTime { limit_ms } => {
            // Of concurrent connections the first one that had not ended.
            let open: Vec<(usize, &ConnectionRecord)> = match plan.mode {
                Mode::Concurrent(_) => {
                    let all = history.connections.iter().enumerate();
                    all.filter(|(_, record)| record.failure.is_some()).collect()
                }
                Mode::Scripted | Mode::Explored(_) | Mode::Workload(_) => Vec::new(),
            };
            let last = match open.first() {
                Some((number, _)) => history.steps.iter().rfind(|record| record.connection == *number),
                None => history.steps.last(),
            };
            let span = last.map_or(Span { start: 0, end: 0 }, |record| span_of(plan, record));
            let message = format!("the trial took longer than its limit of {limit_ms} ms");
            let mut finding = Finding::new(span, message)
                .label("this step had started last")
                .also(span, "");
            let open = open.iter().filter_map(|(_, record)| {
                let failure = record.failure.as_ref()?;
                Some(format!("  {} {failure}", record.name))
            });
            let open: Vec<String> = open.take(OPEN_MAX).collect();
            if !open.is_empty() {
                finding = finding.label("one of the connections that had not ended");
                finding.detail = Some(open.join("\n"));
            }
            findings.push(finding);
        }
        Stopped::ServerLost { reason } => {
            let span = history
                .steps
                .last()
                .map_or(Span { start: 0, end: 0 }, |record| span_of(plan, record));
            let mut finding =
                Finding::new(span, format!("the server was lost: {reason}")).label("at this step");
            finding.server = true;
            findings.push(finding);
        }
    }
}
