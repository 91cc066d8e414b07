//! Judges waits: who waited, for whom, and what ended it.

use super::Finding;
use crate::history::{Evidence, History, StepRecord, Stopped, WaitRule};
use crate::plan::TrialPlan;
use crate::source::Span;

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
pub(crate) fn rule_in_words(rule: WaitRule) -> String {
    match rule {
        WaitRule::SameLockWaitTwice { apart_us } => {
            format!(
                "TIDB_TRX showed the same lock wait twice, {:.1} ms apart",
                ms(apart_us)
            )
        }
        WaitRule::Committing { for_us } => {
            format!("TIDB_TRX showed its commit under way for {:.0} ms", ms(for_us))
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
                    let got = crate::expect::describe(&end.outcome);
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
            early_end(plan, history, number, findings);
        }
        (None, _) => {}
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
    // Nobody is named by the server; what ended the wait shows who held it.
    if let Some(release) = release_of(history, number) {
        if release.connection == by {
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

/// A wait that ended without a step that says so.
fn early_end(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
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
        let message =
            format!("{own}: it must still be blocked here, but the server says that it no longer waits");
        findings.push(Finding::new(before.span, message).also(step.span, "waited since here"));
        return;
    }
    if step.wants_error() || record.end.is_none() {
        return;
    }
    let release = release_of(history, number);
    let said = release
        .and_then(|release| plan.steps.get(release.step))
        .is_some_and(|release| {
            release
                .unblocks
                .iter()
                .any(|(other, _)| *other == record.connection)
        });
    if said {
        return;
    }
    match release {
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
    }
}

/// Why the script was not followed to its end.
pub(super) fn stopped(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    let Some(stopped) = &history.stopped else { return };
    match stopped {
        Stopped::UnexpectedWait { record } => {
            let Some(record) = history.steps.get(*record) else {
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
            let message = format!("{own}: this step must return, but it is blocked{by}{key}");
            let mut finding = Finding::new(span_of(plan, record), message);
            finding = finding.label(match holders.first() {
                Some(holder) => format!("write `blocked_by: {}`, if it is meant", name(plan, *holder)),
                None => "write `blocked: true`, if it is meant".to_owned(),
            });
            for holder in holders {
                let took_locks = |other: &&StepRecord| {
                    other.connection == holder
                        && other.end.is_some()
                        && crate::sql::classify(&other.text).can_lock_rows()
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
                format!("{}{how}", rule_in_words(wait.rule))
            });
            findings.push(finding);
        }
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
            let last = history.steps.last();
            let span = last.map_or(Span { start: 0, end: 0 }, |record| span_of(plan, record));
            let message = format!("the trial took longer than its limit of {limit_ms} ms");
            findings.push(
                Finding::new(span, message)
                    .label("it was here then")
                    .also(span, ""),
            );
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
