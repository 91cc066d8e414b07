//! One statement of the file, and what becomes of it when its variables have their values.

use super::elsewhere::foreign_in_a_run;
use crate::expect::Template;
use crate::history::Vars;
use crate::source::Span;
use crate::sql::{Kind, classify, statement_count};

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
    /// With the values it changes a database of others, or goes to one, and the trial does not run alone.
    #[error(
        "with the {} this {} the database `{database}`, which other trials may use, too: `${{database}}` is the trial's own; or write `serial: true`, to run alone", variables(.names), if *.uses { "goes to" } else { "changes" }
    )]
    OtherDatabase {
        /// The variables in it.
        names: Vec<String>,
        /// The database.
        database: String,
        /// Whether it is a USE: what follows may change anything there.
        uses: bool,
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
    /// Those of [`fill`].
    pub fn fill(&self, vars: &Vars, alone: bool) -> Result<String, FillError> {
        fill(&self.text, vars, alone)
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

/// The text of one statement with the values of its variables. `alone` tells that it may change the whole server.
///
/// # Errors
/// [`FillError`] where a variable has no value, where values bring further statements with them, and where they make it
/// one that changes the whole server, or a database of others.
pub fn fill(template: &Template, vars: &Vars, alone: bool) -> Result<String, FillError> {
    let text = template.fill(vars).map_err(FillError::NoValue)?;
    if template.variables().next().is_none() {
        return Ok(text);
    }
    let names = names(template);
    let count = statement_count(&text);
    if count > 1 {
        return Err(FillError::Several { names, count });
    }
    if alone {
        return Ok(text);
    }
    let statement = classify(&text);
    if statement.changes_whole_server() {
        return Err(FillError::WholeServer { names });
    }
    match foreign_in_a_run(&statement, vars) {
        Some(database) => Err(FillError::OtherDatabase {
            names,
            database,
            uses: matches!(statement.kind, Kind::Use(_)),
        }),
        None => Ok(text),
    }
}
