//! Suggestions for names that are not known.

use crate::source::nearest;

/// A sentence that suggests the nearest of the known words, or names them all.
pub(super) fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let all: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            if all.is_empty() {
                "there is none".to_owned()
            } else {
                format!("known here: {}", all.join(", "))
            }
        }
    }
}
