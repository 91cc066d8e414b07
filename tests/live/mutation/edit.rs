//! Changes of a file's text, at places that its nodes name.

use base64::Engine as _;
use tidb_scenarios::engine::{Entry, Node, NodeKind, Span};

/// One stretch of the file, and what stands there instead.
#[derive(Debug, Clone)]
pub struct Edit {
    pub span: Span,
    pub text: String,
}

impl Edit {
    /// Another node in the place of this one. It is written in flow style, which stands wherever a block may.
    pub fn replace(old: &Node, new: &Node) -> Self {
        let gap = if old.span.is_empty() { " " } else { "" };
        Self {
            span: old.span,
            text: format!("{gap}{}", flow(new)),
        }
    }
}

/// The text with all edits made.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.span.start);
    let mut changed = String::new();
    let mut at = 0;
    for edit in edits {
        assert!(
            at <= edit.span.start,
            "two edits of one mutant overlap at byte {at}"
        );
        changed.push_str(&text[at..edit.span.start]);
        changed.push_str(&edit.text);
        at = edit.span.end;
    }
    changed.push_str(&text[at..]);
    changed
}

/// A node as YAML on one line.
pub fn flow(node: &Node) -> String {
    match &node.kind {
        NodeKind::Str(text) => serde_json::Value::from(text.as_str()).to_string(),
        NodeKind::Binary(bytes) => {
            format!(
                "!!binary \"{}\"",
                base64::engine::general_purpose::STANDARD.encode(bytes)
            )
        }
        NodeKind::Seq(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        NodeKind::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|entry| format!("{}: {}", flow(&entry.key), flow(&entry.value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Int(_) | NodeKind::Decimal(_) | NodeKind::Hex(_) => {
            node.text().expect("a scalar has a text").into_owned()
        }
    }
}

const NOWHERE: Span = Span { start: 0, end: 0 };

pub fn text(text: impl Into<String>) -> Node {
    Node::new(NOWHERE, NodeKind::Str(text.into()))
}

pub fn int(number: i128) -> Node {
    Node::new(NOWHERE, NodeKind::Int(number))
}

pub fn null() -> Node {
    Node::new(NOWHERE, NodeKind::Null)
}

pub fn flag(value: bool) -> Node {
    Node::new(NOWHERE, NodeKind::Bool(value))
}

pub fn list(items: Vec<Node>) -> Node {
    Node::new(NOWHERE, NodeKind::Seq(items))
}

pub fn map(entries: Vec<(&str, Node)>) -> Node {
    let entries = entries.into_iter().map(|(key, value)| Entry {
        key: text(key),
        value,
    });
    Node::new(NOWHERE, NodeKind::Map(entries.collect()))
}

/// A mapping with one entry more, or with another value for a key that it has.
pub fn with(node: &Node, key: &str, value: Node) -> Node {
    let mut entries = without(node, &[key]).as_map().unwrap_or_default().to_vec();
    entries.push(Entry {
        key: text(key),
        value,
    });
    Node::new(NOWHERE, NodeKind::Map(entries))
}

/// A mapping without these keys.
pub fn without(node: &Node, keys: &[&str]) -> Node {
    let entries = node.as_map().unwrap_or_default().iter();
    let kept = entries.filter(|entry| entry.key.as_str().is_none_or(|key| !keys.contains(&key)));
    Node::new(NOWHERE, NodeKind::Map(kept.cloned().collect()))
}

/// The value of a key.
pub fn get<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let entries = node.as_map()?;
    entries
        .iter()
        .find(|entry| entry.key.as_str() == Some(key))
        .map(|entry| &entry.value)
}

/// A list's items, or the node alone.
pub fn one_or_more(node: &Node) -> Vec<&Node> {
    node.as_seq()
        .map_or_else(|| vec![node], |items| items.iter().collect())
}
