//! Turns between processes that work on the same server.
//!
//! A lock of the server belongs to one session, so that many who may work at once have one each: whoever works among
//! others holds one of [`SLOTS`] slots, and whoever works alone holds all of them. The gate is held while slots are
//! taken, so that nobody new comes while one waits for those who are at work.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::Claim;
use crate::connection::{Connection, ConnectionConfig, ConnectionOptions};
use crate::history::{Outcome, SqlValue};

/// So many trials may be under way at once on one server, over all processes.
const SLOTS: usize = 64;
/// How long the server is asked to wait at a time, in seconds: a session that waits is told nothing else.
const WAIT_S: u64 = 5;
/// What the server answers where it has not got a lock for want of tries or of time.
const BUSY: [u16; 4] = [1105, 1205, 1213, 3058];
/// How long a turn is waited for.
const WAIT_MAX: Duration = Duration::from_mins(15);

/// Why there is no turn.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// No session, or no answer.
    #[error("cannot ask the server for a turn: {0}")]
    Server(String),
    /// Others did not come to an end.
    #[error("another run has been at work on this server for {} min, and this trial cannot run beside it", WAIT_MAX.as_secs() / 60)]
    Busy,
}

/// A trial's turn on a server. It ends with its session.
#[derive(Debug)]
pub struct ServerTurn {
    session: Connection,
}

impl ServerTurn {
    /// Waits for a trial's turn among all that work on the server. `waits` is told once, if it takes long.
    ///
    /// # Errors
    /// [`TurnError`].
    pub async fn take(
        config: &ConnectionConfig,
        options: &ConnectionOptions,
        claim: &Claim,
        waits: impl FnOnce(),
    ) -> Result<Self, TurnError> {
        let config = ConnectionConfig {
            id: "turns".to_owned(),
            database: None,
            ..config.clone()
        };
        let opened = Connection::open(&config, options).await;
        let session = opened.map_err(|error| TurnError::Server(error.to_string()))?;
        let mut wait = Wait {
            session,
            until: Instant::now() + WAIT_MAX,
            waits: Some(waits),
        };
        // In the order of `Turns::take`.
        if !claim.alone {
            if claim.any_lock {
                wait.all("lock").await?;
            } else if !claim.locks.is_empty() {
                wait.one("lock").await?;
                for name in &claim.locks {
                    wait.get(&format!("lock.{}", digest(name))).await?;
                }
            }
            wait.one("trial").await?;
        } else {
            wait.all("trial").await?;
        }
        Ok(Self {
            session: wait.session,
        })
    }

    /// Ends it.
    pub async fn end(self) {
        self.session.close().await;
    }
}

/// The names of user-level locks have 64 characters at most.
fn digest(name: &str) -> String {
    hex::encode(&Sha256::digest(name.as_bytes())[..12])
}

struct Wait<W> {
    session: Connection,
    until: Instant,
    waits: Option<W>,
}

impl<W: FnOnce()> Wait<W> {
    async fn ask(&mut self, sql: &str) -> Result<bool, TurnError> {
        match self.session.execute(sql).await {
            Outcome::Rows(set) => Ok(set.rows == [[SqlValue::Int(1)]]),
            // Where many ask for one lock, TiDB gives up on some of them: `pessimistic lock retry limit reached`.
            Outcome::Refused(error) if BUSY.contains(&error.code) => {
                let pause_ms = rand::random_range(5..50);
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                Ok(false)
            }
            other => Err(TurnError::Server(crate::history::describe(&other))),
        }
    }

    async fn get(&mut self, name: &str) -> Result<(), TurnError> {
        if self
            .ask(&format!("select get_lock('tidb_scenarios.{name}', 0)"))
            .await?
        {
            return Ok(());
        }
        if let Some(waits) = self.waits.take() {
            waits();
        }
        while Instant::now() < self.until {
            if self
                .ask(&format!("select get_lock('tidb_scenarios.{name}', {WAIT_S})"))
                .await?
            {
                return Ok(());
            }
        }
        Err(TurnError::Busy)
    }

    /// A slot among others.
    async fn one(&mut self, what: &str) -> Result<(), TurnError> {
        self.get(&format!("{what}.gate")).await?;
        let first: usize = rand::random_range(0..SLOTS);
        let mut found = false;
        for number in 0..SLOTS {
            let slot = format!("{what}.{}", (first + number) % SLOTS);
            if self
                .ask(&format!("select get_lock('tidb_scenarios.{slot}', 0)"))
                .await?
            {
                found = true;
                break;
            }
        }
        if !found {
            self.get(&format!("{what}.{first}")).await?;
        }
        self.ask(&format!("select release_lock('tidb_scenarios.{what}.gate')"))
            .await?;
        Ok(())
    }

    /// All slots.
    async fn all(&mut self, what: &str) -> Result<(), TurnError> {
        self.get(&format!("{what}.gate")).await?;
        for number in 0..SLOTS {
            self.get(&format!("{what}.{number}")).await?;
        }
        Ok(())
    }
}
