//! Reads the expectations of a step, and finds those that exclude each other.

use super::kind::{Expectation, Kind, Reading};
use crate::source::{Diagnostic, Node, Span};

/// The kind of this key.
fn kind(kinds: &'static [Kind], key: &str) -> Option<&'static Kind> {
    kinds.iter().find(|kind| kind.key == key)
}

/// Reads expectations from the entries of a mapping that have the key of a kind, and finds those that
/// exclude each other.
pub fn read_all<'n>(
    entries: impl IntoIterator<Item = (&'n Node, &'n Node)>,
    reading: &mut Reading<'_>,
) -> Vec<Expectation> {
    let mut found: Vec<(&'static Kind, Span)> = Vec::new();
    let mut expectations = Vec::new();
    for (key, node) in entries {
        let Some(kind) = key.as_str().and_then(|key| kind(reading.kinds, key)) else {
            continue;
        };
        // One that stands twice is told where the parts of a step are put together.
        let others = found.iter().filter(|(earlier, _)| earlier.key != kind.key);
        for (earlier, span) in others.filter(|(earlier, _)| excludes(earlier, kind)) {
            let message = format!("`{}` and `{}` exclude each other", earlier.key, kind.key);
            reading.problems.push(exclusive(*span, key.span, message));
        }
        found.push((kind, key.span));
        if let Some(check) = (kind.read)(node, reading) {
            let span = key.span;
            expectations.push(Expectation {
                key: kind.key,
                span,
                check,
            });
        }
    }
    check_shapes(&expectations, reading);
    check_choices(&found, &expectations, reading);
    check_times(&expectations, reading);
    expectations
}

fn excludes(one: &Kind, other: &Kind) -> bool {
    one.excludes.contains(&other.group) || other.excludes.contains(&one.group)
}

fn exclusive(earlier: Span, later: Span, message: String) -> Diagnostic {
    Diagnostic::error(later, message)
        .label(later, "this one …")
        .label(earlier, "… and this one cannot both hold")
        .help("keep one of them")
}

/// Expectations of which each can hold, but not both: 1 row and 2 rows.
fn check_shapes(expectations: &[Expectation], reading: &mut Reading<'_>) {
    let kinds = reading.kinds;
    for (number, later) in expectations.iter().enumerate() {
        for earlier in expectations.iter().take(number) {
            // Kinds that never go together are told already.
            let told = match (kind(kinds, earlier.key), kind(kinds, later.key)) {
                (Some(one), Some(other)) => excludes(one, other),
                _ => false,
            };
            if let (false, Some((one, other))) = (told, earlier.check.shape().conflict(&later.check.shape()))
            {
                let message = format!("`{}` and `{}` exclude each other", earlier.key, later.key);
                let problem = Diagnostic::error(later.span, message)
                    .label(later.span, other)
                    .label(earlier.span, one);
                reading.problems.push(problem.help("keep one of them"));
            }
        }
    }
}

/// Choices of `one_of` that what stands beside it rules out.
fn check_choices(found: &[(&'static Kind, Span)], expectations: &[Expectation], reading: &mut Reading<'_>) {
    for expectation in expectations {
        for (key, span) in expectation.check.choices().into_iter().flatten() {
            let Some(inner) = kind(reading.kinds, key) else {
                continue;
            };
            for (beside, other) in found.iter().filter(|(beside, _)| excludes(beside, inner)) {
                let message = format!(
                    "this choice never holds: `{}` and `{}` exclude each other",
                    inner.key, beside.key
                );
                reading.problems.push(exclusive(*other, span, message));
            }
        }
    }
}

fn check_times(expectations: &[Expectation], reading: &mut Reading<'_>) {
    let find = |key: &str| {
        let found = expectations.iter().find(|one| one.key == key)?;
        Some((found.span, found.check.duration()?))
    };
    if let (Some((within, most)), Some((at_least, least))) = (find("within"), find("at_least"))
        && most < least
    {
        let problem = Diagnostic::error(at_least, "`within` is shorter than `at_least`")
            .label(within, "at most this")
            .label(at_least, "and at least this");
        reading.problems.push(problem);
    }
}
