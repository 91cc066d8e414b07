//! Inserts elements, each once, and reads all of them: what was acknowledged stays, what failed does not show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::client::{Client, Stop, value};
use super::super::kind::{Invariant, Kind};
use super::super::operations::Query;
use super::super::shared::lock;
use crate::isolation::{Action, Model, Status};
use crate::plan::WorkloadPlan;

/// A set is closed after so many elements: what is read stays small, however long the workload runs.
const SIZE: i64 = 256;

/// What a connection remembers: the element that it inserts, and how many were acknowledged before its transaction began.
const ELEMENT: i64 = 0;
const KNOWN: i64 = 1;
const CHOSEN: i64 = 2;

pub(super) struct Set {
    query: Query,
    reads: u32,
    next: AtomicI64,
    known: Mutex<Known>,
}

/// What is known of each set.
#[derive(Debug, Default)]
struct Known {
    acknowledged: BTreeMap<i64, Vec<i64>>,
    failed: BTreeSet<i64>,
}

const INSERT: &str = "insert into elements values (?)";

impl Set {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            query: Query::new("id", "elements where id >= ? and id < ?", plan.read_lock),
            reads: plan.reads,
            next: AtomicI64::new(0),
            known: Mutex::default(),
        }
    }

    async fn read(&self, client: &mut Client, set: i64, known: usize) -> Result<(), Stop> {
        let seen = client
            .read_range(&self.query, set * SIZE, (set + 1) * SIZE)
            .await?;
        let known_now = lock(&self.known);
        let acknowledged = known_now.acknowledged.get(&set);
        let mut acknowledged = acknowledged.into_iter().flatten().take(known);
        if let Some(lost) = acknowledged.find(|element| !seen.contains(element)) {
            client.broken = Some(format!(
                "element {lost} was acknowledged before, and was not there"
            ));
        }
        if let Some(failed) = seen.iter().find(|element| known_now.failed.contains(element)) {
            client.broken = Some(format!("element {failed} was there, and its insert had failed"));
        }
        Ok(())
    }
}

#[async_trait]
impl Kind for Set {
    fn setup(&self) -> Vec<String> {
        vec!["create table elements (id bigint primary key)".to_owned()]
    }

    fn before(&self, client: &mut Client) {
        client.memory.remove(&ELEMENT);
        let newest = self.next.load(Ordering::Relaxed).max(1) - 1;
        let set = (newest / SIZE - client.rng.random_range(0..2)).max(0);
        let known = lock(&self.known).acknowledged.get(&set).map_or(0, Vec::len);
        client.memory.insert(CHOSEN, set);
        client.memory.insert(KNOWN, i64::try_from(known).unwrap_or(0));
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        if client.rng.random_range(0..100) < self.reads {
            let of = |what| client.memory.get(&what).copied().unwrap_or(0);
            let (set, known) = (of(CHOSEN), usize::try_from(of(KNOWN)).unwrap_or(0));
            return self.read(client, set, known).await;
        }
        let element = self.next.fetch_add(1, Ordering::Relaxed);
        client.memory.insert(ELEMENT, element);
        let action = Action::Write(value(element), value(element));
        client.write(INSERT, &[element], action).await
    }

    fn after(&self, client: &mut Client, status: Status) {
        let Some(element) = client.memory.remove(&ELEMENT) else {
            return;
        };
        let mut known = lock(&self.known);
        match status {
            Status::Ok => known
                .acknowledged
                .entry(element / SIZE)
                .or_default()
                .push(element),
            Status::Failed => {
                known.failed.insert(element);
            }
            Status::Unknown => {}
        }
    }

    fn keys(&self) -> Vec<i64> {
        let newest = self.next.load(Ordering::Relaxed).max(1) - 1;
        (0..=newest / SIZE).collect()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        let known = lock(&self.known).acknowledged.get(&key).map_or(0, Vec::len);
        self.read(client, key, known).await
    }

    fn invariant(&self) -> Option<Invariant> {
        Some(Invariant {
            what: "what was acknowledged is there, and what failed is not",
            model: Model::StrongSnapshotIsolation,
        })
    }
}
