//! Reads `permutations`.

use super::reader::Reader;
use super::{Located, keys};
use crate::source::{MapReader, Node, NodeKind, Span, read};

/// What `permutations` says.
#[derive(Debug, Clone)]
pub struct OrdersDecl {
    /// Where the key stands.
    pub span: Span,
    /// Which orders.
    pub chosen: ChosenOrders,
    /// At most so many are run.
    pub most: Option<u32>,
    /// For what is left to chance: which are taken for a sample, or where not all may be run.
    pub seed: Option<u64>,
    /// Whether orders are left out that cannot differ from others.
    pub prune: bool,
}

impl OrdersDecl {
    /// Every order, for a file that says nothing of orders; `span` is the place where it does not.
    #[must_use]
    pub fn every(span: Span) -> Self {
        Self {
            span,
            chosen: ChosenOrders::All,
            most: None,
            seed: None,
            prune: true,
        }
    }

    /// Whether chance says which orders are run.
    #[must_use]
    pub fn is_by_chance(&self) -> bool {
        match &self.chosen {
            ChosenOrders::All => self.most.is_some(),
            ChosenOrders::Sample { .. } => true,
            ChosenOrders::List(_) => false,
        }
    }
}

/// Which orders are run.
#[derive(Debug, Clone)]
pub enum ChosenOrders {
    /// Every one.
    All,
    /// So many at random.
    Sample {
        /// How many.
        count: u32,
    },
    /// These.
    List(Vec<ListedOrder>),
}

/// One order of a list.
#[derive(Debug, Clone)]
pub struct ListedOrder {
    /// Connections, or `connection.state`.
    pub picks: Located<Vec<Located<String>>>,
    /// The names of the outcomes of which it must come to one; none where the file does not say.
    pub outcomes: Vec<Located<String>>,
}

impl Reader<'_> {
    pub(super) fn permutations(&mut self, key: &Node, node: &Node) -> Option<OrdersDecl> {
        let mut orders = OrdersDecl {
            span: key.span,
            chosen: ChosenOrders::All,
            most: None,
            seed: None,
            prune: true,
        };
        if node.as_str() == Some("all") {
            return Some(orders);
        }
        if !matches!(node.kind, NodeKind::Map(_)) {
            let label = "write `all`, `{list: [a b a b]}` or `{sample: 100}`";
            self.error(node, "`permutations` must be `all` or a mapping", label);
            return None;
        }
        let map = MapReader::new(
            node,
            "`permutations`",
            &keys::names(keys::PERMUTATIONS),
            self.problems,
        )?;
        if let (Some(list), Some(sample)) = (map.entry("list"), map.entry("sample")) {
            self.exclude(
                list.key.span,
                sample.key.span,
                "`list` and `sample` exclude each other",
            );
        }
        orders.seed = map.get("seed").and_then(|node| self.seed(node));
        let by_chance = map.get("sample").or(map.get("most"));
        if let (Some(entry), None) = (map.entry("seed"), by_chance) {
            self.error(
                &entry.key,
                "`seed` needs `sample` or `most`",
                "nothing is random here",
            );
        }
        for key in ["most", "prune"] {
            if let (Some(entry), Some(_)) = (map.entry(key), map.get("list")) {
                let message = format!("`{key}` and `list` exclude each other");
                self.error(&entry.key, message, "every interleaving of the list runs");
            }
        }
        if let (Some(entry), Some(_)) = (map.entry("prune"), map.get("sample")) {
            self.error(
                &entry.key,
                "`prune` and `sample` exclude each other",
                "every interleaving of the sample runs",
            );
        }
        orders.most = map
            .get("most")
            .and_then(|node| self.times(node, "`most`", 1))
            .map(|most| most.value);
        orders.prune = map
            .get("prune")
            .and_then(|node| self.ok(read::boolean(node)))
            .unwrap_or(true);
        if let Some(node) = map.get("sample") {
            let count = self.times(node, "`sample`", 1)?.value;
            orders.chosen = ChosenOrders::Sample { count };
        } else if let Some(node) = map.get("list") {
            orders.chosen = ChosenOrders::List(self.orders(node));
        }
        Some(orders)
    }

    fn orders(&mut self, node: &Node) -> Vec<ListedOrder> {
        let Some(items) = node.as_seq().filter(|items| !items.is_empty()) else {
            self.error(
                node,
                "`list` must be a list of interleavings",
                "write `[a b a b, b a a b]`: names of connections in the order of their steps",
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            let (order, outcomes) = match &item.kind {
                NodeKind::Map(_) => {
                    let known = keys::names(keys::LISTED_ORDER);
                    let Some(map) = MapReader::new(item, "a listed interleaving", &known, self.problems)
                    else {
                        continue;
                    };
                    for (key, example) in [("order", "a b a b"), ("outcome", "its name")] {
                        if map.get(key).is_none() {
                            let label = format!("write `{key}: {example}`");
                            self.error(item, format!("a listed interleaving needs `{key}`"), label);
                        }
                    }
                    let outcomes = map.get("outcome").map(|node| self.outcome_names(node));
                    (map.get("order"), outcomes.unwrap_or_default())
                }
                _ => (Some(item), Vec::new()),
            };
            // One that cannot be read has been told; nothing is said of what it leaves out.
            let Some((node, picks)) = order.and_then(|node| Some((node, self.picks(node)?))) else {
                continue;
            };
            found.push(ListedOrder {
                picks: Located {
                    span: node.span,
                    value: picks,
                },
                outcomes,
            });
        }
        found
    }

    fn outcome_names(&mut self, node: &Node) -> Vec<Located<String>> {
        let items = match node.as_seq() {
            Some([]) => {
                self.error(node, "`outcome` is empty", "name one of the `outcomes`");
                return Vec::new();
            }
            Some(items) => items,
            None => std::slice::from_ref(node),
        };
        let names = items.iter().map(|item| self.text(item, "the name of an outcome"));
        names.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// The connections or states of one order.
    fn picks(&mut self, node: &Node) -> Option<Vec<Located<String>>> {
        let Some(names) = node.as_seq() else {
            let text = self.text(node, "an interleaving")?;
            return Some(self.words_of(node, &text.value));
        };
        // All of them are read, so that all mistakes are told.
        let names: Vec<_> = names
            .iter()
            .map(|name| self.text(name, "a connection or a state"))
            .collect();
        names.into_iter().collect()
    }

    /// The words of a text, each with its place where the text stands as it is in the file.
    fn words_of(&self, node: &Node, text: &str) -> Vec<Located<String>> {
        let raw = node.raw(self.file);
        let mut from = 0;
        let mut found = Vec::new();
        for word in text.split_whitespace() {
            let at = raw
                .get(from..)
                .and_then(|rest| rest.find(word))
                .map(|at| from + at);
            let span = match at {
                Some(at) => {
                    from = at + word.len();
                    Span::new(node.span.start + at, node.span.start + from)
                }
                None => node.span,
            };
            found.push(Located {
                span,
                value: word.to_owned(),
            });
        }
        found
    }

    pub(super) fn seed(&mut self, node: &Node) -> Option<u64> {
        match node.kind {
            NodeKind::Int(seed) if (0..=i128::from(u32::MAX)).contains(&seed) => u64::try_from(seed).ok(),
            _ => {
                let message = format!("`seed` must be a whole number from 0 to {}", u32::MAX);
                let label = match node.kind {
                    NodeKind::Int(seed) if seed < 0 => "this is too small".to_owned(),
                    NodeKind::Int(_) => "this is too large".to_owned(),
                    _ => format!("this is {}", node.describe()),
                };
                self.error(node, message, label);
                None
            }
        }
    }
}
