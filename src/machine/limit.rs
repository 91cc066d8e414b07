//! Holds an action of a concurrent connection to its limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::acted::Acted;
use super::worker::Worker;
use crate::connection::KILL_MAX;
use crate::history::Outcome;
use crate::plan::{Action, Step};

/// Between two looks whether a connection that is over its limit is held back still.
const HELD_LOOK: Duration = Duration::from_millis(5);

/// A statement that is over its limit, for the task that has the control connection.
#[derive(Debug)]
pub(crate) struct KillRequest {
    /// Whose.
    pub connection: usize,
    /// Its record.
    pub record: usize,
    /// The whole session, since KILL QUERY did not help.
    pub session: bool,
    /// Told when it has been done.
    pub done: oneshot::Sender<()>,
}

impl Worker {
    /// Acts within the state's limit. What is over it is ended by KILL QUERY, and if that does not help by
    /// closing the connection; whether it took effect is unknown then.
    pub(super) async fn act_within_limit(
        &mut self,
        step: &Step,
        record: usize,
        kills: &mpsc::Sender<KillRequest>,
    ) -> Acted {
        let target = match step.action {
            Action::Kill { target, .. } => self.coordinator.session(target),
            _ => None,
        };
        // A pause lasts as long as it says; the trial's own limit holds for it.
        let limit = match step.action {
            Action::Sleep(pause) => pause + step.timeout,
            _ => step.timeout,
        };
        let connection = self.number;
        let kill = async |session: bool| {
            let (done, told) = oneshot::channel();
            let request = KillRequest {
                connection,
                record,
                session,
                done,
            };
            if kills.send(request).await.is_ok() {
                drop(told.await);
            }
        };
        let coordinator = Arc::clone(&self.coordinator);
        let held = Arc::clone(&self.held);
        let began = Instant::now();
        let late = {
            let acting = self.act(step, target);
            tokio::pin!(acting);
            loop {
                // While it is held back, no statement of it runs that could be over a limit.
                let more = if held.is_now() { HELD_LOOK } else { Duration::ZERO };
                let until = (began + limit + held.so_far()).max(Instant::now() + more);
                match tokio::time::timeout_at(until.into(), &mut acting).await {
                    Ok(acted) => return acted,
                    Err(_) if held.is_now() || began + limit + held.so_far() > until => {}
                    Err(_) => break,
                }
            }
            coordinator.set_over_limit(connection, true);
            kill(false).await;
            tokio::time::timeout(KILL_MAX, &mut acting).await.ok()
        };
        self.interrupted = true;
        let outcome = Outcome::TimedOut {
            limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            starved: false,
        };
        match late {
            Some(acted) => Acted {
                outcome,
                job_ended: false,
                ..acted
            },
            None => {
                // Dropped in the middle of an answer, the session is of no more use.
                self.connection = None;
                kill(true).await;
                Acted::single(outcome)
            }
        }
    }
}
