//! Names of other tools as names of this language: each stays itself where it can, and none becomes another's.

use crate::scenario::keys;

/// States that the harness enters itself.
const LIFECYCLE: &[&str] = &[
    "initial",
    "connecting",
    "connected",
    "completed",
    "failed",
    "blocked",
];

/// A file's name is at most so long.
const FILE_MAX: usize = 60;

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A connection's name: it stands where a step's keys stand.
    Connection,
    /// A state's name.
    State,
    /// A variable's name.
    Variable,
    /// A file's name.
    File,
}

/// Names of one kind that were given so far.
#[derive(Debug)]
pub(super) struct Names {
    kind: Use,
    /// The other tool's name, and ours.
    given: Vec<(String, String)>,
}

impl Names {
    pub(super) fn new(kind: Use) -> Self {
        Self {
            kind,
            given: Vec::new(),
        }
    }

    /// The name for another tool's: the same one for the same.
    pub(super) fn get(&mut self, theirs: &str) -> String {
        if let Some((_, ours)) = self.given.iter().find(|(known, _)| known == theirs) {
            return ours.clone();
        }
        let ours = self.free(&plain(theirs, self.kind));
        self.given.push((theirs.to_owned(), ours.clone()));
        ours
    }

    /// The name of what this owner keeps: no two keep one of the same name, since each would read its own.
    pub(super) fn of(&mut self, theirs: &str, owner: &str) -> String {
        let key = format!("{theirs} of {owner}");
        if let Some((_, ours)) = self.given.iter().find(|(known, _)| *known == key) {
            return ours.clone();
        }
        let ours = self.free(&plain(theirs, self.kind));
        self.given.push((key, ours.clone()));
        ours
    }

    /// A name that nobody has yet, also where the other tool has the same one twice.
    pub(super) fn another(&mut self, theirs: &str) -> String {
        let ours = self.free(&plain(theirs, self.kind));
        self.given.push((theirs.to_owned(), ours.clone()));
        ours
    }

    fn free(&self, wanted: &str) -> String {
        let taken = |name: &str| self.given.iter().any(|(_, ours)| ours == name);
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| !taken(name)).unwrap_or_default()
    }
}

/// A name made of the letters and digits that another has.
fn plain(theirs: &str, kind: Use) -> String {
    let dash = kind == Use::State || kind == Use::Connection;
    let mut name = String::new();
    for c in theirs.chars() {
        let c = if kind == Use::File {
            c.to_ascii_lowercase()
        } else {
            c
        };
        if c.is_ascii_alphanumeric() || c == '_' || dash && c == '-' {
            name.push(c);
        } else if !name.ends_with('_') && !name.is_empty() && !matches!(c, '\'' | '"') {
            name.push('_');
        }
    }
    let mut name = name.as_str();
    if kind == Use::File && name.len() > FILE_MAX {
        // Whole words.
        name = name[..FILE_MAX]
            .rsplit_once('_')
            .map_or(&name[..FILE_MAX], |(words, _)| words);
    }
    let name = name.trim_end_matches('_');
    let name = if name.is_empty() { "x" } else { name };
    let name = if name.starts_with(|c: char| c.is_ascii_alphabetic()) || kind == Use::File {
        name.to_owned()
    } else {
        let letter = if kind == Use::Connection { "c" } else { "s" };
        format!(
            "{letter}{}",
            if name.starts_with(['_', '-']) {
                name.to_owned()
            } else {
                format!("_{name}")
            }
        )
    };
    let reserved = match kind {
        Use::Connection => keys::step_names().contains(&name.as_str()),
        Use::State => LIFECYCLE.contains(&name.as_str()) || name == "end",
        Use::Variable => ["database", "connection", "index", "iteration", "round"].contains(&name.as_str()),
        Use::File => false,
    };
    if reserved { format!("{name}_") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_what_they_are_where_they_can() {
        let mut names = Names::new(Use::Connection);
        for (theirs, ours) in [
            ("s1", "s1"),
            ("session 1", "session_1"),
            ("session-1", "session-1"),
            ("session_1", "session_1_2"),
            ("1", "c_1"),
            ("sleep", "sleep_"),
            ("s1", "s1"),
            ("…", "x"),
        ] {
            assert_eq!(names.get(theirs), ours, "{theirs}");
        }
        let mut files = Names::new(Use::File);
        assert_eq!(
            files.another("MySQL \"read committed\" prevents G0:"),
            "mysql_read_committed_prevents_g0"
        );
        assert_eq!(
            files.another("MySQL \"read committed\" prevents G0:"),
            "mysql_read_committed_prevents_g0_2"
        );
        assert_eq!(Names::new(Use::State).get("blocked"), "blocked_");
    }
}
