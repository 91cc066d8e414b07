//! The table of registers that most kinds use.

use super::client::{Client, Stop, value};
use super::operations::Query;
use crate::isolation::{Action, ReadLock};

/// A table of registers: a key and its value.
#[derive(Debug)]
pub(super) struct Registers {
    pub query: Query,
}

const UPSERT: &str = "insert into registers values (?, ?) on duplicate key update val = values(val)";

impl Registers {
    pub(super) fn new(lock: ReadLock) -> Self {
        Self {
            query: Query::new("val", "registers where id = ?", lock),
        }
    }

    pub(super) fn setup() -> Vec<String> {
        vec!["create table registers (id bigint primary key, val bigint not null)".to_owned()]
    }

    pub(super) async fn read(&self, client: &mut Client, key: i64) -> Result<Option<i64>, Stop> {
        client.read(&self.query, key).await
    }

    /// Sets a register, whether it has a row or not.
    pub(super) async fn write(&self, client: &mut Client, key: i64, new: i64) -> Result<(), Stop> {
        client
            .write(UPSERT, &[key, new], Action::Write(value(key), value(new)))
            .await
    }
}
