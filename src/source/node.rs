//! A tree of YAML nodes with places.

use std::borrow::Cow;

use super::{SourceFile, Span};

/// One YAML node and where it stands.
///
/// A node that comes from an alias (`*a`) has the alias' place; what is inside it has the places at
/// which it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where the node stands: a scalar with its quotes, a list or mapping from its first to its last
    /// node, or from bracket to bracket. Empty where a value is left out.
    pub span: Span,
    /// What the node is.
    pub kind: NodeKind,
    /// A plain scalar as written, where that is not what its kind shows: `0123`, `~`, `True`.
    written: Option<Box<str>>,
}

/// What a node is. Plain scalars are told apart by the core rules of YAML 1.2, so `yes`, `1_000`,
/// `12:30` and `.inf` are text.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number. `0123` is 123 (with a warning), `0o17` is 15.
    Int(i128),
    /// Any other number, as written: `1.10`, `1e5`, `.5`, or more digits than an `i128` has.
    Decimal(String),
    /// `0x…`, as written: a number or bytes, as the reader needs.
    Hex(String),
    /// Text: quoted, a block, or a plain scalar that is nothing else.
    Str(String),
    /// `!!binary`, decoded.
    Binary(Vec<u8>),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order of the file. No key is there twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node of this kind at this place.
    #[must_use]
    pub fn new(span: Span, kind: NodeKind) -> Self {
        Self {
            span,
            kind,
            written: None,
        }
    }

    /// A plain scalar of this kind that is written like this.
    pub(super) fn plain(span: Span, kind: NodeKind, written: &str) -> Self {
        let mut node = Self::new(span, kind);
        if node.text().as_deref() != Some(written) {
            node.written = Some(written.into());
        }
        node
    }

    /// The text, if the node is text. Numbers are not: see [`Node::text`].
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Str(text) => Some(text),
            NodeKind::Null
            | NodeKind::Bool(_)
            | NodeKind::Int(_)
            | NodeKind::Decimal(_)
            | NodeKind::Hex(_)
            | NodeKind::Binary(_)
            | NodeKind::Seq(_)
            | NodeKind::Map(_) => None,
        }
    }

    /// Any scalar as it is written (text without its quotes): `0123` gives `0123`. `None` for lists,
    /// mappings and `!!binary`.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        if let Some(written) = &self.written {
            return Some(Cow::Borrowed(written));
        }
        match &self.kind {
            NodeKind::Null => Some(Cow::Borrowed("null")),
            NodeKind::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            NodeKind::Int(value) => Some(Cow::Owned(value.to_string())),
            NodeKind::Decimal(text) | NodeKind::Hex(text) | NodeKind::Str(text) => Some(Cow::Borrowed(text)),
            NodeKind::Binary(_) | NodeKind::Seq(_) | NodeKind::Map(_) => None,
        }
    }

    /// The entries, if the node is a mapping.
    #[must_use]
    pub fn as_map(&self) -> Option<&[Entry]> {
        if let NodeKind::Map(entries) = &self.kind {
            Some(entries)
        } else {
            None
        }
    }

    /// The nodes, if the node is a list.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        if let NodeKind::Seq(nodes) = &self.kind {
            Some(nodes)
        } else {
            None
        }
    }

    /// Whether nothing is there, or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind == NodeKind::Null
    }

    /// The file's text at the node's place, quotes and all.
    #[must_use]
    pub fn raw<'a>(&self, file: &'a SourceFile) -> &'a str {
        file.slice(self.span)
    }

    /// What the node is, for a message: `expected a list, got a mapping`.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "true or false",
            NodeKind::Int(_) => "a whole number",
            NodeKind::Decimal(_) => "a number",
            NodeKind::Hex(_) => "a hexadecimal number",
            NodeKind::Str(_) => "text",
            NodeKind::Binary(_) => "bytes",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}
