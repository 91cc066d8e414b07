//! What the page shows of one trial when it is opened: plan, history and outcomes as JSON with short keys, since a run has
//! thousands of steps. `templates/report.js` reads it.

use serde::Serialize;
use serde_json::Value;

use super::super::outcomes::summary;
use super::safe;
use crate::explore::Explored;
use crate::history::{
    CheckId, EventRecord, History, Outcome, RowSet, StepRecord, Wait, Went, describe, show,
};
use crate::plan::{ConnectionPlan, TrialPlan};
use crate::sql::redact;
use crate::verdict::rule_in_words;

/// At most this many rows of a result are on the page.
const ROWS_MAX: usize = 200;
/// A cell is at most this many characters.
const CELL_MAX: usize = 2_000;
/// At most this many interleavings of a trial are shown step by step.
const RUNS_MAX: usize = 40;
/// At most this many interleavings are in the tree of choices.
const LEAVES_MAX: usize = 20_000;

#[derive(Serialize)]
struct Detail<'a> {
    connections: Vec<&'a str>,
    barriers: Vec<(&'a str, u32)>,
    runs: Vec<Run>,
    orders: Option<Orders>,
}

/// One run of the connections.
#[derive(Serialize)]
struct Run {
    label: String,
    took: u64,
    steps: Vec<Step>,
    /// When, its name, the connection, whether it came of a job.
    events: Vec<(u64, String, Option<usize>, bool)>,
    /// How each connection ended, and why if early.
    ends: Vec<(&'static str, Option<String>)>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Step {
    /// Connection.
    c: usize,
    /// Line.
    l: usize,
    /// State.
    k: String,
    /// What was sent.
    t: String,
    /// Start.
    s: u64,
    /// End.
    e: Option<u64>,
    /// Outcome in words.
    o: Option<String>,
    /// Whether it is an error.
    #[serde(skip_serializing_if = "is_false")]
    x: bool,
    /// Rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<Rows>,
    /// Its wait for another transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<Blocked>,
    /// How long it waited for others before it acted.
    #[serde(skip_serializing_if = "is_zero")]
    q: u64,
    /// Its repetition.
    #[serde(skip_serializing_if = "is_zero")]
    n: u64,
    /// Where the connection went then, if not on.
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<String>,
    /// Its barrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<usize>,
}

#[derive(Serialize)]
struct Rows {
    h: Vec<String>,
    d: Vec<Vec<String>>,
    n: usize,
}

#[derive(Serialize)]
struct Blocked {
    at: u64,
    by: Vec<usize>,
    key: Option<String>,
    why: &'static str,
    /// The number of the step that released it.
    rel: Option<usize>,
}

#[derive(Serialize)]
struct Check {
    l: usize,
    t: String,
    o: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    r: Option<Rows>,
}

#[derive(Serialize)]
struct Orders {
    summary: String,
    outcomes: Vec<Class>,
    /// The steps of each connection: line and text.
    steps: Vec<Vec<(usize, String)>>,
    /// Each interleaving that was run: the number of its outcome, and the connections in their order.
    leaves: Vec<(usize, Vec<usize>)>,
    left_out: usize,
}

#[derive(Serialize)]
struct Class {
    names: Vec<String>,
    count: String,
    order: String,
    facts: Vec<(String, String)>,
    /// The number of the run that shows it.
    run: Option<usize>,
    /// Whether the file names outcomes, and this is none of them.
    unexpected: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The JSON of one trial, with the passwords taken out, as it can stand in a script element.
#[must_use]
pub fn detail(plan: &TrialPlan, history: &History, explored: Option<&Explored>) -> String {
    let mut runs = Vec::new();
    let orders = match explored {
        None => {
            runs.push(run(plan, history, String::new()));
            None
        }
        Some(explored) => Some(orders(plan, explored, &mut runs)),
    };
    let detail = Detail {
        connections: plan.connections.iter().map(|own| own.name.as_str()).collect(),
        barriers: plan
            .barriers()
            .iter()
            .map(|own| (own.name.as_str(), own.parties))
            .collect(),
        runs,
        orders,
    };
    // Texts and whole numbers only.
    let mut value = serde_json::to_value(&detail).unwrap_or_default();
    if !plan.secrets.is_empty() {
        redact_value(&mut value, &plan.secrets);
    }
    safe(&value.to_string())
}

/// Takes passwords out of the texts themselves: in JSON's own text one may be written in another way.
fn redact_value(value: &mut Value, secrets: &[String]) {
    match value {
        Value::String(text) => *text = redact(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_value(item, secrets)),
        Value::Object(entries) => entries
            .values_mut()
            .for_each(|entry| redact_value(entry, secrets)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn run(plan: &TrialPlan, history: &History, label: String) -> Run {
    let event = |event: &EventRecord| (event.at_us, event.name.clone(), event.connection, event.of_job);
    let checks = history.checks.iter().filter_map(|record| {
        let query = match record.check {
            CheckId::Table(number, index) => plan.finals.get(number)?.tables.get(index)?,
            CheckId::Query(number, index) => plan.finals.get(number)?.queries.get(index)?,
            CheckId::Rows(_) | CheckId::Always { .. } => return None,
        };
        Some(Check {
            l: plan.file.place(query.span.start).line,
            t: query.label.clone(),
            o: in_short(&record.outcome),
            r: rows(&record.outcome),
        })
    });
    Run {
        label,
        took: history.took_us,
        steps: history.steps.iter().map(|record| step(plan, record)).collect(),
        events: history.events.iter().map(event).collect(),
        ends: history
            .connections
            .iter()
            .map(|own| (own.status.word(), own.failure.clone()))
            .collect(),
        checks: checks.collect(),
    }
}

fn step(plan: &TrialPlan, record: &StepRecord) -> Step {
    let planned = plan.steps.get(record.step);
    let outcome = record.end.as_ref().map(|end| &end.outcome);
    Step {
        c: record.connection,
        l: planned.map_or(0, |step| plan.file.place(step.span.start).line),
        k: planned.map_or_else(String::new, |step| step.state.clone()),
        t: record.text.clone(),
        s: record.started_us,
        e: record.ended_us(),
        o: outcome.map(in_short),
        x: outcome.is_some_and(Outcome::is_error),
        r: outcome.and_then(rows),
        w: record.wait.as_ref().map(blocked),
        q: record.waited_us,
        n: u64::from(record.iteration),
        g: went(&record.went),
        b: planned
            .and_then(|step| step.coordination.barrier)
            .map(|(number, _)| number),
    }
}

/// The outcome in a few words: there is little room.
fn in_short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(done) => match done.affected {
            0 => "done".to_owned(),
            1 => "1 row affected".to_owned(),
            rows => format!("{rows} rows affected"),
        },
        other => describe(other),
    }
}

fn blocked(wait: &Wait) -> Blocked {
    Blocked {
        at: wait.seen_us,
        by: wait.holders.clone(),
        key: wait.key.clone(),
        why: rule_in_words(wait.rule),
        rel: wait.released_by,
    }
}

fn went(went: &Went) -> Option<String> {
    match went {
        Went::On => None,
        Went::Elsewhere => Some("another state follows".to_owned()),
        Went::Retry { number, pause_us } => {
            let pause = *pause_us as f64 / 1_000.0;
            Some(format!("retry {number} after {pause:.1} ms"))
        }
        Went::RetriesUsedUp { number } => Some(format!("no more retries after {number}")),
        Went::NeverSeen { looks } => Some(format!("not there after {looks} polls")),
        Went::Unsatisfied {
            wanted,
            failure,
            reasons,
            cycle,
            ..
        } => {
            let why = crate::history::why_not_satisfied(reasons, cycle);
            Some(format!("{wanted}: {}\n{}", failure.word(), why.join("\n")))
        }
    }
}

fn rows(outcome: &Outcome) -> Option<Rows> {
    let Outcome::Rows(RowSet { columns, rows, .. }) = outcome else {
        return None;
    };
    let cell = |value| {
        let text = show(value);
        match text.char_indices().nth(CELL_MAX) {
            Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
            None => text,
        }
    };
    Some(Rows {
        h: columns.iter().map(|column| column.name.clone()).collect(),
        d: rows
            .iter()
            .take(ROWS_MAX)
            .map(|row| row.iter().map(cell).collect())
            .collect(),
        n: rows.len(),
    })
}

/// The outcomes of all interleavings; those that are shown step by step are added to the runs, failing ones first.
fn orders(plan: &TrialPlan, explored: &Explored, runs: &mut Vec<Run>) -> Orders {
    for failing in &explored.failing {
        if runs.len() < RUNS_MAX {
            let label = format!("fails: {}", plan.order_in_words(&failing.schedule));
            runs.push(run(plan, &failing.history, label));
        }
    }
    let mut classes = Vec::new();
    for (number, class) in explored.outcomes.iter().enumerate() {
        let order = class.example(plan);
        let shown = (runs.len() < RUNS_MAX).then(|| {
            runs.push(run(
                plan,
                &class.history,
                format!("outcome {}: {order}", number + 1),
            ));
            runs.len() - 1
        });
        classes.push(Class {
            names: class.names.clone(),
            count: class.trace_size.to_string(),
            order,
            facts: class.outcome.facts(),
            run: shown,
            unexpected: !plan.outcomes().is_empty() && class.names.is_empty(),
        });
    }
    let number = |history: &History| {
        let outcome = crate::explore::OrderOutcome::of(plan, history);
        let mut classes = explored.outcomes.iter();
        classes.position(|class| class.outcome == outcome)
    };
    let leaves = explored.histories.iter().take(LEAVES_MAX).filter_map(|history| {
        let picks = history.steps.iter().map(|record| record.connection).collect();
        Some((number(history)?, picks))
    });
    let steps = |own: &ConnectionPlan| -> Vec<(usize, String)> {
        let steps = plan.steps.get(own.states.clone()).unwrap_or_default();
        let left_out = plan.orders().map_or(&[][..], |orders| &orders.without);
        let numbered = own.states.clone().zip(steps);
        let kept = numbered.filter(|(number, _)| !left_out.contains(number));
        kept.map(|(_, step)| (plan.file.place(step.span.start).line, plan.describe(step)))
            .collect()
    };
    Orders {
        summary: summary(explored),
        outcomes: classes,
        steps: plan.connections.iter().map(steps).collect(),
        leaves: leaves.collect(),
        left_out: explored.histories.len().saturating_sub(LEAVES_MAX),
    }
}
