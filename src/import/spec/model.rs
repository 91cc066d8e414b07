//! What a spec has in it.

use crate::source::Span;

/// A spec.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// Lines of the comment at the top.
    pub header: Vec<String>,
    pub setups: Vec<Block>,
    pub teardown: Option<Block>,
    pub sessions: Vec<Session>,
    pub permutations: Vec<Permutation>,
    /// Comments behind everything.
    pub trailer: Vec<String>,
}

/// SQL in braces.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub comments: Vec<String>,
    pub text: String,
    /// The byte at which the text begins.
    pub at: usize,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub comments: Vec<String>,
    pub name: String,
    pub setup: Option<Block>,
    pub steps: Vec<SpecStep>,
    pub teardown: Option<Block>,
    pub span: Span,
}

/// A step of a session.
#[derive(Debug)]
pub(crate) struct SpecStep {
    pub name: String,
    pub block: Block,
    pub span: Span,
}

/// An order in which steps are run.
#[derive(Debug)]
pub(crate) struct Permutation {
    pub comments: Vec<String>,
    /// The steps by their names.
    pub steps: Vec<String>,
    /// The line as it was written, with markers.
    pub words: String,
    pub span: Span,
    /// Whether a step has a marker.
    pub marked: bool,
}
