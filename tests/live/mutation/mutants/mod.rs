//! All wrong versions of one file: each expectation changed in turn.
//!
//! What is not changed: claims that would only become weaker, such as one of two holders left out, or `any`
//! in the place of an error's number. A weaker claim is true as well.
//!
//! What connections that run freely do is partly chance, and so is what some orders come to. A change of what is
//! claimed of them contradicts what stood there: as that held in the run of the unchanged file, and holds in each
//! run, no run can meet the change, whatever chance decides. What contradicts nothing (how often something is tried
//! again, what leads elsewhere) is no mutant.

mod expectations;
mod finals;
mod free;
mod outcomes;
mod shared;
mod waits;

use std::collections::BTreeSet;

use tidb_scenarios::engine::{Entry, Node, SourceFile, Span};
use tidb_scenarios::engine::{Mode, TrialPlan, label};
use tidb_scenarios::testing::keys;

use crate::edit::{Edit, flow, get, one_or_more};
use crate::values::Change;

pub use finals::states_meet;

/// One wrong version of a file.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// In which part of the language: what is told of one tells nothing of another.
    pub area: Area,
    /// What was changed, in words.
    pub kind: &'static str,
    /// Where.
    pub span: Span,
    /// What stood there, and what stands there now.
    pub was: String,
    pub now: String,
    pub edits: Vec<Edit>,
    /// The `when`s around the place: it concerns the variants in which all of them hold.
    pub whens: Vec<Node>,
    /// For a changed sequence of states: the connection and both patterns.
    pub states: Option<Sequence>,
    /// What has to have happened for the change to say anything of it.
    pub reach: Option<Reach>,
    /// Whether it changes what is waited for, or which outcomes there are, so that no other run can tell of it.
    pub steers: bool,
}

/// Parts of the language in which the same words are read, run and judged by code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    Steps,
    Free,
    Orders,
    Outcomes,
}

impl Area {
    pub fn word(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Free => "states",
            Self::Orders => "orders",
            Self::Outcomes => "outcomes",
        }
    }
}

/// A sequence of states before and after its change.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub connection: String,
    pub was: Vec<String>,
    pub now: Vec<String>,
}

/// What a change speaks of. Of what has not happened in a run nothing wrong is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// What came of the step that stands at this byte.
    Step(usize),
    /// Orders that came to the outcome of this name.
    Outcome(String),
    /// That no order came to the outcome of this name.
    NoOutcome(String),
    /// The order of a list whose outcomes stand here.
    Order(Span),
}

impl Mutant {
    /// Whether a variant has the changed place at all.
    pub fn concerns(&self, variant: &[(String, String)]) -> bool {
        let met = |entry: &Entry| {
            let axis = entry.key.as_str().unwrap_or_default();
            let mine = variant.iter().find(|(name, _)| name == axis);
            one_or_more(&entry.value)
                .into_iter()
                .any(|value| mine.is_some_and(|(_, mine)| *mine == label(axis, value)))
        };
        self.whens
            .iter()
            .all(|when| when.as_map().unwrap_or_default().iter().all(met))
    }
}

/// A mapping in which expectations stand.
#[derive(Clone)]
struct Container<'n> {
    node: &'n Node,
    whens: Vec<&'n Node>,
}

impl<'n> Container<'n> {
    fn entry(&self, key: &str) -> Option<&'n Entry> {
        let entries = self.node.as_map().unwrap_or_default();
        entries.iter().find(|entry| entry.key.as_str() == Some(key))
    }

    fn names(&self, key: &str) -> Vec<String> {
        let names = self.entry(key).map(|entry| one_or_more(&entry.value));
        let names = names.unwrap_or_default().into_iter();
        names
            .filter_map(|name| name.text())
            .map(|name| name.into_owned())
            .collect()
    }
}

/// A step, or a state, as far as its expectations go.
struct Step<'n> {
    node: &'n Node,
    /// Where it begins, as plans have it.
    place: usize,
    owner: String,
    statement: bool,
    /// Whose statement or session it ends.
    kills: Option<String>,
    when: Option<&'n Node>,
    containers: Vec<Container<'n>>,
}

impl<'n> Step<'n> {
    fn read(node: &'n Node) -> Option<Self> {
        let known = keys::step_names();
        let entries = node.as_map()?;
        let owner = entries
            .iter()
            .find(|entry| entry.key.as_str().is_some_and(|key| !known.contains(&key)))?;
        let inner = owner.value.as_map().map(|_| &owner.value);
        let mut step = Self::of(node, inner, owner.key.span.start, owner.key.text()?.into_owned());
        step.statement |= inner.is_none() && !owner.value.is_null();
        Some(step)
    }

    /// A state of this connection.
    fn state(node: &'n Node, owner: &str) -> Option<Self> {
        let first = node.as_map()?.first()?.key.span.start;
        let place = get(node, "state").map_or(first, |name| name.span.start);
        Some(Self::of(node, None, place, owner.to_owned()))
    }

    fn of(node: &'n Node, inner: Option<&'n Node>, place: usize, owner: String) -> Self {
        let find = |key: &str| get(node, key).or_else(|| inner.and_then(|inner| get(inner, key)));
        let when = find("when");
        let whens: Vec<&Node> = when.into_iter().collect();
        let mut containers = vec![Container {
            node,
            whens: whens.clone(),
        }];
        containers.extend(inner.map(|node| Container {
            node,
            whens: whens.clone(),
        }));
        for item in find("expect").map(one_or_more).unwrap_or_default() {
            let mut whens = whens.clone();
            whens.extend(get(item, "when"));
            containers.push(Container { node: item, whens });
        }
        let kills = find("kill").map(|target| {
            let inner = get(target, "connection").or_else(|| get(target, "query"));
            inner.unwrap_or(target)
        });
        Self {
            node,
            place,
            owner,
            statement: ["sql", "load"].into_iter().any(|key| find(key).is_some()),
            kills: kills.and_then(Node::text).map(|name| name.into_owned()),
            when,
            containers,
        }
    }

    fn has(&self, keys: &[&str]) -> bool {
        let mut all = self.containers.iter();
        all.any(|container| keys.iter().any(|key| container.entry(key).is_some()))
    }
}

pub struct Maker<'n> {
    file: &'n SourceFile,
    plans: &'n [TrialPlan],
    connections: Vec<String>,
    found: Vec<Mutant>,
    /// What the mutants that are made now have in common.
    area: Area,
    reach: Option<Reach>,
}

/// All mutants of a file, in the order of their places.
pub fn mutants(file: &SourceFile, root: &Node, plans: &[TrialPlan]) -> Vec<Mutant> {
    let Some(first) = plans.first() else {
        return Vec::new();
    };
    let area = match first.mode {
        Mode::Explored(_) => Area::Orders,
        Mode::Concurrent(_) => Area::Free,
        Mode::Scripted => Area::Steps,
        // What is expected of a history is changed in `tests/live/workloads.rs`.
        Mode::Workload(_) => return Vec::new(),
    };
    let mut maker = Maker {
        file,
        plans,
        connections: first.connections.iter().map(|own| own.name.clone()).collect(),
        found: Vec::new(),
        area,
        reach: None,
    };
    let steps: Vec<Step<'_>> = get(root, "steps")
        .and_then(Node::as_seq)
        .unwrap_or_default()
        .iter()
        .filter_map(Step::read)
        .collect();
    let states = states(root);
    for step in steps.iter().chain(&states) {
        maker.of_step(step);
    }
    // Who waits depends on the order, so that nothing is said of it where there are many.
    if area == Area::Steps {
        for at in 0..steps.len() {
            maker.waiting(&steps, at);
        }
    }
    if area == Area::Free {
        for state in &states {
            maker.steering(state);
        }
    }
    for item in get(root, "expect").map(one_or_more).unwrap_or_default() {
        let whens = get(item, "when").into_iter().collect();
        let container = Container { node: item, whens };
        maker.finals(&container);
        if let Some(outcomes) = container.entry("outcomes") {
            maker.outcomes(&outcomes.value, &container.whens);
        }
    }
    maker.listed(root);
    maker.found.sort_by_key(|mutant| mutant.span.start);
    maker.found
}

/// The states of all connections; those that an alias repeats stand in one place, and are there once.
fn states(root: &Node) -> Vec<Step<'_>> {
    let mut places = BTreeSet::new();
    let mut found = Vec::new();
    for own in get(root, "connections")
        .and_then(Node::as_map)
        .unwrap_or_default()
    {
        let name = own.key.text().unwrap_or_default();
        let states = get(&own.value, "states").and_then(Node::as_seq);
        for node in states.unwrap_or_default() {
            if let Some(state) = Step::state(node, &name)
                && places.insert(state.place)
            {
                found.push(state);
            }
        }
    }
    found
}

impl<'n> Maker<'n> {
    fn raw(&self, span: Span) -> String {
        self.file.slice(span).to_owned()
    }

    /// What is expected of one step.
    fn of_step(&mut self, step: &Step<'n>) {
        // A step of a script is always run; of others there may be nothing to tell.
        self.reach = (self.area != Area::Steps).then_some(Reach::Step(step.place));
        for container in &step.containers {
            self.expectations(container, Some(step));
        }
        self.error_claimed(step);
        self.reach = None;
    }

    fn push(
        &mut self,
        kind: &'static str,
        span: Span,
        now: String,
        edits: Vec<Edit>,
        whens: &[&Node],
    ) -> &mut Mutant {
        self.found.push(Mutant {
            area: self.area,
            kind,
            span,
            was: self.raw(span),
            now,
            edits,
            whens: whens.iter().map(|when| (*when).clone()).collect(),
            states: None,
            reach: self.reach.clone(),
            steers: false,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn add(&mut self, kind: &'static str, old: &Node, new: &Node, whens: &[&Node]) -> &mut Mutant {
        let edits = vec![Edit::replace(old, new)];
        self.push(kind, old.span, flow(new), edits, whens)
    }

    fn add_all(&mut self, changes: Vec<Change>, old: &Node, whens: &[&Node]) {
        for (kind, new) in changes {
            self.add(kind, old, &new, whens);
        }
    }

    /// Keys of a mapping left out, or changed: told at the key.
    fn add_entries(
        &mut self,
        kind: &'static str,
        key: &Entry,
        now: String,
        changes: &[(&Container<'n>, Node)],
        whens: &[&Node],
    ) -> &mut Mutant {
        let span = Span {
            start: key.key.span.start,
            end: key.value.span.end.max(key.key.span.end),
        };
        let edits = changes
            .iter()
            .map(|(container, new)| Edit::replace(container.node, new))
            .collect();
        self.push(kind, span, now, edits, whens)
    }

    /// Whether the file says what orders may come to.
    fn names_outcomes(&self) -> bool {
        self.plans.iter().any(|plan| !plan.outcomes().is_empty())
    }
}
