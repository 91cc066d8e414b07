//! Reads what a state has to do with other connections: events, barriers, transitions, retries.

use std::time::Duration;

use super::Located;
use super::keys;
use super::reader::Reader;
use crate::source::{Diagnostic, MapReader, Node, NodeKind, Span, read};

/// Something to wait for.
#[derive(Debug, Clone)]
pub struct WantDecl {
    /// An event, or `connection.state`.
    pub name: Located<String>,
    /// How often it must have come.
    pub times: u32,
}

/// A place where several connections wait for each other.
#[derive(Debug, Clone)]
pub struct BarrierDecl {
    /// Its name.
    pub name: Located<String>,
    /// How many; all that name it, where it is not said.
    pub parties: Option<Located<u32>>,
}

/// What ends the looks of a state.
#[derive(Debug, Clone)]
pub struct UntilDecl {
    /// Columns of the first row and their values.
    pub values: Node,
}

/// What `retries` says.
#[derive(Debug, Clone)]
pub struct RetriesDecl {
    /// Where it stands.
    pub span: Span,
    /// How often.
    pub max: Option<u32>,
    /// The longest first pause.
    pub backoff: Option<Duration>,
    /// By how much each pause is longer.
    pub factor: Option<f64>,
    /// The longest pause of all.
    pub limit: Option<Duration>,
}

impl Reader<'_> {
    pub(super) fn wants(&mut self, node: &Node) -> Vec<WantDecl> {
        let mut found: Vec<WantDecl> = Vec::new();
        for item in self.items(node) {
            match &item.kind {
                NodeKind::Map(_) => {
                    for (name, times) in self.pairs(Some(item), "wait_for") {
                        if let Some(times) = self.times(&times, "the number of times", 1) {
                            found.push(WantDecl {
                                name,
                                times: times.value,
                            });
                        }
                    }
                }
                _ => found.extend(
                    self.text(item, "an event")
                        .map(|name| WantDecl { name, times: 1 }),
                ),
            }
        }
        for (number, want) in found.iter().enumerate() {
            let earlier = found[..number]
                .iter()
                .find(|other| other.name.value == want.name.value);
            if let Some(earlier) = earlier {
                let message = format!("`{}` is waited for twice", want.name.value);
                let problem = Diagnostic::error(want.name.span, message).label(want.name.span, "again here");
                self.problems.push(problem.label(earlier.name.span, "first here"));
            }
        }
        found
    }

    pub(super) fn barrier(&mut self, node: &Node) -> Option<BarrierDecl> {
        if !matches!(node.kind, NodeKind::Map(_)) {
            let name = self.name(node, "a barrier's name")?;
            return Some(BarrierDecl { name, parties: None });
        }
        let map = MapReader::new(node, "`barrier`", &keys::names(keys::BARRIER), self.problems)?;
        let Some(name) = map.get("name") else {
            self.error(node, "`barrier` needs `name`", "write `{name: go, parties: 2}`");
            return None;
        };
        let parties = map
            .get("parties")
            .and_then(|node| self.times(node, "`parties`", 2));
        let name = self.name(name, "a barrier's name")?;
        Some(BarrierDecl { name, parties })
    }

    pub(super) fn retries(&mut self, node: &Node) -> Option<RetriesDecl> {
        let mut retries = RetriesDecl {
            span: node.span,
            max: None,
            backoff: None,
            factor: None,
            limit: None,
        };
        if !matches!(node.kind, NodeKind::Map(_)) {
            retries.max = Some(self.times(node, "`retries`", 0)?.value);
            return Some(retries);
        }
        let map = MapReader::new(node, "`retries`", &keys::names(keys::RETRIES), self.problems)?;
        if node.as_map().is_some_and(<[_]>::is_empty) {
            self.error(node, "`retries` is empty", "write `retries: 5`");
        }
        retries.max = map
            .get("max")
            .and_then(|node| self.times(node, "`max`", 0))
            .map(|max| max.value);
        retries.backoff = map.get("backoff").and_then(|node| self.ok(read::duration(node)));
        retries.limit = map.get("limit").and_then(|node| self.ok(read::limit(node)));
        retries.factor = map.get("factor").and_then(|node| {
            let number = node.text().and_then(|text| text.parse::<f64>().ok());
            match number.filter(|number| (1.0..=100.0).contains(number)) {
                Some(factor) => Some(factor),
                None => {
                    self.error(node, "`factor` must be a number from 1 to 100", "such as 2");
                    None
                }
            }
        });
        Some(retries)
    }

    /// A mapping of which an example says more than that it is one.
    pub(super) fn pairs_such_as(
        &mut self,
        node: Option<&Node>,
        what: &str,
        example: &str,
    ) -> Vec<(Located<String>, Node)> {
        let Some(wrong) = node.filter(|node| node.as_map().is_none_or(<[_]>::is_empty)) else {
            return self.pairs(node, what);
        };
        let message = match wrong.as_map() {
            Some(_) => format!("`{what}` is empty"),
            None => format!("`{what}` must be a mapping, not {}", wrong.describe()),
        };
        self.error(wrong, message, format!("write `{what}: {{{example}}}`"));
        Vec::new()
    }

    /// One name or a list of names.
    pub(super) fn names(&mut self, node: Option<&Node>, what: &str) -> Vec<Located<String>> {
        let found = self.texts(node, what);
        for name in &found {
            self.event_name(name, what);
        }
        found
    }

    pub(super) fn event_name(&mut self, name: &Located<String>, what: &str) {
        let fits = name
            .value
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if !fits {
            let message = format!("{what} must consist of letters, digits, `_` and `-`");
            let problem = Diagnostic::error(name.span, message);
            let label = if name.value.contains('.') {
                "remove the `.`: only events of watched jobs have one"
            } else {
                "not this one"
            };
            self.problems.push(problem.label(name.span, label));
        }
    }

    /// A whole number of times.
    pub(super) fn times(&mut self, node: &Node, what: &str, least: u32) -> Option<Located<u32>> {
        match node.kind {
            NodeKind::Int(times) if (i128::from(least)..=i128::from(keys::TIMES_MAX)).contains(&times) => {
                u32::try_from(times).ok().map(|value| Located {
                    span: node.span,
                    value,
                })
            }
            _ => {
                let label = match node.kind {
                    NodeKind::Int(times) if times < i128::from(least) => "this is too small".to_owned(),
                    NodeKind::Int(_) => "this is too large".to_owned(),
                    _ => format!("this is {}", node.describe()),
                };
                let message = format!(
                    "{what} must be a whole number from {least} to {}",
                    keys::TIMES_MAX
                );
                self.error(node, message, label);
                None
            }
        }
    }
}
