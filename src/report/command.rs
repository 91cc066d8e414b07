//! Parts of commands, as a shell takes them.

use crate::plan::ChosenOrder;

/// A word as a shell takes it.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-:./=".contains(c));
    if plain && !word.is_empty() {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The flags for an order, each with a space before it.
#[must_use]
pub fn order_flags(chosen: &ChosenOrder) -> String {
    let mut flags = format!(" --order {}", shell_word(&chosen.order));
    if !chosen.without.is_empty() {
        flags.push_str(&format!(" --without {}", shell_word(&chosen.without)));
    }
    flags
}
