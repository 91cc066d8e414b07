//! Steps that are run in many orders: each connection's own order is kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::context::Context;
use super::names::Scope;
use super::pattern::{BLOCKED, LIFECYCLE};
use super::step_name::step_name;
use super::{Action, ConnectionPlan, OutcomePlan, Step};
use crate::scenario::{ChosenOrders, ListedOrder, Located, OrdersDecl, StateDecl};
use crate::source::{Diagnostic, Span, nearest};

/// At most this many orders are run, where `most` does not say.
pub const ORDERS_MAX: u32 = 10_000;

/// In which orders the steps of a trial are run.
#[derive(Debug, Clone)]
pub struct OrdersPlan {
    /// Where the file says so.
    pub span: Span,
    /// Which orders.
    pub choice: OrderChoice,
    /// At most so many are run.
    pub most: u32,
    /// Says which, where there are more.
    pub seed: u64,
    /// Whether orders are left out that cannot differ from others.
    pub prune: bool,
    /// The numbers of the outcomes of which this order must come to one, with the places that say so; none where
    /// any of them will do.
    pub outcomes: Vec<(usize, Span)>,
    /// The labels of all orders that the file lists, where it does: each is a trial of its own.
    pub listed: Arc<[String]>,
    /// Steps that are left out, by their numbers: of one order that `--without` has made shorter.
    pub without: Vec<usize>,
}

/// Which orders are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderChoice {
    /// Every one.
    All,
    /// So many at random, by this seed.
    Sample {
        /// How many.
        count: u32,
        /// For the choice.
        seed: u64,
    },
    /// This one: the connections by their numbers.
    One(Vec<usize>),
}

/// One trial's order, with its label if the file lists orders.
pub(super) type LabelledOrder = (Option<String>, OrdersPlan);

impl Context<'_> {
    /// The steps of connections, one connection after another, in the order of each.
    pub(super) fn sequences_of_steps(
        &mut self,
        orders: &OrdersDecl,
        connections: &mut [ConnectionPlan],
        scope: &mut Scope<'_>,
    ) -> Vec<Step> {
        let scenario = self.scenario;
        // What is saved comes before or after, as the order has it.
        scope.give_all();
        let mut steps = Vec::new();
        if scenario.has_states() {
            for decl in &scenario.connections {
                let base = connections.iter().position(|own| own.span == decl.name.span);
                let count = decl.count.as_ref().map_or(1, |count| count.value);
                if let Some(rounds) = &decl.rounds {
                    self.not_with_orders(rounds.span, "repeat");
                }
                for state in &decl.states {
                    self.check_plain(state);
                }
                for copy in 0..count {
                    for state in &decl.states {
                        let connection = base.map(|base| base + copy);
                        let step = self.step_plan(&state.step, connection, scope);
                        if self.variant.is_in(state.step.when.as_ref()) {
                            steps.extend(step);
                        }
                    }
                }
            }
        } else {
            let mut all = self.steps(scope);
            for step in &mut all {
                // Who waits is just what is asked then.
                if self.input.every_order {
                    step.blocked = None;
                    step.unblocks.clear();
                }
                let waits = step.blocked.as_ref().map(|blocked| blocked.span);
                if let Some(span) = waits.or(step.unblocks.first().map(|(_, span)| *span)) {
                    let problem =
                        Diagnostic::error(span, "which step is blocked depends on the interleaving");
                    self.problems.push(
                        problem
                            .label(span, "not with `permutations`")
                            .label(orders.span, "many interleavings"),
                    );
                }
            }
            all.sort_by_key(|step| step.connection);
            steps = all;
        }
        let mut at = 0;
        for (number, own) in connections.iter_mut().enumerate() {
            let count = steps.iter().filter(|step| step.connection == number).count();
            own.states = at..at + count;
            at += count;
        }
        steps
    }

    fn not_with_orders(&mut self, span: Span, key: &str) {
        let problem = Diagnostic::error(span, format!("`{key}` cannot be used with `permutations`"));
        self.problems.push(problem.label(
            span,
            "the interleaving decides when each step runs, and each runs once",
        ));
    }

    /// A state that is run in many orders only acts.
    fn check_plain(&mut self, state: &StateDecl) {
        let span = state.step.connection.span;
        for (there, key) in [
            (!state.wait_for.is_empty(), "wait_for"),
            (state.barrier.is_some(), "barrier"),
            (!state.signal.is_empty(), "signal"),
            (!state.add.is_empty(), "add"),
            (!state.record.is_empty(), "record"),
            (state.repeat.is_some(), "repeat"),
            (state.until.is_some(), "until"),
            (state.next.is_some(), "next"),
            (!state.on.is_empty(), "on"),
            (state.retries.is_some(), "retries"),
        ] {
            if there {
                self.not_with_orders(span, key);
            }
        }
        match &state.step.action {
            crate::scenario::ActionDecl::WatchImport(_) => self.not_with_orders(span, "watch_import"),
            crate::scenario::ActionDecl::WatchDdl(_) => self.not_with_orders(span, "watch_ddl"),
            _ => {}
        }
    }

    /// The orders that are trials of their own, each with its label; one without a label where all of them are
    /// one trial.
    pub(super) fn orders(
        &mut self,
        decl: &OrdersDecl,
        connections: &[ConnectionPlan],
        steps: &[Step],
        outcomes: &[OutcomePlan],
        seed: u64,
    ) -> Vec<LabelledOrder> {
        let seed = self.input.seed.or(decl.seed).unwrap_or(seed);
        let plan = |choice| OrdersPlan {
            span: decl.span,
            choice,
            most: decl.most.unwrap_or(ORDERS_MAX),
            seed,
            prune: decl.prune,
            outcomes: Vec::new(),
            listed: Arc::default(),
            without: Vec::new(),
        };
        let list = match &decl.chosen {
            ChosenOrders::All => return vec![(None, plan(OrderChoice::All))],
            ChosenOrders::Sample { count } => {
                return vec![(None, plan(OrderChoice::Sample { count: *count, seed }))];
            }
            ChosenOrders::List(list) => list,
        };
        let mut found: Vec<(String, OrdersPlan)> = Vec::new();
        let mut places: HashMap<String, Span> = HashMap::new();
        let mut step_names: HashMap<String, usize> = HashMap::new();
        for number in (0..steps.len()).rev() {
            step_names.insert(step_name(number, connections, steps), number);
        }
        let outcomes_in_file = self.names_of_outcomes();
        self.check_outcomes_are_named(list, outcomes);
        for listed in list {
            let order = &listed.picks;
            let Some(picks) = self.order(order, connections, steps, &step_names) else {
                continue;
            };
            let label = order_label(&picks, connections);
            if let Some(first) = places.get(&label) {
                let problem = Diagnostic::error(order.span, "this interleaving is listed twice");
                self.problems.push(
                    problem
                        .label(*first, "first here")
                        .label(order.span, "again here"),
                );
                continue;
            }
            places.insert(label.clone(), order.span);
            let named = self.outcomes_of_order(listed, outcomes, &outcomes_in_file);
            found.push((
                label,
                OrdersPlan {
                    outcomes: named,
                    ..plan(OrderChoice::One(picks))
                },
            ));
        }
        let listed: Arc<[String]> = found.iter().map(|(label, _)| label.clone()).collect();
        let with_list = |(label, plan)| {
            let listed = Arc::clone(&listed);
            (Some(label), OrdersPlan { listed, ..plan })
        };
        found.into_iter().map(with_list).collect()
    }

    /// The outcomes that an order names, by their numbers.
    fn outcomes_of_order(
        &mut self,
        listed: &ListedOrder,
        outcomes: &[OutcomePlan],
        in_file: &[String],
    ) -> Vec<(usize, Span)> {
        let mut found: Vec<(usize, Span)> = Vec::new();
        for (at, name) in listed.outcomes.iter().enumerate() {
            let mut before = listed.outcomes[..at].iter();
            if let Some(first) = before.find(|other| other.value == name.value) {
                let problem = Diagnostic::error(name.span, format!("`{}` appears twice", name.value));
                self.problems.push(
                    problem
                        .label(first.span, "first here")
                        .label(name.span, "again here"),
                );
                continue;
            }
            let number = outcomes.iter().position(|outcome| outcome.name == name.value);
            if let Some(number) = number {
                found.push((number, name.span));
            } else if !in_file.contains(&name.value) {
                let near = nearest(&name.value, in_file.iter().map(String::as_str));
                let message = match near {
                    Some(near) => format!("there is no outcome `{}`; did you mean `{near}`?", name.value),
                    None => format!("there is no outcome `{}`", name.value),
                };
                let label = match in_file {
                    [] => "`expect` has no `outcomes`".to_owned(),
                    names => format!("there are {}", names.join(", ")),
                };
                self.problems
                    .push(Diagnostic::error(name.span, message).label(name.span, label));
                return Vec::new();
            }
        }
        // Those of other variants do not count in this one, but one must.
        if let (true, Some(first)) = (found.is_empty(), listed.outcomes.first()) {
            let message = format!("`{}` is not an outcome of this variant", first.value);
            let label = format!("not in {}", self.variant.in_words());
            self.problems
                .push(Diagnostic::error(first.span, message).label(first.span, label));
        }
        found
    }

    /// All names of outcomes, of whatever variant.
    fn names_of_outcomes(&self) -> Vec<String> {
        let entries = self.scenario.expect.iter().flat_map(|decl| &decl.entries);
        let outcomes = entries.filter(|(key, _)| key.as_str() == Some("outcomes"));
        let names = outcomes.flat_map(|(_, node)| node.as_map().unwrap_or_default());
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.key.text().map(std::borrow::Cow::into_owned))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Where each order says what it comes to, an outcome that none of them names is never looked for.
    fn check_outcomes_are_named(&mut self, list: &[ListedOrder], outcomes: &[OutcomePlan]) {
        let free = list.iter().filter(|listed| listed.outcomes.is_empty()).count();
        let names = list.iter().flat_map(|listed| &listed.outcomes);
        let names: HashSet<&str> = names.map(|name| name.value.as_str()).collect();
        let named = |outcome: &&OutcomePlan| names.contains(outcome.name.as_str());
        if free == 0 {
            for outcome in outcomes.iter().filter(|outcome| !named(outcome)) {
                let message = format!("no listed interleaving has the outcome `{}`", outcome.name);
                let problem = Diagnostic::error(outcome.span, message);
                self.problems
                    .push(problem.label(outcome.span, "name it in the list, or remove it"));
            }
            return;
        }
        // Each order comes to one outcome.
        let wanted = outcomes.iter().filter(|outcome| !outcome.may && !named(outcome));
        if let (true, Some(last)) = (wanted.clone().count() > free, wanted.clone().next_back()) {
            let message = format!(
                "{} outcomes must occur, but only {} for them",
                wanted.count(),
                match free {
                    1 => "one interleaving is left".to_owned(),
                    free => format!("{free} interleavings are left"),
                }
            );
            let problem = Diagnostic::error(last.span, message);
            self.problems.push(
                problem
                    .label(last.span, "no interleaving is left for this one")
                    .help("list more interleavings, or write `may: true` for an outcome that need not occur"),
            );
        }
    }

    /// One order by the numbers of its connections.
    fn order(
        &mut self,
        order: &Located<Vec<Located<String>>>,
        connections: &[ConnectionPlan],
        steps: &[Step],
        step_names: &HashMap<String, usize>,
    ) -> Option<Vec<usize>> {
        let mut picks = Vec::new();
        let mut done = vec![0_usize; connections.len()];
        for word in &order.value {
            let by_name = connections.iter().position(|own| own.name == word.value);
            // `alice.select.2`, as outcomes and reports name a step.
            let by_step = step_names.get(&word.value).copied();
            let number = match (by_name, by_step, word.value.rsplit_once('.')) {
                (Some(number), ..) => number,
                (None, Some(step), _) => steps.get(step)?.connection,
                (None, None, Some((name, _))) => {
                    let name = Located {
                        span: word.span,
                        value: name.to_owned(),
                    };
                    self.connection_number(&name)?
                }
                (None, None, None) => self.connection_number(word)?,
            };
            let own = connections.get(number)?;
            let next = own.states.start + done[number];
            let Some(step) = steps.get(next).filter(|_| own.states.contains(&next)) else {
                let count = steps_of(own.states.len());
                let message = format!("`{}` has only {count}", own.name);
                let problem = Diagnostic::error(word.span, message);
                self.problems
                    .push(problem.label(word.span, "this is one too many"));
                return None;
            };
            let next_name = step_name(next, connections, steps);
            let is_next = word.value == next_name || word.value == format!("{}.{}", own.name, step.state);
            if by_name.is_none() && !is_next {
                let message = format!("the next step of `{}` is `{next_name}`", own.name);
                let problem = Diagnostic::error(word.span, message);
                let label = format!("not `{}`: each connection runs its steps in order", word.value);
                self.problems.push(problem.label(word.span, label));
                return None;
            }
            done[number] += 1;
            picks.push(number);
        }
        for (own, done) in connections.iter().zip(done) {
            if done < own.states.len() {
                let message = wrong_number(&own.name, own.states.len(), done);
                let problem = Diagnostic::error(order.span, message);
                self.problems.push(problem.label(
                    order.span,
                    "an interleaving names a connection once for each of its steps",
                ));
                return None;
            }
        }
        Some(picks)
    }

    /// What goes with many orders and what does not.
    pub(super) fn check_orders(&mut self, decl: &OrdersDecl, steps: &[Step]) {
        for step in steps {
            let name = step.state.as_str();
            if LIFECYCLE.contains(&name) || name == BLOCKED {
                // Told already, where the name is read.
                continue;
            }
            if let Action::Sleep(_) = step.action {
                let problem = Diagnostic::warning(step.span, "`sleep` has no effect on the interleaving");
                self.problems.push(
                    problem
                        .label(step.span, "every interleaving waits for it")
                        .label(decl.span, "many interleavings"),
                );
            }
        }
    }
}

pub(super) fn steps_of(count: usize) -> String {
    match count {
        1 => "1 step".to_owned(),
        more => format!("{more} steps"),
    }
}

/// That an order names a connection too often or not often enough.
pub(super) fn wrong_number(name: &str, steps: usize, named: usize) -> String {
    let named = match named {
        0 => "is not named".to_owned(),
        1 => "is named once".to_owned(),
        more => format!("is named {more} times"),
    };
    format!("`{name}` has {}, and {named}", steps_of(steps))
}

/// `a-b-a-b`: as it stands in a trial's name.
#[must_use]
pub fn order_label(picks: &[usize], connections: &[ConnectionPlan]) -> String {
    let names = picks
        .iter()
        .map(|number| connections.get(*number).map_or("?", |own| own.name.as_str()));
    names.collect::<Vec<_>>().join("-")
}

/// How many orders there are that keep each connection's own: (a + b + …)! / (a! b! …), as far as it can be
/// counted.
#[must_use]
pub fn number_of_orders(connections: &[ConnectionPlan]) -> u128 {
    let mut orders: u128 = 1;
    let mut placed: u128 = 0;
    for own in connections {
        for step in 1..=own.states.len() as u128 {
            placed += 1;
            // The product of binomials so far, times `placed`, is divisible by `step`.
            orders = match orders.checked_mul(placed) {
                Some(product) => product / step,
                None => return u128::MAX,
            };
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use crate::plan::{PlanInput, plan};
    use crate::source::SourceFile;

    /// Of so many steps of a and of b, `count` interleavings.
    fn listed(steps: usize, count: usize) -> String {
        let mut list = String::new();
        let all = (0_u32..1 << (2 * steps)).filter(|bits| bits.count_ones() as usize == steps);
        for bits in all.take(count) {
            let picks = (0..2 * steps).map(|at| if bits >> at & 1 == 1 { "a" } else { "b" });
            writeln!(list, "    - {}", picks.collect::<Vec<_>>().join(" ")).expect("a line");
        }
        list
    }

    #[test]
    fn many_listed_interleavings_are_planned_in_little_time() {
        let (steps, count) = (9, 20_000);
        let states = ["{sql: select 1}"; 9].join(", ");
        let text = format!(
            "scenario: x\nconnections:\n  a: {{states: [{states}]}}\n  b: {{states: [{states}]}}\npermutations:\n  list:\n{}",
            listed(steps, count)
        );
        let begun = Instant::now();
        let planned = plan(
            std::sync::Arc::new(SourceFile::new("t.yaml", text)),
            &PlanInput::default(),
        );
        let took = begun.elapsed();
        assert_eq!(planned.problems.len(), 0, "{:?}", planned.problems.first());
        assert_eq!(planned.trials.len(), count);
        // Each name in each trial alone would be 400 million texts.
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
}
