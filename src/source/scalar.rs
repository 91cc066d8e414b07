//! What a plain scalar is, by the core rules of YAML 1.2.

use super::{NodeKind, Span};

/// What a plain scalar that is written like this is.
pub(super) fn resolve(written: &str) -> NodeKind {
    match written {
        "" | "~" | "null" | "Null" | "NULL" => return NodeKind::Null,
        "true" | "True" | "TRUE" => return NodeKind::Bool(true),
        "false" | "False" | "FALSE" => return NodeKind::Bool(false),
        _ => {}
    }
    if let Some(digits) = written.strip_prefix("0x") {
        return if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            NodeKind::Hex(written.to_owned())
        } else {
            NodeKind::Str(written.to_owned())
        };
    }
    if let Some(digits) = written.strip_prefix("0o") {
        return i128::from_str_radix(digits, 8)
            .ok()
            .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .map_or_else(|| NodeKind::Str(written.to_owned()), NodeKind::Int);
    }
    if all_digits(unsigned(written)) {
        return written
            .parse()
            .map_or_else(|_| NodeKind::Decimal(written.to_owned()), NodeKind::Int);
    }
    if is_decimal(written) {
        NodeKind::Decimal(written.to_owned())
    } else {
        NodeKind::Str(written.to_owned())
    }
}

/// Whether this is a whole number with zeros before it that other readers take as octal, as text,
/// or drop.
pub(super) fn has_leading_zero(written: &str) -> bool {
    let digits = unsigned(written);
    digits.len() > 1 && digits.starts_with('0') && all_digits(digits)
}

fn unsigned(written: &str) -> &str {
    written.strip_prefix(['-', '+']).unwrap_or(written)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(written: &str) -> bool {
    let (mantissa, exponent) = match unsigned(written).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned(written), None),
    };
    let mantissa_is_number = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
        None => all_digits(mantissa),
    };
    mantissa_is_number && exponent.is_none_or(|exponent| all_digits(unsigned(exponent)))
}

/// The span of `text` (a part of a file's text that begins at `start`) without the white space at
/// its end.
pub(super) fn trimmed(start: usize, text: &str) -> Span {
    Span::new(start, start + text.trim_end().len())
}
