//! Of two who are on call one may leave, if the other one is there: both leave where each reads an old state of the other.

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop};
use super::super::kind::{Invariant, Kind};
use super::super::table::Registers;
use crate::isolation::Model;
use crate::plan::WorkloadPlan;

/// Keys 0 and 1 are a pair, 2 and 3, and so on. Positive values are on, negative ones off.
pub(super) struct WriteSkew {
    table: Registers,
    chooser: Chooser,
    pairs: u32,
}

impl WriteSkew {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            table: Registers::new(plan.read_lock),
            chooser: Chooser::new(plan.keys, plan.distribution),
            pairs: plan.keys,
        }
    }
}

#[async_trait]
impl Kind for WriteSkew {
    fn setup(&self) -> Vec<String> {
        Registers::setup()
    }

    async fn fill(&self, client: &mut Client) -> Result<(), Stop> {
        for key in self.keys() {
            let new = client.shared.next_value();
            self.table.write(client, key, new).await?;
        }
        Ok(())
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        let first = 2 * i64::from(self.chooser.choose(&mut client.rng));
        let mut pair = [first, first + 1];
        if client.rng.random_range(0..2) == 0 {
            pair.reverse();
        }
        let mut on = [false; 2];
        // In the order of the keys, so that readers with locks do not wait for each other in a circle.
        for key in [first, first + 1] {
            let seen = self.table.read(client, key).await?;
            on[usize::from(key == pair[1])] = seen.is_some_and(|seen| seen > 0);
        }
        let new = client.shared.next_value();
        match on {
            [true, true] => self.table.write(client, pair[0], -new).await,
            [true, false] => self.table.write(client, pair[1], new).await,
            [false, true] => self.table.write(client, pair[0], new).await,
            [false, false] => {
                client.broken = Some(format!("both of keys {first} and {} were off", first + 1));
                self.table.write(client, pair[0], new).await
            }
        }
    }

    fn keys(&self) -> Vec<i64> {
        (0..2 * i64::from(self.pairs)).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        self.table.read(client, key).await.map(drop)
    }

    fn invariant(&self) -> Option<Invariant> {
        Some(Invariant {
            what: "one of each pair is on",
            model: Model::Serializable,
        })
    }
}
