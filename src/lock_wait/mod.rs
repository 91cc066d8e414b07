//! Asks the server who waits for whom, and decides when a wait is certain.

mod detector;
mod innodb;
mod query;
mod trx;

pub(crate) use detector::{BlockDetector, Confidence, Detection};
pub(crate) use query::{is_running, lock_wait, metadata_lock_waits, same_statement, transactions};
pub(crate) use trx::TrxRow;
