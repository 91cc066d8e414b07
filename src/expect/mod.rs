//! Compares an outcome with what was asked for; one file for each kind of expectation.

mod affected;
mod check;
mod columns;
mod contains;
mod count;
mod duration;
mod error;
mod kind;
mod kinds;
mod last_insert_id;
mod one_of;
mod plan;
mod reading;
mod row;
mod rows;
mod shape;
mod table;
mod template;
mod unordered;
mod value;
mod value_pattern;
mod warnings;

pub use check::{Check, Mismatch, Needs, Seen};
pub use error::{KEYS as ERROR_KEYS, TIMED_OUT};
pub use kind::{Expectation, Reading};
pub use kinds::KINDS;
pub use reading::read_all;
pub use shape::Shape;
pub use template::{Template, TemplateError};
pub use value_pattern::{MATCHERS, ValuePattern, value_of_node};
pub(crate) use value_pattern::{is_true, order};
