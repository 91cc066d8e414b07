//! One statement of the file, and what becomes of it when its variables have their values.

use crate::expect::Template;
use crate::history::Vars;
use crate::source::Span;
use crate::sql::{classify, statement_count};

/// A statement with its place.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it stands.
    pub span: Span,
    /// Its text.
    pub text: Template,
}

/// Why the variables of a statement cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// This variable has no value.
    #[error("`${{{0}}}` has no value (the step that sets it has not run)")]
    NoValue(String),
    /// With the values it is no longer one statement.
    #[error(
        "with the {} this is {} statements: a variable can only be a value or a name; write several statements in the file", variables(.names), .count
    )]
    Several {
        /// The variables in it.
        names: Vec<String>,
        /// How many statements there are.
        count: usize,
    },
    /// With the values it changes more than the trial's own databases, and the trial does not run alone.
    #[error(
        "with the {} this changes the whole server, which other trials use, too: write `serial: true`, to run alone, or `servers: {{main: {{}}}}`, for a server of its own", variables(.names)
    )]
    WholeServer {
        /// The variables in it.
        names: Vec<String>,
    },
}

fn variables(names: &[String]) -> String {
    let all: Vec<String> = names.iter().map(|name| format!("`${{{name}}}`")).collect();
    let word = if all.len() == 1 { "value" } else { "values" };
    format!("{word} of {}", all.join(", "))
}

impl Statement {
    /// Its text with the values of its variables. `alone` tells that it may change the whole server.
    ///
    /// # Errors
    /// [`FillError`] where a variable has no value, where values bring further statements with them, and where they
    /// make it one that changes the whole server.
    pub fn fill(&self, vars: &Vars, alone: bool) -> Result<String, FillError> {
        let text = fill(&self.text, vars)?;
        let names = names(&self.text);
        if !alone && !names.is_empty() && classify(&text).changes_whole_server() {
            return Err(FillError::WholeServer { names });
        }
        Ok(text)
    }
}

fn names(template: &Template) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in template.variables() {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The text of one statement with the values of its variables.
///
/// # Errors
/// [`FillError`] where a variable has no value, and where values bring further statements with them.
pub fn fill(template: &Template, vars: &Vars) -> Result<String, FillError> {
    let text = template.fill(vars).map_err(FillError::NoValue)?;
    let count = match template.variables().next() {
        Some(_) => statement_count(&text),
        None => 1,
    };
    if count <= 1 {
        return Ok(text);
    }
    Err(FillError::Several {
        names: names(template),
        count,
    })
}
