//! Reads a file's nodes into a [`Scenario`].

use super::keys;
use super::reader::{Reader, when};
use super::{Axis, ConnectionDecl, FinalDecl, Located, Requires, Scenario, ServerDecl, StepDecl};
use crate::source::{Diagnostic, MapReader, Node, NodeKind, SourceFile, Span, read};

pub(super) const EXAMPLE: &str = "a small scenario:\n\
    scenario: a second writer waits\n\
    setup: create table t (id int primary key)\n\
    connections: [alice, bob]\n\
    steps:\n  \
      - alice: insert into t values (1)\n    \
        affected: 1\n\
    expect: {tables: {t: [[1]]}}";

/// Reads the root of a file; mistakes are added to the list.
pub fn read_scenario(file: &SourceFile, root: &Node, problems: &mut Vec<Diagnostic>) -> Option<Scenario> {
    let mut reader = Reader {
        file,
        problems,
        steps_are_whole: true,
    };
    reader.scenario(root)
}

impl Reader<'_> {
    fn title(&mut self, node: &Node) -> Option<Located<String>> {
        let title = self.text(node, "`scenario`, one line that says what it shows,")?;
        if title.value.trim_end().contains('\n') {
            let label = "write one line, and more in a comment";
            self.error(node, "`scenario` must be one line that says what it shows", label);
        }
        Some(title)
    }

    fn scenario(&mut self, root: &Node) -> Option<Scenario> {
        let map = MapReader::new(root, "a scenario", &keys::names(keys::TOP), self.problems)?;
        let title = match map.get("scenario") {
            Some(node) => self.title(node),
            None => {
                let start = Span {
                    start: root.span.start,
                    end: root.span.start,
                };
                let problem = Diagnostic::error(start, "`scenario` is missing");
                let problem = problem.label(start, "begin with `scenario: what it shows`");
                self.problems.push(problem);
                None
            }
        };
        let workload = self.workload(&map);
        let is_workload = map.entry("workload").is_some();
        let connections = if is_workload {
            Vec::new()
        } else {
            self.connections(map.get("connections"), root)
        };
        let names: Vec<&str> = connections
            .iter()
            .map(|connection| connection.name.value.as_str())
            .collect();
        let steps = if is_workload {
            Vec::new()
        } else {
            self.script(map.entry("steps"), root, &connections, &names)
        };
        let setup = self.statements(map.get("setup"));
        let teardown = self.statements(map.get("teardown"));
        let vars = self.pairs(map.get("vars"), "vars");
        let expect = self.finals(map.get("expect"));
        let matrix = self.matrix(map.get("matrix"));
        let tags = self
            .texts(map.get("tags"), "a tag")
            .into_iter()
            .map(|tag| tag.value)
            .collect();
        let requires = self.requires(map.get("requires"));
        let serial = map
            .get("serial")
            .and_then(|node| self.ok(read::boolean(node)))
            .unwrap_or(false);
        let timeout = map.get("timeout").and_then(|node| self.ok(read::limit(node)));
        let step_timeout = map
            .get("step_timeout")
            .and_then(|node| self.ok(read::limit(node)));
        let servers = self.servers(map.get("servers"));
        let seed = map.get("seed").and_then(|node| self.seed(node));
        let permutations = map
            .entry("permutations")
            .filter(|_| !is_workload)
            .and_then(|entry| self.permutations(&entry.key, &entry.value));
        let by_chance = match &permutations {
            // A `seed` of its own comes first.
            Some(orders) => orders.is_by_chance() && orders.seed.is_none(),
            // Of a workload it is told already.
            None => is_workload || connections.iter().any(|own| own.states_span.is_some()),
        };
        if let (Some(entry), Some(_), false) = (map.entry("seed"), seed, by_chance) {
            self.error(
                &entry.key,
                "`seed` has no effect here",
                "nothing is random here: `seed` is for `states`, and for `sample` and `most` of `permutations`",
            );
        }
        Some(Scenario {
            title: title?,
            setup,
            teardown,
            vars,
            connections,
            steps,
            steps_are_whole: self.steps_are_whole,
            expect,
            matrix,
            tags,
            requires,
            serial,
            timeout,
            step_timeout,
            servers,
            seed,
            permutations,
            workload,
            is_workload,
        })
    }

    /// The script, where the connections have no states of their own.
    fn script(
        &mut self,
        entry: Option<&crate::source::Entry>,
        root: &Node,
        connections: &[ConnectionDecl],
        names: &[&str],
    ) -> Vec<StepDecl> {
        let free = connections.iter().find_map(|own| own.states_span);
        let Some(states) = free else {
            return self.steps(entry.map(|entry| &entry.value), root, names);
        };
        if let Some(entry) = entry {
            self.exclude(states, entry.key.span, "`states` and `steps` exclude each other");
            self.steps_are_whole = false;
        }
        for idle in connections.iter().filter(|own| own.states_span.is_none()) {
            let name = &idle.name;
            let problem = Diagnostic::error(name.span, format!("`{}` has no states", name.value));
            self.problems.push(
                problem
                    .label(name.span, "it has no work to do")
                    .label(states, "another connection has states"),
            );
        }
        Vec::new()
    }

    fn steps(&mut self, node: Option<&Node>, root: &Node, connections: &[&str]) -> Vec<StepDecl> {
        let Some(node) = node else {
            let start = Span {
                start: root.span.start,
                end: root.span.start,
            };
            let problem = Diagnostic::error(start, "`steps` is missing: this scenario does nothing");
            self.problems
                .push(problem.label(start, "in this file").help(EXAMPLE));
            return Vec::new();
        };
        match &node.kind {
            NodeKind::Seq(items) if !items.is_empty() => {
                let found: Vec<StepDecl> = items
                    .iter()
                    .filter_map(|item| self.step(item, connections))
                    .collect();
                self.steps_are_whole &= found.len() == items.len();
                found
            }
            NodeKind::Map(_) => {
                self.error(node, "`steps` must be a list", "put `- ` before each step");
                Vec::new()
            }
            _ => {
                self.error(
                    node,
                    "`steps` must be a list of steps",
                    "write `- alice: select 1` below it",
                );
                Vec::new()
            }
        }
    }

    fn finals(&mut self, node: Option<&Node>) -> Vec<FinalDecl> {
        let Some(node) = node else { return Vec::new() };
        let known: Vec<&str> = keys::names(keys::FINAL).into_iter().chain(["when"]).collect();
        let mut found = Vec::new();
        for item in self.items(node) {
            let Some(map) = MapReader::new(item, "`expect`", &known, self.problems) else {
                continue;
            };
            self.check_expects(item);
            let entries = keys::names(keys::FINAL)
                .into_iter()
                .filter_map(|key| map.entry(key))
                .map(|entry| (entry.key.clone(), entry.value.clone()))
                .collect();
            let when = map.get("when").and_then(|node| when(node, self.problems));
            found.push(FinalDecl { when, entries });
        }
        found
    }

    /// An `expect` that can't fail.
    pub(super) fn check_expects(&mut self, node: &Node) {
        let entries = node.as_map().unwrap_or_default();
        if entries.iter().all(|entry| entry.key.as_str() == Some("when")) {
            let label = "add an expectation, or remove the key";
            self.error(node, "this `expect` has no expectations", label);
        }
    }

    fn matrix(&mut self, node: Option<&Node>) -> Vec<Axis> {
        let mut axes = Vec::new();
        for (name, node) in self.pairs(node, "matrix") {
            match &node.kind {
                NodeKind::Seq(values) if !values.is_empty() => axes.push(Axis {
                    name,
                    values: values.clone(),
                }),
                _ => self.error(&node, "an axis must be a list of values", "write `[one, other]`"),
            }
        }
        axes
    }

    fn requires(&mut self, node: Option<&Node>) -> Requires {
        let mut requires = Requires::default();
        let Some(node) = node else { return requires };
        let Some(map) = MapReader::new(node, "`requires`", &keys::names(keys::REQUIRES), self.problems)
        else {
            return requires;
        };
        if node.as_map().is_some_and(<[_]>::is_empty) {
            self.error(node, "`requires` is empty", "add an entry, or remove the key");
        }
        if let Some(node) = map.get("tidb")
            && let Some(text) = self.text(node, "a range of versions")
        {
            match semver::VersionReq::parse(&text.value) {
                Ok(value) => {
                    requires.tidb = Some(Located {
                        span: text.span,
                        value,
                    })
                }
                Err(error) => self.error(
                    node,
                    format!("this is not a version range: {error}"),
                    "such as \">=8.5\"",
                ),
            }
        }
        if let Some(node) = map.get("store")
            && let Some(store) = self.text(node, "a store")
        {
            if ["tikv", "unistore"].contains(&store.value.as_str()) {
                requires.store = Some(store);
            } else {
                self.error(
                    node,
                    format!("unknown store `{}`", store.value),
                    "`tikv` or `unistore`",
                );
            }
        }
        requires.docker = map
            .get("docker")
            .and_then(|node| self.ok(read::boolean(node)))
            .unwrap_or(false);
        requires.vars = self.settings(map.get("vars"), "vars");
        requires
    }

    fn servers(&mut self, node: Option<&Node>) -> Vec<ServerDecl> {
        let mut servers = Vec::new();
        for (name, node) in self.pairs(node, "servers") {
            self.plain_name(&name, "a server's name");
            if matches!(node.kind, NodeKind::Null) {
                servers.push(ServerDecl {
                    name,
                    persistent: false,
                    flags: vec![],
                    vars: vec![],
                    setup: vec![],
                });
                continue;
            }
            let Some(map) = MapReader::new(&node, "a server", &keys::names(keys::SERVER), self.problems)
            else {
                continue;
            };
            let persistent = match map.get("store").map(|node| (node, node.as_str())) {
                None | Some((_, Some("memory"))) => false,
                Some((_, Some("persistent"))) => true,
                Some((node, _)) => {
                    self.error(node, "a store must be `memory` or `persistent`", "one of the two");
                    false
                }
            };
            let flags = self.settings(map.get("flags"), "flags");
            for (flag, _) in &flags {
                self.check_flag(flag);
            }
            let vars = self.settings(map.get("vars"), "vars");
            let setup = self.statements(map.get("setup"));
            servers.push(ServerDecl {
                name,
                persistent,
                flags,
                vars,
                setup,
            });
        }
        servers
    }
}
