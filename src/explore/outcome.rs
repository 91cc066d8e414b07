//! The outcome of a schedule, so that schedules can be compared.

use serde::Serialize;

use crate::history::{CheckId, History, Outcome, RowSet, SERVER_LOST, StepRecord, Stopped, show};
use crate::plan::{TrialPlan, step_name};
use crate::sql::classify;

/// The outcome of one schedule. Two schedules with the same are the same to whoever looks at the data, at the answers
/// and at which steps were blocked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OrderOutcome {
    /// The rows, sorted, of each table that was there at the end.
    pub tables: Vec<(String, Vec<String>)>,
    /// What each step was answered: rows, how many were changed, or an error's number.
    pub answers: Vec<(String, String)>,
    /// The steps that were blocked, in the order of the file.
    pub blocked: Vec<String>,
    /// Variables that steps have set.
    pub vars: Vec<(String, String)>,
    /// Why it was not run to its end, if it was not; no table was looked at then.
    pub stopped: Option<String>,
}

/// What is said of a step whose connection was lost.
const LOST: &str = "connection lost";

/// Rows in words: `(1, 'a') (2, 'b')`.
fn rows(set: &RowSet, sort: bool) -> Vec<String> {
    let mut rows: Vec<String> = set
        .rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().map(show).collect();
            format!("({})", cells.join(", "))
        })
        .collect();
    if sort {
        rows.sort();
    }
    rows
}

/// Why a schedule was not run to its end, in words that are the same each time.
fn stopped(stopped: &Stopped) -> String {
    match stopped {
        Stopped::OverTime { limit_ms } => format!("the trial's limit of {limit_ms} ms was reached"),
        Stopped::ServerLost { .. } => "the server was lost".to_owned(),
        Stopped::UnexpectedWait { .. } | Stopped::StillBlocked { .. } | Stopped::NotReleased { .. } => {
            "an unexpected wait".to_owned()
        }
    }
}

fn answer(record: &StepRecord) -> String {
    let Some(end) = &record.end else {
        return "no answer".to_owned();
    };
    match &end.outcome {
        Outcome::Rows(set) if set.rows.is_empty() => "no rows".to_owned(),
        Outcome::Rows(set) => rows(set, false).join(" "),
        Outcome::Done(done) => match done.affected {
            0 if classify(&record.text).last().is_dml() => "0 rows changed".to_owned(),
            0 => "done".to_owned(),
            1 => "1 row changed".to_owned(),
            rows => format!("{rows} rows changed"),
        },
        Outcome::Refused(error) => format!("error {}", error.code),
        Outcome::TimedOut { .. } => "over its limit".to_owned(),
        Outcome::Lost { .. } => LOST.to_owned(),
        Outcome::Unanswered { .. } => "not sent".to_owned(),
    }
}

impl OrderOutcome {
    /// The outcome that a history shows.
    #[must_use]
    pub fn of(plan: &TrialPlan, history: &History) -> Self {
        let name = |step: usize| step_name(step, &plan.connections, &plan.steps);
        let table = |number: usize| {
            let record = history
                .checks
                .iter()
                .find(|one| one.check == CheckId::Rows(number));
            match record.map(|record| &record.outcome) {
                Some(Outcome::Rows(set)) => rows(set, true),
                // Its text may have the name of a database in it, which is another each time.
                Some(other) => vec![match other.error() {
                    Some(error) => format!("error {}", error.code),
                    None => crate::history::describe(other),
                }],
                None => vec!["not read".to_owned()],
            }
        };
        let answers = (0..plan.steps.len()).map(|step| {
            let record = history.steps.iter().find(|record| record.step == step);
            let answer = record.map_or("not run".to_owned(), answer);
            (name(step), answer)
        });
        let waited = |step: &usize| {
            let mut records = history.steps.iter();
            records.any(|record| record.step == *step && record.wait.is_some())
        };
        Self {
            tables: history
                .tables
                .iter()
                .enumerate()
                .map(|(number, name)| (name.clone(), table(number)))
                .collect(),
            answers: answers.collect(),
            blocked: (0..plan.steps.len()).filter(waited).map(name).collect(),
            vars: history
                .vars
                .iter()
                .filter(|(name, _)| plan.owners.is_given(name))
                .map(|(name, value)| (plan.owners.shown(name).to_owned(), show(value)))
                .collect(),
            stopped: history.stopped.as_ref().map(stopped),
        }
    }

    /// The errors, each with how many steps got it.
    #[must_use]
    pub fn errors(&self) -> Vec<(u16, usize)> {
        let mut errors: Vec<(u16, usize)> = Vec::new();
        for (_, answer) in &self.answers {
            let code = match answer.as_str() {
                LOST => Some(SERVER_LOST),
                other => other.strip_prefix("error ").and_then(|code| code.parse().ok()),
            };
            let Some(code) = code else { continue };
            match errors.iter_mut().find(|(other, _)| *other == code) {
                Some((_, count)) => *count += 1,
                None => errors.push((code, 1)),
            }
        }
        errors
    }

    /// All that can be said of it, a line for each thing.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, String)> {
        let mut facts = Vec::new();
        for (name, rows) in &self.tables {
            let rows = if rows.is_empty() {
                "empty".to_owned()
            } else {
                rows.join(" ")
            };
            facts.push((format!("table {name}"), rows));
        }
        facts.extend(self.answers.iter().cloned());
        let blocked = if self.blocked.is_empty() {
            "none".to_owned()
        } else {
            self.blocked.join(", ")
        };
        facts.push(("blocked".to_owned(), blocked));
        facts.extend(
            self.stopped
                .iter()
                .map(|why| ("stopped early".to_owned(), why.clone())),
        );
        facts.extend(
            self.vars
                .iter()
                .map(|(name, value)| (format!("var {name}"), value.clone())),
        );
        facts
    }
}
