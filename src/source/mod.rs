//! Text with places, a tree of YAML nodes with places, and problems that point at them.
//!
//! Everything that is said about a scenario file goes through [`Diagnostic`] and is drawn by
//! [`render`] or [`render_all`]; nothing else draws carets.
//!
//! Architecture invariant: this module knows YAML and nothing of scenarios.

mod compose;
mod diagnostic;
mod event;
mod file;
mod lookup;
mod mistakes;
mod node;
mod parse;
pub mod read;
mod render;
mod scalar;
mod span;

pub use diagnostic::{Diagnostic, Severity};
pub use event::{DEPTH_MAX, NODES_MAX};
pub use file::{FILE_SIZE_MAX, SourceFile};
pub use lookup::{MapReader, nearest};
pub(crate) use lookup::{shortened, unknown_key};
pub use mistakes::comment_after;
pub use node::{Entry, Node, NodeKind};
pub use parse::parse;
pub use render::{RenderStyle, render, render_all};
pub use span::{Place, Span};
