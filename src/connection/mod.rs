//! One session with TiDB: open it, run statements, close it. The only module that names mysql_async.
//!
//! Architecture invariant: a [`Connection`] is one server session for its whole life. No pool lies under it,
//! since a pooled connection is not a session: its transactions could be anybody's. [`Pool`] is for what a
//! handler does beside its connection.

mod alive;
mod config;
mod driver;
mod error;
mod flags;
mod gate;
mod layer_keys;
mod layers;
mod limits;
mod pool;
mod script;
mod session;
pub mod testing;
mod url;
mod value;

pub(crate) use alive::sessions_there;
pub use config::{ConnectionConfig, ConnectionOptions, Tls};
pub use error::ConnectError;
pub use gate::Gate;
pub use layers::{ConnectionLayers, LayerError};
pub(crate) use limits::{KILL_MAX, ROLLBACK_MAX};
pub use pool::{Lent, Pool};
pub use session::Connection;
pub use url::{UrlError, UrlTarget};
