//! States of concurrent connections, with their names resolved.

use std::collections::BTreeMap;

use super::connections::ConnectionPlan;
use super::context::Context;
use super::machine::{BarrierPlan, Coordination, LOOK_EVERY, Next, Repetition, Retries, Trigger};
use super::names::Scope;
use super::transitions::{END, Own};
use super::{Action, Step};
use crate::scenario::{Located, StateDecl};
use crate::source::{Diagnostic, Node, NodeKind, Span};

/// The states of all connections, one connection after another.
#[derive(Default)]
pub(super) struct States {
    pub steps: Vec<Step>,
    pub barriers: Vec<BarrierPlan>,
}

/// A state among all those that it can name.
struct Among<'p> {
    /// Its number.
    number: usize,
    /// The states of its own declaration.
    own: &'p Own<'p>,
    owns: &'p BTreeMap<String, Own<'p>>,
    connections: &'p [ConnectionPlan],
    all: &'p States,
}

impl Context<'_> {
    /// Plans all states, and gives each connection the range of its own.
    pub(super) fn states(&mut self, connections: &mut [ConnectionPlan], scope: &mut Scope<'_>) -> States {
        let scenario = self.scenario;
        let mut all = States::default();
        // Which connection gives a variable its value first is known only when it runs.
        scope.give_all();
        for name in ["iteration", "round"] {
            scope.add(name);
        }
        let mut owns = Vec::new();
        for decl in &scenario.connections {
            let count = decl.count.as_ref().map_or(1, |count| count.value);
            let base = connections.iter().position(|own| own.span == decl.name.span);
            let first = all.steps.len();
            let mut own = Own {
                first,
                decls: Vec::new(),
            };
            for state in &decl.states {
                let step = self.step_plan(&state.step, base, scope);
                if let Some(name) = state.step.name.as_ref().filter(|name| name.value == END) {
                    let problem = Diagnostic::error(name.span, "a state cannot be called `end`");
                    let label = "`next: end` ends the connection's round";
                    self.problems.push(problem.label(name.span, label));
                }
                if self.variant.is_in(state.step.when.as_ref())
                    && let Some(step) = step
                {
                    all.steps.push(step);
                    own.decls.push(state);
                }
            }
            let base = base.unwrap_or(0);
            for plan in connections.iter_mut().skip(base).take(count) {
                plan.states = first..all.steps.len();
                plan.rounds = decl.rounds.as_ref().map_or(1, |rounds| rounds.value);
            }
            owns.push((decl.name.value.clone(), own));
        }
        let owns: BTreeMap<String, Own<'_>> = owns.into_iter().collect();
        self.barriers(connections, &owns, &mut all);
        for own in owns.values() {
            for (offset, decl) in own.decls.iter().enumerate() {
                let number = own.first + offset;
                let among = Among {
                    number,
                    own,
                    owns: &owns,
                    connections,
                    all: &all,
                };
                let mut found = self.coordination(decl, &among, scope);
                let step = &mut all.steps[number];
                found.barrier = step.coordination.barrier;
                step.coordination = found;
            }
        }
        if !self.problems.iter().any(Diagnostic::is_error) {
            for own in owns.values() {
                self.check_reached(own, &all.steps);
            }
            self.check_waits(connections, &all);
        }
        all
    }

    /// Barriers by their names; each connection that can come to one counts as a party.
    fn barriers(
        &mut self,
        connections: &[ConnectionPlan],
        owns: &BTreeMap<String, Own<'_>>,
        all: &mut States,
    ) {
        let mut said: Vec<(String, Option<Located<u32>>, Span)> = Vec::new();
        for own in owns.values() {
            for (offset, decl) in own.decls.iter().enumerate() {
                let Some(barrier) = &decl.barrier else { continue };
                let name = &barrier.name;
                let number = match said.iter().position(|(other, ..)| *other == name.value) {
                    Some(number) => number,
                    None => {
                        said.push((name.value.clone(), None, name.span));
                        said.len() - 1
                    }
                };
                match (&mut said[number].1, &barrier.parties) {
                    (Some(one), Some(other)) if one.value != other.value => {
                        let problem = Diagnostic::error(
                            other.span,
                            format!("barrier `{}` has two different numbers of parties", name.value),
                        );
                        self.problems.push(
                            problem
                                .label(one.span, "this one …")
                                .label(other.span, "… and this one"),
                        );
                    }
                    (slot @ None, Some(parties)) => *slot = Some(parties.clone()),
                    _ => {}
                }
                all.steps[own.first + offset].coordination.barrier = Some((number, name.span));
            }
        }
        for (number, (name, parties, span)) in said.into_iter().enumerate() {
            let names = |step: &Step| {
                step.coordination
                    .barrier
                    .is_some_and(|(other, _)| other == number)
            };
            // A handler may come to any barrier, if the file says how many it is for.
            let handles = |step: &Step| matches!(step.action, Action::Handler(_));
            let count = |has: &dyn Fn(&Step) -> bool| {
                let coming = connections.iter();
                let coming = coming.filter(|own| all.steps[own.states.clone()].iter().any(has));
                u32::try_from(coming.count()).unwrap_or(u32::MAX)
            };
            let wanted = parties.as_ref().map_or(count(&names), |parties| parties.value);
            let can = count(&|step| names(step) || handles(step));
            let place = parties.as_ref().map_or(span, |parties| parties.span);
            if wanted > can || wanted < 2 {
                let message = format!("barrier `{name}` can never open");
                let label = if wanted > can {
                    format!("it needs {wanted} parties, and only {can} can arrive")
                } else {
                    "only one connection arrives here, and a barrier needs two".to_owned()
                };
                self.problems
                    .push(Diagnostic::error(place, message).label(place, label));
            }
            all.barriers.push(BarrierPlan {
                name,
                parties: wanted,
                span,
            });
        }
    }

    fn coordination(&mut self, decl: &StateDecl, among: &Among<'_>, scope: &mut Scope<'_>) -> Coordination {
        let Among {
            number,
            own,
            owns,
            connections,
            all,
        } = *among;
        let wait_for = decl
            .wait_for
            .iter()
            .flat_map(|want| self.wants(want, owns, connections, &all.steps))
            .collect();
        let connection = all.steps.get(number).map(|step| step.connection);
        scope.read_as(connection);
        let add = decl
            .add
            .iter()
            .filter_map(|(name, node)| {
                self.check_new_name(name);
                if connection.is_some_and(|own| scope.owners().is_own(own, &name.value)) {
                    let message = format!("`{}` belongs to this connection, because it saves it", name.value);
                    let problem = Diagnostic::error(name.span, message);
                    self.problems.push(
                        problem
                            .label(name.span, "`add` needs a shared variable")
                            .help("write `shared` in the place of `save`, or rename one of them"),
                    );
                } else if !scope.use_shared(&name.value) {
                    let message = format!("`{}` has no initial value", name.value);
                    let problem = Diagnostic::error(name.span, message).label(name.span, "added to here");
                    self.problems
                        .push(problem.help(format!("write at the top: `vars: {{{}: 0}}`", name.value)));
                }
                let value = self.plan_value(node, scope)?;
                self.check_number(&value, node);
                Some((name.value.clone(), value, name.span))
            })
            .collect();
        let record = decl
            .record
            .iter()
            .filter_map(|(name, source)| {
                let node = Node::new(name.span, NodeKind::Str(name.value.clone()));
                let name = self.plain_text(&node, "a series' name");
                Some((name?, self.save_source(source)?, source.span))
            })
            .collect();
        let following = number + 1;
        let next = match &decl.next {
            Some(name) => self.target(name, own, &all.steps).unwrap_or_default(),
            None if offset_of(own, following) => Next::State(following),
            None => Next::End,
        };
        let mut on: Vec<(Trigger, Next)> = Vec::new();
        let mut asked = Vec::new();
        for (word, name) in &decl.on {
            let trigger = self.trigger(word);
            let target = self.target(name, own, &all.steps);
            if let (Some(trigger), Some(target)) = (trigger, target) {
                self.check_asked(&asked, trigger, word);
                asked.push((trigger, word.span));
                on.push((trigger, target));
            }
        }
        let action = all.steps.get(number).map(|step| &step.action);
        if let (Some(Action::Sleep(_) | Action::Nothing | Action::Set), Some((word, _))) =
            (action, decl.on.first())
        {
            let problem = Diagnostic::error(word.span, "`on` needs an action with a result");
            let label = "this state runs no statement; write `next`";
            self.problems.push(problem.label(word.span, label));
        }
        let mut retries = Retries::default();
        if let Some(said) = &decl.retries {
            if !on.iter().any(|(trigger, _)| trigger.is_error()) && decl.on.len() == on.len() {
                let problem = Diagnostic::error(said.span, "`retries` needs an error in `on`");
                self.problems.push(
                    problem
                        .label(said.span, "nothing is retried here")
                        .help("name the state that follows the error: `on: {1213: begin}`"),
                );
            }
            retries = Retries {
                max: said.max.unwrap_or(retries.max),
                backoff: said.backoff.unwrap_or(retries.backoff),
                factor: said.factor.unwrap_or(retries.factor),
                limit: said.limit.unwrap_or(retries.limit),
                said: true,
            };
        }
        Coordination {
            wait_for,
            barrier: None,
            signal: decl.signal.iter().map(|name| name.value.clone()).collect(),
            add,
            record,
            repetition: self.repetition(decl, number, all, scope),
            next,
            on,
            retries,
        }
    }

    fn check_number(&mut self, value: &super::Value, node: &Node) {
        let number = match value {
            super::Value::Plain(value) => crate::history::is_number(value),
            super::Value::Template(_) => true,
        };
        if !number {
            let problem = Diagnostic::error(node.span, "only a number can be added");
            self.problems
                .push(problem.label(node.span, format!("this is {}", node.describe())));
        }
    }

    fn repetition(
        &mut self,
        decl: &StateDecl,
        number: usize,
        all: &States,
        scope: &mut Scope<'_>,
    ) -> Repetition {
        let Some(step) = all.steps.get(number) else {
            return Repetition::Once;
        };
        let watches = matches!(step.action, Action::Watch(_));
        let until = match &decl.until {
            Some(until) => {
                let entries = until.values.as_map().unwrap_or_default();
                if entries.is_empty() {
                    let problem =
                        Diagnostic::error(until.values.span, "`until` must be a mapping of columns");
                    let label = "write `until: {state: finished}`";
                    self.problems.push(problem.label(until.values.span, label));
                    return Repetition::Once;
                }
                entries
                    .iter()
                    .filter_map(|entry| {
                        let name = self.plain_text(&entry.key, "a column's name");
                        let pattern = self.known_pattern(&entry.value, scope);
                        Some((name?, entry.key.span, pattern?))
                    })
                    .collect()
            }
            None if watches => Vec::new(),
            None => {
                return match &decl.repeat {
                    Some(times) => Repetition::Times(times.value),
                    None => Repetition::Once,
                };
            }
        };
        Repetition::Until {
            until,
            every: decl.every.unwrap_or(LOOK_EVERY),
            within: decl.within.as_ref().map_or(step.timeout, |within| within.value),
            span: decl.within.as_ref().map_or(step.span, |within| within.span),
        }
    }
}

fn offset_of(own: &Own<'_>, number: usize) -> bool {
    (own.first..own.first + own.decls.len()).contains(&number)
}
