//! Which states of concurrent connections can be reached, and which waits can never end.

use std::collections::BTreeSet;

use super::Step;
use super::connections::ConnectionPlan;
use super::context::Context;
use super::machine::{Effects, Next, Want, Wanted};
use super::states::States;
use super::transitions::Own;
use crate::source::Diagnostic;

impl Context<'_> {
    /// States that nothing leads to.
    pub(super) fn check_reached(&mut self, own: &Own<'_>, steps: &[Step]) {
        let mut reached = BTreeSet::from([own.first]);
        let mut open = vec![own.first];
        while let Some(number) = open.pop() {
            let Some(step) = steps.get(number) else { continue };
            for next in step.followers(&(own.first..own.first + own.decls.len())) {
                if let Next::State(next) = next
                    && reached.insert(next)
                {
                    open.push(next);
                }
            }
        }
        for (offset, _) in own.decls.iter().enumerate() {
            let number = own.first + offset;
            if let (false, Some(step)) = (reached.contains(&number), steps.get(number)) {
                let message = format!("state `{}` can never be reached", step.state);
                self.problems.push(
                    Diagnostic::error(step.span, message)
                        .label(step.span, "no state leads here")
                        .help("name it in `next` or `on` of another state, or remove it"),
                );
            }
        }
    }

    /// Waits that end for nobody, whatever happens: what they wait for comes only after themselves, or after
    /// waits that are no better.
    pub(super) fn check_waits(&mut self, connections: &[ConnectionPlan], all: &States) {
        let steps = &all.steps;
        // By connection, since several may share their states. Each state that can be entered, and each that
        // can end.
        let mut entered: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut ended: BTreeSet<(usize, usize)> = BTreeSet::new();
        for (number, own) in connections.iter().enumerate() {
            if !own.states.is_empty() {
                entered.insert((number, own.states.start));
            }
        }
        let mut come;
        loop {
            let before = (entered.len(), ended.len());
            come = Come::of(steps, all.barriers.len(), &entered, &ended);
            for (connection, step) in entered.clone() {
                let Some(plan) = steps.get(step).filter(|_| !ended.contains(&(connection, step))) else {
                    continue;
                };
                let barrier = plan.coordination.barrier.is_none_or(|(number, _)| {
                    let parties = all.barriers.get(number).map_or(0, |one| one.parties as usize);
                    come.at_barrier
                        .get(number)
                        .is_some_and(|here| here.len() >= parties)
                });
                let may = |want: &Want| come.can(&want.what, &entered);
                if !barrier || !plan.coordination.wait_for.iter().all(may) {
                    continue;
                }
                ended.insert((connection, step));
                let own = connections.get(connection).map(|own| own.states.clone());
                for next in plan.followers(&own.unwrap_or_default()) {
                    if let Next::State(next) = next {
                        entered.insert((connection, next));
                    }
                }
            }
            if before == (entered.len(), ended.len()) {
                break;
            }
        }
        let stuck: Vec<(usize, usize)> = entered.difference(&ended).copied().collect();
        let mut told = BTreeSet::new();
        for (connection, number) in &stuck {
            let Some(step) = steps.get(*number).filter(|_| told.insert(*number)) else {
                continue;
            };
            let missing = step
                .coordination
                .wait_for
                .iter()
                .find(|want| !come.can(&want.what, &entered));
            let (span, what) = match (missing, step.coordination.barrier) {
                (Some(want), _) => {
                    let name = self.file.slice(want.span);
                    (want.span, format!("the wait for `{name}` can never be satisfied"))
                }
                (None, Some((_, span))) => {
                    let name = self.file.slice(span);
                    (span, format!("barrier `{name}` can never open"))
                }
                (None, None) => continue,
            };
            let mut problem = Diagnostic::error(span, what).label(span, "this wait never ends");
            // Who would bring it: a state that is never entered, or that never ends.
            let brings = |at: usize, step: &Step| match (missing.map(|want| &want.what), span) {
                (Some(Wanted::Event { name, .. }), _) => step.coordination.signal.contains(name),
                (Some(Wanted::State { state, .. }), _) => at == *state,
                // No file waits for these by `wait_for`.
                (Some(Wanted::Barrier(_) | Wanted::AllConnected | Wanted::Message), _) => false,
                (None, span) => step.coordination.barrier.is_some_and(|(number, other)| {
                    other != span
                        && all.barriers.get(number).map(|one| one.name.as_str())
                            == Some(self.file.slice(span))
                        && !entered.iter().any(|(_, entered)| *entered == at)
                }),
            };
            let mut own_alone = missing.is_some();
            let own = connections
                .get(*connection)
                .map(|own| own.states.clone())
                .unwrap_or_default();
            for (at, bringer) in steps.iter().enumerate().filter(|(at, step)| brings(*at, step)) {
                own_alone &= own.contains(&at);
                problem = problem.label(
                    bringer.span,
                    "this state would end the wait, but is reached only after it",
                );
            }
            let help = if own_alone {
                "a connection that waits for itself is in a deadlock; another connection must end this wait"
            } else {
                "connections that wait for each other are in a deadlock; one of them must continue without the others"
            };
            self.problems.push(problem.help(help));
        }
    }
}

/// What can come, by the states that can be entered and that can end.
#[derive(Default)]
struct Come {
    /// What states bring that can end.
    effects: Effects,
    /// For each barrier the connections that can come to it.
    at_barrier: Vec<BTreeSet<usize>>,
}

impl Come {
    fn of(
        steps: &[Step],
        barriers: usize,
        entered: &BTreeSet<(usize, usize)>,
        ended: &BTreeSet<(usize, usize)>,
    ) -> Self {
        let mut come = Self {
            at_barrier: vec![BTreeSet::new(); barriers],
            ..Self::default()
        };
        let over: BTreeSet<usize> = ended.iter().map(|(_, step)| *step).collect();
        for effects in over
            .iter()
            .filter_map(|number| steps.get(*number))
            .map(Step::effects)
        {
            come.effects.union(&effects);
        }
        for (connection, step) in entered {
            let Some(step) = steps.get(*step) else { continue };
            let effects = step.effects();
            for (number, here) in come.at_barrier.iter_mut().enumerate() {
                if effects.may_reach(number) {
                    here.insert(*connection);
                }
            }
        }
        come
    }

    fn can(&self, what: &Wanted, entered: &BTreeSet<(usize, usize)>) -> bool {
        match what {
            Wanted::State { connection, state } => entered.contains(&(*connection, *state)),
            Wanted::Event { name, .. } => self.effects.may_signal(name),
            // No file waits for these by `wait_for`.
            Wanted::Barrier(_) | Wanted::AllConnected | Wanted::Message => true,
        }
    }
}
