//! Appends to lists and reads them: the order of all versions shows in what is read.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop, value};
use super::super::kind::Kind;
use super::super::operations::Query;
use crate::isolation::Action;
use crate::plan::WorkloadPlan;

pub(super) struct ListAppend {
    query: Query,
    chooser: Chooser,
    keys: u32,
    ops: u32,
    reads: u32,
    writes_per_key: u64,
    /// How often each place was written: its key is replaced by a new one after some of them.
    writes: Vec<AtomicU64>,
}

const APPEND: &str = "insert into lists values (?, ?) on duplicate key update val = concat(val, ',', ?)";

impl ListAppend {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            query: Query::new("val", "lists where id = ?", plan.read_lock),
            chooser: Chooser::new(plan.keys, plan.distribution),
            keys: plan.keys,
            ops: plan.ops,
            reads: plan.reads,
            writes_per_key: u64::from(plan.writes_per_key),
            writes: (0..plan.keys).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn key(&self, place: u32, writes: u64) -> i64 {
        let epoch = i64::try_from(writes / self.writes_per_key).unwrap_or(i64::MAX);
        i64::from(place) + epoch * i64::from(self.keys)
    }
}

#[async_trait]
impl Kind for ListAppend {
    fn setup(&self) -> Vec<String> {
        vec!["create table lists (id bigint primary key, val mediumtext not null)".to_owned()]
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        for _ in 0..client.rng.random_range(1..=self.ops) {
            let place = self.chooser.choose(&mut client.rng);
            let writes = &self.writes[place as usize];
            if client.rng.random_range(0..100) < self.reads {
                let key = self.key(place, writes.load(Ordering::Relaxed));
                client.read_list(&self.query, key).await?;
            } else {
                let key = self.key(place, writes.fetch_add(1, Ordering::Relaxed));
                let new = client.shared.next_value();
                let action = Action::Append(value(key), value(new));
                client.write(APPEND, &[key, new, new], action).await?;
            }
        }
        Ok(())
    }

    fn keys(&self) -> Vec<i64> {
        let places = (0..self.keys).zip(&self.writes);
        let of_place = |(place, writes): (u32, &AtomicU64)| {
            let last = writes.load(Ordering::Relaxed) / self.writes_per_key;
            (0..=last).map(move |epoch| self.key(place, epoch * self.writes_per_key))
        };
        places.flat_map(of_place).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        client.read_list(&self.query, key).await
    }
}
