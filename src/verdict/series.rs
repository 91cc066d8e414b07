//! Judges recorded series.

use std::cmp::Ordering;

use super::at_end::AtEnd;
use super::finding::{Finding, count};
use crate::expect::order;
use crate::history::{SqlValue, show};
use crate::plan::SeriesPattern;

/// At most this many values of a series are shown.
const SHOWN_MAX: usize = 12;

fn shown(values: &[&SqlValue]) -> String {
    let mut shown: Vec<String> = values.iter().take(SHOWN_MAX).map(|value| show(value)).collect();
    if values.len() > SHOWN_MAX {
        shown.push(format!("… {} in all", values.len()));
    }
    format!("[{}]", shown.join(", "))
}

/// The value that comes first in this order: NULL only where there is nothing else, as MIN and MAX of SQL have it.
fn extreme<'v>(values: &[&'v SqlValue], wanted: Ordering) -> Result<Option<&'v SqlValue>, String> {
    let mut found: Option<&SqlValue> = None;
    for value in values {
        found = match found {
            None | Some(SqlValue::Null) => Some(value),
            Some(_) if **value == SqlValue::Null => found,
            Some(best) if order(value, best)? == wanted => Some(value),
            Some(_) => found,
        };
    }
    Ok(found)
}

/// What is wrong with a series that must not fall; nothing where it does not.
fn falls(values: &[&SqlValue]) -> Option<String> {
    // What is not known yet, such as the rows of an import that has not begun, is neither less nor more.
    let known = values.iter().filter(|value| ***value != SqlValue::Null);
    let known: Vec<&SqlValue> = known.copied().collect();
    if known.is_empty() {
        return Some(match values.len() {
            0 => "nothing was recorded".to_owned(),
            _ => "only NULL was recorded".to_owned(),
        });
    }
    for pair in known.windows(2) {
        let [before, after] = pair else { continue };
        let (first, then) = (show(before), show(after));
        match order(after, before) {
            Ok(Ordering::Less) => {
                return Some(format!(
                    "expected no value smaller than the one before, got {then} after {first}"
                ));
            }
            Ok(Ordering::Equal | Ordering::Greater) => {}
            Err(why) => return Some(format!("{then} after {first} cannot be compared: {why}")),
        }
    }
    None
}

pub(super) fn judge(pattern: &SeriesPattern, end: &AtEnd<'_>, findings: &mut Vec<Finding>) {
    let name = &pattern.name;
    let values: Vec<&SqlValue> = end
        .history
        .series
        .get(name)
        .map(|values| values.iter().map(|(_, value)| value).collect())
        .unwrap_or_default();
    let told = |span, message: String| {
        let mut finding = Finding::new(span, format!("series `{name}`: {message}"));
        finding.detail = Some(format!("  {name}: {}", shown(&values)));
        finding
    };
    if let Some(wanted) = &pattern.count {
        let what = format!("values of `{name}`");
        count(&what, values.len(), wanted.span, wanted, end, findings);
    }
    for (what, wanted, got) in [
        ("first", &pattern.first, Ok(values.first().copied())),
        ("last", &pattern.last, Ok(values.last().copied())),
        ("min", &pattern.min, extreme(&values, Ordering::Less)),
        ("max", &pattern.max, extreme(&values, Ordering::Greater)),
    ] {
        let Some(wanted) = wanted else { continue };
        let words = wanted.shown_with(&end.vars);
        let message = match got {
            Ok(Some(value)) if wanted.matches(value, &end.vars) => continue,
            Ok(Some(value)) => {
                let doubt = wanted.doubt(value, &end.vars);
                format!("expected {what} {words}, got {}{doubt}", show(value))
            }
            Ok(None) => format!("expected {what} {words}, but nothing was recorded"),
            Err(why) => format!("expected {what} {words}, but its values cannot be compared: {why}"),
        };
        findings.push(told(wanted.span, message));
    }
    if let (Some(span), Some(message)) = (pattern.increasing, falls(&values)) {
        findings.push(told(span, message));
    }
    if let Some((span, wanted)) = &pattern.values {
        let fits = wanted.len() == values.len()
            && wanted
                .iter()
                .zip(&values)
                .all(|(wanted, value)| wanted.matches(value, &end.vars));
        if !fits {
            let words: Vec<String> = wanted.iter().map(|one| one.shown_with(&end.vars)).collect();
            let message = format!("expected [{}], got {}", words.join(", "), shown(&values));
            findings.push(Finding::new(*span, format!("series `{name}`: {message}")));
        }
    }
}
