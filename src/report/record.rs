//! A run as JSON, for tools: the trial, what did not hold, and the whole history.

use serde::Serialize;
use serde_json::Value;

use crate::explore::{Explored, OrderOutcome};
use crate::history::{History, Status};
use crate::plan::TrialPlan;
use crate::sql::redact;
use crate::verdict::{Finding, Verdict};

#[derive(Serialize)]
struct Record<'a> {
    trial: &'a str,
    scenario: &'a str,
    file: &'a str,
    variant: &'a [(String, String)],
    seed: u64,
    verdict: &'static str,
    findings: Vec<Found<'a>>,
    steps: Vec<Planned<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<Orders<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<Value>,
    history: &'a History,
}

/// The outcomes of a trial with `permutations`; the history is that of a schedule that failed.
#[derive(Serialize)]
struct Orders<'a> {
    orders: u128,
    run: usize,
    stands_for: u128,
    failed: usize,
    outcomes: Vec<Class<'a>>,
}

#[derive(Serialize)]
struct Class<'a> {
    names: &'a [String],
    orders: u128,
    order: String,
    came: &'a OrderOutcome,
}

#[derive(Serialize)]
struct Found<'a> {
    line: usize,
    column: usize,
    message: &'a str,
}

/// A step of the plan: the history names steps by their numbers.
#[derive(Serialize)]
struct Planned<'a> {
    line: usize,
    state: &'a str,
}

/// The text of the JSON file: one object, with the passwords taken out.
#[must_use]
pub fn record(
    plan: &TrialPlan,
    history: &History,
    verdict: &Verdict,
    explored: Option<&Explored>,
    workload: Option<Value>,
) -> String {
    let (word, findings): (_, &[Finding]) = match verdict {
        Verdict::Passed => ("passed", &[]),
        Verdict::Failed(findings) => ("failed", findings),
    };
    let found = |finding: &'_ Finding| plan.file.place(finding.span.start);
    let record = Record {
        trial: &plan.name,
        scenario: &plan.title,
        file: plan.file.name(),
        variant: &plan.variant,
        seed: plan.seed,
        verdict: word,
        findings: findings
            .iter()
            .map(|finding| Found {
                line: found(finding).line,
                column: found(finding).column,
                message: &finding.message,
            })
            .collect(),
        steps: plan
            .steps
            .iter()
            .map(|step| Planned {
                line: plan.file.place(step.span.start).line,
                state: &step.state,
            })
            .collect(),
        orders: explored.map(|explored| Orders {
            orders: explored.schedules,
            run: explored.distinct,
            stands_for: explored.trace_size,
            failed: explored.failed,
            outcomes: explored
                .outcomes
                .iter()
                .map(|class| Class {
                    names: &class.names,
                    orders: class.trace_size,
                    order: plan.order_in_words(&class.schedule),
                    came: &class.outcome,
                })
                .collect(),
        }),
        workload,
        history,
    };
    // All of it is plain data; what has no form in JSON (a float that is no number) becomes null.
    let text = serde_json::to_string_pretty(&record).unwrap_or_else(|error| format!("\"{error}\""));
    redact(&text, &plan.secrets)
}

#[derive(Serialize)]
struct ProgramRecord<'a> {
    verdict: &'static str,
    findings: Vec<NotCompleted<'a>>,
    steps: Vec<StateName<'a>>,
    history: &'a History,
}

/// A connection that did not complete.
#[derive(Serialize)]
struct NotCompleted<'a> {
    connection: &'a str,
    state: Option<&'a str>,
    message: &'a str,
}

/// A state of a program: the history names states by their numbers.
#[derive(Serialize)]
struct StateName<'a> {
    state: &'a str,
}

/// The same of a program's connections, whose steps have the numbers of these states.
#[must_use]
pub fn record_of_states(states: &[String], history: &History, secrets: &[String]) -> String {
    let unfinished = history.connections.iter();
    let unfinished = unfinished.filter(|connection| connection.status != Status::Completed);
    let findings: Vec<NotCompleted<'_>> = unfinished
        .map(|connection| NotCompleted {
            connection: &connection.name,
            state: connection.state(),
            message: connection.failure.as_deref().unwrap_or("it did not end"),
        })
        .collect();
    let record = ProgramRecord {
        verdict: if findings.is_empty() { "passed" } else { "failed" },
        findings,
        steps: states.iter().map(|state| StateName { state }).collect(),
        history,
    };
    let text = serde_json::to_string_pretty(&record).unwrap_or_else(|error| format!("\"{error}\""));
    redact(&text, secrets)
}
