//! States of connections that run freely, with their names resolved.

use std::collections::{BTreeMap, BTreeSet};

use super::connections::ConnectionPlan;
use super::machine::{
    BarrierPlan, Coordination, LOOK_EVERY, Next, Repetition, Retries, TRIGGERS, Trigger, Want, Wanted,
};
use super::names::Scope;
use super::variants::Context;
use super::{Action, Step};
use crate::history::JobKind;
use crate::scenario::{Located, StateDecl, WantDecl};
use crate::source::{Diagnostic, Node, Span, nearest};
use crate::sql::{by_name, nearest as nearest_error};

/// What the file calls the end of a connection's states.
const END: &str = "end";

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

/// The states of all connections, one connection after another.
#[derive(Default)]
pub(super) struct States {
    pub steps: Vec<Step>,
    pub barriers: Vec<BarrierPlan>,
}

/// The states of one declaration that this variant has.
pub(super) struct Own<'s> {
    pub first: usize,
    pub decls: Vec<&'s StateDecl>,
}

impl Own<'_> {
    /// The number of the state of this name; how many there are, where it is not one.
    fn find(&self, steps: &[Step], name: &str) -> Result<usize, usize> {
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
    /// Plans all states, and gives each connection the range of its own.
    pub(super) fn states(&mut self, connections: &mut [ConnectionPlan], scope: &mut Scope<'_>) -> States {
        let scenario = self.scenario;
        let mut all = States::default();
        // Which connection gives a variable its value first is known only when it runs.
        for state in scenario.connections.iter().flat_map(|own| &own.states) {
            let step = &state.step;
            let saved = step.save.iter().map(|(name, _)| name);
            let set = step.set.iter().map(|(name, _)| name);
            for name in saved.chain(set) {
                scope.add(&name.value);
            }
        }
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
                let mut found = self.coordination(decl, number, own, &owns, connections, &all, scope);
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
                            format!("barrier `{}` has two numbers of parties", name.value),
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
            let can = connections
                .iter()
                .filter(|own| all.steps[own.states.clone()].iter().any(names))
                .count();
            let can = u32::try_from(can).unwrap_or(u32::MAX);
            let wanted = parties.as_ref().map_or(can, |parties| parties.value);
            let place = parties.as_ref().map_or(span, |parties| parties.span);
            if wanted > can || wanted < 2 {
                let message = format!("barrier `{name}` can never fill");
                let label = if wanted > can {
                    format!("waits for {wanted}, and only {can} can come")
                } else {
                    "only one connection comes to it, and it waits for another".to_owned()
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

    #[expect(clippy::too_many_arguments, reason = "one state against all that it can name")]
    fn coordination(
        &mut self,
        decl: &StateDecl,
        number: usize,
        own: &Own<'_>,
        owns: &BTreeMap<String, Own<'_>>,
        connections: &[ConnectionPlan],
        all: &States,
        scope: &mut Scope<'_>,
    ) -> Coordination {
        let wait_for = decl
            .wait_for
            .iter()
            .flat_map(|want| self.wants(want, owns, connections, &all.steps))
            .collect();
        let add = decl
            .add
            .iter()
            .filter_map(|(name, node)| {
                self.check_new_name(name);
                if scope.knows(&name.value) {
                    scope.check_name(&name.value, name.span, self.problems);
                } else {
                    let message = format!("`{}` has no value to add to", name.value);
                    let problem = Diagnostic::error(name.span, message).label(name.span, "added to here");
                    self.problems
                        .push(problem.help(format!("give it one at the top: `vars: {{{}: 0}}`", name.value)));
                }
                let value = self.plan_value(node, scope)?;
                self.check_number(&value, node);
                Some((name.value.clone(), value, name.span))
            })
            .collect();
        let record = decl
            .record
            .iter()
            .map(|(name, source)| {
                (
                    name.value.clone(),
                    super::steps::save_source(&source.value),
                    source.span,
                )
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
            let problem = Diagnostic::error(word.span, "nothing can come of this state but its end");
            let label = "`on` is asked about statements; write `next`";
            self.problems.push(problem.label(word.span, label));
        }
        let mut retries = Retries::default();
        if let Some(said) = &decl.retries {
            if !on.iter().any(|(trigger, _)| trigger.is_error()) && decl.on.len() == on.len() {
                let problem = Diagnostic::error(said.span, "`retries` goes with an error in `on`");
                self.problems.push(
                    problem
                        .label(said.span, "nothing is tried again")
                        .help("say where to go on: `on: {1213: begin}`"),
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

    /// A trigger that an earlier one leaves nothing to.
    fn check_asked(&mut self, asked: &[(Trigger, Span)], trigger: Trigger, word: &Located<String>) {
        let same = asked.iter().find(|(other, _)| *other == trigger);
        let error = matches!(trigger, Trigger::Error(_) | Trigger::Lost);
        let wider = asked
            .iter()
            .find(|(other, _)| error && *other == Trigger::AnyError);
        let (message, here, (_, before), there) = match (same, wider) {
            (Some(same), _) => (
                format!("`{}` is there twice", word.value),
                "again here",
                same,
                "first here",
            ),
            (None, Some(any)) => (
                format!("`{}` is never asked", word.value),
                "write this one first",
                any,
                "this takes all errors: the first that fits is followed",
            ),
            (None, None) => return,
        };
        let problem = Diagnostic::error(word.span, message).label(word.span, here);
        self.problems.push(problem.label(*before, there));
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
                    let problem = Diagnostic::error(until.values.span, "`until` is a mapping of columns");
                    let label = "write `until: {state: finished}`";
                    self.problems.push(problem.label(until.values.span, label));
                    return Repetition::Once;
                }
                entries
                    .iter()
                    .filter_map(|entry| {
                        let name = entry.key.text()?.into_owned();
                        let pattern = self.known_pattern(&entry.value, scope)?;
                        Some((name, entry.key.span, pattern))
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

    /// What one name of `wait_for` stands for: an event, or a state of one connection or of several.
    fn wants(
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
                        let message = format!("no job comes to `{state}`; did you mean `{who}.{near}`?");
                        self.problems.push(
                            Diagnostic::error(span, message).label(span, "an event of a job that is watched"),
                        );
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
                    let problem = Diagnostic::error(span, "a state is reached or not");
                    let label = "only an event can be waited for several times";
                    self.problems.push(problem.label(span, label));
                }
                let what = |connection| Wanted::State {
                    connection,
                    step: *step,
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

    fn ambiguous(&mut self, span: Span, state: &str, count: usize) {
        let message = format!("{count} states are called `{state}`");
        self.problems.push(
            Diagnostic::error(span, message)
                .label(span, "which one?")
                .help("give each a name of its own: `- state: name`"),
        );
    }

    fn unknown_want(&mut self, want: &WantDecl, signals: &BTreeSet<&str>, connections: &[ConnectionPlan]) {
        let name = want.name.value.as_str();
        let span = want.name.span;
        let group = |own: &ConnectionPlan| {
            let rest = own.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if connections.iter().any(group) {
            let problem = Diagnostic::error(span, format!("nobody signals `{name}`"));
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
                Some(near) => format!("unknown connection `{who}`; did you mean `{near}.{state}`?"),
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

    /// A state that another one of the same connection names.
    fn target(&mut self, name: &Located<String>, own: &Own<'_>, steps: &[Step]) -> Option<Next> {
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

    fn trigger(&mut self, word: &Located<String>) -> Option<Trigger> {
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
            Some(near) => format!("nothing comes of a state as `{text}`; did you mean `{near}`?"),
            None => format!("nothing comes of a state as `{text}`"),
        };
        let known: Vec<&str> = words.collect();
        let help = format!("known are an error's number or name, and {}", known.join(", "));
        let problem = Diagnostic::error(word.span, message).label(word.span, "not known here");
        self.problems.push(problem.help(help));
        None
    }
}

fn offset_of(own: &Own<'_>, number: usize) -> bool {
    (own.first..own.first + own.decls.len()).contains(&number)
}
