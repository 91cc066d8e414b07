//! Which `${names}` have a value where.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanInput;
use crate::expect::Template;
use crate::history::Vars;
use crate::source::{Diagnostic, SourceFile, Span, nearest};

/// Names that every trial has.
pub(super) const BUILT_IN: &[&str] = &["database", "connection", "index"];

/// The names that have a value by now.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    known: BTreeSet<String>,
    used: BTreeSet<String>,
    file: &'a SourceFile,
    env: &'a BTreeMap<String, String>,
    env_used: BTreeMap<String, String>,
}

impl<'a> Scope<'a> {
    pub fn new(input: &'a PlanInput, file: &'a SourceFile, vars: &Vars) -> Self {
        let known = vars
            .keys()
            .cloned()
            .chain(BUILT_IN.iter().map(|&name| name.to_owned()))
            .collect();
        Self {
            known,
            used: BTreeSet::new(),
            file,
            env: &input.env,
            env_used: BTreeMap::new(),
        }
    }

    /// From here on, this name has a value.
    pub fn add(&mut self, name: &str) {
        self.known.insert(name.to_owned());
    }

    /// From here on, this name has no value.
    pub fn remove(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// Whether this name has a value by now.
    pub fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Environment variables that the file uses, with their values.
    pub fn env_used(&self) -> impl Iterator<Item = (String, String)> {
        self.env_used.clone().into_iter()
    }

    /// The names that something uses.
    pub fn used(self) -> BTreeSet<String> {
        self.used
    }

    /// Finds names without a value.
    pub fn check(&mut self, template: &Template, span: Span, problems: &mut Vec<Diagnostic>) {
        for (name, _) in template.variables() {
            let place = self.place(name, span);
            self.check_name(name, place, problems);
        }
    }

    /// Where a text names a variable; the whole text where that cannot be told.
    fn place(&self, name: &str, span: Span) -> Span {
        let mark = format!("${{{name}}}");
        match self.file.slice(span).find(&mark) {
            Some(at) => Span::new(span.start + at, span.start + at + mark.len()),
            None => span,
        }
    }

    /// Finds out whether one name has a value.
    pub fn check_name(&mut self, name: &str, span: Span, problems: &mut Vec<Diagnostic>) {
        if let Some(key) = name.strip_prefix("env.") {
            match self.env.get(key) {
                Some(value) => {
                    self.env_used.insert(key.to_owned(), value.clone());
                }
                None => {
                    let problem = Diagnostic::error(span, format!("the environment has no `{key}`"));
                    problems.push(problem.label(span, format!("`${{{name}}}` is used here")));
                }
            }
            return;
        }
        if self.known.contains(name) {
            self.used.insert(name.to_owned());
            return;
        }
        let message = match nearest(name, self.known.iter().map(String::as_str)) {
            Some(near) => format!("`${{{name}}}` has no value here; did you mean `${{{near}}}`?"),
            None => format!("`${{{name}}}` has no value here"),
        };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        problems.push(
            Diagnostic::error(span, message)
                .label(span, "used here")
                .help(format!(
                    "known here: {}; others come from `vars`, `matrix`, or an earlier step's `save` or `set`",
                    known.join(", ")
                )),
        );
    }
}

/// `table` or `database.table` as SQL; a variable stands for a name as it is.
pub(super) fn quoted_table(name: &str) -> String {
    let quoted = table_parts(name).into_iter().map(|part| {
        if part.starts_with("${") {
            part.to_owned()
        } else {
            format!("`{}`", part.replace('`', "``"))
        }
    });
    quoted.collect::<Vec<_>>().join(".")
}

/// The parts of `database.table`; a dot inside `${…}` parts nothing.
fn table_parts(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, c) in name.char_indices() {
        match c {
            '{' if name[..at].ends_with('$') => inside = true,
            '}' => inside = false,
            '.' if !inside => {
                parts.push(&name[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&name[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::quoted_table;

    #[test]
    fn a_table_has_its_database_before_a_dot() {
        assert_eq!(quoted_table("t"), "`t`");
        assert_eq!(quoted_table("shop.t"), "`shop`.`t`");
        assert_eq!(quoted_table("${database.shop}.t"), "${database.shop}.`t`");
        assert_eq!(quoted_table("odd`name"), "`odd``name`");
    }
}
