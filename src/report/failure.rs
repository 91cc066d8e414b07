//! The text of a failure: each finding at its place in the file, the timeline, the command that repeats it.

use super::finding::rendered;
use super::timeline::{TimelineShow, timeline_shown};
use super::{schedules, shared};
use crate::explore::Explored;
use crate::history::History;
use crate::plan::{Mode, TrialPlan};
use crate::source::RenderStyle;
use crate::sql::redact;
use crate::verdict::Finding;

/// What a failure's text is made from.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The trial.
    pub plan: &'a TrialPlan,
    /// What happened.
    pub history: &'a History,
    /// What did not hold.
    pub findings: &'a [Finding],
    /// The outcomes of all schedules, where it was run in many.
    pub explored: Option<&'a Explored>,
    /// The numbers of a workload, where it is one.
    pub workload: Option<&'a str>,
    /// The end of the server's log, where the server is to blame.
    pub server_log: Option<String>,
    /// What was kept to look at, and how to look at it.
    pub kept: Option<String>,
    /// Where the history was written, if it was.
    pub written: Option<String>,
    /// How the timeline is shown.
    pub timeline: TimelineShow,
    /// The command that runs just this trial again.
    pub repeat: String,
}

/// The text of a failure: each finding at its place in the file, the timeline, the command that repeats it.
#[must_use]
pub fn failure(failure: &Failure<'_>, style: RenderStyle) -> String {
    let mut parts = match failure.explored {
        Some(explored) => schedules::parts(failure.plan, &failure.repeat, explored, &failure.timeline, style),
        None => {
            let findings = failure.findings.iter();
            let mut parts: Vec<String> = findings
                .map(|finding| rendered(failure.plan, finding, style))
                .collect();
            let shown = || timeline_shown(failure.plan, failure.history, &failure.timeline);
            match failure.plan.mode {
                Mode::Concurrent(_) => {
                    parts.push(shown());
                    parts.push(shared::draw(failure.plan, failure.history));
                }
                Mode::Scripted | Mode::Explored(_) => parts.push(shown()),
                Mode::Workload(_) => parts.extend(failure.workload.map(str::to_owned)),
            }
            parts
        }
    };
    if let Some(log) = &failure.server_log {
        parts.push(format!("the end of the server's log:\n{log}"));
    }
    parts.extend(failure.kept.clone());
    if let Some(path) = &failure.written {
        parts.push(format!("the whole history: {path}"));
    }
    let count = failure.findings.len();
    let count = if count == 1 {
        "1 expectation does".to_owned()
    } else {
        format!("{count} expectations do")
    };
    parts.push(format!(
        "{count} not hold in `{}` ({}) on {}\nrun it again: {}",
        failure.plan.name, failure.plan.title, failure.history.server, failure.repeat
    ));
    redact(&parts.join("\n\n"), &failure.plan.secrets)
}
