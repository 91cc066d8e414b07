//! What must hold of the shared state: variables, status, events, series, retries and jobs.

use std::collections::BTreeSet;

use super::context::Context;
use super::names::Scope;
use super::{Final, Step};
use crate::expect::{Reading, ValuePattern};
use crate::history::{JobKind, Status};
use crate::scenario::{Located, keys};
use crate::source::{Diagnostic, MapReader, Node, NodeKind, Span, nearest};

/// What must hold of events.
#[derive(Debug)]
pub enum EventsPattern {
    /// Exactly these, in this order; those of watched jobs count only where one of them is named.
    Order(Span, Vec<String>),
    /// Each so often.
    Counts(Vec<(String, Span, ValuePattern)>),
}

/// What must hold of one series.
#[derive(Debug)]
pub struct SeriesPattern {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Its first value.
    pub first: Option<ValuePattern>,
    /// Its last value.
    pub last: Option<ValuePattern>,
    /// How many it has.
    pub count: Option<ValuePattern>,
    /// Its smallest value.
    pub min: Option<ValuePattern>,
    /// Its greatest value.
    pub max: Option<ValuePattern>,
    /// Where it says that no value is smaller than the one before.
    pub increasing: Option<Span>,
    /// All values.
    pub values: Option<(Span, Vec<ValuePattern>)>,
}

impl Context<'_> {
    pub(super) fn shared(&mut self, node: &Node, steps: &[Step], scope: &mut Scope<'_>, found: &mut Final) {
        let Some(map) = MapReader::new(node, "`shared`", &keys::names(keys::SHARED), self.problems) else {
            return;
        };
        if node.as_map().is_some_and(<[_]>::is_empty) {
            let problem = Diagnostic::error(node.span, "`shared` is empty");
            self.problems
                .push(problem.label(node.span, "write `shared: {status: {alice: completed}}`"));
        }
        let free = self.scenario.is_concurrent();
        for key in ["events", "series", "retries", "imports", "ddl"] {
            if let (Some(entry), false) = (map.entry(key), free) {
                let message = format!("`{key}` needs connections with `states`");
                let problem = Diagnostic::error(entry.key.span, message);
                let label = match self.scenario.permutations {
                    Some(_) => "a scenario with `permutations` has none",
                    None => "a scenario with `steps` has none",
                };
                self.problems.push(problem.label(entry.key.span, label));
            }
        }
        // That others have none of these says all that there is to say of them.
        let of_free = |key: &str| map.get(key).filter(|_| free);
        if let Some(node) = map.get("vars") {
            self.shared_vars(node, scope, found);
        }
        if let Some(node) = map.get("status") {
            self.shared_status(node, found);
        }
        if let Some(node) = of_free("events") {
            found.events = self.events(node, steps, scope);
        }
        if let Some(node) = of_free("series") {
            self.series(node, steps, scope, found);
        }
        if let Some(node) = of_free("retries") {
            for entry in self.mapping(node, "retries", "retries: {alice: 1}") {
                let name = Located {
                    span: entry.key.span,
                    value: entry.key.text().unwrap_or_default().into_owned(),
                };
                let number = self.connection_number(&name);
                let count = self.number_pattern(&entry.value, scope);
                if let (Some(number), Some(count)) = (number, count) {
                    found.retries.push((number, entry.key.span, count));
                }
            }
        }
        for (key, kind) in [("imports", JobKind::Import), ("ddl", JobKind::Ddl)] {
            if let Some(entry) = map.entry(key).filter(|_| free) {
                self.jobs(entry, kind, steps, scope, found);
            }
        }
    }

    fn shared_vars(&mut self, node: &Node, scope: &mut Scope<'_>, found: &mut Final) {
        for entry in self.mapping(node, "vars", "vars: {job: 1}") {
            let Some(name) = entry.key.text() else { continue };
            scope.check_each(&name, entry.key.span, self.problems);
            if let Some(pattern) = self.known_pattern(&entry.value, scope) {
                let owners = scope.owners();
                let used = pattern.variables();
                let itself = |other: &str| owners.keys(&name).contains(&owners.key(other, None));
                if let Some((_, span)) = used.iter().find(|(other, _)| itself(other)) {
                    let problem = Diagnostic::error(*span, format!("`{name}` is compared with itself"));
                    self.problems
                        .push(problem.label(*span, "this holds for every value"));
                }
                found.vars.push((name.into_owned(), entry.key.span, pattern));
            }
        }
    }

    fn shared_status(&mut self, node: &Node, found: &mut Final) {
        for entry in self.mapping(node, "status", "status: {alice: completed}") {
            let name = Located {
                span: entry.key.span,
                value: entry.key.text().unwrap_or_default().into_owned(),
            };
            let Some(number) = self.connection_number(&name) else {
                continue;
            };
            let word = entry.value.text().unwrap_or_default().to_string();
            match Status::ALL.iter().find(|status| status.word() == word) {
                Some(status) => found.status.push((number, entry.value.span, *status)),
                None => {
                    let name = Located {
                        span: entry.value.span,
                        value: word,
                    };
                    self.unknown(&name, "status", Status::ALL.iter().map(|status| status.word()));
                }
            }
        }
    }

    pub(super) fn value_pattern(&mut self, node: &Node) -> Option<ValuePattern> {
        let mut reading = Reading::new(self.file, self.problems);
        ValuePattern::read(node, &mut reading)
    }

    /// The same, with variables that have a value by then.
    pub(super) fn known_pattern(&mut self, node: &Node, scope: &mut Scope<'_>) -> Option<ValuePattern> {
        let pattern = self.value_pattern(node)?;
        for (name, span) in pattern.variables() {
            scope.check_name(&name, span, self.problems);
        }
        Some(pattern)
    }

    /// A number that is counted, with variables that have a value by then.
    pub(super) fn number_pattern(&mut self, node: &Node, scope: &mut Scope<'_>) -> Option<ValuePattern> {
        let pattern = ValuePattern::read_number(node, &mut Reading::new(self.file, self.problems))?;
        for (name, span) in pattern.variables() {
            scope.check_name(&name, span, self.problems);
        }
        Some(pattern)
    }

    fn events(&mut self, node: &Node, steps: &[Step], scope: &mut Scope<'_>) -> Option<EventsPattern> {
        if let Some(items) = node.as_seq() {
            let mut names = Vec::new();
            for item in items {
                let name = item.text().unwrap_or_default().into_owned();
                self.check_event(&name, item.span, steps);
                names.push(name);
            }
            return Some(EventsPattern::Order(node.span, names));
        }
        if !matches!(node.kind, NodeKind::Map(_)) {
            let problem = Diagnostic::error(node.span, "`events` must be a list of events or a mapping");
            let label = "write `events: [started]` or `events: {started: 1}`";
            self.problems.push(problem.label(node.span, label));
            return None;
        }
        let mut counts = Vec::new();
        for entry in self.mapping(node, "events", "events: {started: 1}") {
            let name = entry.key.text().unwrap_or_default().into_owned();
            self.check_event(&name, entry.key.span, steps);
            if let Some(pattern) = self.number_pattern(&entry.value, scope) {
                counts.push((name, entry.key.span, pattern));
            }
        }
        Some(EventsPattern::Counts(counts))
    }

    /// An event that no state can bring.
    fn check_event(&mut self, name: &str, span: Span, steps: &[Step]) {
        let brings: Vec<_> = steps.iter().map(Step::effects).collect();
        if brings.iter().any(|one| one.may_signal(name)) {
            return;
        }
        let known = brings.iter().flat_map(|one| &one.events).map(String::as_str);
        self.problems
            .push(nobody_signals(name, span, &known.collect::<BTreeSet<_>>()));
    }

    fn series(&mut self, node: &Node, steps: &[Step], scope: &mut Scope<'_>, found: &mut Final) {
        let known: Vec<&str> = steps
            .iter()
            .flat_map(|step| step.coordination.record.iter().map(|(name, ..)| name.as_str()))
            .collect();
        for entry in self.mapping(node, "series", "series: {progress: {last: 100}}") {
            let name = Located {
                span: entry.key.span,
                value: entry.key.text().unwrap_or_default().into_owned(),
            };
            if !known.contains(&name.value.as_str()) {
                self.unknown(&name, "series", known.iter().copied());
            }
            let Some(map) = MapReader::new(
                &entry.value,
                "a series",
                &keys::names(keys::SERIES),
                self.problems,
            ) else {
                continue;
            };
            if entry.value.as_map().is_some_and(<[_]>::is_empty) {
                let problem = Diagnostic::error(entry.value.span, "this series has no expectation");
                self.problems
                    .push(problem.label(entry.value.span, "such as `{last: 100, increasing: true}`"));
            }
            let mut pattern = |key: &str| map.get(key).and_then(|node| self.known_pattern(node, scope));
            let mut series = SeriesPattern {
                span: name.span,
                name: name.value,
                first: pattern("first"),
                last: pattern("last"),
                min: pattern("min"),
                max: pattern("max"),
                count: None,
                increasing: None,
                values: None,
            };
            series.count = map.get("count").and_then(|node| self.number_pattern(node, scope));
            if let Some(entry) = map.entry("increasing") {
                if matches!(entry.value.kind, NodeKind::Bool(true)) {
                    series.increasing = Some(entry.key.span);
                } else {
                    let problem = Diagnostic::error(entry.value.span, "`increasing` can only be `true`");
                    self.problems
                        .push(problem.label(entry.value.span, "otherwise leave the key out"));
                }
            }
            if let Some(node) = map.get("values") {
                match node.as_seq() {
                    Some(items) => {
                        let values = items
                            .iter()
                            .filter_map(|item| self.known_pattern(item, scope))
                            .collect();
                        series.values = Some((node.span, values));
                    }
                    None => {
                        let problem = Diagnostic::error(node.span, "`values` must be a list");
                        self.problems
                            .push(problem.label(node.span, "write `[0, 50, 100]`"));
                    }
                }
            }
            found.series.push(series);
        }
    }
}

/// An event that no state brings.
pub(super) fn nobody_signals(name: &str, span: Span, signals: &BTreeSet<&str>) -> Diagnostic {
    let message = match nearest(name, signals.iter().copied()) {
        Some(near) => format!("no state signals `{name}`; did you mean `{near}`?"),
        None => format!("no state signals `{name}`"),
    };
    let kind = name.split_once('.').map(|(word, _)| word);
    let label = match JobKind::ALL.into_iter().find(|one| Some(one.word()) == kind) {
        Some(kind) => format!("it comes from `watch_{}`, and no state has that key", kind.word()),
        None if signals.is_empty() => "no state has `signal`".to_owned(),
        None => {
            let known: Vec<&str> = signals.iter().copied().collect();
            format!("signalled events: {}", known.join(", "))
        }
    };
    Diagnostic::error(span, message).label(span, label)
}
