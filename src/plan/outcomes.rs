//! What orders of steps may come to: the key `outcomes`.

use super::context::Context;
use super::names::Scope;
use super::step_name::step_name;
use super::{ConnectionPlan, Final, Step};
use crate::expect::{Expectation, MATCHERS};
use crate::scenario::keys;
use crate::source::{Diagnostic, Entry, Node, NodeKind, Span, nearest};

/// What an order may come to.
#[derive(Debug)]
pub struct OutcomePlan {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Whether it need not be seen.
    pub may: bool,
    /// What holds then.
    pub holds: Final,
    /// What steps saw.
    pub saw: Vec<SawPlan>,
    /// Exactly the steps that had to wait, where it says so.
    pub blocked: Option<(Span, Vec<usize>)>,
}

/// What one step saw.
#[derive(Debug)]
pub struct SawPlan {
    /// The step's number.
    pub step: usize,
    /// Where it stands.
    pub span: Span,
    /// What it must have seen.
    pub expectations: Vec<Expectation>,
}

impl Context<'_> {
    /// The outcomes that orders may have.
    pub(super) fn outcomes(
        &mut self,
        node: &Node,
        connections: &[ConnectionPlan],
        steps: &[Step],
        scope: &mut Scope<'_>,
    ) -> Vec<OutcomePlan> {
        let mut found = Vec::new();
        if self.scenario.permutations.is_none() {
            let problem = Diagnostic::error(node.span, "`outcomes` needs `permutations`");
            self.problems.push(problem.label(
                node.span,
                "steps in the order of the file have one outcome: write it in `expect`",
            ));
        }
        for entry in self.mapping(node, "outcomes", "outcomes: {both: {tables: {t: [[1]]}}}") {
            let name = entry.key.text().unwrap_or_default().into_owned();
            if name.trim().is_empty() {
                let problem = Diagnostic::error(entry.key.span, "an outcome needs a name");
                self.problems.push(problem.label(entry.key.span, "this is none"));
            }
            let known = keys::names(keys::OUTCOME);
            let Some(map) = crate::source::MapReader::new(&entry.value, "an outcome", &known, self.problems)
            else {
                continue;
            };
            let says = |key: &&str| *key != "may" && map.get(key).is_some();
            // A key that is not known was told already.
            let all_known = match &entry.value.kind {
                NodeKind::Map(entries) => entries.iter().all(|entry| {
                    let key = entry.key.text().unwrap_or_default();
                    known.iter().any(|known| *known == key)
                }),
                _ => true,
            };
            if all_known && !known.iter().any(says) {
                let problem = Diagnostic::error(entry.value.span, "this outcome matches every interleaving");
                self.problems.push(problem.label(
                    entry.value.span,
                    "name what must hold: `tables`, `errors`, `saw`, …",
                ));
            }
            let mut holds = Final::default();
            let mut named = Vec::new();
            if let Some(node) = map.get("states") {
                named = self.sequences(node, &mut holds);
            }
            self.state_names(&named, connections, steps);
            if let Some(node) = map.get("tables") {
                self.tables(node, scope, &mut holds);
            }
            if let Some(node) = map.get("queries") {
                holds.queries = self.queries(node, scope, false);
            }
            if let Some(node) = map.get("shared") {
                self.shared(node, steps, scope, &mut holds);
            }
            if let Some(entry) = map.entry("errors") {
                self.errors(&entry.key, &entry.value, scope, &mut holds);
            }
            let saw = map
                .get("saw")
                .map(|node| self.saw(node, connections, steps, scope))
                .unwrap_or_default();
            let blocked = map.get("blocked").map(|node| {
                if node.as_seq().is_none() {
                    let problem = Diagnostic::error(node.span, "`blocked` must be a list of steps here");
                    self.problems.push(
                        problem.label(node.span, "write `[bob.update]`, or `[]` if no step is blocked"),
                    );
                }
                let items = node.as_seq().unwrap_or_default();
                (node.span, self.different_steps(items, connections, steps))
            });
            if let Some(entry) = map.entry("may")
                && !matches!(entry.value.kind, NodeKind::Bool(true))
            {
                let problem = Diagnostic::error(entry.value.span, "`may` can only be `true`");
                self.problems
                    .push(problem.label(entry.value.span, "otherwise leave the key out"));
            }
            found.push(OutcomePlan {
                name,
                span: entry.key.span,
                may: map.get("may").is_some(),
                holds,
                saw,
                blocked,
            });
        }
        found
    }

    fn saw(
        &mut self,
        node: &Node,
        connections: &[ConnectionPlan],
        steps: &[Step],
        scope: &mut Scope<'_>,
    ) -> Vec<SawPlan> {
        let mut found = Vec::new();
        for entry in self.mapping(node, "saw", "saw: {alice.select: 100}") {
            let Some(step) = self.step_by_name(&entry.key, connections, steps) else {
                continue;
            };
            let entries = match self.expectations_of_saw(&entry.value) {
                Some(entries) => entries,
                None => {
                    let kind = match entry.value.as_seq() {
                        Some(_) => "rows",
                        None => "value",
                    };
                    let key = Node::new(entry.key.span, NodeKind::Str(kind.to_owned()));
                    vec![(key, entry.value.clone())]
                }
            };
            found.push(SawPlan {
                step,
                span: entry.key.span,
                expectations: self.read_expectations(&entries.iter().collect::<Vec<_>>(), scope),
            });
        }
        found
    }

    /// The entries of a mapping that has kinds of expectation for keys, rather than those of a matcher.
    fn expectations_of_saw(&mut self, node: &Node) -> Option<Vec<(Node, Node)>> {
        let NodeKind::Map(entries) = &node.kind else {
            return None;
        };
        let is_kind = |entry: &Entry| {
            let key = entry.key.as_str().unwrap_or_default();
            // `one_of` and `within` are matchers, too.
            !MATCHERS.iter().any(|(matcher, ..)| *matcher == key)
                && (keys::EXPECTATIONS.contains(&key) || nearest(key, keys::SAW.iter().copied()).is_some())
        };
        if !entries.iter().any(is_kind) {
            return None;
        }
        let map = crate::source::MapReader::new(node, "what a step saw", keys::SAW, self.problems)?;
        let known = keys::SAW.iter().filter_map(|key| map.entry(key));
        Some(
            known
                .map(|entry| (entry.key.clone(), entry.value.clone()))
                .collect(),
        )
    }

    /// Steps by their names, each once.
    fn different_steps(
        &mut self,
        items: &[Node],
        connections: &[ConnectionPlan],
        steps: &[Step],
    ) -> Vec<usize> {
        let mut found: Vec<(usize, Span)> = Vec::new();
        for item in items {
            let Some(number) = self.step_by_name(item, connections, steps) else {
                continue;
            };
            if let Some((_, first)) = found.iter().find(|(other, _)| *other == number) {
                let name = step_name(number, connections, steps);
                let problem = Diagnostic::error(item.span, format!("`{name}` appears twice"));
                self.problems
                    .push(problem.label(*first, "first here").label(item.span, "again here"));
                continue;
            }
            found.push((number, item.span));
        }
        found.into_iter().map(|(number, _)| number).collect()
    }

    /// `connection.state`; of several states of one name `connection.state.2` is the second.
    fn step_by_name(&mut self, node: &Node, connections: &[ConnectionPlan], steps: &[Step]) -> Option<usize> {
        let text = node.text().unwrap_or_default().into_owned();
        let found = (0..steps.len()).find(|number| step_name(*number, connections, steps) == text);
        if found.is_none() {
            let known: Vec<String> = (0..steps.len())
                .map(|number| step_name(number, connections, steps))
                .collect();
            let near = nearest(&text, known.iter().map(String::as_str));
            let message = match near {
                Some(near) => format!("there is no step `{text}`; did you mean `{near}`?"),
                None => format!("there is no step `{text}`"),
            };
            let known = known.join(", ");
            // A step may be of other variants only.
            let label = if self.scenario.all_steps().any(|step| step.when.is_some()) {
                format!("in the variant {} there are {known}", self.variant.in_words())
            } else {
                format!("there are {known}")
            };
            self.problems
                .push(Diagnostic::error(node.span, message).label(node.span, label));
        }
        found
    }
}
