//! Writes registers and reads them, several in each transaction.

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop};
use super::super::kind::Kind;
use super::super::table::Registers;
use crate::plan::WorkloadPlan;

pub(super) struct RwRegister {
    table: Registers,
    chooser: Chooser,
    keys: u32,
    ops: u32,
    reads: u32,
}

impl RwRegister {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            chooser: Chooser::new(plan.keys, plan.distribution),
            keys: plan.keys,
            ops: plan.ops,
            reads: plan.reads,
        }
    }
}

#[async_trait]
impl Kind for RwRegister {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        for _ in 0..client.rng.random_range(1..=self.ops) {
            let key = i64::from(self.chooser.choose(&mut client.rng));
            if client.rng.random_range(0..100) < self.reads {
                self.table.read(client, key).await?;
            } else {
                let new = client.shared.next_value();
                self.table.write(client, key, new).await?;
            }
        }
        Ok(())
    }

    fn keys(&self) -> Vec<i64> {
        (0..i64::from(self.keys)).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        self.table.read(client, key).await.map(drop)
    }
}
