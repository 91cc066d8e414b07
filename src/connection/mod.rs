//! One session with TiDB: open it, run statements, close it. The only module that names mysql_async.
//!
//! Architecture invariant: a [`Connection`] is one server session for its whole life. There is no pool
//! here, since a pooled connection is not a session: its transactions could be anybody's.

mod config;
mod session;
mod value;

pub use config::{ConnectionConfig, ConnectionOptions, Tls};
pub use session::{ConnectError, Connection};
