//! What steps came to, as changes of the file: rows, affected rows, errors, waits, final tables.

use std::collections::BTreeMap;

use super::change::{Change, Observed, Wanted};
use super::literal::{key, literal};
use crate::expect::Expectation;
use crate::history::{History, Outcome, RowSet, SqlValue, StepRecord, Stopped};
use crate::plan::{Action, Step, TrialPlan};
use crate::source::Span;
use crate::sql::{Kind, classify};
use crate::verdict::{failing_finals, failing_of_step, released_with};

/// Rows that nobody has asked for are written up to this many; of more only their number.
const ROWS_MAX: usize = 20;

/// What a run of a trial asks to be changed; nothing where all of it holds and says what happened.
pub(crate) fn observed(plan: &TrialPlan, history: &History) -> Observed {
    let mut found = Observed::default();
    if let Some(stopped) = &history.stopped {
        found.stopped(plan, history, stopped);
        return found;
    }
    for (number, record) in history.steps.iter().enumerate() {
        let Some(step) = plan.steps.get(record.step) else {
            continue;
        };
        // An error that is not expected closes its session, and so ends waits: what comes after it is not what the
        // script does once the error is written.
        if record.end.as_ref().is_some_and(|end| step.fails(&end.outcome)) {
            found.outcome(plan, history, number, step, record);
            return found;
        }
        found.wait(plan, step, record);
        found.outcome(plan, history, number, step, record);
    }
    found.unblocks(plan, history);
    for (query, expectation, outcome) in failing_finals(plan, history) {
        match outcome {
            Outcome::Rows(set) => {
                let span = expectation.span;
                found.value(plan, &query.label, expectation, set, span);
            }
            _ => found.problem(plan, query.span, format!("{}: it gave no rows", query.label)),
        }
    }
    found
}

impl Observed {
    fn problem(&mut self, plan: &TrialPlan, span: Span, text: String) {
        let line = plan.file.place(span.start).line;
        self.problems.push(format!("line {line}: {text}"));
    }

    fn want(&mut self, plan: &TrialPlan, span: Span, what: &str, change: Change, optional: bool) {
        let line = plan.file.place(span.start).line;
        let wanted = Wanted {
            change,
            optional,
            line,
        };
        self.wanted.insert((span.start, what.to_owned()), wanted);
    }

    fn add(&mut self, plan: &TrialPlan, step: &Step, name: &str, text: String, optional: bool) {
        self.want(plan, step.span, name, Change::Add(step.span, text), optional);
    }

    /// Only what stopped it: what comes after that was not run.
    fn stopped(&mut self, plan: &TrialPlan, history: &History, stopped: &Stopped) {
        match stopped {
            Stopped::UnexpectedWait { record } => {
                if let Some(record) = history.steps.get(*record)
                    && let Some(step) = plan.steps.get(record.step)
                {
                    let (name, text) = blocked_by(plan, record);
                    self.add(plan, step, name, text, false);
                    self.some_unblocks(plan, record);
                }
            }
            Stopped::NotReleased { record, by } => {
                let step = |number: &usize| history.steps.get(*number).map(|record| (record, record.step));
                if let (Some((waiter, _)), Some((_, by))) = (step(record), step(by))
                    && let Some(own) = plan.steps.get(by)
                {
                    let rest: Vec<usize> = own
                        .unblocks
                        .iter()
                        .map(|(number, _)| *number)
                        .filter(|number| *number != waiter.connection)
                        .collect();
                    self.set_unblocks(plan, own, &rest);
                }
            }
            Stopped::StillBlocked { step, .. } => {
                let span = plan
                    .steps
                    .get(*step)
                    .map_or(Span { start: 0, end: 0 }, |step| step.span);
                self.problem(
                    plan,
                    span,
                    "its connection is still blocked here: another step must come before".to_owned(),
                );
            }
            Stopped::OverTime { limit_ms } => {
                self.problems.push(format!("it took longer than {limit_ms} ms"))
            }
            Stopped::ServerLost { reason } => self.problems.push(format!("the server was lost: {reason}")),
        }
    }

    fn wait(&mut self, plan: &TrialPlan, step: &Step, record: &StepRecord) {
        let Some(blocked) = &step.blocked else { return };
        match &record.wait {
            None => self.want(plan, step.span, "blocked", Change::Remove(step.span), false),
            Some(wait) => {
                let wrong = blocked.by.iter().any(|(by, _)| !wait.holders.contains(by));
                if wrong {
                    let (name, text) = blocked_by(plan, record);
                    if name == "blocked_by" {
                        self.want(
                            plan,
                            step.span,
                            "blocked",
                            Change::Value(step.span, text, None),
                            false,
                        );
                    } else {
                        self.problem(
                            plan,
                            blocked.span,
                            "the server does not say who blocks it".to_owned(),
                        );
                    }
                }
            }
        }
    }

    fn unblocks(&mut self, plan: &TrialPlan, history: &History) {
        let mut ends: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, record) in history.steps.iter().enumerate() {
            if let Some(by) = released_with(plan, history, number)
                && let Some(by) = history.steps.get(by)
            {
                ends.entry(by.step).or_default().push(record.connection);
            }
        }
        for (number, step) in plan.steps.iter().enumerate() {
            let mut now: Vec<usize> = step.unblocks.iter().map(|(number, _)| *number).collect();
            let mut seen = ends.remove(&number).unwrap_or_default();
            now.sort_unstable();
            seen.sort_unstable();
            if now != seen {
                self.set_unblocks(plan, step, &seen);
            }
        }
    }

    /// Whoever is blocked and has a further step must be said to be unblocked before it. Which step does that is seen in
    /// the next round: until then it is the last one that can.
    fn some_unblocks(&mut self, plan: &TrialPlan, record: &StepRecord) {
        let waiter = record.connection;
        let later = plan.steps.iter().skip(record.step + 1);
        let between: Vec<&Step> = later.take_while(|step| step.connection != waiter).collect();
        let goes_on = plan.steps.len() > record.step + 1 + between.len();
        let claims = |step: &&Step| step.unblocks.iter().any(|(number, _)| *number == waiter);
        let Some(last) = between.last().filter(|_| goes_on && !between.iter().any(claims)) else {
            return;
        };
        let mut names: Vec<usize> = last.unblocks.iter().map(|(number, _)| *number).collect();
        names.push(waiter);
        self.set_unblocks(plan, last, &names);
    }

    fn set_unblocks(&mut self, plan: &TrialPlan, step: &Step, names: &[usize]) {
        let names: Vec<String> = names.iter().map(|number| name(plan, *number)).collect();
        let text = match names.as_slice() {
            [one] => one.clone(),
            all => format!("[{}]", all.join(", ")),
        };
        // The name that stands there tells where the key is.
        match (step.unblocks.first(), names.is_empty()) {
            (None, _) => self.add(plan, step, "unblocks", text, false),
            (Some(_), true) => self.want(plan, step.span, "unblocks", Change::Remove(step.span), false),
            (Some(_), false) => {
                self.want(
                    plan,
                    step.span,
                    "unblocks",
                    Change::Value(step.span, text, None),
                    false,
                );
            }
        }
    }

    fn outcome(
        &mut self,
        plan: &TrialPlan,
        history: &History,
        number: usize,
        step: &Step,
        record: &StepRecord,
    ) {
        let Some(end) = &record.end else { return };
        let failing = failing_of_step(plan, history, number);
        match &end.outcome {
            Outcome::Refused(error) if !step.wants_error() => {
                let all: Vec<&Expectation> = step.expectations.iter().collect();
                self.instead(plan, step, &all, "error", error.code.to_string(), false);
            }
            Outcome::Refused(error) => {
                for own in failing {
                    match own.key {
                        "error" => {
                            let change = Change::Value(own.span, error.code.to_string(), None);
                            self.want(plan, own.span, "error", change, false);
                        }
                        other => self.problem(plan, own.span, cannot(other)),
                    }
                }
            }
            Outcome::Rows(set) => {
                let errors = errors_of(step);
                if errors.len() == step.expectations.len() {
                    let (name, text) = match set.rows.len() {
                        0..=ROWS_MAX => ("rows", list(&items(set))),
                        more => ("count", more.to_string()),
                    };
                    self.instead(plan, step, &errors, name, text, errors.is_empty());
                } else {
                    self.removed(plan, &errors);
                }
                for own in failing.iter().filter(|own| !own.check.wants_error()) {
                    self.value(plan, "this step", own, set, own.span);
                }
            }
            Outcome::Done(done) => {
                let errors = errors_of(step);
                for own in failing.iter().filter(|own| !own.check.wants_error()) {
                    match own.key {
                        "affected" => {
                            let change = Change::Value(own.span, done.affected.to_string(), None);
                            self.want(plan, own.span, "affected", change, false);
                        }
                        other => self.problem(plan, own.span, cannot(other)),
                    }
                }
                let writes = match &step.action {
                    Action::Sql(_) | Action::Prepared(..) => classify(&record.text).last().kind == Kind::Dml,
                    Action::Load { .. } => true,
                    _ => false,
                };
                if writes && errors.len() == step.expectations.len() {
                    let affected = done.affected.to_string();
                    self.instead(plan, step, &errors, "affected", affected, errors.is_empty());
                } else {
                    self.removed(plan, &errors);
                }
            }
            other @ (Outcome::TimedOut { .. } | Outcome::Lost { .. } | Outcome::Unanswered { .. }) => {
                if step.fails(other) || !failing.is_empty() {
                    let got = crate::history::describe(other);
                    self.problem(plan, step.span, format!("it got no answer of the server ({got})"));
                }
            }
        }
    }

    /// A key in the place of others, which do not hold together with it.
    fn instead(
        &mut self,
        plan: &TrialPlan,
        step: &Step,
        others: &[&Expectation],
        name: &'static str,
        text: String,
        optional: bool,
    ) {
        let Some((first, rest)) = others.split_first() else {
            self.add(plan, step, name, text, optional);
            return;
        };
        let change = Change::Replace(first.span, name, text);
        self.want(plan, first.span, first.key, change, optional);
        self.removed(plan, rest);
    }

    fn removed(&mut self, plan: &TrialPlan, all: &[&Expectation]) {
        for own in all {
            self.want(plan, own.span, own.key, Change::Remove(own.span), false);
        }
    }

    /// Another value of an expectation about rows.
    fn value(&mut self, plan: &TrialPlan, whose: &str, own: &Expectation, set: &RowSet, span: Span) {
        let only_row = match set.rows.as_slice() {
            [row] => Some(row),
            _ => None,
        };
        let cell = only_row.and_then(|row| match row.as_slice() {
            [value] => Some(value),
            _ => None,
        });
        let all = items(set);
        let (text, items) = match own.key {
            "rows" | "unordered" => (list(&all), Some(all)),
            "count" => (set.rows.len().to_string(), None),
            "row" if only_row.is_some() => (all[0].clone(), None),
            "value" if cell.is_some() => (cell.map(literal).unwrap_or_default(), None),
            other => {
                self.problem(
                    plan,
                    span,
                    format!("{whose} has {} rows; {}", set.rows.len(), cannot(other)),
                );
                return;
            }
        };
        self.want(plan, span, own.key, Change::Value(span, text, items), false);
    }
}

fn cannot(key: &str) -> String {
    format!("`{key}` does not hold, and what it should say instead cannot be told: change it yourself")
}

/// The expectations of an error.
fn errors_of(step: &Step) -> Vec<&Expectation> {
    step.expectations
        .iter()
        .filter(|own| own.check.wants_error())
        .collect()
}

fn name(plan: &TrialPlan, connection: usize) -> String {
    plan.connections
        .get(connection)
        .map_or_else(|| "?".to_owned(), |own| key(&own.name))
}

/// The key and the value for a step that is blocked.
fn blocked_by(plan: &TrialPlan, record: &StepRecord) -> (&'static str, String) {
    let holders = record.wait.as_ref().map(|wait| wait.holders.as_slice());
    match holders.unwrap_or_default() {
        [] => ("blocked", "true".to_owned()),
        [one] => ("blocked_by", name(plan, *one)),
        all => {
            let names: Vec<String> = all.iter().map(|number| name(plan, *number)).collect();
            ("blocked_by", format!("[{}]", names.join(", ")))
        }
    }
}

/// The rows, each as the language writes it.
fn items(set: &RowSet) -> Vec<String> {
    let row = |row: &Vec<SqlValue>| {
        let cells: Vec<String> = row.iter().map(literal).collect();
        format!("[{}]", cells.join(", "))
    };
    set.rows.iter().map(row).collect()
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}
