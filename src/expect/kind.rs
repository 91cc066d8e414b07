//! A kind of expectation, and how expectations are read from a file.

use super::check::Check;
use super::template::Template;
use crate::scenario::keys::Form;
use crate::source::{Diagnostic, Node, SourceFile, Span};

/// An expectation as it stands in the file.
#[derive(Debug)]
pub struct Expectation {
    /// Its key, such as `rows`.
    pub key: &'static str,
    /// Where its key stands.
    pub span: Span,
    /// What it holds.
    pub check: Box<dyn Check>,
}

/// Reads the value of an expectation's key; mistakes are added to the list and give `None`.
pub type Read = fn(&Node, &mut Reading<'_>) -> Option<Box<dyn Check>>;

/// What reading an expectation needs: the file, for raw text, and the list of mistakes.
#[derive(Debug)]
pub struct Reading<'a> {
    /// The file that the nodes are of.
    pub file: &'a SourceFile,
    /// Mistakes found so far.
    pub problems: &'a mut Vec<Diagnostic>,
    /// The kinds that there are: `one_of` holds expectations of any kind.
    pub(super) kinds: &'static [Kind],
}

impl Reading<'_> {
    pub(crate) fn error(&mut self, node: &Node, message: impl Into<String>, label: impl Into<String>) {
        self.problems
            .push(Diagnostic::error(node.span, message).label(node.span, label));
    }

    /// Text in which `${name}` stands for a variable.
    pub(crate) fn template(&mut self, node: &Node, text: &str) -> Option<Template> {
        match Template::read(text) {
            Ok(template) => Some(template),
            Err(error) => {
                let label = "close it, or write `$${` for the characters `${`";
                self.error(node, error.to_string(), label);
                None
            }
        }
    }

    /// Text in which no variable can stand: the name of something.
    pub(crate) fn plain_text(&mut self, node: &Node, text: &str, what: &str) -> Option<String> {
        let plain = self.template(node, text)?.without_variables();
        if plain.is_none() {
            let label = "write the name itself; `$${` stands for the characters `${`";
            self.error(node, format!("{what} cannot contain a variable"), label);
        }
        plain
    }
}

/// One kind of expectation.
#[derive(Debug)]
pub struct Kind {
    /// The key in the file.
    pub key: &'static str,
    /// One line for the schema and the reference.
    pub about: &'static str,
    /// Kinds of one group say the same thing in other ways.
    pub group: &'static str,
    /// The groups that it cannot stand together with.
    pub excludes: &'static [&'static str],
    /// What may stand as its value.
    pub form: Form,
    /// Reads it.
    pub read: Read,
}

/// The values of all, if each has one. Unlike `collect` it looks at all of them, so that every mistake is
/// found.
pub(super) fn all_of<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let items: Vec<Option<T>> = items.collect();
    items.into_iter().collect()
}
