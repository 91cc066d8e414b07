//! A regular expression that may name variables.

use std::fmt;

use regex::Regex;

use crate::expect::kind::Reading;
use crate::expect::template::Template;
use crate::history::Vars;
use crate::source::Node;

/// A regular expression. `${name}` in it stands for the variable's text as it is, not for a pattern.
#[derive(Debug, Clone)]
pub(crate) struct TextPattern {
    template: Template,
    /// Made once, where no variable is named.
    fixed: Option<Regex>,
}

impl TextPattern {
    /// Reads one; one that is wrong whatever the variables are is told here.
    pub fn read(node: &Node, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(text) = node.text().filter(|_| !node.is_null()) else {
            let label = format!("this is {}", node.describe());
            reading.error(node, "a regular expression must be text", label);
            return None;
        };
        if text.is_empty() {
            reading.error(node, "this matches any text", "`{not: null}` says so");
            return None;
        }
        let template = reading.template(node, &text)?;
        let names = template.variables().next().is_some();
        // A variable may stand for any text, so that one letter shows whether the rest of it can be read.
        let tried = template.fill_with(|_| Some("x".to_owned())).unwrap_or_default();
        match Regex::new(&tried) {
            Ok(regex) => Some(Self {
                template,
                fixed: (!names).then_some(regex),
            }),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ").to_owned();
                reading.error(node, "this is not a regular expression", reason);
                None
            }
        }
    }

    /// Whether it is found in this text.
    ///
    /// # Errors
    /// Why that can't be told: a variable has no value.
    pub fn is_in(&self, text: &str, vars: &Vars) -> Result<bool, String> {
        if let Some(regex) = &self.fixed {
            return Ok(regex.is_match(text));
        }
        let filled = self
            .filled(vars)
            .map_err(|name| format!("`{name}` has no value"))?;
        let regex = Regex::new(&filled).map_err(|error| error.to_string())?;
        Ok(regex.is_match(text))
    }

    /// The regular expression; a variable matches its own text only. The error is the name of one without a value.
    fn filled(&self, vars: &Vars) -> Result<String, String> {
        self.template.fill_with(|name| {
            let value = vars.get(name)?;
            Some(regex::escape(&super::compare::plain(value)))
        })
    }

    /// As a person reads it, with the values of its variables.
    pub fn shown_with(&self, vars: &Vars) -> String {
        if self.fixed.is_some() {
            return self.to_string();
        }
        match self.filled(vars) {
            Ok(filled) => format!("/{filled}/ (from `{}`)", self.template.source()),
            Err(name) => format!("{self} (`{name}` has no value)"),
        }
    }

    /// The names of its variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.template.variables().map(|(name, _)| name)
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fixed {
            Some(regex) => write!(f, "/{regex}/"),
            None => write!(f, "/{}/", self.template.source()),
        }
    }
}
