//! Reads a file's nodes into a [`Scenario`].

use super::keys;
use super::{Axis, ConnectionDecl, FinalDecl, Located, Requires, Scenario, ServerDecl, StepDecl, When};
use crate::source::{
    Diagnostic, MapReader, Node, NodeKind, SourceFile, Span, comment_after, read, shortened,
};
use crate::sql::split;

pub(super) const EXAMPLE: &str = "a small scenario:\n\
    scenario: a second writer waits\n\
    setup: create table t (id int primary key)\n\
    connections: [alice, bob]\n\
    steps:\n  \
      - alice: insert into t values (1)\n    \
        affected: 1\n\
    expect: {tables: {t: [[1]]}}";

/// Reads nodes and collects mistakes.
pub(super) struct Reader<'a> {
    pub file: &'a SourceFile,
    pub problems: &'a mut Vec<Diagnostic>,
    /// Whether every step could be read.
    pub steps_are_whole: bool,
}

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
    pub(super) fn error(&mut self, node: &Node, message: impl Into<String>, label: impl Into<String>) {
        self.problems
            .push(Diagnostic::error(node.span, message).label(node.span, label));
    }

    pub(super) fn exclude(&mut self, one: Span, other: Span, message: &str) {
        let problem = Diagnostic::error(other, message)
            .label(one, "this one …")
            .label(other, "… and this one");
        self.problems.push(problem.help("keep the one that is meant"));
    }

    pub(super) fn unknown_key(&mut self, node: &Node, key: &str, what: &str, known: &[&str]) {
        self.problems
            .push(crate::source::unknown_key(node, key, what, known));
    }

    pub(super) fn ok<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        match node.text() {
            Some(text) if !node.is_null() && !text.trim().is_empty() => Some(Located {
                span: node.span,
                value: text.into_owned(),
            }),
            Some(_) => {
                self.error(node, format!("{what} is missing"), "there is nothing here");
                None
            }
            None => {
                self.error(
                    node,
                    format!("{what} is text"),
                    format!("this is {}", node.describe()),
                );
                None
            }
        }
    }

    /// Text that is no number and no other single value: SQL, names.
    fn words(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        match &node.kind {
            NodeKind::Str(_) | NodeKind::Null => self.text(node, what),
            NodeKind::Bool(_)
            | NodeKind::Int(_)
            | NodeKind::Decimal(_)
            | NodeKind::Hex(_)
            | NodeKind::Binary(_)
            | NodeKind::Seq(_)
            | NodeKind::Map(_) => {
                let found = node.describe();
                self.error(node, format!("{what} is text"), format!("this is {found}"));
                None
            }
        }
    }

    /// One text or a list of texts, none of them twice.
    pub(super) fn texts(&mut self, node: Option<&Node>, what: &str) -> Vec<Located<String>> {
        let Some(node) = node else { return Vec::new() };
        let items = self.items(node);
        let mut found: Vec<Located<String>> = Vec::new();
        for item in items {
            let Some(text) = self.text(item, what) else {
                continue;
            };
            if let Some(earlier) = found.iter().find(|other| other.value == text.value) {
                let message = format!("`{}` is named twice", text.value);
                let problem = Diagnostic::error(text.span, message).label(text.span, "again here");
                self.problems.push(problem.label(earlier.span, "first here"));
                continue;
            }
            found.push(text);
        }
        found
    }

    /// The nodes of a list, or the node itself. A list without any says nothing, whatever it is a list of.
    pub(super) fn items<'n>(&mut self, node: &'n Node) -> Vec<&'n Node> {
        match node.as_seq() {
            Some([]) => {
                self.error(node, "this list is empty", "leave the key out, or name one");
                Vec::new()
            }
            Some(items) => items.iter().collect(),
            None => vec![node],
        }
    }

    /// A name: letters, digits and `_`, as reports and trial names show it. One that does not fit is a
    /// mistake, and is a name all the same for what is said of it elsewhere.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Located<String>> {
        let name = self.words(node, what)?;
        let fits = name
            .value
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
            && name.value.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !fits {
            self.error(
                node,
                format!("{what} is made of letters, digits, `_` and `-`"),
                "and begins with a letter",
            );
        }
        Some(name)
    }

    pub(super) fn sql(&mut self, node: &Node) -> Option<Located<String>> {
        let text = self.words(node, "a statement")?;
        self.problems.extend(lost_comment(self.file, node, &text.value));
        Some(text)
    }

    /// SQL text with any number of statements.
    fn statements(&mut self, node: Option<&Node>) -> Vec<Located<String>> {
        let Some(node) = node else { return Vec::new() };
        let mut found = Vec::new();
        for item in self.items(node) {
            let Some(text) = self.sql(item) else { continue };
            let place = |offset: usize, len: usize| self.place_in(item, &text.value, offset, len);
            match split(&text.value) {
                Ok(pieces) => {
                    for piece in pieces {
                        let span = place(piece.offset, piece.text.len());
                        found.push(Located {
                            span,
                            value: piece.text.to_owned(),
                        });
                    }
                }
                Err(error) => {
                    let span = place(error.offset, 1);
                    self.problems
                        .push(Diagnostic::error(span, error.to_string()).label(span, "opened here"));
                }
            }
        }
        found
    }

    /// The place in the file of a part of a scalar's text; the whole scalar where it was quoted or folded
    /// so that the text cannot be found as it stands.
    fn place_in(&self, node: &Node, text: &str, offset: usize, len: usize) -> Span {
        let part = text.get(offset..).unwrap_or_default();
        let line = part.lines().next().unwrap_or_default();
        let line = line.get(..len.min(line.len())).unwrap_or(line);
        // The same line may stand in the text before: count how many come first.
        let before = text
            .get(..offset)
            .map_or(0, |before| before.matches(line).count());
        let raw = node.raw(self.file);
        match raw.match_indices(line).nth(before) {
            Some((at, _)) if !line.is_empty() => Span {
                start: node.span.start + at,
                end: node.span.start + at + line.len(),
            },
            _ => node.span,
        }
    }

    pub(super) fn pairs(&mut self, node: Option<&Node>, what: &str) -> Vec<(Located<String>, Node)> {
        let Some(node) = node else { return Vec::new() };
        let NodeKind::Map(entries) = &node.kind else {
            let found = node.describe();
            self.error(
                node,
                format!("`{what}` is a mapping, not {found}"),
                format!("write `{what}: {{name: value}}`"),
            );
            return Vec::new();
        };
        if entries.is_empty() {
            self.error(
                node,
                format!("`{what}` is empty"),
                "leave it out, or name something",
            );
        }
        let mut pairs = Vec::new();
        for entry in entries {
            if let Some(name) = self.text(&entry.key, "a name") {
                pairs.push((name, entry.value.clone()));
            }
        }
        pairs
    }

    /// Names with single values, such as a server's variables.
    fn settings(&mut self, node: Option<&Node>, what: &str) -> Vec<(Located<String>, Node)> {
        let mut found = self.pairs(node, what);
        found.retain(|(name, node)| {
            let single = !node.is_null() && node.text().is_some();
            if !single {
                let message = format!("`{}` is a number, text, true or false", name.value);
                self.error(node, message, format!("this is {}", node.describe()));
            }
            if what == "vars" {
                self.plain_name(name, "a variable's name");
            }
            single
        });
        found
    }

    /// A name that goes into SQL or into a path as it stands.
    fn plain_name(&mut self, name: &Located<String>, what: &str) {
        if !name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("{what} is made of letters, digits and `_`");
            let problem = Diagnostic::error(name.span, message);
            self.problems.push(problem.label(name.span, "not this one"));
        }
    }

    fn check_flag(&mut self, flag: &Located<String>) {
        let name = flag.value.as_str();
        let label = if name.starts_with('-') {
            "without its dashes"
        } else if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
        {
            "made of letters, digits, `-` and `.`"
        } else if keys::OUR_FLAGS.contains(&name) {
            "the harness gives this one itself"
        } else {
            return;
        };
        let problem = Diagnostic::error(flag.span, format!("`{name}` is no flag for a server"));
        self.problems.push(problem.label(flag.span, label));
    }

    pub(super) fn pairs_of_text(
        &mut self,
        node: Option<&Node>,
        what: &str,
    ) -> Vec<(Located<String>, Located<String>)> {
        let pairs = self.pairs(node, what);
        pairs
            .into_iter()
            .filter_map(|(name, node)| Some((name, self.text(&node, "what to save")?)))
            .collect()
    }

    fn title(&mut self, node: &Node) -> Option<Located<String>> {
        let title = self.text(node, "`scenario`, one line that says what it shows,")?;
        if title.value.trim_end().contains('\n') {
            let label = "one line; more of it stands in a comment";
            self.error(node, "`scenario` is one line that says what it shows", label);
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
        let connections = self.connections(map.get("connections"), root);
        let names: Vec<&str> = connections
            .iter()
            .map(|connection| connection.name.value.as_str())
            .collect();
        let steps = self.script(map.entry("steps"), root, &connections, &names);
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
            .and_then(|entry| self.permutations(&entry.key, &entry.value));
        let by_chance = match &permutations {
            // A `seed` of its own comes first.
            Some(orders) => orders.is_by_chance() && orders.seed.is_none(),
            None => connections.iter().any(|own| own.states_span.is_some()),
        };
        if let (Some(entry), Some(_), false) = (map.entry("seed"), seed, by_chance) {
            self.error(
                &entry.key,
                "`seed` means nothing here",
                "nothing is left to chance: it is for `states`, and for a `sample` of orders or the `most` of them",
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
                    .label(name.span, "it would do nothing")
                    .label(states, "while another has some"),
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
                self.error(node, "`steps` is a list", "put `- ` before each step");
                Vec::new()
            }
            _ => {
                self.error(
                    node,
                    "`steps` is a list of steps",
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
            let label = "leave it out, or say what must hold";
            self.error(node, "this `expect` expects nothing", label);
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
                _ => self.error(&node, "an axis is a list of values", "write `[one, other]`"),
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
            self.error(node, "`requires` is empty", "leave it out, or name something");
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
                    format!("no range of versions: {error}"),
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
                    self.error(node, "a store is `memory` or `persistent`", "one of the two");
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

/// A statement that lost its end to YAML, which takes ` #` in a plain value for a comment.
pub(crate) fn lost_comment(file: &SourceFile, node: &Node, statement: &str) -> Option<Diagnostic> {
    let comment = comment_after(file, node)?;
    let message = format!("the server would get only `{}`", shortened(statement));
    let problem = Diagnostic::warning(comment, message).label(comment, "this is a comment of YAML");
    Some(problem.help("quote the statement to keep `#` in it, or put the comment on a line of its own"))
}

/// Reads `when: {axis: value}`; a value may be a list of values.
pub(super) fn when(node: &Node, problems: &mut Vec<Diagnostic>) -> Option<When> {
    let entries = match &node.kind {
        NodeKind::Map(entries) if !entries.is_empty() => entries,
        _ => {
            let problem = Diagnostic::error(node.span, "`when` is a mapping of axes to values");
            problems.push(problem.label(node.span, "write `when: {isolation: read committed}`"));
            return None;
        }
    };
    let mut conditions = Vec::new();
    for entry in entries {
        let Some(name) = entry.key.text() else {
            continue;
        };
        let values = entry
            .value
            .as_seq()
            .map_or_else(|| vec![entry.value.clone()], <[Node]>::to_vec);
        let single = !values.is_empty() && values.iter().all(|value| value.text().is_some());
        if !single {
            let problem = Diagnostic::error(
                entry.value.span,
                "`when` has a value of the axis, or a list of them",
            );
            let label = format!("such as `{name}: value`");
            problems.push(problem.label(entry.value.span, label));
            continue;
        }
        conditions.push((
            Located {
                span: entry.key.span,
                value: name.into_owned(),
            },
            values,
        ));
    }
    Some(When {
        span: node.span,
        conditions,
    })
}
