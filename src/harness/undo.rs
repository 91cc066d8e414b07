//! What a trial that runs alone changes of the run's server is set back after it, whatever becomes of the trial.

use std::time::{Duration, Instant};

use crate::connection::{Connection, ConnectionConfig, ConnectionOptions, Gate};
use crate::plan::TrialPlan;
use crate::run::server_scope;
use crate::server::{ProviderKind, Server};
use crate::server_state::{Journal, Left, ServerState};

/// How long an interrupted run waits for its statements that are under way.
const QUIET_MAX: Duration = Duration::from_secs(2);
/// How long it may take to set a server back.
const UNDO_MAX: Duration = Duration::from_secs(30);

/// The state to which a server is to be set back.
#[derive(Debug)]
pub(super) struct Undo {
    config: ConnectionConfig,
    options: ConnectionOptions,
    /// Stops the trial's own statements.
    gate: Gate,
    state: ServerState,
    journal: Option<Journal>,
}

impl Undo {
    /// Notes the state of the run's server, where the trial changes it. On a server that stays after the run it is
    /// written down for the next run, too.
    pub async fn begin(server: &Server, plan: &TrialPlan) -> Result<Option<Self>, String> {
        let Some(scope) = server_scope(plan) else {
            return Ok(None);
        };
        let config = ConnectionConfig {
            id: "undo".to_owned(),
            database: None,
            ..server.config().clone()
        };
        let options = ConnectionOptions {
            gate: Gate::default(),
            ..server.options().clone()
        };
        let mut session = open(&config, &options).await?;
        let state = ServerState::read(&mut session, &scope).await?;
        let journal = if server.kind() == ProviderKind::Url {
            let who = format!("`{}`, process {}", plan.name, std::process::id());
            Some(Journal::write(session, &state.of_scope(&scope), &who).await?)
        } else {
            session.close().await;
            None
        };
        Ok(Some(Self {
            gate: server.options().gate.clone(),
            config,
            options,
            state,
            journal,
        }))
    }

    /// Whether the server outlives the run.
    pub fn is_of_a_server_that_stays(&self) -> bool {
        self.journal.is_some()
    }

    /// Sets the server back; returns what was set back, in words, and what could not be.
    pub async fn end(self) -> (Vec<String>, Vec<Left>) {
        let (back, left) = match tokio::time::timeout(UNDO_MAX, self.set_back()).await {
            Ok(done) => done,
            Err(_) => failed(format!(
                "the server did not answer within {} s",
                UNDO_MAX.as_secs()
            )),
        };
        // What is left, the next run is to try once more.
        if let (Some(journal), true) = (self.journal, left.is_empty())
            && let Err(reason) = journal.remove().await
        {
            tracing::warn!(reason, "the journal keeps an entry");
        }
        (back, left)
    }

    /// The same for a run that is being ended: nothing of the trial is sent any more.
    pub async fn end_now(mut self) -> (Vec<String>, Vec<Left>) {
        self.gate.close();
        let until = Instant::now() + QUIET_MAX;
        while !self.gate.is_quiet() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !self.gate.is_quiet() {
            // What is under way may change something yet: the next run looks once more.
            let (back, left) = self.set_back().await;
            drop(self.journal.take());
            return (back, left);
        }
        self.end().await
    }

    async fn set_back(&self) -> (Vec<String>, Vec<Left>) {
        match open(&self.config, &self.options).await {
            Ok(mut session) => {
                let done = self.state.set_back(&mut session).await;
                session.close().await;
                done
            }
            Err(reason) => failed(reason),
        }
    }
}

async fn open(config: &ConnectionConfig, options: &ConnectionOptions) -> Result<Connection, String> {
    let opened = Connection::open(config, options).await;
    opened.map_err(|error| error.to_string())
}

fn failed(reason: String) -> (Vec<String>, Vec<Left>) {
    let left = Left {
        variable: None,
        message: "what this trial has changed of the server could not be set back".to_owned(),
        reason,
    };
    (Vec::new(), vec![left])
}
