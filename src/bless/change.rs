//! Changes of a scenario file, and where they are made.

use std::collections::BTreeMap;

use super::edit::{self, Edit};
use crate::source::{Entry, Node, SourceFile, Span, parse};

/// What one run asks to be changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    /// By the place in the file and the key.
    pub(super) wanted: BTreeMap<(usize, String), Wanted>,
    /// What cannot be written, with its line.
    pub problems: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub change: Change,
    /// Whether the file holds without it: the step has no expectation.
    pub optional: bool,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A key with another value; and its items, where it is a list.
    Value(Span, String, Option<Vec<String>>),
    /// A further key of the step at this place.
    Add(Span, String),
    /// A key less.
    Remove(Span),
    /// Another key with its value in a key's place.
    Replace(Span, &'static str, String),
}

/// The file with what all runs ask for in it, and notes on what was left out.
///
/// # Errors
/// What differs between runs or variants and cannot be left out, or cannot be written at its place.
pub(crate) fn edited(file: &SourceFile, runs: &[Observed]) -> Result<(String, Vec<String>), String> {
    let mut all: BTreeMap<&(usize, String), &Wanted> = BTreeMap::new();
    let mut left_out: BTreeMap<&(usize, String), &Wanted> = BTreeMap::new();
    for run in runs {
        for (place, wanted) in &run.wanted {
            match all.get(place) {
                Some(other) if *other != wanted => {
                    if !(other.optional && wanted.optional) {
                        return Err(format!(
                            "line {}: `{}` differs between runs or variants: {}, and {}",
                            wanted.line,
                            place.1,
                            other.change.text(),
                            wanted.change.text()
                        ));
                    }
                    left_out.insert(place, wanted);
                }
                Some(_) => {}
                None => {
                    all.insert(place, wanted);
                }
            }
        }
    }
    let root = parse(file).root.ok_or("the file cannot be read")?;
    let mut edits: Vec<Edit> = Vec::new();
    let mut notes = Vec::new();
    for (place, wanted) in all {
        if left_out.contains_key(place) {
            notes.push(format!(
                "line {}: what it came to differs between runs, and is left out",
                wanted.line
            ));
            continue;
        }
        let edit = wanted
            .change
            .edit(&root, file.text(), &place.1)
            .map_err(|reason| format!("line {}: `{}` cannot be written: {reason}", wanted.line, place.1))?;
        edits.push(edit);
    }
    Ok((edit::applied(file.text(), &edits), notes))
}

impl Change {
    fn text(&self) -> &str {
        match self {
            Self::Value(_, text, _) | Self::Add(_, text) => text,
            Self::Remove(_) => "nothing",
            Self::Replace(_, _, text) => text,
        }
    }

    fn edit(&self, root: &Node, text: &str, name: &str) -> Result<Edit, String> {
        match self {
            Self::Value(span, new, items) => {
                let (_, entry) = key_of(root, *span, name)?;
                edit::value(text, entry, new, items.as_deref())
            }
            Self::Add(span, new) => edit::add(text, map_of_step(root, *span)?, name, new),
            Self::Remove(span) => {
                let (map, entry) = key_of(root, *span, name)?;
                edit::remove(text, map, entry)
            }
            Self::Replace(span, other, new) => {
                let (_, entry) = key_of(root, *span, name)?;
                edit::replace(text, entry, &format!("{other}: {new}"))
            }
        }
    }
}

/// Where keys of the step stand whose connection's name is here: beside the name, or inside.
fn map_of_step(root: &Node, span: Span) -> Result<&Node, String> {
    let map = edit::map_with(root, span).ok_or("the step is not written there")?;
    let owner = edit::entry_at(root, span).ok_or("the step is not written there")?;
    Ok(if owner.value.as_map().is_some() {
        &owner.value
    } else {
        map
    })
}

/// The entry of a key: the place is that of the key, of something in its value, or of the step.
fn key_of<'n>(root: &'n Node, span: Span, name: &str) -> Result<(&'n Node, &'n Entry), String> {
    if let (Some(map), Some(entry)) = (edit::map_with(root, span), edit::entry_at(root, span)) {
        let own = if owns(entry, name) {
            Some((map, entry))
        } else {
            None
        };
        let beside = || {
            let maps = [map, &entry.value];
            maps.into_iter().find_map(|map| {
                let mut entries = map.as_map().unwrap_or_default().iter();
                entries.find(|entry| owns(entry, name)).map(|entry| (map, entry))
            })
        };
        // Rows right below a table's name have no key of their own.
        return Ok(own.or_else(beside).unwrap_or((map, entry)));
    }
    Err("it is not written there".to_owned())
}

fn owns(entry: &Entry, name: &str) -> bool {
    entry
        .key
        .as_str()
        .is_some_and(|key| key == name || (name == "blocked" && key == "blocked_by"))
}
