//! Reads mappings by the keys that are known, and suggests the nearest known word.

use super::{Diagnostic, Entry, Node, NodeKind};

/// The known word that was probably meant, if one is near enough to suggest it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|known| {
            (
                strsim::damerau_levenshtein(&word.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// A mapping whose keys are all known.
#[derive(Debug, Clone, Copy)]
pub struct MapReader<'n> {
    entries: &'n [Entry],
}

impl<'n> MapReader<'n> {
    /// Looks at a mapping; a node that is none, and keys that are not known, are mistakes.
    pub fn new(node: &'n Node, what: &str, known: &[&str], problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let NodeKind::Map(entries) = &node.kind else {
            let message = format!("{what} is a mapping, not {}", node.describe());
            let known = format!("keys known here: {}", known.join(", "));
            problems.push(
                Diagnostic::error(node.span, message)
                    .label(node.span, "write `key: value`")
                    .help(known),
            );
            return None;
        };
        for entry in entries {
            let Some(key) = entry.key.text() else {
                let message = format!("a key of {what} is text, not {}", entry.key.describe());
                problems.push(Diagnostic::error(entry.key.span, message));
                continue;
            };
            if !known.contains(&key.as_ref()) {
                problems.push(unknown_key(&entry.key, &key, what, known));
            }
        }
        Some(Self { entries })
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries
            .iter()
            .find(|entry| entry.key.text().as_deref() == Some(key))
    }
}

/// The mistake of a key that is not known.
pub(crate) fn unknown_key(node: &Node, key: &str, what: &str, known: &[&str]) -> Diagnostic {
    let message = match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}` in {what}"),
    };
    let problem = Diagnostic::error(node.span, message).label(node.span, "not known here");
    problem.help(format!("known here: {}", known.join(", ")))
}
