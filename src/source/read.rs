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

/// A duration with its unit, such as `500ms` or `1.5s`.
///
/// # Errors
/// A number without a unit, another unit, or no duration at all.
pub fn duration(node: &Node) -> Result<Duration, Diagnostic> {
    let wrong = |label: String| {
        Diagnostic::error(node.span, "this is no duration")
            .label(node.span, label)
            .help("units: us, ms, s, m, h")
    };
    match &node.kind {
        NodeKind::Int(_) | NodeKind::Decimal(_) => {
            let number = node.text().unwrap_or_default();
            Err(Diagnostic::error(node.span, "a duration needs a unit")
                .label(node.span, format!("write `{number}s`"))
                .help("units: us, ms, s, m, h"))
        }
        NodeKind::Str(text) => {
            let digits = text
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(text.len());
            let (number, unit) = text.split_at(digits);
            let unit = UNITS.iter().find(|(name, _)| *name == unit.trim());
            match (number.parse::<f64>(), unit) {
                (Ok(number), Some((_, micros))) if number.is_finite() => {
                    let micros = number * *micros as f64;
                    Duration::try_from_secs_f64(micros / 1e6).map_err(|_| wrong("too long".to_owned()))
                }
                _ => Err(wrong("such as `500ms` or `5s`".to_owned())),
            }
        }
        _ => Err(wrong(format!("this is {}", node.describe()))),
    }
}

/// `true` or `false`.
///
/// # Errors
/// Anything else.
pub fn boolean(node: &Node) -> Result<bool, Diagnostic> {
    match node.kind {
        NodeKind::Bool(value) => Ok(value),
        _ => Err(Diagnostic::error(node.span, "this is `true` or `false`")
            .label(node.span, format!("not {}", node.describe()))),
    }
}
