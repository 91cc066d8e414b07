//! One session with TiDB: open it, run statements, cancel, close. The only module that names mysql_async.

mod config;
pub use config::{ConnectionConfig, ConnectionOptions, Tls};
