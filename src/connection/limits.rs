//! How long the server may take for what ends a statement.

use std::time::Duration;

/// How long the server may take to end a statement by KILL QUERY: TiDB looks for a KILL once a second, and a busy
/// machine is late with it.
pub(crate) const KILL_MAX: Duration = Duration::from_secs(4);
/// How long a session whose statement was killed may take to roll back before it is closed.
pub(crate) const ROLLBACK_MAX: Duration = Duration::from_secs(2);
