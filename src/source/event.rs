//! What reading the parser's events needs: limits, places, and how it ends.

use serde_yaml::granit_parser;

use super::{Diagnostic, Span};

/// How deep lists and mappings may stand in each other.
pub const DEPTH_MAX: usize = 64;

/// How many nodes a file may have, those that its aliases stand for included.
pub const NODES_MAX: usize = 100_000;

/// The problem that ended the reading.
pub(super) type Stop = Box<Diagnostic>;

/// `Err` ends the reading.
pub(super) type Flow = Result<(), Stop>;

/// Our span for one of the parser's. The parser has byte offsets for text in memory.
pub(super) fn span_of(place: granit_parser::Span) -> Span {
    let range = place.byte_range().unwrap_or_default();
    Span::new(range.start, range.end)
}
