//! What each answer of the server says of its session.

use mysql_async::Conn;
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable as _;

use super::session::Connection;
use crate::history::{Done, Outcome, SessionFlags};

impl Connection {
    /// What the last answer said of the session; nothing after an error, which says nothing, nor of a scripted session.
    #[must_use]
    pub fn flags(&self) -> Option<SessionFlags> {
        let answer = self.driver().and_then(Conn::last_ok_packet)?;
        let flags = answer.status_flags();
        Some(SessionFlags {
            in_transaction: flags.contains(StatusFlags::SERVER_STATUS_IN_TRANS),
            autocommit: flags.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT),
        })
    }

    /// The same, also after an error: a ping is answered with the flags, and changes nothing of the session, not even
    /// what SHOW WARNINGS shows. Nothing, where the session is lost or scripted.
    ///
    /// # Cancellation
    /// Dropping the future loses the session, see [`Connection`].
    pub async fn ask_flags(&mut self) -> Option<SessionFlags> {
        if self.flags().is_none() && !self.is_scripted() {
            self.guarded(async |conn| {
                conn.ping().await?;
                Ok(Outcome::Done(Done::default()))
            })
            .await;
        }
        self.flags()
    }
}
