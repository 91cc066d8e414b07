//! What reading any part of a scenario needs: text, names, lists, statements, conditions.

use super::keys;
use super::{Located, When};
use crate::source::{Diagnostic, Node, NodeKind, SourceFile, Span, comment_after, shortened};
use crate::sql::{Piece, SplitError, split};

/// Reads nodes and collects mistakes.
pub(super) struct Reader<'a> {
    pub file: &'a SourceFile,
    pub problems: &'a mut Vec<Diagnostic>,
    /// Whether every step could be read.
    pub steps_are_whole: bool,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, node: &Node, message: impl Into<String>, label: impl Into<String>) {
        self.problems
            .push(Diagnostic::error(node.span, message).label(node.span, label));
    }

    pub(super) fn exclude(&mut self, one: Span, other: Span, message: &str) {
        let problem = Diagnostic::error(other, message)
            .label(one, "this one …")
            .label(other, "… and this one");
        self.problems.push(problem.help("keep one of them"));
    }

    pub(super) fn unknown_key(&mut self, node: &Node, key: &str, what: &str, known: &[&str]) {
        self.problems
            .push(crate::source::unknown_key(node, key, what, known));
    }

    pub(super) fn ok<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        match node.text() {
            Some(text) if !node.is_null() && !text.trim().is_empty() => Some(Located {
                span: node.span,
                value: text.into_owned(),
            }),
            Some(_) => {
                self.error(node, format!("{what} is missing"), "there is nothing here");
                None
            }
            None => {
                self.error(
                    node,
                    format!("{what} must be text"),
                    format!("this is {}", node.describe()),
                );
                None
            }
        }
    }

    /// Text that is no number and no other single value: SQL, names.
    pub(super) fn words(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        match &node.kind {
            NodeKind::Str(_) | NodeKind::Null => self.text(node, what),
            NodeKind::Bool(_)
            | NodeKind::Int(_)
            | NodeKind::Decimal(_)
            | NodeKind::Hex(_)
            | NodeKind::Binary(_)
            | NodeKind::Seq(_)
            | NodeKind::Map(_) => {
                let found = node.describe();
                self.error(node, format!("{what} must be text"), format!("this is {found}"));
                None
            }
        }
    }

    /// One text or a list of texts, none of them twice.
    pub(super) fn texts(&mut self, node: Option<&Node>, what: &str) -> Vec<Located<String>> {
        let Some(node) = node else { return Vec::new() };
        let items = self.items(node);
        let mut found: Vec<Located<String>> = Vec::new();
        for item in items {
            let Some(text) = self.text(item, what) else {
                continue;
            };
            if let Some(earlier) = found.iter().find(|other| other.value == text.value) {
                let message = format!("`{}` is named twice", text.value);
                let problem = Diagnostic::error(text.span, message).label(text.span, "again here");
                self.problems.push(problem.label(earlier.span, "first here"));
                continue;
            }
            found.push(text);
        }
        found
    }

    /// The nodes of a list, or the node itself. A list without any says nothing, whatever it is a list of.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> Vec<&'n Node> {
        match node.as_seq() {
            Some([]) => {
                self.error(node, "this list is empty", "add an entry, or remove the key");
                Vec::new()
            }
            Some(items) => items.iter().collect(),
            None => vec![node],
        }
    }

    /// A name: letters, digits and `_`, as reports and trial names show it. One that does not fit is a
    /// mistake, and is a name all the same for what is said of it elsewhere.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        let name = self.words(node, what)?;
        let fits = name
            .value
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
            && name.value.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !fits {
            self.error(
                node,
                format!("{what} must consist of letters, digits, `_` and `-`"),
                "the first character must be a letter",
            );
        }
        Some(name)
    }

    pub(super) fn sql(&mut self, node: &Node) -> Option<Located<String>> {
        let text = self.words(node, "a statement")?;
        self.problems.extend(lost_comment(self.file, node, &text.value));
        Some(text)
    }

    /// SQL text with any number of statements.
    pub(super) fn statements(&mut self, node: Option<&Node>) -> Vec<Located<String>> {
        let Some(node) = node else { return Vec::new() };
        let mut found = Vec::new();
        for item in self.items(node) {
            let Some(text) = self.sql(item) else { continue };
            match split(&text.value) {
                Ok(pieces) => found.extend(self.located(item, &text.value, &pieces)),
                Err(error) => self.cannot_split(item, &text.value, error),
            }
        }
        found
    }

    /// The statements of a step, in turn: those of a text, or of the texts of a list.
    pub(super) fn step_statements(&mut self, node: &Node) -> Vec<Located<String>> {
        let mut found = Vec::new();
        for item in self.items(node) {
            let Some(text) = self.sql(item) else { continue };
            match split(&text.value) {
                Ok(pieces) if pieces.is_empty() => {
                    self.error(item, "a statement is missing", "there is no statement here");
                }
                Ok(pieces) if pieces.len() > 1 => found.extend(self.located(item, &text.value, &pieces)),
                // One is sent as it stands; what is never closed the server refuses whole, as the step may want it.
                Ok(_) | Err(SplitError::Unclosed { .. }) => found.push(text),
                Err(error) => self.cannot_split(item, &text.value, error),
            }
        }
        found
    }

    fn located(&self, node: &Node, text: &str, pieces: &[Piece<'_>]) -> Vec<Located<String>> {
        let located = pieces.iter().map(|piece| Located {
            span: self.place_in(node, text, piece.offset, piece.text.len()),
            value: piece.text.to_owned(),
        });
        located.collect()
    }

    fn cannot_split(&mut self, node: &Node, text: &str, error: SplitError) {
        let len = match error {
            SplitError::Delimiter { .. } => "delimiter".len(),
            SplitError::Unclosed { .. } | SplitError::InComment { .. } => 1,
        };
        let span = self.place_in(node, text, error.offset(), len);
        let problem = Diagnostic::error(span, error.to_string());
        self.problems.push(problem.label(span, error.help()));
    }

    /// The place in the file of a part of a scalar's text; the whole scalar where it was quoted or folded
    /// so that the text cannot be found as it stands.
    fn place_in(&self, node: &Node, text: &str, offset: usize, len: usize) -> Span {
        let part = text.get(offset..).unwrap_or_default();
        let line = part.lines().next().unwrap_or_default();
        let line = line.get(..len.min(line.len())).unwrap_or(line);
        // The same line may stand in the text before: count how many come first.
        let before = text
            .get(..offset)
            .map_or(0, |before| before.matches(line).count());
        let raw = node.raw(self.file);
        match raw.match_indices(line).nth(before) {
            Some((at, _)) if !line.is_empty() => Span {
                start: node.span.start + at,
                end: node.span.start + at + line.len(),
            },
            _ => node.span,
        }
    }

    pub(super) fn pairs(&mut self, node: Option<&Node>, what: &str) -> Vec<(Located<String>, Node)> {
        let Some(node) = node else { return Vec::new() };
        let NodeKind::Map(entries) = &node.kind else {
            let found = node.describe();
            self.error(
                node,
                format!("`{what}` must be a mapping, not {found}"),
                format!("write `{what}: {{name: value}}`"),
            );
            return Vec::new();
        };
        if entries.is_empty() {
            self.error(
                node,
                format!("`{what}` is empty"),
                "add an entry, or remove the key",
            );
        }
        let mut pairs = Vec::new();
        for entry in entries {
            if let Some(name) = self.text(&entry.key, "a name") {
                pairs.push((name, entry.value.clone()));
            }
        }
        pairs
    }

    /// Names with single values, such as a server's variables.
    pub(super) fn settings(&mut self, node: Option<&Node>, what: &str) -> Vec<(Located<String>, Node)> {
        let mut found = self.pairs(node, what);
        found.retain(|(name, node)| {
            let single = !node.is_null() && node.text().is_some();
            if !single {
                let message = format!("`{}` must be a number, text, true or false", name.value);
                self.error(node, message, format!("this is {}", node.describe()));
            }
            if what == "vars" {
                self.plain_name(name, "a variable's name");
            }
            single
        });
        found
    }

    /// A name that goes into SQL or into a path as it stands.
    pub(super) fn plain_name(&mut self, name: &Located<String>, what: &str) {
        if !name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("{what} must consist of letters, digits and `_`");
            let problem = Diagnostic::error(name.span, message);
            self.problems.push(problem.label(name.span, "not this one"));
        }
    }

    pub(super) fn check_flag(&mut self, flag: &Located<String>) {
        let name = flag.value.as_str();
        let label = if name.starts_with('-') {
            "write it without the dashes"
        } else if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
        {
            "use letters, digits, `-` and `.`"
        } else if keys::OUR_FLAGS.contains(&name) {
            "the harness sets this one itself"
        } else {
            return;
        };
        let problem = Diagnostic::error(flag.span, format!("`{name}` cannot be set as a flag"));
        self.problems.push(problem.label(flag.span, label));
    }

    pub(super) fn pairs_of_text(
        &mut self,
        node: Option<&Node>,
        what: &str,
    ) -> Vec<(Located<String>, Located<String>)> {
        let pairs = self.pairs(node, what);
        pairs
            .into_iter()
            .filter_map(|(name, node)| Some((name, self.text(&node, "the value to save")?)))
            .collect()
    }
}

/// A statement that lost its end to YAML, which takes ` #` in a plain value for a comment.
pub(crate) fn lost_comment(file: &SourceFile, node: &Node, statement: &str) -> Option<Diagnostic> {
    let comment = comment_after(file, node)?;
    let message = format!("the server would get only `{}`", shortened(statement));
    let problem = Diagnostic::warning(comment, message).label(comment, "this is a comment of YAML");
    Some(problem.help("quote the statement to keep `#` in it, or put the comment on a line of its own"))
}

/// Reads `when: {axis: value}`; a value may be a list of values.
pub(super) fn when(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<When> {
    let entries = match &node.kind {
        NodeKind::Map(entries) if !entries.is_empty() => entries,
        _ => {
            let problem = Diagnostic::error(
                node.span,
                "`when` must be a mapping of names of the `matrix` to values",
            );
            problems.push(problem.label(node.span, "write `when: {isolation: read committed}`"));
            return None;
        }
    };
    let mut conditions = Vec::new();
    for entry in entries {
        let Some(name) = entry.key.text() else {
            continue;
        };
        let values = entry
            .value
            .as_seq()
            .map_or_else(|| vec![entry.value.clone()], <[Node]>::to_vec);
        let single = !values.is_empty() && values.iter().all(|value| value.text().is_some());
        if !single {
            let problem = Diagnostic::error(
                entry.value.span,
                "`when` needs a value of this name of the `matrix`, or a list of values",
            );
            let label = format!("such as `{name}: value`");
            problems.push(problem.label(entry.value.span, label));
            continue;
        }
        conditions.push((
            Located {
                span: entry.key.span,
                value: name.into_owned(),
            },
            values,
        ));
    }
    Some(When {
        span: node.span,
        conditions,
    })
}
