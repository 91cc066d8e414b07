//! Dates and times as SQL compares them.

use std::cmp::Ordering;

/// Digits of a second's fraction that are kept; SQL has six.
const FRACTION_DIGITS: usize = 9;

/// A DATE, DATETIME or TIMESTAMP, or a TIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temporal {
    /// A moment: the number that its year, month and day make, and the nanoseconds since midnight.
    Moment(u64, u64),
    /// A time of day or a span, in nanoseconds; it may be negative and longer than a day.
    Span(i128),
}

impl Temporal {
    /// Reads `2024-01-02`, `2024-01-02 03:04:05.6`, `-838:59:59.000000`; nothing where it is none of these.
    pub fn read(text: &str) -> Option<Self> {
        let Some((date, rest)) = date(text) else {
            let (negative, text) = match text.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, text),
            };
            let nanos = i128::from(clock(text)?);
            return Some(Self::Span(if negative { -nanos } else { nanos }));
        };
        let nanos = match rest.strip_prefix([' ', 'T']) {
            Some(rest) => clock(rest)?,
            None if rest.is_empty() => 0,
            None => return None,
        };
        Some(Self::Moment(date, nanos))
    }

    /// The order of two of the same kind.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Moment(day, nanos), Self::Moment(other_day, other_nanos)) => {
                Some((day, nanos).cmp(&(other_day, other_nanos)))
            }
            (Self::Span(one), Self::Span(other)) => Some(one.cmp(other)),
            (Self::Moment(..), Self::Span(_)) | (Self::Span(_), Self::Moment(..)) => None,
        }
    }
}

/// The digits at the beginning as a number, if there are between one and `most`, and what follows.
fn digits(text: &str, most: usize) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 || end > most {
        return None;
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A date as one number that orders as dates do, and what follows it.
fn date(text: &str) -> Option<(u64, &str)> {
    let (year, rest) = digits(text, 4)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
    (month <= 12 && day <= 31).then_some((year * 10_000 + month * 100 + day, rest))
}

/// Hours, minutes and perhaps seconds with a fraction, in nanoseconds.
fn clock(text: &str) -> Option<u64> {
    let (hours, rest) = digits(text, 9)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => digits(rest, 2)?,
        None => (0, rest),
    };
    let fraction = match rest.strip_prefix('.') {
        Some(digits) => {
            let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            let padded = format!("{digits:0<FRACTION_DIGITS$}");
            let (kept, more) = padded.split_at(FRACTION_DIGITS.min(padded.len()));
            // What lies beyond can't be told apart from what SQL has.
            (plain && more.chars().all(|c| c == '0')).then_some(())?;
            kept.parse::<u64>().ok()?
        }
        None if rest.is_empty() => 0,
        None => return None,
    };
    if minutes > 59 || seconds > 59 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::Temporal;

    #[test]
    fn times_are_read_as_sql_writes_them() {
        let nanos = 1_000_000_000;
        for (text, wanted) in [
            ("2024-01-02", Some(Temporal::Moment(20_240_102, 0))),
            ("2024-1-2T00:00:01", Some(Temporal::Moment(20_240_102, nanos))),
            ("0000-00-00 00:00:00.000001", Some(Temporal::Moment(0, 1_000))),
            ("-00:00:01.5", Some(Temporal::Span(-1_500_000_000))),
            ("838:59:59", Some(Temporal::Span(3_020_399 * i128::from(nanos)))),
            ("12:60:00", None),
            ("2024-13-01", None),
            ("2024-01-01 x", None),
            ("2024-01-01 ", None),
            ("noon", None),
            ("", None),
        ] {
            assert_eq!(Temporal::read(text), wanted, "{text}");
        }
    }
}
