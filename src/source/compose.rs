//! Builds the tree out of the parser's events, and finds what is wrong with it on the way.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine;
use serde_yaml::granit_parser::{self, Event, ScalarStyle, StructureStyle, Tag};

use super::event::{Flow, Stop, span_of};
use super::lookup::shortened;
use super::mistakes::{key_is_no_text, leading_zero, tab, too_deep, unknown_alias, wrong_tag};
use super::{DEPTH_MAX, Diagnostic, Entry, NODES_MAX, Node, NodeKind, SourceFile, Span, nearest, scalar};

pub(super) struct Composer<'f> {
    file: &'f SourceFile,
    root: Option<Node>,
    open: Vec<Frame>,
    anchors: HashMap<usize, Anchor>,
    /// The anchor names so far; the last of a name is the one that counts.
    anchor_names: Vec<(String, usize)>,
    nodes: usize,
    problems: Vec<Diagnostic>,
}

/// A list or mapping whose end has not come yet.
struct Frame {
    start: Span,
    flow: bool,
    anchor: usize,
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<Node> },
}

/// A node that has a name, and the number of nodes in it.
struct Anchor {
    node: Node,
    nodes: usize,
}

impl<'f> Composer<'f> {
    pub(super) fn new(file: &'f SourceFile) -> Self {
        Self {
            file,
            root: None,
            open: Vec::new(),
            anchors: HashMap::new(),
            anchor_names: Vec::new(),
            nodes: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> (Option<Node>, Vec<Diagnostic>) {
        (self.root, self.problems)
    }

    pub(super) fn take(&mut self, event: Event<'_>, place: granit_parser::Span) -> Flow {
        let span = span_of(place);
        let tag_span = place.tag_span().map_or(span, span_of);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(span)?;
                let node = self.scalar(text, style, tag.as_deref().map(|tag| (tag, tag_span)), span);
                self.remember(anchor, &node, 1);
                self.push(node)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "seq", tag_span);
                self.begin(span, style, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(style, anchor, tag) => {
                self.collection_tag(tag.as_deref(), "map", tag_span);
                self.begin(
                    span,
                    style,
                    anchor,
                    Content::Mapping {
                        entries: Vec::new(),
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(id) => self.alias(id, span),
            Event::UnresolvedAlias(name) => {
                let near = nearest(&name, self.anchor_names.iter().map(|(name, _)| name.as_str()));
                let near = near.map(str::to_owned);
                self.problems.push(unknown_alias(&name, near.as_deref(), span));
                // What was meant stands in for it, so that nothing more is said of it.
                let meant = self
                    .anchor_names
                    .iter()
                    .rev()
                    .find(|(name, _)| Some(name) == near.as_ref());
                match meant.map(|(_, id)| *id) {
                    Some(id) if self.anchors.contains_key(&id) => self.alias(id, span),
                    _ => self.push(Node::new(span, NodeKind::Str(format!("*{name}")))),
                }
            }
            Event::Anchor(id, name) => {
                self.anchor_names.push((name.into_owned(), id));
                Ok(())
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Comment(..) => Ok(()),
            // Events of a later parser say nothing of the tree.
            _ => Ok(()),
        }
    }

    fn count(&mut self, span: Span) -> Flow {
        self.nodes += 1;
        if self.nodes <= NODES_MAX {
            return Ok(());
        }
        let message = format!("this file is too big: from here on it has more than {NODES_MAX} values");
        Err(Box::new(Diagnostic::error(span, message).help(
            "generate large numbers of rows: see `load` in the language reference",
        )))
    }

    fn begin(&mut self, start: Span, style: StructureStyle, anchor: usize, content: Content) -> Flow {
        let nodes_before = self.nodes;
        self.count(start)?;
        if self.open.len() >= DEPTH_MAX {
            return Err(Box::new(too_deep(start)));
        }
        let flow = style == StructureStyle::Flow;
        self.open.push(Frame {
            start,
            flow,
            anchor,
            nodes_before,
            content,
        });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Flow {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let start = frame.start.start;
        let (kind, last) = match frame.content {
            Content::List(nodes) => {
                let last = nodes.last().map(|node| node.span.end);
                (NodeKind::Seq(nodes), last)
            }
            Content::Mapping { entries, .. } => {
                let last = entries
                    .last()
                    .map(|entry| entry.value.span.end.max(entry.key.span.end));
                (NodeKind::Map(self.merge_keys(entries)?), last)
            }
        };
        // The parser sees the end of an indented list or mapping where the next thing begins.
        let end = if frame.flow {
            span.end
        } else {
            last.unwrap_or(start)
        };
        let node = Node::new(Span::new(start, end), kind);
        let nodes = self.nodes - frame.nodes_before;
        self.remember(frame.anchor, &node, nodes);
        self.push(node)
    }

    fn push(&mut self, node: Node) -> Flow {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Frame {
                content: Content::List(nodes),
                ..
            }) => nodes.push(node),
            Some(Frame {
                content: Content::Mapping { entries, key },
                flow,
                ..
            }) => match key.take() {
                Some(key) => entries.push(Entry { key, value: node }),
                None => {
                    if !*flow {
                        let place = self.file.place(node.span.start);
                        let start = self.file.line_start(place.line);
                        let before = self.file.slice(Span::new(start, node.span.start));
                        if let Some(at) = before.find('\t').filter(|_| before.trim().is_empty()) {
                            return Err(Box::new(tab(Span::new(start + at, start + at + 1))));
                        }
                    }
                    *key = Some(node);
                }
            },
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor != 0 {
            self.anchors.insert(
                anchor,
                Anchor {
                    node: node.clone(),
                    nodes,
                },
            );
        }
    }

    fn alias(&mut self, id: usize, span: Span) -> Flow {
        let Some(anchor) = self.anchors.get(&id) else {
            let problem = Diagnostic::error(span, "this alias is inside the value that it repeats").help(
                "an alias (`*name`) repeats the value that its anchor (`&name`) marks, so it must be outside that value",
            );
            return Err(Box::new(problem));
        };
        self.nodes += anchor.nodes;
        if self.nodes > NODES_MAX {
            let message = format!("with this alias the file expands to more than {NODES_MAX} values");
            return Err(Box::new(
                Diagnostic::error(span, message).help("use fewer aliases: aliases of aliases multiply"),
            ));
        }
        let mut node = anchor.node.clone();
        node.span = span;
        if self.open.len() + depth(&node) > DEPTH_MAX {
            return Err(Box::new(too_deep(span)));
        }
        self.push(node)
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<(&Tag, Span)>,
        span: Span,
    ) -> Node {
        let span = if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            scalar::trimmed(span.start, self.file.slice(span))
        } else {
            span
        };
        let plain = style == ScalarStyle::Plain;
        // The parser gives `~` for what is left out.
        let text = if plain && span.is_empty() {
            Cow::Borrowed("")
        } else {
            text
        };
        let Some((tag, tag_span)) = tag else {
            if !plain {
                return Node::new(span, NodeKind::Str(text.into_owned()));
            }
            if scalar::has_leading_zero(&text) {
                self.problems.push(leading_zero(&text, span));
            }
            return Node::plain(span, scalar::resolve(&text), &text);
        };
        self.tagged(&text, tag, tag_span, span)
    }

    fn tagged(&mut self, text: &str, tag: &Tag, tag_span: Span, span: Span) -> Node {
        // `!!binary` is of YAML's type repository, not of the core schema.
        let wanted = if tag.original() == "!!binary" {
            Some("binary")
        } else {
            tag.core_suffix()
        };
        let kind = match wanted {
            Some("str") => Some(NodeKind::Str(text.to_owned())),
            None if tag.original() == "!" => Some(NodeKind::Str(text.to_owned())),
            Some("binary") => {
                let digits: String = text.split_ascii_whitespace().collect();
                match base64::engine::general_purpose::STANDARD.decode(digits) {
                    Ok(bytes) => Some(NodeKind::Binary(bytes)),
                    Err(_) => {
                        let problem =
                            Diagnostic::error(span, "`!!binary` needs base64, and this is not base64")
                                .help("bytes can also be written in hexadecimal: 0x00ff");
                        self.problems.push(problem);
                        return Node::new(span, NodeKind::Binary(Vec::new()));
                    }
                }
            }
            Some(wanted) => Some(scalar::resolve(text)).filter(|kind| match kind {
                NodeKind::Null => wanted == "null",
                NodeKind::Bool(_) => wanted == "bool",
                NodeKind::Int(_) | NodeKind::Hex(_) => wanted == "int" || wanted == "float",
                NodeKind::Decimal(_) => wanted == "float",
                _ => false,
            }),
            None => None,
        };
        if let Some(kind) = kind {
            return if matches!(kind, NodeKind::Str(_) | NodeKind::Binary(_)) {
                Node::new(span, kind)
            } else {
                Node::plain(span, kind, text)
            };
        }
        self.problems.push(wrong_tag(tag, tag_span));
        Node::new(span, NodeKind::Str(text.to_owned()))
    }

    fn collection_tag(&mut self, tag: Option<&Tag>, allowed: &str, span: Span) {
        let Some(tag) = tag else { return };
        if tag.core_suffix() != Some(allowed) && tag.original() != "!" {
            self.problems.push(wrong_tag(tag, span));
        }
    }

    /// A mapping's entries with `<<` carried out, and without those whose key was there before.
    fn merge_keys(&mut self, entries: Vec<Entry>) -> Result<Vec<Entry>, Stop> {
        let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(entries.len());
        let mut merged = Vec::new();
        for entry in entries {
            let Some(name) = entry.key.text().map(Cow::into_owned) else {
                self.problems.push(key_is_no_text(&entry.key, self.file));
                continue;
            };
            if name == "<<" && entry.key.raw(self.file) == "<<" {
                merged.push(entry.value);
                continue;
            }
            if let Some(first) = seen.get(&name).and_then(|index| kept.get(*index)) {
                let message = format!("the key `{}` appears twice", shortened(&name));
                let problem = Diagnostic::error(entry.key.span, message)
                    .label(entry.key.span, "again here")
                    .label(first.key.span, "first here")
                    .help("keep one of them");
                self.problems.push(problem);
                continue;
            }
            seen.insert(name, kept.len());
            kept.push(entry);
        }
        for source in merged {
            self.merge(source, &mut kept, &mut seen)?;
        }
        Ok(kept)
    }

    fn merge(&mut self, source: Node, kept: &mut Vec<Entry>, seen: &mut HashMap<String, usize>) -> Flow {
        let span = source.span;
        match source.kind {
            NodeKind::Map(entries) => {
                for entry in entries {
                    let Some(name) = entry.key.text().map(Cow::into_owned) else {
                        continue;
                    };
                    if let std::collections::hash_map::Entry::Vacant(e) = seen.entry(name) {
                        e.insert(kept.len());
                        kept.push(entry);
                    }
                }
            }
            NodeKind::Seq(sources) if sources.iter().all(|source| source.as_map().is_some()) => {
                for source in sources {
                    self.merge(source, kept, seen)?;
                }
            }
            kind => {
                let got = Node::new(span, kind).describe();
                let problem =
                    Diagnostic::error(span, format!("`<<` needs a mapping or a list of them, not {got}"))
                        .help("mark a mapping with `&name` above, and write `<<: *name`");
                self.problems.push(problem);
            }
        }
        Ok(())
    }
}

/// How deep the deepest list or mapping in this node stands.
fn depth(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Seq(nodes) => 1 + nodes.iter().map(depth).max().unwrap_or(0),
        NodeKind::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| depth(&entry.key).max(depth(&entry.value)))
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}
