//! Reads mappings by the keys that are known, and suggests the nearest known word.

use super::{Diagnostic, Entry, Node, NodeKind};

/// The known word that was probably meant, if one is near enough to suggest it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|known| known.chars().count().abs_diff(length) <= limit)
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

/// A mapping by its keys.
#[derive(Debug, Clone)]
pub struct MapReader<'n> {
    /// Each entry with the known key that it has, or that it was meant to have.
    entries: Vec<(String, &'n Entry)>,
}

impl<'n> MapReader<'n> {
    /// Looks at a mapping; a node that is none, and keys that are not known, are mistakes. A misspelt key is
    /// read as the known one, so that what stands there is not missed elsewhere as well.
    pub fn new(node: &'n Node, what: &str, known: &[&str], problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let NodeKind::Map(entries) = &node.kind else {
            let message = format!("{what} must be a mapping, not {}", node.describe());
            let known = format!("known keys: {}", known.join(", "));
            problems.push(
                Diagnostic::error(node.span, message)
                    .label(node.span, "write `key: value`")
                    .help(known),
            );
            return None;
        };
        let mut read: Vec<(String, &Entry)> = Vec::new();
        let mut misspelt = Vec::new();
        for entry in entries {
            let Some(key) = entry.key.text() else {
                let message = format!("a key of {what} must be text, not {}", entry.key.describe());
                problems.push(Diagnostic::error(entry.key.span, message));
                continue;
            };
            if known.contains(&key.as_ref()) {
                read.push((key.into_owned(), entry));
            } else {
                problems.push(unknown_key(&entry.key, &key, what, known));
                misspelt.extend(nearest(&key, known.iter().copied()).map(|near| (near, entry)));
            }
        }
        for (near, entry) in misspelt {
            if !read.iter().any(|(name, _)| name == near) {
                read.push((near.to_owned(), entry));
            }
        }
        Some(Self { entries: read })
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
            .find(|(name, _)| name == key)
            .map(|(_, entry)| *entry)
    }
}

/// The mistake of a key that is not known.
pub(crate) fn unknown_key(node: &Node, key: &str, what: &str, known: &[&str]) -> Diagnostic {
    let shown = shortened(key);
    let message = match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key `{shown}`; did you mean `{near}`?"),
        None => format!("unknown key `{shown}` in {what}"),
    };
    let problem = Diagnostic::error(node.span, message).label(node.span, "unknown");
    problem.help(format!("known keys: {}", known.join(", ")))
}

/// A word of a file as a message shows it: what was meant as text may be long.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 40 {
        line.to_owned()
    } else {
        line.chars().take(39).chain(['…']).collect()
    }
}
