//! What a state waits for, with its names resolved.

use std::collections::{BTreeMap, BTreeSet};

use super::connections::ConnectionPlan;
use super::context::Context;
use super::machine::{Want, Wanted};
use super::transitions::Own;
use super::{Action, Step};
use crate::history::JobKind;
use crate::scenario::WantDecl;
use crate::source::{Diagnostic, nearest};

/// What jobs come to, as the events of watched ones have it.
const JOB_WORDS: &[&str] = &[
    "pending",
    "running",
    "finished",
    "failed",
    "cancelled",
    "ended",
    "global_sorting",
    "importing",
    "validating",
    "queueing",
    "rollingback",
    "rollback_done",
    "done",
    "synced",
    "cancelling",
    "pausing",
    "paused",
    "none",
    "delete_only",
    "write_only",
    "write_reorganization",
    "delete_reorganization",
    "public",
];

impl Context<'_> {
    /// What one name of `wait_for` stands for: an event, or a state of one connection or of several.
    pub(super) fn wants(
        &mut self,
        want: &WantDecl,
        owns: &BTreeMap<String, Own<'_>>,
        connections: &[ConnectionPlan],
        steps: &[Step],
    ) -> Vec<Want> {
        let name = want.name.value.as_str();
        let span = want.name.span;
        let event = || {
            let name = name.to_owned();
            let times = want.times;
            vec![Want {
                span,
                what: Wanted::Event { name, times },
            }]
        };
        let mut signals: BTreeSet<&str> = BTreeSet::new();
        for state in owns.values().flat_map(|own| &own.decls) {
            signals.extend(state.signal.iter().map(|name| name.value.as_str()));
        }
        let handled = steps.iter().any(|step| matches!(step.action, Action::Handler(_)));
        if signals.contains(name) {
            return event();
        }
        let (who, state) = name.rsplit_once('.').unwrap_or((name, ""));
        let mine = |own: &ConnectionPlan| {
            own.name == who
                || own.name.strip_prefix(who).is_some_and(|rest| {
                    rest.strip_prefix('.')
                        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
                })
        };
        let numbers: Vec<usize> = (0..connections.len())
            .filter(|number| mine(&connections[*number]))
            .collect();
        let Some(first) = numbers.first().filter(|_| !state.is_empty()) else {
            let watched = JobKind::ALL
                .into_iter()
                .find(|kind| who == kind.word() && !state.is_empty());
            if let Some(kind) = watched {
                let seen = |step: &Step| matches!(&step.action, Action::Watch(watch) if watch.kind() == kind);
                if steps.iter().any(seen) {
                    // A newer server may have words of its own, so that only a slip of the pen is refused.
                    let known = JOB_WORDS.iter().copied();
                    if let (Some(near), false) = (nearest(state, known), JOB_WORDS.contains(&state)) {
                        let message = format!("a job has no status `{state}`; did you mean `{who}.{near}`?");
                        self.problems
                            .push(Diagnostic::error(span, message).label(span, "an event of a watched job"));
                    }
                    return event();
                }
            }
            // What a handler signals, its code alone says.
            if handled {
                return event();
            }
            self.unknown_want(want, &signals, connections);
            return Vec::new();
        };
        let states = connections[*first].states.clone();
        let found: Vec<usize> = states
            .clone()
            .filter(|number| steps.get(*number).is_some_and(|step| step.state == state))
            .collect();
        match found.as_slice() {
            [step] => {
                if want.times > 1 {
                    let problem = Diagnostic::error(span, "a state cannot be counted");
                    let label = "only an event can be waited for several times";
                    self.problems.push(problem.label(span, label));
                }
                let what = |connection| Wanted::State {
                    connection,
                    state: *step,
                };
                numbers
                    .into_iter()
                    .map(|connection| Want {
                        span,
                        what: what(connection),
                    })
                    .collect()
            }
            [] => {
                let known: Vec<&str> = steps[states].iter().map(|step| step.state.as_str()).collect();
                let message = match nearest(state, known.iter().copied()) {
                    Some(near) => format!("`{who}` has no state `{state}`; did you mean `{who}.{near}`?"),
                    None => format!("`{who}` has no state `{state}`"),
                };
                let label = format!("it has {}", known.join(", "));
                self.problems
                    .push(Diagnostic::error(span, message).label(span, label));
                Vec::new()
            }
            several => {
                self.ambiguous(span, state, several.len());
                Vec::new()
            }
        }
    }

    fn unknown_want(&mut self, want: &WantDecl, signals: &BTreeSet<&str>, connections: &[ConnectionPlan]) {
        let name = want.name.value.as_str();
        let span = want.name.span;
        let group = |own: &ConnectionPlan| {
            let rest = own.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if connections.iter().any(group) {
            let problem = Diagnostic::error(span, format!("no state signals `{name}`"));
            let label = format!("for a state of `{name}` write `{name}.STATE`");
            self.problems.push(problem.label(span, label));
            return;
        }
        let (who, state) = name.rsplit_once('.').unwrap_or((name, ""));
        let of_job = JobKind::ALL.into_iter().any(|kind| kind.word() == who);
        if !state.is_empty() && !of_job {
            let known: Vec<&str> = self
                .scenario
                .connections
                .iter()
                .map(|own| own.name.value.as_str())
                .collect();
            let message = match nearest(who, known.iter().copied()) {
                Some(near) => format!("unknown connection `{who}`; did you mean `{near}`?"),
                None => format!("unknown connection `{who}`"),
            };
            let label = format!("this scenario has {}", known.join(", "));
            self.problems
                .push(Diagnostic::error(span, message).label(span, label));
            return;
        }
        self.problems
            .push(super::shared::nobody_signals(name, span, signals));
    }
}
