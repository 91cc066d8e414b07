//! A connection writes registers one after the other, each in a transaction of its own; who reads them in the opposite
//! order, in one transaction, must not miss an earlier one where a later one is there.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::client::{Client, Stop};
use super::super::kind::{Invariant, Kind};
use super::super::table::Registers;
use crate::isolation::Model;
use crate::plan::WorkloadPlan;

pub(super) struct Sequential {
    table: Registers,
    size: i64,
    reads: u32,
    /// How many rows of registers were begun.
    begun: AtomicI64,
}

/// What a connection remembers: the next key of its row.
const NEXT: i64 = -1;

impl Sequential {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            size: i64::from(plan.keys),
            reads: plan.reads,
            begun: AtomicI64::new(0),
        }
    }
}

#[async_trait]
impl Kind for Sequential {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        let begun = self.begun.load(Ordering::Relaxed);
        if begun == 0 || client.rng.random_range(0..100) >= self.reads {
            let key = match client.memory.get(&NEXT) {
                Some(key) if key % self.size != 0 => *key,
                _ => self.begun.fetch_add(1, Ordering::Relaxed) * self.size,
            };
            client.stage(NEXT, key + 1);
            let new = client.shared.next_value();
            return self.table.write(client, key, new).await;
        }
        let newest = client
            .rng
            .random_range(0..begun.min(i64::from(client.shared.plan.connections)));
        let row = begun - 1 - newest;
        let mut later = None;
        for at in (0..self.size).rev() {
            let key = row * self.size + at;
            match (self.table.read(client, key).await?, later) {
                (Some(_), _) => later = Some(key),
                (None, Some(later)) => {
                    client.broken = Some(format!("key {later} was there, and key {key} before it was not"));
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn keys(&self) -> Vec<i64> {
        (0..self.begun.load(Ordering::Relaxed) * self.size).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        self.table.read(client, key).await.map(drop)
    }

    fn invariant(&self) -> Option<Invariant> {
        Some(Invariant {
            what: "who sees a later write of a connection sees the earlier ones",
            model: Model::StrongSessionSnapshotIsolation,
        })
    }
}
