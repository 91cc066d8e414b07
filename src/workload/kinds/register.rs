//! One operation on one register in each transaction: read, write, compare and set. Each register must behave as if it were
//! there only once, in every mode.

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop};
use super::super::kind::Kind;
use super::super::table::Registers;
use crate::plan::WorkloadPlan;

pub(super) struct Register {
    table: Registers,
    chooser: Chooser,
    keys: u32,
    reads: u32,
}

const COMPARE_AND_SET: &str = "update registers set val = ? where id = ? and val = ?";

impl Register {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            chooser: Chooser::new(plan.keys, plan.distribution),
            keys: plan.keys,
            reads: plan.reads,
        }
    }
}

#[async_trait]
impl Kind for Register {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        let key = i64::from(self.chooser.choose(&mut client.rng));
        if client.rng.random_range(0..100) < self.reads {
            if let Some(seen) = self.table.read(client, key).await? {
                client.stage(key, seen);
            }
            return Ok(());
        }
        let new = client.shared.next_value();
        let known = client.memory.get(&key).copied();
        match known.filter(|_| client.rng.random_range(0..2) == 0) {
            Some(old) => {
                let params = [new, key, old];
                let set = client
                    .change(COMPARE_AND_SET, &params, key, (Some(old), new))
                    .await?;
                if set {
                    client.stage(key, new);
                }
            }
            None => {
                self.table.write(client, key, new).await?;
                client.stage(key, new);
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
