//! What the transactions of a workload do: one file for each kind.

use async_trait::async_trait;

use super::client::{Client, Stop};
use crate::isolation::{Model, Status};

/// What the transactions of a workload do.
///
/// Each value is written to a key only once, whatever is tried again, so that each value that is read has one writer.
#[async_trait]
pub(super) trait Kind: Send + Sync {
    /// The statements that make its table.
    fn setup(&self) -> Vec<String>;

    /// What the table holds at first, written by a transaction of the history.
    async fn fill(&self, client: &mut Client) -> Result<(), Stop> {
        let _ = client;
        Ok(())
    }

    /// Before the BEGIN of a transaction: what is known then must be seen in it.
    fn before(&self, client: &mut Client) {
        let _ = client;
    }

    /// The operations of one transaction.
    async fn run(&self, client: &mut Client) -> Result<(), Stop>;

    /// After the end of a transaction.
    fn after(&self, client: &mut Client, status: Status) {
        let _ = (client, status);
    }

    /// The keys that are read once more when all connections have ended, so that what was lost is seen.
    fn keys(&self) -> Vec<i64>;

    /// Reads one of these keys.
    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop>;

    /// What must hold in each transaction, if it is told beside the history.
    fn invariant(&self) -> Option<Invariant> {
        None
    }

    /// The sum of all registers, if it stays the same.
    fn total(&self) -> Option<i64> {
        None
    }
}

/// What must hold in each transaction.
#[derive(Debug, Clone, Copy)]
pub struct Invariant {
    /// In words.
    pub what: &'static str,
    /// It holds in each history of this model.
    pub model: Model,
}
