//! Adds one to registers, and reads them: no connection sees a register go down.

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop};
use super::super::kind::{Invariant, Kind};
use super::super::table::Registers;
use crate::isolation::{Model, ReadLock};
use crate::plan::WorkloadPlan;

pub(super) struct Monotonic {
    table: Registers,
    locked: Registers,
    chooser: Chooser,
    keys: u32,
    reads: u32,
}

impl Monotonic {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            locked: Registers::new(ReadLock::ForUpdate),
            chooser: Chooser::new(plan.keys, plan.distribution),
            keys: plan.keys,
            reads: plan.reads,
        }
    }

    /// Notes a value that this connection has seen; one that is lower than an earlier one breaks the invariant.
    fn note(&self, client: &mut Client, key: i64, seen: i64) {
        if let Some(before) = client.memory.get(&key).filter(|before| **before > seen) {
            client.broken = Some(format!("key {key} was {seen} after it had been {before}"));
        }
        client.stage(key, seen);
    }

    async fn read(&self, client: &mut Client, key: i64) -> Result<i64, Stop> {
        let seen = self.table.read(client, key).await?.unwrap_or(0);
        self.note(client, key, seen);
        Ok(seen)
    }
}

#[async_trait]
impl Kind for Monotonic {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    /// Rows that are there can be locked, whatever the isolation level.
    async fn fill(&self, client: &mut Client) -> Result<(), Stop> {
        for key in self.keys() {
            self.table.write(client, key, 0).await?;
        }
        Ok(())
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        let key = i64::from(self.chooser.choose(&mut client.rng));
        if client.rng.random_range(0..100) < self.reads {
            self.read(client, key).await?;
            let other = i64::from(self.chooser.choose(&mut client.rng));
            if other != key {
                self.read(client, other).await?;
            }
            return Ok(());
        }
        let seen = if client.must_lock_to_write() {
            self.locked.read(client, key).await?.unwrap_or(0)
        } else {
            self.read(client, key).await?
        };
        self.table.write(client, key, seen + 1).await?;
        self.note(client, key, seen + 1);
        Ok(())
    }

    fn keys(&self) -> Vec<i64> {
        (0..i64::from(self.keys)).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        self.table.read(client, key).await.map(drop)
    }

    fn invariant(&self) -> Option<Invariant> {
        Some(Invariant {
            what: "no connection sees a register go down",
            model: Model::StrongSessionSnapshotIsolation,
        })
    }
}
