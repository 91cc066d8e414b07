//! Which `${names}` have a value where.

use std::collections::{BTreeMap, BTreeSet};

use super::PlanInput;
use crate::coordinator::{Owners, Variable};
use crate::expect::Template;
use crate::history::Vars;
use crate::scenario::StepDecl;
use crate::source::{Diagnostic, SourceFile, Span, nearest};

/// Names that every trial has.
pub(super) const BUILT_IN: &[&str] = &["database", "connection", "index"];

/// Whose texts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Nobody's of a step: settings, setup.
    Nobody,
    /// A connection's, if it is one of this scenario's.
    Connection(Option<usize>),
    /// What is asked at the end, or by no connection.
    Outside,
}

/// A value of another connection, or of all, that a connection's text uses.
#[derive(Debug, Clone)]
pub(super) struct Use {
    /// Who uses it.
    pub reader: usize,
    /// Whose it is; none for everybody's.
    pub owner: Option<usize>,
    /// Its name, without its connection.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// The names that have a value by now.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// Names of everybody's, and those that every connection has for itself.
    known: BTreeSet<String>,
    /// Those that were known before the first step.
    before: BTreeSet<String>,
    /// What connections have saved by now.
    saved: BTreeSet<(usize, String)>,
    owners: Owners,
    reader: Reader,
    /// What the step gives whose expectations are read.
    giving: BTreeSet<String>,
    uses: Vec<Use>,
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
            before: BTreeSet::new(),
            saved: BTreeSet::new(),
            owners: Owners::default(),
            reader: Reader::Nobody,
            giving: BTreeSet::new(),
            uses: Vec::new(),
            used: BTreeSet::new(),
            file,
            env: &input.env,
            env_used: BTreeMap::new(),
        }
    }

    /// Whose the variables are that steps give; what has a value now has one before any of them.
    pub fn set_owners(&mut self, owners: Owners) {
        self.owners = owners;
        self.before = self.known.clone();
    }

    /// From here on, texts are nobody's, and know nothing of what steps give.
    pub fn read_as_before(&mut self) {
        self.known.clone_from(&self.before);
        self.saved.clear();
        self.reader = Reader::Nobody;
    }

    /// From here on, texts are those of a connection.
    pub fn read_as(&mut self, connection: Option<usize>) {
        self.reader = Reader::Connection(connection);
        self.giving.clear();
    }

    /// From here on, texts are those of a step's expectations.
    pub fn read_expectations_of(&mut self, decl: &StepDecl) {
        let saved = decl.save.iter().chain(&decl.shared).map(|(name, _)| name);
        let given = saved.chain(decl.set.iter().map(|(name, _)| name));
        self.giving = given.map(|name| name.value.clone()).collect();
    }

    /// From here on, texts are nobody's, and all steps have run.
    pub fn read_outside(&mut self) {
        self.reader = Reader::Outside;
    }

    /// From here on, this name has a value.
    pub fn add(&mut self, name: &str) {
        self.known.insert(name.to_owned());
    }

    /// From here on, this name has no value.
    pub fn remove(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// From here on, what a step gives has a value.
    pub fn give(&mut self, decl: &StepDecl, connection: Option<usize>) {
        let Some(connection) = connection else { return };
        for (name, _) in &decl.save {
            self.saved.insert((connection, name.value.clone()));
        }
        for (name, _) in &decl.shared {
            self.known.insert(name.value.clone());
        }
        for (name, _) in &decl.set {
            if self.owners.is_own(connection, &name.value) {
                self.saved.insert((connection, name.value.clone()));
            } else {
                self.known.insert(name.value.clone());
            }
        }
    }

    /// From here on, all that steps give has a value.
    pub fn give_all(&mut self) {
        self.saved.extend(self.owners.all_saved());
        self.known.extend(self.owners.all_shared());
    }

    /// Whether this name of everybody's has a value by now; it counts as used then.
    pub fn use_shared(&mut self, name: &str) -> bool {
        let known = self.known.contains(name);
        if known {
            self.used.insert(name.to_owned());
        }
        known
    }

    /// Whether this name has a value by now.
    pub fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    pub fn owners(&self) -> &Owners {
        &self.owners
    }

    /// What connections use of each other and of what is everybody's.
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// Environment variables that the file uses, with their values.
    pub fn env_used(&self) -> impl Iterator<Item = (String, String)> {
        self.env_used.clone().into_iter()
    }

    /// The names that something uses, and whose the variables are.
    pub fn into_used(self) -> (BTreeSet<String>, Owners) {
        (self.used, self.owners)
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
                    let problem =
                        Diagnostic::error(span, format!("the environment variable `{key}` is not set"));
                    problems.push(problem.label(span, format!("`${{{name}}}` is used here")));
                }
            }
            return;
        }
        let reader = match self.reader {
            Reader::Nobody => {
                self.check_known(name, span, problems);
                return;
            }
            Reader::Connection(reader) => reader,
            Reader::Outside => None,
        };
        if let Some((who, own)) = self.owners.parted(name) {
            self.owners.name(name);
            self.check_parted(name, who, own, span, problems);
            return;
        }
        match self.owners.variable(name, reader) {
            Variable::Own(owner, own) if Some(owner) == reader => {
                if !self.saved.contains(&(owner, own)) {
                    self.check_known(name, span, problems);
                }
                self.used.insert(name.to_owned());
            }
            // `vars` give it a first value, and another connection one of its own.
            Variable::Own(owner, _) if reader.is_some() && self.known.contains(name) => {
                problems.push(self.ambiguous(name, &[owner], true, span));
            }
            Variable::Own(owner, own) => {
                if self.saved.contains(&(owner, own)) || self.known.contains(name) {
                    self.note(reader, Some(owner), name, span);
                } else {
                    let who = self.owners.connection(owner);
                    let message = format!("`${{{name}}}` has no value here");
                    let problem = Diagnostic::error(span, message).label(span, "used here");
                    problems.push(problem.help(format!("`{who}` saves it in a later step")));
                }
            }
            Variable::Shared(_) => {
                if self.check_known(name, span, problems) {
                    self.note(reader, None, name, span);
                }
            }
            Variable::OneOf(owners, shared) => {
                let shared = shared || reader.is_some() && self.known.contains(name);
                problems.push(self.ambiguous(name, &owners, shared, span));
            }
        }
    }

    /// The same of a name that stands for each of several connections' own.
    pub fn check_each(&mut self, name: &str, span: Span, problems: &mut Vec<Diagnostic>) {
        let keys = self.owners.keys(name);
        match keys.as_slice() {
            [_] => self.check_name(name, span, problems),
            keys => {
                for key in keys {
                    self.check_name(key, span, problems);
                }
            }
        }
    }

    /// A name with its connection, or `shared`, before it.
    fn check_parted(
        &mut self,
        name: &str,
        who: Option<usize>,
        own: &str,
        span: Span,
        problems: &mut Vec<Diagnostic>,
    ) {
        let reader = match self.reader {
            Reader::Connection(reader) => reader,
            Reader::Nobody | Reader::Outside => None,
        };
        let Some(owner) = who else {
            if self.check_known(own, span, problems) {
                self.note(reader, None, own, span);
            }
            return;
        };
        if self.saved.contains(&(owner, own.to_owned())) {
            self.note(reader.filter(|reader| *reader != owner), Some(owner), own, span);
            return;
        }
        let who = self.owners.connection(owner);
        let message = format!("`${{{name}}}` has no value here");
        let problem = Diagnostic::error(span, message).label(span, "used here");
        let help = if self.owners.is_own(owner, own) {
            format!("`{who}` saves it in a later step")
        } else {
            format!("no step of `{who}` saves `{own}`")
        };
        problems.push(problem.help(help));
    }

    /// That a name may be one of several variables.
    fn ambiguous(&self, name: &str, owners: &[usize], shared: bool, span: Span) -> Diagnostic {
        const SHOWN_MAX: usize = 3;
        let own = owners.iter().take(SHOWN_MAX);
        let own = own.map(|owner| format!("`${{{}}}`", self.owners.key_of(*owner, name)));
        let mut forms: Vec<String> = own.collect();
        if shared {
            forms.push(format!("`${{shared.{name}}}`"));
        }
        let message = format!("`${{{name}}}` is ambiguous");
        let more = if owners.len() > SHOWN_MAX { ", …" } else { "" };
        let help = format!(
            "several variables have this name: write {}{more}",
            forms.join(" or ")
        );
        Diagnostic::error(span, message)
            .label(span, "which variable?")
            .help(help)
    }

    fn note(&mut self, reader: Option<usize>, owner: Option<usize>, name: &str, span: Span) {
        self.used.insert(name.to_owned());
        if let Some(reader) = reader {
            self.uses.push(Use {
                reader,
                owner,
                name: name.to_owned(),
                span,
            });
        }
    }

    fn check_known(&mut self, name: &str, span: Span, problems: &mut Vec<Diagnostic>) -> bool {
        if self.known.contains(name) {
            self.used.insert(name.to_owned());
            return true;
        }
        let mut known: BTreeSet<&str> = self.known.iter().map(String::as_str).collect();
        let saved = self.saved.iter().filter(|(owner, _)| match self.reader {
            Reader::Nobody => false,
            Reader::Connection(reader) => reader == Some(*owner),
            Reader::Outside => true,
        });
        known.extend(saved.map(|(_, name)| name.as_str()));
        let message = match nearest(name, known.iter().copied()) {
            Some(near) => format!("`${{{name}}}` has no value here; did you mean `${{{near}}}`?"),
            None => format!("`${{{name}}}` has no value here"),
        };
        let known: Vec<&str> = known.into_iter().collect();
        let help = if self.giving.contains(name) {
            format!("this step sets `{name}`; its expectations use the values from before the step")
        } else {
            format!(
                "known here: {}; more come from `vars`, `matrix`, or an earlier step's `save`, `shared` or `set`",
                known.join(", ")
            )
        };
        problems.push(
            Diagnostic::error(span, message)
                .label(span, "used here")
                .help(help),
        );
        false
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
