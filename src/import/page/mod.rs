//! Hermitage's pages: their tests, and the steps of each.

mod read;
mod steps;

pub(super) use read::{Page, Test};
pub(super) use steps::steps;
