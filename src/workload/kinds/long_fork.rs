//! Writes single registers, each once, and reads groups of them: all readers must see the writes in one order.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::client::{Client, Stop};
use super::super::kind::Kind;
use super::super::table::Registers;
use crate::plan::WorkloadPlan;

pub(super) struct LongFork {
    table: Registers,
    size: i64,
    reads: u32,
    written: AtomicI64,
}

impl LongFork {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            size: i64::from(plan.keys),
            reads: plan.reads,
            written: AtomicI64::new(0),
        }
    }
}

#[async_trait]
impl Kind for LongFork {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        if client.rng.random_range(0..100) >= self.reads {
            let key = self.written.fetch_add(1, Ordering::Relaxed);
            let new = client.shared.next_value();
            return self.table.write(client, key, new).await;
        }
        // The group that is being written, or the next one, as others go on.
        let group = self.written.load(Ordering::Relaxed) / self.size;
        let from = client.rng.random_range(0..self.size);
        for at in 0..self.size {
            let key = group * self.size + (from + at) % self.size;
            self.table.read(client, key).await?;
        }
        Ok(())
    }

    fn keys(&self) -> Vec<i64> {
        (0..self.written.load(Ordering::Relaxed)).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        self.table.read(client, key).await.map(drop)
    }
}
