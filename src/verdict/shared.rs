//! Judges events, series, retries and jobs of the shared state.

use bigdecimal::BigDecimal;

use super::Finding;
use crate::expect::ValuePattern;
use crate::history::{History, JobRecord, SqlValue, show};
use crate::plan::{EventsPattern, Final, JobPattern, SeriesPattern};

/// At most this many values of a series are shown.
const SHOWN_MAX: usize = 12;

pub(super) fn judge(one: &Final, history: &History, findings: &mut Vec<Finding>) {
    match &one.events {
        None => {}
        Some(EventsPattern::Order(span, wanted)) => {
            let came: Vec<&str> = history
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
                let came = history.events.iter().filter(|event| event.name == *name).count();
                let what = format!("event `{name}`");
                count(&what, came, *span, pattern, history, findings);
            }
        }
    }
    for (number, span, pattern) in &one.retries {
        if let Some(record) = history.connections.get(*number) {
            let what = format!("retries of {}", record.name);
            count(&what, record.retries as usize, *span, pattern, history, findings);
        }
    }
    for pattern in &one.series {
        series(pattern, history, findings);
    }
    for pattern in &one.jobs {
        job(pattern, history, findings);
    }
}

fn count(
    what: &str,
    got: usize,
    span: crate::source::Span,
    pattern: &ValuePattern,
    history: &History,
    findings: &mut Vec<Finding>,
) {
    if !pattern.matches(&SqlValue::Int(got as i128), &history.vars) {
        let wanted = pattern.shown_with(&history.vars);
        findings.push(Finding::new(
            span,
            format!("expected {wanted} × {what}, got {got}"),
        ));
    }
}

fn number(value: &SqlValue) -> Option<BigDecimal> {
    match value {
        SqlValue::Int(number) => Some(BigDecimal::from(*number)),
        SqlValue::Decimal(text) | SqlValue::Text(text) => text.parse().ok(),
        SqlValue::Float(number) => number.to_string().parse().ok(),
        SqlValue::Null | SqlValue::Bytes(_) | SqlValue::Time(_) | SqlValue::Json(_) => None,
    }
}

/// Whether one value is smaller: numbers as numbers, all else as it is shown.
fn smaller(one: &SqlValue, other: &SqlValue) -> bool {
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one < other,
        _ => show(one) < show(other),
    }
}

fn shown(values: &[&SqlValue]) -> String {
    let mut shown: Vec<String> = values.iter().take(SHOWN_MAX).map(|value| show(value)).collect();
    if values.len() > SHOWN_MAX {
        shown.push(format!("… {} in all", values.len()));
    }
    format!("[{}]", shown.join(", "))
}

fn series(pattern: &SeriesPattern, history: &History, findings: &mut Vec<Finding>) {
    let name = &pattern.name;
    let values: Vec<&SqlValue> = history
        .series
        .get(name)
        .map(|values| values.iter().map(|(_, value)| value).collect())
        .unwrap_or_default();
    if let Some(wanted) = &pattern.count {
        let what = format!("values of `{name}`");
        count(&what, values.len(), wanted.span, wanted, history, findings);
    }
    let least = values
        .iter()
        .copied()
        .reduce(|one, other| if smaller(other, one) { other } else { one });
    let most = values
        .iter()
        .copied()
        .reduce(|one, other| if smaller(one, other) { other } else { one });
    for (what, wanted, got) in [
        ("first", &pattern.first, values.first().copied()),
        ("last", &pattern.last, values.last().copied()),
        ("min", &pattern.min, least),
        ("max", &pattern.max, most),
    ] {
        let Some(wanted) = wanted else { continue };
        let words = wanted.shown_with(&history.vars);
        let message = match got {
            Some(value) if wanted.matches(value, &history.vars) => continue,
            Some(value) => format!("series `{name}`: expected {what} {words}, got {}", show(value)),
            None => format!("series `{name}`: expected {what} {words}, but nothing was recorded"),
        };
        let mut finding = Finding::new(wanted.span, message);
        finding.detail = Some(format!("  {name}: {}", shown(&values)));
        findings.push(finding);
    }
    if let Some(span) = pattern.increasing {
        // What is not known yet, such as the rows of an import that has not begun, is neither less nor more.
        let known: Vec<&SqlValue> = values
            .iter()
            .copied()
            .filter(|value| **value != SqlValue::Null)
            .collect();
        let falls = known.windows(2).position(|pair| smaller(pair[1], pair[0]));
        let message = match falls {
            _ if values.is_empty() => format!("series `{name}`: nothing was recorded"),
            Some(at) => format!(
                "series `{name}`: expected no value smaller than the one before, got {} after {}",
                show(known[at + 1]),
                show(known[at])
            ),
            None => String::new(),
        };
        if !message.is_empty() {
            let mut finding = Finding::new(span, message);
            finding.detail = Some(format!("  {name}: {}", shown(&values)));
            findings.push(finding);
        }
    }
    if let Some((span, wanted)) = &pattern.values {
        let fits = wanted.len() == values.len()
            && wanted
                .iter()
                .zip(&values)
                .all(|(wanted, value)| wanted.matches(value, &history.vars));
        if !fits {
            let words: Vec<String> = wanted.iter().map(|one| one.shown_with(&history.vars)).collect();
            let message = format!(
                "series `{name}`: expected [{}], got {}",
                words.join(", "),
                shown(&values)
            );
            findings.push(Finding::new(*span, message));
        }
    }
}

fn job(pattern: &JobPattern, history: &History, findings: &mut Vec<Finding>) {
    let kind = pattern.kind.word();
    let of_kind: Vec<&JobRecord> = history
        .jobs
        .iter()
        .filter(|job| job.kind == pattern.kind)
        .collect();
    let mine = |job: &&&JobRecord| match &pattern.which {
        None => true,
        Some(which) => {
            let table = job.fields.get("table");
            job.id.to_string() == *which || table == Some(&SqlValue::Text(which.clone()))
        }
    };
    let found: Vec<&&JobRecord> = of_kind.iter().filter(mine).collect();
    let fits = |job: &JobRecord| {
        pattern.fields.iter().all(|(name, _, wanted)| {
            let value = job.fields.get(name).unwrap_or(&SqlValue::Null);
            wanted.matches(value, &history.vars)
        })
    };
    if found.iter().any(|job| fits(job)) {
        return;
    }
    let Some(nearest) = found.first() else {
        let which = pattern.which.as_deref().unwrap_or("any");
        let seen: Vec<String> = of_kind.iter().map(|job| job.id.to_string()).collect();
        let seen = if seen.is_empty() {
            "none was seen".to_owned()
        } else {
            format!("seen were {}", seen.join(", "))
        };
        let message = format!("expected {kind} job `{which}`, but {seen}");
        findings.push(Finding::new(pattern.span, message));
        return;
    };
    for (name, span, wanted) in &pattern.fields {
        let value = nearest.fields.get(name).unwrap_or(&SqlValue::Null);
        if !wanted.matches(value, &history.vars) {
            let words = wanted.shown_with(&history.vars);
            let message = format!(
                "{kind} job {}: expected {name} {words}, got {}",
                nearest.id,
                show(value)
            );
            let mut finding = Finding::new(*span, message);
            let phases = nearest
                .phases
                .iter()
                .map(|(at_us, phase)| format!("  {:.1} ms: {phase}", *at_us as f64 / 1_000.0));
            finding.detail = Some(phases.collect::<Vec<_>>().join("\n"));
            findings.push(finding);
        }
    }
}
