//! Reads single values.

use std::time::Duration;

use super::{Diagnostic, Node, NodeKind};

/// The units of durations, longest name first where one begins another.
const UNITS: [(&str, u64); 5] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];

/// The longest duration that a file can ask for. Every limit is counted from now on, and the clock has an
/// end.
const DURATION_MAX: Duration = Duration::from_hours(24);

/// A duration with its unit, such as `500ms` or `1.5s`.
///
/// # Errors
/// A number without a unit, another unit, a negative or endless duration, or no duration at all.
pub fn duration(node: &Node) -> Result<Duration, Diagnostic> {
    let wrong = |label: String| {
        Diagnostic::error(node.span, "this is not a duration")
            .label(node.span, label)
            .help("units: us, ms, s, m, h")
    };
    match &node.kind {
        NodeKind::Int(_) | NodeKind::Decimal(_) => {
            let number = node.text().unwrap_or_default();
            let number = number.trim_start_matches(['-', '+']);
            Err(Diagnostic::error(node.span, "a duration needs a unit")
                .label(node.span, format!("write `{number}s`"))
                .help("units: us, ms, s, m, h"))
        }
        NodeKind::Str(text) => duration_of(text).map_err(wrong),
        _ => Err(wrong(format!("this is {}", node.describe()))),
    }
}

/// The same of a text. The error says what is wrong with it.
///
/// # Errors
/// A number without a unit, another unit, a negative or endless duration, or no duration at all.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("it is negative".to_owned());
    }
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (number, unit) = (number.parse::<f64>(), unit.trim());
    match (number, UNITS.iter().find(|(name, _)| *name == unit)) {
        (Ok(number), Some((_, micros))) => Duration::try_from_secs_f64(number * *micros as f64 / 1e6)
            .ok()
            .filter(|duration| *duration <= DURATION_MAX)
            .ok_or_else(|| "too long: at most `24h`".to_owned()),
        (Ok(_), None) => Err(format!("`{unit}` is not a unit")),
        (Err(_), _) => Err("such as `500ms` or `5s`".to_owned()),
    }
}

/// A duration that a limit can have: more than nothing.
///
/// # Errors
/// As for [`duration`], and `0s`.
pub fn limit(node: &Node) -> Result<Duration, Diagnostic> {
    let duration = duration(node)?;
    if duration.is_zero() {
        let problem = Diagnostic::error(node.span, "a limit must be longer than 0")
            .label(node.span, "no step can finish within this");
        return Err(problem.help("leave the key out for the default"));
    }
    Ok(duration)
}

/// `true` or `false`.
///
/// # Errors
/// Anything else.
pub fn boolean(node: &Node) -> Result<bool, Diagnostic> {
    match node.kind {
        NodeKind::Bool(value) => Ok(value),
        _ => Err(Diagnostic::error(node.span, "this must be `true` or `false`")
            .label(node.span, format!("not {}", node.describe()))),
    }
}
