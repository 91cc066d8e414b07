//! Judges waits: who waited, for whom, and what ended it.

use super::Finding;
use crate::history::{
    ConnectionRecord, Evidence, History, Outcome, RowSet, SqlValue, StepRecord, Stopped, WaitRule,
};
use crate::plan::{Action, Mode, TrialPlan};
use crate::source::Span;
use crate::sql::{
    Kind, LOCK_WAIT_TIMEOUT, Product, QUERY_INTERRUPTED, QUERY_TIMEOUT, UserLockCall, UserLockFunction,
    classify,
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

/// How a wait is known, in words.
pub(crate) fn rule_in_words(rule: WaitRule, product: Product) -> String {
    let view = match product {
        Product::TiDb => "TIDB_TRX",
        Product::MariaDb | Product::MySql => "InnoDB's status or the list of processes",
    };
    match rule {
        WaitRule::SameLockWaitTwice { apart_us } => {
            format!("{view} showed the same lock wait for {:.1} ms", ms(apart_us))
        }
        WaitRule::Committing { for_us } => {
            format!("{view} showed its commit under way for {:.0} ms", ms(for_us))
        }
        WaitRule::MetadataLock => "mysql.tidb_mdl_view names the session that it waits for".to_owned(),
        WaitRule::NoAnswer { for_us } => {
            format!(
                "no answer for {:.0} ms while every other connection was at rest",
                ms(for_us)
            )
        }
    }
}

/// How a holder is known, in words.
pub(crate) fn evidence_in_words(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::DataLockWaits => "DATA_LOCK_WAITS names it",
        Evidence::MetadataLockView => "mysql.tidb_mdl_view names it",
        Evidence::OnlyLocker => "its transaction is the only other one that holds locks",
        Evidence::UserLock => "it is the only one that took this lock",
        Evidence::SchemaChange => "its schema change runs before this one",
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
            findings.push(finding.label("expected here").also(step.span, "this step"));
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
    if !wait.holders.is_empty() {
        let actual = names(plan, &wait.holders);
        let how = wait.evidence.map_or("", evidence_in_words);
        let message =
            format!("{own}: expected to be blocked by {wanted}, but {actual} holds what it waits for");
        findings.push(
            Finding::new(span, message)
                .label(how)
                .also(span_of(plan, record), "this step waits"),
        );
        return;
    }
    // Nobody is named by the server; what ended the wait shows who held it. A wait that ended by its own
    // limit, or by a KILL of the waiter, shows nothing.
    let released = ended_by(plan, history, number) == Some(EndedBy::Release);
    if let Some(release) = release_of(history, number).filter(|_| released) {
        // A killed session lets go of its locks.
        let let_go = match plan.steps.get(release.step).map(|step| &step.action) {
            Some(Action::Kill { target, .. }) => *target,
            _ => release.connection,
        };
        if let_go == by {
            return;
        }
        let message = format!(
            "{own}: expected to be blocked by {wanted}, but it went on after a step of {}",
            name(plan, release.connection)
        );
        let finding = Finding::new(span, message).also(span_of(plan, release), "it went on after this step");
        findings.push(finding);
        return;
    }
    let message = if wait.candidates.is_empty() {
        format!(
            "{own}: it waits, but nothing shows that {wanted} holds it: no other connection has a transaction with locks"
        )
    } else {
        format!(
            "{own}: it waits, but nothing shows that {wanted} holds it (it may be {})",
            names(plan, &wait.candidates)
        )
    };
    let finding = Finding::new(span, message).label("cannot be shown");
    findings.push(finding.also(span_of(plan, record), "this step waits"));
}

/// The step during which a wait ended.
fn release_of(history: &History, number: usize) -> Option<&StepRecord> {
    let record = history.steps.get(number)?;
    let ended = record.ended_us()?;
    let later = history
        .steps
        .iter()
        .enumerate()
        .filter(|(other, _)| *other > number);
    later
        .filter(|(_, other)| other.started_us <= ended)
        .map(|(_, other)| other)
        .next_back()
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
    Some(match &end.outcome {
        // GET_LOCK answers 0 when its time is over.
        Outcome::Rows(rows) if has_not_got_a_lock(&record.text, rows) => EndedBy::OwnLimit,
        Outcome::Rows(_) | Outcome::Done(_) => EndedBy::Release,
        Outcome::Refused(error) => match error.code {
            LOCK_WAIT_TIMEOUT | QUERY_TIMEOUT => EndedBy::OwnLimit,
            QUERY_INTERRUPTED => EndedBy::Kill,
            _ => EndedBy::Release,
        },
        Outcome::TimedOut { .. } => EndedBy::OwnLimit,
        // Sessions are also lost for what their statement meets when it goes on.
        Outcome::Lost { .. } => {
            let mut later = history.steps.iter().skip(number + 1);
            let killed = later.any(|other| {
                let action = plan.steps.get(other.step).map(|step| &step.action);
                let own = match action {
                    Some(Action::Kill { target, .. }) => *target == record.connection,
                    _ => classify(&other.text).kills(),
                };
                own && other.started_us <= end.at_us
            });
            if killed { EndedBy::Kill } else { EndedBy::Release }
        }
    })
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
        let message = format!("{own}: it must still be blocked here, but it no longer waits");
        findings.push(Finding::new(before.span, message).also(step.span, "waited since here"));
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
                    .also(step.span, "waited since here")
            };
            if by == Some(EndedBy::OwnLimit) {
                let got = crate::history::describe(&end.outcome);
                findings.push(wrong(format!(
                    "its wait ended by its own limit ({got}), not with this step"
                )));
            } else if end.at_us < claimer.started_us {
                let finding = wrong("its wait had ended before this step".to_owned());
                findings.push(match release_of(history, number) {
                    Some(release) => finding.also(span_of(plan, release), "it ended with this one"),
                    None => finding,
                });
            }
        }
        None if by == Some(EndedBy::Release) => match release_of(history, number) {
            Some(release) => {
                let message = format!("{own}: its wait ended with this step, which does not say so");
                let finding = Finding::new(span_of(plan, release), message);
                findings.push(
                    finding
                        .label(format!("write `unblocks: {own}`, if it is meant"))
                        .also(step.span, "waited since here"),
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
        Some(holder) => format!("write `blocked_by: {}`, if it is meant", name(plan, *holder)),
        None => "write `blocked: true`, if it is meant".to_owned(),
    });
    for holder in holders {
        let took_locks = |other: &&StepRecord| {
            other.connection == holder && other.end.is_some() && classify(&other.text).can_lock_rows()
        };
        if let Some(last) = history.steps.iter().rfind(took_locks) {
            finding = finding.also(
                span_of(plan, last),
                format!("{} took locks here", name(plan, holder)),
            );
        }
    }
    finding.detail = wait.map(|wait| {
        let how = wait
            .evidence
            .map(|how| format!("; holder: {}", evidence_in_words(how)))
            .unwrap_or_default();
        format!("{}{how}", rule_in_words(wait.rule, history.product))
    });
    findings.push(finding);
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
            findings.push(Finding::new(step.span, message).also(span_of(plan, record), "waits since here"));
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
            findings.push(finding.also(span_of(plan, record), "waits since here"));
        }
        Stopped::OverTime { limit_ms } => {
            // Of concurrent connections the first one that had not ended.
            let open: Vec<(usize, &ConnectionRecord)> = match plan.mode {
                Mode::Concurrent(_) => {
                    let all = history.connections.iter().enumerate();
                    all.filter(|(_, record)| record.failure.is_some()).collect()
                }
                Mode::Scripted | Mode::Explored(_) => Vec::new(),
            };
            let last = match open.first() {
                Some((number, _)) => history.steps.iter().rfind(|record| record.connection == *number),
                None => history.steps.last(),
            };
            let span = last.map_or(Span { start: 0, end: 0 }, |record| span_of(plan, record));
            let message = format!("the trial took longer than its limit of {limit_ms} ms");
            let mut finding = Finding::new(span, message)
                .label("it was here then")
                .also(span, "");
            let open = open.iter().filter_map(|(_, record)| {
                let failure = record.failure.as_ref()?;
                Some(format!("  {} {failure}", record.name))
            });
            let open: Vec<String> = open.take(OPEN_MAX).collect();
            if !open.is_empty() {
                finding = finding.label("this is one of them");
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
