//! Looks whether the sessions of connections that run no statement are still there: that one was killed, or its server
//! lost, no statement of theirs would tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::connection::{Connection, ConnectionConfig, ConnectionOptions, sessions_there};
use crate::coordinator::Coordinator;
use crate::policy::RetryPolicy;

/// Between two questions whether there is something to look at. Nobody is asked for that.
const TICK: Duration = Duration::from_millis(50);
/// Between two looks at the server, where no session is new to it: what is found is told within a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Between two tries to reach a server that cannot be asked.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How long the looks may take to end after the run.
const END_MAX: Duration = Duration::from_millis(500);

/// The event that comes when the session of a connection that runs no statement is found to be gone.
#[must_use]
pub fn session_lost(id: &str) -> String {
    format!("session_lost.{id}")
}

/// The looks of a run, in a task of their own.
pub(super) struct Health {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl Drop for Health {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Health {
    /// Begins to look.
    pub fn watch(coordinator: &Arc<Coordinator>, targets: &[(ConnectionConfig, ConnectionOptions)]) -> Self {
        let (stop, stopped) = oneshot::channel();
        let mut logins = logins(targets);
        let coordinator = Arc::clone(coordinator);
        let task = tokio::spawn(async move {
            let looks = async {
                let mut tick = tokio::time::interval(TICK);
                tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    tick.tick().await;
                    for login in &mut logins {
                        login.look_if_needed(&coordinator).await;
                    }
                }
            };
            tokio::select! {
                () = looks => {}
                _ = stopped => {}
            }
            for login in logins {
                if let Some(control) = login.control {
                    control.close().await;
                }
            }
        });
        Self {
            task,
            stop: Some(stop),
        }
    }

    /// Ends the looks.
    pub async fn end(mut self) {
        // Dropped, it tells them, too.
        drop(self.stop.take());
        // What does not end in time is cut off.
        let _ = tokio::time::timeout(END_MAX, &mut self.task).await;
    }
}

/// Connections to one server as one user. A user may be shown the sessions of the same user alone.
struct Login {
    config: ConnectionConfig,
    options: ConnectionOptions,
    connections: BTreeSet<usize>,
    control: Option<Connection>,
    /// Sessions that were seen. One that was never seen proves nothing by not being there: behind one address there
    /// may be many servers.
    seen: BTreeSet<u64>,
    /// Sessions that were looked for.
    asked: BTreeSet<u64>,
    looked: Option<Instant>,
    /// When the server could not be asked.
    failed: Option<Instant>,
}

fn logins(targets: &[(ConnectionConfig, ConnectionOptions)]) -> Vec<Login> {
    let mut logins: BTreeMap<(&str, u16, &str), Login> = BTreeMap::new();
    for (number, (config, options)) in targets.iter().enumerate() {
        let key = (config.host.as_str(), config.port, config.username.as_str());
        let login = logins.entry(key).or_insert_with(|| Login {
            config: ConnectionConfig {
                id: "health".to_owned(),
                database: None,
                ..config.clone()
            },
            options: ConnectionOptions {
                session_vars: Vec::new(),
                connect_max: options.connect_max.min(ANSWER_MAX),
                retry: RetryPolicy {
                    attempts: 1,
                    ..options.retry.clone()
                },
                breaker: None,
                ..options.clone()
            },
            connections: BTreeSet::new(),
            control: None,
            seen: BTreeSet::new(),
            asked: BTreeSet::new(),
            looked: None,
            failed: None,
        });
        login.connections.insert(number);
    }
    logins.into_values().collect()
}

impl Login {
    async fn look_if_needed(&mut self, coordinator: &Coordinator) {
        let sessions: BTreeMap<usize, u64> = coordinator
            .open_sessions()
            .into_iter()
            .filter(|(number, _)| self.connections.contains(number))
            .collect();
        let new = sessions.values().any(|session| !self.asked.contains(session));
        let due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY);
        let waits = self.failed.is_some_and(|failed| failed.elapsed() < AGAIN_AFTER);
        if sessions.is_empty() || waits || !(new || due) {
            return;
        }
        self.looked = Some(Instant::now());
        let looked = tokio::time::timeout(ANSWER_MAX, self.look(coordinator, &sessions)).await;
        if looked != Ok(true) {
            // A control session in the middle of an answer is of no more use.
            self.control = None;
            self.failed = Some(Instant::now());
        }
    }

    /// Whether the server answered.
    async fn look(&mut self, coordinator: &Coordinator, sessions: &BTreeMap<usize, u64>) -> bool {
        let mut control = match self.control.take() {
            Some(control) => control,
            None => match Connection::open(&self.config, &self.options).await {
                Ok(control) => control,
                Err(error) => {
                    tracing::debug!(%error, "sessions cannot be looked for");
                    return false;
                }
            },
        };
        let ids: Vec<u64> = sessions.values().copied().collect();
        let Some(there) = sessions_there(&mut control, &ids).await else {
            return false;
        };
        self.control = Some(control);
        self.asked.extend(&ids);
        for (number, session) in sessions {
            if there.contains(session) {
                self.seen.insert(*session);
            } else if self.seen.contains(session) && coordinator.note_gone(*number, *session) {
                let name = coordinator.look(|shared| shared.connections[*number].name.clone());
                coordinator.signal(*number, &session_lost(&name));
            }
        }
        true
    }
}
