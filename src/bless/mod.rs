//! Writes what happened into scenario files: the outcomes of an exploration, and what steps came to.

mod change;
mod edit;
mod literal;
mod outcomes;
mod steps;

pub(crate) use change::{Observed, edited};
pub use outcomes::blessed;
pub(crate) use steps::observed;
