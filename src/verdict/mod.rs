//! Judges a history against a plan. Pure: no clock, no SQL, no waiting.

mod finals;
mod machines;
mod outcomes;
mod server_left;
mod shared;
mod waiting;

pub use outcomes::outcome;
pub(crate) use server_left::server_left;
pub(crate) use waiting::rule_in_words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::expect::{Expectation, Mismatch, Seen};
use crate::history::{CheckId, History, Outcome, SqlError, SqlValue, StepEnd, Stopped, Vars, describe};
use crate::plan::{Action, Mode, TrialPlan};
use crate::source::Span;

/// What a trial came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything held.
    Passed,
    /// Something did not hold: one finding at the least.
    Failed(Vec<Finding>),
}

/// One thing that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the file says what should hold.
    pub span: Span,
    /// Said at that place.
    pub label: String,
    /// One line: expected …, got ….
    pub message: String,
    /// Other places that have to do with it.
    pub also: Vec<(Span, String)>,
    /// More lines, such as a table of rows.
    pub detail: Option<String>,
    /// Whether the server itself is to blame, so that its log is of interest.
    pub server: bool,
}

impl Finding {
    /// Something that does not hold at a place of the file, for those who judge more than one run.
    #[must_use]
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self::new(span, message)
    }

    fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            label: String::new(),
            message: message.into(),
            also: Vec::new(),
            detail: None,
            server: false,
        }
    }

    fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// Judges.
#[must_use]
pub fn judge(plan: &TrialPlan, history: &History) -> Verdict {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (number, record) in history.steps.iter().enumerate() {
        let before = findings.len();
        if machines::is_judged(record) {
            step(plan, history, number, &mut findings);
        }
        match plan.mode {
            Mode::Concurrent(_) => machines::step(plan, record, &mut findings),
            Mode::Scripted => waiting::step(plan, history, number, &mut findings),
            // Which steps are blocked is what is asked.
            Mode::Explored(_) => {}
        }
        if findings.len() > before {
            told.insert(record.connection);
        }
    }
    match plan.mode {
        Mode::Concurrent(_) => {
            machines::ends(plan, history, &told, &mut findings);
            fold(&mut findings);
        }
        Mode::Scripted | Mode::Explored(_) => {}
    }
    waiting::stopped(plan, history, &mut findings);
    for skipped in &history.skipped {
        if let Some(step) = plan.steps.get(skipped.step) {
            let finding = Finding::new(step.span, "this step was not run");
            findings.push(finding.label(skipped.reason.clone()));
        }
    }
    findings.extend(server_left(plan, &history.server_left));
    finals::judge(plan, history, &mut findings);
    if findings.is_empty() {
        never_looked_at(plan, history, &mut findings);
    }
    if findings.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(findings)
    }
}

/// Many connections may find the same at the same place: what is told a few times is only counted from then on.
fn fold(findings: &mut Vec<Finding>) {
    const TOLD_MAX: usize = 3;
    let mut told: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut more: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    findings.retain(|finding| {
        let place = (finding.span.start, finding.span.end);
        let times = told.entry(place).or_default();
        *times += 1;
        if *times > TOLD_MAX {
            *more.entry(place).or_default() += 1;
        }
        *times <= TOLD_MAX
    });
    for ((start, end), count) in more {
        let at = Span { start, end };
        if let Some(last) = findings.iter_mut().rfind(|finding| finding.span == at) {
            let so = format!("and {count} more times at this place");
            let detail = last.detail.take().map(|detail| format!("{detail}\n{so}"));
            last.detail = Some(detail.unwrap_or(so));
        }
    }
}

/// What the file asks for and the history tells nothing of: what was never looked at has not passed.
fn never_looked_at(plan: &TrialPlan, history: &History, findings: &mut Vec<Finding>) {
    // A state of a concurrent connection may be one of several that can follow; in many schedules a connection
    // that got an error takes no more steps. `expect` says what holds then.
    let all = match plan.mode {
        Mode::Scripted => true,
        Mode::Concurrent(_) | Mode::Explored(_) => false,
    };
    let script = plan.steps.iter().enumerate().filter(|_| all);
    for (number, step) in script {
        let record = history.steps.iter().find(|record| record.step == number);
        if record.is_none_or(|record| record.end.is_none()) {
            let message = match record {
                Some(_) => "this step was never seen to return",
                None => "this step was never run",
            };
            findings.push(Finding::new(step.span, message));
        }
    }
    let checked = |wanted: CheckId| {
        history.checks.iter().any(|record| match (record.check, wanted) {
            (CheckId::Always { check, .. }, CheckId::Always { check: wanted, .. }) => check == wanted,
            (check, wanted) => check == wanted,
        })
    };
    for (number, one) in plan.finals.iter().enumerate() {
        let tables = one.tables.iter().enumerate();
        let tables = tables.map(|(index, query)| (query, CheckId::Table(number, index)));
        let queries = one.queries.iter().enumerate();
        let queries = queries.map(|(index, query)| (query, CheckId::Query(number, index)));
        let always = one.always.iter().enumerate().map(|(index, query)| {
            let check = (number, index);
            (query, CheckId::Always { check, after: None })
        });
        for (query, check) in tables.chain(queries).chain(always) {
            if !checked(check) {
                findings.push(Finding::new(
                    query.span,
                    format!("{}: never looked at", query.label),
                ));
            }
        }
    }
}

/// The variables that a step's expectations may name.
fn step_vars(plan: &TrialPlan, connection: usize, end: &StepEnd) -> Vars {
    let mut vars = end.vars.clone();
    if let Some(own) = plan.connections.get(connection) {
        vars.insert("connection".to_owned(), SqlValue::Text(own.name.clone()));
        vars.insert("index".to_owned(), SqlValue::Int(own.index as i128));
    }
    vars
}

fn step(plan: &TrialPlan, history: &History, number: usize, findings: &mut Vec<Finding>) {
    let Some(record) = history.steps.get(number) else {
        return;
    };
    let Some(step) = plan.steps.get(record.step) else {
        return;
    };
    // A step without an end is judged where the script stopped.
    let Some(end) = &record.end else { return };
    let name = plan
        .connections
        .get(record.connection)
        .map_or("?", |own| own.name.as_str());
    // Where outcomes are named, an error is part of one.
    let part_of_outcome = !plan.outcomes().is_empty();
    if part_of_outcome && end.outcome.is_error() && !step.wants_error() {
        return;
    }
    if end.outcome.is_error() && !step.wants_error() {
        let statement = statement_span(step, end).unwrap_or(step.span);
        let message = format!("{name}: expected success, got {}", describe(&end.outcome));
        let mut finding = Finding::new(statement, message).label("this statement failed");
        finding.server = matches!(end.outcome, Outcome::Lost { .. } | Outcome::TimedOut { .. });
        findings.push(finding);
        return;
    }
    // The last statement is the one that is judged; the ones before it only lead there.
    if let Action::Sql(statements) = &step.action
        && end.outcome.is_error()
        && end.statement + 1 < statements.len()
    {
        let statement = statement_span(step, end).unwrap_or(step.span);
        let message = format!(
            "{name}: expected success before the step's last statement, got {}",
            describe(&end.outcome)
        );
        findings.push(Finding::new(statement, message).label("this statement failed"));
        return;
    }
    let vars = step_vars(plan, record.connection, end);
    let seen = Seen {
        outcome: &end.outcome,
        took: Duration::from_micros(end.took_us),
        warnings: end.warnings.as_deref(),
        plan: end.plan.as_deref(),
        vars: &vars,
    };
    let timed_out = matches!(end.outcome, Outcome::TimedOut { .. });
    let mut errors = step.expectations.iter().filter(|one| one.check.wants_error());
    if timed_out && errors.any(|one| one.check.check(&seen).is_err()) {
        let message = format!("{name}: {}", describe(&end.outcome));
        findings.push(Finding::new(step.span, message).label("this step was over its limit"));
        return;
    }
    for expectation in &step.expectations {
        if let Err(mismatch) = expectation.check.check(&seen) {
            findings.push(
                of_mismatch(expectation, mismatch, &format!("{name}: ")).also(step.span, "in this step"),
            );
        }
    }
    if let Some(problem) = &end.save_problem {
        let span = kept_at(step, problem).unwrap_or(step.span);
        findings.push(Finding::new(span, format!("{name}: {problem}")));
    }
}

/// Where the value stands that could not be kept: what is wrong begins with its name.
fn kept_at(step: &crate::plan::Step, problem: &str) -> Option<Span> {
    let named = |name: &str| problem.starts_with(&format!("`{name}`"));
    let saved = step.save.iter().map(|(name, _, span)| (name, span));
    let recorded = step
        .coordination
        .record
        .iter()
        .map(|(name, _, span)| (name, span));
    let added = step.coordination.add.iter().map(|(name, _, span)| (name, span));
    let mut all = saved.chain(recorded).chain(added);
    all.find(|(name, _)| named(name)).map(|(_, span)| *span)
}

fn statement_span(step: &crate::plan::Step, end: &StepEnd) -> Option<Span> {
    match &step.action {
        Action::Sql(statements) => statements.get(end.statement).map(|statement| statement.span),
        Action::Prepared(statement, _) => Some(statement.span),
        _ => None,
    }
}

fn of_mismatch(expectation: &Expectation, mismatch: Mismatch, before: &str) -> Finding {
    let span = mismatch.span.unwrap_or(expectation.span);
    let mut finding = Finding::new(span, format!("{before}{}", mismatch.message));
    finding = finding.label(format!("`{}` does not hold", expectation.key));
    finding.detail = mismatch.detail;
    finding
}

/// All errors that statements of the trial got.
fn errors(history: &History) -> Vec<SqlError> {
    let ends = history.steps.iter().filter_map(|record| record.end.as_ref());
    ends.filter_map(|end| end.outcome.error()).collect()
}

/// Whether the trial ended before its script did, so that its end says nothing.
fn cut_short(history: &History) -> bool {
    match &history.stopped {
        None => false,
        Some(
            Stopped::UnexpectedWait { .. }
            | Stopped::StillBlocked { .. }
            | Stopped::NotReleased { .. }
            | Stopped::OverTime { .. }
            | Stopped::ServerLost { .. },
        ) => true,
    }
}
