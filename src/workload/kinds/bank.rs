//! Moves money between accounts, and reads all of them: their sum stays the same.

use async_trait::async_trait;
use rand::RngExt as _;

use super::super::chooser::Chooser;
use super::super::client::{Client, Stop, value};
use super::super::kind::{Invariant, Kind};
use super::super::operations::Query;
use crate::isolation::{Action, Model, ReadLock};
use crate::plan::WorkloadPlan;

/// What each account has at first: more than all transfers of a run can take.
const BALANCE: i64 = 100_000_000_000_000;
/// The largest transfer. Amounts are random and large, so that no account has the same balance twice: each balance
/// that is read then tells who wrote it.
const AMOUNT_MAX: i64 = 10_000_000_000;

pub(super) struct Bank {
    one: Query,
    locked: Query,
    all: Query,
    chooser: Chooser,
    accounts: Vec<i64>,
    reads: u32,
}

const INSERT: &str = "insert into accounts values (?, ?)";
const SET: &str = "update accounts set balance = ? where id = ?";
const ADD: &str = "update accounts set balance = balance + ? where id = ?";

impl Bank {
    pub(super) fn new(plan: &WorkloadPlan) -> Self {
        Self {
            one: Query::new("balance", "accounts where id = ?", plan.read_lock),
            locked: Query::new("balance", "accounts where id = ?", ReadLock::ForUpdate),
            all: Query::new("id, balance", "accounts", plan.read_lock),
            chooser: Chooser::new(plan.keys, plan.distribution),
            accounts: (0..i64::from(plan.keys)).collect(),
            reads: plan.reads,
        }
    }

    fn whole(&self) -> i64 {
        let count = i64::try_from(self.accounts.len()).unwrap_or(0);
        count * BALANCE
    }

    async fn read_all(&self, client: &mut Client) -> Result<(), Stop> {
        let seen = client.read_all(&self.all, &self.accounts).await?;
        let sum: i64 = seen.values().sum();
        if sum != self.whole() {
            client.broken = Some(format!("the sum was {sum}, not {}", self.whole()));
        }
        Ok(())
    }

    async fn set(&self, client: &mut Client, account: i64, balance: i64) -> Result<(), Stop> {
        let action = Action::Write(value(account), value(balance));
        client.write(SET, &[balance, account], action).await
    }

    /// Changes an account in place, after its row was locked.
    async fn add(&self, client: &mut Client, account: i64, amount: i64) -> Result<(), Stop> {
        let Some(old) = client.read(&self.locked, account).await? else {
            return Err(Stop::Unexpected(format!("account {account} is gone")));
        };
        let action = Action::Write(value(account), value(old + amount));
        client.write(ADD, &[amount, account], action).await
    }
}

#[async_trait]
impl Kind for Bank {
    fn setup(&self) -> Vec<String> {
        vec!["create table accounts (id bigint primary key, balance bigint not null)".to_owned()]
    }

    async fn fill(&self, client: &mut Client) -> Result<(), Stop> {
        for account in &self.accounts {
            let action = Action::Write(value(*account), value(BALANCE));
            client.write(INSERT, &[*account, BALANCE], action).await?;
        }
        Ok(())
    }

    async fn run(&self, client: &mut Client) -> Result<(), Stop> {
        if client.rng.random_range(0..100) < self.reads {
            return self.read_all(client).await;
        }
        let from = i64::from(self.chooser.choose(&mut client.rng));
        let to = loop {
            let to = i64::from(self.chooser.choose(&mut client.rng));
            if to != from {
                break to;
            }
        };
        let amount = client.rng.random_range(1..=AMOUNT_MAX);
        if client.must_lock_to_write() {
            self.add(client, from, -amount).await?;
            return self.add(client, to, amount).await;
        }
        let Some(rich) = client.read(&self.one, from).await? else {
            return Err(Stop::Unexpected(format!("account {from} is gone")));
        };
        let Some(poor) = client.read(&self.one, to).await? else {
            return Err(Stop::Unexpected(format!("account {to} is gone")));
        };
        self.set(client, from, rich - amount).await?;
        self.set(client, to, poor + amount).await
    }

    fn keys(&self) -> Vec<i64> {
        self.accounts.clone()
    }

    async fn look(&self, client: &mut Client, key: i64) -> Result<(), Stop> {
        client.read(&self.one, key).await.map(drop)
    }

    fn invariant(&self) -> Option<Invariant> {
        Some(Invariant {
            what: "the sum of all accounts stays the same",
            model: Model::SnapshotIsolation,
        })
    }

    fn total(&self) -> Option<i64> {
        Some(self.whole())
    }
}
