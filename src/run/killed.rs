//! What a KILL has ended, as the server shows it: TiDB does not end the wait for a user-level lock, nor a schema change,
//! and keeps on waiting for a session that its client has lost.

use std::time::{Duration, Instant};

use super::driver::Driver;
use super::limits::POLL_EVERY;
use crate::history::Stopped;
use crate::plan::Action;
use crate::sql::{Kind, classified};

/// How long TiDB may take to end a wait by KILL: it looks once a second.
const KILL_SHOWS_MAX: Duration = Duration::from_secs(2);

impl Driver<'_> {
    /// After a step that may have killed a blocked connection: waits until its wait is over, or it is clear that the
    /// KILL does not end it. Otherwise it would be chance with which step the wait ends.
    pub async fn settle_kill(&mut self, record: usize) -> Result<(), Stopped> {
        let Some(target) = self.killed_by(record) else {
            return Ok(());
        };
        let deadline = Instant::now() + KILL_SHOWS_MAX;
        loop {
            self.drain();
            self.check_lingering().await?;
            let running = self.sessions[target].running;
            let blocked = running.is_some_and(|record| self.wait_of(record).is_some());
            let lingers = self.lingering_of(target).is_some();
            if !(blocked || lingers) || Instant::now() >= deadline {
                return Ok(());
            }
            self.next_report(Instant::now() + POLL_EVERY * 5).await;
        }
    }

    /// The record of a connection's blocked step that was lost, while the server still waits.
    pub(super) fn lingering_of(&self, connection: usize) -> Option<usize> {
        let mut own = self.lingering.iter().copied();
        own.find(|record| self.connection_of(*record) == connection)
    }

    /// Asks the server whether sessions that were lost while they were blocked are so still.
    pub(super) async fn check_lingering(&mut self) -> Result<(), Stopped> {
        for record in self.lingering.clone() {
            let gone = self.is_blocked(record).await?.is_none();
            if gone {
                self.lingering.retain(|other| *other != record);
                self.note_released(record);
            }
        }
        Ok(())
    }

    /// The connection that a step has killed, or of which it has killed the statement.
    fn killed_by(&self, record: usize) -> Option<usize> {
        if let Action::Kill { target, .. } = self.step_of(record).action {
            return Some(target);
        }
        let text = self.text_of(record);
        if classified(&text).kind != Kind::Kill {
            return None;
        }
        let session: u64 = text
            .split_whitespace()
            .find_map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok())?;
        (0..self.sessions.len()).find(|number| {
            let running = self.sessions[*number]
                .running
                .and_then(|record| self.session_of(record));
            let lingering = self
                .lingering_of(*number)
                .and_then(|record| self.session_of(record));
            running == Some(session) || lingering == Some(session)
        })
    }
}
