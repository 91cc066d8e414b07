//! Where a state leads: the names of other states, and what leads to them.

use super::Step;
use super::context::Context;
use super::machine::{Next, TRIGGERS, Trigger};
use crate::scenario::{Located, StateDecl};
use crate::source::{Diagnostic, Span, nearest};
use crate::sql::{by_name, nearest as nearest_error};

/// What the file calls the end of a connection's states.
pub(super) const END: &str = "end";

/// The states of one declaration that this variant has.
pub(super) struct Own<'s> {
    pub first: usize,
    pub decls: Vec<&'s StateDecl>,
}

impl Own<'_> {
    /// The number of the state of this name; how many there are, where it is not one.
    pub fn find(&self, steps: &[Step], name: &str) -> Result<usize, usize> {
        let range = self.first..self.first + self.decls.len();
        let found: Vec<usize> = range
            .filter(|number| steps.get(*number).is_some_and(|step| step.state == name))
            .collect();
        match found.as_slice() {
            [one] => Ok(*one),
            several => Err(several.len()),
        }
    }
}

impl Context<'_> {
    /// A state that another one of the same connection names.
    pub(super) fn target(&mut self, name: &Located<String>, own: &Own<'_>, steps: &[Step]) -> Option<Next> {
        match own.find(steps, &name.value) {
            Ok(number) => Some(Next::State(number)),
            Err(0) if name.value == END => Some(Next::End),
            Err(0) => {
                let known: Vec<&str> = own
                    .decls
                    .iter()
                    .enumerate()
                    .filter_map(|(offset, _)| steps.get(own.first + offset))
                    .map(|step| step.state.as_str())
                    .collect();
                let message = match nearest(&name.value, known.iter().copied().chain([END])) {
                    Some(near) => format!("there is no state `{}`; did you mean `{near}`?", name.value),
                    None => format!("there is no state `{}`", name.value),
                };
                let label = format!("there are {}, and `end`", known.join(", "));
                let mut problem = Diagnostic::error(name.span, message).label(name.span, label);
                let all = self.scenario.connections.iter().flat_map(|one| &one.states);
                let left_out = all
                    .filter(|state| {
                        own.decls
                            .first()
                            .is_some_and(|one| one.step.connection.value == state.step.connection.value)
                    })
                    .filter_map(|state| state.step.name.as_ref())
                    .find(|other| other.value == name.value);
                if let Some(other) = left_out {
                    problem = problem.label(other.span, "its `when` leaves this one out in some variants");
                }
                self.problems.push(problem);
                None
            }
            Err(several) => {
                self.ambiguous(name.span, &name.value, several);
                None
            }
        }
    }

    pub(super) fn trigger(&mut self, word: &Located<String>) -> Option<Trigger> {
        let text = word.value.as_str();
        if let Some((_, trigger)) = TRIGGERS.iter().find(|(name, _)| *name == text) {
            return Some(*trigger);
        }
        let code = text.parse::<u16>().ok().filter(|code| *code >= 1_000);
        if let Some(code) = code.or_else(|| by_name(text).map(|entry| entry.code)) {
            return Some(Trigger::Error(code));
        }
        let words = TRIGGERS.iter().map(|(name, _)| *name);
        let near = nearest(text, words.clone()).map(str::to_owned);
        let near =
            near.or_else(|| nearest_error(text).map(|entry| format!("{} ({})", entry.name, entry.code)));
        let message = match near {
            Some(near) => format!("unknown trigger `{text}`; did you mean `{near}`?"),
            None => format!("unknown trigger `{text}`"),
        };
        let known: Vec<&str> = words.collect();
        let help = format!("triggers are an error's number or name, and {}", known.join(", "));
        let problem = Diagnostic::error(word.span, message).label(word.span, "unknown");
        self.problems.push(problem.help(help));
        None
    }

    /// A trigger that an earlier one leaves nothing to.
    pub(super) fn check_asked(
        &mut self,
        asked: &[(Trigger, Span)],
        trigger: Trigger,
        word: &Located<String>,
    ) {
        let same = asked.iter().find(|(other, _)| *other == trigger);
        let error = matches!(trigger, Trigger::Error(_) | Trigger::Lost);
        let wider = asked
            .iter()
            .find(|(other, _)| error && *other == Trigger::AnyError);
        let (message, here, (_, before), there) = match (same, wider) {
            (Some(same), _) => (
                format!("`{}` appears twice", word.value),
                "again here",
                same,
                "first here",
            ),
            (None, Some(any)) => (
                format!("`{}` is unreachable, because `any` comes before it", word.value),
                "write this trigger before `any`",
                any,
                "`any` matches every error, and the first match is used",
            ),
            (None, None) => return,
        };
        let problem = Diagnostic::error(word.span, message).label(word.span, here);
        self.problems.push(problem.label(*before, there));
    }

    pub(super) fn ambiguous(&mut self, span: Span, state: &str, count: usize) {
        let message = format!("{count} states are called `{state}`");
        self.problems.push(
            Diagnostic::error(span, message)
                .label(span, "which one?")
                .help("give each a name of its own: `- state: name`"),
        );
    }
}
