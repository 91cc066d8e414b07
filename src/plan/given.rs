//! Which variables steps give, and whose they are then; and values that are read before anybody gives them.

use std::collections::{BTreeMap, BTreeSet};

use super::ConnectionPlan;
use super::context::Context;
use super::names::{Scope, Use};
use crate::coordinator::Owners;
use crate::scenario::{ConnectionDecl, StateDecl, StepDecl};
use crate::source::{Diagnostic, Span};

impl Context<'_> {
    /// Whose the variables are that the steps of this variant give. What only other variants' steps give is known, too,
    /// since their texts are checked here as well.
    pub(super) fn owners(&self, connections: &[ConnectionPlan]) -> Owners {
        let names: Vec<String> = connections.iter().map(|own| own.name.clone()).collect();
        let mut steps: Vec<(Vec<usize>, &StepDecl)> = Vec::new();
        for decl in &self.scenario.steps {
            let own = self.numbers.get(&decl.connection.value).copied();
            steps.push((own.into_iter().collect(), decl));
        }
        for decl in &self.scenario.connections {
            let copies = copies(decl, connections);
            steps.extend(decl.states.iter().map(|state| (copies.clone(), &state.step)));
        }
        let mut mine = Owners::new(names.clone());
        let mut all = Owners::new(names);
        for (own, step) in &steps {
            let here = self.variant.is_in(step.when.as_ref());
            for owners in [&mut all].into_iter().chain(here.then_some(&mut mine)) {
                for (name, _) in &step.save {
                    own.iter().for_each(|own| owners.save(*own, &name.value));
                }
                step.shared.iter().for_each(|(name, _)| owners.share(&name.value));
            }
        }
        // A connection that saves a name means its own by `set`, too.
        for (own, step) in &steps {
            let here = self.variant.is_in(step.when.as_ref());
            for owners in [&mut all].into_iter().chain(here.then_some(&mut mine)) {
                for (name, _) in &step.set {
                    if own.iter().any(|own| !owners.is_own(*own, &name.value)) {
                        owners.share(&name.value);
                    }
                }
            }
        }
        for state in self.scenario.connections.iter().flat_map(|own| &own.states) {
            state.add.iter().for_each(|(name, _)| mine.add(&name.value));
        }
        mine.take_in_unknown(&all);
        mine
    }

    /// What a concurrent connection uses of another one that it does not wait for, and what several give and use
    /// without a wait: which value that is, is chance.
    pub(super) fn check_races(&mut self, connections: &[ConnectionPlan], scope: &Scope<'_>) {
        let mut givers: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for decl in &self.scenario.connections {
            let copies = copies(decl, connections);
            for step in decl.states.iter().map(|state| &state.step) {
                let set = step.set.iter().map(|(name, _)| name);
                for name in step.shared.iter().map(|(name, _)| name).chain(set) {
                    let others = copies
                        .iter()
                        .filter(|own| !scope.owners().is_own(**own, &name.value));
                    givers.entry(&name.value).or_default().extend(others);
                }
            }
        }
        for one in scope.uses() {
            if self.waits_before(one, connections) {
                continue;
            }
            let reader = connections.get(one.reader).map_or("?", |own| own.name.as_str());
            let Use { name, span, .. } = one;
            match one.owner {
                Some(owner) if !scope.knows(name) => {
                    let owner = scope.owners().connection(owner);
                    let message = format!("nothing makes `{reader}` wait until `{owner}` has saved `{name}`");
                    self.problems.push(
                        Diagnostic::error(*span, message)
                            .label(*span, "it may have no value here")
                            .help(format!(
                                "let `{owner}` signal an event after that, and write `wait_for` before this"
                            )),
                    );
                }
                None => {
                    let givers = givers.get(name.as_str());
                    if givers.is_some_and(|givers| givers.len() > 1 && givers.contains(&one.reader)) {
                        self.problems.push(race(name, *span));
                    }
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a connection waits for others before the state that stands here, or in it.
    fn waits_before(&self, one: &Use, connections: &[ConnectionPlan]) -> bool {
        let mut decls = self.scenario.connections.iter();
        let own = decls.find(|decl| copies(decl, connections).contains(&one.reader));
        let states = own.map_or(&[][..], |own| own.states.as_slice());
        let waits = |state: &StateDecl| !state.wait_for.is_empty() || state.barrier.is_some();
        let before = states
            .iter()
            .take_while(|state| state.step.span.start <= one.span.start);
        before.into_iter().any(waits)
    }

    /// What steps that are run in every order use of other connections: in some orders it has no value yet.
    pub(super) fn check_uses_of_orders(&mut self, connections: &[ConnectionPlan], scope: &Scope<'_>) {
        for Use {
            reader,
            owner,
            name,
            span,
        } in scope.uses()
        {
            let Some(owner) = owner.filter(|_| !scope.knows(name)) else {
                continue;
            };
            let reader = connections.get(*reader).map_or("?", |own| own.name.as_str());
            let who = scope.owners().connection(owner);
            let message =
                format!("in some interleavings `{reader}` runs this step before `{who}` has saved `{name}`");
            self.problems.push(
                Diagnostic::error(*span, message)
                    .label(*span, "it has no value then")
                    .help(format!(
                        "give it an initial value, `vars: {{{name}: …}}`, and write `${{{}}}`",
                        scope.owners().key_of(owner, name)
                    )),
            );
        }
    }
}

/// The numbers of the connections that a declaration makes.
fn copies(decl: &ConnectionDecl, connections: &[ConnectionPlan]) -> Vec<usize> {
    let made = connections.iter().enumerate();
    let made = made.filter(|(_, own)| own.span == decl.name.span);
    made.map(|(number, _)| number).collect()
}

fn race(name: &str, span: Span) -> Diagnostic {
    let message = format!("several concurrent connections set and use `{name}`");
    Diagnostic::error(span, message)
        .label(span, "the value depends on which connection set it last")
        .help("`save` keeps a value for its own connection; `add` adds up over all connections")
}
