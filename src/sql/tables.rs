//! The tables that a statement names.

use std::collections::BTreeSet;

/// The tables that a text names, of those that there are.
#[must_use]
pub fn named_tables<'t>(text: &str, tables: &'t [String]) -> BTreeSet<&'t str> {
    let words: BTreeSet<String> = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .map(str::to_lowercase)
        .collect();
    tables
        .iter()
        .map(String::as_str)
        .filter(|name| {
            // A name with other characters is looked for as it stands.
            let lower = name.to_lowercase();
            words.contains(&lower)
                || (!lower.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
                    && text.to_lowercase().contains(&lower))
        })
        .collect()
}
