//! Judges events and retries of the shared state; series and jobs have files of their own.

use super::at_end::AtEnd;
use super::finding::{Finding, count};
use super::{jobs, series};
use crate::plan::{EventsPattern, Final};

pub(super) fn judge(one: &Final, end: &AtEnd<'_>, findings: &mut Vec<Finding>) {
    match &one.events {
        None => {}
        Some(EventsPattern::Order(span, wanted)) => {
            let came: Vec<&str> = end
                .history
                .events
                .iter()
                .filter(|event| !event.of_job || wanted.contains(&event.name))
                .map(|event| event.name.as_str())
                .collect();
            if came != wanted.iter().map(String::as_str).collect::<Vec<_>>() {
                let message = format!(
                    "expected events [{}], got [{}]",
                    wanted.join(", "),
                    came.join(", ")
                );
                findings.push(Finding::new(*span, message).label("these did not come in this order"));
            }
        }
        Some(EventsPattern::Counts(counts)) => {
            for (name, span, pattern) in counts {
                let came = end
                    .history
                    .events
                    .iter()
                    .filter(|event| event.name == *name)
                    .count();
                let what = format!("event `{name}`");
                count(&what, came, *span, pattern, end, findings);
            }
        }
    }
    for (number, span, pattern) in &one.retries {
        if let Some(record) = end.history.connections.get(*number) {
            let what = format!("retries of {}", record.name);
            count(&what, record.retries as usize, *span, pattern, end, findings);
        }
    }
    for pattern in &one.series {
        series::judge(pattern, end, findings);
    }
    for pattern in &one.jobs {
        jobs::judge(pattern, end, findings);
    }
}
