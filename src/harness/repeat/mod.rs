//! Several tries of one trial: how often it fails, and whether it passes when it is tried again.

mod arguments;
mod rates;
mod tally;

pub use arguments::RepeatArguments;
pub(super) use arguments::{Mode, Tries};
pub(super) use rates::Rates;
pub(super) use tally::Tally;
