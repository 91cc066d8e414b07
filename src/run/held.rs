//! A trial that is held where it has failed: sessions, transactions and locks stay as they are until somebody has looked.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::connection::ConnectionConfig;
use crate::history::History;
use crate::plan::TrialPlan;

/// Decides whether a trial is held, and holds it.
#[async_trait]
pub trait Holder: Send + Sync {
    /// What has failed so far, as a text; nothing if nothing has. `ended`: all steps have ended and the final checks were
    /// made.
    fn failure(&self, plan: &TrialPlan, history: &History, ended: bool) -> Option<String>;

    /// Returns when the trial is to go on.
    async fn hold(&self, plan: &TrialPlan, held: Held);
}

/// Who holds trials that fail.
#[derive(Clone)]
pub struct Hold(pub Arc<dyn Holder>);

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}

/// A trial that is held.
#[derive(Debug, Clone)]
pub struct Held {
    /// What has failed.
    pub failure: String,
    /// Its databases on the first of the servers.
    pub databases: Vec<String>,
    /// Its servers, each with its name in the file; the run's server has none.
    pub servers: Vec<(Option<String>, ConnectionConfig)>,
    /// Its connections, as they are now; none where their sessions have ended.
    pub connections: Vec<HeldConnection>,
    /// After how many seconds the server ends a wait for a row's lock.
    pub lock_wait_seconds: Option<String>,
}

/// One connection of a trial that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldConnection {
    /// Its name.
    pub name: String,
    /// Its session, as the server calls it.
    pub session: Option<u64>,
    /// What it does.
    pub doing: String,
    /// What it holds.
    pub holds: Vec<String>,
}
