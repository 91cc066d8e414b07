//! One expected value: a literal that compares by SQL type, or a matcher.

mod compare;
mod count;
mod json;
mod pattern;
mod reading;
mod text_pattern;
mod time;

pub(crate) use compare::{is_true, order};
pub use json::value_of_node;
pub use pattern::ValuePattern;
pub use reading::MATCHERS;
pub(crate) use text_pattern::TextPattern;
