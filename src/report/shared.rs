//! The shared state at the end of concurrent connections; where the file expects otherwise, both are shown.

use crate::expect::ValuePattern;
use crate::history::{History, SqlValue, show};
use crate::plan::TrialPlan;

/// At most this many connections, events or values stand in a line.
const SHOWN_MAX: usize = 12;

/// The shared state, one line for each thing.
pub(super) fn draw(plan: &TrialPlan, history: &History) -> String {
    let mut lines = vec!["shared state at the end:".to_owned()];
    for (number, record) in history.connections.iter().enumerate() {
        // Of hundreds of connections that have all completed, nothing is to be learnt.
        let wanted = plan
            .finals
            .iter()
            .flat_map(|one| &one.status)
            .find(|(other, ..)| *other == number)
            .map(|(.., status)| status.word());
        let got = record.status.word();
        let differs = wanted.is_some_and(|wanted| wanted != got);
        if number >= SHOWN_MAX && !differs && record.failure.is_none() {
            continue;
        }
        let mut more = String::new();
        if let Some(failure) = &record.failure {
            more.push_str(&format!(" ({failure})"));
        }
        if let Some(at_us) = record.gone_us {
            let at = at_us as f64 / 1_000.0;
            more.push_str(&format!(", its session was found gone at {at:.0} ms"));
        }
        match record.retries {
            0 => {}
            1 => more.push_str(", 1 retry"),
            retries => more.push_str(&format!(", {retries} retries")),
        }
        let name = &record.name;
        match wanted.filter(|_| differs) {
            Some(wanted) => {
                lines.push(format!("- status {name}: {wanted}"));
                lines.push(format!("+ status {name}: {got}{more}"));
            }
            None => lines.push(format!("  status {name}: {got}{more}")),
        }
    }
    if history.connections.len() > SHOWN_MAX {
        lines.push(format!(
            "  status of {} connections in all",
            history.connections.len()
        ));
    }
    let patterns: Vec<(String, &ValuePattern)> = plan
        .finals
        .iter()
        .flat_map(|one| &one.vars)
        .flat_map(|(name, _, pattern)| plan.owners.keys(name).into_iter().map(move |key| (key, pattern)))
        .collect();
    let seen = plan.owners.view_of_history(&history.vars);
    let mut own = 0;
    for (name, value) in &history.vars {
        if name.starts_with("env.") || name.starts_with("database") {
            continue;
        }
        let wanted = patterns.iter().find(|(other, _)| other == name);
        let wanted = wanted.filter(|(_, pattern)| !pattern.matches(value, &seen));
        // What each of hundreds of connections has saved is not worth a line.
        own += usize::from(name.contains('.'));
        if own > SHOWN_MAX && wanted.is_none() {
            continue;
        }
        if let Some((_, pattern)) = wanted {
            lines.push(format!("- var {name}: {}", pattern.shown_with(&seen)));
            lines.push(format!("+ var {name}: {}", show(value)));
        } else {
            lines.push(format!("  var {name}: {}", show(value)));
        }
    }
    if own > SHOWN_MAX {
        lines.push(format!("  {own} variables of single connections in all"));
    }
    if !history.events.is_empty() {
        let names = history.events.iter().map(|event| event.name.as_str());
        lines.push(format!("  events: {}", counted(names)));
    }
    for (name, values) in &history.series {
        let shown: Vec<String> = values
            .iter()
            .take(SHOWN_MAX)
            .map(|(_, value)| show(value))
            .collect();
        let more = values.len().saturating_sub(SHOWN_MAX);
        let more = if more > 0 {
            format!(", … {} in all", values.len())
        } else {
            String::new()
        };
        lines.push(format!("  series {name}: {}{more}", shown.join(", ")));
    }
    for job in &history.jobs {
        let field = |name: &str| match job.fields.get(name) {
            None | Some(SqlValue::Null) => "?".to_owned(),
            Some(SqlValue::Text(text)) => text.clone(),
            Some(other) => show(other),
        };
        lines.push(format!(
            "  {} job {}: {}, table {}, {} rows",
            job.kind.word(),
            job.id,
            field("status"),
            field("table"),
            field("rows")
        ));
    }
    lines.join("\n")
}

/// Names in the order in which they first came, each with how often it came.
fn counted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in names {
        match counts.iter_mut().find(|(other, _)| *other == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let more = counts.len().saturating_sub(SHOWN_MAX);
    let mut shown: Vec<String> = counts
        .iter()
        .take(SHOWN_MAX)
        .map(|(name, count)| match count {
            1 => (*name).to_owned(),
            count => format!("{name} ×{count}"),
        })
        .collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}
