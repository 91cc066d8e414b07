//! What is expected of a workload's history.

use super::context::Context;
use super::workload::{WorkloadExpect, WorkloadLength, WorkloadPlan};
use crate::isolation::{Anomaly, AnomalySet, Level};
use crate::scenario::{FinalDecl, keys};
use crate::source::{Diagnostic, Entry, MapReader, Node, NodeKind, Span, nearest};

/// The counts of `at_least`, where the file has them.
#[derive(Debug, Default)]
struct Counts {
    ok: Option<(u64, Span)>,
    conflicts: Option<(u64, Span)>,
    reads: Option<(u64, Span)>,
}

impl Context<'_> {
    pub(super) fn workload_expect(&mut self, plan: &WorkloadPlan) -> WorkloadExpect {
        let mut expect = plan.expect.clone();
        let mut counts = Counts::default();
        let mut level_given = None;
        let decls: Vec<FinalDecl> = self.scenario.expect.clone();
        for decl in &decls {
            let mine = self.variant.is_in(decl.when.as_ref());
            for (key, node) in &decl.entries {
                match key.as_str() {
                    Some("isolation") => {
                        let level = self.level(node);
                        if let (Some(level), true) = (level, mine) {
                            if let Some(earlier) = level_given.replace(node.span) {
                                self.twice("isolation", earlier, node.span);
                            }
                            expect.level = (level, node.span);
                        }
                    }
                    Some("anomalies") => self.anomalies(node, mine, &mut expect),
                    Some("at_least") => {
                        let read = self.at_least(node);
                        if mine {
                            counts.ok = read.ok.or(counts.ok);
                            counts.conflicts = read.conflicts.or(counts.conflicts);
                            counts.reads = read.reads.or(counts.reads);
                        }
                    }
                    Some(other) => {
                        let known = keys::names(keys::FINAL_OF_WORKLOAD).join(", ");
                        let problem = Diagnostic::error(
                            key.span,
                            format!("`{other}` cannot be expected of a workload"),
                        );
                        self.problems
                            .push(problem.label(key.span, format!("what can be expected of it: {known}")));
                    }
                    None => {}
                }
            }
        }
        self.contradictions(plan, &expect);
        let tenth = match plan.length {
            WorkloadLength::Transactions(count) => count.div_ceil(10),
            WorkloadLength::Duration(_) => u64::from(plan.connections),
        };
        expect.ok = counts.ok.unwrap_or((tenth, plan.span));
        expect.conflicts = counts
            .conflicts
            .unwrap_or((u64::from(plan.shares_keys()), plan.span));
        let reads = u64::from(plan.reads > 0 || !plan.has_reads());
        expect.reads = counts.reads.unwrap_or((reads, plan.span));
        if let (WorkloadLength::Transactions(count), Some((ok, span))) = (plan.length, counts.ok)
            && ok > count
        {
            let message = format!("{ok} transactions cannot commit: the workload has {count}");
            let problem = Diagnostic::error(span, message);
            self.problems
                .push(problem.label(span, format!("at most {count}")));
        }
        expect
    }

    fn twice(&mut self, what: &str, one: Span, other: Span) {
        let problem = Diagnostic::error(other, format!("`{what}` is given twice for this variant"));
        self.problems.push(
            problem
                .label(one, "this one …")
                .label(other, "… and this one")
                .help("keep one of them"),
        );
    }

    fn level(&mut self, node: &Node) -> Option<Level> {
        let text = match &node.kind {
            NodeKind::Str(text) => text.clone(),
            _ => {
                let problem = Diagnostic::error(node.span, "`isolation` must be the name of a level");
                let label = format!("this is {}", node.describe());
                self.problems.push(problem.label(node.span, label));
                return None;
            }
        };
        match Level::by_name(&text) {
            Ok(level) => Some(level),
            Err(message) => {
                let problem = Diagnostic::error(node.span, format!("there is no isolation level `{text}`"));
                let known = message.split_once("there are: ").map_or("", |(_, known)| known);
                self.problems.push(
                    problem
                        .label(node.span, "unknown")
                        .help(format!("levels: {known}")),
                );
                None
            }
        }
    }

    fn anomalies(&mut self, node: &Node, mine: bool, expect: &mut WorkloadExpect) {
        let Some(map) = MapReader::new(node, "`anomalies`", &keys::names(keys::ANOMALIES), self.problems)
        else {
            return;
        };
        if node.as_map().is_some_and(<[Entry]>::is_empty) {
            let problem = Diagnostic::error(node.span, "`anomalies` is empty");
            self.problems
                .push(problem.label(node.span, "write `allowed` or `present`, or remove the key"));
        }
        if let Some(entry) = map.entry("allowed") {
            let found = self.names_of_anomalies(&entry.value, "allowed");
            if mine {
                if let Some((_, earlier)) = expect.allowed {
                    self.twice("allowed", earlier, entry.key.span);
                }
                let set = AnomalySet::of(found.into_iter().map(|(anomaly, _)| anomaly));
                expect.allowed = Some((set, entry.key.span));
            }
        }
        if let Some(entry) = map.entry("present") {
            let found = self.names_of_anomalies(&entry.value, "present");
            if entry.value.as_seq().is_some_and(<[Node]>::is_empty) {
                let problem = Diagnostic::error(entry.value.span, "`present` is empty");
                self.problems
                    .push(problem.label(entry.value.span, "name an anomaly, or remove the key"));
            }
            if mine {
                expect.present.extend(found);
            }
        }
    }

    fn names_of_anomalies(&mut self, node: &Node, what: &str) -> Vec<(Anomaly, Span)> {
        let Some(items) = node.as_seq() else {
            let problem = Diagnostic::error(node.span, format!("`{what}` must be a list of anomalies"));
            self.problems
                .push(problem.label(node.span, "write `[G2-item]`, or `[]` for none"));
            return Vec::new();
        };
        let mut found: Vec<(Anomaly, Span)> = Vec::new();
        for item in items {
            let name = item.text().unwrap_or_default();
            let Some(anomaly) = Anomaly::by_name(&name) else {
                let known: Vec<String> = Anomaly::all().map(|anomaly| anomaly.to_string()).collect();
                let message = match nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => format!("unknown anomaly `{name}`; did you mean `{near}`?"),
                    None => format!("there is no anomaly `{name}`"),
                };
                let problem = Diagnostic::error(item.span, message).label(item.span, "unknown");
                self.problems
                    .push(problem.help("docs/histories.md lists the anomalies"));
                continue;
            };
            if let Some((_, earlier)) = found.iter().find(|(other, _)| *other == anomaly) {
                let problem = Diagnostic::error(item.span, format!("`{anomaly}` is named twice"));
                self.problems.push(
                    problem
                        .label(item.span, "again here")
                        .label(*earlier, "first here"),
                );
            }
            found.push((anomaly, item.span));
        }
        found
    }

    fn at_least(&mut self, node: &Node) -> Counts {
        let mut counts = Counts::default();
        let Some(map) = MapReader::new(node, "`at_least`", &keys::names(keys::AT_LEAST), self.problems)
        else {
            return counts;
        };
        if node.as_map().is_some_and(<[Entry]>::is_empty) {
            let problem = Diagnostic::error(node.span, "`at_least` is empty");
            self.problems
                .push(problem.label(node.span, "write `{ok: 100}`, or remove the key"));
        }
        for (key, least) in [("ok", 1), ("conflicts", 0), ("reads", 0)] {
            let Some(node) = map.get(key) else { continue };
            let read = match node.kind {
                NodeKind::Int(count) if (least..=i128::from(keys::TIMES_MAX)).contains(&count) => {
                    u64::try_from(count).ok()
                }
                _ => None,
            };
            let Some(count) = read else {
                let message = format!(
                    "`{key}` must be a whole number from {least} to {}",
                    keys::TIMES_MAX
                );
                let problem = Diagnostic::error(node.span, message);
                self.problems
                    .push(problem.label(node.span, format!("this is {}", node.describe())));
                continue;
            };
            let count = Some((count, node.span));
            match key {
                "ok" => counts.ok = count,
                "conflicts" => counts.conflicts = count,
                _ => counts.reads = count,
            }
        }
        counts
    }

    /// Anomalies that the level forbids can be neither allowed nor required.
    fn contradictions(&mut self, plan: &WorkloadPlan, expect: &WorkloadExpect) {
        let (level, level_span) = expect.level;
        let Ok(forbidden) = level.forbids(&plan.header()) else {
            return;
        };
        let allowed = expect.allowed.iter();
        let allowed = allowed.flat_map(|(set, span)| set.iter().map(|anomaly| (anomaly, *span)));
        let present = expect.present.iter().copied();
        for (anomaly, span) in allowed.chain(present) {
            if forbidden.contains(anomaly) {
                let problem = Diagnostic::error(span, format!("{level} forbids {anomaly}"));
                self.problems.push(
                    problem
                        .label(span, "this one …")
                        .label(level_span, format!("… and {level} exclude each other"))
                        .help("name a weaker level with `isolation`, or remove the anomaly"),
                );
            }
        }
    }
}
